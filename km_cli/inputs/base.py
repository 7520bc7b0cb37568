"""What an input format is: bytes in, rows out, with nothing in between lost.

A reader's items, in order, cover every byte it was given: the raws of its `Row`s, `Reject`s and `Gap`s,
joined, are the input from where it began. That is what lets the ledger know a reading by its bytes. (But
for a rejects file, which is no reading of its own: there a row's raw is that of the row it was.)
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from typing import Protocol

from km_cli.model import Gap, Reject, Row

Item = Row | Reject | Gap

LONGEST_RECORD = 1 << 20
"""Bytes; a longer record is rejected, at constant memory (bad-input.md)."""

MOST_BLANK = 1 << 12
"""Bytes; more blank lines than that before a record are a Gap of their own."""

UTF8 = "UTF-8"
"""What every input is in, unless `--encoding` says otherwise."""

LINE_ENDS = (b"\n", b"\r")

OTHER_ENDS = (b"\r\n", b"\r")
"""Ends of lines that are not LF, and are read as if they were."""

BOM = b"\xef\xbb\xbf"
"""UTF-8's byte order mark."""


def may_go_on(raw: bytes) -> bool:
    """Tell whether a record may still grow: it has no line end, and is not too long for one."""
    return len(raw) <= LONGEST_RECORD and not raw.endswith(LINE_ENDS)


def is_last_open(last: Item) -> bool:
    """Tell whether the last item of an input may still grow; its raw is what stands there."""
    return may_go_on(last.row.raw if isinstance(last, Reject) else last.raw)


def too_long(kept: bytes) -> str:
    """Return why a record is rejected of which this much was kept."""
    return f"a record over 1 MiB, of which the first {len(kept):,} bytes are kept"


def not_text(encoding: str) -> tuple[str, str]:
    """Return code and reason for a record with bytes that are no text in its encoding."""
    if encoding != UTF8:
        return "invalid-text", f"not valid {encoding}"
    return "invalid-utf8", (
        "not valid UTF-8; if the file is not in UTF-8, import it again with --encoding (as cp1252): only "
        "these rows are sent then"
    )


def shown(text: str, width: int = 40) -> str:
    """Return a value for a message: quoted, its controls escaped, cut if it is long."""
    return repr(text) if len(text) <= width else f"{text[:width]!r}…"


def in_shell(source: str) -> str:
    """Return an input's name as a word of a command that the reader could copy."""
    return "FILE" if source == "<stdin>" else shlex.quote(source)


_UNPACKERS = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd"}


def piped(source: str, command: str) -> str:
    """Return what has a command read an input, in a shell: unpacked if its name says that it is packed."""
    program = _UNPACKERS.get(os.path.splitext(source)[1].lower())
    word = in_shell(source)
    return f"{program} -dc {word} | {command}" if program else f"{command} {word}"


class Reader(Protocol):
    """Reads the records of one input."""

    columns: tuple[str, ...]
    """The columns found: of the header, or the keys of the first objects."""

    tabular: bool
    """Whether a row's values are a list in the order of `columns`; else they are objects."""

    preamble: bytes
    """The bytes before the first record: byte order mark and header."""

    def items(self) -> Iterator[Row | Reject | Gap]:
        """Yield every record in order.

        Raises InputError where the input as a whole turns out not to be understood, ReadError where it
        stops being readable.
        """
        ...

    def is_open(self, last: Item) -> bool:
        """Tell whether the last of all items may still grow: its line has no end."""
        ...
