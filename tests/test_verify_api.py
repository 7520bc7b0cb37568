"""The Query API as `verify` asks it: pages, pace, credentials, and answers that nobody documents."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import KEY, Command, Result
from tests.support.inprocess import run
from tests.support.people import configure, write
from tests.support.query_api import JSON, QUERY_KEY, FakeApi, answer, answering, name, names
from tests.support.tracker import (
    ENDLESS,
    HTML,
    RESET_BEFORE,
    UNAVAILABLE,
    Hit,
    Reaction,
    Tracker,
    redirect,
    too_many,
)

ROWS = ("ada,,Clicked,@1,pro", "bob,,Clicked,@2", "cy,,Signed Up,@3")
TOTALS = {"Clicked": 2, "Signed Up": 1}


@pytest.fixture(scope="module")
def running() -> Iterator[Tracker]:
    with Tracker() as server:
        yield server


@pytest.fixture
def server(running: Tracker) -> Tracker:
    running.forget()
    return running


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The command, after an import of three events of two names with one property."""
    home = tmp_path_factory.mktemp("home")
    with Tracker() as tracker:
        km = Command(home, tracker.url, {"KM_QUERY_USER": QUERY_KEY})
        km("import", write(home / "log.csv", *ROWS)).ended(0)
    return km


@pytest.fixture
def sent(imported: Command) -> Command:
    """That command with an environment of its own. `verify` writes nothing: tests may share its ledger."""
    return replace(imported, environment=dict(imported.environment))


def verify(km: Command, server: Tracker, *words: str | Path) -> Result:
    result = km("verify", "--api", f"{server.url}/v3", "--show-after", "0", *words)
    assert QUERY_KEY not in result.out + result.err
    return result


def acme(server: Tracker, totals: dict[str, int] = TOTALS, **lists: Any) -> FakeApi:
    usual = {"7/events": names(totals), "7/properties": names({"plan": 1})}
    return answering(server, {7: "Acme"}, usual | {f"7/{kind}": rows for kind, rows in lists.items()})


