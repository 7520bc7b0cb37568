"""Selections by time and by event; and --event-name, for a log without a column for the event."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from km_cli.errors import UsageError
from km_cli.mapping import ColumnOptions, EventsSeen, Selection, make_condition, make_selection
from km_cli.mapping.selection import MOST_SEEN
from km_cli.model import NANOSECONDS, Persona
from km_cli.rules import CATALOGUE
from tests.support.command import Command
from tests.support.logs import COMMANDS, said, written
from tests.support.people import configure
from tests.support.running import run, settings, wire
from tests.support.tracker import Tracker

HEADER = "user,event,timestamp\n"
TIMES = ["2023-12-31T22:59:59Z", "2023-12-31T23:00:00Z", "2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"]
EVENTS = ["Signed Up", "signed,up ", "Bought", "Left"]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Four rows, each of a user, a time and an event of its own."""
    rows = (f'u{n},"{EVENTS[n]}",{TIMES[n]}\n' for n in range(4))
    return written(tmp_path, "".join(rows), HEADER)


def part(**said: Any) -> Selection:
    words: dict[str, Any] = {"since": "", "until": "", "only": (), "skip": (), "timezone": "", **said}
    return make_selection(**words)


PARTS: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [0, 1, 2, 3]),
    ({"since": "2024-01-01"}, [2, 3]),
    ({"since": "2024-01-01", "timezone": "Europe/Berlin"}, [1, 2, 3]),
    ({"since": "2024-01-01T00:00:00+01:00"}, [1, 2, 3]),
    ({"since": "2024-01-01T00:00:00.000001"}, [3]),
    ({"until": "2024-01-01"}, [0, 1]),
    ({"until": "2024-01-02"}, [0, 1, 2]),
    ({"since": "2023-12-31 23:00", "until": "20240102"}, [1, 2]),
    ({"since": "0001-01-01", "until": "9999-12-31T23:59:59"}, [0, 1, 2, 3]),
    ({"only": ["SIGNED UP"]}, [0, 1]),
    ({"only": ["Left", "Bought"]}, [2, 3]),
    ({"skip": ["signed:up"]}, [2, 3]),
    ({"only": ["Left", "Bought"], "skip": ["left"]}, [2]),
    ({"only": ["Left"], "until": "2024-01-02"}, []),
]


@pytest.mark.parametrize(("words", "taken"), PARTS)
def test_parts(tmp_path: Path, log: Path, words: dict[str, Any], taken: list[int]) -> None:
    """At or after --since, before --until, in --timezone; names as Kissmetrics folds them."""
    sent, tally = run([log], tmp_path / "ledger.db", selection=part(**words))
    assert [call["_p"] for call in wire(sent)] == [f"u{number}" for number in taken]
    assert tally.findings["left-out"] == tally.rows.skipped == 4 - len(taken)


@pytest.mark.parametrize("words", [words for words, _ in PARTS[1:]])
def test_the_rest_is_sent_later(tmp_path: Path, log: Path, words: dict[str, Any]) -> None:
    """An import of the whole log sends the rest; one of another selection in between does no harm."""
    ledger = tmp_path / "ledger.db"
    sent = run([log], ledger, selection=part(**words))[0]
    assert not run([log], ledger, selection=part(**words))[0]
    sent += run([log], ledger, selection=part(only=["bought"]))[0]
    sent += run([log], ledger)[0]
    assert sorted(call["_p"] for call in wire(sent)) == ["u0", "u1", "u2", "u3"]


def test_a_selection_holds_its_rows(tmp_path: Path) -> None:
    """However it is written; another selection is another reading."""
    asked = [
        settings(tmp_path, selection=part(**words)).asked
        for words in (
            {"only": ["A", "b"], "since": "2024-01-01T00:00Z"},
            {"only": ["B", "a", "A "], "since": "2024-01-01T01:00+01:00"},
            {"skip": ["A", "b"], "since": "2024-01-01"},
            {"only": ["A", "b"], "until": "2024-01-01"},
            {},
        )
    ]
    assert asked[0] == asked[1]
    assert len(set(asked)) == 4


