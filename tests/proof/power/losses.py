"""What a disk may hold after the power failed at a step of a trace: what was synced, and some of the rest.

Two models, each with its promise for what was not synced:

- `ordered`, like ext4 as it is installed: names change in the order of the run, and any sync makes all
  earlier changes of names durable. A file grows in order. Pages within its synced size are written in any
  order.
- `harsh`, the promise of POSIX and no more: a sync is about one file, or the names in one folder. Each other
  change of a name, each page and each new size is kept or lost by itself, in any order. A page may be torn at
  any sector, and a sector that was being written may hold noise.

In both, a change of names is whole: a renamed file has its old name or its new one. Bytes next to those that
are written stay as they are, as SQLite expects ("powersafe overwrite").
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from random import Random
from typing import NamedTuple

from tests.proof.power.trace import (
    GONE,
    ROOT,
    Arrived,
    Kind,
    Named,
    Resized,
    Step,
    Synced,
    Trace,
    Wrote,
    overwrite,
    resize,
)

PAGE = 4096
SECTOR = 512

Change = Wrote | Resized


class Model(Enum):
    """How a disk treats what was not synced."""

    ORDERED = "ordered"
    HARSH = "harsh"


class Left(NamedTuple):
    """A file or folder after the loss. `path` has no slash at its beginning, and "" is the topmost folder."""

    path: str
    kind: Kind
    data: bytes


class State(NamedTuple):
    """The disk after the loss, each folder before its content, and how many requests the tracker had."""

    found: tuple[Left, ...]
    requests: int


def state_of(files: Mapping[str, bytes], requests: int) -> State:
    """Return a disk that holds these files in its topmost folder."""
    found = [Left(name, Kind(False, 0o600), data) for name, data in files.items()]
    return State((Left("", Kind(True, 0o755), b""), *found), requests)


class _File:
    """A file's durable bytes, and the changes since it was synced."""

    def __init__(self) -> None:
        self.durable = bytearray()
        self.waiting: list[Change] = []

    def sync(self) -> None:
        for change in self.waiting:
            _apply(self.durable, change)
        self.waiting.clear()


