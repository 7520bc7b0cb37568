"""A log that was sent is not sent once more under other times, names or people, unless that is meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.bench import Bench
from tests.support.command import KEY, Command
from tests.support.tracker import Tracker

HEADER = "when,then,slashed,user,friend,account,partner,event,kind,plan"
ROWS = 6
FLAGS = ("--timestamp", "when", "--timezone", "UTC", "--property", "plan")


def cells(number: int) -> list[str]:
    """Row n: two times, two users, two accounts and two names, so that each can be taken for the other."""
    hour = f"{number:02}:00:00"
    times = [f"2024-03-04 {hour}", f"2024-05-06 {hour}", f"03/04/2024 {hour}"]
    people = [f"u{number % 2}", f"f{number % 2}", f"a{number % 2}", f"p{number % 2}"]
    return [*times, *people, "Paid", "Billed", "pro"]


def text(*numbers: int, header: str = HEADER) -> str:
    """The rows as CSV with these columns."""
    names = header.split(",")
    places = [HEADER.split(",").index(name) for name in names]
    lines = [",".join(cells(number)[place] for place in places) for number in numbers]
    return "\n".join([header, *lines, ""])


def personas(account: str = "", user: str = "") -> str:
    """A km.toml with a user and an account."""
    return f'[[personas]]\nname = "user"\n{user}\n[[personas]]\nname = "account"\n{account}\n'


@pytest.fixture
def log(bench: Bench) -> Path:
    return bench.write("log.csv", text(*range(ROWS)))


def config(bench: Bench, toml: str) -> tuple[str, ...]:
    """The option for a km.toml; each text is a file of its own."""
    number = sum(1 for _ in bench.folder.glob("*.toml"))
    return ("--config", str(bench.write(f"{number}.toml", toml)))


OTHER_FLAGS = {
    "zone": (FLAGS, (*FLAGS[:3], "Europe/Berlin", *FLAGS[4:])),
    "time column": (FLAGS, ("--timestamp", "then", *FLAGS[2:])),
    "event column": (FLAGS, (*FLAGS, "--event", "kind")),
    "one name for all": (FLAGS, (*FLAGS, "--event-name", "Paid for")),
    "user column": (FLAGS, (*FLAGS, "--user", "friend")),
    "account column": (FLAGS, (*FLAGS, "--account", "partner")),
    "time format": (
        ("--timestamp", "slashed", "--time-format", "%d/%m/%Y %H:%M:%S", *FLAGS[2:]),
        ("--timestamp", "slashed", "--time-format", "%m/%d/%Y %H:%M:%S", *FLAGS[2:]),
    ),
}
OTHER_TOML = {
    "rename": (personas(), personas('rename = "Account {event}"')),
    "prefix": (personas(), personas('prefix = "account "')),
    "actor's prefix": (personas(), personas(user='prefix = "user "')),
    "name of an event": (personas('events = ["Paid"]'), personas('events = { Paid = "Was Paid" }')),
    "column of a persona": (personas(), personas('column = "partner"')),
}
CASES = [*OTHER_FLAGS, *OTHER_TOML]


def both(bench: Bench, case: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The options of the first import and those of another meaning."""
    if case in OTHER_FLAGS:
        return OTHER_FLAGS[case]
    first, second = OTHER_TOML[case]
    return (*FLAGS, *config(bench, first)), (*FLAGS, *config(bench, second))


every_case = pytest.mark.parametrize("case", CASES)


@every_case
def test_another_meaning_is_refused(bench: Bench, log: Path, case: str) -> None:
    """With exit 2, before anything is sent, by a dry run too; the way to mean it is named."""
    first, second = both(bench, case)
    bench.send(log, *first, code=0)
    sent = bench.wires()
    for command in ("dry-run", "import"):
        result = bench.run(command, log, *second)
        assert result.code == 2, result.err
        assert "--as-new" in result.err
    assert bench.wires() == sent
    assert bench.send(log, *first, code=0).summary["calls"]["planned"] == 0


@every_case
def test_another_meaning_that_is_meant_is_sent_as_new(bench: Bench, log: Path, case: str) -> None:
    """Every row once more, in free seconds; then that is known as well, and so is the first."""
    first, second = both(bench, case)
    bench.send(log, *first, code=0)
    once = len(bench.calls())
    bench.send(log, *second, "--as-new", code=0)
    calls = bench.calls()
    assert len(calls) == 2 * once == 4 * ROWS
    assert len({(call.site, call.identity, call.event, call.second) for call in calls}) == len(calls)
    for flags in (second, first):
        assert bench.send(log, *flags, code=0).summary["calls"]["planned"] == 0


