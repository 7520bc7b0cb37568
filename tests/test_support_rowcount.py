"""The oracle of rows on examples small enough to check by hand; and that it fails when it should."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.accounting import Call, compare, complaints, rejected_in
from tests.support.rowcount import Count, Form, Level, are_apart, count, moment, pair, parts_of, read
from tests.support.rowlogs import BY_NAME, COLUMNS, KINDS, as_csv, as_jsonl, row, seeded

BARE = BY_NAME["no-properties"].form
PLAN = BY_NAME["one-property"].form
Places = Sequence[tuple[str, int]]
T = int(moment("2024-03-01T12:00:00Z"))


def counted(
    folder: Path, *texts: str, form: Form = BARE, overlap: str = "ask", conflicts: Places = ()
) -> Count:
    """Count the rows of these files, which are called 0.csv, 1.csv, …"""
    paths = []
    for number, text in enumerate(texts):
        paths.append(folder / f"{number}.csv")
        paths[-1].write_text(text)
    rejected = {(str(folder / name), line): {"": "conflict"} for name, line in conflicts}
    return count([read(path, form) for path in paths], form, overlap, rejected)


def users(found: Count) -> int:
    """How many events the users have."""
    return sum(one.parts[0].level == "user" for one in found.happenings)


def perfect(found: Count) -> list[Call]:
    """The calls that a faultless sender would make: each in its first free second."""
    taken: set[tuple[str, str, str, int]] = set()
    calls = []
    for one in found.happenings:
        part = one.parts[0]
        second = part.second
        while (part.site, part.identity, part.event, second) in taken:
            second += 1
        taken.add((part.site, part.identity, part.event, second))
        calls.append(Call(part.site, part.identity, part.event, second, part.shown))
    return calls


# Reading


@pytest.mark.parametrize(
    ("text", "zone", "seconds"),
    [
        (f"{T}", "UTC", T),
        (f"{T}000", "UTC", T),
        ("2024-03-01T12:00:00Z", "UTC", T),
        ("2024-03-01 13:00:00+01:00", "UTC", T),
        ("2024-03-01 13:00:00", "Europe/Berlin", T),
        ("2024-03-01", "UTC", T - 12 * 3600),
    ],
)
def test_moments(text: str, zone: str, seconds: int) -> None:
    assert moment(text, zone) == seconds
    assert moment("2024-03-01T12:00:00.125Z") - T == moment(f"{T}.125") - T != 0


def test_a_part_for_each_persona_that_may_do_it(tmp_path: Path) -> None:
    """With its own name, prefix, site and properties."""
    (tmp_path / "log.csv").write_text(as_csv([row(0, event="Paid"), row(0, contact="zoe")]))
    form = BY_NAME["teams"].form
    parts = parts_of(0, read(tmp_path / "log.csv", form), form)
    assert [(one.line, one.site, one.identity, one.event) for one in parts] == [
        (2, "main", "ada", "Paid"),
        (3, "main", "ada", "Invited"),
        (3, "main", "account Acme", "Account Invited"),
        (3, "partners", "zoe", "Was Invited"),
    ]
    assert [dict(one.shown) for one in parts[1:]] == [{"plan": "pro", "Account": "account Acme"}, {}, {}]


def test_csv_and_json_are_read_alike(tmp_path: Path) -> None:
    """Blank, null and absent are the same."""
    rows = [row(0), row(1, plan="", note="x"), row(2, account="")]
    (tmp_path / "a.csv").write_text(as_csv(rows))
    (tmp_path / "a.jsonl").write_text(as_jsonl(rows))
    one, other = (read(tmp_path / name, BARE) for name in ("a.csv", "a.jsonl"))
    assert [line.values for line in one.lines] == [line.values for line in other.lines]


# Which rows are one


def test_within_a_file_rows_are_one_only_if_alike_in_every_column(tmp_path: Path) -> None:
    found = counted(tmp_path, as_csv([row(0), row(0), row(0, note="x"), row(0, plan="free"), row(1)]))
    assert users(found) == 4
    ignored = counted(tmp_path, as_csv([row(0), row(0, note="x")]), form=BARE._replace(ignored=("note",)))
    assert users(ignored) == 1


def test_ids_tell_rows_apart(tmp_path: Path) -> None:
    form = BARE._replace(id="offset")
    rows = [row(0, offset="1"), row(0, offset="2"), row(0, offset="1", plan="free")]
    assert users(counted(tmp_path, as_csv(rows), form=form)) == 2
    assert users(counted(tmp_path, as_csv(rows), as_csv(rows[::-1]), form=form)) == 2


def test_across_files_rows_are_matched_one_for_one(tmp_path: Path) -> None:
    rows = [row(0), row(0, note="x"), row(8)]
    assert users(counted(tmp_path, as_csv(rows), as_csv(rows[::-1]))) == 3
    without = as_csv(rows, [name for name in COLUMNS if name != "note"])
    assert users(counted(tmp_path, as_csv(rows), without)) == 3
    assert users(counted(tmp_path, without, as_csv(rows), overlap="separate")) == 3


@pytest.mark.parametrize(("overlap", "events"), [("separate", 4), ("repeats", 3)])
def test_a_conflict_is_as_it_was_decided(tmp_path: Path, overlap: str, events: int) -> None:
    first, second = as_csv([row(0), row(8), row(16)]), as_csv([row(0), row(8, plan="free"), row(16)])
    assert users(counted(tmp_path, first, second, overlap=overlap)) == events
    asked = counted(tmp_path, first, second)
    assert "a conflict that is not rejected" in asked.wrong[0]
    assert asked.conflicts == {(str(tmp_path / "1.csv"), 3)}
    assert counted(tmp_path, first, second, conflicts=[("1.csv", 3)]).wrong == []


@pytest.mark.parametrize("at", [2, 4])
def test_a_row_that_is_known_or_new_must_not_be_rejected(tmp_path: Path, at: int) -> None:
    first, second = as_csv([row(0), row(16)]), as_csv([row(0), row(8), row(24)])
    assert "rejected, but" in counted(tmp_path, first, second, conflicts=[("1.csv", at)]).wrong[0]


def test_files_that_meet_in_a_second_are_apart(tmp_path: Path) -> None:
    """Unless both lie in it as a whole, or have dates alone."""
    texts = [
        as_csv([row(0), row(8)]),
        as_csv([row(8, note="x"), row(16)]),
        as_csv([row(8, note="y"), row(9)]),
    ]
    for name, text in zip("abc", texts, strict=True):
        (tmp_path / name).write_text(text)
    before, after, inside = (read(tmp_path / name, BARE) for name in "abc")
    assert are_apart(before, after)
    assert are_apart(after, before)
    assert are_apart(before, inside)
    assert not are_apart(inside, inside)
    assert not are_apart(before, before)
    assert not are_apart(before, after._replace(has_dates_only=True))
    assert counted(tmp_path, *texts[:2]).wrong == []
    assert "conflict" in counted(tmp_path, texts[2], as_csv([row(8, note="z")])).wrong[0]


def test_as_many_pairs_as_can_be() -> None:
    assert pair([[0, 1], [0], []]) == {0: 1, 1: 0}
    assert pair([[0], [0]]) == {0: 0}


# It fails when it should


@pytest.fixture
def small(tmp_path: Path) -> Count:
    """A log with many rows of a second."""
    return counted(tmp_path, as_csv(seeded(1, 60, 3)), form=PLAN)


def test_a_faultless_sender_passes(small: Count) -> None:
    assert compare(small, perfect(small), PLAN.spread) == []


@pytest.mark.parametrize("at", [0, 7, -1])
def test_a_lost_call_is_noticed(small: Count, at: int) -> None:
    calls = perfect(small)
    gone = calls.pop(at)
    (said,) = compare(small, calls, PLAN.spread)
    assert said.startswith("lost: ")
    assert repr(gone.identity) in said


@pytest.mark.parametrize("later", [0, 59])
def test_a_doubled_call_is_noticed(small: Count, later: int) -> None:
    """In its own second, and in another one that is allowed."""
    calls = perfect(small)
    said = compare(small, [*calls, calls[0]._replace(second=calls[0].second + later)], PLAN.spread)
    assert [one for one in said if one.startswith(("twice", "counted once"))]


@pytest.mark.parametrize(
    "change",
    [
        {"second": 0},
        {"site": "other"},
        {"identity": "u9"},
        {"event": "Left"},
        {"shown": frozenset({("a", "b")})},
    ],
)
def test_another_call_in_a_rows_place_is_noticed(small: Count, change: dict[str, object]) -> None:
    calls = perfect(small)
    said = compare(small, [calls[0]._replace(**change), *calls[1:]], PLAN.spread)  # type: ignore[arg-type]
    assert [one.partition(":")[0] for one in said] == ["lost", "twice, or of no row"] or len(said) == 2


def test_a_call_far_from_its_row_is_noticed(small: Count) -> None:
    calls = perfect(small)
    far = [one._replace(second=one.second + PLAN.spread + 3) for one in calls[:1]]
    assert compare(small, far + calls[1:], PLAN.spread) != []
    assert compare(small, [calls[0]._replace(second=calls[0].second - 1), *calls[1:]], PLAN.spread) != []


def test_what_may_come_need_not(small: Count) -> None:
    """Of a conflict that was not rejected it can't be known."""
    unsure = replace(small.happenings[0], is_sure=False)
    both = Count([unsure, *small.happenings[1:]])
    calls = perfect(small)
    assert compare(both, calls, PLAN.spread) == compare(both, calls[1:], PLAN.spread) == []


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_a_sender_that_compares_what_it_sends_is_noticed(tmp_path: Path, kind: object) -> None:
    """The bug of issue 11: rows that differ in `note` alone are taken for one."""
    form = next(one.form for one in KINDS if one is kind)
    found = counted(tmp_path, as_csv([row(0), row(0, note="x", contact="zoe"), row(8)]), form=form)
    seen: dict[tuple[object, ...], Call] = {}
    for call in perfect(found):
        first = min(one.second for one in perfect(found) if one.event == call.event)
        seen.setdefault((call.site, call.identity, call.event, call.shown, call.second // 8, first), call)
    assert compare(found, perfect(found), form.spread) == []
    assert any(one.startswith("lost") for one in compare(found, list(seen.values()), form.spread))


def test_rejects_count_for_the_personas_that_they_owe(tmp_path: Path) -> None:
    """A row of which the account's part alone is owed must have sent the user's."""
    (tmp_path / "a.csv").write_text(as_csv([row(0), row(8)]))
    reject = {"source": str(tmp_path / "a.csv"), "line": 3, "code": "D1", "owed": ["account"]}
    (tmp_path / "rejects").write_text(json.dumps(reject) + "\n")
    rejected = rejected_in(tmp_path / "rejects", tmp_path / "none")
    assert rejected == {(str(tmp_path / "a.csv"), 3): {"account": "D1"}}
    calls: Sequence[Call] = [
        Call("main", "ada", "Invited", T, frozenset()),
        Call("main", "Acme", "Invited", T, frozenset()),
        Call("main", "ada", "Invited", T + 1, frozenset()),
    ]
    files = [tmp_path / "a.csv"]
    assert complaints(files, BARE, calls, rejected=rejected) == []
    assert len(complaints(files, BARE, calls[:2], rejected=rejected)) == 1
    assert len(complaints(files, BARE, calls)) == 1


def test_levels_say_what_they_may_do() -> None:
    level = Level("account", "account", events={"A": "", "B": "Else"}, rename="Their {event}")
    assert [level.called(event) for event in "ABC"] == ["Their A", "Else", None]
