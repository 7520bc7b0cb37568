"""Bytes of every kind: a command ends as documented, tells no key, and counts each row once.

These are the inputs that fuzzing begins with and those that it has found; `python -m tests.proof --only fuzz`
makes more.
"""

from __future__ import annotations

import pytest

from tests.proof.fuzz import feed
from tests.proof.seeds import changed_ledger, seeds
from tests.proof.targets import BORROWED, TARGETS


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_seeds_and_what_fuzzing_has_found(target: str) -> None:
    fed = 0
    for data in seeds(BORROWED.get(target, target)):
        feed(target, data)
        fed += 1
    assert fed


def test_a_change_of_a_ledger_puts_bytes_in_their_place() -> None:
    before, place = changed_ledger(b""), 5_000
    after = changed_ledger(place.to_bytes(4, "big") + b"\x02\xff\x01")
    assert len(after) == len(before)
    assert after[place : place + 2] == b"\xff\x01"
    assert after[:place] + before[place : place + 2] + after[place + 2 :] == before
