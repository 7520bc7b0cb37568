"""Text in other encodings is turned into UTF-8 as a stream, so that the formats read UTF-8 alone."""

from __future__ import annotations

import codecs
import re
import string

from km_cli.errors import InputError, UsageError, did_you_mean
from km_cli.inputs.base import UTF8
from km_cli.inputs.formats import holds_rejects, may_be_saved_elsewhere
from km_cli.inputs.messages import shell_command, shell_word
from km_cli.inputs.unpacking import Bytes

_BLOCK = 1 << 16
_REJECT_HEAD = 1 << 12
"""Bytes by which a rejects file is recognised."""

_SNIFFED = 64
"""Bytes at the beginning by which UTF-16 and UTF-32 are recognised."""

_MARKS = {
    b"\xff\xfe\x00\x00": "utf-32-le",
    b"\x00\x00\xfe\xff": "utf-32-be",
    b"\xff\xfe": "utf-16-le",
    b"\xfe\xff": "utf-16-be",
}
"""Byte order marks. The longer ones come first, since they begin with the shorter ones."""

_PLAIN = re.compile(rb"[\t\x20-\x7e]{4,}(?:[\r\n]|\Z)")
"""The beginning of plain text. In UTF-16 and UTF-32 there would be zeros between its characters."""

_NO_CHARSETS = frozenset({"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined"})
"""Codecs of Python that decode text, but are no encodings of text files."""


def encoding_named(name: str) -> str:
    """Return Python's name of an encoding, "" for UTF-8.

    Raises UsageError for a name that is not known, or of a codec that is no encoding of text.
    """
    if not _is_text(name):
        raise UsageError(f"--encoding {name!r} is not a known encoding of text", _near(name))
    found = codecs.lookup(name).name
    return "" if found in ("utf-8", "utf-8-sig") else found


def _is_text(name: str) -> bool:
    try:
        b" ".decode(name)
    except UnicodeError:
        pass  # It is an encoding in which one blank is no text, as UTF-16.
    except (LookupError, ValueError):
        return False
    found = codecs.lookup(name)
    return found.incrementaldecoder is not None and found.name not in _NO_CHARSETS


def _near(name: str) -> str:
    from encodings.aliases import aliases

    known = {alias.replace("_", "-") for pair in aliases.items() for alias in pair}
    return did_you_mean(
        name.replace("_", "-"), filter(_is_text, known), "for example utf-16, cp1252 or iso8859-1"
    )


def _surrogates_for(error: UnicodeError) -> tuple[str, int]:
    """Replace bytes that are no text by surrogates.

    These cannot be encoded as UTF-8 either, so that the row is rejected.
    """
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


_REPLACED = "km-cli.surrogates"
codecs.register_error(_REPLACED, _surrogates_for)


class Transcoded:
    """Bytes in some encoding as UTF-8. A rejects file is in UTF-8 under any flag, because km-cli wrote it.

    A spreadsheet may have saved a table of rejects in the encoding, or in UTF-8 without a byte order mark.
    The first bytes beyond ASCII decide: text in another encoding is hardly ever valid UTF-8 as well.

    `encoded` are the first bytes before decoding, as soon as they are read; b"" for a rejects file.

    Raises UnicodeError where the text cannot be decoded any further.
    """

    def __init__(self, raw: Bytes, encoding: str) -> None:
        self._raw = raw
        self.encoding = encoding
        self.encoded = b""
        self._decoder = codecs.getincrementaldecoder(encoding)(_REPLACED)
        self._ready = memoryview(b"")
        self._is_plain = self._is_open = False
        self._begun = self._ended = False

    def read1(self, size: int) -> bytes:
        """Return up to `size` bytes, b"" at the end."""
        while not self._ready and not self._ended:
            data = self._raw.read1(_BLOCK) if self._begun else self._begin()
            if self._is_open and not data.isascii():
                data = self._decide(data)
            self._ended = not data
            if not self._is_plain:
                data = self._decoder.decode(data, self._ended).encode("utf-8", "surrogatepass")
            self._ready = memoryview(data)
        data, self._ready = bytes(self._ready[:size]), self._ready[size:]
        return data

    def _begin(self) -> bytes:
        """Return the first bytes, enough of them to recognise a rejects file."""
        self._begun = True
        head = b""
        while b"\n" not in head.lstrip() and len(head) < _REJECT_HEAD:
            if not (data := self._raw.read1(_BLOCK)):
                break
            head += data
        self._is_open = may_be_saved_elsewhere(head) and _extends_ascii(self.encoding)
        self._is_plain = holds_rejects(head) and not self._is_open
        self.encoded = b"" if self._is_plain else head
        return head

    def _decide(self, data: bytes) -> bytes:
        """Decide by the first bytes beyond ASCII whether a table is in UTF-8; return all that was read."""
        self._is_open = False
        while (is_utf8 := _is_utf8(data)) is None and (more := self._raw.read1(_BLOCK)):
            data += more
        self._is_plain = is_utf8 is True
        return data

    def close(self) -> None:
        """Close the file below."""
        self._raw.close()


