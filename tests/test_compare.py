"""`km-cli compare`: funnels against a naive count, why they differ, and mistakes that are answered."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter, defaultdict
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from km_cli.compare import table as table_module
from km_cli.compare.first_times import FirstTimes
from km_cli.compare.funnel import make_within
from km_cli.errors import UsageError
from tests.conftest import SAMPLES
from tests.support.command import Command
from tests.support.drawing import examples
from tests.support.funnels import belonging, counted, events_of, reached_by

STEPS = ("Signed Up", "Invited", "Upgraded")
FUNNEL = tuple(word for step in STEPS for word in ("--funnel", step))
HEADER = "timestamp,user,account,event,plan\n"


def line(second: int, user: str, account: str, event: str, plan: str = "") -> str:
    """A line of a log, so many seconds after midnight."""
    minutes, seconds = divmod(second, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"2024-03-{1 + days:02}T{hours:02}:{minutes:02}:{seconds:02}Z,{user},{account},{event},{plan}\n"


ROWS = st.lists(
    st.builds(
        line,
        st.sampled_from((0, 1, 2, 3, 60, 61, 3600, 90_000, 90_001)),
        st.sampled_from(("", "ada", "bo", "cy", "dee")),
        st.sampled_from(("Acme", "Birch", "Cedar")),
        st.sampled_from((*STEPS, "upgraded", "Viewed")),
        st.sampled_from(("", "free", "pro")),
    ),
    min_size=1,
    max_size=40,
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for all examples of a test."""
    return tmp_path_factory.mktemp("compare")


def compared(
    home: Path, text: str, *words: str, funnel: tuple[str, ...] = FUNNEL, code: int = 0
) -> dict[str, Any]:
    """Compare a log without strategies; return the object."""
    (home / "log.csv").write_text(text)
    words = ("compare", str(home / "log.csv"), "--no-strategies", "--json", *funnel, *words)
    return Command(home)(*words).ended(code).summary


def funnel_of(persona: dict[str, Any]) -> dict[str, Any]:
    """The part of a persona's object that the naive count has as well."""
    return {key: persona[key] for key in ("steps", "conversion", "median_seconds", "p90_seconds")}


# The funnel


def test_five_users_of_one_account(km: Command) -> None:
    """Only the administrator may upgrade: 20 % of the people, 100 % of the accounts."""
    log = SAMPLES / "upgrades.csv"
    found = km("compare", log, "--funnel", "Signed Up", "--funnel", "Upgraded", "--json").ended(0).summary
    assert found["personas"]["user"]["conversion"] == 0.2
    assert found["personas"]["account"]["conversion"] == 1.0
    shown = km("compare", log, "--funnel", "Signed Up", "--funnel", "Upgraded").ended(0).out
    assert '20% of 5 users get from "Signed Up" to "Upgraded"' in shown
    assert '100% of 1 account gets from "Signed Up" to "Upgraded"' in shown


@settings(max_examples=examples(60))
@given(ROWS, st.sampled_from((None, 1, 60, 90_000)))
def test_funnels_are_those_of_a_naive_count(home: Path, rows: list[str], within: int | None) -> None:
    text = HEADER + "".join(rows)
    found = compared(home, text, *(("--within", f"{within}s") if within else ()))
    for who in ("user", "account"):
        assert funnel_of(found["personas"][who]) == counted(
            reached_by(events_of(text), who, STEPS, within), STEPS
        )


@settings(max_examples=examples(40))
@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(home: Path, rows: list[str], chance: random.Random) -> None:
    first = compared(home, HEADER + "".join(rows), "--by", "plan")
    chance.shuffle(rows)
    assert compared(home, HEADER + "".join(rows), "--by", "plan") == first


@settings(max_examples=examples(40))
@given(ROWS)
def test_each_step_is_reached_by_no_more_than_the_one_before(home: Path, rows: list[str]) -> None:
    found = compared(home, HEADER + "".join(rows))
    for persona in found["personas"].values():
        reached = [step["reached"] for step in persona["steps"]]
        assert reached == sorted(reached, reverse=True)
        assert reached[0] <= persona["identities"]


