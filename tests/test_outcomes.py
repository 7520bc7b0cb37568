"""Exit codes that need a misbehaving server, and the run after each."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.support import tracker as t
from tests.support.command import KEY, Command, Result
from tests.support.tracker import BAD, OK, Hit, Reaction, Tracker

HEADER = "user,account,event,timestamp,plan\n"
ROWS = 12


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Twelve rows, twenty-four calls."""
    path = tmp_path / "log.csv"
    rows = (f"u{n},Acme,Event {n},2024-01-01T00:00:{n:02}Z,pro\n" for n in range(ROWS))
    path.write_text(HEADER + "".join(rows), encoding="utf-8")
    return path


def who(hits: list[Hit]) -> Counter[tuple[str, str]]:
    """The identity and the event of a call."""
    return Counter((hit.params["_p"], hit.params["_n"]) for hit in hits)


EVERYTHING = Counter((who, f"Event {n}") for n in range(ROWS) for who in (f"u{n}", "Acme"))


def add_up(summary: dict[str, dict[str, int]]) -> None:
    """The sums that always hold."""
    rows, calls = summary["rows"], summary["calls"]
    assert rows["read"] == sum(rows[name] for name in ("sent", "skipped", "rejected", "held", "pending"))
    ended = sum(calls[name] for name in ("acknowledged", "rejected", "pending"))
    assert calls["planned"] + calls["resumed"] == ended


def resumes(importer: Command, tracker: Tracker, log: Path, pending: int) -> None:
    """The next run sends what is pending and nothing else; the one after that nothing at all."""
    tracker.behave = None
    before = len(tracker.seen)
    summary = importer("import", log, "--json").ended(0).summary
    add_up(summary)
    assert summary["calls"]["resumed"] == pending
    assert summary["calls"]["acknowledged"] == len(tracker.seen) - before == pending
    assert who(tracker.hits) == EVERYTHING
    importer("import", log).ended(0)
    assert len(tracker.seen) == before + pending


# 69


@pytest.mark.parametrize(
    ("reaction", "says"),
    [
        (t.refuse(403), "403"),
        (t.refuse(401), "401"),
        (t.refuse(501), "501"),
        (t.redirect("https://elsewhere.example/e"), "redirect"),
        (t.HTML, "text/html"),
        (t.BAD, "400"),
    ],
)
def test_refused_as_a_whole_is_69(
    importer: Command, tracker: Tracker, log: Path, reaction: Reaction, says: str
) -> None:
    tracker.behave = lambda _hit, _number: reaction
    result = importer("import", log, "--json", "--concurrency", "2").ended(69)
    assert says in result.err
    assert "next:" in result.err
    add_up(result.summary)
    assert result.summary["calls"]["acknowledged"] == 0
    assert len(tracker.seen) <= 8
    if reaction is not t.BAD:
        assert result.summary["rows"]["pending"] == ROWS
        resumes(importer, tracker, log, 2 * ROWS)


def test_no_destination_is_69(importer: Command, tracker: Tracker, log: Path) -> None:
    tracker.stop()
    result = importer("import", log, "--json").ended(69)
    assert "refuses connections" in result.err
    assert result.summary["rows"]["pending"] == ROWS
    tracker.start()
    resumes(importer, tracker, log, 2 * ROWS)


def test_refused_midway_is_69_and_the_rest_is_resumed(importer: Command, tracker: Tracker, log: Path) -> None:
    tracker.behave = lambda _hit, number: t.OK if number < 9 else t.refuse(403)
    result = importer("import", log, "--json", "--concurrency", "1").ended(69)
    assert result.summary["calls"]["acknowledged"] == 9
    add_up(result.summary)
    resumes(importer, tracker, log, 2 * ROWS - 9)


def test_the_key_does_not_follow_a_redirect(importer: Command, tracker: Tracker, log: Path) -> None:
    with Tracker() as elsewhere:
        tracker.behave = lambda _hit, _number: t.redirect(elsewhere.url + "/e", 307)
        importer("import", log).ended(69)
        assert not elsewhere.seen
        assert not elsewhere.connections


# 75


