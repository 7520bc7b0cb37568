"""The oracle on examples small enough to check by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.oracle import Judgement, StopError, expected, judged, merged

NAMES: dict[str, Any] = {"user": "user", "account": "account", "event": "event", "timestamp": "time"}
T = 1_704_067_200  # 2024-01-01T00:00:00Z
HEAD = "user,account,event,time"


def _csv(folder: Path, *lines: str, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _judged(folder: Path, *lines: str, **more: Any) -> Judgement:
    return judged(_csv(folder, *lines), **NAMES, **more)


def _sent(judgement: Judgement) -> list[tuple[str, int]]:
    """Who, and how many seconds after T."""
    return [(call["_p"], int(call["_t"]) - T) for call in judgement.calls]


def test_a_row_is_two_calls(tmp_path: Path) -> None:
    """The user's, then the account's; every other column is a property, empty ones are left out."""
    path = _csv(tmp_path, f"{HEAD},Plan,Seats", " ana@a , Acme ,Signed Up,2024-01-01T00:00:00.900Z,Pro,")
    shared = {"_n": "Signed Up", "_t": str(T), "_d": "1", "Plan": "Pro"}
    assert expected(path, **NAMES, properties=None) == [{"_p": "ana@a", **shared}, {"_p": "Acme", **shared}]
    assert [list(call) for call in expected(path, **NAMES, properties=[])] == [["_p", "_n", "_t", "_d"]] * 2


def test_one_persona_alone(tmp_path: Path) -> None:
    """An empty id leaves out that part."""
    assert _sent(_judged(tmp_path, HEAD, f"ana,,In,{T}", f",Acme,Billed,{T}")) == [("ana", 0), ("Acme", 0)]


def test_json_numbers_as_written(tmp_path: Path) -> None:
    """Nested names, milliseconds, numbers as in the text, booleans as words, null left out."""
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"user":{"id":7},"event":"Paid","at":1704067200999,"amount":49.00,"big":1e3,"ok":true,"no":null}\n'
        '{"user":{"id":7,"name":"x"},"event":"Paid","at":1704067200999}\n'
        '{"user":{"id":8},"event":"Paid","at":NaN}\n'
        '{"user":{"id":8},"user":{"id":9},"event":"Paid","at":1704067200}\n[]\n\n',
        encoding="utf-8",
    )
    found = judged(path, user="user.id", account="account.id", event="event", timestamp="at")
    assert found.calls == [
        {"_p": "7", "_n": "Paid", "_t": str(T), "_d": "1", "amount": "49.00", "big": "1e3", "ok": "true"}
    ]
    assert (found.lines, found.rows) == ([2, 3, 4, 5], 5)


@pytest.mark.parametrize(
    "row",
    [
        f"ana,Acme,In,{T},more",
        f"ana,Acme,{T}",
        f",,In,{T}",
        f"Guest,Acme,In,{T}",
        f"ana,N/A,In,{T}",
        f"Acme,Acme,In,{T}",
        f"{'x' * 256},Acme,In,{T}",
        f"a\x07na,Acme,In,{T}",
        f"a\u200bna,Acme,In,{T}",
        f"ana,Acme,,{T}",
        "ana,Acme,In,",
        "ana,Acme,In,soon",
        "ana,Acme,In,0000-00-00",
        "ana,Acme,In,2008-12-31T23:59:59.999Z",
        "ana,Acme,In,2999-01-01T00:00:00Z",
        "ana,Acme,In,0",
    ],
)
def test_bad_rows(tmp_path: Path, row: str) -> None:
    """They give nothing, and the rows around them what they should."""
    found = _judged(tmp_path, HEAD, f"bob,Acme,In,{T}", row, f"bob,Acme,In,{T + 9}")
    assert found.lines == [3]
    assert _sent(found) == [("bob", 0), ("Acme", 0), ("bob", 9), ("Acme", 9)]


def test_line_numbers_count_line_breaks_in_quotes(tmp_path: Path) -> None:
    """A row's line is where it begins."""
    found = _judged(
        tmp_path, f"{HEAD},Note", f'ana,,In,{T},"two\nlines"', "", f"none,,In,{T},", f"-,,In,{T},"
    )
    assert found.lines == [5, 6]
    assert found.calls[0]["Note"] == "two\nlines"


