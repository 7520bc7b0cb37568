"""The seam between the proof and its kinds: one `Proof` for each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple


class Failure(NamedTuple):
    """A case in which km-cli did not keep a promise."""

    why: str
    """The broken promise, and as much as is needed to see how. It may have several lines."""


class Passed(NamedTuple):
    """A case in which km-cli kept all promises."""

    amount: float = 0.0
    """How much was tried, in the unit of the `Proof`."""


def _nothing() -> str:
    return ""


class Proof(NamedTuple):
    """A kind of proof: its cases, and how one of them is run.

    A case is a text of one line without quotation marks. It says all that is needed to run the case again, in
    another process and on another day: `python -m tests.proof --only NAME --case CASE` does that.
    """

    name: str
    """One word, for `--only`."""
    about: str
    """What is proved, for the table: a few words."""
    cases: Callable[[int], Iterable[str]]
    """Seed → cases, without end or not. The same seed yields the same cases. They are mixed, so that the
    first of them are a fair sample of all."""
    run: Callable[[str, Path], Failure | Passed | None]
    """Run a case in an empty folder, which is deleted afterwards; return the failure. An exception that it
    raises is a failure, too, so `assert` does. Cases run in several processes at once. None is `Passed()`."""
    short: int
    """How many cases `.ci/run` takes."""
    missing: Callable[[], str] = _nothing
    """Return the reason why this kind cannot run here, such as "needs strace"; empty if it can."""
    unit: str = ""
    """What is counted beside the cases, such as days; empty: nothing."""
