"""The proof by power loss: its file system and its disk are right, and it finds each sync that is left out.

The states of real runs are in `test_proof.py`, as a stride of `power_loss`.
"""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.proof import power_loss
from tests.proof.power.losses import PAGE, SECTOR, Model, State, lost_at, without_syncs
from tests.proof.power.recording import lay_out, listening
from tests.proof.power.resuming import wrong_after
from tests.proof.power.scenes import BY_NAME
from tests.proof.power.trace import GONE, ROOT, Arrived, Kind, Named, Resized, Step, Synced, Trace, Wrote
from tests.support.drawing import examples

FILE, OTHER, FOLDER = 2, 3, 4
KINDS = {
    ROOT: Kind(True, 0o755),
    FILE: Kind(False, 0o600),
    OTHER: Kind(False, 0o600),
    FOLDER: Kind(True, 0o700),
}

both = pytest.mark.parametrize("model", list(Model), ids=[model.value for model in Model])


def made(name: str, node: int) -> Named:
    return Named(((ROOT, name, node),))


def renamed(old: str, new: str, node: int) -> Named:
    return Named(((ROOT, old, GONE), (ROOT, new, node)))


def files(state: State) -> dict[str, bytes]:
    return {left.path: left.data for left in state.found if not left.kind.is_folder}


def after(steps: list[Step], model: Model, number: int = 300) -> list[dict[str, bytes]]:
    """Return what many power losses at the end of these steps leave."""
    trace = Trace(steps, KINDS)
    return [files(lost_at(trace, len(steps), model, random.Random(seed))) for seed in range(number)]


# The model of a disk


@both
def test_what_was_synced_is_there(model: Model) -> None:
    steps = [made("a", FILE), Wrote(FILE, 0, b"x" * 9000), Synced(FILE), Synced(ROOT), Resized(FILE, 9000)]
    assert all(found == {"a": b"x" * 9000} for found in after(steps, model))


@both
def test_what_was_not_synced_may_be_there_or_not(model: Model) -> None:
    steps: list[Step] = [made("a", FILE), Synced(FILE), Synced(ROOT), Wrote(FILE, 0, b"x" * 10)]
    assert {b"", b"x" * 10} <= {found["a"] for found in after(steps, model)}


def test_a_name_lasts_from_any_sync_or_from_that_of_its_folder_alone() -> None:
    """ext4 writes one journal; POSIX promises a name only if its folder was synced."""
    steps: list[Step] = [made("a", FILE), Synced(FILE)]
    assert all("a" in found for found in after(steps, Model.ORDERED))
    assert {True, False} == {"a" in found for found in after(steps, Model.HARSH)}


def test_names_change_in_order_or_in_any() -> None:
    steps: list[Step] = [made("a", FILE), made("b", OTHER)]
    assert {frozenset(found) for found in after(steps, Model.ORDERED)} == {
        frozenset(),
        frozenset("a"),
        frozenset("ab"),
    }
    assert frozenset("b") in {frozenset(found) for found in after(steps, Model.HARSH)}


@both
def test_a_renamed_file_has_one_of_its_names(model: Model) -> None:
    steps: list[Step] = [made("a", FILE), Synced(ROOT), renamed("a", "b", FILE)]
    assert {frozenset(found) for found in after(steps, model)} == {frozenset("a"), frozenset("b")}


def test_a_file_that_is_renamed_without_a_sync_may_be_empty() -> None:
    steps: list[Step] = [made("a", FILE), Wrote(FILE, 0, b"new"), renamed("a", "b", FILE), Synced(ROOT)]
    for model in Model:
        assert {b"", b"new"} <= {found["b"] for found in after(steps, model)}


def test_pages_are_lost_and_torn_apart_at_sectors() -> None:
    """An append is cut at a sector by ext4; a later page may be there without an earlier one by POSIX."""
    steps: list[Step] = [made("a", FILE), Synced(ROOT), Wrote(FILE, 0, b"x" * 3 * PAGE)]
    ordered = {len(found["a"]) for found in after(steps, Model.ORDERED)}
    assert {size % SECTOR for size in ordered} == {0}
    assert any(size % PAGE for size in ordered)
    contents = [found["a"] for found in after(steps, Model.HARSH)]
    assert any(one[:PAGE] == bytes(PAGE) and one[PAGE:].startswith(b"x") for one in contents)
    assert any(set(one) - set(b"x\0") for one in contents), "a sector that was being written holds noise"


@both
def test_pages_of_a_synced_size_are_written_in_any_order(model: Model) -> None:
    steps: list[Step] = [made("a", FILE), Wrote(FILE, 0, b"o" * 2 * PAGE), Synced(FILE), Synced(ROOT)]
    steps.append(Wrote(FILE, 0, b"n" * 2 * PAGE))
    contents = {found["a"] for found in after(steps, model)}
    assert b"o" * PAGE + b"n" * PAGE in contents
    assert b"n" * PAGE + b"o" * PAGE in contents


writes = st.builds(
    Wrote, st.sampled_from([FILE, OTHER]), st.integers(0, 9000), st.binary(min_size=1, max_size=99)
)
sizes = st.builds(Resized, st.sampled_from([FILE, OTHER]), st.integers(0, 9000))
syncs = st.builds(Synced, st.sampled_from([FILE, OTHER, ROOT]))
names = st.sampled_from([renamed("a", "c", FILE), renamed("b", "a", OTHER), made("d", OTHER)])


