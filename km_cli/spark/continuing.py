"""Finds the files that earlier jobs have read, in whole or up to some line, by their bytes (promise 5).

A task meets the bytes of a file only while it maps them. So it tells which earlier readings the file begins
with, and the rows that these have read are passed over afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from km_cli.config.settings import Settings
from km_cli.ledger import Reading
from km_cli.run.overlaps import Span
from km_cli.spark.following import HEAD
from km_cli.spark.mapping import Input
from km_cli.spark.readings import fits


class Continued(NamedTuple):
    """An input, now that its bytes are known: its reading, and the line up to which that has read it.

    `behind` are other readings whose bytes it begins with.
    """

    reading: Reading
    line: int = 0
    behind: tuple[Reading, ...] = ()


def continued(
    inputs: Sequence[Input], told: Iterable[Mapping[str, Any]], before: Sequence[Reading], settings: Settings
) -> dict[int, Continued]:
    """Return for each input, by the number that it was given, the reading that it continues or begins.

    `told` are the rows of kind HEAD and READ of all inputs, `before` the readings of the receipts.
    """
    known = {one.number: one for one in before}
    heads: dict[int, list[Reading]] = {}
    read: dict[int, Mapping[str, Any]] = {}
    for row in told:
        if row["kind"] == HEAD:
            heads.setdefault(row["reading"], []).append(known[int(row["code"])])
        else:
            read[row["reading"]] = row
    found: dict[int, Continued] = {}
    for one in inputs:
        number = one.reading.number
        if number not in read:
            found[number] = Continued(one.reading)
            continue
        of_job = [other.reading for other in found.values()]
        found[number] = _continued(one, read[number], heads.get(number, ()), of_job, settings)
    return found


def _continued(
    one: Input,
    row: Mapping[str, Any],
    heads: Iterable[Reading],
    of_job: Iterable[Reading],
    settings: Settings,
) -> Continued:
    """Return the reading of an input. Of those of this job, only one of the very same bytes is found."""
    length, digest = row["number"], bytes(row["blob"])
    same = [reading for reading in of_job if (reading.length, reading.digest) == (length, digest)]
    behind = {reading.number: reading for reading in (*heads, *same)}
    mapping = one.mapping.to_json()
    fitting = [known for known in behind.values() if known.length and fits(known, mapping, settings)]
    whole = {"length": length, "digest": digest, "line": row["line"]}
    if fitting:
        own = max(fitting, key=lambda reading: reading.length)
        columns, regular = one.reading.columns, one.reading.regular
        if not one.tabular:
            columns = tuple(dict.fromkeys((*own.columns, *columns)))
            regular = tuple(name for name in own.regular if name in regular)
        named = own._replace(source=one.reading.source, columns=columns, regular=regular, **whole)
        return Continued(named, own.line)
    return Continued(one.reading._replace(**whole), behind=tuple(behind.values()))


def with_rest(
    spans: Mapping[int, Span], inputs: Iterable[Input], found: Mapping[int, Continued]
) -> dict[int, Span]:
    """Return the spans of readings, with those of the rows that are not taken."""
    whole = dict(spans)
    for one in inputs:
        number = found[one.reading.number].reading.number
        if one.limit is not None and number in whole:
            whole[number] = whole[number].joined(one.limit.rest)
    return whole