@pytest.mark.parametrize(
    ("row", "words", "becomes"),
    [
        ("guest,Left,2024-01-01T00:00Z", {"skip": ["left"]}, "skipped"),
        ("guest,Left,never", {"only": ["bought"]}, "skipped"),
        ("guest,Left,1999-01-01T00:00Z", {"since": "2024-01-01"}, "skipped"),
        ("ada,Left,2199-01-01T00:00Z", {"until": "2024-01-01"}, "skipped"),
        ("guest,Left,2024-01-01T00:00Z", {"since": "2024-01-01"}, "rejected"),
        ("guest,Left,2024-01-01T00:00Z", {"only": ["left"]}, "rejected"),
        ("ada,Left,never", {"since": "2024-01-01"}, "rejected"),
        ("ada,Left,2199-01-01T00:00Z", {"since": "2024-01-01"}, "rejected"),
        ("ada,,2024-01-01T00:00Z", {"skip": ["left"]}, "rejected"),
        ("ada,Left", {"only": ["bought"]}, "rejected"),
    ],
)
def test_what_is_wrong_outside_does_not_matter(
    tmp_path: Path, row: str, words: dict[str, Any], becomes: str
) -> None:
    """A row is judged if it is in the selection, or if that is unknown."""
    log = written(tmp_path, row + "\n", HEADER)
    sent, tally = run([log], tmp_path / "ledger.db", selection=part(**words))
    assert not sent
    assert (tally.rows.skipped, tally.rows.rejected) == ((1, 0) if becomes == "skipped" else (0, 1))


def test_times_outside_may_be_in_another_unit(tmp_path: Path) -> None:
    """Times since 1970 without a known unit: rows that are left out do not decide it."""
    log = written(tmp_path, "a,In,1600000000\nb,In,1704067200000\n", HEADER)
    assert len(run([log], tmp_path / "ledger.db", selection=part(since="2024-01-01"))[0]) == 1


def test_the_limit_counts_rows_of_the_part(tmp_path: Path) -> None:
    """Ten rows of one event to a test site first."""
    rows = [f"u{n},{'Bought' if n % 3 == 0 else 'Saw'},2024-01-01T00:00:00Z\n" for n in range(30)]
    log = written(tmp_path, "".join(rows), HEADER)
    ledger = tmp_path / "ledger.db"
    only = part(only=["bought"])
    first, tally = run([log], ledger, selection=only, limit=4)
    assert [call["_p"] for call in wire(first)] == ["u0", "u3", "u6", "u9"]
    assert tally.rows.skipped == 6
    rest, tally = run([log], ledger, selection=only)
    assert [call["_p"] for call in wire(rest)] == ["u12", "u15", "u18", "u21", "u24", "u27"]
    assert tally.rows.skipped == 24


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"since": "yesterday"}, "--since 'yesterday'", "2024-01-31"),
    ({"until": "03/04/2024"}, "--until '03/04/2024'", "2024-01-31"),
    ({"since": "2024-02-30"}, "--since", "2024-01-31"),
    ({"since": "2024-01-02", "until": "2024-01-01"}, "--until", "earlier"),
    ({"since": "2024-01-01", "until": "2024-01-01"}, "no row can be from", "next"),
    ({"only": ["a", " , "]}, "--only", "Signed Up"),
    ({"skip": [""]}, "--skip", "Signed Up"),
    ({"only": ["A"], "skip": ["a", "b"]}, "no row is left", "leave one"),
]


@pytest.mark.parametrize(("words", "message", "hint"), WRONG)
def test_selections_that_are_empty(words: dict[str, Any], message: str, hint: str) -> None:
    """The message names the flag, the hint shows how it is written."""
    with pytest.raises(UsageError) as raised:
        part(**words)
    assert message in str(raised.value)
    assert hint in raised.value.hint


def test_bounds_are_exact() -> None:
    """Nothing is rounded; `:60` is not a time here."""
    assert part(since="2024-01-01T00:00:00.123456").since == 1704067200 * NANOSECONDS + 123456000
    assert part(since="1969-12-31T23:59:59.5").since == -NANOSECONDS // 2


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command(importer: Command, tracker: Tracker, log: Path, command: str) -> None:
    """Rows that are left out are counted, as a finding too; the numbers add up and the summary shows them."""
    words = ("--since", "2024-01-01", "--until", "2024-01-03", "--skip", "left")
    summary = importer(command, log, *words, "--json").ended(0).summary
    assert summary["rows"] | {"held": 0} == {
        "read": 4, "sent": 1, "skipped": 3, "rejected": 0, "held": 0, "pending": 0,
    }  # fmt: skip
    assert summary["findings"]["left-out"] == 3
    assert len(tracker.seen) == (1 if command == "import" else 0)
    said(importer(command, log, "--since", "x").ended(2), "--since 'x'", "2024-01-31")
    if command == "dry-run":
        out = importer(command, log, *words).ended(0).out
        assert "  to skip      3  left out by the selection\n" in out
        assert "(left-out)" in out


