"""Mistakes on the command line are said: key files named as data, options given twice, misspelt names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command import KEY, Command
from tests.support.logs import COMMANDS, HEADER, ROW, said, written
from tests.support.patience import PATIENCE
from tests.support.tracker import Tracker

DATA = Path(__file__).parent / "data" / "exports"

# Key files

KM_TOML = '[sites.main]\nkey_file = "secret"\n'
OTHER = "fedcba9876543210fedcba9876543210fedcba98"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a log, and with the key of km.toml's site in a file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").write_text(OTHER + "\n")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "km.toml").write_text(KM_TOML)
    written(tmp_path, ROW)
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", ["secret", "./secret", "link"])
@pytest.mark.usefixtures("folder")
def test_a_key_file_is_no_log(importer: Command, folder: Path, command: str, name: str) -> None:
    (folder / "link").symlink_to("secret")
    for more in ((), ("--format", "jsonl")):
        result = importer(command, name, "log.csv", *more).ended(2)
        said(result, f"{name} is a key file")
        assert OTHER not in result.out + result.err
    assert not list(folder.glob("**/rejects*"))


def test_standard_input_from_a_key_file(importer: Command, folder: Path) -> None:
    with (folder / "secret").open() as stdin:
        process = importer.start("import", "-", stdin=stdin)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert "standard input is a key file" in err
    assert OTHER not in out + err


@pytest.mark.parametrize(
    "words",
    [
        ("import", "log.csv", "--rejects", "secret"),
        ("import", "log.csv", "--ledger", "secret"),
        ("import", "log.csv", "--config", "secret"),
        ("dry-run", "log.csv", "--config", "secret"),
        ("backfill", "--log", "secret"),
        ("init", "secret", "--output", "-"),
        ("import", "copy"),
        ("import", ".env"),
        ("import", ".env", "--config", "none.toml"),
        ("dry-run", "log.csv", "--config", ".env"),
        ("import", "copy", "--format", "jsonl"),
        ("import", "copy", "--config", "none.toml"),
        ("import", "pasted.csv"),
        ("import", "pasted.jsonl", "--user", "nope"),
    ],
    ids=" ".join,
)
def test_a_key_is_never_shown(importer: Command, folder: Path, words: tuple[str, ...]) -> None:
    """In whichever place its file is named, also if the file is a copy that km.toml does not know."""
    (folder / "copy").write_text(OTHER + "\n")
    (folder / ".env").write_text(f"export KM_API_KEY={OTHER}\n")
    (folder / "none.toml").write_text("")
    (folder / "pasted.csv").write_text(f"user,{OTHER}\n1,2\n")
    (folder / "pasted.jsonl").write_text(json.dumps({OTHER: "x", "event": "In"}) + "\n")
    result = importer(*words)
    assert result.code not in (0, 70)
    assert OTHER not in result.out + result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize("is_copy", [False, True])
def test_a_key_file_as_members_file(importer: Command, folder: Path, is_copy: bool) -> None:
    (folder / "copy").write_text(OTHER)
    name = "copy" if is_copy else "secret"
    members = f'[members]\nfile = "{name}"\nuser = "email"\naccount = "company"\n'
    (folder / "km.toml").write_text(KM_TOML + members)
    for command in COMMANDS:
        result = importer(command, "log.csv").ended(2)
        said(result, "only one column" if is_copy else "km.toml, members.file: secret is a key file")
        assert OTHER not in result.err


def test_the_keys_of_variables_are_not_shown(importer: Command, tmp_path: Path) -> None:
    """`Result.ended` looks for the key in all that is printed."""
    path = tmp_path / "log.csv"
    path.write_text(f"user,event,timestamp,{KEY}\n1,2,3,4\n")
    for command in COMMANDS:
        result = importer(command, path, "--account", "acount").ended(2)
        said(result, "columns found: user, event, timestamp, [API key]")


# Options


@pytest.mark.parametrize(
    ("words", "option", "hint"),
    [
        (("--user", "user", "--user", "account"), "--user", 'name = "user", column = ['),
        (("--account=a", "--account", "b"), "--account", 'name = "account", column = ['),
        (("--rate", "5", "--event", "event", "--rate", "6"), "--rate", "give it once"),
        (("--timezone", "UTC", "--timezone", "UTC"), "--timezone", "give it once"),
    ],
)
@pytest.mark.parametrize("command", COMMANDS)
def test_an_option_with_one_value_is_given_once(
    importer: Command,
    tracker: Tracker,
    tmp_path: Path,
    command: str,
    words: tuple[str, ...],
    option: str,
    hint: str,
) -> None:
    """The first value would be lost, and with it what the user meant."""
    result = importer(command, written(tmp_path, ROW), *words).ended(2)
    said(result, f"{option} is given twice", hint)
    assert not tracker.seen


def test_other_options_may_be_given_twice(importer: Command, tmp_path: Path) -> None:
    """Repeatable ones, flags, and values that look like an option."""
    words = ("--only", "Clicked", "--only", "X", "-v", "-v", "--event-name", "--user", "--no-properties")
    result = importer("import", written(tmp_path, ROW), *words).ended(0)
    assert "is given twice" not in result.err


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("KM_CLI_CONCURENCY", "did you mean KM_CLI_CONCURRENCY?"),
        ("KM_CLI_METRIC", "did you mean KM_CLI_METRICS?"),
        ("KM_CLI_NO_PROPERTIES", "remove it"),
    ],
)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_misspelt_variable_is_said(
    importer: Command, tmp_path: Path, command: str, name: str, hint: str
) -> None:
    """It has no effect, and the run goes on: the variable may be another program's."""
    importer.environment[name] = "1"
    result = importer(command, written(tmp_path, ROW)).ended(0)
    said(result, f"the variable {name} has no effect", hint)
    assert len(result.err.splitlines()) == 2