def test_ids_across_rows(tmp_path: Path) -> None:
    """The later row is rejected when its id was the other persona's, or folds to another."""
    lines = (f"ana,Acme,In,{T}", f"Acme,Other,In,{T}", f"bob,A:B,In,{T}", f'bob,"A,B",In,{T + 1}')
    assert _judged(tmp_path, HEAD, *lines).lines == [3, 5]
    assert _judged(tmp_path, HEAD, *lines, across_rows=False).lines == []


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        (str(T), None),
        (f"{T}000", None),
        (f"{T}000000", None),
        (f"{T}000000000", None),
        (f"{T}.75", None),
        ("2024-01-01T00:00:00.999999999Z", None),
        ("2024-01-01 01:00:00+01:00", None),
        ("2023-12-31T18:30-0530", None),
        ("Mon, 01 Jan 2024 00:00:00 GMT", None),
        ("2024-01-01 01:00", "Europe/Berlin"),
    ],
)
def test_times(tmp_path: Path, text: str, zone: str | None) -> None:
    """All of these are the same second."""
    assert _sent(_judged(tmp_path, HEAD, f'ana,,In,"{text}"', timezone=zone)) == [("ana", 0)]


def test_local_times(tmp_path: Path) -> None:
    """The hour that is skipped and the one that is doubled are rejected; without a zone the run stops."""
    lines = (
        HEAD,
        "ana,,In,2024-03-31 02:30:00",
        "ana,,In,2024-10-27 02:30:00",
        "ana,,In,2024-10-27 03:00:00",
    )
    assert _judged(tmp_path, *lines, timezone="Europe/Berlin").lines == [2, 3]
    with pytest.raises(StopError):
        _judged(tmp_path, *lines)


@pytest.mark.parametrize("head", ["user,account,event", f"{HEAD},TIME", f"{HEAD},", f"{HEAD},_x"])
def test_headers_that_stop(tmp_path: Path, head: str) -> None:
    """A header that does not fit sends nothing."""
    with pytest.raises(StopError):
        _judged(tmp_path, head, f"ana,Acme,In,{T}")


def test_the_account_moves_by_a_second(tmp_path: Path) -> None:
    """D1: the same folded event of one account in one second; the users stay."""
    found = _judged(tmp_path, HEAD, f"ana,Acme,Log: In,{T}", f"bob,Acme,log  in,{T}", f"cy,Acme,Out,{T}")
    assert _sent(found) == [("ana", 0), ("Acme", 0), ("bob", 0), ("Acme", 1), ("cy", 0), ("Acme", 0)]
    assert (found.moved, found.owed) == (1, [])


def test_another_value_moves_too(tmp_path: Path) -> None:
    """D2: the same folded property with another value; with the same value it stays."""
    found = _judged(
        tmp_path, f"{HEAD},Plan", f"ana,,In,{T},A", f"ana,,Out,{T},B", f"ana,,Up,{T},A", f"ana,,Up,{T}.5,B"
    )
    assert _sent(found) == [("ana", 0), ("ana", 1), ("ana", 0), ("ana", 1)]


def test_no_second_is_left(tmp_path: Path) -> None:
    """D1: that part is owed, the other is sent. D2: it is sent, one value will be lost."""
    found = _judged(tmp_path, HEAD, *(f"u{n},Acme,In,{T}" for n in range(3)), spread=1)
    assert _sent(found) == [("u0", 0), ("Acme", 0), ("u1", 0), ("Acme", 1), ("u2", 0)]
    assert [(part.line, part.persona) for part in found.owed] == [(4, "account")]
    assert found.rejected == []
    found = _judged(tmp_path, f"{HEAD},P", f"ana,,A,{T},1", f"ana,,B,{T},2", spread=0)
    assert (_sent(found), found.merging) == ([("ana", 0), ("ana", 0)], 1)