def test_steps_in_one_second_count_in_the_order_of_the_funnel(home: Path) -> None:
    text = (
        HEADER
        + line(5, "ada", "7", "Upgraded")
        + line(5, "ada", "7", "Invited")
        + line(5, "ada", "7", "Signed Up")
    )
    assert [step["reached"] for step in compared(home, text)["personas"]["user"]["steps"]] == [1, 1, 1]


def test_a_step_before_the_one_before_does_not_count(home: Path) -> None:
    text = (
        HEADER
        + line(5, "ada", "7", "Upgraded")
        + line(6, "ada", "7", "Signed Up")
        + line(7, "ada", "7", "Invited")
    )
    assert [step["reached"] for step in compared(home, text)["personas"]["user"]["steps"]] == [1, 1, 0]


def test_a_part_of_the_log(home: Path) -> None:
    """--since and --until decide which rows there are, so step one may be a later one."""
    text = HEADER + line(0, "ada", "7", "Signed Up") + line(90_000, "ada", "7", "Signed Up")
    text += line(90_060, "ada", "7", "Invited") + line(180_000, "ada", "7", "Upgraded")
    found = compared(home, text, "--since", "2024-03-02", "--until", "2024-03-03")
    assert [step["reached"] for step in found["personas"]["user"]["steps"]] == [1, 1, 0]
    assert found["personas"]["user"]["steps"][1]["median_seconds"] == 60
    assert found["rows"]["skipped"] == 2


def test_groups_are_those_of_the_value_at_step_one(home: Path) -> None:
    text = HEADER + line(0, "ada", "7", "Signed Up", "pro") + line(9, "ada", "7", "Signed Up", "free")
    text += line(1, "bo", "7", "Signed Up", "free") + line(2, "cy", "8", "Signed Up")
    text += line(10, "ada", "7", "Invited", "free") + line(11, "ada", "7", "Upgraded", "free")
    groups = compared(home, text, "--by", "Plan")["personas"]["user"]["by"]["groups"]
    assert {group["value"]: group["reached"] for group in groups} == {
        "": [1, 0, 0],
        "free": [1, 0, 0],
        "pro": [1, 1, 1],
    }


def test_most_groups_are_counted_together(home: Path) -> None:
    text = HEADER + "".join(line(at, f"u{at}", "7", "Signed Up", f"plan {at:02}") for at in range(30))
    groups = compared(home, text, "--by", "plan")["personas"]["user"]["by"]["groups"]
    assert len(groups) == 11
    assert groups[-1] == {"value": None, "others": True, "reached": [20, 0, 0]}


def test_km_toml_shows_what_it_leaves_of_the_funnel(home: Path) -> None:
    (home / "some.toml").write_text(
        '[[personas]]\nname = "user"\n[[personas]]\nname = "account"\nevents = ["Signed Up", "Upgraded"]\n'
        'rename = "Account {event}"\n[[personas]]\nname = "team"\nevents = []\ncolumn = "plan"\n'
    )
    text = HEADER + line(0, "ada", "7", "Signed Up", "a") + line(1, "ada", "7", "Upgraded", "a")
    found = compared(home, text, "--config", str(home / "some.toml"))["personas"]
    assert "in_force" not in found["user"]
    assert [step["reached"] for step in found["account"]["steps"]] == [1, 0, 0]
    assert found["account"]["in_force"] == {
        "left_out": ["Invited"],
        "steps": [{"event": "Signed Up", "reached": 1}, {"event": "Upgraded", "reached": 1}],
        "conversion": 1.0,
    }
    assert found["team"]["in_force"]["steps"] == []
    shown = Command(home)("compare", home / "log.csv", *FUNNEL, "--config", home / "some.toml").ended(0).out
    assert 'The settings in force leave out "Invited" for accounts.' in shown
    assert "The settings in force record none of these events for teams." in shown


def test_members_have_the_accounts(km: Command) -> None:
    found = km(
        *("compare", SAMPLES / "without-accounts.csv", "--config", SAMPLES / "members.toml", "--json"),
        *("--funnel", "Paid", "--funnel", "Left"),
    ).ended(0)
    assert found.summary["personas"]["account"]["steps"][0]["reached"] == 2
    assert "--funnel: no row has the event 'Left'" in found.err


