"""What each strategy leaves in Kissmetrics, the recommendation, and how they are printed."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from km_cli.cli.terminal.comparison import bar
from km_cli.compare import words
from km_cli.compare.counting import PersonaFunnel
from km_cli.compare.funnel import counted
from km_cli.compare.held import HeldPersona, HeldStrategy
from km_cli.compare.months import Months, months_of
from km_cli.compare.recommendation import Recommendation, recommend
from tests.conftest import SAMPLES
from tests.support.command import Command
from tests.support.terminal import Terminal
from tests.test_compare import FUNNEL, HEADER, line

PAIR = ("--funnel", "Signed Up", "--funnel", "Upgraded")


def compared(km: Command, text: str, *more: str | Path, code: int = 0) -> dict[str, Any]:
    """Compare a log; return the object."""
    (km.home / "log.csv").write_text(text)
    return km("compare", km.home / "log.csv", "--json", *FUNNEL, *more).ended(code).summary


# Strategies


def test_strategies_are_those_of_a_dry_run(km: Command) -> None:
    """People, events and properties are the forecast that dry-run has for each strategy."""
    log, part = SAMPLES / "events.csv", ("--limit", "450", "--json")
    found = km("compare", log, "--funnel", "Joined Account", "--funnel", "Logged In", *part).ended(65).summary
    for name, held in found["strategies"].items():
        dry = km("dry-run", log, "--strategy", name, *part).ended(65).summary
        assert held["calls"] == dry["calls"]["planned"]
        assert held["rejected"] == dry["rows"]["rejected"]
        for persona, one in held["personas"].items():
            forecast = dry["forecast"][one["site"]][persona]
            assert (one["people"], one["properties"]) == (forecast["people"], forecast["properties"])
            assert one["events"] == forecast["events"]


def test_crossover_mixes_people_and_accounts(km: Command) -> None:
    found = km("compare", SAMPLES / "upgrades.csv", "--json", *PAIR).ended(0).summary["strategies"]
    assert found["toggle"]["reports"] == [
        {
            "site": "main",
            "personas": ["user", "account"],
            "steps": [{"event": "Signed Up", "reached": 6}, {"event": "Upgraded", "reached": 2}],
            "conversion": 2 / 6,
        }
    ]
    assert found["sites"]["reports"] == found["property"]["reports"] == []
    assert list(found["property"]["personas"]) == ["user"]


def test_other_names_keep_them_apart(km: Command, tmp_path: Path) -> None:
    """The personas of km.toml are compared as well, under their own names of the steps."""
    (tmp_path / "own.toml").write_text(
        '[[personas]]\nname = "user"\n[[personas]]\nname = "account"\nevents = ["signed up", "Upgraded"]\n'
        'rename = "Account {event}"\n'
    )
    text = (
        HEADER
        + line(0, "ada", "7", "Signed Up")
        + line(1, "bo", "7", "Invited")
        + line(2, "bo", "7", "Upgraded")
    )
    held = compared(km, text, "--config", tmp_path / "own.toml")["strategies"]
    assert list(held) == ["km.toml", "toggle", "property", "sites"]
    own = held["km.toml"]["personas"]["account"]
    assert (own["events"], own["left_out"]) == (2, ["Invited"])
    assert own["steps"] == [{"event": "Signed Up", "reached": 1}, {"event": "Upgraded", "reached": 1}]
    assert held["km.toml"]["reports"] == []
    assert held["toggle"]["personas"]["account"]["conversion"] == 1.0


def test_calls_of_one_second_are_moved_and_said(km: Command) -> None:
    """Two users of one account do the same in one second: the account's second event is moved (D1)."""
    text = HEADER + line(0, "ada", "7", "Signed Up") + line(0, "bo", "7", "Signed Up")
    assert compared(km, text)["strategies"]["toggle"]["personas"]["account"]["moved"] == 1


