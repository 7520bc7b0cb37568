"""`python -m tests.proof`: run the kinds of proof for as long as you say, and print one table.

Exit 1 if a case failed or a kind that was asked for cannot run here. Each failure comes with the command line
that runs its case alone.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence

from tests.proof.base import Proof
from tests.proof.registry import NAMES, proof
from tests.proof.running import Failed, Outcome, run_case, run_kind

HEADS = ("what", "cases", "failures", "seed", "minutes")


def main(words: Sequence[str] | None = None) -> int:
    """Run it with these arguments, or those of the command line; return the exit code."""
    asked = _parser().parse_args(words)
    kinds = [proof(name) for name in asked.only or NAMES]
    absent = [(kind, reason) for kind in kinds if (reason := kind.missing())]
    for kind, reason in absent:
        print(f"{kind.name}: not run here, it {reason}", file=sys.stderr)
    kinds = [kind for kind in kinds if kind not in [one for one, _ in absent]]
    if asked.case is not None:
        return _again(kinds, asked.case)
    outcomes = [run_kind(kind, asked.seed, asked.minutes * 60, asked.jobs) for kind in kinds]
    print(table(outcomes))
    return int(any(one.failures for one in outcomes) or bool(asked.only and absent))


def _again(kinds: Sequence[Proof], case: str) -> int:
    if len(kinds) != 1:
        print("--case needs one kind that can run here: add --only NAME", file=sys.stderr)
        return 2
    found = run_case(kinds[0], case)
    failed = isinstance(found, Failed)
    print(found if failed else "the promise was kept")
    return int(failed)


def table(outcomes: Sequence[Outcome]) -> str:
    """Return what was run, as a table of Markdown."""
    lines = [HEADS, ("---",) * len(HEADS), *(_line(one) for one in outcomes)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _line(one: Outcome) -> tuple[str, ...]:
    number = f"all {one.cases:,}" if one.is_whole else f"{one.cases:,}"
    if one.proof.unit:
        number += f" ({one.amount:,.0f} {one.proof.unit})"
    minutes = f"{one.seconds / 60:.1f}"
    return f"`{one.proof.name}`: {one.proof.about}", number, str(len(one.failures)), str(one.seed), minutes


def _minutes(text: str) -> float:
    """Return a time above 0: without any time no case runs, and that proves nothing."""
    if not (minutes := float(text)) > 0:
        raise argparse.ArgumentTypeError("give a time above 0")
    return minutes


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m tests.proof", description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=_minutes, default=1.0, help="for each kind (default: 1)")
    parser.add_argument("--only", action="append", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="default: a new one")
    parser.add_argument("--jobs", type=int, default=1, help="processes at once (default: 1)")
    parser.add_argument("--case", help="run this case of the kind alone")
    return parser


if __name__ == "__main__":
    sys.exit(main())
