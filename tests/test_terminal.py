"""Output for people: no control characters, dry runs, and one question on a terminal."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import time
import unicodedata
from contextlib import closing, suppress
from pathlib import Path

import pytest

from km_cli.cli.terminal.extent import sizes_of
from km_cli.ledger import Ledger
from tests.support.command import Command
from tests.support.logs import COMMANDS, ROW, said, written
from tests.support.packing import PACKS
from tests.support.patience import PATIENCE
from tests.support.terminal import Terminal, on_terminal
from tests.support.tracker import OK, Tracker, held


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of one row."""
    return written(tmp_path, ROW)


# Hostile


HOSTILE = "\x1b]0;owned\x07\x1b[31m\u202e\x9b2J"


def harmless(text: str) -> bool:
    return all(letter == "\n" or (letter.isprintable() and letter != "\u202e") for letter in text)


@pytest.mark.parametrize("place", ["value", "event", "identity", "column", "name", "time"])
@pytest.mark.parametrize("command", COMMANDS)
def test_terminal_escapes_are_shown_escaped(
    importer: Command, tmp_path: Path, command: str, place: str
) -> None:
    """Wherever they come from."""
    at = {
        "value": "x",
        "event": "In",
        "identity": "ada",
        "column": "plan",
        "name": "log.csv",
        "time": "1704067200",
    }
    at[place] += HOSTILE
    path = written(
        tmp_path,
        f"{at['identity']},Acme,{at['event']},{at['time']},{at['value']}\n",
        f"user,account,event,timestamp,{at['column']}\n",
        at["name"],
    )
    result = importer(command, path, *(("-v",) if command == "import" else ()))
    assert result.code == (65 if place in ("identity", "time") else 0)
    assert harmless(result.out + result.err)
    if command == "dry-run" and place not in ("identity", "time"):
        assert "\\x1b[31m" in result.out


def test_markup_and_line_breaks_are_text(importer: Command, tmp_path: Path) -> None:
    """[red] stays as it is; a line break can't make up a message."""
    path = written(tmp_path, '[red]ada,Acme,"In\nkm-cli: all is well",1704067200,[/red]\n')
    result = importer("dry-run", path).ended(0)
    assert "[red]ada" in result.out
    assert "[/red]" in result.out
    assert "\nkm-cli: all is well" not in result.out
    path = written(tmp_path, "", header='user,"x\nkm-cli: all is well",timestamp\n')
    said(importer("dry-run", path).ended(2), "x\\nkm-cli: all is well")


def test_output_that_cannot_be_encoded(importer: Command, tmp_path: Path) -> None:
    """A terminal of another encoding gets escapes, not an error."""
    importer.environment["PYTHONIOENCODING"] = "iso-8859-1"
    path = written(tmp_path, "ada,Acme,In,1704067200,→\n")
    assert "plan: \\u2192" in importer.alone("dry-run", path).ended(0).out


# Dry run


def test_a_dry_run_needs_no_key_and_writes_nothing(km: Command, log: Path) -> None:
    """It shows the columns, the calls and the forecast."""
    km.environment["KM_API_KEY"] = ""
    before = sorted(km.home.rglob("*"))
    result = km("dry-run", log).ended(0)
    assert sorted(km.home.rglob("*")) == before
    assert result.err == ""
    assert f"{log}: user from 'user', account from 'account'" in result.out
    for part in (
        "identify  ada  (user)",
        "record  Clicked  2024-01-01 00:00:00 UTC",
        "identify  Acme  (account)",
    ):
        assert part in result.out
    assert "Nothing was sent or written." in result.out


@pytest.mark.parametrize(("show", "shown"), [("0", 0), ("2", 2), ("99", 5)])
def test_a_dry_run_shows_as_many_rows_as_asked(km: Command, tmp_path: Path, show: str, shown: int) -> None:
    """Only calls that would be sent."""
    rows = "".join(f"u{n},Acme,In,{1_704_067_200 + n},\n" for n in range(5))
    out = km("dry-run", written(tmp_path, "guest,,In,1704067200,\n" + rows), "--show", show).ended(65).out
    assert out.partition("\nrows read")[0].count(", line ") == shown


# On a terminal


