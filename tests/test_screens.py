"""Screens: the question, the progress and errors, on terminals of 40, 80 and 120 columns.

They are kept in `tests/screens`; `tests/support/screens.py` says how to write them anew.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from km_cli.cli.terminal.extent import Extent
from km_cli.cli.terminal.problem import excerpt_lines
from km_cli.cli.terminal.progress import Progress, ProgressBar, clock_time, progress_line, trouble_text
from km_cli.errors import Where
from km_cli.inputs import Source, open_reader
from km_cli.model import Trouble
from km_cli.run.tally import Tally
from tests.support.command import Command
from tests.support.delivering import Hands
from tests.support.logs import written
from tests.support.packing import PACKS
from tests.support.patience import PATIENCE
from tests.support.screen import Screen, columns_of
from tests.support.screens import check_screen
from tests.support.terminal import Terminal, on_terminal
from tests.support.tracker import OK, Tracker, held, too_many

WIDTHS = (40, 80, 120)
ASKED = "? [y/N] "
NO = [(ASKED, "n\n")]
HEADER = "timestamp,user,account,event,plan\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, so that no path on a screen depends on the machine."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def log(folder: Path) -> Path:
    """Rows with something to find: two users of an account in one second, a lost value, two bad rows."""
    rows = [
        "2024-03-01T09:00:00Z,ada,Acme,Signed Up,Business",
        "2024-03-01T09:00:00Z,bob,Acme,Signed Up,Free",
        '2024-03-01T09:00:05Z,ada,Acme,"Invited, by mail",Business',
        "2024-03-01T09:00:09Z,cyd,Beta,Viewed,$9",
        "2024-03-01T09:01:09Z,guest,Beta,Viewed,",
        "never,cyd,Beta,Viewed,",
    ]
    (folder / "log.csv").write_text(HEADER + "\n".join([*rows, ""]))
    return Path("log.csv")


# The question


@pytest.mark.parametrize("columns", WIDTHS)
def test_the_question(km: Command, log: Path, columns: int) -> None:
    """It says what would be sent. Nothing is over it: the last line is the question itself."""
    shown = on_terminal(km, "import", log, columns=columns, answers=NO)
    assert shown.code == 130
    check_screen(f"question-{columns}", shown.asked[0])
    assert "%" not in shown.asked[0].splitlines()[-1]
    assert not (km.home / "state").exists(), "nothing is written before the answer is yes"


def test_the_question_about_two_sites_and_a_plan_of_ones_own(km: Command, log: Path, folder: Path) -> None:
    (folder / "km.toml").write_text(
        "[plans]\nours = { events = 4, price = 10 }\nlarger = { events = 750_000, price = 900 }\n"
    )
    words = ("import", log, "--strategy", "sites", "--rate", "2")
    shown = on_terminal(km, *words, answers=NO, KM_ACCOUNT_API_KEY="f" * 40)
    check_screen("question-sites", shown.asked[0])


def test_the_question_says_the_same_as_a_dry_run(km: Command, log: Path) -> None:
    """Rows, calls and forecast: whatever lines both have."""
    asked = on_terminal(km, "import", log, columns=200, answers=NO).asked[0]
    dry = on_terminal(km, "dry-run", log, columns=200).screen
    both = set(asked.splitlines()) & set(dry.splitlines())
    forecast = dry.partition("what Kissmetrics would hold after the import\n")[2].partition("\n\n")[0]
    assert forecast.count("\n") == 1
    assert set(forecast.splitlines()) < both
    for label in ("rows read", "to send", "to reject", "calls to send"):
        numbers = [re.search(rf"^ *{label} +(\d+)", text, re.MULTILINE) for text in (asked, dry)]
        assert all(numbers)
        assert len({found[1] for found in numbers if found}) == 1, label


def test_a_log_that_is_read_once_is_asked_about_as_far_as_it_was_seen(km: Command, log: Path) -> None:
    pipe = Path("pipe")
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[log.read_bytes()])
    writer.start()
    shown = on_terminal(km, "import", pipe, "--format", "csv", answers=NO)
    writer.join()
    assert shown.code == 130
    assert "so far: there may be more" in shown.asked[0]
    assert re.search(r"calls to send +8 ", shown.asked[0])


@pytest.mark.parametrize("early", ["y\n", "y\ny\ny\n", "\n"])
def test_keys_that_were_typed_early_answer_nothing(km: Command, log: Path, early: str) -> None:
    """They stand in the terminal's input when the command begins."""
    shown = on_terminal(km, "import", log, typed=early, answers=NO)
    assert shown.code == 130
    assert "nothing new was sent" in shown.screen
    assert not (km.home / "state").exists()


