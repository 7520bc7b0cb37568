"""The result of a verification as a whole, and its exit code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from km_cli.errors import Exit
from km_cli.verify.comparing import SiteResult
from km_cli.verify.judging import Verdict
from km_cli.verify.values import Snapshot


class Result(NamedTuple):
    """What Kissmetrics showed, site by site, against the ledger.

    `since` is the time of the snapshot that was compared with. `failures` are the lists that could not be
    asked or read: site, reason and hint. `show_after` is in seconds.
    `in_files` are the calls that were written to bulk files, by site.
    """

    ledger: Path
    now: Snapshot
    since: datetime | None
    sites: tuple[SiteResult, ...]
    failures: tuple[tuple[str, str, str], ...]
    show_after: float
    in_files: Mapping[str, int] = {}

    def of(self, *verdicts: Verdict) -> int:
        """Count the events, and the properties of sites, with one of these verdicts."""
        return sum(one in verdicts for one in self.verdicts())

    def verdicts(self) -> Iterator[Verdict]:
        """Yield all verdicts."""
        for site in self.sites:
            yield from site.verdicts


def exit_of(result: Result) -> Exit:
    """Return the exit code: a finding comes first, then what could not be asked, then what takes its time."""
    if any(one.is_finding for one in result.verdicts()):
        return Exit.REJECTED
    if result.failures or result.of(Verdict.UNCHECKED):
        return Exit.UNAVAILABLE
    if result.of(Verdict.NOT_SHOWN_YET):
        return Exit.TEMPORARY
    return Exit.OK
