"""More than 1,000 of an event or a property: forecast, findings and local store say the same (D7)."""

from __future__ import annotations

import csv
import os
from contextlib import closing
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from km_cli.standin import Store, fold
from tests.support.command import Command
from tests.support.foretelling import check_forecast
from tests.support.tracker import BAD, OK

T = 1_709_283_600

PEOPLE = {
    "all": """
[[personas]]
name = "user"
[[personas]]
name = "account"
""",
    "few properties": """
[[personas]]
name = "user"
properties = []
[[personas]]
name = "account"
properties = ["plan"]
set = ["seats"]
""",
    "renamed": """
[[personas]]
name = "user"
events = ["In"]
[[personas]]
name = "account"
events = { In = "Account: In", Out = "account, in" }
""",
}
"""km.tomls by what is special about their accounts."""


def written(path: Path, rows: list[str]) -> Path:
    path.write_text("\n".join(["timestamp,user,account,event,plan,seats", *rows]) + "\n")
    return path


@settings(max_examples=8, deadline=None)
@given(
    busy=st.integers(990, 1030),
    window=st.sampled_from([900, 1100, 5000]),
    people=st.sampled_from(sorted(PEOPLE)),
    flags=st.sampled_from([(), ("--collisions", "keep"), ("--spread", "2"), ("--collisions", "reject")]),
    seed=st.integers(0, 2**32),
)
def test_the_forecast_is_what_is_held(
    busy: int, window: int, people: str, flags: tuple[str, ...], seed: int
) -> None:
    """A busy account, in no order of time, with ties, in two files that overlap."""
    random = Random(seed)
    rows = [
        f"{T + random.randrange(window)},u{n % 9},Acme,{random.choice(('In', 'In', 'in', 'Out'))},"
        f"p{random.randrange(2)},{random.choice(('', '1'))}"
        for n in range(busy)
    ]
    rows += [f"{T + n},u{n % 5},Acme,In,pro," for n in range(busy)]
    random.shuffle(rows)
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "km.toml").write_text(PEOPLE[people])
        flags = (*flags, "--config", str(folder / "km.toml"))
        for number, part in enumerate((rows[:busy], rows[busy - 50 :])):
            log = written(folder / f"{number}.csv", part)
            check_forecast(log, folder / "local.db", {"Acme"}, *flags)


@pytest.mark.parametrize("people", sorted(PEOPLE))
def test_the_last_are_held_and_the_others_counted_as_lost(tmp_path: Path, people: str) -> None:
    (tmp_path / "km.toml").write_text(PEOPLE[people])
    rows = [f"{T + n},u{n},Acme,In,pro,1" for n in range(1007)]
    log = written(tmp_path / "log.csv", list(reversed(rows)))
    done = check_forecast(log, tmp_path / "x.db", {"Acme"}, "--config", str(tmp_path / "km.toml"))
    assert done["findings"]["D7"] == 7
    with closing(Store(tmp_path / "x.db")) as store:
        kept = [one.second - T for one in store.events() if one.person == "Acme"]
    assert kept == list(range(7, 1007))


def test_calls_that_merge_are_one_instance(tmp_path: Path) -> None:
    """999 seconds with two calls in each are no 1,000 instances (D1)."""
    rows = [f"{T + n},u{user},Acme,In,pro,1" for n in range(999) for user in (1, 2)]
    log = written(tmp_path / "log.csv", rows)
    done = check_forecast(log, tmp_path / "x.db", {"Acme"}, "--collisions", "keep")
    assert done["findings"]["D1-merged"] == 999
    assert "D7" not in done["findings"]


def test_refused_calls_are_not_counted(importer: Command, tracker: Any, tmp_path: Path) -> None:
    """Neither above the limit nor below. A call that is sent again counts again."""
    log = written(tmp_path / "log.csv", [f"{T + n},u{n},Acme,In,," for n in range(1010)])
    refused = {T + n for n in range(0, 1010, 50)}
    tracker.behave = lambda hit, _: (
        BAD if hit.params["_p"] == "Acme" and int(hit.params["_t"]) in refused else OK
    )
    importer("import", log).ended(65)

    def forecast_events() -> dict[str, int]:
        summary = importer("dry-run", written(tmp_path / "none.csv", []), "--json").ended(0).summary
        return {persona: held["events"] for persona, held in summary["forecast"]["main"].items()}

    assert forecast_events() == {"user": 1010, "account": 1010 - len(refused)}
    tracker.behave = None
    (rejects,) = importer.state.glob("rejects-*")
    importer("import", rejects).ended(0)
    assert forecast_events() == {"user": 1010, "account": 1000}


REAL = Path(os.environ.get("REAL_LOGS", ""), "receipt.csv")
"""A real log of a permit office. REAL_LOGS names the folder that it is in: it is no part of the project."""

COLUMNS = '[columns]\nevent = "concept:name"\ntimestamp = "time:timestamp"\n'
REAL_PEOPLE = {
    "all": "",
    "no properties": "properties = []\n",
    "other groups": 'column = "case:group"\n',
    "one event": 'events = ["Confirmation of receipt"]\n',
}


@pytest.mark.skipif(not REAL.is_file(), reason="REAL_LOGS does not name the folder with receipt.csv")
@pytest.mark.parametrize("people", sorted(REAL_PEOPLE))
@pytest.mark.parametrize("flags", [(), ("--collisions", "keep")])
def test_the_forecast_of_a_real_log(tmp_path: Path, people: str, flags: tuple[str, ...]) -> None:
    """Its accounts have up to 1,381 of an event and 8,000 of a property."""
    account = REAL_PEOPLE[people]
    column = "" if "column" in account else 'column = "org:group"\n'
    (tmp_path / "km.toml").write_text(
        f'{COLUMNS}[[personas]]\nname = "user"\ncolumn = "org:resource"\n'
        f'[[personas]]\nname = "account"\nprefix = "acct "\n{column}{account}'
    )
    names = ("org:group", "case:group")
    with REAL.open(encoding="utf-8", newline="") as file:
        accounts = {fold(f"acct {row[name].strip()}") for row in csv.DictReader(file) for name in names}
    flags = (*flags, "--config", str(tmp_path / "km.toml"))
    done = check_forecast(REAL, tmp_path / "x.db", accounts, *flags)
    assert bool(done["kept"]["dropped"]["D7"]) == (people != "other groups")  # they are small