@settings(max_examples=examples(60))
@given(st.lists(st.one_of(writes, sizes, syncs, names), max_size=12), st.sampled_from(Model), st.randoms())
def test_a_disk_that_was_synced_as_a_whole_loses_nothing(
    steps: list[Step], model: Model, draw: random.Random
) -> None:
    begun: list[Step] = [made("a", FILE), made("b", OTHER), *steps]
    synced = [*begun, Synced(FILE), Synced(OTHER), Synced(ROOT)]
    states = {
        lost_at(Trace(synced, KINDS), len(synced), model, random.Random(draw.randrange(10**9)))
        for _ in range(4)
    }
    assert len(states) == 1


def test_the_tracker_has_the_requests_of_that_moment() -> None:
    steps: list[Step] = [Arrived(1), made("a", FILE), Arrived(2), Synced(ROOT), Arrived(3)]
    found = [lost_at(Trace(steps, KINDS), at, Model.HARSH, random.Random(1)).requests for at in range(6)]
    assert found == [0, 1, 1, 2, 2, 3]


def test_some_syncs_can_be_left_out() -> None:
    steps: list[Step] = [made("a", FILE), Synced(FILE), made("b", OTHER), Synced(OTHER), Synced(ROOT)]
    trace = Trace(steps, KINDS)
    assert without_syncs(trace).steps == [steps[0], steps[2]]
    assert without_syncs(trace, lambda name: name == "a").steps == [steps[0], *steps[2:]]
    assert without_syncs(trace, lambda name: name == "").steps == steps[:4]


def test_a_state_is_laid_out_in_place_of_the_one_before(tmp_path: Path) -> None:
    steps: list[Step] = [made("d", FOLDER), Named(((FOLDER, "a", FILE),)), Wrote(FILE, 0, b"x")]
    steps += [Synced(ROOT), Synced(FOLDER), Synced(FILE)]
    disk = tmp_path / "disk"
    for at in (len(steps), 0, len(steps)):
        lay_out(lost_at(Trace(steps, KINDS), at, Model.HARSH, random.Random(1)), disk)
        assert (disk / "d" / "a").exists() == (at > 0)
    assert (disk / "d" / "a").read_bytes() == b"x"
    assert (disk / "d").stat().st_mode & 0o777 == 0o700


# The file system


def needs_fuse() -> None:
    if reason := power_loss.missing():
        pytest.skip(reason)


SCRIPT = """
set -e
cd "$1"
mkdir d
printf hello > d/a
printf ' world' >> d/a
sync d/a
mv d/a d/b
sync d
truncate -s 4 d/b
cat d/b
ls d
rm d/b
"""


def test_the_file_system_keeps_and_records(tmp_path: Path) -> None:
    needs_fuse()
    from tests.proof.power.filesystem import Filesystem

    filesystem = Filesystem()
    with filesystem.mounted(tmp_path):
        done = subprocess.run(
            ["sh", "-c", SCRIPT, "sh", tmp_path], capture_output=True, text=True, check=False
        )
    assert (done.stdout, done.stderr) == ("hellb\n", "")
    assert list(tmp_path.iterdir()) == []
    assert filesystem.trace.steps == [
        Named(((1, "d", 2),)),
        Named(((2, "a", 3),)),
        Wrote(3, 0, b"hello"),
        Wrote(3, 5, b" world"),
        Synced(3),
        Named(((2, "a", GONE), (2, "b", 3))),
        Synced(2),
        Resized(3, 4),
        Named(((2, "b", GONE),)),
    ]


# Syncs that are left out

LEDGER = frozenset({"ledger.db-wal", "ledger.db.new", "ledger.db.new-wal", "ledger.db.new-journal"})
LEFT_OUT: dict[str, tuple[str, Callable[[str], bool]]] = {
    "all of an import": ("import", lambda _: True),
    "all beside the local store": ("local", lambda _: True),
    "the ledger": ("import", lambda name: name in LEDGER),
    "the rejects": ("import", lambda name: name.startswith("rejects")),
    "the bulk files": ("bulk-json", lambda name: name.endswith(".part")),
    "the plan": ("plan", lambda name: "plan.toml" in name),
}


@pytest.mark.slow
@pytest.mark.parametrize("left_out", LEFT_OUT)
def test_a_sync_that_is_left_out_is_found(left_out: str) -> None:
    """The same runs, on a disk that ignores these syncs: some state breaks a promise."""
    needs_fuse()
    name, of = LEFT_OUT[left_out]
    recording, tracker = power_loss.recorded(name)
    trace = without_syncs(recording.trace, of)
    assert len(trace.steps) < len(recording.trace.steps)
    for number in range(60):
        draw = random.Random(number)
        model, step = draw.choice(list(Model)), power_loss.choose_step(trace, draw)
        if wrong_after(BY_NAME[name], recording, lost_at(trace, step, model, draw), tracker):
            return
    pytest.fail("no state broke a promise")


@pytest.mark.slow
def test_a_recording_that_was_kept_gives_the_same_states(tmp_path: Path) -> None:
    """A failure is run again from it, in another process."""
    needs_fuse()
    with listening() as tracker:
        recording = power_loss.record_scene("bulk-json", tmp_path / "folder", tracker)
    kept = tmp_path / "kept"
    recording.keep(kept)
    shutil.rmtree(tmp_path / "folder")
    assert power_loss.run(f"bulk-json 5 {kept}", tmp_path) is None
    again, tracker = power_loss.kept(str(kept))
    assert again == recording
    assert tracker.url == recording.place.url