def _is_utf8(data: bytes) -> bool | None:
    """Tell whether text beyond ASCII is UTF-8; None if it is cut within its only such character."""
    if data.isascii():
        return None
    try:
        whole = codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return False
    return None if whole.isascii() else True


def _extends_ascii(encoding: str) -> bool:
    """Tell whether an encoding has letters, digits and delimiters where ASCII has them; UTF-16 has not."""
    try:
        return _ASCII.decode(encoding) == _ASCII.decode("ascii")
    except UnicodeError:
        return False


_ASCII = string.ascii_letters.encode() + string.digits.encode() + b'\t\r\n ",;|_-:{}'
"""Shift JIS has a yen sign for the backslash, and is an encoding of tables all the same."""


def wide_rejects(head: bytes) -> str:
    """Return the encoding of a table of rejects that was saved with a mark of UTF-16; "" for other inputs."""
    is_marked, encoding = _sniffed(head[:_SNIFFED])
    if not is_marked or not encoding.startswith("utf-16"):
        return ""
    text = head.decode("utf-16", "ignore").encode("utf-8", "surrogatepass")
    return "utf-16" if holds_rejects(text) else ""


def check_encoding(name: str, head: bytes, encoding: str) -> None:
    """Raise InputError if the first bytes of an input are not in this encoding ("": UTF-8)."""
    begun = head[:_SNIFFED]
    marked, found = _sniffed(begun)
    is_wide = encoding.startswith(("utf-16", "utf-32"))
    if begun.startswith(b"\0") and not found:
        raise _zeros(name, encoding if is_wide else "")
    if is_wide and _PLAIN.match(begun):
        raise InputError(
            f"{name} is not encoded in {encoding}: it begins with plain text of one byte a character",
            "leave --encoding out, or name another",
        )
    shown_as = _display_name(found, is_marked=marked)
    if not found or encoding == found or (marked and encoding == shown_as.lower()):
        return
    if encoding and not is_wide and b"\0" not in begun:
        return  # In encodings with one byte a character, the bytes of the marks are letters.
    raise InputError(
        f"{name} is encoded in {shown_as}, not {encoding or UTF8}",
        f"name the encoding: --encoding {shown_as.lower()}",
    )


def _sniffed(begun: bytes) -> tuple[bool, str]:
    """Return whether the bytes begin with a mark of UTF-16 or UTF-32, and the encoding, "" for neither.

    Without a mark it is recognised by the places of zero bytes: most characters of most texts have some.
    """
    for mark, encoding in _MARKS.items():
        if begun.startswith(mark):
            return True, encoding
    zeros = [begun[at::4].count(0) for at in range(4)]
    if sum(zeros) * 3 < len(begun) or not begun.strip(b"\0"):
        return False, ""
    fours = [begun[at : at + 4] for at in range(0, len(begun) - 3, 4)]
    for order in ("be", "le"):
        codes = [int.from_bytes(four, "big" if order == "be" else "little") for four in fours]
        small = sum(0 < code < 1 << 16 for code in codes)
        if codes and small * 2 > len(codes) and all(0 < code < 0x110000 for code in codes):
            return False, f"utf-32-{order}"
    if begun.startswith(b"\0\0"):
        return False, ""
    return False, "utf-16-le" if zeros[1] + zeros[3] > zeros[0] + zeros[2] else "utf-16-be"


def _display_name(encoding: str, *, is_marked: bool) -> str:
    """Return the name of an encoding for messages: `UTF-16` if a mark gives the order of bytes."""
    base, order = encoding[:6].upper(), encoding[7:].upper()
    return base if is_marked else base + order


def _zeros(name: str, wide: str) -> InputError:
    """Return the error for a log that was truncated while a program kept writing behind its old end."""
    plain = f" | iconv -f {wide} -t utf-8" if wide else ""
    return InputError(
        f"{name} begins with zero bytes: it was truncated while a program kept writing behind its old end",
        "make that program append (>> in a shell); to import the content of the file: "
        f"{shell_command(name, 'cat')}{plain} | tr -d '\\000' | km-cli import -",
    )


def undecodable(name: str, offset: int, error: UnicodeError) -> InputError:
    """Return the error for an input that cannot be decoded any further."""
    base = "utf-32" if "UTF-32" in str(error) else "utf-16"
    return InputError(
        f"{name}: not readable in its encoding after {offset:,} bytes of content: {error}",
        f"name the file's encoding, as --encoding {base}-le or {base}-be (file {shell_word(name)} may tell)",
    )
