"""A file or standard input as a stream of bytes, unpacked and in UTF-8."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from km_cli.errors import CutShort, ReadError, Rewritten, UsageError
from km_cli.inputs.base import Check, FormatOptions, no_check
from km_cli.inputs.compression import (
    Bytes,
    Damaged,
    EndsEarly,
    TooLarge,
    check_packed_once,
    is_packed,
    unpack,
)
from km_cli.inputs.encoding import Transcoded, check_encoding, undecodable
from km_cli.inputs.messages import path_text, shell_word
from km_cli.inputs.misnamed import absent, folder_named
from km_cli.inputs.unsupported import check_kind

if TYPE_CHECKING:
    from hashlib import _Hash

_BLOCK = 1 << 20
_LAST = 1 << 12
"""Bytes before the place of reading; if they change, the file was rewritten."""

_ANY = FormatOptions()


class Stream:
    """Reads the unpacked bytes. Its errors say after how many of them reading failed."""

    def __init__(
        self,
        name: str,
        raw: Bytes,
        packer: str = "",
        *,
        is_verified: bool = False,
        place: Callable[[], int] | None = None,
    ) -> None:
        """`packer` is the program that packed the input, "" for none.

        `is_verified` if a packed input was checked for damage before (`Source.verify`). `place` returns how
        many bytes of the file were read.
        """
        self._name = name
        self._packer = packer
        self._is_verified = is_verified
        self._raw = raw
        self._offset = 0
        self._place = place

    def bytes_of_file(self, length: int | None) -> int:
        """Return about how many bytes of the file hold the first `length` bytes of its content.

        None is for all content that was read. The result is exact for a plain file; for a packed or converted
        one it follows from the ratio so far. It is 0 if the input can be read only once.
        """
        if self._place is None or not self._offset:
            return 0
        return self._place() if length is None else length * self._place() // self._offset

    def read(self, size: int = _BLOCK) -> bytes:
        """Return up to `size` bytes, b"" at the end. Raises ReadError with the offset reached."""
        try:
            data = self._raw.read1(size)
        except Damaged as error:
            kind = CutShort if isinstance(error, EndsEarly) else ReadError
            raise kind(
                f"{self._name}: {error}, after {self._offset:,} bytes of content", self._cure(error)
            ) from None
        except UnicodeError as error:
            self.check_content(b"")
            raise undecodable(self._name, self._offset, error) from None
        except OSError as error:
            raise _unreadable(self._name, self._offset, error) from None
        self._offset += len(data)
        return data

    def check_content(self, head: bytes) -> None:
        """Raise InputError if content that begins with `head` is not text, or is in another encoding."""
        encoding = ""
        if isinstance(self._raw, Transcoded):
            if not self._raw.encoded:
                return
            head, encoding = self._raw.encoded, self._raw.encoding
        check_packed_once(self._name, self._packer, head)
        check_kind(self._name, head)
        check_encoding(self._name, head, encoding)

    def _cure(self, error: Damaged) -> str:
        """Return the hint for content that cannot be unpacked any further."""
        if isinstance(error, TooLarge):
            return f"unpack it first: {error.program} {shell_word(self._name)} | km-cli import -"
        if not self._offset:
            return "nothing in it can be read; get a whole copy of the file and run again"
        if isinstance(error, EndsEarly):
            return "all rows before that place are dealt with; get a whole copy of the file and run again"
        if not self._is_verified:
            return (
                "the rows before that place are dealt with, and the last of them may be wrong; get a whole "
                "copy and run again"
            )
        return "none of its rows is sent, since any of them may be wrong; get a whole copy and run again"

    def skip(self, size: int, digest: bytes, check: Check) -> int:
        """Skip `size` bytes; return how many bytes of the last line among them have no line end yet.

        Raises Rewritten if the bytes skipped do not have this hash (b"": any). `check` is called each MiB.
        """
        unended, offset, state = 0, self._offset + size, hashlib.sha256()
        while self._offset < offset and (data := self.read(min(offset - self._offset, _BLOCK))):
            check()
            state.update(data)
            end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
            unended = len(data) - end if end else unended + len(data)
        if digest and state.digest() != digest:
            raise _rewritten(self._name, self._offset)
        return unended

    def close(self) -> None:
        """Close the file."""
        self._raw.close()


def _unreadable(name: str, offset: int, error: OSError) -> ReadError:
    return ReadError(
        f"{name}: cannot be read after {offset:,} bytes: {error.strerror or error}",
        "all rows before that place are dealt with; run again when the file can be read",
    )


def _rewritten(name: str, offset: int) -> Rewritten:
    return Rewritten(
        f"{name}: was truncated or rewritten while it was read, after {offset:,} bytes",
        "run again: all rows before that place are dealt with, and no row is sent twice",
    )


class Stamp(NamedTuple):
    """Device, inode, size in bytes and time in ns since 1970: a file that keeps them was not touched."""

    device: int
    inode: int
    size: int
    time: int

    @classmethod
    def from_stat(cls, found: os.stat_result) -> Stamp:
        """Return the stamp of a file."""
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


class _Pinned(io.RawIOBase):
    """A file from its start, read through a descriptor that is shared with other readers.

    Raises Rewritten if the bytes that were read last have changed: the file was truncated, and perhaps has
    grown beyond that place since. Its next bytes would be taken for the rest of a line that is gone.
    """

    def __init__(self, name: str, file: int) -> None:
        self._name = name
        self._file = file
        self._at = 0
        self._last = b""

    def place(self) -> int:
        """Return how many bytes were read."""
        return self._at

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        size = os.preadv(self._file, [buffer], self._at)
        # Not before reading, since the file may be truncated in between.
        if os.pread(self._file, len(self._last), self._at - len(self._last)) != self._last:
            raise _rewritten(self._name, self._at)
        self._at += size
        self._last = (self._last + bytes(memoryview(buffer)[max(0, size - _LAST) : size]))[-_LAST:]
        return size


def _opened(path: Path) -> io.BufferedReader:
    return path.open("rb")


class Source:
    """One input named on the command line. `-` is standard input, which can be opened once.

    `stamp` is that of the file that is pinned, None if none is.
    """

    def __init__(
        self,
        name: str,
        stdin: io.BufferedReader | None = None,
        format_options: FormatOptions = _ANY,
        opens: Callable[[Path], io.BufferedReader] = _opened,
    ) -> None:
        """`opens` opens a file that cannot be pinned, such as a named pipe, which may wait for its writer."""
        self._opens = opens
        self.format_options = format_options
        self.path = None if name == "-" else Path(name)
        self.name = "<stdin>" if name == "-" else path_text(name)
        self._stdin = stdin
        self._file = -1
        self.stamp: Stamp | None = None

    def pin(self) -> None:
        """Keep open the file that has this name now, so that every reader reads the same file.

        When logs are rotated, the name passes to another file. Only regular files can be pinned.
        """
        if self._file >= 0 or self.path is None:
            return
        try:
            if not stat.S_ISREG(os.stat(self.path).st_mode):
                return
            # Without O_NONBLOCK, opening would wait if a named pipe has taken the name meanwhile.
            file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._unopened(error) from None
        found = os.fstat(file)
        if stat.S_ISREG(found.st_mode):
            self._file, self.stamp = file, Stamp.from_stat(found)
        else:
            os.close(file)

    def unpin(self) -> None:
        """Close the file that is pinned."""
        if self._file >= 0:
            os.close(self._file)
        self._file, self.stamp = -1, None

    @property
    def was_touched(self) -> bool:
        """Whether the pinned file was written to, or truncated, since it was pinned."""
        return self.stamp != Stamp.from_stat(os.fstat(self._file))

    @property
    def has_line(self) -> bool:
        """Whether the pinned file has a line end in its first MiB, or is larger. Raises ReadError."""
        head = self._head(_BLOCK)
        return len(head) == _BLOCK or b"\n" in head or b"\r" in head

    @property
    def is_packed(self) -> bool:
        """Whether the pinned file is packed. No program appends lines to a packed file. Raises ReadError."""
        return is_packed(self._head(1 << 5))

    def _head(self, size: int) -> bytes:
        try:
            return os.pread(self._file, size, 0)
        except OSError as error:
            raise _unreadable(self.name, 0, error) from None

    def verify(self, check: Check) -> None:
        """Raise ReadError if a packed file is damaged.

        Only the check sum behind the content shows that, so the whole file is read once before any row of it
        is sent. A file that only ends early passes, since its content is sound up to the end. An input that
        can be read only once cannot be verified. `check` is called each MiB, and may raise the error that
        ends the run.
        """
        if self._file < 0 or not self.is_packed:
            return
        stream = self.open(only_unpacked=True)
        try:
            while stream.read():
                check()
        except CutShort:
            pass
        finally:
            stream.close()

    def check(self) -> None:
        """Raise UsageError if the file does not exist or is a folder."""
        if not self.name:
            raise UsageError(
                "a FILE has an empty name",
                "name the file, or - for standard input; a shell variable that is not set leaves no name",
            )
        if self.path is None:
            if self._stdin is None:
                raise UsageError("standard input is closed", "pipe something into it, or name a file")
            return
        try:
            is_folder = stat.S_ISDIR(self.path.stat().st_mode)
        except FileNotFoundError:
            raise absent(self.path, self.name) from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise UsageError(f"{self.name}: cannot be opened: {reason}", "check the path") from None
        if is_folder:
            raise folder_named(self.path, self.name)

    def open(self, *, only_unpacked: bool = False) -> Stream:
        """Return the content from its start, unpacked (as its first bytes say, not its name) and in UTF-8.

        With `only_unpacked` the content stays in its own encoding.
        """
        pinned = _Pinned(self.name, self._file) if self._file >= 0 else None
        raw: io.BufferedReader = self._raw() if pinned is None else io.BufferedReader(pinned)
        try:
            content, packer = unpack(self.name, raw)
            if self.format_options.encoding and not only_unpacked:
                content = Transcoded(content, self.format_options.encoding)
            place = pinned.place if pinned else None
            return Stream(self.name, content, packer, is_verified=pinned is not None, place=place)
        except OSError as error:
            raw.close()
            raise _unreadable(self.name, 0, error) from None
        except BaseException:
            raw.close()
            raise

    def _raw(self) -> io.BufferedReader:
        if self.path is None:
            assert self._stdin is not None
            return self._stdin
        try:
            return self._opens(self.path)
        except OSError as error:
            raise self._unopened(error) from None

    def _unopened(self, error: OSError) -> UsageError:
        return UsageError(f"{self.name}: cannot be opened: {error.strerror}", "check its permissions")

    def hashes_at(self, lengths: Iterable[int], check: Check = no_check) -> list[tuple[int, _Hash]]:
        """Return the hash state of the content's beginning for each of the lengths that it has, ascending.

        Empty for an input that can be read only once: standard input, a pipe. `check` is called each MiB, and
        may raise the error that ends the run.
        """
        if self._file < 0:
            return []
        stream, done, found = self.open(), 0, []
        state = hashlib.sha256()
        try:
            for length in sorted(lengths):
                while done < length and (data := stream.read(min(length - done, _BLOCK))):
                    check()
                    state.update(data)
                    done += len(data)
                if done < length:
                    break
                found.append((length, state.copy()))
        except ReadError:
            # The reader of the rows meets the same error and reports it.
            pass
        finally:
            stream.close()
        return found
