"""`km-cli init`: the role of each column with its reason; the km.toml that it writes can be used as it is."""

from __future__ import annotations

import gzip
import json
import shutil
import tempfile
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from km_cli.config import kmtoml_file
from km_cli.config.kmtoml import KmToml, PersonaTable
from km_cli.inference import Inferred, infer, questions, quoted, toml_text
from km_cli.inference.objects import object_of_properties
from km_cli.inputs import Source, open_reader
from km_cli.mapping import ColumnOptions, members_columns, recognise_columns
from km_cli.model import Persona, Row
from tests.conftest import SAMPLES
from tests.support.command import Command, Result
from tests.support.drawing import examples
from tests.support.logs import said

NOW = 1_750_000_000.0


class Folder:
    """A folder with a log in it, in which the command is run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._km = Command(path)

    def __call__(self, *arguments: str) -> Result:
        """Run the command in this folder."""
        return self._km(*arguments)

    def write(self, name: str, content: str | bytes) -> str:
        """Write a log; return its name."""
        (self.path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return name

    @property
    def toml(self) -> Path:
        """Where km.toml goes."""
        return self.path / "km.toml"

    @property
    def config(self) -> KmToml:
        """The text of km.toml."""
        return kmtoml_file.read(self.toml)

    def persona(self, name: str) -> PersonaTable:
        """The persona of this name in km.toml."""
        return next(persona for persona in self.config.personas if persona.name == name)

    def listed(self, name: str) -> list[str]:
        """The events that km.toml lists for this persona, as comments in the list of those it does not do."""
        text = self.toml.read_text().partition(f'\nname = "{name}"\n')[2].partition("\nnot_events = [")[2]
        lines = text.partition("\n]\n")[0].splitlines()[1:]
        lines = [line.removeprefix("  # ") for line in lines if line.startswith('  # "')]
        return list(tomllib.loads("\n".join(["events = [", *lines, "]"]))["events"])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """An empty folder, which is the current one; commands of other programs find km-cli from there too."""
    monkeypatch.setenv("PYTHONPATH", str(SAMPLES.parent))
    monkeypatch.chdir(tmp_path)
    return Folder(tmp_path)


def table(header: str, rows: Iterable[Sequence[object]], apart: str = ",") -> str:
    """A CSV file of cells that need no quotes."""
    return "\n".join([header, *(apart.join(map(str, row)) for row in rows)]) + "\n"


def log(number: int) -> list[object]:
    """The cells of a usual log's row: user, account, event, time."""
    event = ("Signed Up", "Opened", "Upgraded")[number % 3]
    return [
        f"u{number % 12}@x.example",
        f"Firm {number % 4}",
        event,
        f"2024-01-{1 + number % 28:02}T10:00:00Z",
    ]


