"""Objects of an object store: `s3://bucket/key`. A key never becomes a path on this machine.

An object has no inode, but an ETag, which changes with its content. It is replaced as a whole, so an object
that is held is fixed: every request for more of it demands the same ETag.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from km_cli.errors import ReadError, UsageError
from km_cli.inputs.base import Check, no_check
from km_cli.inputs.storage.base import Content, Found, Matches, Missing, Stamp, Window, rewritten
from km_cli.inputs.storage.object_search import Keys, Search, as_pattern
from km_cli.inputs.storage.s3 import S3, Body, Entry, digest_of
from km_cli.inputs.storage.s3_errors import Fault
from km_cli.object_address import Address, parse, shown

_HEAD = 1 << 20
"""Bytes at the beginning of an object that are kept: small objects are asked for once."""

T = TypeVar("T")

_ALL = Window(None, None, ZoneInfo("UTC"))


class _Body(Content):
    """The bytes of a held object from a place on. An answer that breaks off is asked for again from there."""

    def __init__(self, held: HeldObject, at: int) -> None:
        self._held = held
        self._at = at
        self._block = memoryview(b"")
        self._body: Body | None = None

    def place(self) -> int:
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        if not self._block:
            self._block = memoryview(self._next())
        size = min(len(buffer), len(self._block))
        buffer[:size] = self._block[:size]
        self._block = self._block[size:]
        self._at += size
        return size

    def close(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None
        super().close()

    def _next(self) -> bytes:
        """Return the next bytes, b"" at the end of the object. Raises ReadError."""
        held, attempt = self._held, 1
        if self._at < len(held.head):
            return held.head[self._at :]
        while self._at < held.found.stamp.size:
            try:
                if self._body is None:
                    self._body = held.ask(self._at)
                if data := held.s3.read(self._body, held.check):
                    return data
                raise Fault("the answer breaks off", "run again later", is_passing=True)
            except Fault as fault:
                if self._body is not None:
                    self._body.close()
                    self._body = None
                self._wait(fault, attempt)
                attempt += 1
        return b""

    def _wait(self, fault: Fault, attempt: int) -> None:
        held = self._held
        if fault.is_changed or fault.is_absent:
            raise rewritten(held.shown, self._at, "replaced" if fault.is_changed else "deleted")
        try:
            held.s3.wait(fault, attempt, held.check)
        except Fault:
            raise ReadError(
                f"{held.shown}: cannot be read after {self._at:,} bytes: {fault}",
                f"{fault.hint}; all rows before that place are dealt with",
            ) from None


class HeldObject:
    """An object as it was when it was opened. `head` are its first bytes."""

    is_fixed = True

    def __init__(self, s3: S3, address: Address, entry: Entry, head: bytes, check: Check) -> None:
        self.s3 = s3
        self.check = check
        self.head = head
        self.shown = shown(str(address))
        self.found = _found(s3, address, entry)
        self._address = address
        self._etag = entry.etag

    def ask(self, at: int) -> Body:
        """Ask for the bytes from a place on. Raises Fault."""
        return self.s3.get(self._address.bucket, self._address.key, self.check, at, etag=self._etag)

    def open(self, offset: int = 0) -> Content:
        """Return its bytes from a place on."""
        return _Body(self, offset)

    def was_touched(self) -> bool:
        """Tell whether another object has the key now, or none."""
        try:
            self.s3.get(*self._address, self.check, 0, 0, self._etag).close()
        except Fault:
            return True
        return False

    def close(self) -> None:
        """Let it go."""
        self.head = b""


def _found(s3: S3, address: Address, entry: Entry) -> Found:
    numbers = digest_of(s3.endpoint, address.bucket, address.key, entry.etag)
    return Found(Stamp(*numbers, entry.size, 0), entry.modified)


class Objects:
    """The objects of the store that the environment names, by their addresses."""

    def __init__(self, s3: S3) -> None:
        self._s3 = s3
        self._listed: dict[str, Found] = {}

    def close(self) -> None:
        """Close all connections."""
        self._s3.close()

    def shown(self, name: str) -> str:
        """Return an address as one line of text."""
        return shown(name)

    def check(self, name: str, check: Check = no_check) -> None:
        """Raise UsageError if there is no such object."""
        if self.stat(name, check) is not None:
            return
        address = parse(name)
        folder = address._replace(key=_as_folder(address.key))
        if below := self._beside(folder, check):
            there = shown(str(folder))
            raise UsageError(f"{shown(name)} is a folder", f"name objects in {there}, which holds {below}")
        raise UsageError(f"{shown(name)}: there is no such object", self._hint(address, check))

    def stat(self, name: str, check: Check = no_check) -> Found | None:
        """Return an object as it is now, or as it was listed last; None if there is none."""
        if name in self._listed:
            return self._listed[name]
        address = parse(name)
        if not address.key or address.key.endswith("/"):
            return None
        with_body = self._get(address, 0, check)
        if with_body is None:
            return None
        with_body.close()
        self._listed[name] = _found(self._s3, address, with_body.entry)
        return self._listed[name]

    def hold(self, name: str, check: Check = no_check) -> HeldObject | None:
        """Open an object; None if there is none."""
        address, attempt = parse(name), 1
        while body := self._get(address, _HEAD - 1, check):
            try:
                return HeldObject(self._s3, address, body.entry, self._read_head(body, check), check)
            except Fault as fault:
                self._wait(address, fault, attempt, check)
                attempt += 1
            finally:
                body.close()
        return None

    def _wait(self, address: Address, fault: Fault, attempt: int, check: Check) -> None:
        try:
            self._s3.wait(fault, attempt, check)
        except Fault:
            raise _unopened(str(address), fault) from None

    def _read_head(self, body: Body, check: Check) -> bytes:
        """Return the first bytes of an object. Raises Fault if the answer breaks off."""
        head, size = b"", min(_HEAD, body.entry.size)
        while len(head) < size:
            data = self._s3.read(body, check)
            if not data:
                raise Fault("the answer breaks off", "run again later", is_passing=True)
            head += data
        return head[:size]

    def expand(self, pattern: str) -> Sequence[str]:
        """Return the objects that a glob matches, sorted."""
        address = parse(pattern)
        if not _has_glob(address.key):
            return [pattern]
        keys = self._search(address, as_pattern(address.key), _ALL, no_check, has_folders=False).found
        if address.key in keys:
            return [pattern]
        if not keys:
            raise UsageError(f"no object matches {shown(pattern)!r}", self._hint(address, no_check))
        return [str(address._replace(key=key)) for key in sorted(keys)]

    def search(self, pattern: str, window: Window, check: Check = no_check) -> Matches:
        """Return the objects of a pattern of km.toml."""
        address = parse(pattern)
        within = address.key
        if within and not _has_glob(within) and "%" not in within and not within.endswith("/"):
            self._listed.pop(pattern, None)
            if self.stat(pattern, check) is not None:
                return Matches(frozenset([pattern]), frozenset(), ())
            within += "/"
        keys, outside = self._search(address, within, window, check, has_folders=True)
        missing: tuple[Missing, ...] = ()
        if not keys and not outside:
            missing = (Missing(pattern, self._hint(address, check)),)
        return Matches(_addresses(address, keys), _addresses(address, outside), missing)

    def _search(
        self, address: Address, pattern: str, window: Window, check: Check, *, has_folders: bool
    ) -> Keys:
        def listing(prefix: str, delimiter: str) -> Iterator[str]:
            for found in self._s3.list(address.bucket, prefix, check, delimiter):
                if isinstance(found, Entry):
                    name = str(address._replace(key=found.key))
                    self._listed[name] = _found(self._s3, address._replace(key=found.key), found)
                    yield found.key
                else:
                    yield found

        searching = Search(listing, window, has_folders=has_folders)
        return self._asking(str(address), lambda: searching.run(pattern))

    def _get(self, address: Address, last: int, check: Check) -> Body | None:
        """Ask for an object up to a byte; None if there is none."""
        try:
            return self._s3.get(address.bucket, address.key, check, 0, last)
        except Fault as fault:
            if fault.is_absent:
                return None
            raise _unopened(str(address), fault) from None

    def _asking(self, name: str, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except Fault as fault:
            raise _unopened(name, fault) from None

    def _hint(self, address: Address, check: Check) -> str:
        """Return a hint for a pattern or a key without an object: what is in its folder."""
        key = address.key
        while _has_glob(key) or "%" in key:
            key = key.rpartition("/")[0]
        folder = address._replace(key=key if key == "" or key != address.key else key.rpartition("/")[0])
        folder = folder._replace(key=_as_folder(folder.key))
        where = shown(str(folder))
        inside = self._beside(folder, check)
        if not inside:
            return f"check the address: there is nothing at {where}"
        return f"check the {'key' if key == address.key else 'pattern'}: {where} holds {inside}"

    def _beside(self, folder: Address, check: Check) -> str:
        """Return the first names in a folder, "" if there is none."""
        names: list[str] = []
        for found in self._asking(
            str(folder), lambda: list(_first(self._s3.list(folder.bucket, folder.key, check, "/")))
        ):
            key = found.key if isinstance(found, Entry) else found
            if key != folder.key:
                names.append(shown(key[len(folder.key) :]))
        more = " and more" if len(names) > 5 else ""
        return ", ".join(sorted(names)[:5]) + more


def _first(listing: Iterator[Entry | str]) -> Iterator[Entry | str]:
    for _, found in zip(range(1000), listing, strict=False):
        yield found


def _addresses(address: Address, keys: set[str]) -> frozenset[str]:
    return frozenset(str(address._replace(key=key)) for key in keys)


def _as_folder(key: str) -> str:
    return key if not key or key.endswith("/") else f"{key}/"


def _has_glob(key: str) -> bool:
    return any(letter in key for letter in "*?[")


def _unopened(name: str, fault: Fault) -> UsageError:
    return UsageError(f"{shown(name)}: cannot be opened: {fault}", fault.hint)


def open_objects() -> Objects:
    """Return the object store that the environment names. Raises UsageError if s3fs is not installed."""
    return Objects(S3())
