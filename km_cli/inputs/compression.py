"""Packed files as streams of what is in them: known by their content, unpacked at constant memory."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable
from typing import Any, Protocol

from km_cli.errors import InputError
from km_cli.inputs.messages import shell_word

_MAGIC = 10
_BLOCK = 1 << 13
_PIECE = 1 << 8
"""Bytes of Zstandard unpacked at a time: each may hold 32,768 of content, and all of it comes at once."""

_MOST_MEMORY = 256 << 20
_LARGEST_WINDOW = 128 << 20


class Bytes(Protocol):
    """What the readers need of a file."""

    def read1(self, size: int, /) -> bytes:
        """Return up to `size` bytes, b"" at the end."""
        ...

    def close(self) -> None:
        """Close it and what is below it."""
        ...


class Damaged(Exception):
    """What is packed cannot be unpacked any further; str() says why."""


class EndsEarly(Damaged):
    """What there is of it is sound; the rest is missing, or not written yet."""


class TooLarge(Damaged):
    """It is whole, for all we know, but needs more memory than we give it; `program` takes what it needs."""

    def __init__(self, message: str, program: str) -> None:
        super().__init__(message)
        self.program = program


def unpack(name: str, raw: io.BufferedReader) -> tuple[Bytes, str]:
    """Return the content of `raw` and the program that packed it; `raw` itself and "" if none did.

    Raises InputError if what it is packed with cannot be unpacked here.
    """
    head, raw = _begun(raw)
    packer = _packer(head)
    if packer == "gzip":
        return _Gunzip(raw), packer
    return (_Unpacked(raw, _UNPACKINGS[packer](name)), packer) if packer else (raw, "")


def check_packed_once(name: str, packer: str, head: bytes) -> None:
    """Raise InputError if content that `packer` packed ("": none) begins like packed content itself."""
    inner = _packer(head[:_MAGIC]) if packer else ""
    if inner:
        twice = f"twice by {packer}" if inner == packer else f"by {inner}, and that by {packer}"
        raise InputError(
            f"{name} is packed {twice}",
            f"unpack it: {packer} -dc {shell_word(name)} | {inner} -dc | km-cli import -",
        )


def is_packed(head: bytes) -> bool:
    """Tell whether a file that begins like this is unpacked when it is read."""
    return _packer(head[:_MAGIC]) != ""


def _packer(head: bytes) -> str:
    """Return what a file that begins with these bytes is packed by, "" if by nothing that is known."""
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if head[:3] == b"BZh" and head[4:] in (b"\x31\x41\x59\x26\x53\x59", b"\x17\x72\x45\x38\x50\x90"):
        return "bzip2"
    if head.startswith(b"\xfd7zXZ\0"):
        return "xz"
    if head.startswith(b"\x28\xb5\x2f\xfd") or (head[:1] <= b"\x5f" and head[1:4] == b"\x2a\x4d\x18"):
        return "zstd"
    return ""


def _begun(raw: io.BufferedReader) -> tuple[bytes, io.BufferedReader]:
    """Return the first bytes, which a pipe may bring in pieces, and the stream with them."""
    head = raw.peek(_MAGIC)[:_MAGIC]
    if len(head) == _MAGIC:
        return head, raw
    head = raw.read(_MAGIC)
    return head, io.BufferedReader(_Rejoined(head, raw))


class _Rejoined(io.RawIOBase):
    """A stream from its start, though its first bytes were read already."""

    def __init__(self, head: bytes, rest: io.BufferedReader) -> None:
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data = self._head[: len(buffer)] or self._rest.read1(len(buffer))
        self._head = self._head[len(data) :]
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._rest.close()
        super().close()


class _Gunzip(gzip.GzipFile):
    """A gzip stream that closes the file below it too."""

    def __init__(self, raw: io.BufferedReader) -> None:
        super().__init__(fileobj=raw, mode="rb")
        self._below = raw

    def read1(self, size: int = -1) -> bytes:
        """Return up to `size` bytes. Raises Damaged."""
        try:
            return super().read1(size)
        except EOFError:
            raise _cut_short() from None
        except (zlib.error, gzip.BadGzipFile) as error:
            raise _damaged(error) from None

    def close(self) -> None:
        """Close both."""
        super().close()
        self._below.close()


class _Member(Protocol):
    """One packed stream; a file may hold several, one after the other."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Unpacking:
    """How the members of one format are unpacked, and what its library raises if they are damaged.

    `memory` are the bytes that it may take for one, `program` what takes as much as one needs.
    """

    def __init__(
        self, begin: Callable[[], _Member], error: type[Exception], memory: int = 0, program: str = ""
    ) -> None:
        self.begin = begin
        self.error = error
        self.memory = memory
        self.program = program

    def failed(self, error: Exception) -> Damaged:
        """Return what an error of the library means; it tells only in words that memory is what it lacks."""
        if self.memory and "memory" in str(error).lower():
            return TooLarge(f"to unpack it takes more than {self.memory >> 20} MiB of memory", self.program)
        return _damaged(error)


