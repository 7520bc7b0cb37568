"""An input format: bytes in, rows out, and no byte lost in between.

A format is an object in the registry of `formats.py`. It has the words and the test of first bytes by which
it is recognised. It reads the beginning of an input (`Format.layout`) and then its records (`Format.reader`).

The items of a reader, in order, cover every byte that it was given: the raws of its `Row`s, `Reject`s and
`Gap`s, joined, are the input from where the reader began. The ledger relies on that, since it knows a reading
by its bytes. (A rejects file is the exception. It is no reading of its own, and each of its rows has the raw
of the row that was rejected.)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, NamedTuple, Protocol

from km_cli.errors import ReadError
from km_cli.model import Gap, Reject, Row

Item = Row | Reject | Gap

LONGEST_RECORD = 1 << 20
"""Bytes; a longer record is rejected, so that memory stays constant."""

MOST_BLANK = 1 << 12
"""Bytes; blank lines before a record become a Gap of their own when there are more."""

UTF8 = "UTF-8"
"""The encoding of every input for which `--encoding` names no other."""

LINE_ENDS = (b"\n", b"\r")

OTHER_ENDS = (b"\r\n", b"\r")
"""Line ends other than LF; they are read as if they were LF."""

BOM = b"\xef\xbb\xbf"
"""UTF-8's byte order mark."""


class FormatOptions(NamedTuple):
    """Format, encoding and delimiter of a file as flags give them; "" to recognise them.

    `format` is the name of a registered format, `encoding` is Python's name of the encoding, "" for UTF-8.
    """

    format: str = ""
    encoding: str = ""
    delimiter: str = ""


class Text(NamedTuple):
    """The text of one input, for its format. `source` is its name, for messages.

    `head` are the first bytes, which `lines` yields as well. `broken` is the error of reading on behind the
    head, if there is one. `delimiter` is that of `Format.delimiter_of`. `normalised` counts the unusual forms
    that were read as the usual ones (run/tally.py has the words).
    """

    source: str
    head: bytes
    lines: Iterator[bytes]
    delimiter: str
    encoding: str
    normalised: defaultdict[str, int]
    broken: ReadError | None = None


class Layout(NamedTuple):
    """The beginning of an input, as its format understands it.

    `columns` are those of the header, or the keys of the first objects; `regular` are the columns that each
    of the first rows has. `preamble` are the bytes before the first record: byte order mark and header.
    `line` is the number of the first line behind them. `token` is that of the reading that the rejects in
    the input come from, "" if it holds no rejects.
    """

    columns: tuple[str, ...]
    regular: tuple[str, ...]
    preamble: bytes = b""
    line: int = 1
    token: str = ""


class Reader(Protocol):
    """Reads the records of one input."""

    columns: tuple[str, ...]
    """The columns of the layout."""

    preamble: bytes
    """The bytes before the first record; b"" if the reader began at a later place."""

    def items(self) -> Iterator[Item]:
        """Yield every record in order.

        Raises InputError at a place that shows that the whole input cannot be understood, and ReadError at a
        place behind which it cannot be read.
        """
        ...

    def is_open(self, last: Item) -> bool:
        """Tell whether the last of all items may still grow, because its line has no end."""
        ...


class Format(ABC):
    """One input format. A subclass names itself, and overrides the defaults that do not fit."""

    name: str
    """Its name in the code. The ledger knows readings by it, so it never changes."""

    words: ClassVar[Mapping[str, str]] = {}
    """Its words for `--format`, which are file endings too. Each has the delimiter that it implies, or ""."""

    delimiters: tuple[str, ...]
    """Its delimiters. The ledger and the rejects file keep the delimiter of a record.

    A corrected reject is read by the format that has its delimiter, so each delimiter belongs to one format.
    A format that has none uses its own name as its only delimiter. (JSON lines use "".)
    """

    is_tabular = False
    """Whether a row's values are a list in the order of `columns`; else they are objects."""

    holds_rejects = False
    """Whether its rows are rejected rows of other readings, in a file that km-cli itself wrote.

    Such a file is recognised under any flags. It was written in UTF-8.
    """

    is_saved_elsewhere = False
    """Whether people open such a file in programs that save it in another encoding: `--encoding` names it."""

    longest_line = LONGEST_RECORD
    """Bytes; a longer line comes as `Overlong` pieces."""

    @abstractmethod
    def recognises(self, beginning: bytes) -> bool:
        """Tell whether an input is of this format. Byte order mark and leading blanks are taken off."""

    def delimiter_of(self, asked: str, likely: str, head: bytes) -> str:  # noqa: ARG002 - for overrides
        """Return an input's delimiter. `asked` is the flag's, `likely` is that of its ending, "" for none."""
        return self.delimiters[0] if self.delimiters else ""

    @abstractmethod
    def layout(self, text: Text) -> Layout:
        """Read the beginning of an input. Raises ReadError, and InputError if it cannot be understood."""

    @abstractmethod
    def reader(self, text: Text, layout: Layout) -> Reader:
        """Return the reader of the records behind the layout's preamble."""

    @abstractmethod
    def parse_record(self, raw: bytes, columns: tuple[str, ...], delimiter: str) -> dict[str, Any]:
        """Return the values of one record by column, for a corrected reject.

        Raises ValueError with a reason for people, UnicodeDecodeError for bytes that are no text.
        """

    def write_record(self, values: Any, columns: tuple[str, ...], delimiter: str) -> bytes:
        """Return the bytes of one record with these values: cells in the order of `columns`, or an object."""
        raise NotImplementedError(f"{self.name}: its records are never written")


Check = Callable[[], None]
"""Called now and then in a long piece of work; raises the error that ends the run."""


def no_check() -> None:
    """Let the work go on."""


def record_may_grow(raw: bytes) -> bool:
    """Tell whether a record may still grow: it has no line end, and is not too long for one."""
    return len(raw) <= LONGEST_RECORD and not raw.endswith(LINE_ENDS)


def is_last_open(last: Item) -> bool:
    """Tell whether an input's last item may still grow, in a format whose raws are the bytes of the file."""
    return record_may_grow(last.row.raw if isinstance(last, Reject) else last.raw)


def too_long(kept: bytes) -> str:
    """Return the reason for rejecting a record that is too long. `kept` is the part of it that was kept."""
    return f"a record over 1 MiB, of which the first {len(kept):,} bytes are kept"


def not_text(encoding: str) -> tuple[str, str]:
    """Return code and reason for a record with bytes that are no text in its encoding."""
    if encoding != UTF8:
        return "invalid-text", f"not valid {encoding}"
    return "invalid-utf8", (
        "not valid UTF-8; if the file is in another encoding, import it again with --encoding (such as "
        "cp1252): then only these rows are sent"
    )
