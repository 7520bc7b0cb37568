"""Packed files as streams of their content: recognised by their first bytes, unpacked at constant memory."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable
from typing import Any, Protocol

from km_cli.errors import InputError
from km_cli.inputs import parquet
from km_cli.inputs.messages import shell_word
from km_cli.inputs.unpacking import Bytes, Damaged, EndsEarly, TooLarge
from km_cli.install_hint import install_command

_MAGIC = 10
"""Bytes at the beginning of a file by which its compression is recognised."""

PARQUET = "Parquet"
"""Stands for the program that packed a file whose content are rows, not bytes."""

_BLOCK = 1 << 13
_PIECE = 1 << 8
"""Bytes of Zstandard that are unpacked at a time.

Each may hold 32,768 bytes of content, all returned at once.
"""

_MOST_MEMORY = 256 << 20
"""Bytes of memory that xz may take for one file."""

_LARGEST_WINDOW = 128 << 20
"""Bytes of memory that zstd may take for one file."""


def unpack(name: str, raw: io.BufferedReader) -> tuple[Bytes, str]:
    """Return the content of `raw` and the program that packed it, or `raw` and "" if it is not packed.

    Raises InputError if this installation cannot unpack it.
    """
    head, raw = _with_head(raw)
    packer = _packer(head)
    if packer == "gzip":
        return _Gunzip(raw), packer
    if packer == PARQUET:
        return parquet.read_parquet(name, raw), packer
    return (_Unpacked(raw, _UNPACKINGS[packer](name)), packer) if packer else (raw, "")


def check_packed_once(name: str, packer: str, head: bytes) -> None:
    """Raise InputError if the content of a packed file is packed again.

    `packer` is "" for a file that is not.
    """
    inner = _packer(head[:_MAGIC]) if packer else ""
    if inner and inner != PARQUET:  # for that one `check_kind` has a message of its own
        twice = f"twice by {packer}" if inner == packer else f"by {inner}, and that by {packer}"
        raise InputError(
            f"{name} is packed {twice}",
            f"unpack it: {packer} -dc {shell_word(name)} | {inner} -dc | km-cli import -",
        )


def is_packed(head: bytes) -> bool:
    """Tell whether a file that begins like this is packed."""
    return _packer(head[:_MAGIC]) != ""


def _packer(head: bytes) -> str:
    """Return the program that packed a file that begins with these bytes, "" if it is not packed."""
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if head[:3] == b"BZh" and head[4:] in (b"\x31\x41\x59\x26\x53\x59", b"\x17\x72\x45\x38\x50\x90"):
        return "bzip2"
    if head.startswith(b"\xfd7zXZ\0"):
        return "xz"
    if head.startswith(b"\x28\xb5\x2f\xfd") or (head[:1] <= b"\x5f" and head[1:4] == b"\x2a\x4d\x18"):
        return "zstd"
    return PARQUET if parquet.is_parquet(head) else ""


def _with_head(raw: io.BufferedReader) -> tuple[bytes, io.BufferedReader]:
    """Return the first bytes, which a pipe may deliver in pieces, and the stream from its start."""
    head = raw.peek(_MAGIC)[:_MAGIC]
    if len(head) == _MAGIC:
        return head, raw
    head = raw.read(_MAGIC)
    return head, io.BufferedReader(_Rejoined(head, raw))


class _Rejoined(io.RawIOBase):
    """A stream from its start, although its first bytes were read already."""

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
    """How the members of one format are unpacked, and the error that its library raises for damaged members.

    `memory` are the bytes that a member may take; `program` unpacks a member that needs more.
    """

    def __init__(
        self, begin: Callable[[], _Member], error: type[Exception], memory: int = 0, program: str = ""
    ) -> None:
        self.begin = begin
        self.error = error
        self.memory = memory
        self.program = program

    def failed(self, error: Exception) -> Damaged:
        """Return our error for an error of the library. Only its text says that memory was lacking."""
        if self.memory and "memory" in str(error).lower():
            return TooLarge(f"unpacking takes more than {self.memory >> 20} MiB of memory", self.program)
        return _damaged(error)


class _Unpacked:
    """The content of all members of a packed file. (`cat a.xz b.xz` makes a file of two members.)"""

    def __init__(self, raw: io.BufferedReader, unpacking: _Unpacking) -> None:
        self._raw = raw
        self._unpacking = unpacking
        self._member = unpacking.begin()
        self._ready = memoryview(b"")

    def read1(self, size: int) -> bytes:
        """Return up to `size` bytes. Raises Damaged."""
        while not self._ready:
            if self._member.eof:
                rest = self._behind_member()
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

    def _behind_member(self) -> bytes:
        """Return the first bytes of the next member, b"" if there is none. Zeros in between are padding."""
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
            f"{install_command('zst')}, or unpack it: zstd -dc {shell_word(name)} | km-cli … -",
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
    """One frame. It is unpacked in small pieces: the library does not limit the content that it returns."""

    def __init__(self, frame: _Decompressing) -> None:
        self._frame = frame
        self._left = b""

    @property
    def eof(self) -> bool:
        """Whether the frame has ended."""
        return self._frame.eof

    @property
    def needs_input(self) -> bool:
        """Whether all bytes that were given are unpacked."""
        return not self._left

    @property
    def unused_data(self) -> bytes:
        """The bytes that were given and lie behind the frame."""
        return self._frame.unused_data + self._left

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:  # noqa: ARG002 - the other libraries' signature
        """Unpack the next piece of the bytes that were given; the content may have any length."""
        data = self._left + data
        self._left = data[_PIECE:]
        return self._frame.decompress(data[:_PIECE])
