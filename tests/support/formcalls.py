"""Calls read back from the forms of `dry-run --as`, and from a tracker, by code that shares none of ours."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import pytest

from tests.support.tracker import Hit


class Told(NamedTuple):
    """A call: site, path, person, event or other identity, second (0 for an alias), properties."""

    site: str
    path: str
    person: str
    name: str
    second: int
    properties: tuple[tuple[str, str], ...]


def of_query(site: str, path: str, params: dict[str, str]) -> Told:
    properties = tuple(sorted((name, value) for name, value in params.items() if not name.startswith("_")))
    second = int(params.get("_t", 0))
    assert ("_d" in params) == (second > 0)
    return Told(site, path, params["_p"], params.get("_n", ""), second, properties)


def of_hits(hits: Iterable[Hit], sites: dict[str, str]) -> list[Told]:
    """Return the calls that a tracker got, sorted; `sites` are their names by key."""
    return sorted(of_query(sites[hit.params["_k"]], hit.path, hit.params) for hit in hits)


def of_urls(text: str, sites: dict[str, str]) -> list[Told]:
    """Return the calls of `urls`, sorted."""
    found = []
    for line in text.splitlines():
        path, _, query = line.partition("?")
        assert query.startswith("_k=")
        params = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True))
        found.append(of_query(sites[params["_k"]], path, params))
    return sorted(found)


def of_jsonl(text: str) -> list[Told]:
    """Return the calls of `jsonl`, sorted."""
    paths = {"record": "/e", "set": "/s", "alias": "/a"}
    return sorted(
        Told(
            call["site"],
            paths[call["call"]],
            call["identity"],
            call.get("event", call.get("other", "")),
            call.get("second", 0),
            tuple(sorted(call.get("properties", {}).items())),
        )
        for call in map(json.loads, text.split("\n")[:-1])
    )


def of_js(file: Path) -> list[Told]:
    """Return the calls of `js`, sorted: node runs the file, and each call belongs to the last identity."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node")
    script = Path(__file__).with_name("queue.js")
    ran = subprocess.run([node, script, file], capture_output=True, text=True, check=True, timeout=300)
    return sorted(told for site, queue in json.loads(ran.stdout) for told in _followed(site, queue))


def _followed(site: str, queue: list[list[Any]]) -> Iterable[Told]:
    person = ""
    for word, *arguments in queue:
        if word == "identify":
            (person,) = arguments
        elif word == "alias":
            yield Told(site, "/a", *arguments, 0, ())
        else:
            *name, properties = arguments
            assert word == ("record" if name else "set")
            assert properties.pop("_d") == 1
            second = properties.pop("_t")
            path = "/e" if name else "/s"
            yield Told(site, path, person, "".join(name), second, tuple(sorted(properties.items())))
