"""The layout: which folder may import which, and that no circle of imports hides anywhere."""

from __future__ import annotations

import ast
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import km_cli

ROOT = Path(km_cli.__file__).parent

FOUNDATION = {
    "model",
    "protocols",
    "errors",
    "kissmetrics",
    "durable",
    "memory",
    "json_text",
    "formulas",
    "toml_text",
    "install_hint",
    "whole_file",
    "object_address",
    "file_limit",
}
STAGES = {
    "inputs",
    "mapping",
    "strategies",
    "rules",
    "planning",
    "ledger",
    "delivery",
    "inference",
    "exports",
    "import_plan",
}

MAY_IMPORT = {
    "model": {"kissmetrics"},
    "protocols": {"model"},
    "errors": set(),
    "kissmetrics": set(),
    "durable": set(),
    "memory": set(),
    "json_text": set(),
    "formulas": set(),
    "file_limit": {"errors"},
    "toml_text": set(),
    "install_hint": set(),
    "whole_file": set(),
    "object_address": {"errors"},
    **dict.fromkeys(STAGES, FOUNDATION),
    "inference": FOUNDATION | {"mapping"},  # it reads values as the mapping would
    "exports": FOUNDATION | {"mapping"},  # its tables fill in what the mapping leaves open
    "standin": set(),
    "destinations": FOUNDATION | {"standin"},
    "rejects": FOUNDATION | {"inputs"},
    "config": FOUNDATION | STAGES | {"destinations", "rejects"},
    "run": FOUNDATION | STAGES | {"destinations", "rejects", "config", "standin"},
    "compare": FOUNDATION | STAGES | {"config", "run"},
    "verify": FOUNDATION | STAGES | {"destinations", "config", "run"},
    "serve": FOUNDATION | STAGES | {"config", "run", "compare", "standin"},
    "spark": FOUNDATION | STAGES | {"destinations", "rejects", "config", "run"},
    "cli": FOUNDATION
    | STAGES
    | {"destinations", "rejects", "config", "run", "compare", "verify", "serve", "spark", "standin"},
}
"""Folder (or module at the top) → those that it may import. Imports go downward only."""


def part(path: Path) -> str:
    """The folder of a module, or the module at the top."""
    return path.relative_to(ROOT).with_suffix("").parts[0]


PARTS = sorted({part(path) for path in ROOT.rglob("*.py")} - {"__init__", "__main__"})


def name_of(path: Path) -> str:
    parts = ("km_cli", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in ROOT.rglob("*.py")}


@cache
def imports(path: Path) -> frozenset[str]:
    """The modules of km_cli that a module imports, at the top or within a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            found.update(name if name in MODULES else node.module for name in names)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return frozenset(name for name in found if name in MODULES)


def files(name: str) -> list[Path]:
    return [path for path in ROOT.rglob("*.py") if part(path) == name]


def test_every_part_is_in_the_table() -> None:
    assert sorted(MAY_IMPORT) == PARTS


@pytest.mark.parametrize("name", PARTS)
def test_imports_go_downward_only(name: str) -> None:
    for path in files(name):
        reached = {part(MODULES[module]) for module in imports(path)} - {name, "__init__"}
        assert reached <= MAY_IMPORT[name], f"{name_of(path)} imports {reached - MAY_IMPORT[name]}"


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Imports within functions count as well: they hide a circle, they do not open it."""
    graph = {name: imports(path) - {name} for name, path in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


def outside(name: str) -> set[str]:
    """The libraries that the modules of a part import."""
    found = set()
    for path in files(name):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                found.add((node.module or "").partition(".")[0])
    return found - set(sys.stdlib_module_names)


def test_only_the_command_line_knows_click_and_rich() -> None:
    for name in PARTS:
        assert name == "cli" or not outside(name) & {"click", "rich"}, name


def test_the_stand_in_shares_nothing() -> None:
    """It judges what the sender encodes, so it must not decode with the sender's code."""
    assert not outside("standin") - {"km_cli"}


def test_only_config_and_the_command_line_read_the_environment() -> None:
    readers = {
        part(path)
        for path in ROOT.rglob("*.py")
        if "os.environ" in path.read_text(encoding="utf-8") or "getenv" in path.read_text(encoding="utf-8")
    }
    assert readers <= {"config", "cli"}
