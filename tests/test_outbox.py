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
    Claim,
    KnownCall,
    Origin,
    OutboxCall,
    Outcome,
    PlannedCall,
    Receipt,
    Record,
    Row,
    SlotReference,
)
from tests.support.drawing import examples
from tests.support.old_ledgers import packed_in

SITES = ("main", "accounts")
SECOND = 1_704_067_200


def planned(number: int, row: Row, site: str, *, is_alias: bool = False) -> tuple[PlannedCall, bytes]:
    """A call that no other is like, of one of three people, and its bytes."""
    person, deed = b"person %d" % (number % 3), b"deed%04d" % number
    if is_alias:
        alias = Alias(site, f"persona {site}", f"u{number}", f"anon{number}")
        known = KnownCall(person, NO_SECOND, NO_SECOND, deed, b"", b"even", b"", b"", ())
        return PlannedCall(row, alias, known), b"/a?_p=u%d&_n=anon%d" % (number, number)
    record = Record(site, f"persona {site}", f"u{number}", "", f"Event {number}", SECOND * 10**9, (), "")
    taken = SECOND + number % 5
    known = KnownCall(
        person, SECOND, taken, deed, b"total%03d" % number, b"even", b"", b"", (Claim(1, False),)
    )
    return PlannedCall(row, record, known), b"/e?_p=u%d&_n=Event%%20%d&_t=%d" % (number, number, taken)


class Model:
    """A ledger, and what must be in its outbox: the calls without a receipt, by number.

    `acknowledged` are those of the present run; another run may give their numbers to other calls.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opened = 0
        self.made = 0
        self.open: dict[int, OutboxCall] = {}
        self.acknowledged: dict[int, OutboxCall] = {}
        self.ledger = Ledger.open(folder / "0" / "ledger.db")
        self.reading = self.ledger.readings.begin(Reading(0, "", "asked", "{}", "log.csv", ("a",), ","))

    def post(self, rows: list[list[tuple[str, bool]]]) -> None:
        calls = []
        for kinds in rows:
            row = Row("log.csv", self.made + 2, b"raw %d\n" % self.made, [])
            for site, is_alias in kinds:
                self.made += 1
                calls.append(planned(self.made, row, site, is_alias=is_alias))
        posted = self.ledger.commit("t", self.reading, calls)
        assert [call.payload for call in posted] == [payload for _, payload in calls]
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

    def listed(self) -> dict[int, OutboxCall]:
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

    def _check_waiting(self, calls: list[OutboxCall]) -> None:
        waiting = {call.reference.person for call in calls}
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


@settings(deadline=None, max_examples=examples(200))
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
    OutboxCall,
    st.just(0),
    st.just(3),
    st.just("main"),
    st.text(max_size=300),
    st.from_regex(r"/[esa]\?_p=[!-~]+", fullmatch=True).map(str.encode),
    st.builds(
        SlotReference,
        digests,
        st.integers(-(2**40), 2**40),
        st.just(0),
        digests,
        st.one_of(st.just(b""), digests),
    ),
)


@settings(deadline=None)
@given(rows, st.lists(calls, min_size=1, max_size=5), st.integers(0, 2**32 - 1))
def test_a_record_comes_back_as_it_was(row: Row, calls: list[OutboxCall], moved: int) -> None:
    calls = [
        call._replace(
            number=number_of(4, place), reference=call.reference._replace(taken=call.reference.second + moved)
        )
        for place, call in enumerate(calls)
    ]
    packed = pack_record("tracker", 2, 7, row, calls)
    assert unpack_record(packed) == OutboxRecord(4, "tracker", "main", 3, (2, 7, row), calls)
    assert list(packed_in(packed[-1])) == [str(call.payload, "ascii") for call in calls]


@given(st.integers(0, 10_000), st.integers(0, 7))
def test_a_flipped_bit_is_found(at: int, bit: int) -> None:
    reference = SlotReference(b"person--", SECOND, SECOND, b"deed----", b"total---")
    call = OutboxCall(number_of(4, 0), 4, "main", "user", b"/e?_p=u1", reference)
    *columns, body = pack_record("tracker", 2, 7, Row("log.csv", 2, b"raw\n", None), [call])
    flipped = bytearray(body)
    flipped[at % len(body)] ^= 1 << bit
    with pytest.raises(ValueError, match="check sum"):
        unpack_record([*columns, bytes(flipped)])
