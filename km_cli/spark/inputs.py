"""Opens the inputs of a job on the driver: their columns, mappings and readings, before any task begins."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import cast

from km_cli.config.settings import Settings
from km_cli.errors import UsageError
from km_cli.inputs import Opened, Source, open_reader
from km_cli.inputs.base import no_check
from km_cli.ledger import Ledger, Reading
from km_cli.model import Overlap
from km_cli.run.opening import Openings
from km_cli.run.tally import Tally
from km_cli.run.unseen import seen_under
from km_cli.spark.mapping import Input, portable
from km_cli.spark.readings import Book

_ALONE = "run `km-cli import` on one machine for such a log"


def check_settings(settings: Settings) -> None:
    """Raise UsageError for settings under which Spark's plan would not be that of one machine."""
    personas = settings.personas
    if any(persona.alias for persona in personas):
        raise UsageError("aliases cannot be planned on Spark: each may concern any two people", _ALONE)
    if settings.hasher is not None:
        raise UsageError("columns cannot be hashed (`hash`, `drop`) on Spark", _ALONE)
    if settings.limit is not None:
        raise UsageError("--limit needs one machine", "take a part of the log with --since and --until")
    if settings.target.bulk() is not None:
        raise UsageError("bulk files cannot be written on Spark", "--to kissmetrics, or an https:// address")
    recorded = [persona for persona in personas if persona.is_recorded]
    may_set = any(persona.sets for persona in personas)
    if may_set and len(recorded) > 1 and settings.overlap is Overlap.REPEATS:
        raise UsageError("`set` and --overlap repeats do not go together on Spark", _ALONE)


def open_files(
    settings: Settings, files: Iterable[str], before: Sequence[Reading], secret: bytes, now: float
) -> Iterator[Input]:
    """Yield the inputs of files in their order, each with a new reading.

    `before` are the readings of the receipts; `now` is in seconds since 1970. Raises UsageError and
    InputError for a file that cannot be read or understood.
    """
    number = max((one.number for one in before), default=0)
    openings = _openings(settings, before, now)
    for file in files:
        source = Source(file, format_options=settings.format_options)
        with closing(open_reader(source)) as opened:
            if opened.empty:
                continue
            _check(opened)
            number += 1
            mapping = openings.mapping(opened)
            reading = openings.new_reading(opened, mapping)._replace(
                number=number, token=secrets.token_hex(8), regular=opened.regular
            )
            yield Input(
                reading, mapping, portable(settings), secret, now, file, tabular=opened.format.is_tabular
            )


def _openings(settings: Settings, before: Sequence[Reading], now: float) -> Openings:
    return Openings(settings, cast(Ledger, Book(before)), seen_under(settings), Tally(), now, no_check)


def _check(opened: Opened) -> None:
    if opened.format.holds_rejects:
        raise UsageError(
            f"{opened.source.name} holds rejects, which cannot be corrected on Spark",
            "correct them in a log of their own, or import them with km-cli import and a ledger",
        )
    if opened.source.is_stdin:
        raise UsageError("the machines of a cluster cannot read standard input", "write it to a file first")