def test_step_one_that_kissmetrics_drops_takes_the_funnel_with_it(km: Command) -> None:
    """An account keeps its last 1,000 sign-ups (D7). It upgraded before them: nothing follows step one."""
    early = [line(0, "u", "7", "Signed Up"), line(1, "u", "7", "Invited"), line(2, "u", "7", "Upgraded")]
    late = [line(1000 + at, f"u{at % 5}", "7", "Signed Up") for at in range(1000)]
    found = compared(km, HEADER + "".join(early + late))
    held = found["strategies"]["toggle"]["personas"]
    advice = found["recommendation"]
    assert (advice["count_by"], advice["strategy"], advice["km_toml"]) == ("user", "property", "")
    assert advice["certainty"] == "weak"
    assert any("there is 0%, not 100%" in reason for reason in advice["reasons"])
    assert any("cannot show the funnel of accounts: count by user" in reason for reason in advice["reasons"])
    assert held["account"]["dropped"] == 1
    assert [step["reached"] for step in held["account"]["steps"]] == [1, 0, 0]
    assert held["user"]["dropped"] == 0
    assert [step["reached"] for step in held["user"]["steps"]] == [6, 1, 1]


def test_what_was_sent_before_counts_all_the_same(km: Command) -> None:
    log = SAMPLES / "upgrades.csv"
    before = km("compare", log, "--json", *PAIR).ended(0).summary
    km("import", log, "--to", "local").ended(0)
    assert km("compare", log, "--json", *PAIR).ended(0).summary == before


def test_the_cost_is_that_of_the_busiest_month(km: Command, tmp_path: Path) -> None:
    (tmp_path / "km.toml").write_text("[plans]\nTiny = { events = 10, price = 5 }\n")
    text = (
        HEADER
        + line(0, "ada", "7", "Signed Up")
        + line(31 * 86_400, "ada", "7", "Signed Up").replace("03-32", "04-01")
    )
    text += line(5, "ada", "7", "Upgraded")
    month = compared(km, text, "--config", tmp_path / "km.toml")["strategies"]["toggle"]["month"]
    assert month == {
        "busiest": "2024-03",
        "events": 4,
        "days_in_log": 32,
        "plan": "Tiny",
        "price": 5,
        "prices": "the prices in km.toml",
    }


def test_months() -> None:
    assert months_of({}) == Months()
    assert months_of({19_783: 2, 19_782: 1, 19_784: 4}) == Months(
        "2024-03", 6, 7, 3
    )  # 29 February to 2 March


def test_without_strategies(km: Command) -> None:
    found = km("compare", SAMPLES / "upgrades.csv", "--json", "--no-strategies").ended(0).summary
    assert found["strategies"] == {}
    assert found["recommendation"]["count_by"] == "account"


# The recommendation


def persona(name: str, began: int, converted: int) -> PersonaFunnel:
    """A funnel of two steps with these numbers."""
    return PersonaFunnel(name, max(began, 1), counted(("Signed Up", "Upgraded"), (began, converted)))


def advice(users: tuple[int, int], accounts: tuple[int, int]) -> Recommendation:
    return recommend((persona("user", *users), persona("account", *accounts)), {}, {}, {})


def held(**dropped: tuple[int, int]) -> dict[str, HeldStrategy]:
    """Personas whose events Kissmetrics drops, each with the numbers that are left of its two steps."""
    personas = tuple(
        HeldPersona(
            name,
            "main",
            1,
            9000,
            0,
            9000,
            (),
            counted(("Signed Up", "Upgraded"), reached),
            moved=0,
            dropped=1,
        )
        for name, reached in dropped.items()
    )
    return {"toggle": HeldStrategy("toggle", personas, (), 9000, 0, 0, Months())}


@pytest.mark.parametrize(
    ("users", "accounts", "left", "expected"),
    [
        pytest.param((5000, 1000), (800, 640), {"account": (800, 0)}, ("user", "property", "weak"), id="0%"),
        pytest.param((5000, 9), (800, 300), {"account": (800, 250)}, ("user", "property", "weak"), id="far"),
        pytest.param(
            (5000, 9), (800, 300), {"account": (800, 298)}, ("account", "personas", "weak"), id="near"
        ),
        pytest.param(
            (5000, 100), (800, 16), {"user": (5000, 0)}, ("account", "personas", "weak"), id="users are lost"
        ),
        pytest.param(
            (5000, 100), (800, 640), {"user": (5000, 0), "account": (800, 0)}, ("", "", "weak"), id="both"
        ),
        pytest.param((0, 0), (800, 640), {"account": (800, 0)}, ("", "", "weak"), id="no users"),
        pytest.param((5000, 100), (0, 0), {"user": (5000, 0)}, ("", "", "weak"), id="no accounts"),
    ],
)
def test_no_funnel_is_recommended_that_kissmetrics_cannot_show(
    users: tuple[int, int],
    accounts: tuple[int, int],
    left: dict[str, tuple[int, int]],
    expected: tuple[str, str, str],
) -> None:
    """It drops so many events (D7) that the funnel would read 0%, or another share than that of the log."""
    funnels = [
        persona(name, *numbers)._replace(identities=numbers[0])
        for name, numbers in (("user", users), ("account", accounts))
    ]
    found = recommend(funnels, {}, held(**left), {})
    assert found[:3] == expected
    assert bool(found.km_toml) == (found.count_by == "account")
    for name in left:
        assert any(f"the funnel of {name}s there is" in reason for reason in found.reasons)
    if not found.count_by:
        assert "compare again" in found.reasons[-1]