def looked_at(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Inferred:
    """The findings about a table, without a file."""
    made = [Row("log.csv", line, b"", list(cells)) for line, cells in enumerate(rows, start=2)]
    return infer(lambda: made, tuple(header), tabular=True, now=NOW)


# As it stands


@pytest.mark.parametrize(
    ("sample", "user", "account", "rows", "rejected"),
    [
        pytest.param("events.csv", "user_id", "account_id", 4056, 7, marks=pytest.mark.slow),
        ("events.jsonl", "user.id", "account.id", 1460, 5),
    ],
)
def test_samples_work_as_they_stand(
    folder: Folder, sample: str, user: str, account: str, rows: int, rejected: int
) -> None:
    """Nothing is asked of them, and a dry run in that folder takes the file as it was written."""
    shutil.copy(SAMPLES / sample, folder.path)
    result = folder("init", sample).ended(0)
    assert result.err == ""
    assert "question:" not in result.out
    assert result.out.endswith(f"then km-cli dry-run {sample}\n")
    assert [persona.column for persona in folder.config.personas] == [user, account]
    assert (folder.config.columns.event, folder.config.columns.timestamp) == ("event", "timestamp")
    counted = folder("dry-run", sample, "--json").ended(65).summary["rows"]
    assert (counted["read"], counted["rejected"]) == (rows, rejected)


def test_what_is_said_of_the_sample(folder: Folder) -> None:
    """Each guess has its reason; bad records and placeholders have their number."""
    shutil.copy(SAMPLES / "events.csv", folder.path)
    out = folder("init", "events.csv").out
    assert "looked at all 4,055 rows" in out
    assert 'time       "timestamp": a usual name; ISO 8601 with an offset' in out
    assert '1 row with "guest" rejected: a placeholder, not an identity (I1)' in out
    assert "1 record; the first, line 403: too few fields" in out
    assert '"Upgraded",  # 30 rows, 30 accounts\n' in folder.toml.read_text()
    assert folder.persona("account").events == folder.persona("user").events == "*"
    assert "Signed Up" not in folder.listed("account")


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_with_semicolons(folder: Folder, packed: bool) -> None:
    """Also packed; the readers recognise all forms without flags."""
    text = table("user;account;event;time", map(log, range(40)), ";").encode()
    name = folder.write("log.csv.gz" if packed else "log.csv", gzip.compress(text) if packed else text)
    folder("init", name).ended(0)
    assert folder("dry-run", name, "--json").ended(0).summary["rows"]["sent"] == 40


def test_flags_for_the_file_are_in_the_next_step(folder: Folder) -> None:
    """They can't stand in km.toml."""
    text = table("user|account|event|time|città", ([*log(n), "è"] for n in range(9)), "|")
    folder.write("log.csv", text.encode("cp1252"))
    out = folder("init", "log.csv", "--encoding", "cp1252", "--delimiter", "pipe").ended(0).out
    assert "km-cli dry-run log.csv --delimiter pipe --encoding cp1252\n" in out
    assert '"città"' in folder.toml.read_text(encoding="utf-8")


# Times


def test_milliseconds(folder: Folder) -> None:
    """They are recognised, there is nothing to ask."""
    rows = [[f"u{n % 5}", f"a{n % 2}", "Opened", 1_704_067_200_000 + n] for n in range(20)]
    folder.write("log.csv", table("userId,accountId,event,ts", rows))
    assert "milliseconds since 1970" in folder("init", "log.csv").ended(0).out
    assert folder.persona("user").column == "userId"
    folder("dry-run", "log.csv").ended(0)


@pytest.mark.parametrize("form", ["2024-01-{:02} 10:00:00", "2024-01-{:02}", "Mon, {:02} Jan 2024 10:00:00"])
def test_local_times_ask_for_their_zone(folder: Folder, form: str) -> None:
    """And an import refuses them until that is answered in km.toml."""
    rows = [[f"u{n}", "a", "Opened", f'"{form.format(n + 1)}"'] for n in range(9)]
    folder.write("log.csv", table("user,account,event,time", rows))
    out = folder("init", "log.csv").ended(0).out
    assert "question: in which time zone was the log written? 9 times without an offset from UTC\n" in out
    said(folder("import", "log.csv", "--to", "local").ended(2), "has no offset from UTC")
    text = folder.toml.read_text()
    folder.toml.write_text(text.replace("# timezone =", "timezone ="))
    assert folder.config.columns.timezone == "Europe/Berlin"
    folder("import", "log.csv", "--to", "local").ended(0)


def test_a_part_over_12_says_what_is_the_day(folder: Folder) -> None:
    """Wherever in the log it stands."""
    rows = [[f"u{n}", "a", "Opened", f"{n + 1:02}/04/2024 10:30 +0200"] for n in range(20)]
    folder.write("log.csv", table("user,account,event,time", rows))
    assert "asked" not in folder("init", "log.csv").ended(0).out
    assert folder.config.columns.time_format == "%d/%m/%Y %H:%M %z"
    assert folder("dry-run", "log.csv", "--json").ended(0).summary["rows"]["sent"] == 20


def test_no_part_over_12_has_to_be_asked(folder: Folder) -> None:
    """Both forms stand there as comments, and taking one for true is enough."""
    rows = [[f"u{n}", "a", "Opened", f"03.{n + 1:02}.24"] for n in range(9)]
    folder.write("log.csv", table("user,account,event,time", rows))
    out = folder("init", "log.csv").ended(0).out
    assert "question: in which form are the times: %d.%m.%y or %m.%d.%y?" in out
    said(folder("import", "log.csv", "--to", "local").ended(2), "read in several ways")
    text = folder.toml.read_text().replace("# timezone", "timezone")
    folder.toml.write_text(text.replace('# time_format = "%m', 'time_format = "%m'))
    folder("import", "log.csv", "--to", "local").ended(0)


def test_times_of_no_known_form_are_asked_for() -> None:
    """Their column is known by its name, an example is shown."""
    found = looked_at(["user", "event", "time"], [["ada", "In", "the ides of March"]])
    assert found.timestamp.column == "time"
    assert any('"the ides of March" is in no known form' in question for question in questions(found))


@pytest.mark.parametrize("day", ["2024-01-{:02}", "{:02}/01/2024", "2024-01-{:02} 00:00:00"])
@pytest.mark.parametrize("clock", ["10:{}", "9:{}:05.25", "10:{} PM"])
def test_a_time_of_day_in_a_column_of_its_own_is_asked_for(day: str, clock: str) -> None:
    """The day alone would be chosen otherwise, and the time of day lost."""
    rows = [[f"u{n}", "In", day.format(n), clock.format(n)] for n in range(10, 29)]
    for names in (["user", "event", "date", "time"], ["user", "event", "date", "clock"]):
        found = looked_at(names, rows)
        assert (found.timestamp.column, found.timestamp.clock) == ("date", names[3])
        assert not found.timestamp.is_known
        (asked, *_) = questions(found)
        assert f'the day is in "date", and the time of day is in "{names[3]}"' in asked
        assert 'timestamp = "?"' in toml_text(found, "log.csv")
    found = looked_at(
        ["user", "event", "ts", "took"], [[*row[:2], f"{row[2][:10]} 10:20", "0:05"] for row in rows]
    )
    assert (found.timestamp.column, found.timestamp.clock) == ("ts", "")


@pytest.mark.parametrize(
    ("name", "row", "apart", "command"),
    [
        ("log.csv", "u{0},In,2024-01-02,10:{0}", ",",
         """mlr --csv put '${timestamp} = ${date} . " " . ${time}' log.csv"""),
        ("log.tsv", "u{0}\tIn\t2024-01-02\t10:{0}", "\t", "mlr --csv --fs tab put "),
        ("log.jsonl", '{{"user":"u{0}","event":"In","date":"2024-01-02","time":"10:{0}"}}', "",
         """jq -c '.timestamp = .["date"] + " " + .["time"]' log.jsonl"""),
    ],
)  # fmt: skip
def test_day_and_time_of_day_are_joined_by_a_command(
    folder: Folder, name: str, row: str, apart: str, command: str
) -> None:
    """The km.toml cannot be used before that."""
    header = [apart.join(("user", "event", "date", "time"))] if apart else []
    folder.write(name, "\n".join([*header, *(row.format(n) for n in range(10, 30)), ""]))
    out = folder("init", name).ended(0).out
    assert f"for example: {command}" in out
    said(folder("dry-run", name, "--timezone", "UTC").ended(2), 'beside "?" in km.toml')


def test_what_is_next_is_a_sentence(folder: Folder) -> None:
    """Also if it is written to standard output."""
    folder.write("log.csv", table("user,account,event,time", [log(n) for n in range(20)]))
    result = folder("init", "log.csv", "--output", "-").ended(0)
    assert "next: save it as km.toml, check it, then km-cli dry-run log.csv\n" in result.err
    assert "next: check km.toml, then km-cli dry-run" in folder("init", "log.csv").ended(0).out


def test_units_that_are_mixed_are_asked_for() -> None:
    """No import can read them."""
    rows = [["ada", "In", "1704067200"], ["bob", "In", "1704067200000"]]
    assert questions(looked_at(["user", "event", "time"], rows)) == (
        "in which unit are the times? There are seconds and milliseconds",
    )


# Who


def test_one_id_of_two_personas_gets_a_prefix(folder: Folder) -> None:
    """Without it Kissmetrics would make one person of both, for good (I2)."""
    rows = [[n % 6, n % 3, "Opened", f"2024-01-01T10:00:{n:02}Z"] for n in range(30)]
    folder.write("log.csv", table("user_id,account_id,event,time", rows))
    out = folder("init", "log.csv").ended(0).out
    assert 'prefix "account ", because 3 identities of it are used by another persona as well (I2)' in out
    assert folder.persona("account").prefix == "account "
    assert folder.persona("user").prefix == ""
    assert folder("dry-run", "log.csv", "--json").ended(0).summary["rows"]["rejected"] == 0


def test_numbers_that_do_not_meet_yet_get_a_prefix() -> None:
    """They will, in other rows; words do not."""
    times = [f"2024-01-01T10:00:{n:02}Z" for n in range(9)]
    header = ["user", "account", "event", "time"]
    numbers = looked_at(header, [[f"{n}", f"{n % 3 + 50}", "In", time] for n, time in enumerate(times)])
    words = looked_at(header, [[f"u{n}", f"{n % 3 + 50}", "In", time] for n, time in enumerate(times)])
    assert [persona.prefix for persona in numbers.personas] == ["", "account "]
    others = looked_at(header, [[f"{n}", f"a{n % 3}", "In", time] for n, time in enumerate(times)])
    assert [persona.prefix for persona in (*words.personas, *others.personas)] == [""] * 4


def test_a_log_of_users_alone(folder: Folder) -> None:
    """It can be imported, and km.toml says how accounts could come in."""
    folder.write(
        "log.csv", table("email,action,ts", ([row[0], row[2], row[3]] for row in map(log, range(9))))
    )
    assert "account    not found" in folder("init", "log.csv").ended(0).out
    assert [persona.name for persona in folder.config.personas] == ["user"]
    assert "# [members]\n" in folder.toml.read_text()
    assert folder("dry-run", "log.csv", "--json").ended(0).summary["calls"]["planned"] == 9


def test_three_levels(folder: Folder) -> None:
    """Each is a persona, in the order of the columns; a column of other names for an identity is not."""
    rows = [[*log(n), f"Org {n % 2}", f"c{n % 7}@y.example", f"number {n % 4}"] for n in range(84)]
    header = "user,account_id,event,time,organisation,contact,company"
    folder.write("log.csv", table(header, rows))
    folder("init", "log.csv").ended(0)
    assert [(persona.name, persona.column) for persona in folder.config.personas] == [
        ("user", "user"), ("account", "account_id"), ("organisation", "organisation"), ("contact", "contact"),
    ]  # fmt: skip
    assert '# properties = ["company"]' in folder.toml.read_text()
    assert folder("dry-run", "log.csv", "--json").ended(0).summary["calls"]["planned"] == 84 * 4


def test_names_as_process_mining_has_them() -> None:
    """XES: the group beside the resource is the account, another of the same word is a property."""
    header = [
        "case:concept:name",
        "case:group",
        "concept:name",
        "org:resource",
        "org:group",
        "time:timestamp",
    ]
    rows = [
        [
            f"case {n % 90}",
            f"g{n % 3}",
            f"T0{n % 5}",
            f"r{n % 20}",
            f"h{n % 4}",
            f"2024-01-01T10:00:00.{n:03}Z",
        ]
        for n in range(300)
    ]
    found = looked_at(header, rows)
    assert [persona.guess.column for persona in found.personas] == ["org:resource", "org:group"]
    assert found.personas[1].guess.others == ("case:group",)
    assert (found.event.column, found.timestamp.column) == ("concept:name", "time:timestamp")
    assert found.properties == ("case:concept:name", "case:group")


def test_what_accounts_have_one_value_of_is_proposed(folder: Folder) -> None:
    """Neither properties that differ within one, nor those that all of them share."""
    rows = [[*log(n), ("free", "pro")[n % 2], n % 5, "web"] for n in range(48)]
    folder.write("log.csv", table("user,account,event,time,plan,clicks,source", rows))
    folder("init", "log.csv").ended(0)
    text = folder.toml.read_text()
    assert '# properties = ["plan"]  # send only these: each account has one value of them\n' in text
    folder.toml.write_text(text.replace('# set = ["plan"]', 'set = ["plan"]'))
    assert folder("dry-run", "log.csv").ended(0).out.count("set  20") > 0


def test_what_accounts_of_one_user_have_is_the_users_own() -> None:
    """It says nothing about the account."""
    rows = [[f"u{n % 6}", f"a{n % 6}", "In", f"2024-01-01T10:00:{n:02}Z", f"d{n % 6}"] for n in range(36)]
    assert looked_at(["user", "account", "event", "time", "device"], rows).personas[1].constant == ()


def test_an_account_that_does_too_much_of_one_event(folder: Folder) -> None:
    """D7 is reported before anything is sent."""
    rows = [[f"u{n}", "Acme", ("Opened", "Closed")[n % 10 == 0], 1_704_067_200 + n] for n in range(1200)]
    folder.write("log.csv", table("user,account,event,time", rows))
    out = folder("init", "log.csv").ended(0).out
    assert 'one account does these over 1,000 times, and the last 1,000 are kept (D7): "Opened"\n' in out
    text = folder.toml.read_text()
    assert '  # "Opened",  # 1,080 rows, 1 account; 1,080 of one account, of which' in text
    assert '  # "Closed",  # 120 rows, 1 account\n' in text


# By content


@pytest.mark.parametrize("more", [{"plan": "pro"}, {"kind_of_plan": "a"}, {}])
def test_the_name_of_an_inner_object_is_the_event_if_no_column_is(
    folder: Folder, more: dict[str, str]
) -> None:
    """Other columns with few words are named beside it. A column of the row itself would go first."""
    events = [*map(log, range(12))]
    rows = [
        {"user_id": user, "ts": 1_704_067_200 + n, "payload": {"name": event, "n": n % 3, **more}}
        | {"source": ("web", "ios")[n % 2]}
        for n, (user, _, event, _) in enumerate(events)
    ]
    folder.write("log.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    folder("init", "log.jsonl").ended(0)
    assert folder.config.columns.event == "payload.name"
    folder.write("log.jsonl", "".join(json.dumps(row | {"type": row["source"]}) + "\n" for row in rows))
    assert 'event = "type"' in folder("init", "log.jsonl", "--output", "-").ended(0).out


def test_without_usual_names_what_is_sure_is_taken() -> None:
    """Emails, times, and words in a column with a likely name; each with its reason."""
    rows = [[who, what, when, f"{n}"] for n, (who, _, what, when) in enumerate(map(log, range(30)))]
    found = looked_at(["who", "what_happened", "noted", "n"], [[str(cell) for cell in row] for row in rows])
    assert found.personas[0].guess[:2] == ("who", "a guess: its values are email addresses")
    assert found.event[:2] == ("what_happened", "a guess: it has 3 distinct values, which recur")
    assert found.timestamp[:2] == ("noted", "a guess: its values are times")
    assert questions(found) == ()


def test_without_usual_names_what_is_not_sure_is_asked(folder: Folder) -> None:
    """Nothing is imported until a person has said it."""
    rows = [
        [f"k{n % 9}", f"f{n % 4}", ("a", "b")[n % 2], row[3]] for n, row in enumerate(map(log, range(36)))
    ]
    name = folder.write("log.csv", table("x,y,z,t", rows))
    out = folder("init", name).ended(0).out
    assert 'question: which column is the event? Perhaps "x"\n' in out
    assert "question: which column is the user?" in out
    said(folder("import", name, "--to", "local").ended(2), "columns found: x, y, z, t")


def test_what_is_not_found_stands_there_as_a_comment(folder: Folder) -> None:
    """With the columns that exist; an import then says which are missing."""
    rows = [[f"{n}.5", row[3]] for n, row in enumerate(map(log, range(9)))]
    name = folder.write("log.csv", table("weight,time", rows))
    folder("init", name).ended(0)
    assert '\n# event = "?"  # none of these looks like it: "weight"\n' in folder.toml.read_text()
    said(folder("import", name, "--to", "local").ended(2), "columns found: weight, time")
    folder.toml.write_text(folder.toml.read_text().replace("# event_name", "event_name"))
    said(folder("import", name, "--to", "local").ended(2), "does not say yet which column is the user")


def test_an_id_is_one_only_if_no_value_recurs() -> None:
    """Else rows would be taken for sent that are not."""
    header = ["event_id", "user", "event", "time"]
    times = [f"2024-01-01T10:00:{n:02}Z" for n in range(9)]
    unique = looked_at(header, [[f"i{n}", "ada", "In", time] for n, time in enumerate(times)])
    recurring = looked_at(header, [[f"i{n % 8}", "ada", "In", time] for n, time in enumerate(times)])
    with_gap = looked_at(header, [[f"i{n}" if n else "", "ada", "In", time] for n, time in enumerate(times)])
    assert unique.id.column == "event_id"
    assert recurring.id.column == with_gap.id.column == ""


# What can't be a property


def test_a_list_of_ids_is_no_event(folder: Folder) -> None:
    """`org.ids` names accounts, and never the event."""
    rows = (
        {"actor": {"id": f"u{n % 12}"}, "org": {"ids": [f"o{n % 5}"]}, "payload": {"name": f"Did {n % 3}"},
         "ts": 1717200000 + n}
        for n in range(60)
    )  # fmt: skip
    name = folder.write("log.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    folder("init", name).ended(0)
    assert folder.config.columns.event == "payload.name"
    assert [persona.column for persona in folder.config.personas] == ["actor.id", "org.ids"]


def test_nested_json_is_left_out(folder: Folder) -> None:
    """By its root, even if a part of it is an identity."""
    made: list[dict[str, Any]] = [
        {"user": {"id": f"u{n % 4}", "name": "A"}, "account": {"id": f"a{n % 2}"}, "event": "In",
         "timestamp": 1_704_067_200 + n, "tags": ["x"], "at": {"page": {"url": "/"}}, "_k": 1,
         "Referrer": "r"}
        for n in range(12)
    ]  # fmt: skip
    folder.write("log.jsonl", "\n".join(map(json.dumps, made)))
    out = folder("init", "log.jsonl").ended(0).out
    assert folder.config.columns.exclude == ["user", "tags", "at", "_k"]
    assert 'left out   "_k": reserved by Kissmetrics' in out
    assert '# Kissmetrics sets "Referrer" itself' in folder.toml.read_text()
    assert folder("dry-run", "log.jsonl", "--json").ended(0).summary["rows"]["sent"] == 12


def test_an_empty_object_is_flattened_away(folder: Folder) -> None:
    """It has no column that could be left out by its name."""
    made = [{"user": "ada", "event": "In", "timestamp": 1_704_067_200 + n, "extra": {}} for n in range(3)]
    folder.write("log.jsonl", "\n".join(map(json.dumps, made)))
    folder("init", "log.jsonl").ended(0)
    assert folder.config.columns.flatten
    folder("dry-run", "log.jsonl").ended(0)


def test_reserved_and_long_names_are_left_out(folder: Folder) -> None:
    """A header with them can't be imported otherwise."""
    long = "n" * 255
    folder.write("log.csv", table(f"user,event,time,KM_x,{long}", [["ada", "In", 1_704_067_200, 1, 2]]))
    folder("init", "log.csv").ended(0)
    assert folder.config.columns.exclude == ["KM_x", long]
    folder("dry-run", "log.csv").ended(0)


# Where it goes


def test_nothing_is_overwritten(folder: Folder) -> None:
    """Not even by the same."""
    folder.write("log.csv", table("user,account,event,time", map(log, range(9))))
    folder.toml.write_text("# mine\n")
    said(folder("init", "log.csv").ended(2), "km.toml exists already", "--output -")
    assert folder.toml.read_text() == "# mine\n"
    (folder.path / "dangling.toml").symlink_to(folder.path / "nowhere")
    said(folder("init", "log.csv", "--output", "dangling.toml").ended(2), "exists already")


def test_elsewhere(folder: Folder) -> None:
    """The next step names the place; nothing but that file is left behind."""
    folder.write("log.csv", table("user,account,event,time", map(log, range(9))))
    (folder.path / "config").mkdir()
    out = folder("init", "log.csv", "--output", "config/my.toml").ended(0).out
    assert "km-cli dry-run log.csv --config config/my.toml\n" in out
    assert [path.name for path in (folder.path / "config").iterdir()] == ["my.toml"]
    folder("dry-run", "log.csv", "--config", "config/my.toml").ended(0)
    said(
        folder("init", "log.csv", "--output", "nowhere/km.toml").ended(2), "nowhere/km.toml cannot be written"
    )


def test_standard_output_holds_the_file_alone(folder: Folder) -> None:
    """The findings are printed on standard error."""
    folder.write("log.csv", table("user,account,event,time", map(log, range(9))))
    result = folder("init", "log.csv", "--output", "-").ended(0)
    assert not folder.toml.exists()
    folder.toml.write_text(result.out)
    assert folder.persona("account").column == "account"
    assert "looked at all 9 rows" in result.err


# What can't be looked at


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("log.csv", "", "has no rows"),
        ("log.csv", "user,event,time\n", "has no rows"),
        ("log.jsonl", "", "has no rows"),
        (
            "log.csv",
            "user,event,time\nada\nbob\n",
            "none of its records can be read; the first, line 2: too few",
        ),
        ("log.csv", '{"km_cli_reject": 1, "line": 1, "raw": ""}\n', "holds rejected rows"),
    ],
)
def test_nothing_to_look_at(folder: Folder, name: str, content: str, what: str) -> None:
    """Exit 2, the reason, and no file."""
    folder.write(name, content)
    said(folder("init", name).ended(2), what)
    assert not folder.toml.exists()


def test_what_is_read_only_once(folder: Folder) -> None:
    """It is looked at twice."""
    said(folder("init", "-").ended(2), "standard input can be read only once")


def test_a_log_that_is_longer_than_the_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """No list of events is in force: it would leave out those that come later."""
    for module in ("profiles", "relations"):
        monkeypatch.setattr(f"km_cli.inference.{module}.INFERRED_ROWS", 20)
    rows = [[str(cell) for cell in log(n)] for n in range(21)]
    header = ["user", "account", "event", "time"]
    part, all_of_it = looked_at(header, rows), looked_at(header, rows[:20])
    assert (part.rows, part.is_all, all_of_it.rows, all_of_it.is_all) == (20, False, 20, True)
    for found, looked in ((part, "; the first 20 rows have these"), (all_of_it, "")):
        text = toml_text(found, "log.csv")
        assert text.count(f'\nevents = "*"  # all, also those that only later logs have{looked}\n') == 2
        assert "\nevents = [" not in text


# Hostile values


NASTY = [
    'a"b',
    "a\\b",
    "a'''b",
    'a"""b',
    "a\nb = 1",
    "a\rb",
    "\x1b[31mred",
    "\x7f\x85x",
    "\u202eltr",
    "#]",
    "é😀\u200b",
]


def test_hostile_names_are_only_text(folder: Folder) -> None:
    """Quotes, line breaks and escapes, in columns, events and identities."""
    rows = [
        {"user": f"u{n}", "account": NASTY[n % 3], "event": nasty, "timestamp": 1_704_067_200 + n, nasty: 1,
         f"_{nasty}": 2, "at": {nasty: 1}}
        for n, nasty in enumerate(NASTY * 2)
    ]  # fmt: skip
    folder.write("log.jsonl", "\n".join(map(json.dumps, rows)))
    result = folder("init", "log.jsonl").ended(0)
    assert set(folder.listed("account")) == set(NASTY)
    assert folder.config.columns.exclude == ["at", *(f"_{nasty}" for nasty in NASTY)]
    shown = result.out + folder.toml.read_text()
    assert [letter for letter in shown if not letter.isprintable() and letter != "\n"] == []


def test_quoted_comes_back() -> None:
    """On one line, nothing invisible in it."""
    for text in NASTY:
        assert quoted(text).isprintable()
        assert tomllib.loads(f"key = {quoted(text)}")["key"] == text


names = st.one_of(
    st.sampled_from(
        ["user", "user_id", "Account", "org.id", "contact", "event", "type", "time", "date", "id", "event_id",
         "_x", "Referrer", "session_id", "x" * 300, *NASTY]
    ),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8),
)  # fmt: skip
values = st.one_of(
    st.sampled_from(
        ["", "guest", "1", "7", "a@x.example", "Acme", "In", "Signed Up", "2024-01-01",
         "03/04/2024 10:00", "13/04/2024", "20240131", "1704067200", "1704067200000", "2024-01-01T00:00:00Z",
         "Mon, 01 Jan 2024 10:00:00 GMT", "0", *NASTY]
    ),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6),
)  # fmt: skip