# Names that no row has


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"only": ["Bougth"]}, "--only 'bougth': no row has this event; did you mean 'Bought'?"),
        ({"only": ["bought"], "skip": ["x"]}, "--skip 'x': no row has this event"),
        ({"only": ["Im", "LEFT "], "skip": ["signed,Upp"]},
         "--only 'im': no row has this event; "
         "--skip 'signed upp': no row has this event; did you mean 'Signed Up'?"),
        ({"only": ["SIGNED UP"], "skip": ["left"]}, ""),
        ({"since": "2024-01-01"}, ""),
        ({"only": ["left"], "until": "2024-01-01"}, ""),
    ],
)  # fmt: skip
def test_names_that_no_row_has(tmp_path: Path, log: Path, words: dict[str, Any], said: str) -> None:
    """They are reported together, with the nearest names; names are folded as by Kissmetrics (D4)."""
    _, tally = run([log], tmp_path / "ledger.db", selection=part(**words))
    assert tally.findings["no-such-event"] == bool(said)
    if said:
        assert tally.examples["no-such-event"].message == said


def test_rows_that_are_not_read_have_no_findings(tmp_path: Path, log: Path) -> None:
    """A continued reading, a limit and a log without rows do not show which events a log has."""
    ledger = tmp_path / "ledger.db"
    words = part(only=["signed up", "lefd"])
    assert not run([log], ledger, selection=words, limit=1)[1].findings["no-such-event"]
    assert not run([log], ledger, selection=words)[1].findings["no-such-event"]
    assert not run([written(tmp_path, "", HEADER)], ledger, selection=words)[1].findings["no-such-event"]


def test_the_names_that_are_remembered_are_bounded() -> None:
    """The requested event is found behind them all the same."""
    seen = EventsSeen(part(only=["last", "none"]))
    for number in range(2 * MOST_SEEN):
        seen.see(f"Event {number}")
    seen.see("Last")
    assert seen.unseen() == ["--only 'none': no row has this event"]
    assert len(seen._names) == MOST_SEEN


# Conditions that no row meets


TRACKED = [
    {"type": "track", "plan": "pro", "Logged in today": "no"},
    {"type": "page", "plan": "free", "Logged in today": "yes"},
]


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        (["type=track"], ""),
        (["type!=page"], ""),
        (["test!=true"], ""),
        (["Logged in today=yes"], ""),
        (["type == track"], "--where 'type== track': no row meets this condition; did you mean 'track'?"),
        (["type=tra*"], "--where 'type=tra*': no row meets this condition; did you mean 'track'?"),
        (["type=x"], "--where 'type=x': no row meets this condition"),
        (["type=track", "plan=free"],
         "--where 'plan=free': no row meets this condition"),
        (["tpye!=page"], "--where 'tpye!=page': no row has the column 'tpye'; did you mean 'type'?"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["whole", "parts"])
def test_conditions_that_no_row_meets(tmp_path: Path, conditions: list[str], said: str, form: str) -> None:
    """They are reported as names of events are; the numbers of the rows alone would not show a mistake."""
    row = {"user": "ada", "event": "Paid", "timestamp": "2024-01-01T00:00:00Z"}
    lines = [json.dumps(row | more) + "\n" for more in TRACKED]
    paths = [tmp_path / f"{number}.jsonl" for number in range(2 if form == "parts" else 1)]
    for path, text in zip(paths, lines if form == "parts" else ["".join(lines)], strict=True):
        path.write_text(text, encoding="utf-8")
    options = ColumnOptions(properties=(), where=tuple(map(make_condition, conditions)))
    _, tally = run(paths, tmp_path / "ledger.db", column_options=options)
    assert tally.findings["unmet-condition"] == bool(said)
    if said:
        assert tally.examples["unmet-condition"].message == said


@pytest.mark.parametrize("command", COMMANDS)
def test_a_condition_that_no_row_meets_is_a_problem(importer: Command, log: Path, command: str) -> None:
    result = importer(command, log, "--where", "user=u33", "--json").ended(0)
    assert result.summary["findings"] == {"left-out": 4, "unmet-condition": 1}
    message = "no row meets this condition; did you mean 'u3'? (unmet-condition)\n"
    message += f"  next: {CATALOGUE['unmet-condition'].cure}\n"
    assert result.err == f"km-cli: note: --where 'user=u33': {message}"
    config = importer.home / "km.toml"
    config.write_text('[columns]\nwhere = ["user=u03"]\n', encoding="utf-8")
    err = importer(command, log, "--config", config).ended(0).err
    place = "km.toml, columns.where 'user=u03'"
    assert err == ("" if command == "dry-run" else f"km-cli: note: {place}: {message}")
    config.write_text('[columns]\nwhere = ["user"]\n', encoding="utf-8")
    wrong = "km.toml, columns.where: 'user' is not a condition on a column"
    said(importer(command, log, "--config", config).ended(2), wrong)