# Why they differ


@settings(max_examples=examples(60))
@given(ROWS)
def test_the_reasons_are_those_of_a_naive_count(home: Path, rows: list[str]) -> None:
    text = HEADER + "".join(rows)
    events = events_of(text)
    found = compared(home, text)["differences"].get("account")
    users = belonging(events)
    walks = {who: reached_by(events, who, STEPS) for who in ("user", "account")}
    done = {who: {one for one, walk in walks[who].items() if len(walk) == 3} for who in walks}
    began = {account: members & walks["user"].keys() for account, members in users.items()}
    against = {
        account
        for account, members in began.items()
        if account in done["account"] and 2 * len(members & done["user"]) < len(members)
    }
    assert found["converting_against_most_people"] == len(against)
    assert {one["name"] for one in found["contributors"]} == against
    for one in found["contributors"]:
        members = users[one["name"]]
        assert one["people"] == len(members)
        assert one["began"] == len(began[one["name"]])
        assert one["converted"] == len(members & done["user"])
    alone = [account for account in users if account in done["account"] and not users[account] & done["user"]]
    assert found["converting_without_a_person"] == len(alone)
    everyone = {event.user for event in events if event.user}
    several = sum(1 for one in everyone if sum(one in members for members in users.values()) > 1)
    none = sum(1 for one in everyone if not any(one in members for members in users.values()))
    assert found["people"] == {
        "in_several": several,
        "in_one": len(everyone) - several - none,
        "in_none": none,
    }
    assert sum(size["accounts"] for size in found["sizes"]) == len(users)
    for size in found["sizes"]:
        most = size["most"] or 10**9
        assert size["accounts"] == sum(size["least"] <= len(members) <= most for members in users.values())


