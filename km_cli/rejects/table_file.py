"""The table that a run writes its rejects to, with a file of JSON lines beside it for other records."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from km_cli.errors import LedgerFailed, UsageError
from km_cli.model import Origin, Reject
from km_cli.rejects.file import (
    CORRECT_LINES,
    RejectsFile,
    absolute_name,
    check_content,
    check_path,
    is_blank,
    write_all,
)
from km_cli.rejects.line import BEGINNING
from km_cli.rejects.table import cells_of, format_header, format_row, is_empty, parse_header

_HEAD = 1 << 20
_CORRECT_CELLS = "correct the cells of the log's own columns, then import that file"
_CORRECT_BOTH = (
    f"{_CORRECT_CELLS}; in the file beside it, correct `raw` in each line, and import that one too"
)
_CORRECT_EITHER = (
    "correct the cells of the log's own columns, or `raw` in each line of the file beside it, then import "
    "that file"
)
_BESIDE = " beside it)"


def is_table(path: Path) -> bool:
    """Tell whether rejects are written to this path as a table: by its ending, unless it holds JSON lines."""
    return path.suffix.lower() == ".csv" and not _head(path).startswith(BEGINNING)


def make_rejects_file(path: Path) -> RejectsFile:
    """Return the file that a run writes its rejects to."""
    return RejectsTable(path) if is_table(path) else RejectsFile(path)


def how_to_correct(name: str) -> str:
    """Return how the rejects in the file of this name (`RejectsFile.name`) are corrected, for a hint."""
    return _CORRECT_EITHER if name.endswith(_BESIDE) else CORRECT_LINES


def beside(path: Path) -> Path:
    """Return the file of JSON lines beside a table: for records that are none of its columns."""
    return path.with_name(f"{path.name}.jsonl")


def check_places(path: Path, *, is_asked: bool) -> None:
    """Raise UsageError if rejects cannot be written here, or something else is in the files that are there.

    `is_asked` if a flag or km.toml names the path.
    """
    paths = (path, beside(path)) if is_table(path) else (path,)
    for one in paths if is_asked else ():
        check_path(one)
    if len(paths) == 1:
        check_content(path)
        return
    head = _head(path)
    header = parse_header(head)
    if not (is_blank(head) or is_empty(head) or (header and header.is_as_written)):
        raise UsageError(
            f"--rejects {path} exists and is not a table of rejects as km-cli writes it",
            "give another path: --rejects PATH",
        )
    check_content(paths[1])


class RejectsTable(RejectsFile):
    """Holds a run's rejects as a table of the columns of the first one.

    `count` is the number of all rejects that this run wrote, also of those beside the table.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._beside = RejectsFile(beside(path))
        self._columns: tuple[str, ...] | None = None
        self._end = -1
        self.name = f"{self.name} (or {self._beside.path.name}{_BESIDE}"

    @property
    def place(self) -> str:
        """The files that this run wrote to, for people."""
        if not self._beside.count:
            return str(self.path)
        if self._beside.count == self.count:
            return str(self._beside.path)
        rest = f"{self._beside.count:,} of them, not in the form of a table, in {self._beside.path}"
        return f"{self.path} ({rest})"

    @property
    def by_file(self) -> dict[str, int]:
        """How many rejects this run wrote to the table, and to the file beside it."""
        in_table = self.count - self._beside.count
        table = {absolute_name(self.path): in_table} if in_table else {}
        return table | self._beside.by_file

    @property
    def cure(self) -> str:
        """How to correct the rejects that this run wrote, by the files that have them."""
        if not self._beside.count:
            return _CORRECT_CELLS
        return _CORRECT_BOTH if self._beside.count < self.count else CORRECT_LINES

    def format(self, reject: Reject, origin: Origin) -> bytes:
        """Return the line of a reject: of the table, or of JSON if it cannot stand in the table.

        The first one that can stand there begins the table. Raises LedgerFailed if it cannot be begun.
        """
        origin = reject.row.origin or origin
        if self._columns is None and (there := parse_header(_head(self.path))):
            self._columns = there.columns  # of an earlier run, or of one that writes here, too
        columns = origin.columns if self._columns is None else self._columns
        cells = cells_of(reject, origin, columns) if columns else None
        if cells is None:
            return super().format(reject, origin)
        if self._columns is None:
            self._columns = self._begun(columns)
            return self.format(reject, origin)  # another run may have begun the table with other columns
        return format_row(reject, origin, cells)

    def _begun(self, columns: tuple[str, ...]) -> tuple[str, ...]:
        """Write the header, unless another run did so meanwhile. Return the columns of the table."""
        with self._locked() as file:
            head = _head(self.path)
            if there := parse_header(head):
                return there.columns
            if not is_empty(head):
                raise LedgerFailed(
                    f"the rejects file {self.path} is not a table of rejects any more",
                    "another program has written to it: give another place with --rejects PATH",
                )
            os.ftruncate(file, 0)  # a header that a crash cut off
            self._size = 0
            write_all(file, format_header(columns))
        return columns

    def write(self, lines: Sequence[bytes]) -> None:
        """Append lines to both files and wait until they are on the disk. Raises LedgerFailed.

        Neither file keeps a line if one of them cannot be written.
        """
        others = [line for line in lines if line.startswith(BEGINNING)]
        rows = [line for line in lines if not line.startswith(BEGINNING)]
        if rows:
            with self._locked() as file:
                write_all(file, b"".join(rows))
                os.fsync(file)
                self._beside.write(others)
                self._end = os.lseek(file, 0, os.SEEK_END)
        else:
            self._beside.write(others)
        self.count += len(lines)

    def close(self) -> None:
        """Close both files."""
        super().close()
        self._beside.close()

    def _mend(self, file: int) -> None:
        """Close a quotation mark that a crash left open, so that its row stays one row.

        The table is read as a whole for that. So this is done only if another run has written to it since
        the last time.
        """
        if os.lseek(file, 0, os.SEEK_END) != self._end and not is_empty(_head(self.path)):
            if _is_open_inside(self.path):
                os.write(file, b'"\n')
            super()._mend(file)


def _is_open_inside(path: Path) -> bool:
    """Tell whether a table ends inside of quotation marks: their number is odd."""
    try:
        with path.open("rb") as file:
            return sum(block.count(b'"') for block in iter(lambda: file.read(_HEAD), b"")) % 2 == 1
    except OSError:
        return False  # it does not exist yet, or `_open` reports the error


def _head(path: Path) -> bytes:
    try:
        if not os.path.isfile(path):
            return b""
        with path.open("rb") as file:
            return file.read(_HEAD)
    except OSError:
        return b""  # `RejectsFile.write` reports this error
