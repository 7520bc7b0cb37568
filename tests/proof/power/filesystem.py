"""A file system in memory, on FUSE, that records each change and each sync.

It has no links and one user. The kernel caches what is read, and passes each write on at once; only writes to
mapped memory come late, and SQLite has nothing there that must last (its `-shm` file).
"""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mfusepy

from tests.proof.power.losses import State
from tests.proof.power.trace import (
    GONE,
    ROOT,
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
from tests.support.patience import PATIENCE


@dataclass
class Node:
    """A file or folder. It lives on without a name while a process has it open."""

    number: int
    mode: int
    data: bytearray = field(default_factory=bytearray)
    names: dict[str, Node] = field(default_factory=dict)
    changed: int = field(default_factory=time.time_ns)

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return stat.S_ISDIR(self.mode)


class Filesystem(mfusepy.Operations):
    """The file system. `trace` grows while it is mounted; others may add steps of their own."""

    use_ns = True

    def __init__(self) -> None:
        root = Node(ROOT, stat.S_IFDIR | 0o755)
        self._nodes = {ROOT: root}
        self.trace = Trace([], {ROOT: Kind(True, 0o755)})

    def _note(self, step: Step) -> None:
        self.trace.steps.append(step)

    def _at(self, path: str) -> Node:
        node = self._nodes[ROOT]
        for name in path.split("/"):
            if name:
                if name not in node.names:
                    raise mfusepy.FuseOSError(errno.ENOENT)
                node = node.names[name]
        return node

    def _open(self, path: str | None, handle: int | None) -> Node:
        return self._nodes[handle] if handle else self._at(path or "/")

    def _place(self, path: str) -> tuple[Node, str]:
        folder, _, name = path.rpartition("/")
        return self._at(folder), name

    def _make(self, path: str, mode: int) -> Node:
        folder, name = self._place(path)
        if name in folder.names:
            raise mfusepy.FuseOSError(errno.EEXIST)
        node = Node(len(self._nodes) + 1, mode)
        self._nodes[node.number] = folder.names[name] = node
        self.trace.kinds[node.number] = Kind(node.is_folder, stat.S_IMODE(mode))
        self._note(Named(((folder.number, name, node.number),)))
        return node

    def _remove(self, path: str) -> None:
        folder, name = self._place(path)
        if folder.names[name].names:
            raise mfusepy.FuseOSError(errno.ENOTEMPTY)
        del folder.names[name]
        self._note(Named(((folder.number, name, GONE),)))

    # What FUSE asks for

    def getattr(self, path: str | None, fh: int | None = None) -> dict[str, Any]:
        """Return the attributes of a file."""
        node = self._open(path, fh)
        times = dict.fromkeys(("st_atime", "st_mtime", "st_ctime"), node.changed)
        owner = {"st_uid": os.getuid(), "st_gid": os.getgid()}
        links = {"st_nlink": 2 if node.is_folder else 1, "st_ino": node.number}
        return {"st_mode": node.mode, "st_size": len(node.data), **links, **owner, **times}

    def readdir(self, path: str, fh: int) -> list[str]:  # noqa: ARG002 - FUSE's signature
        """Return the names in a folder."""
        return [".", "..", *self._at(path).names]

    def mkdir(self, path: str, mode: int) -> int:
        """Make a folder."""
        self._make(path, stat.S_IFDIR | mode)
        return 0

    def create(self, path: str, mode: int, fi: Any = None) -> int:  # noqa: ARG002
        """Make a file, and open it."""
        return self._make(path, stat.S_IFREG | mode).number

    def open(self, path: str, flags: int) -> int:
        """Open a file; its handle is its number."""
        node = self._at(path)
        if flags & os.O_TRUNC and node.data:
            self.truncate(path, 0)
        return node.number

    def read(self, path: str | None, size: int, offset: int, fh: int) -> bytes:
        """Return bytes of a file."""
        return bytes(self._open(path, fh).data[offset : offset + size])

    def write(self, path: str | None, data: bytes, offset: int, fh: int) -> int:
        """Write bytes to a file."""
        node = self._open(path, fh)
        overwrite(node.data, offset, data)
        node.changed = time.time_ns()
        self._note(Wrote(node.number, offset, data))
        return len(data)

    def truncate(self, path: str | None, length: int, fh: int | None = None) -> int:
        """Cut a file, or make it longer."""
        node = self._open(path, fh)
        resize(node.data, length)
        node.changed = time.time_ns()
        self._note(Resized(node.number, length))
        return 0

    def unlink(self, path: str) -> int:
        """Remove a file."""
        self._remove(path)
        return 0

    def rmdir(self, path: str) -> int:
        """Remove a folder."""
        self._remove(path)
        return 0

    def rename(self, old: str, new: str) -> int:
        """Give a file another name, in place of the file that has it."""
        source, old_name = self._place(old)
        target, new_name = self._place(new)
        node = source.names.pop(old_name)
        target.names[new_name] = node
        self._note(Named(((source.number, old_name, GONE), (target.number, new_name, node.number))))
        return 0

    def fsync(self, path: str | None, datasync: int, fh: int) -> int:  # noqa: ARG002
        """Note that a file is durable. Its size is part of its data, so `fdatasync` is the same."""
        self._note(Synced(self._open(path, fh).number))
        return 0

    def fsyncdir(self, path: str | None, datasync: int, fh: int) -> int:  # noqa: ARG002
        """Note that the names of a folder are durable."""
        self._note(Synced(self._at(path or "/").number))
        return 0

    def chmod(self, path: str | None, mode: int, fh: int | None = None) -> int:
        """Change the permissions. They are durable at once: no promise is about them."""
        node = self._open(path, fh)
        node.mode = stat.S_IFMT(node.mode) | stat.S_IMODE(mode)
        self.trace.kinds[node.number] = Kind(node.is_folder, stat.S_IMODE(mode))
        return 0

    def chown(self, path: str | None, uid: int, gid: int, fh: int | None = None) -> int:  # noqa: ARG002
        """Do nothing: there is one user."""
        return 0

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        """Set the time of change."""
        self._at(path).changed = times[1] if times else time.time_ns()
        return 0

    # From outside

    def load(self, state: State) -> None:
        """Begin with the files of a state, all of them durable."""
        for path, kind, data in state.found[1:]:
            node = self._make(f"/{path}", (stat.S_IFDIR if kind.is_folder else stat.S_IFREG) | kind.mode)
            if data:
                self.write(None, data, 0, node.number)
        for node in self._nodes.values():
            self._note(Synced(node.number))

    @contextmanager
    def mounted(self, place: Path) -> Iterator[None]:
        """Serve the file system in a thread. This process must not look into the folder meanwhile."""
        options = {"foreground": True, "nothreads": True, "kernel_cache": True, "hard_remove": True}
        thread = threading.Thread(target=lambda: mfusepy.FUSE(self, str(place), **options), daemon=True)
        thread.start()
        try:
            _wait_until_mounted(place, thread)
            yield
        finally:
            subprocess.run(["fusermount3", "-u", "-z", str(place)], check=False, capture_output=True)
            thread.join(PATIENCE)


def _wait_until_mounted(place: Path, thread: threading.Thread) -> None:
    until = time.monotonic() + PATIENCE
    while f" {place} " not in Path("/proc/self/mounts").read_text(encoding="utf-8"):
        if not thread.is_alive() or time.monotonic() > until:
            raise RuntimeError(f"FUSE cannot be mounted at {place}")
        time.sleep(0.01)
