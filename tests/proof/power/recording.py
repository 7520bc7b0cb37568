"""Runs commands on a disk that records them, beside a tracker whose requests stand in the same record."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.proof.power.losses import State
from tests.proof.power.trace import Arrived, Trace
from tests.support.command import Command, Result
from tests.support.tracker import OK, Hit, Reaction, Tracker


class Place(NamedTuple):
    """The folders of a recording. km-cli remembers paths in them, so they stay where they are."""

    folder: Path
    url: str
    """The tracker's."""

    @property
    def disk(self) -> Path:
        """The folder that loses its power: the home, the ledger, the rejects, and files that are written."""
        return self.folder / "disk"

    @property
    def logs(self) -> Path:
        """The folder of the logs, which are on another disk."""
        return self.folder / "logs"

    def command(self) -> Command:
        """Return the command whose home is on the disk."""
        return Command(self.disk)

    def words(self, template: str) -> list[str]:
        """Return the words of a command line, with the folders and the tracker in their places."""
        return template.format(disk=self.disk, logs=self.logs, url=self.url).split()


class Recording(NamedTuple):
    """A run of some commands: the changes of the disk, and the requests that the tracker got."""

    scene: str
    place: Place
    trace: Trace
    hits: tuple[Hit, ...]

    def keep(self, path: Path) -> None:
        """Write the recording to a file, so that its states can be made again in another process."""
        path.write_bytes(pickle.dumps(self))


def kept_in(path: Path) -> Recording:
    """Return the recording of a file that `Recording.keep` wrote."""
    found = pickle.loads(path.read_bytes())
    assert isinstance(found, Recording)
    return found


@contextmanager
def listening(url: str = "") -> Iterator[Tracker]:
    """Run a tracker, at the address of an earlier one if its URL is given: ledgers know it by that."""
    port = int(url.rpartition(":")[2]) if url else 0
    with Tracker(address=("127.0.0.1", port)) as tracker:
        yield tracker


def record(
    scene: str, place: Place, tracker: Tracker, commands: Sequence[str], before: State
) -> tuple[Recording, list[Result]]:
    """Run the commands one after the other, each in a process of its own, on a disk with this state.

    The tracker has the requests of the state. Return also how the commands ended.
    """
    from tests.proof.power.filesystem import Filesystem  # FUSE's library is not everywhere

    filesystem = Filesystem()
    filesystem.load(before)
    steps = filesystem.trace.steps

    def noting(_hit: Hit, number: int) -> Reaction:
        steps.append(Arrived(number + 1))
        return OK

    steps.append(Arrived(before.requests))
    tracker.behave = noting
    place.disk.mkdir(parents=True, exist_ok=True)
    with filesystem.mounted(place.disk):
        results = [place.command().alone(*place.words(command)) for command in commands]
    tracker.behave = None
    return Recording(scene, place, filesystem.trace, tuple(tracker.hits)), results


def lay_out(state: State, disk: Path) -> None:
    """Make a folder look like the disk after the loss."""
    shutil.rmtree(disk, ignore_errors=True)
    for path, kind, data in state.found:
        where = disk / path
        if kind.is_folder:
            where.mkdir()
        else:
            where.write_bytes(data)
        where.chmod(kind.mode)