@every_case
def test_a_log_that_grew_is_the_same_log(bench: Bench, log: Path, case: str) -> None:
    first, second = both(bench, case)
    bench.send(log, *first, code=0)
    sent = bench.wires()
    log.write_text(text(*range(ROWS + 2)))
    assert bench.run("import", log, *second).code == 2
    assert bench.wires() == sent
    bench.send(log, *first, code=0)
    assert len(bench.calls()) == 2 * (ROWS + 2)


@pytest.mark.parametrize("case", ["zone", "time column", "event column"])
def test_an_export_of_the_log_is_the_same_log(bench: Bench, log: Path, case: str) -> None:
    """Other bytes, of which the rows are known as soon as they are read as before."""
    first, second = both(bench, case)
    log.write_text(text(*range(20)))
    bench.send(log, *first, code=0)
    sent = bench.wires()
    header = ",".join(HEADER.split(",")[::-1])
    export = bench.write("export.csv", text(*range(2, 20), header=header))
    result = bench.run("import", export, *second)
    assert result.code == 2, result.err
    assert bench.wires() == sent
    assert bench.send(export, *first, code=0).summary["calls"]["planned"] == 0


# What only adds or takes away


@pytest.mark.parametrize(
    ("first", "second", "more"),
    [
        (personas().partition("\n[[personas]]")[0], personas(), ROWS),
        (personas(), personas().partition("\n[[personas]]")[0], 0),
        (personas("events = []"), personas('events = ["Paid"]'), ROWS),
        (personas('events = ["Paid"]'), personas('events = ["Paid", "Left"]'), 0),
        (personas('events = ["Paid"]'), personas(), 0),
        (personas(), personas('properties = ["plan", "kind"]'), 0),
        (personas(), personas("properties = []"), 0),
        (personas(), personas(user='link = { Account = "account" }'), 0),
        (personas(), personas() + '[[personas]]\nname = "partner"\nevents = ["Left"]\n', 0),
        (personas(), personas() + '[[personas]]\nname = "partner"\n', ROWS),
    ],
)
def test_what_only_adds_or_takes_away_goes_on(
    bench: Bench, log: Path, first: str, second: str, more: int
) -> None:
    """Personas, properties, events of a list: only new calls are sent."""
    flags = FLAGS[:4]
    bench.send(log, *flags, *config(bench, first), code=0)
    before = len(bench.calls())
    bench.send(log, *flags, *config(bench, second), code=0)
    assert len(bench.calls()) == before + more
    assert bench.send(log, *flags, *config(bench, first), code=0).summary["calls"]["planned"] == 0


@pytest.mark.parametrize(
    "more",
    [
        ("--no-properties",),
        ("--user", "user", "--account", "account", "--event", "event"),
        ("--exclude-property", "kind"),
        ("--property", "kind"),
        ("--time-format", "%Y-%m-%d %H:%M:%S"),
        ("--spread", "30"),
        ("--ambiguous", "earlier"),
    ],
)
def test_the_same_meaning_in_other_words_is_the_same(bench: Bench, log: Path, more: tuple[str, ...]) -> None:
    """The columns that are used count, not how they were named."""
    flags = FLAGS[:4] if more[0] == "--no-properties" else FLAGS
    bench.send(log, *FLAGS, code=0)
    assert bench.send(log, *flags, *more, code=0).summary["calls"]["planned"] == 0


def test_a_zone_that_no_time_needs_is_no_other_meaning(bench: Bench) -> None:
    """Times with an offset are the same in every zone."""
    log = bench.write("log.csv", "user,event,timestamp\nada,In,2024-03-04T05:06:07Z\nada,In,1709528800\n")
    bench.send(log, "--timezone", "UTC", code=0)
    assert bench.send(log, "--timezone", "Europe/Berlin", code=0).summary["calls"]["planned"] == 0
    assert bench.send(log, code=0).summary["calls"]["planned"] == 0


@pytest.mark.parametrize("case", ["zone", "time format", "time column"])
def test_a_first_try_that_sent_nothing_does_not_count(bench: Bench, case: str) -> None:
    """All its rows were rejected; then it is read as it should be."""
    rows = text(*range(3)).splitlines()
    rejected = [row.replace(",u0,", ",guest,").replace(",u1,", ",guest,") for row in rows]
    log = bench.write("log.csv", "\n".join([*rejected, ""]))
    first, second = both(bench, case)
    bench.send(log, *first, code=65)
    assert bench.calls() == []
    bench.send(log, *second, "--allow-id", "guest", code=0)
    assert len(bench.calls()) == 6