def test_variables_of_other_commands_and_of_keys_are_known(
    importer: Command, folder: Path, tracker: Tracker
) -> None:
    (folder / "km.toml").write_text('[sites.main]\nkey_env = "KM_CLI_MY_KEY"\n')
    importer.environment |= {
        "KM_CLI_PING": "",
        "KM_CLI_WAIT": "5",
        "KM_CLI_MY_KEY": OTHER,
        "KM_CLI_DEBUG": "",
    }
    assert importer("import", "log.csv").ended(0).err == ""
    assert {hit.params["_k"] for hit in tracker.hits} == {OTHER}


# Quiet dry runs


def test_a_quiet_dry_run_prints_problems_only(importer: Command, tmp_path: Path) -> None:
    result = importer("dry-run", written(tmp_path, ROW), "-q").ended(0)
    assert result.out + result.err == ""


def test_a_quiet_dry_run_says_which_rows_would_be_rejected(importer: Command, tmp_path: Path) -> None:
    log = written(tmp_path, ROW + "guest,Acme,In,SOON,pro\nbo,Acme,In,SOON,pro\n")
    result = importer("dry-run", log, "--quiet", "--skip", "Inn").ended(65)
    assert result.out == ""
    lines = result.err.splitlines()
    said_first = "km-cli: note: --skip 'Inn': no row has this event; did you mean 'In'? (no-such-event)"
    assert lines[0] == said_first
    assert lines[1].startswith("  next: Correct the name")
    rejected = f"2 rows would be rejected (I1 1, time 1), the first in {log}, line 3: the identity 'guest'"
    assert lines[2].startswith(f"km-cli: {rejected}")
    assert lines[3].startswith("  next: an import writes them to a file")


# Names of columns and events

NESTED = [
    {
        "user": f"u{number}",
        "event": "In",
        "time": f"2024-01-01T00:00:0{number}Z",
        "context": json.dumps({"plan": "pro", "ip": number}),
        **({"offset": 7} if number else {}),
    }
    for number in range(2)
]
"""A log whose objects are JSON text, so that the columns inside of them only show in the rows."""


@pytest.fixture
def nested(tmp_path: Path) -> Path:
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in NESTED))
    return path


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--property", "context.plan"), ""),
        (("--property", "context.*"), ""),
        (("--property", "context.pln"), "'context.pln' (--property)"),
        (("--property", "context.nope.*"), "'context.nope.*' (--property)"),
        (("--ignore-column", "offsett"), "'offsett' (--ignore-column); did you mean 'offset'?"),
        (("--ignore-column", "offset"), ""),
        (
            ("--property", "context.*", "--exclude-property", "context.ipp"),
            "'context.ipp' (--exclude-property)",
        ),
        (("--account", "context.company"), "'context.company' (--account)"),
    ],
)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_column_inside_of_objects_that_no_row_has_is_said(
    importer: Command, nested: Path, command: str, words: tuple[str, ...], message: str
) -> None:
    """Such a column may be in later rows alone, so only the end of the log can show a mistake."""
    result = importer(command, nested, *words, "--json").ended(0)
    assert result.summary["findings"].get("unseen-column", 0) == bool(message)
    if message:
        assert f"km-cli: note: no row has the column {message} (unseen-column)\n" in result.err


