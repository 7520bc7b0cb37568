"""`--max-rejects`: a run stops when too many rows are rejected, and sent calls stay sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from km_cli.config.reject_limit import make_reject_limit
from km_cli.errors import TooManyRejects, UsageError
from km_cli.planning import Collisions
from tests.support.command import Command
from tests.support.logs import COMMANDS, said, written
from tests.support.running import run
from tests.support.tracker import Tracker

HEADER = "user,event,timestamp\n"
GOOD = "u{n},In,2024-01-01T00:00:00.{n}Z\n"
BAD = "guest,In,2024-01-01T00:00:00Z\n"


def log(folder: Path, rows: int, bad: range) -> Path:
    lines = (BAD if n in bad else GOOD.format(n=n) for n in range(rows))
    return written(folder, "".join(lines), HEADER)


@pytest.mark.parametrize(
    ("text", "rejected", "read", "at_end", "stops"),
    [
        ("0", 0, 10, True, False),
        ("0", 1, 10, False, True),
        ("10", 10, 10, True, False),
        ("10", 11, 9999, False, True),
        ("0%", 1, 999, False, False),
        ("0%", 1, 999, True, True),
        ("0%", 1, 1000, False, True),
        ("1%", 10, 1000, False, False),
        ("1%", 11, 1000, False, True),
        ("0.5 %", 6, 1000, True, True),
        ("100%", 1000, 1000, True, False),
        (" 7 ", 8, 8, False, True),
        ("1%", 0, 0, True, False),
    ],
)
def test_how_many_are_too_many(text: str, rejected: int, read: int, at_end: bool, stops: bool) -> None:
    """A number is judged at once, a percentage after 1,000 rows and at the end; the limit is allowed."""
    reject_limit = make_reject_limit(text)
    if not stops:
        reject_limit.check(rejected, read, at_end=at_end)
        return
    with pytest.raises(TooManyRejects) as raised:
        reject_limit.check(rejected, read, at_end=at_end)
    assert f"--max-rejects {text.strip()} " in str(raised.value)
    assert raised.value.exit == 65
    assert "run again" in raised.value.hint


@pytest.mark.parametrize("text", ["", "-1", "1.5", "x", "%", "101%", "1e3", "5%%", "٣", "nan%"])
def test_what_is_neither(text: str) -> None:
    """A number or a percentage."""
    with pytest.raises(UsageError, match="neither") as raised:
        make_reject_limit(text)
    assert "0.5%" in raised.value.hint


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("most", "read"), [("3", 60), ("4", 60), ("9", 60), ("10", 100), ("5%", 100), ("10%", 100), ("0", 50)]
)
def test_it_stops_at_the_end_of_a_batch(
    importer: Command, tracker: Tracker, tmp_path: Path, command: str, most: str, read: int
) -> None:
    """Ten bad rows from the 50th on, ten rows per batch; below 1,000 a percentage is judged at the end."""
    path = log(tmp_path, 100, range(49, 59))
    result = importer(command, path, "--batch-size", "10", "--max-rejects", most, "--json").ended(65)
    rows = result.summary["rows"]
    rejected = len(set(range(read)) & set(range(49, 59)))
    assert (rows["read"], rows["rejected"], rows["sent"]) == (read, rejected, read - rejected)
    assert len(tracker.seen) == (read - rejected if command == "import" else 0)
    told = f"{rejected} of {read} rows are rejected, more than --max-rejects {most} "
    stopped = most not in ("10", "10%")
    assert [part in result.err for part in (told, "run again: nothing is sent twice")] == [stopped, stopped]


def test_it_goes_on_with_the_mended_log(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """Sent rows are not sent again, rejected rows are tried again."""
    words = ("--batch-size", "10", "--max-rejects", "5")
    path = log(tmp_path, 100, range(60, 100))
    result = importer("import", path, *words).ended(65)
    said(result, "10 of 70 rows are rejected")
    assert len(tracker.seen) == 60
    importer("import", log(tmp_path, 100, range(0)), *words).ended(0)
    assert sorted(int(call["_p"][1:]) for call in tracker.calls()) == list(range(100))
    assert len(tracker.seen) == 100


def test_a_percentage_of_a_long_log(tmp_path: Path) -> None:
    """It is judged after 1,000 rows of all inputs together; the first batch of a file has 200 rows."""
    first = log(tmp_path, 900, range(800, 850))
    good = "".join(GOOD.format(n=n) for n in range(1000, 3000))
    second = written(tmp_path, BAD * 20 + good, HEADER, "b.csv")
    with pytest.raises(TooManyRejects, match=r"70 of 1,100 rows"):
        run([first, second], tmp_path / "ledger.db", max_rejects=make_reject_limit("5%"), batch_size=100)
    run([first, second], tmp_path / "other.db", max_rejects=make_reject_limit("7%"), batch_size=100)


def test_parts_that_are_not_sent_count(tmp_path: Path) -> None:
    """A row rejected for one persona in planning is a rejected row."""
    path = written(tmp_path, "ada,In,2024-01-01T00:00:00.1Z\nada,In,2024-01-01T00:00:00.2Z\n", HEADER)
    with pytest.raises(TooManyRejects, match="1 of 2 rows"):
        run([path], tmp_path / "l.db", max_rejects=make_reject_limit("0"), collisions=Collisions.REJECT)


def test_wrong_words(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """The error comes before anything is read."""
    path = log(tmp_path, 1, range(0))
    said(importer("import", path, "--max-rejects", "few").ended(2), "'few'", "0.5%")
    assert not tracker.seen
