"""The pages are true: their help, outputs, counts, codes, keys and names of functions are the real ones."""

from __future__ import annotations

import ast
import json
import re
from contextlib import closing
from pathlib import Path

import pytest

from km_cli.config.kmtoml import (
    BackfillTable,
    ColumnsTable,
    DeliveryTable,
    KmToml,
    PersonaTable,
    PlanTable,
    SiteTable,
)
from km_cli.errors import Exit
from km_cli.rules import CATALOGUE
from km_cli.standin import Store
from tests.make_pages import (
    FACTS,
    REFERENCE,
    ROOT,
    WALKTHROUGHS,
    sections,
    with_findings,
    with_help,
    with_output,
)
from tests.support.command import Command

README = ROOT / "README.md"
ARCHITECTURE = ROOT / "km_cli" / "README.md"
TESTS = ROOT / "tests" / "README.md"
PAGES = sorted(path for path in ROOT.rglob("*.md") if not path.relative_to(ROOT).parts[0].startswith("."))

SECTIONS = [
    pytest.param(section, id=f"{page.parent.name}: {section.splitlines()[0]}")
    for page in WALKTHROUGHS
    for section in sections(page.read_text(encoding="utf-8"))
    if "```console" in section
]


# Outputs


def test_help_is_the_real_one() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    assert with_help(text) == text, "run: python -m tests.make_pages"


def test_the_texts_of_findings_are_the_real_ones() -> None:
    text = FACTS.read_text(encoding="utf-8")
    assert with_findings(text) == text, "run: python -m tests.make_pages"


@pytest.mark.parametrize("section", SECTIONS)
def test_commands_print_what_is_shown(section: str) -> None:
    assert with_output(section) == section, "run: python -m tests.make_pages"


COUNTS = re.findall(
    r"^\| (toggle|property|sites) \| (main|accounts) \| (.*) \|$",
    WALKTHROUGHS[1].read_text(encoding="utf-8"),
    re.MULTILINE,
)


@pytest.mark.parametrize(("strategy", "site", "cells"), COUNTS)
def test_kissmetrics_counts_what_the_table_says(strategy: str, site: str, cells: str, tmp_path: Path) -> None:
    """Persons who did an event and how often, as the local store has it."""
    store = tmp_path / "local.db"
    log = ROOT / "samples" / "teams.csv"
    Command(tmp_path)("import", log, "--strategy", strategy, "--to", f"local:{store}").ended(0)
    with closing(Store(store)) as kept:
        did = [(one.event, one.person) for one in kept.events() if one.product == site]
    for event, cell in zip(("Signed Up", "Invited", "Viewed Tour"), cells.split(" | "), strict=True):
        persons = [person for name, person in did if name == event]
        numbers = [int(number) for number in re.findall(r"^\d+|\d+(?= times?$)", cell)]
        assert numbers == ([len(set(persons)), len(persons)] if persons else [0]), (event, cell)


# Tables


def test_every_exit_code_is_in_the_reference() -> None:
    listed = re.findall(r"^\| ([\d /]+) \|", REFERENCE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {int(code) for line in listed for code in line.split(" / ")} == {code.value for code in Exit}


def test_every_key_of_the_summary_is_in_the_reference(tmp_path: Path) -> None:
    km, text = Command(tmp_path), REFERENCE.read_text(encoding="utf-8")
    log = ROOT / "samples" / "events.csv"
    (tmp_path / "km.toml").write_text('[[backfill]]\nname = "a"\nfiles = ["*.csv"]\noptional = true\n')
    runs = (
        km("dry-run", log, "--limit", "500", "--json"),
        km("import", log, "--to", "local", "--json"),
        km("import", log, "--to", "local", "--json"),
        km("backfill", "--config", tmp_path / "km.toml", "--to", "local", "--json"),
    )
    for run in runs:
        summary = json.loads(run.out)
        words = {*summary, *summary["rows"], *summary["calls"], *summary["normalised"]}
        assert not {word for word in words if f"`{word}`" not in text}


@pytest.mark.parametrize(
    "table", [KmToml, ColumnsTable, SiteTable, PersonaTable, DeliveryTable, PlanTable, BackfillTable]
)
def test_every_key_of_km_toml_is_in_the_reference(table: type) -> None:
    text = REFERENCE.read_text(encoding="utf-8").partition("## km.toml")[2].partition("## Commands")[0]
    for key in table.__struct_fields__:  # type: ignore[attr-defined]
        assert any(form in text for form in (f"`{key}`", f"[{key}]", f"[{key}.")), key


def test_every_fact_and_every_finding_is_explained() -> None:
    """A code with a number is a fact, and has a heading of its own."""
    text = FACTS.read_text(encoding="utf-8")
    numbers = {"W": 11, "D": 10, "I": 6, "Q": 5}
    facts = [f"{letter}{number}" for letter, last in numbers.items() for number in range(1, last + 1)]
    assert re.findall(r"^### ([WDIQ]\d+) ", text, re.MULTILINE) == facts
    assert not [code for code in CATALOGUE if code not in facts and f"`{code}`" not in text]


def test_every_file_of_tests_is_in_its_page() -> None:
    named = set(re.findall(r"`(test_\w+\.py)`", TESTS.read_text(encoding="utf-8")))
    assert named == {path.name for path in TESTS.parent.glob("test_*.py")}


# What pages refer to


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def names_in(path: Path) -> set[str]:
    """What a module defines: its functions, classes, constants, and `Class.member`."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        for name in _defined(node):
            found.add(name)
            if isinstance(node, ast.ClassDef):
                found.update(f"{name}.{member}" for inner in node.body for member in _defined(inner))
    return found


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def references(text: str) -> list[tuple[str, str]]:
    """The modules that a page names, and the functions (`name()`) behind each on the same line."""
    found = []
    for line in text.splitlines():
        module = ""
        for word in re.findall(r"`([^`]+)`", line):
            if re.fullmatch(r"[\w/]+\.py", word):
                module = word
                found.append((module, ""))
            elif module and re.fullmatch(r"[\w.]+\(\)", word):
                found.append((module, word[:-2]))
    return found


@pytest.mark.parametrize("page", [ARCHITECTURE, FACTS], ids=lambda page: str(page.relative_to(ROOT)))
def test_modules_and_functions_that_pages_name_exist(page: Path) -> None:
    """A path is below km_cli, or below the repository; `NEW.py` in capitals is an example."""
    wrong = []
    for module, name in references(page.read_text(encoding="utf-8")):
        if module.rpartition("/")[2][:-3].isupper():
            continue
        places = [folder / module for folder in (ROOT / "km_cli", ROOT)]
        path = next((place for place in places if place.is_file()), None)
        if path is None or (name and name not in names_in(path)):
            wrong.append(f"{module} {name}".strip())
    assert not wrong


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").split()) <= 1500