class Disk:
    """A disk that follows a trace. It forgets no change, and knows which of them are durable."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._files: defaultdict[int, _File] = defaultdict(_File)
        self._names: dict[tuple[int, str], int] = {}
        self._waiting: list[Named] = []
        self._requests = 0

    def follow(self, steps: Iterable[Step]) -> None:
        """Take the next steps."""
        for step in steps:
            match step:
                case Synced(node):
                    self._sync(node)
                case Named():
                    self._waiting.append(step)
                case Arrived(requests):
                    self._requests = requests
                case _:
                    self._files[step.node].waiting.append(step)

    def _sync(self, node: int) -> None:
        if node in self._files:
            self._files[node].sync()
        durable = [one for one in self._waiting if self._model is Model.ORDERED or _touches(one, node)]
        self._waiting = [one for one in self._waiting if one not in durable]
        for one in durable:
            _rename(self._names, one)

    def lose(self, kinds: dict[int, Kind], draw: Random) -> State:
        """Return what is left if the power fails now."""
        share = draw.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        names = dict(self._names)
        for one in _kept_names(self._waiting, self._model, share, draw):
            _rename(names, one)
        return State(tuple(self._walk("", ROOT, names, kinds, draw)), self._requests)

    def _walk(
        self, path: str, node: int, names: dict[tuple[int, str], int], kinds: dict[int, Kind], draw: Random
    ) -> Iterator[Left]:
        kind = kinds[node]
        yield Left(path, kind, b"" if kind.is_folder else self._content(node, draw))
        for (folder, name), inner in sorted(names.items()):
            if folder == node:
                yield from self._walk(f"{path}/{name}".lstrip("/"), inner, names, kinds, draw)

    def _content(self, node: int, draw: Random) -> bytes:
        file = self._files[node]
        kept = _in_order if self._model is Model.ORDERED else _in_any_order
        content = bytearray(file.durable)
        for change in kept(file, draw):
            _apply(content, change)
        return bytes(content)


def lost_at(trace: Trace, step: int, model: Model, draw: Random) -> State:
    """Return what is left if the power fails right before this step of a trace."""
    disk = Disk(model)
    disk.follow(trace.steps[:step])
    return disk.lose(trace.kinds, draw)


def without_syncs(trace: Trace, of: Callable[[str], bool] = lambda _name: True) -> Trace:
    """Return the trace of a run on a disk that ignores the syncs of some files and folders.

    `of` gets the first name that the file or folder had, "" for the topmost folder.
    """
    names = {ROOT: ""}
    for step in trace.steps:
        if isinstance(step, Named):
            names |= {node: name for _, name, node in step.changes if node not in names}
    kept = [step for step in trace.steps if not (isinstance(step, Synced) and of(names[step.node]))]
    return trace._replace(steps=kept)


def _touches(one: Named, folder: int) -> bool:
    return any(place == folder for place, _, _ in one.changes)


def _rename(names: dict[tuple[int, str], int], one: Named) -> None:
    for folder, name, node in one.changes:
        if node == GONE:
            names.pop((folder, name), None)
        else:
            names[folder, name] = node


def _kept_names(waiting: Sequence[Named], model: Model, share: float, draw: Random) -> Iterable[Named]:
    if model is Model.ORDERED:
        return waiting[: round(len(waiting) * draw.uniform(share, 1.0))] if share else ()
    return [one for one in waiting if draw.random() < share]


def _apply(content: bytearray, change: Change) -> None:
    if isinstance(change, Resized):
        resize(content, change.size)
    else:
        overwrite(content, change.offset, change.data)


def _pages(changes: Iterable[Change]) -> Iterator[Change]:
    """Cut writes where a page begins."""
    for change in changes:
        yield from (change,) if isinstance(change, Resized) else _cut(change, PAGE)


def _cut(wrote: Wrote, size: int) -> Iterator[Wrote]:
    node, offset, data = wrote
    while data:
        room = size - offset % size
        yield Wrote(node, offset, data[:room])
        offset, data = offset + room, data[room:]


def _in_order(file: _File, draw: Random) -> Iterator[Change]:
    """The file grew up to some point, the last page perhaps in part; later, only old pages are written."""
    pieces = list(_pages(file.waiting))
    end = draw.choice((0, draw.randint(0, len(pieces)), len(pieces)))
    yield from pieces[:end]
    share = draw.choice((0.0, 0.5, 1.0))
    for at, piece in enumerate(pieces[end:]):
        if isinstance(piece, Wrote):
            if piece.offset + len(piece.data) <= len(file.durable):
                if draw.random() < share:
                    yield piece
            elif not at:
                sectors = list(_cut(piece, SECTOR))
                yield from sectors[: draw.randint(0, len(sectors))]


def _in_any_order(file: _File, draw: Random) -> Iterator[Change]:
    """Each piece is kept or not. The later one of two that overlap wins, if it is kept."""
    share = draw.choice((0.0, 0.1, 0.5, 0.9, 1.0))
    torn = draw.choice((0.0, 0.3))
    for piece in _pages(file.waiting):
        if draw.random() >= share:
            if isinstance(piece, Wrote) and draw.random() < torn:
                yield from _torn(piece, draw)
        else:
            yield piece


def _torn(piece: Wrote, draw: Random) -> Iterator[Wrote]:
    """Some sectors of a page are written, some hold noise, and some zeros, as if only the size had grown."""
    for sector in _cut(piece, SECTOR):
        match draw.randrange(4):
            case 0:
                yield sector
            case 1:
                yield sector._replace(data=draw.randbytes(len(sector.data)))
            case 2:
                yield sector._replace(data=bytes(len(sector.data)))