def test_alike_rows_are_one(tmp_path: Path) -> None:
    """Rows that are alike in every column within a file; the rest are other events."""
    row = f"ana,,In,{T},x,y"
    lines = (f"{HEAD},P,Q", row, row, f"ana,,IN,{T},x,y", f"ana,,In,{T},y,x", f"ana,,In,{T}.001,x,y")
    found = _judged(tmp_path, *lines)
    assert _sent(found) == [("ana", 0), ("ana", 1), ("ana", 2), ("ana", 3)]
    assert found.repeated == 1


def test_ids_tell_rows_apart(tmp_path: Path) -> None:
    """With an id column, equal rows with other ids are several; an id with another deed is refused."""
    lines = (f"{HEAD},id", f"ana,,In,{T},1", f"ana,,In,{T},2", f"ana,,In,{T},1", f"ana,,Out,{T},1")
    found = _judged(tmp_path, *lines, id="id")
    assert _sent(found) == [("ana", 0), ("ana", 1)]
    assert (found.repeated, [part.line for part in found.owed]) == (1, [5])


def test_several_files(tmp_path: Path) -> None:
    """Rows that are alike are known, one for one; the rest is new."""
    first = _csv(tmp_path, f"{HEAD},P", f"ana,,In,{T},x", f"ana,,In,{T},y", name="1.csv")
    second = _csv(tmp_path, f"{HEAD},P", *(f"ana,,In,{T},{value}" for value in "zwyy"), name="2.csv")
    found = judged([first, second], **NAMES)
    sent = [(call["P"], int(call["_t"]) - T) for call in found.calls]
    assert sent == [("x", 0), ("y", 1), ("z", 2), ("w", 3)]
    assert found.repeated == 2
    assert judged([first, first], **NAMES).calls == judged(first, **NAMES).calls


def test_a_new_id_for_a_known_deed(tmp_path: Path) -> None:
    """It is the call that was sent without one, once."""
    first = _csv(tmp_path, f"{HEAD},id", f"ana,,In,{T},", name="1.csv")
    second = _csv(tmp_path, f"{HEAD},id", f"ana,,In,{T},7", f"ana,,In,{T},8", name="2.csv")
    found = judged([first, second, second], **NAMES, id="id")
    assert _sent(found) == [("ana", 0), ("ana", 1)]


def test_merged() -> None:
    """Names fold, duplicates count once, values keep their case."""
    call = {"_p": "a", "_n": "In", "_t": "5", "_d": "1", "Plan": "X"}
    assert merged([call, {**call, "_n": "IN"}, json.loads(json.dumps(call))]) == {
        ("a", "in", 5),
        ("a", "plan", 5, "X"),
    }
    assert len(merged([call, {**call, "Plan": "x"}])) == 3


def test_merged_keeps_the_last_thousand() -> None:
    """D7: by their time, whatever the order; repeats and merged calls are one instance."""
    calls = [{"_p": "a", "_n": "In", "_t": str(n), "_d": "1", "Plan": str(n % 2)} for n in range(1002)]
    kept = merged([*reversed(calls), *calls, {**calls[0], "_p": "b"}, {**calls[0], "_n": "Out"}])
    assert sorted(one[2] for one in kept if one[:2] == ("a", "in")) == list(range(2, 1002))
    assert sorted(one[2] for one in kept if one[1] == "plan" and one[0] == "a") == list(range(2, 1002))
    assert {("b", "in", 0), ("b", "plan", 0, "0"), ("a", "out", 0)} <= kept
    assert len(kept) == 2003
