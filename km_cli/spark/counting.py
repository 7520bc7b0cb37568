"""The tally and the forecast of a job: as one machine counts them, from the tables of the plan.

Spark adds up rows, findings and rejects; the sums are small. The names of a log come to this process one by
one, in the order in which one machine would meet them, and the rules on whole logs look at them here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pyspark.sql import Window
from pyspark.sql import functions as F  # noqa: N812 - the name that Spark's own pages give it

from km_cli.config.settings import Settings
from km_cli.kissmetrics import fold_name
from km_cli.model import Finding, Forecast, Held, Reject, Row
from km_cli.planning.digests import digest
from km_cli.planning.forecast import many_names
from km_cli.run.tally import MOST_REMEMBERED, Tally
from km_cli.spark.names import EVENT, PROPERTY, name_findings
from km_cli.spark.spellings import alike_findings
from km_cli.spark.tables import ALIAS_CALL, NAMED, WITHHELD_ROW
from km_cli.strategies import Lacked, left_to_others

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql import Row as SparkRow

    from km_cli.spark.planned import Planned

_MOST_NAMES = 70_000
"""As in `ledger.counts`: beyond the limit of any product, names need not be kept."""

_MOST_PLACES = 2_000
"""How many places of one code come to this process; the tally keeps no more ranges of lines than half."""

Holdings = Mapping[str, Mapping[str, Iterable[int]]]
"""People, events and properties by site and persona, as the notes of a job have them."""


class Counted(NamedTuple):
    """What a job counted. `held` is what its own calls add to Kissmetrics, for the notes of the job.

    `aliases` is the number of aliases among them.
    """

    tally: Tally
    forecast: Forecast
    held: dict[str, dict[str, list[int]]]
    aliases: int


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
    plan = tables.plan.where("kind = 'call'")
    _count_rows(tally, tables.planned.rows, plan, tables.rejects)
    held, aliases = _count_calls(tally, plan)
    alike = alike_findings(tables.plan, tables.received, personas, settings.target.tracker, secret)
    _count_findings(tally, tables.planned.findings.unionByName(alike))
    _count_rejects(tally, tables.rejects)
    _judge_names(tally, tables.planned.names)
    for finding in tables.planned.unseen:
        tally.note(finding)
    _count_lacked(tally, tables.planned.lacked, personas)
    _count_names(tally, plan, tables.received, personas)
    for word, number in tables.planned.normalised().items():
        tally.normalised[word] += number
    forecast = _forecast([site.name for site in settings.people.sites], [held, *_held_before(tables)])
    return Counted(tally, forecast, held, aliases)


def _count_rows(tally: Tally, rows: DataFrame, plan: DataFrame, rejects: DataFrame) -> None:
    """Count the rows: sent if they have calls and no rejects, rejected if they have any, else skipped."""
    outcomes = {row["code"]: row["count"] for row in rows.groupBy("code").count().collect()}
    both = (
        plan.selectExpr("reading", "decided", "1 AS sent", "0 AS rejected")
        .unionByName(rejects.selectExpr("reading", "decided", "0 AS sent", "1 AS rejected"))
        .groupBy("reading", "decided")
        .agg({"sent": "max", "rejected": "max"})
    )
    by_kind = {row[0]: row[1] for row in both.groupBy("max(rejected)").count().collect()}
    tally.rows.rejected = by_kind.get(1, 0)
    tally.rows.sent = by_kind.get(0, 0)
    tally.rows.skipped = sum(outcomes.values()) - sum(by_kind.values())
    tally.undone = outcomes.get("undone", 0)
    tally.withheld = outcomes.get(WITHHELD_ROW, 0)


def _count_calls(tally: Tally, plan: DataFrame) -> tuple[dict[str, dict[str, list[int]]], int]:
    """Count the planned calls; return what they add to Kissmetrics, by site and persona, and the aliases."""
    held: dict[str, dict[str, list[int]]] = {}
    aliases = 0
    for row in _gains(plan):
        tally.calls.planned += row["calls"]
        tally.by_persona[row["persona"]] += row["calls"]
        aliases += row["aliases"]
        held.setdefault(row["site"], {})[row["persona"]] = [row["people"], row["events"], row["properties"]]
    return held, aliases


def _gains(calls: DataFrame) -> list[SparkRow]:
    """Return the number of calls, and what they add, by site and persona."""
    return (
        calls.groupBy("site", "persona")
        .agg(
            F.expr("count(*) AS calls"),
            F.count_if(F.expr(ALIAS_CALL)).alias("aliases"),
            F.expr("sum(gain_people) AS people"),
            F.expr("sum(CASE WHEN gain_event = X'00000000' THEN 0 ELSE 1 END) AS events"),
            F.expr("sum(length(gain_names) DIV 4) AS properties"),
        )
        .orderBy("site", "persona")
        .collect()
    )


def _count_findings(tally: Tally, findings: DataFrame) -> None:
    """Count findings by code and subject, and keep the first one of each code."""
    of_subject = findings.groupBy("code", "who").agg(
        F.expr("count(*) AS times"), F.expr("min(struct(reading, row, part, text, source, line)) AS first")
    )
    by_code = Window.partitionBy("code")
    ranked = of_subject.withColumn("place", F.row_number().over(by_code.orderBy("first"))).withColumn(
        "total", F.sum("times").over(by_code)
    )
    for row in ranked.where(F.col("place") <= MOST_REMEMBERED).orderBy("first").collect():
        code, first = row["code"], row["first"]
        tally.findings[code] = row["total"]
        found = Finding(code, first["text"], first["source"], first["line"], row["who"] or "")
        tally.examples.setdefault(code, found)
        if found.who:
            tally.worst[code][found.who] += row["times"]
    _keep_places(tally, findings)


def _count_rejects(tally: Tally, rejects: DataFrame) -> None:
    """Count rejects by their reason, and keep the first one of each."""
    by_code = rejects.groupBy("code").agg(
        F.expr("count(*) AS times"), F.expr("min(struct(reading, row, part, text, source, line)) AS first")
    )
    for row in by_code.orderBy("first").collect():
        code, first = row["code"], row["first"]
        tally.reasons[code] = row["times"]
        tally.rejects[code] = Reject(Row(first["source"], first["line"], b"", None), code, first["text"])
    _keep_places(tally, rejects)


def _keep_places(tally: Tally, table: DataFrame) -> None:
    """Keep the first places of each code, and the number of all others."""
    by_code = Window.partitionBy("code")
    placed = (
        table.where("line > 0")
        .withColumn("place", F.row_number().over(by_code.orderBy("reading", "row", "part")))
        .withColumn("total", F.count("*").over(by_code))
        .where(F.col("place") <= _MOST_PLACES)
        .select("code", "place", "total", "source", "line")
    )
    kept: dict[str, int] = {}
    for row in placed.orderBy("code", "place").collect():
        tally.places[row["code"]].add(row["source"], row["line"])
        kept[row["code"]] = row["total"] - row["place"]
    for code, more in kept.items():
        tally.places[code].more += more


def _judge_names(tally: Tally, names: DataFrame) -> None:
    """Note the findings about the names of the whole log, each at the first row that has it."""
    first = names.groupBy("code", "site", "persona", "text").agg(
        F.expr("min(struct(reading, row, part, source, line)) AS first")
    )
    for finding in name_findings(first.orderBy("first").toLocalIterator()):
        tally.note(finding)


def _count_lacked(tally: Tally, lacked: DataFrame, personas: Sequence[str]) -> None:
    """Note the events that a persona lacks and others do. Few names come here, a row of each for a task."""
    found: dict[str, Lacked] = {}
    for row in lacked.orderBy("reading", "row").collect():
        folded = fold_name(row["text"])
        known = found.get(folded) or Lacked(row["text"], row["row"])
        places = known.personas.union(map(int, row["owed"]))
        found[folded] = known._replace(rows=known.rows + row["number"], personas=places)
    for finding, rows in left_to_others(personas, found.values()):
        tally.note(finding, rows)


def _count_names(tally: Tally, plan: DataFrame, received: DataFrame | None, personas: Iterable[str]) -> None:
    """Note the names that are too many for a site (D8), each at the first call that has it."""
    known = dict(_known_names(received)) if received is not None else {}
    turn = F.array_position(F.array(*map(F.lit, personas)), F.col("persona"))
    calls = plan.withColumn("turn", turn)
    first = (
        _names_of(calls, "struct(reading, decided, turn, part, {at} AS at, source, line) AS place")
        .groupBy("site", "kind", "name")
        .agg(F.expr("min(place) AS place"))
    )
    for row in first.orderBy("place").toLocalIterator():
        site_names = known.setdefault((row["site"], row["kind"]), set())
        mark = _mark_of(row["name"])
        if mark in site_names:
            continue
        count = len(site_names) + 1
        if count <= _MOST_NAMES:
            site_names.add(mark)
        if message := many_names(row["kind"], row["name"], count):
            tally.note(Finding("D8", message, row["place"]["source"], row["place"]["line"]))


def _names_of(calls: DataFrame, *wanted: str) -> DataFrame:
    """Return a row for each name in a call, of its event and of its properties; blank ones are no names."""
    events = calls.where("event <> ''").selectExpr(
        "site", f"'{EVENT}' AS kind", "event AS name", *(one.format(at="-1") for one in wanted)
    )
    each = calls.selectExpr("*", "posexplode(names) AS (at, name)")
    properties = each.selectExpr(
        "site", f"'{PROPERTY}' AS kind", "name", *(one.format(at="at") for one in wanted)
    )
    return events.unionByName(properties)


def _known_names(received: DataFrame) -> Iterator[tuple[tuple[str, str], set[bytes]]]:
    """Yield the marks of the names that each site has, by site and kind."""
    found: dict[tuple[str, str], set[bytes]] = {}
    for row in received.where(f"kind = '{NAMED}'").select("site", "persona", "deed").toLocalIterator():
        found.setdefault((row["site"], row["persona"]), set()).add(bytes(row["deed"]))
    for row in _names_of(received.where("kind = 'call'")).distinct().toLocalIterator():
        found.setdefault((row["site"], row["kind"]), set()).add(_mark_of(row["name"]))
    yield from found.items()


def _mark_of(name: str) -> bytes:
    """Return the digest of a name, as a ledger counts it."""
    return digest(8, fold_name(name))


def _held_before(tables: Tables) -> Iterator[Holdings]:
    """Yield what earlier jobs added, and what the destination rejected of it as a negative number.

    A person stays: the ledger keeps the owner of a person whose only call was rejected, too.
    """
    for notes in tables.notes:
        yield notes.get("held", {})
    if tables.received is not None:
        for row in _gains(tables.received.where("kind = 'call' AND rejected")):
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