def test_few_accounts_make_no_clear_recommendation() -> None:
    found = advice((5, 1), (1, 1))
    assert (found.count_by, found.strategy, found.certainty) == ("account", "personas", "weak")
    assert "with only 1 account, the true share may be anywhere from 20.7% to 100%" in found.reasons[-1]


def test_many_accounts_that_differ_make_a_clear_one() -> None:
    found = advice((5000, 1000), (800, 640))
    assert (found.count_by, found.strategy, found.certainty) == ("account", "personas", "clear")
    assert 'rename = "Account {event}"' in found.km_toml


def test_an_account_that_reads_like_a_placeholder_is_doubted(km: Command, tmp_path: Path) -> None:
    """With the value in `nobody`, as the doubt says, the log has no accounts that differ."""
    rows = [
        f"{hour:02}:00:00Z,u{hour},EMPTY,{event}" for hour in range(9) for event in ("Signed Up", "Upgraded")
    ]
    text = "timestamp,user,account,event\n" + "".join(f"2024-03-01T{row}\n" for row in rows[:-8])
    found = compared(km, text)["recommendation"]
    assert found["certainty"] == "weak"
    (doubt,) = [reason for reason in found["reasons"] if "I1-doubt" in reason]
    assert "The account 'EMPTY' may be a placeholder" in doubt
    assert 'nobody = ["EMPTY"]' in doubt
    config = tmp_path / "km.toml"
    config.write_text('[[personas]]\nname = "user"\n[[personas]]\nname = "account"\nnobody = ["EMPTY"]\n')
    again = compared(km, text, "--config", config)
    assert again["personas"]["account"]["identities"] == 0


def test_the_same_share_both_ways_needs_no_accounts() -> None:
    assert advice((5000, 1000), (5000, 1010))[:3] == ("user", "property", "clear")
    assert advice((10, 5), (10, 5))[:3] == ("user", "property", "weak")


def test_nothing_can_be_recommended() -> None:
    assert advice((0, 0), (5, 1))[:3] == ("", "", "weak")
    lone = recommend((persona("user", 5, 1), PersonaFunnel("account", 0, counted((), ()))), {}, {}, {})
    assert (lone.count_by, lone.strategy) == ("user", "property")


def test_the_proposed_personas_can_be_used(km: Command, tmp_path: Path) -> None:
    """The personas of the recommendation are a km.toml that keeps the whole funnel of accounts."""
    found = km("compare", SAMPLES / "upgrades.csv", "--json", *PAIR).ended(0).summary["recommendation"]
    (tmp_path / "own.toml").write_text(found["km_toml"])
    again = km("compare", SAMPLES / "upgrades.csv", "--json", *PAIR, "--config", tmp_path / "own.toml").ended(
        0
    )
    own = again.summary["strategies"]["km.toml"]
    assert own["personas"]["account"]["conversion"] == 1.0
    assert own["reports"] == []
    assert again.summary["recommendation"]["km_toml"] == ""


def test_the_proposed_personas_are_toml_whatever_the_names(km: Command, tmp_path: Path) -> None:
    """As they are printed: a terminal's escapes are none in TOML."""
    text = (SAMPLES / "upgrades.csv").read_text()
    log = tmp_path / "log.csv"
    log.write_text(text.replace("Upgraded", '"Up\x7f\x9b""graded"'))
    asked = ("compare", log, "--funnel", "Signed Up", "--funnel", 'Up\x7f\x9b"graded')
    printed = km(*asked).ended(0).out.partition(f"{words.IN_KM_TOML}\n")[2]
    (tmp_path / "own.toml").write_text(printed)
    again = km(*asked, "--json", "--config", tmp_path / "own.toml").ended(0).summary
    assert again["strategies"]["km.toml"]["personas"]["account"]["conversion"] == 1.0


# How it is printed


