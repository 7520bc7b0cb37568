"""The schemas of what commands print with `--json`, and the check that an output keeps its schema.

`tests/support/inprocess.py` checks each output of each test. A schema may refer to `common.json` beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import click
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

import km_cli
from km_cli.cli import group

FOLDER = Path(km_cli.__file__).parent / "cli" / "schemas"
COMMON = "common"


def commands() -> Iterator[tuple[str, ...]]:
    """Yield the words of each command that has `--json`."""
    yield from _with_json(group, (), click.Context(group))


def _with_json(
    command: click.Command, words: tuple[str, ...], context: click.Context
) -> Iterator[tuple[str, ...]]:
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            if (inner := command.get_command(context, name)) is not None:
                yield from _with_json(inner, (*words, name), context)
    elif any("--json" in param.opts for param in command.params):
        yield words


def name_of(words: Sequence[str]) -> str:
    """Return the name of a command's schema: `ledger check` has `ledger-check.json`."""
    return "-".join(words)


@cache
def schemas() -> dict[str, Any]:
    """Return all schemas by name."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in FOLDER.glob("*.json")}


@cache
def validator(name: str) -> Draft202012Validator:
    """Return what checks the output of a command."""
    found = [(f"{one}.json", Resource.from_contents(schema)) for one, schema in schemas().items()]
    registry: Registry[Any] = Registry().with_resources(found)
    return Draft202012Validator({"$ref": f"{name}.json"}, registry=registry)


@cache
def _known() -> frozenset[tuple[str, ...]]:
    return frozenset(commands())


def check_output(words: Sequence[str], out: str) -> None:
    """Check what a command has printed, if it was asked for JSON and has printed any."""
    if "--json" not in words or not out.strip():
        return
    command = next((tuple(words[:length]) for length in (1, 2) if tuple(words[:length]) in _known()), None)
    if command is None:
        return
    for one in _objects(out):
        errors = sorted(validator(name_of(command)).iter_errors(one), key=lambda error: error.json_path)
        assert not errors, f"{' '.join(command)} --json: {errors[0].json_path}: {errors[0].message}\n{out}"


def _objects(out: str) -> list[Any]:
    """Return the one object of an output, or an object for each line."""
    try:
        return [json.loads(out)]
    except ValueError:
        return [json.loads(line) for line in out.splitlines()]