@settings(max_examples=examples(100), deadline=None)
@given(
    header=st.lists(names, min_size=1, max_size=8, unique=True),
    rows=st.lists(st.lists(values, min_size=8, max_size=8), min_size=1, max_size=8),
    source=names,
)
def test_whatever_is_looked_at_makes_a_file_that_loads(
    header: list[str], rows: list[list[str]], source: str
) -> None:
    """Any header, any cells: no guess makes an error of itself, and no column is taken twice."""
    found = looked_at(header, [row[: len(header)] for row in rows])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "km.toml")
        path.write_text(toml_text(found, source), encoding="utf-8", newline="\n")
        config = kmtoml_file.read(path)
    columns = [config.columns.event, config.columns.timestamp, config.columns.id]
    columns += [persona.column for persona in config.personas]
    taken = [column for column in columns if column and column != "?"]
    assert set(taken) <= set(header)
    assert len(taken) == len(set(taken))
    assert not set(taken) & set(config.columns.exclude or ())


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), values),
    lambda inner: st.dictionaries(names, inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=examples(40), deadline=None)
@given(rows=st.lists(st.dictionaries(names, json_values, min_size=1, max_size=5), min_size=1, max_size=5))
def test_whatever_the_objects_the_file_is_understood(rows: list[dict[str, Any]]) -> None:
    """Through the readers; the columns that are left out exist."""
    with tempfile.TemporaryDirectory() as folder:
        path, toml = Path(folder, "log.jsonl"), Path(folder, "km.toml")
        path.write_text("\n".join(map(json.dumps, [{"event": "In"}, *rows])), encoding="utf-8")
        opened = open_reader(Source(str(path)))
        items = [item for item in opened.reader().items() if isinstance(item, Row)]
        opened.close()
        found = infer(lambda: items, opened.columns, tabular=False, now=NOW)
        toml.write_text(toml_text(found, "log.jsonl"), encoding="utf-8")
        config = kmtoml_file.read(toml)
    columns = config.columns
    asked = {"event": columns.event, "timestamp": columns.timestamp, "id": columns.id}
    asked |= {persona.name: persona.column for persona in config.personas if persona.column != "?"}
    asked = {role: column for role, column in asked.items() if column}
    assert members_columns(asked, opened.columns, "log.jsonl", tabular=False) == asked
    wanted = ColumnOptions("event", "timestamp", exclude=tuple(columns.exclude or ()))
    names = (*opened.columns, "event", "timestamp", "user")
    nobody = (Persona("user", "main"),)
    assert recognise_columns(wanted, nobody, names, "log.jsonl", tabular=False).exclude == wanted.exclude


