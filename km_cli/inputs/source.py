"""A file or standard input as a stream of bytes, unpacked and in UTF-8."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from km_cli.errors import CutShort, ReadError, UsageError
from km_cli.inputs.base import LONGEST_RECORD, Check, FormatOptions, no_check
from km_cli.inputs.compression import PARQUET, check_packed_once, is_packed, unpack
from km_cli.inputs.encoding import Transcoded, check_encoding, undecodable
from km_cli.inputs.messages import shell_word
from km_cli.inputs.storage.base import Held, Stamp, rewritten, unreadable
from km_cli.inputs.storage.local import unopened
from km_cli.inputs.storage.registry import storage_of
from km_cli.inputs.unpacking import Bytes, Damaged, EndsEarly, TooLarge
from km_cli.inputs.unsupported import check_kind
from km_cli.object_address import is_address

if TYPE_CHECKING:
    from hashlib import _Hash

_BLOCK = 1 << 20

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
        offset: int = 0,
    ) -> None:
        """`packer` is the program that packed the input, "" for none.

        `is_verified` if a packed input was checked for damage before (`Source.verify`). `place` returns how
        many bytes of the file were read. `offset` is where the content begins, if its beginning is left out.
        """
        self._name = name
        self._packer = packer
        self._is_verified = is_verified
        self._raw = raw
        self._offset = offset
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
            raise unreadable(self._name, self._offset, error.strerror or str(error)) from None
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
            raise rewritten(self._name, self._offset)
        return unended

    def close(self) -> None:
        """Close the file."""
        self._raw.close()


def _opened(path: Path) -> io.BufferedReader:
    return path.open("rb")


class Source:
    """One input named on the command line. `-` is standard input, which can be opened once.

    `path` is that of a file on this machine; None for standard input and for objects.
    """

    is_query = False

    def __init__(
        self,
        name: str,
        stdin: io.BufferedReader | None = None,
        format_options: FormatOptions = _ANY,
        opens: Callable[[Path], io.BufferedReader] = _opened,
        check: Check = no_check,
    ) -> None:
        """`opens` opens a file that cannot be pinned, such as a named pipe, which may wait for its writer.

        `check` is called while an object store is awaited, and may raise the error that ends the run.
        """
        self._opens = opens
        self._check = check
        self._given = name
        self.format_options = format_options
        self.is_stdin = name == "-"
        self.path = None if self.is_stdin or is_address(name) else Path(name)
        self.name = "<stdin>" if self.is_stdin else storage_of(name).shown(name)
        self.filename = self.path.name if self.path else name.rpartition("/")[2]
        self._stdin = stdin
        self._held: Held | None = None
        self._hashed: dict[int, bytes] = {}

    def pin(self) -> None:
        """Keep open the file that has this name now, so that every reader reads the same file.

        When logs are rotated, the name passes to another file. Only regular files and objects can be pinned.
        """
        if self._held is None and not self.is_stdin:
            self._held = storage_of(self._given).hold(self._given, self._check)

    def unpin(self) -> None:
        """Close the file that is pinned."""
        held, self._held = self._held, None
        self._hashed.clear()
        if held is not None:
            held.close()

    @property
    def stamp(self) -> Stamp | None:
        """The stamp of the file that is pinned, None if none is."""
        return self._held.found.stamp if self._held else None

    @property
    def modified(self) -> float:
        """When the pinned file was written to, in seconds since 1970."""
        assert self._held is not None
        return self._held.found.modified

    @property
    def is_fixed(self) -> bool:
        """Whether the content of the pinned file can never change."""
        return self._held is not None and self._held.is_fixed

    @property
    def was_touched(self) -> bool:
        """Whether the pinned file was written to, or truncated, since it was pinned."""
        return self._held is not None and self._held.was_touched()

    @property
    def is_regular(self) -> bool:
        """Whether this is a file, or an object, that can be read more than once."""
        return not self.is_stdin and (self.path is None or self.path.is_file())

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
        assert self._held is not None
        head = b""
        try:
            with self._held.open() as content:
                while len(head) < size and (data := content.read(size - len(head))):
                    head += data
        except OSError as error:
            raise unreadable(self.name, 0, error.strerror or str(error)) from None
        return head

    def verify(self, check: Check) -> None:
        """Raise ReadError if a packed file is damaged.

        Only the check sum behind the content shows that, so the whole file is read once before any row of it
        is sent. A file that only ends early passes, since its content is sound up to the end. An input that
        can be read only once cannot be verified. `check` is called each MiB, and may raise the error that
        ends the run.
        """
        if self._held is None or not self.is_packed:
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
        if not self.is_stdin:
            storage_of(self._given).check(self._given, self._check)
        elif self._stdin is None:
            raise UsageError("standard input is closed", "pipe something into it, or name a file")

    def open(self, *, only_unpacked: bool = False) -> Stream:
        """Return the content from its start, unpacked (as its first bytes say, not its name) and in UTF-8.

        With `only_unpacked` the content stays in its own encoding.
        """
        pinned = self._held.open() if self._held else None
        raw: io.BufferedReader = self._raw() if pinned is None else io.BufferedReader(pinned)
        try:
            content, packer = unpack(self.name, raw)
            if self.format_options.encoding and packer != PARQUET and not only_unpacked:
                content = Transcoded(content, self.format_options.encoding)
            place = pinned.place if pinned else None
            return Stream(self.name, content, packer, is_verified=pinned is not None, place=place)
        except OSError as error:
            raw.close()
            raise unreadable(self.name, 0, error.strerror or str(error)) from None
        except BaseException:
            raw.close()
            raise

    def open_behind(self, length: int, digest: bytes, check: Check) -> tuple[Stream, bool]:
        """Return the content behind its first `length` bytes, and whether an overlong line is open there.

        Raises Rewritten if the bytes before have another hash (b"": any). If they were hashed before, and
        cannot have changed since, only the end of them is read again.
        """
        begin = 0
        is_plain = self.is_fixed and not self.is_packed and not self.format_options.encoding
        if is_plain and digest in (b"", self._hashed.get(length)):
            begin, digest = max(0, length - LONGEST_RECORD - 1), b""
        stream = self.open() if not begin else self._open_at(begin)
        try:
            return stream, stream.skip(length - begin, digest, check) > LONGEST_RECORD
        except BaseException:
            stream.close()
            raise

    def _open_at(self, offset: int) -> Stream:
        assert self._held is not None
        content = self._held.open(offset)
        raw = io.BufferedReader(content)
        return Stream(self.name, raw, is_verified=True, place=content.place, offset=offset)

    def _raw(self) -> io.BufferedReader:
        if self.is_stdin:
            assert self._stdin is not None
            return self._stdin
        if self.path is None:
            self.check()
            raise unreadable(self.name, 0, "it is gone")
        try:
            return self._opens(self.path)
        except OSError as error:
            raise unopened(self.name, error) from None

    def hashes_at(self, lengths: Iterable[int], check: Check = no_check) -> list[tuple[int, _Hash]]:
        """Return the hash state of the content's beginning for each of the lengths that it has, ascending.

        Empty for an input that can be read only once: standard input, a pipe. `check` is called each MiB, and
        may raise the error that ends the run.
        """
        if self._held is None:
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
                self._hashed[length] = state.digest()
        except ReadError:
            # The reader of the rows meets the same error and reports it.
            pass
        finally:
            stream.close()
        return found