def test_tables_fit_into_80_columns(km: Command) -> None:
    """Names are cut, and wide characters take two columns."""
    from rich.cells import cell_len

    name = "名前" * 20
    text = HEADER + line(0, "ada", name, "Signed Up") + line(9, "ada", name, "x" * 60)
    (km.home / "log.csv").write_text(text)
    shown = km(
        "compare", km.home / "log.csv", "--no-strategies", "--funnel", "Signed Up", "--funnel", "x" * 60
    )
    lines = shown.ended(0).out.splitlines()
    assert "…" in shown.out
    assert all(cell_len(text) <= 80 for text in lines if "█" in text or text.startswith("  step"))


def test_a_log_cannot_control_the_terminal(km: Command) -> None:
    text = HEADER + line(0, "ada", "7", "Signed Up") + line(1, "ada", "7", "Up\x1b[31mgraded")
    (km.home / "log.csv").write_text(text)
    assert "\x1b" not in km("compare", km.home / "log.csv").ended(0).out


@pytest.mark.parametrize(
    ("part", "shown"), [(0, ""), (1, "▏"), (50, "██████"), (100, "████████████"), (53, "██████▍")]
)
def test_bars(part: int, shown: str) -> None:
    assert bar(part, 100) == shown


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (None, "-"),
        (0.0, "0%"),
        (1.0, "100%"),
        (0.2, "20%"),
        (0.3333, "33.3%"),
        (0.0004, "<0.1%"),
        (0.9999, ">99.9%"),
    ],
)
def test_shares(share: float | None, shown: str) -> None:
    assert words.percent(share) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "-"),
        (0, "0 s"),
        (119, "119 s"),
        (120, "2 minutes"),
        (7200, "2 hours"),
        (259_200, "3 days"),
    ],
)
def test_durations(seconds: float | None, shown: str) -> None:
    assert words.duration(seconds) == shown


def test_every_key_is_in_the_reference(km: Command, tmp_path: Path) -> None:
    reference = (SAMPLES.parent / "km_cli" / "cli" / "REFERENCE.md").read_text(encoding="utf-8")
    words = ("--by", "plan", "--limit", "20", "--json", "--funnel", "Joined Account", "--funnel", "Logged In")
    found = km("compare", SAMPLES / "events.csv", *words).ended(0)
    (tmp_path / "own.toml").write_text(
        '[[personas]]\nname = "user"\n[[personas]]\nname = "account"\nevents = ["Logged In"]\n'
    )
    other = km("compare", SAMPLES / "events.csv", "--config", tmp_path / "own.toml", *words).ended(0)

    def keys(value: object) -> set[str]:
        if isinstance(value, dict):
            return set(value).union(*map(keys, value.values()))
        return set().union(*map(keys, value)) if isinstance(value, list) else set()

    names = {"user", "account", "toggle", "property", "sites", "km.toml"}
    missing = {
        key for key in (keys(found.summary) | keys(other.summary)) - names if f"`{key}`" not in reference
    }
    assert not missing


@pytest.mark.slow
def test_the_personas_for_km_toml_can_be_copied(km: Command) -> None:
    """From a narrow window as well: no name is broken in two, however long the list of steps is."""
    events = [f"Step {number} of a long way through the product" for number in range(5)]
    rows = "".join(
        line(5 * user + step, f"u{user}", str(user % 4), event)
        for user in range(12)
        for step, event in enumerate(events[: 5 if user < 4 else 1])
    )
    (km.home / "log.csv").write_text(HEADER + rows)
    steps = [word for event in events for word in ("--funnel", event)]
    terminal = Terminal(km, "compare", "log.csv", *steps, columns=40)
    assert terminal.ended() == 0
    read = tomllib.loads(terminal.shown.partition(words.IN_KM_TOML.rpartition(" ")[2])[2])
    assert [persona.get("events") for persona in read["personas"]] == [None, events]


def test_a_funnel_that_no_account_begins(km: Command) -> None:
    (km.home / "log.csv").write_text(
        HEADER + line(0, "ada", "", "Signed Up") + line(1, "ada", "7", "Upgraded")
    )
    out = km("compare", km.home / "log.csv", *PAIR).ended(0).out
    assert "1 account with 1 event, none begins the funnel" in out


def test_a_page_without_a_name(km: Command) -> None:
    (km.home / "log.csv").write_text(HEADER + line(0, "ada", "7", "Signed Up"))
    err = km("compare", km.home / "log.csv", "--html", ".").ended(2).err
    assert "for example --html comparison.html" in err