# Several files


def parts(folder: Folder, *headers: str) -> None:
    """Write one log in several files, a month each; the later ones may have other columns."""
    (folder.path / "logs").mkdir()
    for month, header in enumerate(headers, start=1):
        names = header.split(",")
        rows = []
        for n in range(12):
            cells = dict(zip(("user", "account", "event", "time"), log(n), strict=True))
            cells["time"] = str(cells["time"]).replace("2024-01", f"2024-0{month}")
            rows.append([cells.get(name, f"{name}{n % 3}") for name in names])
        folder.write(f"logs/0{month}.csv", table(header, rows))


def test_a_pattern_is_the_source_of_backfills(folder: Folder) -> None:
    """All files of it are looked at, though their columns differ; a backfill then reads them all."""
    parts(folder, "user,account,event,time", "time,event,account,user,plan")
    out = folder("init", "logs/*.csv").ended(0).out
    assert "2 files: looked at all 24 rows" in out
    assert out.endswith("then km-cli dry-run 'logs/*.csv'\n")
    (source,) = folder.config.backfill
    assert (source.name, source.files) == ("logs", ["logs/*.csv"])
    assert '# properties = ["plan"]' in folder.toml.read_text()
    assert folder("dry-run", "logs/*.csv", "--json").ended(0).summary["rows"]["sent"] == 24
    assert folder("backfill", "--to", "local", "--json").ended(0).summary["rows"]["sent"] == 24