@pytest.mark.parametrize("reaction", [t.UNAVAILABLE, t.TRUNCATED, t.RESET_BEFORE])
def test_attempts_used_are_75(importer: Command, tracker: Tracker, log: Path, reaction: Reaction) -> None:
    """The next run sends the undelivered calls, byte for byte, and nothing else."""
    stubborn = {("u3", "Event 3"), ("Acme", "Event 7")}
    tracker.behave = lambda hit, _: reaction if stubborn & set(who([hit])) else t.OK
    result = importer("import", log, "--json", "--attempts", "2").ended(75)
    summary = result.summary
    add_up(summary)
    assert "not acknowledged" in result.err
    calls, rows = summary["calls"], summary["rows"]
    assert (calls["pending"], calls["retried"], calls["acknowledged"]) == (2, 2, 2 * ROWS - 2)
    assert (rows["pending"], rows["sent"]) == (2, ROWS - 2)
    if not reaction.keeps:
        resumes(importer, tracker, log, 2)
    else:
        tracker.behave = None
        assert importer("import", log, "--json").ended(0).summary["calls"]["resumed"] == 2
    assert len({hit.wire for hit in tracker.seen}) == 2 * ROWS


def test_a_long_retry_after_is_75(importer: Command, tracker: Tracker, log: Path) -> None:
    tracker.behave = lambda _hit, number: t.OK if number < 5 else t.too_many("3600")
    result = importer("import", log, "--json", "--concurrency", "1").ended(75)
    assert "3600" in result.err
    assert len(tracker.seen) == 6
    add_up(result.summary)
    resumes(importer, tracker, log, 2 * ROWS - 5)


# 65


def refused_once(importer: Command, tracker: Tracker, log: Path) -> Result:
    """Import while the destination refuses the call of one account in one row."""
    tracker.behave = lambda hit, _: t.BAD if who([hit]) == {("Acme", "Event 5"): 1} else t.OK
    return importer("import", log, "--json").ended(65)


def test_a_row_rejected_for_one_persona_is_65(importer: Command, tracker: Tracker, log: Path) -> None:
    result = refused_once(importer, tracker, log)
    add_up(result.summary)
    assert result.summary["calls"]["rejected"] == 1
    assert result.summary["rows"]["rejected"] == 1
    (reject,) = importer.rejects()
    assert (reject["owed"], reject["line"], reject["code"]) == (["account"], 7, "refused")
    assert "400" in reject["reason"]
    assert KEY not in str(reject)


def test_a_corrected_persona_is_sent_and_nothing_else(
    importer: Command, tracker: Tracker, log: Path, tmp_path: Path
) -> None:
    refused_once(importer, tracker, log)
    (path,) = importer.state.glob("rejects-*")
    corrected = tmp_path / "corrected.jsonl"
    corrected.write_text(path.read_text().replace("pro", "team"))
    tracker.behave = None
    before = len(tracker.seen)
    importer("import", corrected).ended(0)
    assert who(tracker.seen[before:]) == {("Acme", "Event 5"): 1}
    assert tracker.hits[-1].params["plan"] == "team"
    assert who(tracker.hits) == EVERYTHING
    importer("import", corrected).ended(0)
    importer("import", log).ended(0)
    assert len(tracker.seen) == before + 1


def test_a_rejection_on_resuming_is_reported_as_well(importer: Command, tracker: Tracker, log: Path) -> None:
    tracker.behave = lambda _hit, _number: t.refuse(403)
    importer("import", log).ended(69)
    result = refused_once(importer, tracker, log)
    add_up(result.summary)
    (reject,) = importer.rejects()
    assert (reject["owed"], reject["line"]) == (["account"], 7)


def test_a_retry_is_counted(importer: Command, tracker: Tracker, log: Path) -> None:
    tracker.behave = lambda _hit, number: t.UNAVAILABLE if number in (3, 8, 14) else t.OK
    summary = importer("import", log, "--json").ended(0).summary
    assert summary["calls"]["retried"] == 3 == len(tracker.seen) - 2 * ROWS
    assert who(tracker.hits) == EVERYTHING


def test_one_product_has_one_name(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("user,event,timestamp\nada,In,1704067200\n")
    importer("import", log, "--site", "test").ended(0)
    told = importer("import", log).ended(2)
    assert "is that of the site 'test'" in told.err
    assert "--site test" in told.err
    assert len(tracker.seen) == 1


def test_earlier_refusals_are_reported(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("user,event,timestamp\nada,In,1704067200\nguest,In,1704067200\n")
    tracker.behave = lambda _hit, _number: BAD
    importer("import", log).ended(65)
    tracker.behave = lambda _hit, _number: OK
    again = importer("import", log, "--json").ended(0).summary
    assert (again["rows"]["skipped"], again["rejected_before"]) == (2, 2)
