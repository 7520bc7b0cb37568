"""`km-cli verify` against the stand-in's Query API: it names all that is lost, merged or foreign, no more.

Calls are imported to the test tracker, which acknowledges all, and are handed on to the stand-in as a test
wants: some are lost, some are joined by calls of another client.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

import km_cli.cli
from km_cli.ledger import Ledger
from km_cli.planning.digests import digest
from km_cli.standin import Store
from km_cli.verify.snapshot import write_snapshot
from km_cli.verify.values import Listing, OwnEvent, Product, SiteState, Snapshot
from tests.support.command import KEY, Command, Result
from tests.support.inprocess import run
from tests.support.patience import PATIENCE
from tests.support.people import ACCOUNT_KEY, SITES, configure, write
from tests.support.query_api import QUERY_KEY
from tests.support.serving import serving
from tests.support.tracker import BAD, OK, UNAVAILABLE, Hit, Tracker, held

SCHEMAS = [
    json.loads((Path(km_cli.cli.__file__).parent / "schemas" / name).read_text())
    for name in ("verify.json", "verify-export.json")
]
VALIDATOR = Draft202012Validator(
    SCHEMAS[0],
    registry=Registry().with_resources([(one["$id"], Resource.from_contents(one)) for one in SCHEMAS]),
)
ROWS = ("ada,7,Clicked,@1,pro", "bob,7,Signed Up,@2", "cy,8,Clicked,@3", "dot,,Left,@4")
HOUR = 3600.0


class Kissmetrics(NamedTuple):
    """The command, the tracker that it sends to, and the store of the stand-in that `verify` asks."""

    km: Command
    tracker: Tracker
    store: Path
    keys: dict[str, str]

    def receive(self, hits: Iterable[Hit]) -> None:
        """Hand calls on to the stand-in."""
        with closing(Store(self.store)) as store:
            for name, key in self.keys.items():
                store.name_site(name, key)
            store.receive([(f"{hit.path}?{self.with_site(hit.query)}", hit.body) for hit in hits])

    def with_site(self, query: str) -> str:
        """Put the name of the site in the place of its key, as the server does."""
        for name, key in self.keys.items():
            query = query.replace(f"_k={key}", f"_k={name}")
        return query

    def arrive(self, *, lost: Callable[[Hit], bool] = lambda _: False) -> None:
        """Hand on all calls since the last time, but those that are lost."""
        self.receive([hit for hit in self.tracker.hits if not lost(hit)])
        self.tracker.forget()

    def foreign(self, *calls: tuple[str, str]) -> None:
        """Let another client record events: person and event."""
        site = next(iter(self.keys))
        with closing(Store(self.store)) as store:
            queries = [
                {"_k": site, "_p": who, "_n": event, "_t": 1_500_000_000, "_d": 1} for who, event in calls
            ]
            store.receive([(f"/e?{urlencode(query)}", b"") for query in queries])

    def verify(self, *words: str | Path, show_after: float = 0, wait: str = "0") -> Result:
        """Run `verify` on a server over the store; its JSON is as the schema says."""
        with serving(self.store, keys=self.keys, queries_a_minute=10_000, show_after=show_after) as client:
            result = self.km("verify", "--api", f"{client.url}/v3", "--show-after", wait, *words)
        assert QUERY_KEY not in result.out + result.err
        if "--json" in words and result.out:
            VALIDATOR.validate(result.summary)
        return result

    def found(self, code: int, *words: str | Path, **more: Any) -> dict[str, Any]:
        """The only site of the JSON."""
        (site,) = self.verify("--json", *words, **more).ended(code).summary["query"]["sites"]
        return site


@pytest.fixture
def kissmetrics(importer: Command, tracker: Tracker, tmp_path: Path) -> Kissmetrics:
    importer.environment["KM_QUERY_USER"] = QUERY_KEY
    return Kissmetrics(importer, tracker, tmp_path / "kissmetrics.db", {"main": KEY})


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write(tmp_path / "log.csv", *ROWS)


def verdicts(site: dict[str, Any]) -> dict[str, tuple[str, int]]:
    """The verdict on each event, with the calls that are missing or too many."""
    return {one["name"]: (one["verdict"], one["missing"] or one["excess"]) for one in site["events"]}


HELD = {"Clicked": ("held", 0), "Left": ("held", 0), "Signed Up": ("held", 0)}


# All there


def test_after_an_import_all_is_there(kissmetrics: Kissmetrics, log: Path, tmp_path: Path) -> None:
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    result = kissmetrics.verify("--snapshot", before).ended(0)
    assert result.out == f"wrote {before}: site main, product main: 0 events, 0 properties\n"
    kissmetrics.km("import", log).ended(0)
    kissmetrics.arrive()
    for words in ((), ("--since", before), ("--since", before, "--snapshot", after)):
        site = kissmetrics.found(0, *words)
        assert verdicts(site) == HELD
        assert [one["sent"] for one in site["events"]] == [4, 1, 2]
        assert site["properties"] == {"verdict": "held", "known": 1, "absent": [], "unnamed": 0, "why": ""}
        assert site["others"] == []
    assert kissmetrics.verify("-q").ended(0) == Result(0, "", "")
    assert (
        kissmetrics.verify("--since", before, "--until", after)
        .ended(0)
        .out.endswith("nothing is left to do\n")
    )


def test_a_snapshot_is_for_its_owner_and_has_no_credential(
    kissmetrics: Kissmetrics, log: Path, tmp_path: Path
) -> None:
    kissmetrics.km("import", log).ended(0)
    kissmetrics.arrive()
    path = tmp_path / "before.json"
    written = kissmetrics.verify("--snapshot", path, "--json").ended(0).summary["snapshot"]
    assert (written["file"], [(one["events"], one["properties"]) for one in written["sites"]]) == (
        str(path),
        [(3, 1)],
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert QUERY_KEY not in text
    assert KEY not in text
    assert json.loads(text)["km_cli_snapshot"] == 1
    assert [one.name for one in tmp_path.iterdir() if "before" in one.name] == ["before.json"]


def test_it_leaves_no_trace_and_needs_no_lock(kissmetrics: Kissmetrics, log: Path) -> None:
    kissmetrics.km("import", log).ended(0)
    kissmetrics.arrive()
    files = {path: path.read_bytes() for path in kissmetrics.km.state.iterdir()}
    with closing(Ledger.open(kissmetrics.km.state / "ledger.db")):
        assert verdicts(kissmetrics.found(0)) == HELD
    kissmetrics.verify().ended(0)
    assert {path: path.read_bytes() for path in kissmetrics.km.state.iterdir()} == files


def test_a_call_that_arrived_twice_counts_once(kissmetrics: Kissmetrics, log: Path) -> None:
    """As after a crash, and as after an answer that was lost."""
    kissmetrics.km("import", log).ended(0)
    kissmetrics.receive(kissmetrics.tracker.hits)
    kissmetrics.arrive()
    assert verdicts(kissmetrics.found(0)) == HELD


# Lost


def test_lost_calls_are_named_by_event_and_number(kissmetrics: Kissmetrics, log: Path) -> None:
    kissmetrics.km("import", log).ended(0)
    kissmetrics.arrive(lost=lambda hit: hit.params["_p"] == "ada" or hit.params.get("_n") == "Left")
    site = kissmetrics.found(65)
    assert verdicts(site) == {**HELD, "Clicked": ("too-low", 1), "Left": ("absent", 1)}
    lines = kissmetrics.verify().ended(65).out.splitlines()
    assert "  absent   Left     1 sent  0 shown  1 missing" in lines
    assert "  too low  Clicked  4 sent  3 shown  1 missing" in lines
    assert "  1 more event: all there (-v lists them)" in lines
    assert lines[lines.index("next") + 1] == "  calls are missing: Left, Clicked"


@pytest.mark.slow
def test_an_earlier_loss_is_no_loss_since_a_snapshot(
    kissmetrics: Kissmetrics, log: Path, tmp_path: Path
) -> None:
    kissmetrics.km("import", log, "--limit", "2").ended(0)
    kissmetrics.arrive(lost=lambda hit: hit.params["_p"] == "ada")
    before = tmp_path / "before.json"
    kissmetrics.verify("--snapshot", before).ended(0)
    kissmetrics.km("import", log).ended(0)
    kissmetrics.arrive()
    assert verdicts(kissmetrics.found(0, "--since", before)) == HELD
    assert verdicts(kissmetrics.found(65))["Clicked"] == ("too-low", 1)


def test_a_loss_is_hidden_by_other_sources_unless_there_is_a_snapshot(
    kissmetrics: Kissmetrics, log: Path, tmp_path: Path
) -> None:
    kissmetrics.receive([])
    kissmetrics.foreign(*[(f"visitor {n}", "clicked") for n in range(9)])
    before = tmp_path / "before.json"
    kissmetrics.verify("--snapshot", before).ended(0)
    kissmetrics.km("import", log).ended(0)
    kissmetrics.arrive(lost=lambda hit: hit.params["_p"] == "ada")
    plain = kissmetrics.verify().ended(0).out
    assert "other sources count too, so that a loss may be hidden" in plain
    assert "km-cli verify --snapshot FILE" in plain
    assert verdicts(kissmetrics.found(65, "--since", before))["Clicked"] == ("too-low", 1)


def test_absent_properties_are_named(kissmetrics: Kissmetrics, log: Path) -> None:
    kissmetrics.km("import", log).ended(0)
    plain = [hit for hit in kissmetrics.tracker.hits if "plan" not in hit.params]
    kissmetrics.receive(plain)
    kissmetrics.foreign(*[(f"visitor {n}", "Clicked") for n in range(2)])
    site = kissmetrics.found(65)
    assert site["properties"] == {
        "verdict": "absent",
        "known": 1,
        "absent": ["plan"],
        "unnamed": 0,
        "why": "",
    }
    assert "properties of the site 'main' are absent: plan" in kissmetrics.verify().ended(65).out


@pytest.mark.slow
def test_first_and_last_days_are_compared(kissmetrics: Kissmetrics, tmp_path: Path) -> None:
    log = tmp_path / "days.csv"
    log.write_text(
        "user,event,timestamp\n" + "".join(f"u{day},In,2024-01-{day:02}T12:00:00Z\n" for day in range(1, 21))
    )
    kissmetrics.km("import", log).ended(0)
    kissmetrics.arrive(lost=lambda hit: int(hit.params["_p"][1:]) > 15)
    kissmetrics.foreign(*[(f"visitor {n}", "In") for n in range(5)])
    (event,) = kissmetrics.found(65)["events"]
    assert (event["verdict"], event["missing"]) == ("dates", 0)
    assert event["why"] == "calls were sent up to 2024-01-20, and the last one shown is of 2024-01-15"


# Foreign


def test_calls_of_another_client_are_too_many_since_a_snapshot(
    kissmetrics: Kissmetrics, log: Path, tmp_path: Path
) -> None:
    before = tmp_path / "before.json"
    kissmetrics.receive([])
    kissmetrics.foreign(("x", "Left"), ("x", "Viewed"))
    kissmetrics.verify("--snapshot", before).ended(0)
    kissmetrics.km("import", log).ended(0)
    kissmetrics.arrive()
    kissmetrics.foreign(
        ("x", "Signed Up"), ("y", "signed up"), ("y", "Left"), ("y", "Viewed"), ("z", "Viewed")
    )
    site = kissmetrics.found(65, "--since", before)
    # Of "Left" the snapshot shows that others send it, too.
    assert verdicts(site) == {
        "Clicked": ("held", 0),
        "Left": ("other-sources", 1),
        "Signed Up": ("too-high", 2),
    }
    assert site["others"] == [{"name": "Viewed", "total": 2}]
    out = kissmetrics.verify("--since", before).ended(65).out
    assert "more was counted than was sent: Signed Up" in out
    assert "1 event of other sources: Viewed 2" in out


def test_a_name_in_another_spelling_is_named(kissmetrics: Kissmetrics, log: Path) -> None:
    kissmetrics.km("import", log).ended(0)
    kissmetrics.arrive()
    kissmetrics.foreign(("x", "Signed-Up"), ("y", "signed  up"))
    site = kissmetrics.found(0)
    spellings = next(one["spellings"] for one in site["events"] if one["name"] == "Signed Up")
    assert sorted(one["name"] for one in spellings) == ["Signed Up", "Signed-Up", "signed  up"]
    assert "'Signed Up' is there under several spellings: " in kissmetrics.verify().ended(0).out


# Explained


def test_calls_of_one_second_are_explained_by_their_merge(kissmetrics: Kissmetrics, tmp_path: Path) -> None:
    rows = ("ada,7,Clicked,@1,a", "ada,7,Clicked,@1,b", "bob,7,Clicked,@1,c", "bob,8,Clicked,@2,d")
    log = write(tmp_path / "log.csv", *rows)
    before = tmp_path / "before.json"
    kissmetrics.verify("--snapshot", before).ended(0)
    kissmetrics.km("import", log, "--collisions", "keep").ended(0)
    kissmetrics.arrive()
    (event,) = kissmetrics.found(0, "--since", before)["events"]
    assert (event["verdict"], event["sent"], event["shown"]) == ("explained", 8, 5)
    assert event["explained"] == [{"reason": "merged", "calls": 3}]
    assert "3 merged: same person and second (D1)" in kissmetrics.verify().ended(0).out


def test_pending_calls_are_not_expected_yet(kissmetrics: Kissmetrics, log: Path, tmp_path: Path) -> None:
    kissmetrics.tracker.behave = lambda hit, _: UNAVAILABLE if hit.params["_p"] == "7" else OK
    kissmetrics.km("import", log, "--attempts", "1").ended(75)
    kissmetrics.arrive()
    assert verdicts(kissmetrics.found(0)) == HELD
    assert kissmetrics.found(0)["pending"] == 2
    out = kissmetrics.verify().ended(0).out
    assert "2 calls to the site 'main' are pending, and are not expected yet" in out
    assert "send what is pending: km-cli retry" in out
    before = tmp_path / "before.json"
    kissmetrics.verify("--snapshot", before).ended(0)
    kissmetrics.tracker.behave = None
    kissmetrics.km("retry").ended(0)
    kissmetrics.arrive()
    assert verdicts(kissmetrics.found(0, "--since", before)) == HELD


@pytest.mark.slow
def test_a_pending_call_that_had_arrived_is_in_the_snapshot(
    kissmetrics: Kissmetrics, log: Path, tmp_path: Path
) -> None:
    """Its acknowledgement was lost, so that it is sent once more, and Kissmetrics counts it once."""
    kissmetrics.tracker.behave = lambda hit, _: UNAVAILABLE if hit.params["_p"] == "7" else OK
    kissmetrics.km("import", log, "--attempts", "1").ended(75)
    kissmetrics.receive(kissmetrics.tracker.seen)
    before = tmp_path / "before.json"
    kissmetrics.verify("--snapshot", before).ended(0)
    kissmetrics.tracker.behave = None
    kissmetrics.km("retry").ended(0)
    kissmetrics.arrive()
    site = kissmetrics.found(0, "--since", before)
    assert {one["name"]: one["explained"] for one in site["events"]} == {
        "Clicked": [{"reason": "counted-before", "calls": 1}],
        "Left": [],
        "Signed Up": [{"reason": "counted-before", "calls": 1}],
    }


@pytest.mark.slow
def test_refused_calls_are_not_expected(kissmetrics: Kissmetrics, log: Path) -> None:
    kissmetrics.tracker.behave = lambda hit, _: BAD if hit.params["_p"] == "ada" else OK
    kissmetrics.km("import", log).ended(65)
    kissmetrics.receive([hit for hit in kissmetrics.tracker.hits if "plan" not in hit.params])
    site = kissmetrics.found(65)
    assert verdicts(site) == {**HELD, "Clicked": ("too-low", 1)}
    assert site["properties"]["verdict"] == "explained"
    assert site["properties"]["why"] == "the only calls with them may have been refused"


@pytest.mark.slow
def test_calls_of_a_forgotten_log_are_not_expected(
    kissmetrics: Kissmetrics, log: Path, tmp_path: Path
) -> None:
    """The ledger still knows the names of their properties, and says why the site may lack them."""
    kissmetrics.km("import", log).ended(0)
    kissmetrics.arrive()
    other = tmp_path / "other.csv"
    other.write_text("user,account,event,timestamp,colour\nzoe,77,Painted,2024-05-01T09:00:00Z,red\n")
    kissmetrics.km("import", other).ended(0)
    kissmetrics.km("ledger", "forget", other, "--yes").ended(0)
    site = kissmetrics.found(0)
    assert verdicts(site) == HELD
    assert site["properties"]["verdict"] == "explained"
    assert "a log that the ledger has forgotten" in site["properties"]["why"]


# Not shown yet


def test_calls_that_kissmetrics_may_not_show_yet_are_no_finding(kissmetrics: Kissmetrics, log: Path) -> None:
    kissmetrics.km("import", log).ended(0)
    kissmetrics.arrive()
    site = kissmetrics.found(75, show_after=HOUR, wait="3h")
    assert {one["verdict"] for one in site["events"]} == {"not-shown-yet"}
    assert site["properties"]["verdict"] == "not-shown-yet"
    out = kissmetrics.verify(show_after=HOUR, wait="3h").ended(75).out
    assert "some calls may not be shown yet: that takes one to three hours (Q4)" in out
    assert "    run the same command after 20" in out
    assert verdicts(kissmetrics.found(65, show_after=HOUR))["Left"] == ("absent", 1)


@pytest.mark.slow
def test_when_the_time_is_over_a_call_that_is_not_shown_is_missing(
    kissmetrics: Kissmetrics, log: Path
) -> None:
    kissmetrics.km("import", log).ended(0)
    kissmetrics.arrive(lost=lambda hit: hit.params.get("_n") == "Left")
    with serving(kissmetrics.store, keys=kissmetrics.keys, queries_a_minute=10_000) as client:
        words = ["verify", "--api", f"{client.url}/v3", "--to", kissmetrics.km.to]
        codes = [run(words, kissmetrics.km.surroundings(), clock=Later(hours))[0] for hours in (0, 2, 3.1)]
    assert codes == [75, 75, 65]


class Later:
    """The time, some hours later."""

    def __init__(self, hours: float) -> None:
        self._more = hours * HOUR

    def now(self) -> float:
        import time

        return time.time() + self._more

    def monotonic(self) -> float:
        return self._more


@pytest.mark.slow
def test_a_loss_in_the_first_hours_is_found_in_an_older_import(
    kissmetrics: Kissmetrics, log: Path, tmp_path: Path
) -> None:
    """Only calls of runs that ended a short time ago are waited for."""
    kissmetrics.km("import", log).ended(0)
    kissmetrics.arrive(lost=lambda hit: hit.params.get("_n") == "Left")
    edit_runs(kissmetrics, "UPDATE runs SET began = began - 20000, ended = ended - 20000")
    more = write(tmp_path / "more.csv", "eve,9,Clicked,@9,pro")
    kissmetrics.km("import", more).ended(0)
    site = kissmetrics.found(65, wait="3h")
    assert verdicts(site) == {
        "Clicked": ("not-shown-yet", 0),
        "Left": ("absent", 1),
        "Signed Up": ("held", 0),
    }


def edit_runs(kissmetrics: Kissmetrics, statement: str) -> None:
    import sqlite3

    with closing(sqlite3.connect(kissmetrics.km.state / "ledger.db")) as database, database:
        database.execute(statement)


@pytest.mark.slow
def test_a_run_that_was_killed_is_not_waited_for_for_ever(kissmetrics: Kissmetrics, log: Path) -> None:
    import os

    kissmetrics.km("import", log).ended(0)
    kissmetrics.arrive(lost=lambda hit: hit.params.get("_n") == "Left")
    edit_runs(kissmetrics, "UPDATE runs SET began = began - 20000, ended = NULL, exit = NULL, is_killed = 0")
    assert verdicts(kissmetrics.found(75, wait="3h"))["Left"] == ("not-shown-yet", 0)
    path = kissmetrics.km.state / "ledger.db"
    os.utime(path, (path.stat().st_mtime - 20_000,) * 2)
    assert verdicts(kissmetrics.found(65, wait="3h"))["Left"] == ("absent", 1)


@pytest.mark.slow
def test_an_import_at_work_is_within_the_bounds(kissmetrics: Kissmetrics, log: Path, tmp_path: Path) -> None:
    """Its calls have arrived, and are not acknowledged yet."""
    kissmetrics.verify("--snapshot", tmp_path / "before.json").ended(0)
    kissmetrics.tracker.behave = lambda *_: held()
    process = kissmetrics.km.start("import", log)
    try:
        wait_for(lambda: len(kissmetrics.tracker.hits) >= 4)
        kissmetrics.receive(kissmetrics.tracker.hits[:4])
        site = kissmetrics.found(0, "--since", tmp_path / "before.json")
        assert {one["verdict"] for one in site["events"]} == {"held"}
        kissmetrics.tracker.behave = None
        kissmetrics.tracker.answer_all()
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.communicate()


def wait_for(is_there: Callable[[], bool]) -> None:
    import time

    until = time.monotonic() + PATIENCE
    while not is_there():
        assert time.monotonic() < until
        time.sleep(0.01)


# Sites and products


def test_each_site_is_a_product_of_its_own(kissmetrics: Kissmetrics, log: Path) -> None:
    kissmetrics.keys["accounts"] = ACCOUNT_KEY
    configure(kissmetrics.km, SITES)
    kissmetrics.km("import", log, "--strategy", "sites").ended(0)
    kissmetrics.arrive(lost=lambda hit: hit.params["_k"] == ACCOUNT_KEY and hit.params["_p"] == "8")
    sites = kissmetrics.verify("--json").ended(65).summary["query"]["sites"]
    assert {site["site"]: verdicts(site) for site in sites} == {
        "accounts": {"Clicked": ("too-low", 1), "Signed Up": ("held", 0)},
        "main": HELD,
    }


@pytest.mark.slow
def test_km_toml_and_the_flag_say_which_product_a_site_is(kissmetrics: Kissmetrics, log: Path) -> None:
    kissmetrics.km("import", log).ended(0)
    other = kissmetrics._replace(keys={"Acme": KEY, "Beta": "another-key-0123456789"})
    other.arrive()
    result = other.verify().ended(2)
    assert "it is not clear which product the site 'main' is" in result.err
    assert "(Acme), " in result.err
    assert other.found(0, "--product", "main=Acme")["product"]["name"] == "Acme"
    configure(kissmetrics.km, '[sites.main]\nkey_env = "KM_API_KEY"\nproduct = "Acme"\n')
    assert verdicts(other.found(0)) == HELD
    assert verdicts(other.found(65, "--product", "main=Beta"))["Left"] == ("absent", 1)
    shown = (
        other.km.__class__(kissmetrics.km.home, "", kissmetrics.km.environment)("config", "show").ended(0).out
    )
    assert 'product = "Acme"' in shown
    for word in ("main", "=Acme", "main="):
        assert "does not name a site and its product" in other.verify("--product", word).ended(2).err
    err = other.verify("--product", "nope=main").ended(2).err
    assert "--product nope=main: there is no site 'nope'" in err
    assert "next: the ledger and km.toml have 'main'; it is --product SITE=main" in err


@pytest.mark.slow
def test_a_site_that_was_another_product_is_not_compared(
    kissmetrics: Kissmetrics, log: Path, tmp_path: Path
) -> None:
    other = kissmetrics._replace(keys={"Acme": KEY, "Beta": "another-key-0123456789"})
    before = tmp_path / "before.json"
    other.verify("--product", "main=Acme", "--snapshot", before).ended(0)
    kissmetrics.km("import", log).ended(0)
    other.arrive()
    result = other.verify("--product", "main=Beta", "--since", before).ended(2)
    assert "the site 'main' was the product 'Acme'" in result.err
    other.verify("--product", "main=Acme", "--since", before).ended(0)


# Files


def test_a_first_snapshot_needs_no_ledger_and_nothing_else_can_do_without(
    kissmetrics: Kissmetrics, tmp_path: Path
) -> None:
    kissmetrics.verify("--snapshot", tmp_path / "before.json").ended(0)
    assert not kissmetrics.km.state.exists()
    assert "there is no ledger yet" in kissmetrics.verify("--since", tmp_path / "before.json").ended(2).err
    assert "there is no ledger yet" in kissmetrics.verify().ended(2).err


def test_no_snapshot_is_overwritten(kissmetrics: Kissmetrics, tmp_path: Path) -> None:
    path = tmp_path / "before.json"
    kissmetrics.verify("--snapshot", path).ended(0)
    before = path.read_bytes()
    result = kissmetrics.verify("--snapshot", path).ended(2)
    assert f"--snapshot {path}: the file exists already" in result.err
    assert path.read_bytes() == before
    assert "there is no such folder" in kissmetrics.verify("--snapshot", tmp_path / "no" / "x").ended(2).err
    assert (
        "leave one of them out"
        in kissmetrics.verify("--snapshot", tmp_path / "y", "--until", path).ended(2).err
    )


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda text: text[: len(text) // 2], "is no snapshot, or is damaged: "),
        (
            lambda text: text.replace('"km_cli_snapshot": 1', '"km_cli_snapshot": 2'),
            "has form 2, and this km-cli",
        ),
        (lambda text: text.replace('"acknowledged": 4', '"acknowledged": "4"'), "Expected `int`, got `str`"),
        (lambda text: text.replace('"own"', '"owned"'), "unknown field `owned`"),
        (lambda _: "[]", "is no snapshot"),
        (lambda _: "", "is no snapshot"),
        (lambda text: text.replace('"to": "http', '"to": "https'), "is a snapshot for --to https"),
    ],
)
def test_a_file_that_is_no_snapshot_of_this_destination_is_refused(
    importer: Command, tmp_path: Path, change: Callable[[str], str], problem: str
) -> None:
    path = tmp_path / "before.json"
    state = SiteState("main", Product("7", "Acme"), Listing(()), Listing(()), (OwnEvent("In", 4, 4),))
    write_snapshot(path, Snapshot(datetime.now(UTC), "http://127.0.0.1:9", importer.to, (state,)))
    path.write_text(change(path.read_text()))
    result = importer("verify", "--since", path).ended(2)
    assert f"--since {path} " in result.err
    assert problem in result.err


@pytest.mark.slow
def test_a_ledger_that_is_not_that_of_the_snapshot_cannot_be_checked(
    kissmetrics: Kissmetrics, log: Path, tmp_path: Path
) -> None:
    kissmetrics.km("import", log).ended(0)
    kissmetrics.arrive()
    path = tmp_path / "before.json"
    kissmetrics.verify("--snapshot", path).ended(0)
    other = tmp_path / "other.db"
    kissmetrics.km("import", log, "--limit", "1", "--ledger", other).ended(0)
    site = kissmetrics.found(69, "--since", path, "--ledger", other)
    assert verdicts(site) == {"Clicked": ("unchecked", 0)}
    assert "it is another one, or was pruned" in site["events"][0]["why"]


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("--details", "x"), "--details"),
        (("--source", "x"), "--source"),
        (("export/", "--since", "x"), "--since"),
        (("export/", "--product", "main=7"), "--product"),
    ],
)
def test_options_of_the_other_way_are_refused(importer: Command, words: tuple[str, ...], option: str) -> None:
    assert f"km-cli: {option} does not apply: it is for " in importer("verify", *words).ended(2).err


# What the ledger knows of merges and drops


@pytest.mark.slow
def test_merged_and_dropped_calls_are_counted_from_the_slots(km: Command, tmp_path: Path) -> None:
    """1,100 seconds of one account, of which 40 have the event of two users; and a second of an alias."""
    (tmp_path / "km.toml").write_text(
        'allow_id = []\n[[personas]]\nname = "user"\ncolumn = "user"\nalias = "was"\nevents = ["Seen"]\n'
        '[[personas]]\nname = "account"\ncolumn = "account"\nnot_events = ["Seen"]\n'
    )
    rows = [f"u{n},,7,Clicked,{1_700_000_000 + n}" for n in range(1100)]
    rows += [f"v{n},,7,Clicked,{1_700_000_000 + n}" for n in range(40)]
    rows += ["ada,a.lovelace,,Seen,1700000000", "a.lovelace,,,Seen,1700000000", "bob,,,Seen,1700000000"]
    log = tmp_path / "log.csv"
    log.write_text("\n".join(["user,was,account,event,timestamp", *rows, ""]))
    words = (
        "--config",
        tmp_path / "km.toml",
        "--collisions",
        "keep",
        "--allow-alias",
        "--to",
        f"local:{tmp_path}/s.db",
    )
    km("import", log, *words).ended(0)
    with closing(Ledger.overlay(tmp_path / "s.db")) as ledger:
        found = ledger.expected.shortfalls()
    assert found.merged == {digest(4, "clicked"): 40, digest(4, "seen"): 1}
    assert found.dropped == {digest(4, "clicked"): 100}


def test_calls_in_bulk_files_may_not_be_uploaded_yet(kissmetrics: Kissmetrics, log: Path) -> None:
    """They count as sent when they are written, and an upload may come days later."""
    to, made = ("--to", "kissmetrics"), ("--exported-at", "2099-01-01")
    kissmetrics.km("import", log, "--to", f"file:{log.parent}/bulk.json").ended(0)
    kissmetrics.receive([])
    out = kissmetrics.verify(*to).ended(65).out
    assert "7 of the site 'main'" in out
    assert "when Kissmetrics has imported these files, one an hour (W6)" in out
    export = log.parent / "export"
    export.mkdir()
    (bulk,) = log.parent.glob("bulk*.json")
    first, _, *others = bulk.read_text().splitlines(keepends=True)
    (export / "1.json").write_text("".join([first, *others]))
    assert "7 of the site 'main'" in kissmetrics.km("verify", export, *to, *made).ended(65).err
    (export / "1.json").write_text(bulk.read_text())
    assert "bulk files" not in kissmetrics.km("verify", export, *to, *made).ended(0).err


def test_a_pruned_ledger_accuses_nobody(kissmetrics: Kissmetrics, tmp_path: Path) -> None:
    """Kissmetrics drops 60 events of one account, and merges two of one second; all of them are pruned."""
    begun = int(datetime(2024, 1, 2, tzinfo=UTC).timestamp())
    rows = [f",7,Clicked,{begun + n}" for n in range(-530, 530)]
    rows += [f"{user},8,Paid,{begun - 530}" for user in ("ada", "bob")]
    log = tmp_path / "log.csv"
    log.write_text("\n".join(["user,account,event,timestamp", *rows, ""]))
    kissmetrics.km("import", log, "--collisions", "keep").ended(0)
    kissmetrics.arrive()
    assert verdicts(kissmetrics.found(0))["Paid"] == ("explained", 0)
    kissmetrics.km("ledger", "prune", "--older-than", "2024-01-02", "--yes").ended(0)
    with closing(Ledger.overlay(kissmetrics.km.state / "ledger.db")) as ledger:
        assert ledger.expected.shortfalls().dropped == {digest(4, "clicked"): 60}
    site = kissmetrics.found(69)
    assert verdicts(site)["Paid"] == ("unchecked", 0)
    assert "1 missing, but the ledger has forgotten 4 calls (ledger prune)" in json.dumps(site)


# A thousand calls


@pytest.mark.slow
def test_of_a_thousand_calls_that_are_lost_merged_or_foreign_it_names_every_one(
    kissmetrics: Kissmetrics, tmp_path: Path
) -> None:
    """Forty events in two sites. The oracle counts what was sent and what was kept, by person and second."""
    import random

    draw = random.Random(31)
    kissmetrics.keys["accounts"] = ACCOUNT_KEY
    configure(kissmetrics.km, SITES)
    events = [f"Event {n}" for n in range(40)]
    rows = [
        f"u{draw.randrange(60)},a{draw.randrange(9)},{draw.choice(events)},{1_700_000_000 + at},x"
        for at in range(1500)
    ]
    # Those of "Merged n" collide: two users of one account, in one second.
    rows += [f"u{n},m,Merged {n // 2 % 5},{1_700_100_000 + n // 2},x" for n in range(300)]
    log = write(tmp_path / "log.csv", *rows)
    before = tmp_path / "before.json"
    kissmetrics.verify("--snapshot", before).ended(0)
    kissmetrics.km("import", log, "--strategy", "sites", "--collisions", "keep").ended(0)
    hits = [hit for hit in kissmetrics.tracker.hits if hit.path == "/e"]
    losable = [hit for hit in hits if int(hit.params["_n"].split()[1]) < 20 and hit.params["_n"][0] == "E"]
    lost = draw.sample(losable, 600)
    gone = {id(hit) for hit in lost}
    kept = [hit for hit in hits if id(hit) not in gone]
    foreign = [(f"visitor {n}", f"Event {20 + n % 20}") for n in range(250)]
    kissmetrics.receive(kept)
    kissmetrics.foreign(*foreign)
    sites = kissmetrics.verify("--json", "--since", before).ended(65).summary["query"]["sites"]
    found = {
        (site["site"], one["name"]): (
            one["missing"],
            one["excess"],
            sum(e["calls"] for e in one["explained"]),
        )
        for site in sites
        for one in site["events"]
    }
    assert found == expected(hits, kept, foreign)
    assert sum(missing + excess + merged for missing, excess, merged in found.values()) >= 1000


def expected(
    hits: list[Hit], kept: list[Hit], foreign: list[tuple[str, str]]
) -> dict[tuple[str, str], tuple[int, ...]]:
    names = {KEY: "main", ACCOUNT_KEY: "accounts"}
    found = {}
    for key, site in names.items():
        for event in sorted({hit.params["_n"] for hit in hits if hit.params["_k"] == key}):
            sent = [hit for hit in hits if hit.params["_k"] == key and hit.params["_n"] == event]
            here = [hit for hit in kept if hit.params["_k"] == key and hit.params["_n"] == event]
            merged = len(sent) - len({(hit.params["_p"], hit.params["_t"]) for hit in sent})
            others = sum(name == event for _, name in foreign) if site == "main" else 0
            found[site, event] = (len(sent) - len(here), others, merged)
    return found
