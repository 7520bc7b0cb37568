"""The ledger file: it keeps all that was committed, and a file that must not be used is refused."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from km_cli.errors import LedgerBusy, LedgerError, LedgerFailed, UsageError
from km_cli.ledger import Ledger, Reading
from km_cli.ledger.slot_bytes import decode_slot, encode_slot
from km_cli.model import (
    Claim,
    Gain,
    KnownCall,
    MovedCall,
    Outcome,
    PlannedCall,
    Receipt,
    Record,
    Row,
    RowPlan,
    Slot,
)

PERSON, SECOND = b"person--", 1_704_067_200

digests = st.binary(min_size=8, max_size=8)
names = st.binary(min_size=4, max_size=4)
pairs = st.lists(digests, max_size=5).map(b"".join)
totals = st.one_of(st.just(b""), digests)
claim = st.builds(
    Claim, st.integers(1, 2**32 - 1), st.booleans(), totals, st.integers(0, 2**32 - 1), st.booleans()
)
claims = st.lists(claim, min_size=1, max_size=8).map(tuple)
known_call = st.builds(
    KnownCall,
    st.just(PERSON),
    st.just(SECOND),
    st.integers(SECOND, SECOND + 86_400),
    digests,
    digests,
    names,
    pairs,
    st.one_of(st.just(b""), digests),
    claims,
    st.integers(0, 2**63 - 1),
)
slots = st.builds(
    Slot,
    st.lists(known_call, max_size=4).map(tuple),
    st.lists(st.builds(MovedCall, names, pairs), max_size=3).map(tuple),
)


@settings(deadline=None)
@given(slots)
def test_a_slot_comes_back_as_it_was(slot: Slot) -> None:
    assert decode_slot(PERSON, SECOND, encode_slot(PERSON, SECOND, slot)) == slot


def plan(number: int = 0, taken: int = SECOND) -> RowPlan:
    """The plan of a row that has one call."""
    row = Row("log.csv", number + 2, b"raw %d\n" % number, [])
    record = Record("main", "user", f"u{number}", "", "E", SECOND * 10**9, (), "")
    payload, deed = b"/e?_p=u%d" % number, number.to_bytes(8, "big")
    planned = PlannedCall("main", "user", payload, PERSON, SECOND, taken, deed, b"total---")
    return RowPlan(row, (planned,), calls=(record,), gains=(Gain(),), reading=1)


def known_in(plan: RowPlan) -> KnownCall:
    """The call of a row as its slot has it."""
    return KnownCall(*plan.planned[0][3:8], b"even", b"", b"", (Claim(1, False),))


def begun(ledger: Ledger) -> Reading:
    return ledger.readings.begin(Reading(0, "", "asked", "{}", "log.csv", ("a", "b"), ","))


def put(ledger: Ledger, *plans: RowPlan) -> None:
    for one in map(known_in, plans):
        slot = ledger.slots.slot(one.person, one.second)
        ledger.slots.put(one.person, one.second, Slot((*slot.known, one), slot.moved))
        if one.taken != one.second:
            ledger.slots.put(one.person, one.taken, Slot((), (MovedCall(one.event, one.pairs),)))


def test_a_commit_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = Ledger.open(path)
    reading = begun(ledger)._replace(length=7, line=1, digest=b"seven")
    plans = [plan(0), plan(1)]
    put(ledger, *plans)
    planned_calls = ledger.commit("t", reading, plans)
    ledger.close()

    again = Ledger.open(path)
    assert list(again.outbox.pending("t", ("main",))) == [planned_calls]
    assert list(again.outbox.pending("other", ("main",))) == []
    assert list(again.outbox.pending("t", ("test",))) == []
    assert again.slots.slot(PERSON, SECOND).known == tuple(map(known_in, plans))
    assert list(again.readings.heads.lengths) == [7]
    (head,) = again.readings.heads.matching(7, b"seven")
    assert (head.asked, head.digest) == ("asked", b"seven")
    assert again.readings.by_number(head.number) == reading._replace(calls=(("t main user", 2),))
    source = again.outbox.source_of(planned_calls[1])
    assert (source.reading, source.row) == (reading.number, Row("log.csv", 3, b"raw 1\n", None))
    again.settle(
        "t", [Receipt(planned_calls[0], Outcome.ACKNOWLEDGED), Receipt(planned_calls[1], Outcome.PENDING)]
    )
    assert list(again.outbox.pending("t", ("main",))) == [planned_calls[1:]]
    again.close()


def test_a_rejected_call_leaves_its_slot_and_the_second_it_moved_to(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "ledger.db")
    plans = [plan(0), plan(1, SECOND + 1)]
    put(ledger, *plans)
    planned_calls = ledger.commit("t", begun(ledger), plans)
    assert ledger.slots.slot(PERSON, SECOND + 1).moved
    ledger.settle("t", [Receipt(planned_calls[1], Outcome.REJECTED)])
    assert ledger.slots.slot(PERSON, SECOND).known == (known_in(plans[0]),)
    assert ledger.slots.slot(PERSON, SECOND + 1) == Slot()
    ledger.close()


def test_uncommitted_slots_are_not_written_with_receipts(tmp_path: Path) -> None:
    """Their calls would be known, and never be sent."""
    ledger = Ledger.open(tmp_path / "ledger.db")
    planned_calls = ledger.commit("t", begun(ledger), [plan(0)])
    put(ledger, plan(1))
    with pytest.raises(AssertionError, match="being planned"):
        ledger.settle("t", [Receipt(planned_calls[0], Outcome.ACKNOWLEDGED)])
    ledger.abandon()
    ledger.settle("t", [Receipt(planned_calls[0], Outcome.ACKNOWLEDGED)])
    ledger.close()


def test_many_pending_calls_come_in_lists_that_split_no_row(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "ledger.db")
    plans = []
    for number in range(1500):
        first, second = plan(number), plan(10_000 + number)
        both = {name: getattr(first, name) + getattr(second, name) for name in ("planned", "calls", "gains")}
        plans.append(first._replace(**both))
    planned_calls = ledger.commit("t", begun(ledger), plans)
    lists = list(ledger.outbox.pending("t", ("main",)))
    assert [planned_call for some in lists for planned_call in some] == planned_calls
    rows = [{planned_call.row for planned_call in some} for some in lists]
    assert len(rows) > 1
    assert not set.intersection(*rows)
    ledger.close()


def test_an_overlay_reads_the_ledger_and_leaves_it_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = Ledger.open(path)
    put(ledger, plan(0))
    ledger.commit("t", begun(ledger)._replace(length=1, digest=b"1"), [plan(0)])
    before = path.read_bytes()
    overlay = Ledger.overlay(path)  # while the other one holds the lock
    assert overlay.slots.slot(PERSON, SECOND).known == (known_in(plan(0)),)
    put(overlay, plan(1))
    overlay.commit("t", begun(overlay), [plan(1)])
    assert len(overlay.slots.slot(PERSON, SECOND).known) == 2
    assert begun(overlay).number == 3
    overlay.close()
    assert path.read_bytes() == before
    assert len(ledger.slots.slot(PERSON, SECOND).known) == 1
    ledger.close()


def test_an_overlay_leaves_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    Ledger.open(path).close()
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    overlay = Ledger.overlay(path)
    assert overlay.slots.slot(PERSON, SECOND) == Slot()
    overlay.close()
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_an_overlay_needs_no_ledger(tmp_path: Path) -> None:
    overlay = Ledger.overlay(tmp_path / "none.db")
    assert overlay.slots.slot(PERSON, SECOND) == Slot()
    overlay.close()
    assert list(tmp_path.iterdir()) == []


def test_one_run_at_a_time_and_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    code = (
        "import sys; from pathlib import Path; from km_cli.ledger import Ledger\n"
        "ledger = Ledger.open(Path(sys.argv[1])); print('held', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(LedgerBusy, match=f"process {holder.pid}"):
            Ledger.open(path)
        holder.kill()
        holder.wait()
        Ledger.open(path).close()


def damaged(path: Path) -> None:
    path.write_bytes(b"not a database, " * 100)
    path.chmod(0o600)


def newer(path: Path) -> None:
    Ledger.open(path).close()
    database = sqlite3.connect(path)
    database.execute("UPDATE meta SET value = '99' WHERE key = 'version'")
    database.commit()
    database.close()


def writable_by_others(path: Path) -> None:
    Ledger.open(path).close()
    path.chmod(0o666)


def a_link(path: Path) -> None:
    Ledger.open(path.with_name("real.db")).close()
    path.symlink_to(path.with_name("real.db"))


@pytest.mark.parametrize("spoil", [damaged, newer, writable_by_others, a_link])
def test_a_ledger_that_must_not_be_used_is_left_as_it_is(tmp_path: Path, spoil) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "ledger.db"
    spoil(path)
    before = path.read_bytes()
    for opens in (Ledger.open, Ledger.overlay):
        with pytest.raises(LedgerError) as caught:
            opens(path)
        assert str(path) in str(caught.value)
        assert caught.value.hint
    assert path.read_bytes() == before


def test_a_failed_commit_leaves_nothing_behind(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "ledger.db")
    reading = begun(ledger)
    ledger.commit("t", reading, [plan(0)])
    put(ledger, plan(1))
    nowhere = plan(1).planned[0]._replace(site=None)  # type: ignore[arg-type]
    with pytest.raises(LedgerFailed):
        ledger.commit("t", reading, [plan(1)._replace(planned=(nowhere,))])
    with pytest.raises(LedgerFailed):
        ledger.commit("t", reading, [plan(2)])
    assert [
        planned_call.payload for some in ledger.outbox.pending("t", ("main",)) for planned_call in some
    ] == [b"/e?_p=u0"]
    assert ledger.slots.slot(PERSON, SECOND) == Slot()
    ledger.close()


def test_a_site_is_its_name_and_its_key_from_its_first_batch_on(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = Ledger.open(path)
    ledger.check_site("t", "main", "a wrong key")
    ledger.commit("t", begun(ledger), [])  # nothing was planned for it, nothing is tied
    ledger.close()

    ledger = Ledger.open(path)
    ledger.check_site("t", "main", "key one")
    ledger.commit("t", begun(ledger), [plan(0)])
    ledger.check_site("t", "main", "key one")
    ledger.check_site("t", "test", "key two")
    ledger.check_site("https://elsewhere", "main", "key two")
    with pytest.raises(UsageError, match="another API key"):
        ledger.check_site("t", "main", "key two")
    ledger.close()
    assert all(b"key one" not in file.read_bytes() for file in tmp_path.iterdir())


def test_the_lock_follows_no_link(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (tmp_path / "ledger.db.lock").symlink_to(precious)
    with pytest.raises(LedgerError):
        Ledger.open(tmp_path / "ledger.db")
    assert precious.read_text() == "precious"


def test_the_ledger_is_for_its_owner_alone(tmp_path: Path) -> None:
    Ledger.open(tmp_path / "state" / "ledger.db").close()
    for path in [tmp_path / "state", *(tmp_path / "state").iterdir()]:
        assert path.stat().st_mode & 0o077 == 0, path
    assert os.listdir(tmp_path / "state")


def test_files_that_no_run_meets_are_forgotten(tmp_path: Path) -> None:
    """Three new files a day, each met for a week, and one that is always met: old ones do not add up."""
    day, asked = 86_400, "ab" * 32
    ledger = Ledger.open(tmp_path / "ledger.db")
    ledger.keep_file((1, 0, 10, 10), asked, 0.0)
    for number in range(100):
        now = float(number * day)
        for file in range(3):
            ledger.keep_file((1, 1 + 3 * number + file, 10, 10), asked, now)
        for known in range(max(0, 3 * number - 21), 3 * number):
            assert ledger.files.is_read((1, 1 + known, 10, 10), asked, now)
        assert ledger.files.is_read((1, 0, 10, 10), asked, now)
        assert not ledger.files.is_read((1, 0, 11, 10), asked, now)
        assert not ledger.files.is_read((1, 0, 10, 10), "cd" * 32, now)
        ledger.tidy_files(now)
    known = sum(ledger.files.is_read((1, file, 10, 10), asked, now) for file in range(301))
    assert known <= 3 * 40
    ledger.close()
