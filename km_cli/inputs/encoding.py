"""Text in other encodings than UTF-8: turned into UTF-8 as a stream, so that nothing behind it knows."""

from __future__ import annotations

import codecs
import difflib

from km_cli.errors import InputError, UsageError
from km_cli.inputs.base import UTF8, in_shell, piped
from km_cli.inputs.compression import Bytes
from km_cli.inputs.foreign import check_kind
from km_cli.inputs.rejects import is_reject

_BLOCK = 1 << 16
_LONGEST_MARK = 1 << 12

_MARKS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}


def encoding_named(name: str) -> str:
    """Return Python's name of an encoding, "" for UTF-8.

    Raises UsageError for one that is not known, naming the nearest, or that is no encoding of text.
    """
    if not _is_text(name):
        raise UsageError(f"--encoding {name!r} is no encoding of text that is known here", _near(name))
    found = codecs.lookup(name).name
    return "" if found in ("utf-8", "utf-8-sig") else found


def _is_text(name: str) -> bool:
    try:
        b" ".decode(name)
    except UnicodeError:
        pass  # It is one in which a blank alone is no text.
    except (LookupError, ValueError):
        return False
    return codecs.lookup(name).incrementaldecoder is not None


def _near(name: str) -> str:
    from encodings.aliases import aliases

    known = {alias.replace("_", "-") for pair in aliases.items() for alias in pair}
    close = difflib.get_close_matches(name.lower().replace("_", "-"), known, 3)
    near = next(filter(_is_text, close), "")
    return f"did you mean {near}?" if near else "for example utf-16, cp1252 or iso8859-1"


def _marked(error: UnicodeError) -> tuple[str, int]:
    """Replace bytes that are no text by what is none in UTF-8 either, so that their row is rejected."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


_MARKED = "km-cli.marked"
codecs.register_error(_MARKED, _marked)


class Transcoded:
    """Bytes in some encoding as UTF-8. A rejects file is UTF-8 already: km-cli wrote it.

    Raises UnicodeError where the encoding does not allow to go on, InputError for what is no text at all.
    """

    def __init__(self, name: str, raw: Bytes, encoding: str) -> None:
        self._name = name
        self._raw = raw
        self._decoder = codecs.getincrementaldecoder(encoding)(_MARKED)
        self._ready = memoryview(b"")
        self._is_plain = False
        self._begun = self._ended = False

    def read1(self, size: int) -> bytes:
        """Return up to `size` bytes, b"" at the end."""
        while not self._ready and not self._ended:
            data = self._raw.read1(_BLOCK) if self._begun else self._begin()
            self._ended = not data
            if not self._is_plain:
                data = self._decoder.decode(data, self._ended).encode("utf-8", "surrogatepass")
            self._ready = memoryview(data)
        data, self._ready = bytes(self._ready[:size]), self._ready[size:]
        return data

    def _begin(self) -> bytes:
        """Return the first bytes, enough of them to know a rejects file by."""
        self._begun = True
        head = b""
        while b"\n" not in head.lstrip() and len(head) < _LONGEST_MARK:
            if not (data := self._raw.read1(_BLOCK)):
                break
            head += data
        # Decoded it would not be known any more.
        check_kind(self._name, head)
        self._is_plain = is_reject(head.lstrip())
        return head

    def close(self) -> None:
        """Close what is below."""
        self._raw.close()


def check_encoding(name: str, head: bytes, encoding: str) -> None:
    """Raise InputError if the beginning of an input shows that it is in UTF-16 or UTF-32 after all."""
    found = "" if encoding else next((said for mark, said in _MARKS.items() if head.startswith(mark)), "")
    if head and not head[:64].strip(b"\0"):
        raise InputError(
            f"{name} begins with zero bytes: it was cut off under a writer that goes on at its old place",
            f"have that append (>> in a shell); what is in it: {piped(name, 'cat')} | tr -d '\\0' | "
            "km-cli import -",
        )
    if not found and head[:64].count(b"\0") * 3 >= len(head[:64]) > 0:
        found = "UTF-16LE" if head[1:64:2].count(b"\0") > head[:64:2].count(b"\0") else "UTF-16BE"
    if found:
        raise InputError(
            f"{name} is encoded in {found}, not {encoding or UTF8}", f"say so: --encoding {found.lower()}"
        )


def no_such_text(name: str, offset: int, error: UnicodeError) -> InputError:
    """Return the error for an input that its encoding does not allow to be read any further."""
    return InputError(
        f"{name}: not readable in its encoding after {offset:,} bytes of content: {error}",
        f"name the one that it is in, as --encoding utf-16-le or utf-16-be (file {in_shell(name)} may tell)",
    )
