"""The real command: its output and exit codes, as far as they need no misbehaving server."""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import random
import re
import shlex
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.shell_completion import BashComplete

from km_cli.cli import group
from km_cli.cli.settings import make_settings
from km_cli.rules import CATALOGUE
from tests.conftest import SAMPLES
from tests.support.command import KEY, Command, Result
from tests.support.inprocess import environment
from tests.support.logs import COMMANDS, HEADER, ROW, said, written
from tests.support.patience import PATIENCE
from tests.support.tracker import OK, Hit, Reaction, Tracker


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of one row."""
    return written(tmp_path, ROW)


def found(name: str) -> click.Command:
    """The command of this name."""
    command = group.get_command(click.Context(group), name)
    assert command is not None
    return command


# 0


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n", b"\xef\xbb\xbf", HEADER.encode(), HEADER.strip().encode(), gzip.compress(b"", mtime=0),
     gzip.compress(HEADER.encode(), mtime=0)],
)  # fmt: skip
def test_nothing_to_send(importer: Command, tmp_path: Path, command: str, content: bytes) -> None:
    """An empty file and a header alone are fine."""
    path = written(tmp_path, content, header="", name="log.csv")
    summary = importer(command, path, "--json").ended(0).summary
    assert summary["rows"]["read"] == summary["calls"]["planned"] == 0


def test_empty_standard_input(importer: Command) -> None:
    """`grep nothing log | km-cli import -`."""
    assert importer("import", "-", stdin=b"").ended(0).err == ""


def test_quiet_unless_on_a_terminal(importer: Command, tracker: Tracker, log: Path) -> None:
    """If all is well nothing is printed; -v prints a summary."""
    result = importer("import", log).ended(0)
    assert (result.out, result.err) == ("", "")
    result = importer("import", log, "-v").ended(0)
    assert "rows read" in result.out
    assert "skipped" in result.out
    assert result.err == ""
    assert len(tracker.seen) == 2


LOSSES = (
    'ada,Acme,"Signed, Up",1704067200,$9\nbob,Acme,"Signed, Up",1704067200,\n'
    'bob,,In,1704067200,9 €\nbob,,In,1704067260,"[1]"\n'
)
TOLD = [
    "merged: account 'Acme': 'Signed, Up' will be counted once ({log}, line 3) (D1-merged)",
    "changed: the value of 'plan' has a currency sign: '$9' is no number (the first of 3: {log}, line 2) "
    "(D5)",
    "changed: the event 'Signed, Up' becomes 'Signed  Up' ({log}, line 2) (D4)",
]
"""The gravest first, and among equals those that are more."""


@pytest.mark.parametrize("flags", [(), ("-q",), ("--json",)])
def test_what_is_lost_or_changed_is_a_problem(
    importer: Command, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    """A line for each code, with its count and first place, and its cure; harmless ones are not printed."""
    log = written(tmp_path, LOSSES)
    result = importer("import", log, "--collisions", "keep", *flags).ended(0)
    lines = result.err.splitlines()
    assert lines[::2] == [f"km-cli: {line.format(log=log)}" for line in TOLD]
    cures = [CATALOGUE[code].cure for code in ("D1-merged", "D5", "D4")]
    assert lines[1::2] == [f"  next: {cure}" for cure in cures]


def test_a_loss_is_printed_once(importer: Command, tmp_path: Path) -> None:
    """A loss that the summary shows is not printed again as a problem."""
    log = written(tmp_path, LOSSES)
    for words in (("dry-run", log), ("import", log, "-v")):
        result = importer(*words, "--collisions", "keep").ended(0)
        assert result.err == ""
        assert result.out.count("becomes") == 1


def test_a_long_value_makes_no_long_problem(importer: Command, tmp_path: Path) -> None:
    """The beginning of a long message is enough."""
    log = written(tmp_path, f"ada,,In,1704067200,${'9' * 400}\n")
    assert len(importer("import", log).ended(0).err) < 500 + len(str(log))


def test_what_skipped_rows_are(importer: Command, log: Path, tmp_path: Path) -> None:
    """Left out, handled before, or both."""
    importer("import", log).ended(0)
    known = written(tmp_path, ROW + ROW.replace("Clicked", "Saw"), name="other.csv")
    out = importer("import", known, "-v", "--skip", "saw").ended(0).out
    assert (
        "  skipped           2  1 left out by the selection; 1 handled before, or identical to another row\n"
        in out
    )
    out = importer("dry-run", log).ended(0).out
    assert "  to skip      1  handled before, or identical to another row\n" in out


@pytest.mark.parametrize("command", COMMANDS)
def test_json_is_one_object(importer: Command, tmp_path: Path, command: str) -> None:
    """One object and nothing else on standard output, even if rows are rejected. Its numbers add up."""
    path = written(
        tmp_path, ROW + "guest,Acme,Clicked,2024-01-01T00:00:00Z,\nbob,Acme,Clicked,2024-01-01T00:00:00Z,\n"
    )
    result = importer(command, path, "--json").ended(65)
    rows, calls = result.summary["rows"], result.summary["calls"]
    assert len(result.out.splitlines()) == 1
    assert rows == {"read": 3, "sent": 2, "skipped": 0, "rejected": 1, "held": 0, "pending": 0}
    assert set(calls) == {"planned", "acknowledged", "pending", "rejected", "retried", "resumed"}
    assert calls["planned"] == 4
    assert result.summary["findings"] == {"crossover": 1, "D1": 1}
    assert result.summary["seconds"] >= 0


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("wrong", [("--limit", "x"), ("--limt", "1"), ("--since", "x"), ("nosuch.csv",)])
def test_no_object_after_wrong_usage(
    importer: Command, log: Path, command: str, wrong: tuple[str, ...]
) -> None:
    """Nothing was read; a script sees the exit code."""
    result = importer(command, log, *wrong, "--json").ended(2)
    said(result)
    assert result.out == ""


@pytest.mark.parametrize("words", [(), *((command,) for command in COMMANDS)])
def test_help(km: Command, words: tuple[str, ...]) -> None:
    """Every command has help with an example. Without arguments it is shown as well, as a usage error."""
    result = km(*words, "--help").ended(0)
    assert result.err == ""
    assert result.out.startswith(f"Usage: {' '.join(('km-cli', *words))}")
    assert "km-cli import" in result.out or "km-cli dry-run" in result.out
    assert [command for command in COMMANDS if f"  {command} " not in result.out] == [] or words


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_of_the_help_are_right(km: Command, command: str) -> None:
    """The flags of the examples exist and fit together."""
    told = km(command, "--help").ended(0).out
    examples = re.findall(rf"^    .*?km-cli {command} (.*)", told, re.MULTILINE)
    assert len(examples) >= 4
    for example in examples:
        context = found(command).make_context(command, shlex.split(example), obj=environment({}))
        if context.params.get("sql"):
            continue  # It takes a database that is there: the page of samples has one.
        assert context.params["files"]
        context.params["files"] = ()
        make_settings(context)


def test_the_command_alone(km: Command) -> None:
    """Help, on standard error, and wrong usage."""
    result = km().ended(2)
    assert result.out == ""
    assert result.err.startswith("Usage: km-cli ")


def test_version(km: Command) -> None:
    """One line."""
    assert km("--version").ended(0).out.startswith("km-cli 0.")


# 2

WRONG_USAGE: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = [
    ("unknown command", ("imprt", "{log}"),
     ("no command 'imprt'", "next: did you mean import? see km-cli --help")),
    ("command like none", ("send", "{log}"), ("no command 'send'", "next: the commands are: import")),
    ("no file", ("import",), ("FILE... is missing", "km-cli import --help")),
    ("no age", ("ledger", "prune"), ("--older-than is missing", "km-cli ledger prune --help")),
    ("a ledger in place of --ledger", ("ledger", "check", "ledger.db"),
     ("extra argument (ledger.db)", "next: --ledger PATH names a ledger; see km-cli ledger check --help")),
    ("a store that is not read", ("import", "gs://logs/a.csv", "--to", "local"),
     ("objects of s3://, not of gs://", "next: copy it to this machine first")),
    ("no value", ("import", "{log}", "--to", "local", "--only"), ("'--only'", "see km-cli import --help")),
    ("a value for none", ("dry-run", "{log}", "--json=3"), ("'--json'", "see km-cli dry-run --help")),
    ("unknown option", ("import", "{log}", "--usr", "x"),
     ("no option '--usr'", "next: did you mean --user? see km-cli import --help")),
    ("unknown option of another command", ("dry-run", "{log}", "--acount", "x"),
     ("no option '--acount'", "next: did you mean --account? see km-cli dry-run --help")),
    ("unknown option of none", ("--vresion",),
     ("'--vresion'", "next: did you mean --version? see km-cli --help")),
    ("option of another command", ("import", "{log}", "--max-time", "5"),
     ("no option '--max-time'", "next: backfill has it: see km-cli backfill --help")),
    ("command of config", ("config", "shwo"),
     ("no command 'shwo'", "next: did you mean show? see km-cli config --help")),
    ("option like none", ("import", "{log}", "--qqqq"), ("'--qqqq'", "next: see km-cli import --help")),
    ("no number", ("import", "{log}", "--limit", "x"), ("--limit 'x' is not a whole number of at least 1",)),
    ("no number, with bounds", ("import", "{log}", "--batch-size", "0"),
     ("--batch-size '0' is not a whole number from 1 to 100,000", "next: see km-cli import --help")),
    ("out of range", ("import", "{log}", "--rate", "0"), ("--rate '0' is not a number above 0",)),
    ("no choice", ("dry-run", "{log}", "--ambiguous", "both"),
     ("--ambiguous 'both' is not one of earlier, later", "next: see km-cli dry-run --help")),
    ("nearly a choice", ("import", "{log}", "--format", "CVS"),
     ("--format 'CVS' is not one of csv, tsv, ", "next: did you mean csv? see km-cli import")),
    ("nearly another choice", ("import", "{log}", "--collisions", "kep"), ("next: did you mean keep?",)),
    ("absent", ("import", "{log}x"), ("{log}x: there is no such file", "next: did you mean {log}?")),
    ("absent, among others", ("import", "{log}", "nowhere.csv"), ("nowhere.csv: there is no such file",)),
    ("absent, with its folder", ("import", "nowhere/log.csv"),
     ("no such file", "folder nowhere does not exist")),
    ("quiet and verbose", ("import", "{log}", "-q", "-v"), ("-q and -v contradict",)),
    ("nobody allowed", ("import", "{log}", "--allow-id", " "), ("--allow-id is empty", "identity", "guest")),
    ("folder", ("import", "{home}"), ("{home} is a folder", "name the files in it: {log}")),
    ("standard input twice", ("import", "-", "-"), ("standard input", "once")),
    ("missing column", ("import", "{log}", "--user", "usr"),
     ("{log}: there is no column 'usr' (--user)",
      "user, account, event, timestamp, plan", "'user'")),
    ("contradiction", ("import", "{log}", "--property", "plan", "--no-properties"), ("contradict",)),
    ("unknown zone", ("import", "{log}", "--timezone", "Europe/Berlinn"),
     ("'Europe/Berlinn'", "Europe/Berlin?")),
    ("zone outside", ("import", "{log}", "--timezone", "../../etc/passwd"), ("not a time zone",)),
    ("form without a day", ("import", "{log}", "--time-format", "%m/%Y"), ("'%m/%Y'", "%d/%m/%Y")),
    ("bad form", ("import", "{log}", "--time-format", "%d/%m/%Y %Q"), ("%Q", "%d/%m/%Y")),
    ("form with a half of a day and 24 hours", ("import", "{log}", "--time-format", "%d/%m/%Y %H:%M %p"),
     ("morning from afternoon", "%I:%M %p")),
    ("form with half a day as it stands", ("import", "{log}", "--time-format", "%d/%m/%Y %I:%M PM"),
     ("morning from afternoon", "%I:%M %p")),
    ("form without which half of a day", ("import", "{log}", "--time-format", "%d/%m/%Y %I:%M"),
     ("morning from afternoon", "%I:%M %p")),
    *((f"odd form {form}", ("import", "{log}", "--time-format", form), ("has no whole date",))
      for form in ("%m/%d/%y%y", "%Y-%m-%d %d", "%Y-%m-%d %z %z")),
    ("form with a name of a zone", ("import", "{log}", "--time-format", "%Y-%m-%d %Z"), ("%Z", "--timezone")),
    ("not a destination", ("import", "{log}", "--to", "kissmetrcs"), ("'kissmetrcs'", "kissmetrics")),
    ("not encrypted", ("import", "{log}", "--to", "http://trk.kissmetrics.io"), ("unencrypted", "https://")),
    ("almost loopback", ("import", "{log}", "--to", "http://127.0.0.1.example.com"), ("unencrypted",)),
    ("not http", ("import", "{log}", "--to", "ftp://127.0.0.1"), ("not a destination",)),
    ("user in a URL", ("import", "{log}", "--to", "https://ada@example.com"), ("user or password",)),
    ("no base URL", ("import", "{log}", "--to", "https://example.com/?x=1"), ("not a base URL",)),
    ("two ledgers", ("import", "{log}", "--to", "local", "--ledger", "x.db"), ("--to local", "--ledger")),
    ("rejects over a log", ("import", "{log}", "--rejects", "{log}"), ("rejects file", "--rejects PATH")),
]  # fmt: skip


@pytest.mark.parametrize(("words", "parts"), [pytest.param(*case[1:], id=case[0]) for case in WRONG_USAGE])
def test_wrong_usage(
    importer: Command, tracker: Tracker, log: Path, words: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    """Nothing is sent, nothing is printed on standard output."""

    def filled(text: str) -> str:
        return text.replace("{log}", str(log)).replace("{home}", str(log.parent))

    before = log.read_bytes()
    result = importer(*map(filled, words)).ended(2)
    said(result, *map(filled, parts))
    assert result.out == ""
    assert not tracker.seen
    assert log.read_bytes() == before


def test_every_choice_names_the_nearest(km: Command, log: Path) -> None:
    """For every command."""
    for name in COMMANDS:
        choices = [param for param in found(name).params if isinstance(param.type, click.Choice)]
        assert len(choices) >= 4
        for param in choices:
            meant = param.type.choices[-1]
            result = km(name, log, param.opts[0], f"{meant}x").ended(2)
            said(result, f"{param.opts[0]} '{meant}x' is not one of", f"did you mean {meant}?")


def test_a_password_in_a_url_is_not_shown(km: Command, log: Path) -> None:
    """A password is not shown, not even in the error about it."""
    result = km("import", log, "--to", "https://ada:lovelace@example.com").ended(2)
    said(result, "user or password")
    assert "lovelace" not in result.err


@pytest.mark.parametrize(
    ("key", "parts"),
    [
        (None, ("KM_API_KEY is not set", "export KM_API_KEY=", "dry-run")),
        ("", ("KM_API_KEY is not set",)),
        (" \n", ("KM_API_KEY is not set",)),
        ("secret\nsecret", ("KM_API_KEY", "line breaks")),
        ("secret secret", ("KM_API_KEY", "blanks")),
        ('"secret"', ("KM_API_KEY", "quotation marks")),
        ("secret&_p=x", ("KM_API_KEY", "other characters")),
        ("sécret", ("KM_API_KEY", "other characters")),
    ],
)
def test_keys(importer: Command, key: str | None, parts: tuple[str, ...]) -> None:
    """A missing or invalid key is reported first, by its variable, and never shown."""
    importer.environment["KM_API_KEY"] = key or ""
    result = importer("import", "nowhere.csv").ended(2)
    said(result, *parts)
    assert "secret" not in result.err
    assert not importer.state.exists()


def test_line_breaks_around_a_key_are_no_part_of_it(importer: Command, tracker: Tracker, log: Path) -> None:
    """Some shells leave line breaks around `$(cat key)`."""
    importer.environment["KM_API_KEY"] = f" {KEY}\r\n"
    importer("import", log).ended(0)
    assert {hit.params["_k"] for hit in tracker.hits} == {KEY}


NOT_UNDERSTOOD: list[tuple[str, bytes, tuple[str, ...]]] = [
    ("no event", b"user,evnt,timestamp\nada,In,1704067200\n",
     ("{log}: no column was recognised as event", "user, evnt, timestamp", "--event evnt")),
    ("one column", b"user:event\n", ("{log}, line 1", "only one column")),
    ("two alike", b"user,event,timestamp,USER\n", ("{log}, line 1", "'user' and 'USER'")),
    ("reserved", b"user,event,timestamp,_id\n", ("{log}", "'_id'", "--exclude-property _id")),
    ("UTF-16", "user,event,timestamp\n".encode("utf-16"), ("{log}", "UTF-16", "--encoding utf-16")),
    ("no offset", b"user,event,timestamp\nada,In,1704067200\nada,In,2024-01-01 10:00\n",
     ("{log}, line 3", "'2024-01-01 10:00'", "--timezone Europe/Berlin")),
    ("several ways", b"user,event,timestamp\nada,In,03/04/2024\n",
     ("{log}, line 2", "'03/04/2024'", "--time-format '%d/%m/%Y'")),
    ("mixed units", b"user,event,timestamp\nada,In,1704067200\nada,In,1704067200000\n",
     ("{log}, line 3", "milliseconds", "one unit")),
    ("unclosed", b'user,event,timestamp\nada,In,1704067200\nada,"In,1704067200\n',
     ("{log}, line 3", "quotation mark", "doubled")),
    ("more than half bad",
     b"user,event,timestamp\n" + b"ada,In,1704067200\n" * 9 + b"guest,In,1704067200\n" * 10,
     ("{log}: 10 of the first 19 rows are bad", "line 11", "'guest'", "--allow-id")),
    ("array", b'[{"user":"ada"}]', ("{log}", "JSON array", "jq -c '.[]'")),
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("content", "parts"), [pytest.param(*case[1:], id=case[0]) for case in NOT_UNDERSTOOD]
)
def test_inputs_that_are_not_understood(
    importer: Command, tracker: Tracker, tmp_path: Path, command: str, content: bytes, parts: tuple[str, ...]
) -> None:
    """An input whose first rows are bad is refused before anything is sent, with a place and a hint."""
    path = written(tmp_path, content, header="", name="log")
    result = importer(command, path).ended(2)
    said(result, *(part.replace("{log}", str(path)) for part in parts))
    assert result.out == ""
    assert not tracker.seen
    assert not importer.rejects()


def test_half_of_the_rows_may_be_bad(importer: Command, tmp_path: Path) -> None:
    """Ten of twenty bad rows are rejects, and so are all of a handful."""
    bad = "guest,Acme,In,2024-01-01T00:00:00Z,\n"
    importer("import", written(tmp_path, ROW * 10 + bad * 10)).ended(65)
    importer("import", written(tmp_path, bad * 9)).ended(65)
    assert len(importer.rejects()) == 19


def test_an_earlier_input_stands(importer: Command, tracker: Tracker, log: Path, tmp_path: Path) -> None:
    """Rows sent before an input that is not understood stay sent, and --json counts them."""
    other = written(tmp_path, "ada,Acme,In,2024-01-01 00:00:00,\n", name="other.csv")
    result = importer("import", log, other, "--json").ended(2)
    assert result.summary["rows"]["sent"] == 1
    assert len(tracker.seen) == 2
    said(result, "other.csv")


def test_the_columns_of_all_files_are_looked_at_first(
    importer: Command, tracker: Tracker, log: Path, tmp_path: Path
) -> None:
    """A mistake in the last file is found before anything of the first is sent."""
    other = written(tmp_path, "", header="a,b\n", name="other.csv")
    said(importer("import", log, other).ended(2), "other.csv")
    assert not tracker.seen


# 65


def test_rejects_are_reported(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """The message has the count, the reasons, the file and the next step."""
    path = written(tmp_path, ROW + "guest,Acme,In,2024-01-01T00:00:00Z,\n,,In,2024-01-01T00:00:00Z,\nx\n")
    rejects = tmp_path / "out" / "rejects.jsonl"
    result = importer("import", path, "--rejects", rejects).ended(65)
    said(result, "3 rows rejected", "I1 1", "no-identity 1", "ragged-row 1", str(rejects), "then import it")
    assert [json.loads(line)["line"] for line in rejects.read_text().splitlines()] == [3, 4, 5]
    assert len(tracker.seen) == 2


def test_a_dry_run_reports_rejects(km: Command, tmp_path: Path) -> None:
    """A dry run writes no rejects file."""
    path = written(tmp_path, ROW + "guest,Acme,In,2024-01-01T00:00:00Z,\n")
    result = km("dry-run", path).ended(65)
    assert "to reject" in result.out
    assert not km.rejects()


# 73 and 75


def damaged(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + b"no database at all " * 400)
    path.chmod(0o600)


def newer(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("UPDATE meta SET value = '999' WHERE key = 'version'")
    database.close()


def open_to_all(path: Path) -> None:
    path.chmod(0o666)


def link(path: Path) -> None:
    path.rename(path.with_name("elsewhere.db"))
    path.symlink_to("elsewhere.db")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("spoil", "parts"),
    [
        (damaged, ("left as it is", "--ledger PATH")),
        (newer, ("newer km-cli", "999", "update km-cli")),
        (open_to_all, ("written by others", "chmod go-w")),
        (link, ("link to elsewhere", "elsewhere.db")),
    ],
)
def test_a_ledger_that_cannot_be_used(
    importer: Command,
    tracker: Tracker,
    log: Path,
    command: str,
    spoil: Callable[[Path], None],
    parts: tuple[str, ...],
) -> None:
    """The file is named and never overwritten; nothing is sent."""
    importer("import", log).ended(0)
    ledger = importer.state / "ledger.db"
    spoil(ledger)
    before = ledger.read_bytes()
    result = importer(command, written(log.parent, ROW * 2)).ended(73)
    said(result, str(ledger), *parts)
    assert ledger.read_bytes() == before
    assert len(tracker.seen) == 2


def test_a_ledger_where_none_can_be(importer: Command, tracker: Tracker, log: Path) -> None:
    """Below a file; a folder."""
    said(importer("import", log, "--ledger", log / "ledger.db").ended(73), str(log), "--ledger PATH")
    said(importer("import", log, "--ledger", log.parent).ended(73), str(log.parent), "--ledger PATH")
    assert not tracker.seen


def test_a_ledger_that_another_run_holds(importer: Command, tracker: Tracker, log: Path) -> None:
    """The message names the process. A dry run needs no lock, and once the other is gone all is well."""
    importer.state.mkdir(parents=True)
    with (importer.state / "ledger.db.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        said(importer("import", log).ended(75), f"process {os.getpid()}", "run again")
        assert not tracker.seen
        importer("dry-run", log).ended(0)
    importer("import", log).ended(0)
    assert len(tracker.seen) == 2


# 74


@pytest.mark.parametrize("size", [0, 2000], ids=["within the head", "behind the head"])
def test_a_gzip_that_is_cut_short(importer: Command, tmp_path: Path, size: int) -> None:
    """What was whole is sent, once; the whole copy goes on from there. The head is 1 MiB of content."""
    draw, rows = random.Random(1), 1500 if size else 50
    header = "user,event,timestamp,n\n"
    content = header + "".join(
        f"u{n},In,{1_704_067_200 + n},{n}{draw.randbytes(size // 2).hex()}\n" for n in range(rows)
    )
    packed = gzip.compress(content.encode())
    path = tmp_path / "log.csv.gz"
    path.write_bytes(packed[: len(packed) // 2])
    words = (path, "--no-properties", "--to", f"local:{tmp_path / 'store.db'}")
    told = importer("dry-run", *words, "--json").ended(74).summary
    result = importer("import", *words, "--json").ended(74)
    said(result, f"{path}: the compressed data is cut short, after", "bytes", "run again")
    sent = result.summary["rows"]["sent"]
    assert rows / 4 < sent < rows
    assert told["rows"] == result.summary["rows"]
    importer("import", *words).ended(74)
    path.write_bytes(packed)
    summary = importer("import", *words, "--json").ended(0).summary
    assert (summary["rows"]["skipped"], summary["rows"]["sent"]) == (sent, rows - sent)
    assert summary["kept"]["events"] == rows


def test_a_rejects_file_that_cannot_be_written(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """A rejects file that cannot be written is an error before a batch with rejects is sent."""
    path = written(tmp_path, "guest,Acme,In,2024-01-01T00:00:00Z,\n")
    for rejects in (path / "x", Path("/dev/null"), tmp_path):
        said(importer("import", path, "--rejects", rejects).ended(2), str(rejects), "--rejects PATH")
    assert not tracker.seen


def test_rejects_that_cannot_be_written_any_more(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """For example on a full disk. Calls planned with them that were not sent do not count as sent later."""
    good = "".join(f"u{n},Acme,In,{1_700_000_000 + n},\n" for n in range(300))
    rows = good.splitlines(keepends=True)
    path = written(tmp_path, "".join([*rows[:200], "guest,Acme,In,1700000000,\n", *rows[200:]]))
    rejects = tmp_path / "folder" / "rejects.jsonl"

    def behave(_hit: Hit, number: int) -> Reaction:
        if number == 0:
            rejects.parent.write_text("in the way")
        return OK

    tracker.behave = behave
    result = importer("import", path, "--rejects", rejects, "--batch-size", "50").ended(74)
    assert f"the rejects file {rejects} cannot be written: Not a directory" in result.err
    assert 0 < len(tracker.hits) < 600
    rejects.parent.unlink()
    importer("import", path, "--rejects", rejects).ended(65)
    assert len(tracker.hits) == len({hit.wire for hit in tracker.hits}) == 600


# Sources


@pytest.mark.parametrize("size", [10, 200_000], ids=["small", "over a mebibyte"])
def test_a_pipe_by_name(importer: Command, tracker: Tracker, log: Path, size: int) -> None:
    """`km-cli import <(zcat log.gz)`: nothing of it is lost, also if the ledger knows other readings."""
    importer("import", log, "--no-properties").ended(0)
    rows = [f"u{n},Acme,In,2024-01-01T00:00:0{n}Z,{'x' * size}\n" for n in range(9)]
    reading, writing = os.pipe()
    process = importer.start("import", f"/dev/fd/{reading}", "--no-properties", pass_fds=(reading,))
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        pipe.write(HEADER + "".join(rows))
    out, err = process.communicate(timeout=PATIENCE)
    Result(process.returncode, out, err).ended(0)
    assert {call["_p"] for call in tracker.calls()} == {"ada", "Acme", *(f"u{n}" for n in range(9))}


def test_a_name_that_is_no_text(importer: Command, tmp_path: Path) -> None:
    """It is imported, and shown in dry runs and rejects as what can be shown."""
    name = os.fsdecode(b"\xff\x1b.csv")
    path = written(tmp_path, ROW + "guest,Acme,In,2024-01-01T00:00:00Z,\n", name=name)
    assert "\\xff\\x1b.csv" in importer("dry-run", path).ended(65).out
    importer("import", path).ended(65)
    assert importer.rejects()[0]["source"] == f"{tmp_path}/\\xff\x1b.csv"
    said(importer("import", os.fsdecode(b"\xfe.csv")).ended(2), "\\xfe.csv: there is no such file")


@pytest.mark.parametrize("command", COMMANDS)
def test_closed_streams(importer: Command, tracker: Tracker, log: Path, command: str) -> None:
    """Some schedulers start it without standard streams."""
    process = importer.start(command, log, preexec_fn=lambda: os.closerange(0, 3))
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert len(tracker.seen) == (2 if command == "import" else 0)


def test_a_reader_that_goes_away(km: Command, tmp_path: Path) -> None:
    """`km-cli dry-run … | head -1` is no bug of ours."""
    process = km.start("dry-run", written(tmp_path, ROW))
    assert process.stdout
    process.stdout.close()
    assert process.stderr
    with process.stderr:
        assert process.stderr.read() == ""
    assert process.wait(PATIENCE) == 74


# Places


def test_lines_are_those_of_the_file_also_when_reading_goes_on(importer: Command, log: Path) -> None:
    """A file that grew."""
    importer("import", log).ended(0)
    with log.open("a") as file:
        file.write(ROW.replace("ada", "bob") + "guest,Acme,In,2024-01-01T00:00:00Z,\n")
    importer("import", log).ended(65)
    assert [reject["line"] for reject in importer.rejects()] == [4]


def test_the_samples_read_without_a_flag(km: Command, tmp_path: Path) -> None:
    """The first example of the README."""
    path = shutil.copy(SAMPLES / "events.csv", tmp_path)
    summary: dict[str, Any] = km("import", path, "--to", "local", "--json").ended(65).summary
    assert summary["calls"]["acknowledged"] == summary["calls"]["planned"] > 1000


# Completion


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        *((["import", flag], "file") for flag in ("--config", "--ledger", "--rejects")),
        (["import"], "file"),
        (["import", "a.csv"], "file"),
        (["dry-run", "-"], "file"),
        (["init", "--output"], "file"),
        (["init"], "file"),
        (["import", "--strategy"], "plain"),
    ],
)
def test_a_shell_completes_names_of_files(words: list[str], kind: str) -> None:
    complete = BashComplete(group, {}, "km-cli", "_KM_CLI_COMPLETE")
    assert {item.type for item in complete.get_completions(words, "")} == {kind}