def test_several_files_are_named_as_they_were_given(folder: Folder) -> None:
    """Their paths are taken from the folder of km.toml."""
    parts(folder, "user,account,event,time", "user,account,event,time")
    (folder.path / "config").mkdir()
    folder("init", "logs/01.csv", "logs/02.csv", "--output", "config/km.toml").ended(0)
    config = kmtoml_file.read(folder.path / "config" / "km.toml")
    assert config.backfill[0].files == ["../logs/01.csv", "../logs/02.csv"]
    words = ("backfill", "--config", "config/km.toml", "--to", "local", "--json")
    assert folder(*words).ended(0).summary["rows"]["sent"] == 24


def test_one_file_has_a_source_as_a_comment_only(folder: Folder) -> None:
    folder.write("log.csv", table("user,account,event,time", map(log, range(9))))
    folder("init", "log.csv").ended(0)
    assert folder.config.backfill == []


def test_a_bad_record_of_several_files_has_its_file(folder: Folder) -> None:
    parts(folder, "user,account,event,time", "user,account,event,time")
    folder.write("logs/02.csv", (folder.path / "logs/02.csv").read_text() + "ada\n")
    assert "1 record; the first, logs/02.csv, line 14: too few" in folder("init", "logs/*.csv").ended(0).out


def test_files_of_several_formats_are_refused(folder: Folder) -> None:
    parts(folder, "user,account,event,time")
    folder.write("logs/02.jsonl", '{"user": "ada", "event": "In", "time": 1704067200}\n')
    said(folder("init", "logs/*").ended(2), "logs/01.csv and logs/02.jsonl have different formats")
    said(folder("init", "nowhere/*.csv").ended(2), "no file matches 'nowhere/*.csv'")


