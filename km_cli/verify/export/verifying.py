"""Compares a ledger with a data export: reads both, and returns the result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from km_cli.errors import UsageError
from km_cli.ledger import Ledger
from km_cli.planning.keyed import fingerprints_for
from km_cli.verify.export.comparing import compare
from km_cli.verify.export.expected import LedgerSide, Product
from km_cli.verify.export.files import ExportFiles, find_export
from km_cli.verify.export.judging import Judge, Judgement, Reach
from km_cli.verify.export.listing import Listing
from km_cli.verify.export.loading import ExportSide, People
from km_cli.verify.export.matching import Matcher
from km_cli.verify.export.result import Detail, Verified
from km_cli.verify.export.seconds import Compared
from km_cli.verify.export.workspace import Workspace, room_for_workspace

_DAY = 86_400

_ADD_ABSENT = (
    "INSERT INTO absent (second, event, person, pairs, persona, reading, line) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_ADD_UNKNOWN = (
    "INSERT INTO unknown (second, event, person, pairs, loose, file, line) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_COUNT = (
    "INSERT INTO days VALUES (?, ?, ?, ?) "
    "ON CONFLICT (day, event, outcome) DO UPDATE SET calls = calls + excluded.calls"
)
_MOST_COUNTED = 10_000
"""Counts by day and event in memory. Both sides are sorted by time, so that few days are open at once."""


class ExportRequest(NamedTuple):
    """What to compare: the product's tracker, its site ("" for the only one), and the export's files.

    `made` is when the export was made, in seconds since 1970; None for the time of its newest file. If it
    `ends_day_before`, it lacks the calls of that UTC day (W7: Kissmetrics' own export). `identities` are the
    names of people in logs that are given again.
    """

    tracker: str
    site: str
    names: tuple[str, ...]
    made: float | None = None
    ends_day_before: bool = False
    identities: Iterable[str] = ()


Take = Callable[[Detail], None]


def verify_export(request: ExportRequest, ledger: Ledger, now: float, take: Take | None = None) -> Verified:
    """Compare a ledger with an export. `take` gets every call and record that the result is about.

    `now` is in seconds since 1970. Raises UsageError if the site is not clear, ExportError if the export
    cannot be read or is not whole, LedgerError, and Exhausted if there is no room for temporary files.
    """
    files = find_export(request.names)
    product = (request.tracker, _site(ledger, request))
    with room_for_workspace(), closing(Workspace()) as workspace:
        return _Comparison(request, ledger, product, files, workspace).run(now, take)


def sites_of(ledger: Ledger, tracker: str) -> list[str]:
    """Return the sites of a tracker that the ledger has calls for."""
    readings = {
        place[len(tracker) + 1 :].split(" ", 1)[0]
        for reading in ledger.readings.latest()
        for place, calls in reading.calls
        if calls and place.startswith(f"{tracker} ")
    }
    return sorted(readings | {one.site for one in ledger.sent.by_site() if one.tracker == tracker} - {""})


def _site(ledger: Ledger, request: ExportRequest) -> str:
    """Return the site that the export belongs to. Raises UsageError."""
    sites = sites_of(ledger, request.tracker)
    named = ", ".join(sites)
    if request.site in sites:
        return request.site
    if not sites:
        raise UsageError(
            f"the ledger has no calls for {request.tracker}",
            "name the place that they were sent to with --to, or the ledger with --ledger; km-cli status "
            "lists both",
        )
    if request.site:
        raise UsageError(f"--site {request.site}: no calls were sent to it", f"the ledger has: {named}")
    if len(sites) > 1:
        raise UsageError(
            f"calls were sent to several sites ({named}), and an export holds one",
            f"name the site of the export: --site {sites[0]}",
        )
    return sites[0]


class _Comparison:
    """One comparison, step by step."""

    def __init__(
        self,
        request: ExportRequest,
        ledger: Ledger,
        product: Product,
        files: ExportFiles,
        workspace: Workspace,
    ) -> None:
        self._request = request
        self._ledger = ledger
        self._product = product
        self._files = files
        self._workspace = workspace
        self._ours = LedgerSide(ledger, product, workspace, fingerprints_for(product[0], ledger.secret))
        people = People(workspace, product, self._ours.products, ledger.secret)
        self._people = people
        self._export = ExportSide(
            files, product, workspace, people, fingerprints_for(product[0], ledger.secret)
        )
        self._counted: dict[tuple[int, bytes, str], int] = {}

    def run(self, now: float, take: Take | None) -> Verified:
        """Compare both sides, and return the result."""
        self._ours.load(now)
        reach = self._export.load(self._request.made)
        if self._request.ends_day_before:
            reach = reach._replace(made=reach.made // _DAY * _DAY)
        self._people.note_all(self._request.identities)
        judge = Judge(self._workspace, reach, is_alone=len(self._ours.products) == 1)
        for compared in compare(self._ours.seconds(), self._workspace.held()):
            self._take(compared, judge)
        self._write_counts()
        self._workspace.flush()
        Matcher(self._workspace).match()
        return self._result(reach, take)

    def _take(self, compared: Compared, judge: Judge) -> None:
        second, person, persona, found, absent, unknown = compared
        day = second // _DAY
        for call in found:
            self._count(day, call.event, "found")
        for call in absent:
            outcome = judge.judge(compared, call)
            if outcome is Judgement.ABSENT:
                row = (second, call.event, person, call.pairs, persona, call.reading, call.line)
                self._workspace.add(_ADD_ABSENT, row)
            elif outcome is not Judgement.ELSEWHERE:
                self._count(day, call.event, outcome.value)
        for event, *others in unknown:
            self._workspace.add(_ADD_UNKNOWN, (second, event, person, *others))

    def _count(self, day: int, event: bytes, outcome: str) -> None:
        key = (day, event, outcome)
        self._counted[key] = self._counted.get(key, 0) + 1
        if len(self._counted) > _MOST_COUNTED:
            self._write_counts()

    def _write_counts(self) -> None:
        self._workspace.update(_COUNT, ((*key, calls) for key, calls in self._counted.items()))
        self._counted.clear()

    def _result(self, reach: Reach, take: Take | None) -> Verified:
        names: Mapping[bytes, str] = {**self._export.names, **self._ours.names}
        listing = Listing(self._workspace, self._ledger, names, self._files.names)
        return listing.result(
            Verified(
                *self._product,
                Path(self._ledger.path),
                len(self._files.names),
                self._export.records,
                reach.first,
                reach.last,
                reach.made,
                {},
                0,
                listing.aliases(is_alone=len(self._ours.products) == 1),
                (),
                (),
                (),
                (),
            ),
            take,
        )