def test_a_column_of_an_export_that_no_row_has_is_said(importer: Command) -> None:
    """Later rows of its objects may have any members."""
    log = DATA / "segment.jsonl"
    words = ("--export", "segment", "--property", "properties.nope", "-q")
    err = importer("dry-run", log, *words).ended(0).err
    assert "no row has the column 'properties.nope' (--property)" in err


def test_columns_of_km_toml_may_be_missing_from_a_small_log(importer: Command, nested: Path) -> None:
    """Unless the name is near to another one, whichever table of km.toml has it."""
    km_toml = nested.with_name("km.toml")
    text = '[[personas]]\nname = "user"\nset = ["{}"]\n'
    for name, said_so in (("coupon", False), ("ofset", True)):
        km_toml.write_text(text.format(name))
        err = importer("dry-run", nested, "--config", km_toml, "-q").ended(0).err
        message = f"no row has the column {name!r} (km.toml, user's set); did you mean 'offset'?"
        assert (message in err) is said_so
        assert ("unseen-column" in err) is said_so


def test_members_of_one_object_are_not_alike_for_its_name(importer: Command, tmp_path: Path) -> None:
    """The names of two members are compared, not the whole way to them."""
    log = tmp_path / "log.jsonl"
    row = {
        "user": "ada",
        "event": "In",
        "time": "2024-01-01T00:00:00Z",
        "properties": {"plan": "pro", "time": 1},
    }
    log.write_text(json.dumps(row) + "\n")
    km_toml = tmp_path / "km.toml"
    for name, said_so in (("properties.token", False), ("properties.plann", True)):
        km_toml.write_text(f'[columns]\nproperties = ["properties.*"]\nexclude = ["{name}"]\n')
        err = importer("dry-run", log, "--config", km_toml, "-q").ended(0).err
        assert ("unseen-column" in err, "did you mean 'properties.plan'?" in err) == (said_so, said_so)


def test_a_source_with_columns_of_its_own_misses_only_those(importer: Command, nested: Path) -> None:
    """The columns of other logs are none of its mistakes."""
    km_toml = nested.with_name("km.toml")
    source = f'[[backfill]]\nname = "a"\nfiles = ["{nested}"]\n[backfill.columns]\n'
    main = '[columns]\nignore = ["ofset"]\n'
    for own, said_so in (('ignore = ["offset"]\n', ""), ('ignore = ["context", "tme"]\n', "'tme' (km.toml")):
        km_toml.write_text(main + source + own)
        err = importer("dry-run", "--config", km_toml, "-q").ended(0).err
        assert "ofset" not in err
        assert ("unseen-column" in err, said_so in err) == (bool(said_so), True)


def test_a_column_that_one_file_has_is_no_mistake(importer: Command, nested: Path) -> None:
    other = nested.with_name("other.jsonl")
    other.write_text(json.dumps(NESTED[0] | {"context": '{"coupon": "x"}'}) + "\n")
    words = ("--property", "context.coupon", "--json")
    assert "unseen-column" in importer("dry-run", nested, *words).ended(0).summary["findings"]
    assert "unseen-column" not in importer("dry-run", nested, other, *words).ended(0).summary["findings"]


def test_json_in_a_cell_is_looked_into(importer: Command, tmp_path: Path) -> None:
    log = written(tmp_path, 'ada,Acme,In,2024-01-01T00:00:00Z,"{""tier"": 1}"\n')
    for name, number in (("plan.tier", 0), ("plan.teir", 1)):
        result = importer("dry-run", log, "--property", name, "--json").ended(0)
        assert result.summary["findings"].get("unseen-column", 0) == number


@pytest.mark.parametrize("command", COMMANDS)
def test_a_misspelt_column_of_a_table_is_an_error(importer: Command, tmp_path: Path, command: str) -> None:
    """The header says which columns there are."""
    for option in ("--ignore-column", "--property", "--exclude-property"):
        said(
            importer(command, written(tmp_path, ROW), option, "plna").ended(2),
            "'plna'",
            "did you mean 'plan'?",
        )


EQUAL = "x=y,user,event,time\n1,ada,In,2024-01-01T00:00:00Z\n2,bo,In,2024-01-01T00:01:00Z\n"