def test_swapped_columns_are_said(folder: Folder) -> None:
    """In km.toml too; the flags swap them, as the dry run says as well."""
    rows = [[f"Acme{n % 4}", f"u{n % 20}", "In", f"2024-01-01T10:00:{n:02}Z"] for n in range(40)]
    folder.write("log.csv", table("user,account,event,time", rows))
    out = folder("init", "log.csv").ended(0).out
    assert "there are fewer users than accounts; if so: --user account --account user" in out
    assert "# There are 4 users and 20 accounts, and each account has one user.\n" in folder.toml.read_text()


def test_the_members_of_one_object_are_the_properties(folder: Folder) -> None:
    """They lose its name, and a member that comes later is sent as well."""
    made: list[dict[str, Any]] = [
        {"user": f"u{n % 4}", "event": "In", "ts": 1_704_067_200 + n, "ip": "192.0.2.1",
         "context": {"a": {"b": 1}},
         "props": {"plan": "pro", "company": f"Firm {n % 2}", "_x": 1, **({"late": n} if n > 8 else {})}}
        for n in range(12)
    ]  # fmt: skip
    folder.write("log.jsonl", "\n".join(map(json.dumps, made)))
    out = folder("init", "log.jsonl").ended(0).out
    assert 'properties the members of "props": "props.plan"' in out
    assert folder.config.columns.properties == ["props.*"]
    assert folder.config.columns.exclude == ["props._x"]
    assert '# Add the columns beside it that are properties, too: "ip"\n' in folder.toml.read_text()
    shown = folder("dry-run", "log.jsonl", "--show", "12").ended(0).out
    assert "plan: pro" in shown
    assert "late: 11" in shown
    assert "_x" not in shown


@pytest.mark.parametrize(
    ("paths", "holds"),
    [
        (("payload.name", "payload.props.plan", "payload.props.seats"), "payload.props"),
        (("payload.name", "payload.plan"), "payload"),
        (("payload.name", "payload.props.plan", "payload.props.card.last"), ""),
        (("payload.user.session.attributes.mfa", "payload.user.id"), ""),
    ],
)
def test_the_object_of_properties_may_be_a_member_of_another(paths: tuple[str, ...], holds: str) -> None:
    """Under a clear name, and next to the outermost object: deeper ones belong to other things."""
    assert object_of_properties({"payload": paths}) == holds
