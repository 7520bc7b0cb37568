"""The files of a data export (W7): `revisions/N.json` with one record a line, `index.csv` and `status.csv`.

A name may be an address in an object store. All files are opened by `open_bytes`, which takes a name.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from km_cli.errors import Exit, KmError, UsageError
from km_cli.inputs.compression import unpack
from km_cli.inputs.finding import find_files
from km_cli.inputs.finding import open_bytes as open_object
from km_cli.inputs.storage.registry import storage_of
from km_cli.inputs.unpacking import Bytes, Damaged
from km_cli.object_address import is_address

_LONGEST_LINE = 16 << 20
"""Bytes of a record. A call may have some hundred properties of 8 KiB (D5)."""

_BLOCK = 1 << 18
_REVISION = re.compile(r"(\d+)\.json(\.gz|\.bz2|\.xz|\.zst)?", re.ASCII)
_MOST_NAMED = 5
_AGAIN = "get a whole copy of the export, and run again"


class ExportError(KmError):
    """The export cannot be read, or a part of it is missing: nothing can be said about any call."""

    exit = Exit.UNAVAILABLE


class ExportFiles(NamedTuple):
    """The files of an export. `numbers` are those of the revisions, 0 for a file with another name.

    `last` is the last revision that its `status.csv` and `index.csv` count, 0 without them. `made` is when
    the newest file was written, in seconds since 1970.
    """

    names: tuple[str, ...]
    numbers: tuple[int, ...]
    last: int
    made: float

    @property
    def begins_late(self) -> bool:
        """Whether revisions before the first one are not given: calls that arrived early are not in it."""
        return self.numbers[0] > 1


def find_export(names: Sequence[str]) -> ExportFiles:
    """Return the files that these names stand for: files, and folders with `revisions/` or files in them.

    Raises UsageError if there is nothing of such a name here, ExportError if these are no files of an export
    or if a revision is missing between others.
    """
    files: dict[str, int] = {}
    last = 0
    for name in names:
        for file in _in_store(name) if is_address(name) else map(str, _in(name)):
            last_part = file.rpartition("/")[2]
            if last_part in _TABLES:
                last = max(last, _TABLES[last_part](_table(file)))
            else:
                found = _REVISION.fullmatch(last_part)
                files[file] = int(found[1]) if found else 0
    if not files:
        raise ExportError(
            f"{', '.join(names)}: there are no files of an export",
            "name the folder that has revisions/1.json in it, or the files themselves",
        )
    ordered = sorted(files, key=lambda name: (files[name], name))
    numbers = tuple(files[name] for name in ordered)
    whole = ExportFiles(tuple(ordered), numbers, last, _made(ordered))
    _check_whole(whole)
    return whole


def _in(name: str) -> Iterator[Path]:
    """Yield the file of this name, or the files of an export in the folder of this name.

    Raises UsageError if there is none of this name, ExportError if it cannot be read.
    """
    path = Path(name)
    if not path.exists():
        raise UsageError(f"{name}: there is no such file or folder", "check the path of the export")
    if not path.is_dir():
        yield path
        return
    try:
        for folder in (path, path / "revisions"):
            if folder.is_dir():
                yield from (one for one in sorted(folder.iterdir()) if _is_part(one))
    except OSError as error:
        raise _unreadable(name, error) from None


def _in_store(name: str) -> Iterator[str]:
    """Yield the object of this address, or the objects of an export below it. Raises ExportError."""
    folder = name.rstrip("/")
    try:
        if not name.endswith("/") and storage_of(name).stat(name) is not None:
            yield name
            return
        found = find_files([f"{folder}/*", f"{folder}/revisions/*"], None, None, "UTC").files
    except KmError as error:
        raise ExportError(str(error), error.hint) from None
    yield from (one for one in found if _is_named(one.rpartition("/")[2]))


def _is_part(path: Path) -> bool:
    return _is_named(path.name) and path.is_file()


def _is_named(name: str) -> bool:
    """Tell whether a file of this name is a part of an export."""
    return bool(_REVISION.fullmatch(name)) or name in _TABLES


def _made(names: Sequence[str]) -> float:
    """Return when the newest file was written. The objects of an export are written in their order."""
    try:
        if is_address(names[-1]):
            last = storage_of(names[-1]).stat(names[-1])
            return last.modified if last else 0.0
        return max(os.stat(name).st_mtime for name in names)
    except UsageError as error:
        raise ExportError(str(error), error.hint) from None
    except OSError as error:
        raise _unreadable(str(error.filename), error) from None


def _check_whole(found: ExportFiles) -> None:
    """Raise ExportError if a revision is missing: a call that is not found may be in it."""
    numbers = sorted({number for number in found.numbers if number})
    if not numbers:
        return
    last = max(numbers[-1], found.last)
    missing = sorted(set(range(numbers[0], last + 1)) - set(numbers))
    if missing:
        named = ", ".join(map(str, missing[:_MOST_NAMED]))
        more = f" and {len(missing) - _MOST_NAMED:,} more" if len(missing) > _MOST_NAMED else ""
        noun = "revision" if len(missing) == 1 else "revisions"
        raise ExportError(
            f"the export is not whole: {noun} {named}{more} of {last:,} missing",
            "fetch these files too: a call that is not found may be in one of them",
        )


def _table(name: str) -> list[list[str]]:
    """Return the rows of a small table, its header first."""
    lines = (line.decode(errors="replace") for _, line in open_lines(name))
    return list(csv.reader(lines))


def _last_exported(rows: Sequence[Sequence[str]]) -> int:
    """Return how many revisions are exported, by the last row of `status.csv`."""
    return max(
        (int(cell) for cell in _column(rows, "exported revisions")[-1:] if cell.isdecimal()), default=0
    )


def _last_listed(rows: Sequence[Sequence[str]]) -> int:
    """Return the last revision that `index.csv` lists."""
    found = (_REVISION.search(cell) for cell in _column(rows, "filename"))
    return max((int(one[1]) for one in found if one), default=0)


def _column(rows: Sequence[Sequence[str]], name: str) -> list[str]:
    """Return the cells in a column of a table; none if it has no such column."""
    header = [cell.strip().casefold() for cell in rows[0]] if rows else []
    if name not in header:
        return []
    at = header.index(name)
    return [row[at].strip() for row in rows[1:] if len(row) > at]


_TABLES = {"status.csv": _last_exported, "index.csv": _last_listed}
"""The tables of an export, with the functions that return the last revision by them."""


def open_bytes(name: str) -> Bytes:
    """Open a file of the export, and unpack it. Raises ExportError."""
    try:
        file = open_object(name) if is_address(name) else open(name, "rb")  # noqa: SIM115 - the caller closes it
    except KmError as error:
        raise ExportError(str(error), error.hint) from None
    except OSError as error:
        raise _unreadable(name, error) from None
    try:
        return unpack(name, file)[0]
    except OSError as error:
        file.close()
        raise _unreadable(name, error) from None
    except KmError as error:
        file.close()
        raise ExportError(str(error), error.hint) from None


def open_lines(name: str) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a file with their numbers, from 1. Raises ExportError if it cannot be read."""
    content, number, rest = open_bytes(name), 0, b""
    try:
        while data := content.read1(_BLOCK):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                number += 1
                yield number, line
            if len(rest) > _LONGEST_LINE:
                raise ExportError(
                    f"{name}, line {number + 1:,}: it has no end", "name the files of an export"
                )
    except Damaged as error:
        raise ExportError(f"{name}: {error}, after line {number:,}", _AGAIN) from None
    except OSError as error:
        raise _unreadable(name, error) from None
    finally:
        content.close()
    if rest:
        yield number + 1, rest


def _unreadable(name: str, error: OSError) -> ExportError:
    return ExportError(
        f"{name}: cannot be read: {error.strerror or error}", "make it readable, and run again"
    )
