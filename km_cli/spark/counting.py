"""The tally and the forecast of a job: as one machine counts them, from the tables of the plan.

Spark adds up rows, findings and rejects; the sums are small. The names of a log come to this process one by
one, in the order in which one machine would meet them, and the rules on whole logs look at them here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from km_cli.config.settings import Settings
from km_cli.kissmetrics import fold_name
from km_cli.model import Finding, Forecast, Held, Reject, Row
from km_cli.planning.forecast import many_names
from km_cli.run.tally import Tally
from km_cli.spark.all_names import IN_CALLS, IN_LOG, in_turn, known_names, mark_of, names_of
from km_cli.spark.names import name_findings
from km_cli.spark.spellings import alike_findings
from km_cli.spark.summary import Summary
from km_cli.spark.sums import (
    CALLS,
    FINDING,
    PLACE,
    REFUSED,
    REJECT,
    REJECTED,
    SENT,
    sums_of,
)
from km_cli.spark.tables import PASSED_OVER, WITHHELD_ROW
from km_cli.strategies import Lacked, left_to_others

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql import Row as SparkRow

    from km_cli.spark.planned import Planned

_MOST_NAMES = 70_000
"""As in `ledger.counts`: beyond the limit of any product, names need not be kept."""

Sums = Mapping[str, Sequence["SparkRow"]]

Holdings = Mapping[str, Mapping[str, Iterable[int]]]
"""People, events and properties by site and persona, as the notes of a job have them."""


class Counted(NamedTuple):
    """What a job counted. `held` is what its own calls add to Kissmetrics, for the notes of the job.

    `read` are the rows that no earlier job has read. `aliases` is the number of aliases among the planned
    calls, and `calls` are all of these by the number of their reading, then by site and persona.
    """

    tally: Tally
    forecast: Forecast
    held: dict[str, dict[str, list[int]]]
    read: int
    aliases: int
    calls: Mapping[int, Mapping[tuple[str, str], int]]


class Tables(NamedTuple):
    """The tables that are counted.

    `plan` and `rejects` are those of this job, written or kept in memory. `received` are the earlier plans,
    None if there are none. `notes` are those of all earlier jobs.
    """

    planned: Planned
    plan: DataFrame
    rejects: DataFrame
    received: DataFrame | None
    notes: Iterable[Mapping[str, Any]]


def counted_of(settings: Settings, secret: bytes, tables: Tables) -> Counted:
    """Count the rows, calls, findings and rejects of a job, and foretell what Kissmetrics will hold."""
    tally, personas = Tally(), [persona.name for persona in settings.personas]
    planned, received, calls = tables.planned, tables.received, tables.plan.where("kind = 'call'")
    alike = alike_findings(tables.plan, received, personas, settings.target.tracker, secret)
    findings = planned.keep(planned.findings.unionByName(alike))
    sums = sums_of(calls, findings, tables.rejects, received)
    _count_rows(tally, planned.summary, sums)
    held = _count_calls(tally, sums[CALLS])
    _count_findings(tally, sums)
    _count_rejects(tally, sums)
    names = names_of(planned.names, calls, personas)
    _judge_names(tally, names)
    for finding in planned.unseen:
        tally.note(finding)
    for finding, rows in left_to_others(personas, _lacked(planned.summary)):
        tally.note(finding, rows)
    _count_names(tally, names, received)
    for word, number in planned.summary.normalised().items():
        tally.normalised[word] += number
    earlier = [notes.get("held", {}) for notes in tables.notes]
    forecast = _forecast(
        [site.name for site in settings.people.sites], [held, *earlier, *_lost(sums[REFUSED])]
    )
    aliases = sum(row["aliases"] for row in sums[CALLS])
    outcomes = planned.summary.rows()
    read = outcomes.total() - outcomes[PASSED_OVER]
    return Counted(tally, forecast, held, read, aliases, _calls_by_reading(sums[CALLS]))


def _count_rows(tally: Tally, summary: Summary, sums: Sums) -> None:
    """Count the rows: sent if they have calls and no rejects, rejected if they have any, else skipped."""
    outcomes = summary.rows()
    tally.rows.rejected = sum(row["times"] for row in sums[REJECTED])
    tally.rows.sent = sum(row["times"] for row in sums[SENT])
    tally.rows.skipped = sum(outcomes.values()) - tally.rows.rejected - tally.rows.sent
    tally.undone = outcomes["undone"]
    tally.withheld = outcomes[WITHHELD_ROW]


def _count_calls(tally: Tally, calls: Sequence[SparkRow]) -> dict[str, dict[str, list[int]]]:
    """Count the planned calls; return what they add to Kissmetrics, by site and persona."""
    held: dict[str, dict[str, list[int]]] = {}
    for row in sorted(calls, key=lambda row: (row["site"], row["persona"])):
        tally.calls.planned += row["times"]
        tally.by_persona[row["persona"]] += row["times"]
        known = held.setdefault(row["site"], {}).setdefault(row["persona"], [0, 0, 0])
        known[:] = map(sum, zip(known, _gains(row), strict=True))
    return held


def _calls_by_reading(calls: Sequence[SparkRow]) -> dict[int, Counter[tuple[str, str]]]:
    """Return the number of planned calls by reading, then by site and persona."""
    found: dict[int, Counter[tuple[str, str]]] = defaultdict(Counter)
    for row in calls:
        found[row["reading"]][row["site"], row["persona"]] += row["times"]
    return found


def _gains(row: SparkRow) -> tuple[int, int, int]:
    return row["people"], row["events"], row["properties"]


def _count_findings(tally: Tally, sums: Sums) -> None:
    """Count findings by code and subject, and keep the first one of each code."""
    for row in sums[FINDING]:
        code, first = row["code"], row["first"]
        tally.findings[code] = row["total"]
        found = Finding(code, first["text"], first["source"], first["line"], row["who"] or "")
        tally.examples.setdefault(code, found)
        if found.who:
            tally.worst[code][found.who] += row["times"]
    _keep_places(tally, sums[PLACE], FINDING, sums[FINDING])


def _count_rejects(tally: Tally, sums: Sums) -> None:
    """Count rejects by their reason, and keep the first one of each."""
    for row in sums[REJECT]:
        code, first = row["code"], row["first"]
        tally.reasons[code] = row["times"]
        tally.rejects[code] = Reject(Row(first["source"], first["line"], b"", None), code, first["text"])
    _keep_places(tally, sums[PLACE], REJECT, sums[REJECT])


def _keep_places(tally: Tally, places: Iterable[SparkRow], of: str, sums: Iterable[SparkRow]) -> None:
    """Keep the first places of each code, and the number of all others."""
    kept: Counter[str] = Counter()
    for row in places:
        if row["who"] == of:
            tally.places[row["code"]].add(row["first"]["source"], row["first"]["line"])
            kept[row["code"]] += 1
    placed = {row["code"]: row["placed"] for row in sums}
    for code, number in kept.items():
        tally.places[code].more += placed[code] - number


def _judge_names(tally: Tally, names: DataFrame) -> None:
    """Note the findings about the names of the whole log, each at the first row that has it."""
    for finding in name_findings(in_turn(names.where(f"what = '{IN_LOG}'"))):
        tally.note(finding)


def _lacked(summary: Summary) -> Iterable[Lacked]:
    """Return the events that a persona lacks and others do. Each task told its own."""
    found: dict[str, Lacked] = {}
    for row in summary.lacked:
        folded = fold_name(row["text"])
        known = found.get(folded) or Lacked(row["text"], row["row"])
        places = known.personas.union(map(int, row["owed"]))
        found[folded] = known._replace(rows=known.rows + row["number"], personas=places)
    return found.values()


def _count_names(tally: Tally, names: DataFrame, received: DataFrame | None) -> None:
    """Note the names that are too many for a site (D8), each at the first call that has it."""
    known = known_names(received) if received is not None else {}
    for row in in_turn(names.where(f"what = '{IN_CALLS}'")):
        site_names = known.setdefault((row["site"], row["code"]), set())
        mark = mark_of(row["text"])
        if mark in site_names:
            continue
        count = len(site_names) + 1
        if count <= _MOST_NAMES:
            site_names.add(mark)
        if message := many_names(row["code"], row["text"], count):
            tally.note(Finding("D8", message, row["first"]["source"], row["first"]["line"]))


def _lost(refused: Iterable[SparkRow]) -> Iterator[Holdings]:
    """Yield what the destination rejected of what earlier jobs added, as negative numbers.

    A person stays: the ledger keeps the owner of a person whose only call was rejected, too.
    """
    for row in refused:
        yield {row["site"]: {row["persona"]: (0, -row["events"], -row["properties"])}}


def _forecast(sites: Iterable[str], holdings: Iterable[Holdings]) -> Forecast:
    """Add up what Kissmetrics will hold."""
    found: dict[str, dict[str, Held]] = {site: {} for site in sites}
    for one in holdings:
        for site, by_persona in one.items():
            for persona, numbers in by_persona.items():
                if site in found:
                    before = found[site].get(persona, Held())
                    found[site][persona] = Held(*map(sum, zip(before, numbers, strict=True)))
    return found