def test_a_row_that_is_left_out_names_the_condition(tmp_path: Path, log: Path) -> None:
    options = ColumnOptions(where=(make_condition("user in bo,eve"),))
    _, tally = run([log], tmp_path / "ledger.db", column_options=options)
    assert tally.examples["left-out"].message == "it does not meet 'user in bo,eve'"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_name_that_no_row_has_is_a_problem(importer: Command, log: Path, command: str) -> None:
    """It is printed without a terminal too; the exit code stays the same."""
    result = importer(command, log, "--only", "Bougth", "--json").ended(0)
    assert result.summary["findings"] == {"left-out": 4, "no-such-event": 1}
    assert result.err == (
        "km-cli: note: --only 'Bougth': no row has this event; did you mean 'Bought'? (no-such-event)\n"
        f"  next: {CATALOGUE['no-such-event'].cure}\n"
    )
    if command == "dry-run":
        out = importer(command, log, "--only", "Bougth").ended(0).out
        assert "first: --only 'Bougth': no row has this event; did you mean 'Bought'?\n" in out


LISTS: list[tuple[list[str], list[str]]] = [
    (["Bought", "Refunded"], []),
    (
        ["Refunded", "Sigend Up"],
        [
            "km.toml, persona 'account': no row has the event 'Refunded'",
            "km.toml, persona 'account': no row has the event 'Sigend Up'; did you mean 'Signed Up'?",
        ],
    ),
    (
        ["Bought", "Sigend Up"],
        ["km.toml, persona 'account': no row has the event 'Sigend Up'; did you mean 'Signed Up'?"],
    ),
    (["Bought", "Signed In"], []),
    (["SIGNED,UP", "Signed Upp"], []),
    ([], []),
]


@pytest.mark.parametrize(("events", "said"), LISTS)
def test_names_in_personas_lists(events: list[str], said: list[str]) -> None:
    """A small log need not have every event of a list; misspelt names and lists without a match count."""
    lists = [Persona("user", "main"), Persona("account", "main", tuple((name, "") for name in events))]
    seen = EventsSeen(part(), lists)
    assert seen.has_lists == bool(events)
    for name in EVENTS:
        seen.see(name)
    assert seen.unseen() == said


@pytest.mark.parametrize("events", ['["Bougth"]', '{ Bougth = "Paid" }'])
def test_a_misspelt_name_in_km_toml_is_a_problem(
    importer: Command, tracker: Tracker, log: Path, events: str
) -> None:
    configure(importer, f'[[personas]]\nname = "user"\nevents = {events}\n')
    result = importer("import", log).ended(0)
    assert "km.toml, persona 'user': no row has the event 'Bougth'; did you mean 'Bought'?" in result.err
    assert tracker.seen == []


# --event-name


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.csv", "user,time,amount\nada,2024-01-01T00:00Z,9\n"),
        ("x.jsonl", '{"user":"ada","time":"2024-01-01T00:00Z","amount":9}\n'),
    ],
)
def test_a_log_of_one_event(
    importer: Command, tracker: Tracker, tmp_path: Path, name: str, content: str
) -> None:
    """With the flag no column is needed; without it, a column is required."""
    log = written(tmp_path, content, header="", name=name)
    said(importer("import", log).ended(2), "as event")
    assert "the event is 'Billed'" in importer("dry-run", log, "--event-name", "Billed").ended(0).out
    importer("import", log, "--event-name", " Billed ").ended(0)
    (call,) = tracker.calls()
    assert (call["_n"], call["amount"]) == ("Billed", "9")
    importer("import", log, "--event-name", "Billed").ended(0)
    assert len(tracker.seen) == 1


def test_a_column_of_the_event_is_a_property_then(importer: Command, tracker: Tracker, log: Path) -> None:
    """The constant overrides recognised columns. --only and --skip take it like any other name."""
    importer("import", log, "--event-name", "Did", "--only", "did", "--limit", "1").ended(0)
    (call,) = tracker.calls()
    assert (call["_n"], call["event"]) == ("Did", "Signed Up")


def test_rejects_of_a_log_of_one_event(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """Corrected rejects are the same event, without the flag."""
    log = written(tmp_path, "guest,2024-01-01T00:00Z\n", header="user,time\n")
    importer("import", log, "--event-name", "Billed").ended(65)
    (reject,) = importer.rejects()
    corrected = tmp_path / "corrected.jsonl"
    corrected.write_text(json.dumps(reject | {"raw": reject["raw"].replace("guest", "ada")}) + "\n")
    importer("import", corrected).ended(0)
    assert [call["_n"] for call in tracker.calls()] == ["Billed"]


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("--event-name", "Did", "--event", "event"), ("contradict",)),
        (("--event-name", " "), ("--event-name", "empty")),
        (("--event-name", "x" * 255), ("255 characters", "D4")),
    ],
)
def test_event_names_that_are_none(
    importer: Command, log: Path, words: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    """The error comes before anything is read."""
    said(importer("import", log, *words).ended(2), *parts)
