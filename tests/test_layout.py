"""The house: which part may know which. Imports go downward only."""

from __future__ import annotations

import ast
from pathlib import Path

import km_cli

ROOT = Path(km_cli.__file__).parent

FOUNDATION = {"model", "protocols", "errors", "names"}

MAY_IMPORT = {
    "model": set(),
    "errors": set(),
    "names": set(),
    "protocols": {"model"},
    "standin": set(),
    "inputs": FOUNDATION,
    "mapping": FOUNDATION,
    "strategies": FOUNDATION,
    "planning": FOUNDATION | {"prints"},
    "prints": FOUNDATION,
    "census": FOUNDATION | {"prints"},
    "rules": FOUNDATION,
    "ledger": FOUNDATION,
    "delivery": FOUNDATION,
    "destinations": FOUNDATION | {"standin"},
    "tally": FOUNDATION,
    "overlaps": FOUNDATION | {"ledger", "mapping", "prints"},
    "gathering": FOUNDATION | {"inputs", "ledger", "mapping", "overlaps"},
    "distinct": FOUNDATION | {"mapping"},
    "meanings": FOUNDATION | {"config", "inputs", "ledger", "mapping", "prints", "strategies"},
    "first_rows": FOUNDATION | {"dispatch", "gathering", "inputs", "overlaps"},
    "config": FOUNDATION | {"inputs", "mapping", "strategies", "planning", "destinations"},
    "scouting": FOUNDATION | {"mapping"},
    "dispatch": FOUNDATION | {"delivery", "inputs", "ledger", "tally"},
    "understanding": FOUNDATION | {"config", "inputs", "ledger", "mapping", "meanings", "overlaps", "tally"},
    "outages": FOUNDATION | {"ledger", "tally"},
    "backfill": FOUNDATION | {"config", "dispatch", "inputs", "ledger", "pipeline"},
    "pipeline": FOUNDATION
    | {
        "census",
        "config",
        "dispatch",
        "distinct",
        "first_rows",
        "gathering",
        "inputs",
        "ledger",
        "mapping",
        "meanings",
        "overlaps",
        "planning",
        "rules",
        "strategies",
        "tally",
        "understanding",
    },
}
"""Part → parts of km_cli it may import. `cli` may import anything."""


def part(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found.update(name.split(".")[1] for name in names if name.startswith("km_cli."))
    return found - {part(path)}


def files(name: str) -> list[Path]:
    return [path for path in ROOT.rglob("*.py") if part(path) == name]


def test_imports_go_downward_only() -> None:
    for name, allowed in MAY_IMPORT.items():
        assert files(name), f"{name} is in the table and not in the house"
        for path in files(name):
            assert imported(path) <= allowed, f"{path.name} in {name} imports {imported(path) - allowed}"


def test_every_part_is_in_the_table() -> None:
    parts = {part(path) for path in ROOT.rglob("*.py")} - {"__init__", "__main__", "cli"}
    assert parts == set(MAY_IMPORT)


def _names(name: str) -> set[str]:
    return {
        alias.name.split(".")[0] if isinstance(node, ast.Import) else (node.module or "").split(".")[0]
        for path in ROOT.rglob("*.py")
        if part(path) == name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }


def test_only_the_command_line_knows_click_and_rich() -> None:
    for name in MAY_IMPORT:
        assert not _names(name) & {"click", "rich"}, name


def test_only_config_and_the_command_line_read_the_environment() -> None:
    readers = {
        part(path)
        for path in ROOT.rglob("*.py")
        if "os.environ" in path.read_text(encoding="utf-8") or "getenv" in path.read_text(encoding="utf-8")
    }
    assert readers <= {"config", "cli"}