def test_names_are_remembered_however_many_there_are(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the memory for identities is full, they are looked up; the counts are the same."""
    rows = [line(at, f"u{at % 50}", f"a{at % 7}", STEPS[at % 3]) for at in range(300)]
    text = HEADER + "".join(rows)
    before = compared(home, text)
    monkeypatch.setattr(table_module, "_MOST_IDENTITIES", 5)
    monkeypatch.setattr(table_module, "_MOST_GROUPS", 5)
    monkeypatch.setattr(table_module, "MOST_WAITING", 3)
    assert compared(home, text) == before


# A proposal


def test_a_funnel_is_proposed(km: Command) -> None:
    found = km("compare", SAMPLES / "events.csv", "--no-strategies", "--json").ended(65).summary
    assert found["funnel"]["proposed"]
    assert found["funnel"]["steps"] == ["Joined Account", "Logged In", "Completed Task", "Created Project"]
    assert "This funnel is a proposal" in km("compare", SAMPLES / "events.csv", "--no-strategies").out


def test_a_proposal_does_not_depend_on_the_order_of_rows(home: Path) -> None:
    rows = [line(at, f"u{at % 5}", "7", event) for at, event in enumerate(("A", "B", "C", "B") * 5)]
    (home / "log.csv").write_text(HEADER + "".join(rows))
    (home / "other.csv").write_text(HEADER + "".join(reversed(rows)))
    first, second = (
        Command(home)("compare", home / name, "--no-strategies", "--json").ended(0).summary["funnel"]
        for name in ("log.csv", "other.csv")
    )
    assert first == second


@settings(max_examples=examples(40))
@given(st.integers(41, 60), st.sampled_from((5, 30)), st.integers(0, 10**6))
def test_a_proposal_among_ties_does_not_depend_on_the_order_of_rows(
    home: Path, events: int, seconds: int, seed: int
) -> None:
    """Of more than 40 events with as many people, the first by name are looked at, in whichever case."""
    chance = random.Random(seed)
    names = [f"event {at:02}" for at in range(events)]
    rows = [line(0, user, "7", "Began") for user in ("ada", "bo", "cy")] + [
        line(1 + chance.randrange(seconds), user, "7", chance.choice((name, name.upper())))
        for user in ("ada", "bo", "cy")
        for name in names
    ]
    found = []
    for _ in range(2):
        chance.shuffle(rows)
        found.append(compared(home, HEADER + "".join(rows), funnel=())["funnel"])
    assert found[0] == found[1]
    assert found[0]["proposed"]


def test_no_funnel_can_be_proposed(home: Path) -> None:
    (home / "log.csv").write_text(HEADER + line(0, "ada", "7", "Signed Up") + line(0, "bo", "7", "Invited"))
    ended = Command(home)("compare", home / "log.csv").ended(2)
    assert "no funnel can be proposed" in ended.err
    assert "Invited, Signed Up" in ended.err
    ended = Command(home)("compare", home / "log.csv", "--only", "Inwited").ended(2)
    assert "there is no event to count: of 2 rows, 2 are left out and 0 are bad" in ended.err


def test_doubts_are_told_as_by_an_import(home: Path) -> None:
    """With their word and code, and with what to do."""
    (home / "log.csv").write_text(HEADER + line(0, "ada", "7", "Signed Up") + line(9, "ada", "7", "Upgraded"))
    words = (home / "log.csv", "--where", "user=ad")
    told = [
        Command(home)(name, *words, *more).err for name, more in (("compare", FUNNEL), ("dry-run", ["-q"]))
    ]
    doubt = (
        "km-cli: note: --where 'user=ad': no row meets this condition; did you mean 'ada'? (unmet-condition)"
    )
    assert all(doubt in text for text in told)


# Rows and mistakes


def test_bad_rows_are_counted_as_in_a_dry_run(km: Command) -> None:
    log, part = SAMPLES / "events.csv", ("--limit", "800", "--json")
    funnel = ("--funnel", "Joined Account", "--funnel", "Logged In", "--no-strategies")
    ended = km("compare", log, *funnel, *part).ended(65)
    assert ended.summary["reasons"] == km("dry-run", log, *part).ended(65).summary["reasons"] != {}
    assert "2 rows bad and not counted" in ended.err


def test_nothing_is_written(km: Command, tmp_path: Path) -> None:
    km("compare", SAMPLES / "upgrades.csv").ended(0)
    assert not list(tmp_path.rglob("*.db"))


def test_the_rows_of_standard_input(km: Command) -> None:
    """It can be read once only, so strategies are left out, and that is said."""
    ended = km("compare", "-", "--format", "csv", stdin=(SAMPLES / "upgrades.csv").read_bytes()).ended(0)
    assert "Standard input can be read only once" in ended.out
    assert "20% of 5 users" in ended.out


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (("--funnel", "Signed Up"), "a funnel has at least two", "--funnel Upgraded"),
        (("--funnel", "Paid", "--funnel", "paid "), "names the event 'paid' twice", "each step once"),
        (("--funnel", "Paid", "--funnel", " "), "--funnel needs the name of an event", "for example"),
        ((*FUNNEL, "--within", "soon"), "--within 'soon' is not a time", "30d"),
        (("--by", "plan"), "--by needs a funnel", "--funnel"),
        ((*FUNNEL, "--by", "pln"), "--by 'pln': no row of the first step has this property", "'plan'"),
    ],
)
def test_a_wrong_question(km: Command, words: tuple[str, ...], message: str, hint: str) -> None:
    ended = km("compare", SAMPLES / "upgrades.csv", *words).ended(2)
    assert message in ended.err
    assert hint in ended.err


def test_a_misspelt_step_is_said(km: Command) -> None:
    ended = km("compare", SAMPLES / "upgrades.csv", "--funnel", "Signed Up", "--funnel", "Upgradet").ended(0)
    assert "no row has the event 'Upgradet'; did you mean 'Upgraded'?" in ended.err


def test_a_file_of_rejects_is_no_log(km: Command, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.jsonl"
    (tmp_path / "log.csv").write_text(HEADER + line(0, "ada", "7", "Paid") + line(1, "", "", "Paid"))
    km("import", tmp_path / "log.csv", "--to", "local", "--rejects", rejects).ended(65)
    assert "is a file of rejects, not a log" in km("compare", rejects).ended(2).err


@pytest.mark.parametrize(
    ("text", "seconds"), [("45s", 45), ("90m", 5400), ("12h", 43_200), ("30D", 2_592_000), ("2w", 1_209_600)]
)
def test_times_of_a_limit(text: str, seconds: int) -> None:
    assert make_within(text) == seconds


@pytest.mark.parametrize("text", ["0d", "-3d", "3", "d", "1.5d", "3 years", "٣d"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(UsageError):
        make_within(text)


def test_a_table_without_room_says_where_to_make_some(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite itself refuses to grow the table; that is no damage to a ledger, and said otherwise."""
    monkeypatch.setattr(table_module, "_TABLES", f"{table_module._TABLES} PRAGMA max_page_count = 14;")
    (home / "log.csv").write_text(
        HEADER + "".join(line(at, f"u{at}", "7", "Signed Up") for at in range(9000))
    )
    ended = Command(home)("compare", home / "log.csv", *FUNNEL, "--no-strategies").ended(74)
    assert "the temporary table of the comparison cannot be written" in ended.err
    assert "TMPDIR=FOLDER" in ended.err


@given(
    actors=st.lists(st.one_of(st.none(), st.integers(0, 5)), min_size=1, max_size=8),
    batches=st.lists(
        st.lists(
            st.tuples(st.integers(0, 7), st.integers(0, 9), st.sampled_from((-1, 0, 1, 2, 62, 63, 64, 900))),
            min_size=1,
            max_size=20,
        ),
        max_size=8,
    ),
    is_in_order=st.booleans(),
    most=st.sampled_from((0, 3, 1000)),
    asked=st.sampled_from(((0, 1, 2), (900, 63, 0), (64, 62), (5,))),
)
def test_first_times_are_those_of_a_naive_search_however_few_fit_into_memory(
    actors: list[int | None],
    batches: list[list[tuple[int, int, int]]],
    is_in_order: bool,
    most: int,
    asked: tuple[int, ...],
) -> None:
    rows = [(group % len(actors), second, event) for batch in batches for group, second, event in batch]
    seconds = sorted(second for _, second, _ in rows) if is_in_order else [second for _, second, _ in rows]
    rows = [(group, second, event) for (group, _, event), second in zip(rows, seconds, strict=True)]
    with closing(sqlite3.connect("")) as database, patch("km_cli.compare.first_times._MOST_IN_MEMORY", most):
        firsts = FirstTimes(database)
        for actor in actors:
            firsts.add_group(actor)
        left = iter(rows)
        for batch in batches:
            firsts.note(*map(list, zip(*islice(left, len(batch)), strict=True)))
        numbers, by_actor = firsts.numbers(), list(firsts.by_actor(asked))
    naive: dict[int, dict[int, int]] = defaultdict(dict)
    for group, second, event in rows:
        if (actor := actors[group]) is not None and event >= 0:
            naive[actor][event] = min(second, naive[actor].get(event, second))
    assert numbers == Counter(event for times in naive.values() for event in times)
    expected = [
        sorted((times[event], place) for place, event in enumerate(asked) if event in times)
        for times in naive.values()
    ]
    assert sorted(by_actor) == sorted(filter(None, expected))


def test_orders_of_events_count_alike_however_few_are_kept(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Orders that several people share are counted together, up to a number of different orders."""
    draw = random.Random(0)
    rows = [
        line(30 * step + draw.randrange(60), f"u{user}", "7", f"E{step}")
        for user in range(20)
        for step in range(5)
        if draw.random() < 0.9
    ]
    (home / "log.csv").write_text(HEADER + "".join(rows))
    asked = ("compare", home / "log.csv", "--no-strategies", "--json")
    steps = Command(home)(*asked).ended(0).summary["funnel"]["steps"]
    for most in (0, 3):
        monkeypatch.setattr("km_cli.compare.proposal._MOST_ALIKE", most)
        assert Command(home)(*asked).ended(0).summary["funnel"]["steps"] == steps
    assert len(steps) > 2