class _Unpacked:
    """The content of all members of a packed file, as `cat a.xz b.xz` makes them."""

    def __init__(self, raw: io.BufferedReader, unpacking: _Unpacking) -> None:
        self._raw = raw
        self._unpacking = unpacking
        self._member = unpacking.begin()
        self._ready = memoryview(b"")

    def read1(self, size: int) -> bytes:
        """Return up to `size` bytes. Raises Damaged."""
        while not self._ready:
            if self._member.eof:
                rest = self._padded()
                if not rest:
                    return b""
                self._member = self._unpacking.begin()
            elif not self._member.needs_input:
                rest = b""
            elif not (rest := self._raw.read1(_BLOCK)):
                raise _cut_short()
            try:
                self._ready = memoryview(self._member.decompress(rest, size))
            except self._unpacking.error as error:
                raise self._unpacking.failed(error) from None
        data, self._ready = bytes(self._ready[:size]), self._ready[size:]
        return data

    def _padded(self) -> bytes:
        """Return what comes behind a member; zeros fill it up."""
        rest = self._member.unused_data.lstrip(b"\0")
        while not rest and (block := self._raw.read1(_BLOCK)):
            rest = block.lstrip(b"\0")
        return rest

    def close(self) -> None:
        """Close the file below."""
        self._raw.close()


def _cut_short() -> Damaged:
    return EndsEarly("the compressed data is cut short")


def _damaged(error: Exception) -> Damaged:
    return Damaged(f"the compressed data is damaged ({error})")


def _bz2(name: str) -> _Unpacking:
    try:
        from bz2 import BZ2Decompressor
    except ImportError:
        raise _not_here(name, "bzip2") from None
    return _Unpacking(BZ2Decompressor, OSError)


def _xz(name: str) -> _Unpacking:
    try:
        from lzma import FORMAT_XZ, LZMADecompressor, LZMAError
    except ImportError:
        raise _not_here(name, "xz") from None
    return _Unpacking(lambda: LZMADecompressor(FORMAT_XZ, _MOST_MEMORY), LZMAError, _MOST_MEMORY, "xz -dc")


def _not_here(name: str, program: str) -> InputError:
    return InputError(
        f"{name} is packed by {program}, which this Python was built without",
        f"unpack it: {program} -dc {shell_word(name)} | km-cli … -",
    )


def _zst(name: str) -> _Unpacking:
    try:
        from zstandard import ZstdDecompressor, ZstdError
    except ImportError:
        raise InputError(
            f"{name} is packed by zstd, which needs a library that is not installed",
            f"pip install 'km-cli[zst]', or unpack it: zstd -dc {shell_word(name)} | km-cli … -",
        ) from None
    window = ZstdDecompressor(max_window_size=_LARGEST_WINDOW)
    return _Unpacking(
        lambda: _ZstMember(window.decompressobj()), ZstdError, _LARGEST_WINDOW, "zstd -dc --long=31"
    )


_UNPACKINGS = {"bzip2": _bz2, "xz": _xz, "zstd": _zst}


class _Decompressing(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


class _ZstMember:
    """One frame. What is asked for at once cannot be limited, only what is given at once."""

    def __init__(self, frame: _Decompressing) -> None:
        self._frame = frame
        self._left = b""

    @property
    def eof(self) -> bool:
        """Whether the frame has ended."""
        return self._frame.eof

    @property
    def needs_input(self) -> bool:
        """Whether all that was given is unpacked."""
        return not self._left

    @property
    def unused_data(self) -> bytes:
        """What was given and is behind the frame."""
        return self._frame.unused_data + self._left

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:  # noqa: ARG002 - as DecompressReader calls it
        """Unpack the next piece of what was given, whatever its length."""
        data = self._left + data
        self._left = data[_PIECE:]
        return self._frame.decompress(data[:_PIECE])