def test_a_condition_on_a_column_with_an_equals_sign(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    log = tmp_path / "log.csv"
    log.write_text(EQUAL)
    said(
        importer("import", log, "--where", "x=y=1").ended(2),
        "there is no column 'x'",
        """if you mean the column 'x=y', put its name in quotation marks: '"x=y"=VALUE'""",
    )
    result = importer("import", log, "--where", '"x=y"=1', "--no-properties", "-v").ended(0)
    assert {hit.params["_p"] for hit in tracker.hits} == {"ada"}
    assert """only rows with "x=y"=1""" in result.out


@pytest.mark.parametrize("command", COMMANDS)
def test_an_event_that_no_row_has_is_spelled_as_it_was_given(
    importer: Command, tmp_path: Path, command: str
) -> None:
    """Kissmetrics folds names, but nobody wrote the folded one."""
    result = importer(command, written(tmp_path, ROW), "--skip", "Clickd: Twice", "--json").ended(0)
    assert "--skip 'Clickd: Twice': no row has this event" in result.err


def test_profiles_have_no_events_to_be_missed(importer: Command, tmp_path: Path) -> None:
    """The lists of km.toml are about the events of logs."""
    people = tmp_path / "people.csv"
    people.write_text("user,time,plan\nada,2024-01-01T00:00:00Z,pro\n")
    km_toml = tmp_path / "km.toml"
    km_toml.write_text('[columns]\nskip = ["Ping"]\n[[personas]]\nname = "user"\nevents = ["Paid"]\n')
    summary = importer("import", people, "--profiles", "--config", km_toml, "--json").ended(0).summary
    assert summary["findings"] == {}
    result = importer("import", people, "--profiles", "--only", "Paid").ended(2)
    said(result, "--profiles and --only contradict each other: profiles have no events")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_log_without_a_column_of_accounts_is_said_once(
    importer: Command, tmp_path: Path, command: str
) -> None:
    """It is no fault of the rows; where there is a column, each row without an account is counted."""
    rows = "".join(f"u{n},In,2024-01-01T00:00:0{n}Z\n" for n in range(9))
    log = written(tmp_path, rows, "user,event,timestamp\n")
    assert importer(command, log, "--json").ended(0).summary["findings"] == {"no-account": 1}
    log = written(tmp_path, rows.replace(",In", ",,In"), "user,account,event,timestamp\n", "other.csv")
    summary = importer(command, log, "--json", "--as-new").ended(0).summary
    assert summary["normalised"] == {"parts-without-id": 9}
    if command == "dry-run":
        assert summary["findings"] == {"no-account": 9}
        out = importer(command, written(tmp_path, rows, "user,event,timestamp\n")).ended(0).out
        assert "no column names the account: no row makes calls for that persona" in out


def test_the_journal_has_no_values_of_conditions(importer: Command, tmp_path: Path) -> None:
    """They may name people, and other people may read the journal."""
    log = written(tmp_path, ROW)
    km_toml = tmp_path / "km.toml"
    km_toml.write_text(f'[[backfill]]\nname = "all"\nfiles = ["{log}"]\n')
    words = ("backfill", "--config", km_toml, "--log", tmp_path / "journal")
    summary = importer(*words, "--where", "user=zoe", "--json").ended(0).summary
    importer(*words, "--where", "zoe@example.com").ended(2)
    importer(*words, "--where", "user in zoe@example.com,").ended(2)
    journal = (tmp_path / "journal").read_text()
    assert "only rows with user=\\u2026" in journal
    assert "zoe" not in journal + json.dumps(summary)
    assert HEADER.split(",")[0] in journal


@pytest.mark.parametrize(
    ("name", "hint"), [("Acton", "did you mean 'Action'?"), ("account", "name one of the columns found")]
)
def test_only_a_column_that_is_much_like_it_is_proposed(
    km: Command, tmp_path: Path, name: str, hint: str
) -> None:
    log = tmp_path / "log.csv"
    log.write_text("Who,Action,When\nada,Paid,2024-03-01T09:00:00Z\n")
    assert f"  next: {hint}\n" in km("dry-run", log, "--account", name).ended(2).err


@pytest.mark.parametrize(
    ("name", "proposed"), [("evnts.csv", "events.csv"), ("events.jsonl", "events.csv"), ("users.csv", "")]
)
def test_only_a_file_whose_name_is_much_like_it_is_proposed(
    km: Command, tmp_path: Path, name: str, proposed: str
) -> None:
    """That the endings are the same says nothing."""
    (tmp_path / "events.csv").write_text(HEADER)
    hint = f"did you mean {tmp_path / proposed}?" if proposed else "check the path"
    assert f"  next: {hint}\n" in km("dry-run", tmp_path / name).ended(2).err
