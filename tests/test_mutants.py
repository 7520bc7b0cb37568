"""Mutants: each promise has some, and one that no test finds is a failure, as is one that does not apply."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.proof import mutants
from tests.proof.mutants import ROOT, mutant, names, run

ARCHITECTURE = ROOT / "km_cli" / "README.md"


def test_each_promise_is_broken_in_two_ways() -> None:
    section = (
        ARCHITECTURE.read_text(encoding="utf-8").partition("## Delivery promises")[2].partition("\n## ")[0]
    )
    promises = {int(number) for number in re.findall(r"^(\d)\. \*\*", section, re.MULTILINE)}
    broken = Counter(mutant(name).promise for name in names())
    assert broken.keys() == promises
    assert min(broken.values()) >= 2


@pytest.mark.parametrize("name", names())
def test_a_patch_says_how_it_is_found(name: str) -> None:
    one = mutant(name)
    assert one.breaks
    assert (ROOT / one.found_by[0]).exists()


PATCH = """\
Promise: 6
Breaks: nothing
Found by: tests/test_mutants.py -k in_two_ways

--- a/km_cli/README.md
+++ b/km_cli/README.md
@@ -1,3 +1,3 @@
-{first}
+# A heading
{blank}
 For those who change km-cli. Read the picture and one row's way first; the rest is for looking up.
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "why"),
    [
        ("# How km-cli works", "is broken and not missed (nothing)"),
        ("# Another one", "does not apply"),
    ],
)
def test_a_mutant_that_is_not_found_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str, why: str
) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    (tmp_path / "harmless.patch").write_text(PATCH.format(first=first, blank=" "), encoding="utf-8")
    monkeypatch.setattr(mutants, "PATCHES", tmp_path)
    failure = run("harmless", copy)
    assert failure is not None
    assert why in failure.why
