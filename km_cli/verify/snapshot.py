"""A snapshot: what Kissmetrics shows and what the ledger has at one time, as values and as a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from km_cli.config.files import read_small
from km_cli.errors import ReadError, Unavailable, UsageError
from km_cli.verify.own import Look, OwnSite
from km_cli.verify.query_v3 import QueryV3
from km_cli.verify.values import Listing, OwnEvent, Product, SiteState, Snapshot
from km_cli.whole_file import write_whole

VERSION: Final = 1
"""The form of the file. Another form is another number."""

_MOST: Final = 200 << 20
"""Bytes; a product may have 65,535 names of each kind (D8)."""

_HINT: Final = "name a file that `km-cli verify --snapshot FILE` has written"


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    km_cli_snapshot: int
    snapshot: Snapshot


class _Version(Struct, frozen=True):
    km_cli_snapshot: int


class Asked(NamedTuple):
    """The sites that could be asked, and why others could not. Without properties if they failed alone."""

    sites: tuple[SiteState, ...]
    failures: tuple[tuple[str, Unavailable], ...]


def ask(api: QueryV3, products: Mapping[str, Product]) -> Asked:
    """Ask for the events and properties of the product of each site. The ledger's part is still empty."""
    sites, failures = [], []
    for site, product in products.items():
        properties = Listing((), is_whole=False)
        try:
            events = api.events(product)
        except Unavailable as error:
            failures.append((site, error))
            continue
        try:
            properties = api.properties(product)
        except Unavailable as error:
            failures.append((site, error))
        sites.append(SiteState(site, product, events, properties, ()))
    return Asked(tuple(sites), tuple(failures))


def with_own(sites: Iterable[SiteState], before: Look, after: Look) -> tuple[SiteState, ...]:
    """Add the ledger's part: as it was before Kissmetrics was asked, and when it had answered."""
    return tuple(
        msgspec.structs.replace(state, own=_own(state.site, before, after), pending=_pending(state, before))
        for state in sites
    )


def _pending(state: SiteState, look: Look) -> int:
    return look.sites.get(state.site, OwnSite({})).pending


def _own(site: str, before: Look, after: Look) -> tuple[OwnEvent, ...]:
    first, last = (look.sites.get(site, OwnSite({})).events for look in (before, after))
    return tuple(_both(first.get(folded), last.get(folded)) for folded in sorted({**first, **last}))


def _both(before: OwnEvent | None, after: OwnEvent | None) -> OwnEvent:
    """Return the bounds that hold whatever a run did between two looks at the ledger."""
    if after is None:
        assert before is not None, "one of both is there"
        return before
    if before is None:
        return OwnEvent(after.name, 0, after.most, 0, after.merged, after.dropped)
    return msgspec.structs.replace(
        before,
        most=max(before.most, after.most),
        merged=max(before.merged, after.merged),
        dropped=max(before.dropped, after.dropped),
    )


def check_new(path: Path) -> None:
    """Raise UsageError if there is a file already: the earlier state cannot be asked for again."""
    if path.exists() or path.is_symlink():
        raise UsageError(
            f"--snapshot {path}: the file exists already", "name a new file: nothing is overwritten"
        )
    if not path.absolute().parent.is_dir():
        raise UsageError(
            f"--snapshot {path}: there is no such folder", "make the folder, or name another one"
        )


def write_snapshot(path: Path, snapshot: Snapshot) -> None:
    """Write a snapshot that only its owner may read. Raises ReadError if the file cannot be written.

    Its name shows the whole file or none.
    """
    body = msgspec.json.encode(_File(VERSION, snapshot))
    try:
        write_whole(path, msgspec.json.format(body) + b"\n")
    except OSError as error:
        raise ReadError(
            f"--snapshot {path}: the file cannot be written: {error.strerror or error}",
            "make room, or name another place",
        ) from None


def read_snapshot(path: Path, label: str) -> Snapshot:
    """Read a snapshot. Raises UsageError, which begins with `label`, for any other file."""
    body = read_small(path, _MOST, label, _HINT)
    try:
        version = msgspec.json.decode(body, type=_Version).km_cli_snapshot
        if version != VERSION:
            raise UsageError(
                f"{label} has form {version}, and this km-cli reads form {VERSION}",
                "read it with the km-cli that wrote it, or take a new snapshot",
            )
        return msgspec.json.decode(body, type=_File).snapshot
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise UsageError(f"{label} is no snapshot, or is damaged: {error}", _HINT) from None
