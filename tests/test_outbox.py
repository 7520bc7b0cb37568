"""The outbox: whatever happens to calls and to the run, those that are not settled stay, to the byte."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from km_cli.ledger import Ledger, Reading
from km_cli.ledger.outbox_record import OutboxRecord, number_of, pack_record, unpack_record
from km_cli.model import (
    NO_SECOND,
    Alias,
    Gain,
    Origin,
    Outcome,
    PlannedCall,
    Receipt,
    Record,
    Row,
    RowPlan,
    Wired,
)
from tests.support.drawing import examples
from tests.support.old_ledgers import packed_in

SITES = ("main", "accounts")
SECOND = 1_704_067_200


def planned(number: int, site: str, *, is_alias: bool = False) -> tuple[PlannedCall, Wired]:
    """A call that no other is like, of one of three people."""
    person, deed = b"person %d" % (number % 3), b"deed%04d" % number
    persona = f"persona {site}"
    if is_alias:
        alias = Alias(site, persona, f"u{number}", f"anon{number}")
        payload = b"/a?_p=u%d&_n=anon%d" % (number, number)
        return PlannedCall(site, persona, payload, person, NO_SECOND, NO_SECOND, deed, b""), alias
    record = Record(site, persona, f"u{number}", "", f"Event {number}", SECOND * 10**9, (), "")
    taken = SECOND + number % 5
    payload = b"/e?_p=u%d&_n=Event%%20%d&_t=%d" % (number, number, taken)
    return PlannedCall(site, persona, payload, person, SECOND, taken, deed, b"total%03d" % number), record


class Model:
    """A ledger, and what must be in its outbox: the calls without a receipt, by number.

    `acknowledged` are those of the present run; another run may give their numbers to other calls.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opened = 0
        self.made = 0
        self.open: dict[int, PlannedCall] = {}
        self.acknowledged: dict[int, PlannedCall] = {}
        self.ledger = Ledger.open(folder / "0" / "ledger.db")
        self.reading = self.ledger.readings.begin(Reading(0, "", "asked", "{}", "log.csv", ("a",), ","))

    def post(self, rows: list[list[tuple[str, bool]]]) -> None:
        plans = []
        for kinds in rows:
            row = Row("log.csv", self.made + 2, b"raw %d\n" % self.made, [])
            both = [
                planned(self.made + at, site, is_alias=is_alias)
                for at, (site, is_alias) in enumerate(kinds, 1)
            ]
            self.made += len(kinds)
            calls, gains = tuple(call for _, call in both), (Gain(),) * len(both)
            plans.append(RowPlan(row, tuple(one for one, _ in both), calls=calls, gains=gains, reading=1))
        posted = self.ledger.commit("t", self.reading, plans)
        assert [call[:8] for call in posted] == [call[:8] for plan in plans for call in plan.planned]
        assert not {call.number for call in posted} & {*self.open, *self.acknowledged}
        self.open.update((call.number, call) for call in posted)

    def settle(self, picks: list[tuple[int, Outcome]]) -> None:
        """Give receipts to some of the open calls."""
        numbers = sorted(self.open)
        chosen = {numbers[pick % len(numbers)]: outcome for pick, outcome in picks if numbers}
        receipts = [Receipt(self.open[number], outcome) for number, outcome in chosen.items()]
        for call, outcome, _ in receipts:
            if outcome is not Outcome.PENDING:
                del self.open[call.number]
            if outcome is Outcome.ACKNOWLEDGED:
                self.acknowledged[call.number] = call
        self.ledger.settle("t", receipts)

    def end(self) -> None:
        """End the run properly: calls without a receipt are given up. Then begin another run."""
        self.ledger.settle("t", [Receipt(call, Outcome.PENDING) for call in self.open.values()])
        assert sum(self.ledger.outbox.count("t").values()) == len(self.open)
        self.ledger.close()
        self._open_again()
        self.acknowledged = {}
        assert self.listed() == self.open

    def crash(self) -> None:
        """Go on with a copy of the files as a crash leaves them."""
        before = self.ledger
        self.opened += 1
        shutil.copytree(
            before.path.parent, self.folder / str(self.opened), ignore=lambda *_: ["ledger.db.lock"]
        )
        before.close()
        self._open_again()
        found = self.listed()
        places = {(call.row, call.site) for call in self.open.values() if not call.is_alias}
        again = {number: call for number, call in found.items() if number not in self.open}
        assert {**again, **self.open} == found
        for number, call in again.items():
            assert call == self.acknowledged[number]
            assert (call.row, call.site) in places
        self.open, self.acknowledged = found, {}

    def _open_again(self) -> None:
        self.ledger = Ledger.open(self.folder / str(self.opened) / "ledger.db")

    def listed(self) -> dict[int, PlannedCall]:
        """The calls that the next run sends, each once, with the row that each comes from."""
        outbox = self.ledger.outbox
        calls = [call for some in outbox.pending("t", SITES) for call in some]
        aliases = [call for some in outbox.aliases("t", SITES) for call in some]
        assert not any(call.is_alias for call in calls)
        assert all(call.is_alias for call in aliases)
        assert outbox.has_aliases() is bool(aliases)
        self._check_waiting(calls)
        for call in (*calls, *aliases):
            source = outbox.source_of(call)
            assert (source.reading, source.row.source) == (self.reading.number, "log.csv")
            beside = {alias.number for alias in aliases if (alias.row, alias.site) == (call.row, call.site)}
            assert {alias.number for alias in outbox.aliases_beside(call)} == beside
        found = {call.number: call for call in (*calls, *aliases)}
        assert len(found) == len(calls) + len(aliases)
        return found

    def _check_waiting(self, calls: list[PlannedCall]) -> None:
        waiting = {call.person for call in calls}
        self.ledger.outbox.note_waiting()
        for person in (b"person 0", b"person 1", b"person 2"):
            assert self.ledger.outbox.holds(person) is (person in waiting)

    def check_waiting(self) -> None:
        """An alias waits for every call of its people, and for none that is acknowledged."""
        self._check_waiting([call for call in self.open.values() if not call.is_alias])