def test_an_answer_that_is_neither_yes_nor_no_is_asked_for_again(km: Command, log: Path) -> None:
    shown = on_terminal(km, "import", log, answers=[(ASKED, "perhaps\n"), *NO])
    assert shown.code == 130
    assert shown.screen.count(ASKED.strip()) == 2


def test_what_is_wrong_further_down_is_said_before_the_answer(km: Command, folder: Path) -> None:
    """The run would end there, after it had sent the rows before."""
    rows = "".join(f"2024-03-01T09:00:{n:02}Z,u{n},Acme,In,\n" for n in range(30))
    (folder / "a.csv").write_text(HEADER + rows)
    (folder / "b.csv").write_text(HEADER + rows.replace("2024-03-01", "01/03/2024"))
    shown = on_terminal(km, "import", "a.csv", "b.csv", answers=NO)
    assert shown.code == 130
    check_screen("question-then-error", shown.asked[0])


@pytest.mark.slow
def test_enter_cuts_the_look_ahead_short(km: Command, folder: Path) -> None:
    """The whole of this log would take minutes."""
    rows = (f"2024-03-01T09:{n // 60 % 60:02}:{n % 60:02}Z,u{n},a{n % 999},In,\n" for n in range(1_000_000))
    (folder / "log.csv").write_text(HEADER + "".join(rows))
    shown = on_terminal(km, "import", "log.csv", answers=[("Enter: ask now", "y\n"), *NO])
    assert shown.code == 130
    assert "so far: there may be more" in shown.asked[1]
    assert "Enter" not in shown.asked[1], "the progress is off the screen"
    assert shown.asked[1].splitlines()[-1].startswith("Send to Kissmetrics")


@pytest.mark.slow
def test_a_look_ahead_that_is_ended_from_outside_leaves_the_keyboard_as_it_was(
    km: Command, folder: Path
) -> None:
    rows = (f"2024-03-01T09:{n // 60 % 60:02}:{n % 60:02}Z,u{n},a{n % 999},In,\n" for n in range(1_000_000))
    (folder / "log.csv").write_text(HEADER + "".join(rows))
    terminal = Terminal(km, "import", "log.csv", columns=80, environment={"TERM": "xterm"})
    assert terminal.echoes
    terminal.until("Enter: ask now")
    assert not terminal.echoes, "Enter would move the progress"
    terminal.process.terminate()
    assert terminal.process.wait(PATIENCE) == -signal.SIGTERM
    assert terminal.echoes
    assert not (km.home / "state").exists()


def test_a_tracker_of_ones_own_is_not_asked_about(km: Command, tracker: Tracker, log: Path) -> None:
    shown = on_terminal(km, "import", log, "--to", tracker.url)
    assert shown.code == 65
    assert "[y/N]" not in shown.raw
    assert len(tracker.hits) == 8


@pytest.mark.slow
def test_yes_skips_the_question(km: Command, log: Path) -> None:
    """Nothing listens at this proxy."""
    shown = on_terminal(km, "import", log, "--yes", HTTPS_PROXY="http://127.0.0.1:9")
    assert shown.code == 69
    assert "[y/N]" not in shown.raw
    assert shown.screen.index("refuses connections") < shown.screen.index("calls planned and not")


# Progress


PROGRESS = Progress(
    1_234_567, 2_469_134, "calls", 812.4, 3, 0.456, 83.0, (3, 12), 3_400_000_000, "Enter: ask now"
)
SHORT = Progress(1200, 0, "rows")


def test_the_line_has_what_fits() -> None:
    lines = [
        f"{columns}: {progress_line(shown, columns, ascii_only=ascii_only)}"
        for shown in (PROGRESS, SHORT)
        for ascii_only in (False, True)
        for columns in (20, *WIDTHS, 160)
    ]
    check_screen("progress", "\n".join([*lines, ""]))


@given(
    rows=st.integers(0, 10**12),
    fraction=st.none() | st.floats(0, 1),
    left=st.none() | st.floats(0, 10**6),
    width=st.integers(8, 200),
)
def test_no_line_is_wider_than_its_window(
    rows: int, fraction: float | None, left: float | None, width: int
) -> None:
    shown = PROGRESS._replace(rows=rows, fraction=fraction, left=left)
    assert len(progress_line(shown, width)) <= width


