"""A file or standard input as a stream of bytes, whatever it is packed in."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from km_cli.errors import InputError, ReadError, UsageError
from km_cli.inputs.base import in_shell

if TYPE_CHECKING:
    from hashlib import _Hash

_BLOCK = 1 << 20

_NOT_UTF8 = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}


class Stream:
    """Reads the unpacked bytes; says where it stopped being readable."""

    def __init__(self, name: str, raw: io.BufferedReader | gzip.GzipFile) -> None:
        self._name = name
        self._raw = raw
        self._offset = 0

    def read(self, size: int = _BLOCK) -> bytes:
        """Return up to `size` bytes, b"" at the end. Raises ReadError with the offset reached."""
        try:
            data = self._raw.read1(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            said = "the compressed data is cut short" if isinstance(error, EOFError) else str(error)
            raise ReadError(
                f"{self._name}: {said}, after {self._offset:,} bytes of content",
                "what was whole before is dealt with; get a whole copy of the file and run again",
            ) from None
        except OSError as error:
            raise ReadError(
                f"{self._name}: cannot be read after {self._offset:,} bytes: {error.strerror or error}",
                "what was read before is dealt with; run again when the file can be read",
            ) from None
        self._offset += len(data)
        return data

    def skip(self, size: int) -> int:
        """Go on `size` bytes further; return how many bytes of a line are behind us then."""
        behind = 0
        while size > 0 and (data := self.read(min(size, _BLOCK))):
            size -= len(data)
            end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
            behind = len(data) - end if end else behind + len(data)
        return behind

    def close(self) -> None:
        """Close the file behind it."""
        self._raw.close()


class Source:
    """One input named on the command line. `-` is standard input, which can be opened once."""

    def __init__(self, name: str, stdin: io.BufferedReader | None = None) -> None:
        self.path = None if name == "-" else Path(name)
        # A path's bytes need not be text; its name is shown and kept.
        self.name = "<stdin>" if name == "-" else os.fsencode(name).decode(errors="backslashreplace")
        self._stdin = stdin

    def check(self) -> None:
        """Raise UsageError if there is no such file."""
        if self.path is None:
            if self._stdin is None:
                raise UsageError("standard input is closed", "pipe something into it, or name a file")
            return
        try:
            is_folder = stat.S_ISDIR(self.path.stat().st_mode)
        except FileNotFoundError:
            raise UsageError(f"{self.name}: there is no such file", "check the path") from None
        except (OSError, ValueError) as error:
            said = getattr(error, "strerror", None) or str(error)
            raise UsageError(f"{self.name}: cannot be opened: {said}", "check the path") from None
        if is_folder:
            raise UsageError(f"{self.name} is a folder", f"name the files in it: {self.name}/*.csv")

    def open(self) -> Stream:
        """Return its bytes from the start, unpacked if it is gzip (by content, not by name)."""
        if self.path is None:
            assert self._stdin is not None
            raw = self._stdin
        else:
            try:
                raw = self.path.open("rb")
            except OSError as error:
                raise UsageError(
                    f"{self.name}: cannot be opened: {error.strerror}", "check its permissions"
                ) from None
        if raw.peek(2)[:2] == b"\x1f\x8b":
            return Stream(self.name, _Gunzip(raw))
        return Stream(self.name, raw)

    def longest_known(self, lengths: Iterable[int]) -> list[tuple[int, _Hash]]:
        """Hash the content's beginnings: for each length it has, ascending, the hash state there.

        None for what can be read only once: standard input, pipes.
        """
        if self.path is None or not self.path.is_file():
            return []
        stream, done, found = self.open(), 0, []
        state = hashlib.sha256()
        try:
            for length in sorted(lengths):
                while done < length and (data := stream.read(min(length - done, _BLOCK))):
                    state.update(data)
                    done += len(data)
                if done < length:
                    break
                found.append((length, state.copy()))
        except ReadError:
            # It is met again, and said, by who reads on from here.
            pass
        finally:
            stream.close()
        return found


class _Gunzip(gzip.GzipFile):
    """A gzip stream that closes the file below it too."""

    def __init__(self, raw: io.BufferedReader) -> None:
        super().__init__(fileobj=raw, mode="rb")
        self._below = raw

    def close(self) -> None:
        """Close both."""
        super().close()
        self._below.close()


def check_encoding(name: str, head: bytes) -> None:
    """Raise InputError if the beginning of an input shows that it is not UTF-8."""
    encoding = next((name for mark, name in _NOT_UTF8.items() if head.startswith(mark)), "")
    if not encoding and head[:64].count(b"\0") * 3 >= len(head[:64]) > 0:
        encoding = "UTF-16LE" if head[1:64:2].count(b"\0") > head[:64:2].count(b"\0") else "UTF-16BE"
    if not encoding:
        return
    raise InputError(
        f"{name} is encoded in {encoding}, not UTF-8",
        f"convert it first: iconv -f {encoding} -t UTF-8 {in_shell(name)} > NEW",
    )