kinds = st.lists(st.tuples(st.sampled_from(SITES), st.booleans()), min_size=1, max_size=5)
receipts = st.lists(st.tuples(st.integers(0, 100), st.sampled_from(list(Outcome))), max_size=6)
actions = st.one_of(
    st.tuples(st.just("post"), st.lists(kinds, min_size=1, max_size=3)),
    st.tuples(st.just("settle"), receipts),
    st.tuples(st.sampled_from(["end", "crash", "check_waiting"])),
)


@settings(deadline=None, max_examples=examples(100))
@given(st.lists(actions, max_size=12))
def test_calls_stay_until_they_are_settled(acts: list[tuple[str, object]]) -> None:
    """An orderly end leaves just those; a crash may leave an acknowledged call beside one of them."""
    with tempfile.TemporaryDirectory() as folder:
        model = Model(Path(folder))
        for name, *arguments in acts:
            getattr(model, name)(*arguments)
        model.crash()
        model.end()
        model.ledger.close()


@pytest.fixture
def model(tmp_path: Path) -> Iterator[Model]:
    made = Model(tmp_path)
    yield made
    made.ledger.close()


def test_only_a_crash_brings_back_an_acknowledged_call(model: Model) -> None:
    model.post([[("main", False), ("main", False), ("accounts", False)]])
    model.settle([(0, Outcome.ACKNOWLEDGED), (2, Outcome.ACKNOWLEDGED)])
    assert len(model.open) == 1
    model.crash()
    assert len(model.open) == 2
    model.settle([(0, Outcome.ACKNOWLEDGED)])
    model.end()
    assert len(model.open) == 1


def test_beside_a_call_that_was_given_up_none_comes_back(model: Model) -> None:
    """In whatever order their receipts come: such calls may add up in a long run."""
    model.post([[("main", False)] * 3])
    model.settle([(0, Outcome.ACKNOWLEDGED), (1, Outcome.PENDING)])
    model.settle([(1, Outcome.ACKNOWLEDGED)])
    model.crash()
    assert len(model.open) == 1


def test_a_rejected_call_never_comes_back(model: Model) -> None:
    """Its record is rewritten with its slot, so that no crash can send it again."""
    model.post([[("main", False), ("main", False), ("main", False)]])
    model.settle([(0, Outcome.REJECTED), (1, Outcome.ACKNOWLEDGED)])
    model.crash()
    assert len(model.open) == 1


digests = st.binary(min_size=8, max_size=8)
origins = st.one_of(
    st.none(), st.builds(Origin, st.text(), st.just(("user",)), st.tuples(st.text()), st.text(max_size=1))
)
rows = st.builds(Row, st.text(), st.integers(0, 10**15 - 1), st.binary(), st.none(), origins)
calls = st.builds(
    PlannedCall,
    st.just("main"),
    st.text(max_size=300),
    st.from_regex(r"/[esa]\?_p=[!-~]+", fullmatch=True).map(str.encode),
    digests,
    st.integers(-(2**40), 2**40),
    st.just(0),
    digests,
    st.one_of(st.just(b""), digests),
    st.just(0),
    st.just(3),
)


@settings(deadline=None)
@given(rows, st.lists(calls, min_size=1, max_size=5), st.integers(0, 2**32 - 1))
def test_a_record_comes_back_as_it_was(row: Row, calls: list[PlannedCall], moved: int) -> None:
    calls = [
        call._replace(number=number_of(4, place), taken=call.second + moved)
        for place, call in enumerate(calls)
    ]
    packed = pack_record("tracker", 2, 7, row, calls)
    assert unpack_record(packed) == OutboxRecord(4, "tracker", "main", 3, (2, 7, row), calls)
    assert list(packed_in(packed[-1])) == [str(call.payload, "ascii") for call in calls]


@given(st.integers(0, 10_000), st.integers(0, 7))
def test_a_flipped_bit_is_found(at: int, bit: int) -> None:
    number = number_of(4, 0)
    call = PlannedCall(
        "main", "user", b"/e?_p=u1", b"person--", SECOND, SECOND, b"deed----", b"total---", number, 4
    )
    *columns, body = pack_record("tracker", 2, 7, Row("log.csv", 2, b"raw\n", None), [call])
    flipped = bytearray(body)
    flipped[at % len(body)] ^= 1 << bit
    with pytest.raises(ValueError, match="check sum"):
        unpack_record([*columns, bytes(flipped)])