def test_another_site_is_another_matter(bench: Bench, log: Path) -> None:
    """A trial under a test product may have had other times."""
    bench.environment["KM_API_KEY"] = KEY[::-1]
    bench.send(log, *OTHER_FLAGS["zone"][1], "--site", "test", code=0)
    bench.environment.clear()
    bench.send(log, *FLAGS, code=0)
    assert len(bench.tracker.hits) == 4 * ROWS
    assert bench.run("import", log, *OTHER_FLAGS["zone"][1]).code == 2


def test_another_site_of_one_persona_is_new_there_alone(bench: Bench, log: Path) -> None:
    """The strategy `sites` after `toggle`: the accounts' part is sent to its site."""
    bench.send(log, *FLAGS, code=0)
    bench.send(log, *FLAGS, "--strategy", "sites", code=0)
    assert sorted({(call.site, call.identity[0]) for call in bench.calls()}) == [
        ("accounts", "a"),
        ("main", "a"),
        ("main", "u"),
    ]
    assert len(bench.calls()) == 3 * ROWS


def test_events_that_repeat_each_hour_do_not_pass_for_known(bench: Bench) -> None:
    """In another zone a regular log falls on its own seconds: as new, all of it is sent."""
    rows = "".join(f"ada,Ping,2024-03-04 {hour:02}:00:00\n" for hour in range(12))
    log = bench.write("log.csv", "user,event,timestamp\n" + rows)
    bench.send(log, "--timezone", "UTC", code=0)
    assert bench.run("import", log, "--timezone", "Europe/Berlin").code == 2
    bench.send(log, "--timezone", "Europe/Berlin", "--as-new", code=0)
    assert len(bench.calls()) == 24


def test_a_dry_run_says_what_sending_as_new_would_do(bench: Bench, log: Path) -> None:
    bench.send(log, *FLAGS, code=0)
    second = (*OTHER_FLAGS["zone"][1], "--as-new")
    dry = bench.run("dry-run", log, *second)
    assert dry.code == 0, dry.err
    assert bench.send(log, *second, code=0).counted == dry.counted


# Standard input


def piped(command: Command, data: str, *flags: str, code: int) -> int:
    """Import from standard input; return how many calls were planned."""
    result = command("import", "-", *flags, "--json", stdin=data.encode()).ended(code)
    return 0 if code else int(result.summary["calls"]["planned"])


def test_standard_input_is_known_by_how_it_begins(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    """Under another meaning it is refused; under the same one, known calls are not sent again."""
    log = text(*range(ROWS))
    assert piped(importer, log, *FLAGS, code=0) == 2 * ROWS
    sent = len(tracker.hits)
    piped(importer, log, *OTHER_FLAGS["event column"][1], code=2)
    path = tmp_path / "log.csv"
    path.write_text(log)
    importer("import", path, *OTHER_FLAGS["zone"][1]).ended(2)
    assert len(tracker.hits) == sent
    assert piped(importer, log, *FLAGS, code=0) == 0
    assert piped(importer, log, *OTHER_FLAGS["zone"][1], "--as-new", code=0) == 2 * ROWS


def test_standard_input_that_is_longer_than_what_is_kept_of_it(importer: Command, tracker: Tracker) -> None:
    """64 KiB tell which log it is, however much follows."""
    many = [f"2024-03-04 10:{n // 60:02}:{n % 60:02},u{n % 5},Ping,{'x' * 400}" for n in range(200)]
    first, longer = ("\n".join(["timestamp,user,event,plan", *many[:n], ""]) for n in (180, 200))
    assert len(first) > 1 << 16
    assert piped(importer, first, "--timezone", "UTC", code=0) == 180
    piped(importer, longer, "--timezone", "Europe/Berlin", code=2)
    assert len(tracker.hits) == 180
    assert piped(importer, longer, "--timezone", "UTC", code=0) == 20


def test_a_log_that_was_sent_under_two_meanings_is_known_under_both(bench: Bench, log: Path) -> None:
    """Also where it comes by standard input, as every night."""
    berlin = (*FLAGS[:3], "Europe/Berlin", *FLAGS[4:])
    bench.send(log, *FLAGS, code=0)
    bench.send(log, *berlin, "--as-new", code=0)
    sent = len(bench.tracker.seen)
    command = Command(bench.folder / "other", to=bench.tracker.url)
    for flags in (FLAGS, berlin):
        words = ("import", "-", "--ledger", bench.ledger, *flags, "--json")
        summary = command(*words, stdin=log.read_bytes()).ended(0).summary
        assert summary["rows"]["skipped"] == ROWS
    assert len(bench.tracker.seen) == sent
