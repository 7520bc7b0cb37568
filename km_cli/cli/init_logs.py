"""The logs that `init` looks at: one file, or several that are rows of one log."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from itertools import islice
from pathlib import Path

from km_cli.errors import InputError, UsageError
from km_cli.inference import INFERRED_ROWS
from km_cli.inputs import FormatOptions, Source, expand, open_reader
from km_cli.model import Reject, Row
from km_cli.object_address import is_address


class Logs:
    """The files that init looks at. It looks at the same number of rows of each, and reads each twice.

    `columns` are those of all files, each once. `entries` are the files and patterns as they were given, if
    they are more than the name of one file. Raises UsageError and InputError.
    """

    def __init__(self, given: Sequence[str], format_options: FormatOptions) -> None:
        self.files = tuple(_File(Source(name, format_options=format_options)) for name in expand(given))
        first = self.files[0]
        self.entries = tuple(given) if tuple(given) != (first.name,) else ()
        self.name = first.name if len(self.files) == 1 else f"{len(self.files):,} files"
        self.delimiter, self.tabular = first.delimiter, first.tabular
        for file in self.files:
            if file.tabular != self.tabular:
                raise UsageError(
                    f"{first.name} and {file.name} have different formats",
                    "run init for the files of one format at a time, each time with another --output",
                )
        self.columns = tuple(dict.fromkeys(column for file in self.files for column in file.columns))
        self._most = max(1, INFERRED_ROWS // len(self.files))
        self.is_cut = False
        """Whether a file has more rows than were looked at; known after the first reading."""

    @property
    def sources(self) -> tuple[Source, ...]:
        """The files, to be opened."""
        return tuple(file.source for file in self.files)

    def rows(self) -> Iterator[Row]:
        """Yield the rows that can be read, and count the others."""
        for file in self.files:
            rows = file.rows()
            place = {name: at for at, name in enumerate(file.columns)}
            order = [place.get(name, -1) for name in self.columns]
            is_alike = not self.tabular or file.columns == self.columns
            for row in islice(rows, self._most):
                yield row if is_alike else row._replace(values=_ordered(row.values, order))
            self.is_cut = next(rows, None) is not None or self.is_cut
            rows.close()

    @property
    def bad(self) -> int:
        """The records that cannot be read."""
        return sum(file.bad for file in self.files)

    @property
    def first_bad(self) -> str:
        """The place of the first record that cannot be read, and the reason, to be printed."""
        file = next(file for file in self.files if file.first_bad)
        assert file.first_bad is not None
        where = f"{file.name}, " if len(self.files) > 1 else ""
        return f"the first, {where}line {file.first_bad.row.line}: {file.first_bad.reason}"

    def without_rows(self) -> InputError:
        """Return the error for files without rows."""
        if self.bad:
            return InputError(
                f"{self.name}: none of its records can be read; {self.first_bad}",
                "correct the file, or describe it with --format, --delimiter and --encoding",
            )
        has = "has" if len(self.files) == 1 else "have"
        return InputError(f"{self.name} {has} no rows", "give a file with rows")

    def entries_from(self, folder: Path) -> tuple[str, ...]:
        """Return the entries as paths from a folder, where km.toml will lie."""
        if folder.resolve() == Path.cwd():
            return self.entries
        return tuple(
            entry if is_address(entry) or os.path.isabs(entry) else os.path.relpath(entry, folder)
            for entry in self.entries
        )


class _File:
    """One of the files. It must be a regular file, because it is read more than once."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.name = source.name
        if source.is_stdin:
            raise _only_once("standard input")
        source.check()
        if not source.is_regular:
            raise _only_once(source.name)
        opened = open_reader(source)
        opened.close()
        if opened.format.holds_rejects:
            raise UsageError(
                f"{source.name} holds rejected rows; they keep the mapping of the log that they come from",
                "run init on that log; rejects need no km.toml of their own",
            )
        self.columns = opened.columns
        self.delimiter = opened.delimiter
        self.tabular = opened.format.is_tabular
        self.bad = 0
        self.first_bad: Reject | None = None

    def rows(self) -> Generator[Row]:
        """Yield the rows that can be read, and count the others."""
        self.bad = 0
        opened = open_reader(self.source)
        try:
            for item in opened.reader().items():
                if isinstance(item, Row):
                    yield item
                elif isinstance(item, Reject):
                    self.bad += 1
                    self.first_bad = self.first_bad or item
        finally:
            opened.close()


def _ordered(values: Sequence[str], order: Sequence[int]) -> list[str]:
    """Return a row's cells in the order of all columns; a column that the file lacks is empty."""
    return [values[at] if at >= 0 else "" for at in order]


def _only_once(name: str) -> UsageError:
    return UsageError(
        f"{name} can be read only once, and init reads its log twice",
        "write it to a file first, and give that",
    )