class Clock:
    """A clock whose time passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


def with_clock(km: Command, server: Tracker, clock: Clock, *words: str) -> Result:
    line = ["verify", "--api", f"{server.url}/v3", "--show-after", "0", "--to", km.to, *words]
    return Result(*run(line, km.surroundings(), clock=clock))


# Answers as the reference has them


def test_what_is_all_there(sent: Command, server: Tracker) -> None:
    acme(server)
    lines = verify(sent, server, "-v").ended(0).out.splitlines()
    assert "site main, product Acme (7)" in lines
    assert "  all there  Clicked    2 sent  2 shown" in lines
    assert "  1 property: all there" in lines
    assert lines[-2:] == ["next", "  nothing is left to do"]


def test_a_list_is_read_page_by_page_to_an_empty_page(sent: Command, server: Tracker) -> None:
    """A page shorter than the limit is no mark of the end: a server may have a smaller one."""
    rows = names({f"Other {n}": n for n in range(118)} | TOTALS)
    api = acme(server, events=rows)
    found = verify(sent, server, "--json").ended(0).summary["query"]["sites"][0]
    assert len(found["others"]) == 117  # one has no calls
    asked = [hit.params["offset"] for hit in server.seen if hit.path.endswith("events")]
    assert asked == ["0", "50", "100", "120"]
    api.spoil = lambda hit, _: (
        answer({"events": rows[int(hit.params["offset"]) :][:20]}) if "events" in hit.path else None
    )
    assert verify(sent, server).code == 0


def test_the_request_is_a_get_with_basic_authorisation(sent: Command, server: Tracker) -> None:
    acme(server)
    verify(sent, server).ended(0)
    sent.environment |= {"KM_QUERY_USER": "ada@example.com", "KM_QUERY_PASSWORD": "open: sesame"}
    verify(sent, server).ended(0)
    tokens = {hit.headers["authorization"].removeprefix("Basic ") for hit in server.seen}
    assert {base64.b64decode(token).decode() for token in tokens} == {
        f"{QUERY_KEY}:",
        "ada@example.com:open: sesame",
    }
    assert {(hit.method, hit.body, hit.headers["accept"]) for hit in server.seen} == {
        ("GET", b"", "application/json")
    }


def test_more_keys_in_a_row_do_no_harm(sent: Command, server: Tracker) -> None:
    rows = [name(text, total, at, kind="custom") for at, (text, total) in enumerate(TOTALS.items())]
    acme(server, events=rows)
    verify(sent, server).ended(0)


def test_properties_may_stand_under_their_own_key(sent: Command, server: Tracker) -> None:
    api = acme(server)
    api.spoil = lambda hit, _: (
        answer({"properties": names({"plan": 1})[int(hit.params["offset"]) :]})
        if "properties" in hit.path
        else None
    )
    verify(sent, server).ended(0)


def test_times_in_another_form_are_compared_with_nothing(sent: Command, server: Tracker) -> None:
    odd = [
        name("Clicked", 2, 1, first_used_at="yesterday", last_used_at=None),
        name("Signed Up", 1, 2, first_used_at=1_704_067_200, last_used_at="9999-12-31T23:59:59-01:00"),
    ]
    acme(server, events=odd)
    verify(sent, server).ended(0)


# Answers that nobody documents


def changed(**values: object) -> Reaction:
    return answer({"events": [name("Clicked", 2, 0) | values]})


def without(key: str) -> Reaction:
    return answer({"events": [{k: v for k, v in name("Clicked", 2, 0).items() if k != key}]})


@pytest.mark.parametrize(
    ("spoilt", "reason"),
    [
        (HTML, "JSON is malformed"),
        (answer([]), "Expected `object`, got `array`"),
        (answer({"data": []}), "unknown field `data`"),
        (answer({"events": [], "next": "/v3"}), "unknown field `next`"),
        (answer({"events": None}), "got `null`"),
        (answer({}), "no list of events"),
        (answer({"events": [], "properties": []}), "or both"),
        (changed(total="2"), "Expected `int`, got `str` - at `$.events[0].total`"),
        (changed(total=2.5), "Expected `int`, got `float`"),
        (changed(total=-1), "Expected `int` >= 0"),
        (changed(total=True), "got `bool`"),
        (changed(name=7), "Expected `str`, got `int` - at `$.events[0].name`"),
        (changed(visible="yes"), "Expected `bool`"),
        (changed(product_id=8), "the product_id 8 is that of another product"),
        (without("total"), "missing required field `total`"),
        (without("first_used_at"), "missing required field `first_used_at`"),
        (Reaction(200, JSON, b'{"events": [{"id": 1'), "truncated"),
        (Reaction(200, JSON, b"[" * 100_000), "Expected `object`"),
        (Reaction(200, JSON, b'{"events": "' + b"\xff" * 3 + b'"}'), "Expected `array`"),
        (Reaction(200, JSON, b""), "truncated"),
        (ENDLESS, "with more than 8,388,608 bytes"),
        (answer({"status": 401, "messages": ["Unauthenticated."]}, 401), "HTTP 401"),
        (answer({"status": 404, "messages": ["Not found."]}, 404), "HTTP 404"),
        (answer({}, 201), "HTTP 201"),
        (redirect("https://elsewhere.example/v3"), "a redirect is not followed"),
    ],
)
def test_an_unexpected_answer_is_no_finding_but_could_not_be_checked(
    sent: Command, server: Tracker, spoilt: Reaction, reason: str
) -> None:
    api = acme(server)
    api.spoil = lambda hit, _: spoilt if hit.path.endswith("events") else None
    result = verify(sent, server, "--json").ended(69)
    (found,) = result.summary["query"]["unchecked"]
    assert found["site"] == "main"
    assert found["reason"].startswith("the events of the product 'Acme' could not be")
    assert reason in found["reason"]
    assert found["hint"]
    assert "Traceback" not in result.err


@pytest.mark.parametrize("spoilt", [UNAVAILABLE, RESET_BEFORE, Reaction(truncate=True, body=b"{}" * 9)])
def test_a_fault_of_the_network_is_tried_again_and_then_said(
    sent: Command, server: Tracker, spoilt: Reaction
) -> None:
    api, clock = acme(server), Clock()
    api.spoil = lambda _, number: spoilt if number < 2 else None
    assert with_clock(sent, server, clock).code == 0
    assert clock.slept == [2, 10]
    api.spoil = lambda *_: spoilt
    result = with_clock(sent, server, clock).ended(69)
    assert "km-cli: the products could not be asked: " in result.err
    assert "next: run the same command again later" in result.err


def test_properties_that_fail_alone_leave_the_events_checked(sent: Command, server: Tracker) -> None:
    api = acme(server, {"Clicked": 1, "Signed Up": 1})
    api.spoil = lambda hit, _: HTML if hit.path.endswith("properties") else None
    found = verify(sent, server, "--json").ended(65).summary["query"]
    assert [one["missing"] for one in found["sites"][0]["events"]] == [1, 0]
    assert found["sites"][0]["properties"]["verdict"] == "unchecked"


def test_wrong_credentials_are_said_so(sent: Command, server: Tracker) -> None:
    api = acme(server)
    api.spoil = lambda *_: answer({"status": 401, "messages": ["Unauthenticated."]}, 401)
    result = verify(sent, server).ended(69)
    assert "the products could not be asked: HTTP 401" in result.err
    assert "check KM_QUERY_USER and KM_QUERY_PASSWORD" in result.err


def test_credentials_in_an_answer_are_not_shown(sent: Command, server: Tracker) -> None:
    api = acme(server)
    token = base64.b64encode(f"{QUERY_KEY}:".encode()).decode()
    api.spoil = lambda *_: redirect(f"https://elsewhere.example/{QUERY_KEY}?{token}")
    assert token not in verify(sent, server).ended(69).err
    assert len(server.seen) == 1


# A list that moves


def test_a_server_that_repeats_a_page_accuses_nobody(sent: Command, server: Tracker) -> None:
    api = acme(server)
    first = names({f"Other {n}": 1 for n in range(50)})
    api.spoil = lambda hit, _: answer({"events": first}) if hit.path.endswith("events") else None
    result = verify(sent, server, "--json").ended(69)
    assert {one["verdict"] for one in result.summary["query"]["sites"][0]["events"]} == {"unchecked"}
    assert len([hit for hit in server.seen if hit.path.endswith("events")]) == 6


def test_a_list_that_moved_is_read_again(sent: Command, server: Tracker) -> None:
    """An event moves to the first page while the second is asked for, so that it is on neither."""
    api = acme(server)
    others = names({f"Other {n}": 1 for n in range(58)})
    clicked, signed_up = (name(text, total, 100 + total) for text, total in TOTALS.items())
    before, after = [*others, signed_up, clicked], [clicked, *others, signed_up]
    first = iter([before])

    def moving(hit: Hit, _: int) -> Reaction | None:
        if not hit.path.endswith("events"):
            return None
        at = int(hit.params["offset"])
        return answer({"events": next(first, after)[at : at + 50]})

    api.spoil = moving
    assert verify(sent, server).code == 0
    assert len([hit for hit in server.seen if hit.path.endswith("events")]) == 6


# Pace


def test_it_asks_fifteen_times_a_minute_and_says_that_it_waits(sent: Command, server: Tracker) -> None:
    api, clock = acme(server, events=names(TOTALS | {f"Other {n}": 1 for n in range(1500)})), Clock()
    times: list[float] = []

    def noted(*_: object) -> None:
        times.append(clock.time)

    api.spoil = noted
    result = with_clock(sent, server, clock).ended(0)
    assert len(times) == 2 + 32 + 2
    assert all(later - earlier >= 60 for earlier, later in zip(times, times[15:], strict=False))
    assert clock.slept == [60, 60]
    assert result.err == "waiting 60 s: Kissmetrics allows 15 requests a minute\n"
    assert with_clock(sent, server, Clock(), "-q").ended(0).err == ""


def test_an_exhausted_limit_is_waited_for(sent: Command, server: Tracker) -> None:
    api, clock = acme(server), Clock()
    api.spoil = lambda _, number: (too_many("90"), answer({"status": 429}, 429), None)[min(number, 2)]
    result = with_clock(sent, server, clock).ended(0)
    assert clock.slept == [90, 60]
    assert "waiting 90 s: the limit of requests is exhausted (HTTP 429)" in result.err


@pytest.mark.parametrize(("wait", "slept"), [("301", []), ("1", [1] * 5)])
def test_a_limit_that_stays_exhausted_ends_it(
    sent: Command, server: Tracker, wait: str, slept: list[int]
) -> None:
    api, clock = acme(server), Clock()
    api.spoil = lambda *_: too_many(wait)
    result = with_clock(sent, server, clock).ended(69)
    assert clock.slept == slept
    assert "the products could not be asked: HTTP 429" in result.err


def test_ctrl_c_ends_a_wait(sent: Command, server: Tracker, tmp_path: Path) -> None:
    api, clock = acme(server), Clock()
    api.spoil = lambda *_: too_many("90")

    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    clock.sleep = interrupted  # type: ignore[method-assign]
    result = with_clock(sent, server, clock, "--snapshot", str(tmp_path / "x.json")).ended(130)
    assert "km-cli: interrupted: nothing was compared or written" in result.err
    assert not (tmp_path / "x.json").exists()


# Where credentials come from, and where they go


def test_the_credentials_may_stand_in_a_file(sent: Command, server: Tracker, tmp_path: Path) -> None:
    acme(server)
    del sent.environment["KM_QUERY_USER"]
    path = configure(sent, '[query]\nkey_file = "query.key"\n', tmp_path)
    (path.parent / "query.key").write_text("ada@example.com:secret word\n")
    (path.parent / "query.key").chmod(0o644)
    result = verify(sent, server).ended(0)
    assert "secret word" not in result.out + result.err
    assert f"everyone on this machine can read the key file {path.parent}/query.key" in result.err
    token = server.seen[0].headers["authorization"].removeprefix("Basic ")
    assert base64.b64decode(token) == b"ada@example.com:secret word"
    shown = replace(sent, to="")("config", "show").ended(0).out
    assert '[query]\nkey_file = "query.key"' in shown
    refused = sent("dry-run", path.parent / "query.key").ended(2)
    assert "is a key file" in refused.err


@pytest.mark.parametrize(
    ("user", "password", "problem"),
    [
        ("", "", "KM_QUERY_USER is not set"),
        ("", "secret word", "KM_QUERY_USER is not set"),
        ("us:er", "secret word", "does not hold credentials"),
        ("user", "secret\nword", "does not hold credentials"),
    ],
)
def test_missing_and_odd_credentials_are_named_by_their_variable(
    sent: Command, server: Tracker, user: str, password: str, problem: str
) -> None:
    sent.environment |= {"KM_QUERY_USER": user, "KM_QUERY_PASSWORD": password}
    result = verify(sent, server).ended(2)
    assert problem in result.err
    assert "secret" not in result.err
    assert server.seen == []


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        (
            "http://query.example.com/v3",
            "--api http://query.example.com/v3: the key would travel unencrypted",
        ),
        ("https://user:secret@query.example.com/v3", "--api has a user or password in its URL"),
        ("ftp://query.example.com", "is not a base URL"),
    ],
)
def test_credentials_go_to_https_and_to_this_machine_only(sent: Command, url: str, problem: str) -> None:
    result = sent("verify", "--api", url).ended(2)
    assert problem in result.err
    assert "secret" not in result.err


def test_another_tracker_needs_the_address_of_its_api(sent: Command) -> None:
    result = sent("verify").ended(2)
    assert "is not Kissmetrics itself, so the address of its Query API is not known" in result.err
    assert "--api URL" in result.err


def test_a_proxy_of_the_environment_sees_no_request_to_this_machine(sent: Command, server: Tracker) -> None:
    acme(server)
    sent.environment |= {"HTTP_PROXY": "http://127.0.0.1:9", "ALL_PROXY": "http://127.0.0.1:9"}
    verify(sent, server).ended(0)


def test_a_password_in_netrc_is_not_sent(sent: Command, server: Tracker, tmp_path: Path) -> None:
    acme(server)
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login other password other\n")
    os.chmod(netrc, 0o600)
    sent.environment["NETRC"] = str(netrc)
    verify(sent, server).ended(0)
    tokens = {hit.headers["authorization"] for hit in server.seen}
    assert tokens == {"Basic " + base64.b64encode(f"{QUERY_KEY}:".encode()).decode()}


def test_the_api_key_of_the_tracker_is_not_sent_to_the_query_api(sent: Command, server: Tracker) -> None:
    acme(server)
    verify(sent, server).ended(0)
    assert KEY not in json.dumps([(hit.path, hit.query, hit.headers) for hit in server.seen])
