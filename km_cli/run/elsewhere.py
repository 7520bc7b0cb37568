"""Rejects of a [[backfill]] with columns of its own, in a run that reads in another way.

A [[backfill]] goes by its name as long as km.toml has it. If it was renamed or taken out since, its rejects
are read by any settings under which its log would become the same calls.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from km_cli.config.settings import Settings
from km_cli.errors import InputError
from km_cli.mapping import Mapping
from km_cli.model import Reject, Row
from km_cli.run.exported import with_aliases_as_asked


def is_read_alike(known: Mapping, settings: Settings) -> bool:
    """Tell whether the rejects of a reading are read as its log was: the same columns, times and personas.

    The name of a [[backfill]] decides if km.toml has it with columns of its own, since they may have been
    corrected on purpose.
    """
    if known.source == settings.source:
        return True
    is_gone = bool(known.source) and known.source not in settings.sources
    if not is_gone or known.people != settings.people.digest:
        return False
    columns, personas = with_aliases_as_asked(settings, known.columns)
    known = known._replace(columns=columns)
    try:
        now = known.overridden(
            settings.column_options, personas, settings.time_options, known.columns.named, ""
        )
    except InputError:
        return False
    return _in_any_order(now) == _in_any_order(known)


def _in_any_order(mapping: Mapping) -> Mapping:
    """Return a mapping whose columns that are left out are sorted, each once: their order means nothing."""
    columns = mapping.columns
    exclude, ignore = tuple(sorted(set(columns.exclude))), tuple(sorted(set(columns.ignore)))
    return mapping._replace(columns=columns._replace(exclude=exclude, ignore=ignore))


def origin_of(known: Mapping, sources: Sequence[str]) -> str:
    """Return where a reject comes from, for a message. `sources` are those with columns of their own."""
    if not known.source:
        return "a log that is read without columns of its own"
    if known.source in sources:
        return f"the [[backfill]] {known.source!r}, which has columns of its own"
    return f"the [[backfill]] {known.source!r}, whose own columns km.toml does not have any more"


def way_on(known: Mapping, sources: Sequence[str]) -> str:
    """Return how such rejects are imported."""
    if not known.source:
        return "import it without --source"
    if known.source in sources:
        return f"import it with --source {shlex.quote(known.source)}"
    return (
        "import it with --source NAME, where NAME is the [[backfill]] that has the columns, the times and "
        "the personas which that one had"
    )


class Elsewhere:
    """Rejects rows whose reading used other columns than this run."""

    def __init__(self, known: Mapping, sources: Sequence[str]) -> None:
        self._reason = f"it comes from {origin_of(known, sources)}: {way_on(known, sources)}"

    def map(self, row: Row) -> Reject:
        """Reject the row once more, so that a later import of the new rejects file can send it."""
        return Reject(row, "other-source", self._reason, row.origin.owed if row.origin else ())