def test_what_is_wrong_is_told_with_its_times() -> None:
    refused = "127.0.0.1:80 refuses connections"
    assert trouble_text(Trouble(refused, 88.0, 105.0), 100.0) == f"{refused} for 12 s, next try in 5 s"
    assert trouble_text(Trouble(refused, -200.0, None), 100.0) == f"{refused} for 5 min, trying again now"
    assert (
        trouble_text(Trouble("HTTP 429 Too Many Requests", 99.0, 140.0, is_asked=True), 100.0)
        == "asked to wait 40 s (Retry-After): HTTP 429 Too Many Requests"
    )


def test_times_are_written_as_a_clock_shows_them() -> None:
    assert [clock_time(seconds) for seconds in (0.2, 59.6, 754, 3723)] == ["0:00", "1:00", "12:34", "1:02:03"]


def test_percent_counts_acknowledged_calls_and_only_those_of_this_run(folder: Path) -> None:
    """Half of the file was read by an earlier run. Of the rest, all is planned and a half acknowledged."""
    path = written(folder, "".join(f"u{n},a,In,{1_700_000_000 + n},\n" for n in range(100)))
    size, clock, tally = path.stat().st_size, Hands(), Tally()
    extent = Extent({str(path): size})
    bar = ProgressBar(extent, clock)
    with closing(open_reader(Source(str(path)))) as opened:
        extent.begin(opened)
        extent.move(size // 2, known=True)
        extent.move(size)
        tally.calls.planned, tally.calls.acknowledged = 200, 100
        shown = bar._progress(tally, clock.at)
    assert shown.fraction == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize("packer", PACKS)
def test_packed_files_have_a_percentage(folder: Path, packer: str) -> None:
    """In bytes of the file: content has another size."""
    rows = (f"u{n},a{n * 7919},In,{1_700_000_000 + n},{'a plan ' * 20}{n * 104729}\n" for n in range(9_000))
    content = "".join(rows).encode()
    path = folder / "log.csv.x"
    path.write_bytes(PACKS[packer](b"user,account,event,timestamp,plan\n" + content))
    extent = Extent({str(path): path.stat().st_size})
    with closing(open_reader(Source(str(path)))) as opened:
        extent.begin(opened)
        extent.move(len(content) // 4)
        quarter = extent.done() / extent.total
        for _ in opened.reader().items():
            pass
        extent.move(len(content))
        assert 0.2 < quarter < 0.5, "the unpacker is ahead of its content"
        assert extent.done() / extent.total == pytest.approx(1.0, abs=0.01)


def test_files_of_a_backfill_that_are_not_opened_are_done_as_well() -> None:
    extent = Extent({"a": 100, "b": 300})
    extent.passed("a")
    assert (extent.passed_files, extent.done(0.0)) == (1, 100)
    extent.passed("new since then")
    assert extent.done() == 100


@pytest.mark.slow
@pytest.mark.parametrize("columns", WIDTHS)
def test_an_outage_is_named_on_the_screen_while_it_lasts(
    km: Command, tracker: Tracker, folder: Path, columns: int
) -> None:
    """Then the tracker comes back, and all is sent."""
    path = written(folder, "".join(f"u{n},a{n},In,{1_700_000_000 + n},\n" for n in range(500)))
    terminal = Terminal(
        km, "import", path, "--to", tracker.url, columns=columns, environment={"TERM": "xterm"}
    )
    fails_in_the_middle(tracker)
    terminal.until("refuses connections")
    tracker.start()
    assert terminal.ended() == 0
    assert "refuses connections" not in seen(terminal, columns), "it is off the screen at the end"
    assert len({hit.wire for hit in tracker.hits}) == 1000


@pytest.mark.slow
def test_a_wait_that_is_asked_for_is_told(km: Command, tracker: Tracker, folder: Path) -> None:
    tracker.behave = lambda _hit, number: too_many("3") if number >= 2 else OK
    path = written(folder, "".join(f"u{n},a{n},In,{1_700_000_000 + n},\n" for n in range(50)))
    terminal = Terminal(km, "import", path, "--to", tracker.url, columns=80, environment={"TERM": "xterm"})
    terminal.until("(Retry-After): HTTP 429 Too Many Requests")
    tracker.behave = None
    assert "asked to wait" in terminal.shown
    assert terminal.ended() == 0


@pytest.mark.slow
def test_a_terminal_that_cannot_move_its_cursor_is_told_of_an_outage_once(
    km: Command, tracker: Tracker, folder: Path
) -> None:
    path = written(folder, "".join(f"u{n},a{n},In,{1_700_000_000 + n},\n" for n in range(500)))
    terminal = Terminal(km, "import", path, "--to", tracker.url, columns=80)
    fails_in_the_middle(tracker)
    terminal.until("refuses connections")
    tracker.start()
    assert terminal.ended() == 0
    assert terminal.shown.count("refuses connections") == 1


def fails_in_the_middle(tracker: Tracker) -> None:
    """Stop the tracker when it has answered thirty calls. It answers no more, or the run might end before."""
    tracker.behave = lambda _hit, number: held() if number >= 30 else OK
    while len(tracker.seen) <= 30:
        time.sleep(0.01)
    tracker.stop()
    tracker.behave = None


def seen(terminal: Terminal, columns: int) -> str:
    """The screen after all that was written."""
    screen = Screen(columns)
    screen.feed(terminal.shown.replace("\n", "\r\n"))
    return screen.text


# Errors


def bad_times(folder: Path) -> Sequence[str | Path]:
    rows = "".join(f"never {n},u{n},Acme,In,a long plan with many words\n" for n in range(20))
    (folder / "log.csv").write_text(HEADER + rows)
    return "dry-run", "log.csv"


def two_readings(folder: Path) -> Sequence[str | Path]:
    (folder / "log.csv").write_text(HEADER + "03/04/2024,ada,Acme,In,\x1b[31mred\n" * 2)
    return "dry-run", "log.csv"


def no_toml(folder: Path) -> Sequence[str | Path]:
    (folder / "km.toml").write_text("[delivery]\nrate = fast and furious\n")
    return "config", "show"


def twins(folder: Path) -> Sequence[str | Path]:
    (folder / "log.csv").write_text("user,event,timestamp,Plan,plan\n")
    return "dry-run", "log.csv"


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("make", [bad_times, two_readings, no_toml, twins])
def test_errors_show_the_place(km: Command, folder: Path, make: object, columns: int) -> None:
    """What, where, the record itself, what to do: on less than a screen, and in two lines elsewhere."""
    assert callable(make)
    words = make(folder)
    shown = on_terminal(km, *words, columns=columns)
    assert shown.code == 2
    assert len(shown.screen.splitlines()) < 24
    check_screen(f"error-{make.__name__.replace('_', '-')}-{columns}", shown.screen)
    plain = km(*words).ended(2)
    assert plain.err.count("\n") == 2
    assert "-->" not in plain.err


@pytest.mark.parametrize(
    ("variables", "is_coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
    ids=["colour", "NO_COLOR", "dumb"],
)
def test_the_words_of_an_error_do_not_depend_on_colour(
    km: Command, folder: Path, variables: dict[str, str], is_coloured: bool
) -> None:
    shown = on_terminal(km, *bad_times(folder), **variables)
    assert ("\x1b[" in shown.raw) == is_coloured
    check_screen("error-bad-times-80", shown.screen)


@given(
    # Versions of Unicode differ in the width of rare characters.
    text=st.text(
        st.characters(exclude_characters="\n\r", max_codepoint=0x17F) | st.sampled_from("日本語名前"),
        max_size=300,
    ),
    at=st.integers(0, 299),
    length=st.integers(0, 299),
    width=st.integers(30, 120),
)
def test_an_excerpt_fits_and_marks_its_cell(text: str, at: int, length: int, width: int) -> None:
    cell = text[at : at + length]
    _, *lines = excerpt_lines(Where("log.csv", 1, text, "", cell), width)
    assert all(sum(map(columns_of, line)) <= width for line in lines)
    if len(lines) == 2:
        assert set(lines[1].strip(" |")) == {"^"}


def test_a_long_message_is_cut_in_its_middle(km: Command, folder: Path) -> None:
    columns = ",".join(f"column number {n}" for n in range(400))
    (folder / "log.csv").write_text(f"{columns}\n{',' * 399}\n")
    shown = on_terminal(km, "dry-run", "log.csv")
    assert shown.code == 2
    assert len(shown.screen.splitlines()) < 24


def test_the_cause_of_an_outage_comes_before_the_calls_that_are_pending(
    importer: Command, tracker: Tracker, log: Path
) -> None:
    tracker.stop()
    said = importer("import", log).ended(69).err
    assert 0 < said.index("refuses connections") < said.index("planned and not acknowledged yet")