@pytest.mark.parametrize("flags", [(), ("-v",)], ids=["quiet", "verbose"])
def test_a_terminal_that_goes_away_lets_what_is_in_flight_finish(
    km: Command, tracker: Tracker, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    """The terminal is gone, and that is no reason to fail."""
    log = tmp_path / "log.csv"
    rows = "".join(f"u{n},a{n},E,{1_700_000_000 + n}\n" for n in range(1000))
    log.write_text("user,account,event,timestamp\n" + rows)
    tracker.behave = lambda _hit, number: held() if number >= 30 else OK
    terminal = Terminal(km, "import", log, "--to", tracker.url, "--concurrency", "4", *flags)
    while len(tracker.seen) < 34:
        time.sleep(0.01)
    assert terminal.hang_up(meanwhile=tracker.answer_all) == 129
    tracker.behave = None
    assert len(tracker.hits) < 1000
    km("import", log, "--to", tracker.url).ended(0)
    assert len(tracker.hits) == len({hit.wire for hit in tracker.hits}) == 2000


QUESTION = "Send to Kissmetrics, site 'main'? [y/N] "


def test_another_answer_or_ctrl_c_at_the_question(km: Command, log: Path) -> None:
    """It says which answers there are; Ctrl-C, which the terminal shows, has its own line."""
    terminal = Terminal(km, "import", log, "--to", "kissmetrics")
    terminal.until(QUESTION)
    terminal.type("yess\n")
    terminal.until("\nAnswer y to send, or n.\n" + QUESTION)
    terminal.type("\x03")
    assert terminal.ended() == 130
    assert f"{QUESTION}^C\nkm-cli: nothing new was sent\n" in terminal.shown


@pytest.mark.parametrize("answer", ["n\n", "\n", "\x04", "no\n"])
def test_on_a_terminal_import_asks_once(km: Command, log: Path, answer: str) -> None:
    """It shows the mapping and the first calls; anything but yes sends nothing and leaves nothing planned."""
    terminal = Terminal(km, "import", log, "--to", "kissmetrics")
    terminal.until(QUESTION)
    assert "user from 'user', account from 'account'" in terminal.shown
    assert "identify  Acme  (account)" in terminal.shown
    terminal.type(answer)
    assert terminal.ended() == 130
    assert "nothing new was sent" in terminal.shown
    assert planned(km) == 0
    with closing(Ledger.overlay(km.state / "ledger.db")) as opened:
        assert [run.exit for run in opened.runs.latest(2)] in ([], [130])


def test_columns_that_look_swapped_are_said_before_the_answer(km: Command, tmp_path: Path) -> None:
    """Afterwards it is too late: identities cannot be separated."""
    rows = [f"Acme{n % 4},u{n % 20},In,2024-03-01T09:{n:02}:00Z" for n in range(40)]
    path = tmp_path / "swapped.csv"
    path.write_text("\n".join(["user,account,event,timestamp", *rows, ""]))
    terminal = Terminal(km, "import", path, "--to", "kissmetrics")
    terminal.until(QUESTION)
    assert "are the columns swapped? Then --user account --account user" in " ".join(terminal.shown.split())
    terminal.type("n\n")
    assert terminal.ended() == 130


def test_on_a_terminal_a_backfill_asks_too(km: Command, log: Path) -> None:
    """The first backfill is run by hand, and cannot be undone either."""
    (km.home / "km.toml").write_text(f'[[backfill]]\nname = "log"\nfiles = ["{log}"]\n')
    terminal = Terminal(km, "backfill")
    terminal.until(QUESTION)
    terminal.type("n\n")
    assert terminal.ended() == 130
    assert "nothing new was sent" in terminal.shown
    assert planned(km) == 0


@pytest.mark.parametrize(
    "words", [("compare", "key"), ("dry-run", "key", "--format", "jsonl"), ("config", "show")]
)
def test_a_key_in_a_file_named_by_mistake_is_on_no_screen(
    km: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """Not even in the excerpt of the file that a terminal shows."""
    monkeypatch.chdir(tmp_path)
    secret = "0a1b2c3d" * 5
    Path("key").write_text(secret)
    Path("km.toml").write_text(f"[sites.main]\nkey_file = {secret}\n" if words[0] == "config" else "")
    shown = on_terminal(km, *words)
    assert shown.code in (2, 65)
    assert "line" in shown.screen
    assert secret[:9] not in "".join(shown.raw.split())


@pytest.mark.parametrize("command", ["import", "backfill"])
def test_strict_looks_through_the_log_once_and_before_it_asks(km: Command, log: Path, command: str) -> None:
    """What is bad is no question. Enter does not cut the look short, and a yes sends without another one."""
    (km.home / "km.toml").write_text(f'[[backfill]]\nname = "log"\nfiles = ["{log}"]\n')
    words = (command, *((log,) if command == "import" else ()), "--strict")
    terminal = Terminal(km, *words)
    terminal.until(QUESTION)
    assert "Enter" not in terminal.shown
    terminal.type("n\n")
    assert terminal.ended() == 130
    log.write_text(log.read_text().replace("ada", "guest"))
    terminal = Terminal(km, *words)
    assert terminal.ended() == 65
    assert "[y/N]" not in terminal.shown
    assert "would lose, merge or change something" in " ".join(terminal.shown.split())


@pytest.mark.parametrize("command", ["import", "backfill"])
def test_strict_has_a_progress_where_no_question_is_asked(
    km: Command, tracker: Tracker, log: Path, command: str
) -> None:
    """The rehearsal takes as long as a dry run. Each progress hides the cursor once."""
    (km.home / "km.toml").write_text(f'[[backfill]]\nname = "log"\nfiles = ["{log}"]\n')
    config = ("--config", km.home / "km.toml")
    words = (command, *((log,) if command == "import" else ()), *config, "--to", tracker.url)
    for flags, progresses in ((("--strict",), 2), ((), 1)):
        shown = on_terminal(km, *words, *flags)
        assert shown.code == 0
        assert shown.raw.count("\x1b[?25l") == progresses


def test_a_log_on_standard_input_is_asked_about_on_the_terminal(km: Command, log: Path) -> None:
    """The answer cannot come from the log."""
    with log.open("rb") as piped:
        terminal = Terminal(km, "import", "-", stdin=piped.fileno())
        terminal.until(QUESTION)
        terminal.type("n\n")
        assert terminal.ended() == 130
    assert planned(km) == 0


def test_ctrl_c_at_the_question_is_no(km: Command, log: Path) -> None:
    """At once."""
    terminal = Terminal(km, "import", log)
    terminal.until(QUESTION)
    for _ in range(60):
        # One that comes before the process waits for input is noticed with the next.
        os.kill(terminal.process.pid, signal.SIGINT)
        with suppress(TimeoutError):
            terminal.until("nothing new was sent", 1.0)
            break
    assert terminal.ended() == 130
    assert "nothing new was sent" in terminal.shown
    assert planned(km) == 0


def planned(km: Command) -> int:
    """How many calls the ledger holds, as sent or to be sent. Before a yes there may be no ledger."""
    if not (km.state / "ledger.db").exists():
        return 0
    database = sqlite3.connect(km.state / "ledger.db")
    try:
        count: int = database.execute(
            "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM slots)"
        ).fetchone()[0]
    finally:
        database.close()
    return count


def test_the_question_leaves_standard_output_alone(km: Command, log: Path) -> None:
    """`--json > summary.json` on a terminal asks there, not in the file."""
    reading, writing = os.pipe()
    terminal = Terminal(km, "import", log, "--json", out=writing)
    os.close(writing)
    terminal.until(QUESTION)
    terminal.type("n\n")
    assert terminal.ended() == 130
    with os.fdopen(reading) as out:
        assert out.read() == ""


@pytest.mark.parametrize("flags", [("--to", "local"), ("--to", "local", "--yes")])
def test_no_question_for_what_can_be_undone(km: Command, log: Path, flags: tuple[str, ...]) -> None:
    """The store on this machine; on a terminal there is a summary."""
    terminal = Terminal(km, "import", log, *flags)
    assert terminal.ended() == 0
    assert "[y/N]" not in terminal.shown
    assert "rows read" in terminal.shown
    assert "what Kissmetrics would keep" in terminal.shown


def test_no_question_if_there_is_nothing_to_send(km: Command, tmp_path: Path) -> None:
    """A header alone."""
    terminal = Terminal(km, "import", written(tmp_path, ""))
    assert terminal.ended() == 0
    assert "[y/N]" not in terminal.shown


# Windows of any width


WIDE = "日本語の名前がとても長い" * 4
ROWS = (
    f'ada,Acme,"Signed, Up",1704067200,$9\nbob,Acme,"Signed, Up",1704067200,{"x" * 60}\n'
    f"guest,Acme,In,1704067200,\n{WIDE},Acme,{WIDE},1704067200,{WIDE}\ncyd,Acme,In,never,\n"
)


def cells(text: str) -> int:
    """The columns that a line takes in a window."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
@pytest.mark.parametrize("command", COMMANDS)
def test_lines_fit_the_window(km: Command, tmp_path: Path, command: str, columns: int) -> None:
    """A wrapped line continues with more indentation."""
    written(tmp_path, ROWS)
    terminal = Terminal(km, command, "log.csv", "--to", "local:x.db", columns=columns)
    assert terminal.ended() == 65
    lines = [line.rstrip() for line in terminal.shown.splitlines()]
    long = [line for line in lines if cells(line) > columns]
    assert [line for line in long if "rejects-" not in line] == []  # a path stays whole, to be copied
    findings = lines[lines.index("findings") :]
    row = next(at for at, line in enumerate(findings) if line.split()[:3] == ["~", "changed", "1"])
    # Below its column. In the narrowest window it has none, in the widest one it is a single line.
    assert findings[row + 1].startswith(" " * 9) == (columns in (60, 80))
    if command == "import":
        assert ("calls acknowledged  6" in lines) == (columns == 40)  # no room beside it: the rest is below


@pytest.mark.parametrize("columns", [40, 80])
def test_nothing_is_lost_in_a_narrow_window(km: Command, tmp_path: Path, columns: int) -> None:
    """Without a terminal nothing is wrapped; the words are the same."""
    written(tmp_path, ROWS)
    terminal = Terminal(km, "dry-run", "log.csv", columns=columns)
    terminal.ended()
    process = km.start("dry-run", "log.csv", cwd=tmp_path)
    out, _ = process.communicate(timeout=PATIENCE)
    assert max(map(cells, out.splitlines())) > 120
    assert "".join(terminal.shown.split()) == "".join(out.split())


def test_problems_fit_the_window(km: Command) -> None:
    """A wrapped hint continues under its first word."""
    terminal = Terminal(km, "import", "nosuch.csv", "--timezone", "Nowhere", columns=30)
    assert terminal.ended() == 2
    assert terminal.shown == (
        "km-cli: --timezone 'Nowhere'\n        is not a time zone\n        that this machine\n        knows\n"
        "  next: for example\n        Europe/Berlin,\n        America/New_York or\n        UTC\n"
    )


# Colour


COLOURS = {str(code) for first in (30, 40, 90, 100) for code in range(first, first + 10) if code % 10 != 9}
"""Parameters of the escape sequence that sets colours (ECMA-48, 8.3.117); 39 and 49 take them back."""


@pytest.mark.parametrize(("no_color", "is_coloured"), [(None, True), ("1", False)])
def test_no_color(km: Command, log: Path, no_color: str | None, is_coloured: bool) -> None:
    """Only the bar has colour, and only without NO_COLOR (no-color.org)."""
    environment = {"TERM": "xterm-256color"} | ({"NO_COLOR": no_color} if no_color else {})
    terminal = Terminal(km, "import", log, "--to", "local", environment=environment)
    assert terminal.ended() == 0
    codes = {code for found in re.findall(r"\x1b\[([\d;]*)m", terminal.shown) for code in found.split(";")}
    assert bool(codes & COLOURS) == is_coloured


# How much is left


PLAIN = b"user,event,timestamp\nada,In,1704067200\n"


def test_how_much_there_is_to_read(tmp_path: Path) -> None:
    """The files as they lie on disk, packed or not; nothing if one of them can be read only once."""
    files = [tmp_path / "plain.csv", *(tmp_path / name for name in PACKS)]
    files[0].write_bytes(PLAIN)
    for file, pack in zip(files[1:], PACKS.values(), strict=True):
        file.write_bytes(pack(PLAIN))
    names = list(map(str, files))
    assert sizes_of(names) == {name: os.path.getsize(name) for name in names}
    os.mkfifo(tmp_path / "pipe")
    for other in ("-", str(tmp_path / "pipe"), str(tmp_path / "absent"), str(tmp_path)):
        assert sizes_of([*names, other]) is None


@pytest.mark.parametrize("flags", [(), ("--limit", "2900")])
def test_a_percentage_is_shown_where_it_is_known(km: Command, tmp_path: Path, flags: tuple[str, ...]) -> None:
    """No percentage is shown where the size is not known."""
    rows = "".join(f"u{n},Acme,In,{1_704_067_200 + n},\n" for n in range(3000))
    words = ("import", written(tmp_path, rows), "--to", "local", *flags)
    terminal = Terminal(km, *words, environment={"TERM": "xterm"})
    assert terminal.ended() == 0
    assert "calls" in terminal.shown
    assert ("%" in terminal.shown) == (not flags)


@pytest.mark.slow
def test_lines_of_an_example_are_continued_deeper(km: Command) -> None:
    """A finding in the example of a rule is indented; its second line was less indented than its first."""
    terminal = Terminal(km, "rules", "crossover", columns=80)
    assert terminal.ended() == 0
    lines = terminal.shown.partition("\n  findings\n")[2].partition("\n\n")[0].splitlines()
    assert [len(text) - len(text.lstrip()) for text in lines] == [4, 6, 8, 10, 8, 10]
