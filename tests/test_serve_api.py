"""What `km-cli serve` tells of its calls: the API of tests and page, the Query API, and the data export."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from km_cli.serve.query_api import RequestLimit
from tests.support.command import Command
from tests.support.serving import SECOND, Client, serving

DAY = 86_400


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with serving(tmp_path / "s.db") as found:
        yield found


def test_the_summary_counts_by_rule(client: Client) -> None:
    client.send()
    client.send(plan="pro")  # D1: the same event in the same second
    client.send("s", plan="basic")  # D2: another value in the same second
    client.send(_n="A, b")  # D4
    client.send(_t=1000)  # D6
    found = client.api("/api/summary")
    assert (found["received"], found["sites"], found["unlisted"]) == (5, ["site-1"], 0)
    assert (found["merged"], found["changed"], found["dropped"]) == ({"D1": 1, "D2": 1}, {"D4": 1}, {"D6": 1})


def test_calls_are_found_by_each_filter(client: Client) -> None:
    client.send(_p="ada", _n="Signed Up", plan="pro")
    client.send(_p="bob", _n="Paid", _k="other")
    client.send("a", _p="ada", _n="ada@example.com")

    def found(query: str) -> list[int]:
        return [call["id"] for call in client.api(f"/api/calls?{query}")["calls"]]

    assert found("") == [1, 2, 3]
    assert found("person=ada%40example.com") == [1, 3]
    assert found("event=PAID") == found("site=site-2") == found("text=bOb") == [2]
    assert found("persona=unknown&limit=2") == found("limit=2") == [1, 2]
    assert found("limit=2&newest=1") == found("persona=unknown&limit=2&newest=1") == [2, 3]
    assert found("since=1") == [2, 3]
    assert found("before=2&newest=1") == [1]
    assert client.api("/api/calls?limit=0") == {"calls": [], "last": 3}


def test_a_call_has_its_values_and_facts(client: Client) -> None:
    client.send(plan="pro")
    client.send(plan="basic")
    (call,) = client.api("/api/calls?since=1")["calls"]
    assert (call["site"], call["persona"], call["kind"]) == ("site-1", "unknown", "event")
    assert (call["person"], call["name"], call["time"]) == ("ada", "Signed Up", "2020-09-13T12:26:40Z")
    assert call["properties"] == {"plan": "basic"}
    fact = next(one for one in call["facts"] if one["rule"] == "D1")
    assert (fact["what"], fact["call"], fact["other"]) == ("merged", 2, 1)
    assert fact["said"].endswith(".")
    assert fact["cure"].endswith(".")


def test_facts_show_both_calls(client: Client) -> None:
    client.send(plan="pro")
    client.send(plan="basic")
    (fact,) = client.api("/api/facts?rule=D2")["facts"]
    assert (fact["first"]["properties"], fact["second"]["properties"]) == (
        {"plan": "pro"},
        {"plan": "basic"},
    )
    assert [one["rule"] for one in client.api("/api/facts?newest=1&limit=1")["facts"]] == [
        client.api("/api/facts")["facts"][-1]["rule"]
    ]


@pytest.mark.parametrize("identity", ["ada@example.com", "a/b+c=%d é", "../../etc", "x?y#z"])
def test_a_person_is_found_by_any_identity(client: Client, identity: str) -> None:
    """Anonymous ids have `/`, `+` and `=` in them (I4)."""
    client.send(_p=identity, plan="pro")
    client.send("a", _p=identity, _n="other id")
    client.send(_p="other id", _n="Paid", _t=SECOND + 5, plan="team")
    for name in (identity, "other id"):
        (person,) = client.api(f"/api/people/{quote(name, safe='')}")["people"]
        assert person["identities"] == sorted([identity, "other id"])
        assert {one["name"]: one["times"] for one in person["events"]} == {"Signed Up": 1, "Paid": 1}
        assert [(one["name"], one["value"], one["values"]) for one in person["properties"]] == [
            ("plan", "team", 2)
        ]
        assert [one["kind"] for one in person["aliases"]] == ["alias"]
        assert len(person["timeline"]) == 2
    (row,) = client.api("/api/people?text=OTHER")["people"]
    assert row["id"] in person["identities"]
    assert row["events"] == 2
    assert row["last"] == "2020-09-13T12:26:45Z"


@pytest.mark.parametrize("identity", [".", "..", "ada/.."])
def test_a_person_is_found_by_a_parameter(client: Client, identity: str) -> None:
    """A browser takes two dots in a path for a folder."""
    client.send(_p=identity)
    (person,) = client.api(f"/api/people/?identity={quote(identity)}")["people"]
    assert person["identities"] == [identity]


def test_a_time_that_is_none_has_a_cure_that_names_the_time(client: Client) -> None:
    client.send(_t=253_402_300_800)
    client.send(_t="soon")
    for fact in client.api("/api/facts")["facts"]:
        assert "time" in fact["said"]
        assert "_t" in fact["cure"]


def test_a_person_who_is_not_there(client: Client) -> None:
    answer = client.get("/api/people/nobody")
    assert answer.status == 404
    assert answer.json["hint"]


def test_events_and_people_by_persona(km: Command) -> None:
    """The ledger in the file of the store knows who is a user and who an account."""
    log = km.home / "log.csv"
    log.write_text(
        "timestamp,user,account,event\n"
        "2024-03-01T09:00:00Z,ada,Acme,Signed Up\n2024-03-01T09:01:00Z,bob,Acme,Signed Up\n"
        "2024-03-01T09:02:00Z,ada,Acme,Paid\n"
    )
    km("import", log, "--to", "local").ended(0)
    with serving(km.state / "local.db") as client:
        events = {one["name"]: one for one in client.api("/api/events")["events"]}
        assert events["Signed Up"] == {
            "site": "main",
            "name": "Signed Up",
            "times": 4,
            "people": {"account": 1, "user": 2},
        }
        people = client.api("/api/people?persona=account")["people"]
        assert [one["identities"] for one in people] == [["Acme"]]
        assert {call["person"] for call in client.api("/api/calls?persona=user")["calls"]} == {"ada", "bob"}
        funnel = client.api("/api/funnel?step=Signed%20Up&step=paid&within=1d")
        reached = {
            name: [step["reached"] for step in one["steps"]] for name, one in funnel["personas"].items()
        }
        assert reached == {"account": [1, 1], "user": [2, 1]}
        compared = km(
            *("compare", log, "--funnel", "Signed Up", "--funnel", "paid", "--within", "1d"),
            *("--no-strategies", "--json"),
        ).summary["personas"]
        assert {name: one["steps"] for name, one in funnel["personas"].items()} == {
            name: one["steps"] for name, one in compared.items()
        }
        assert set(client.api("/api/summary")["personas"]) == {"account", "user"}
        refused = client.change("DELETE", "/api/calls", {})
    assert refused.status == 409
    assert "would go on believing that all was sent" in refused.json["error"]


def test_calls_can_be_deleted_where_there_is_no_ledger(client: Client) -> None:
    client.send()
    last = client.api("/api/summary")["last"]
    assert client.change("DELETE", "/api/calls", {}).json == {"deleted": True}
    assert client.api("/api/summary")["received"] == 0
    assert client.api("/api/calls")["calls"] == client.api("/api/people")["people"] == []
    client.send(_p="bob")
    assert [call["person"] for call in client.api(f"/api/calls?since={last}")["calls"]] == ["bob"]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/api/calls?persn=ada", "there is no parameter 'persn'"),
        ("/api/calls?limit=-1", "limit=-1 is not a whole number"),
        ("/api/calls?wait=soon", "wait= 'soon' is not a time"),
        (f"/api/calls?text={'a' * 60_000}", "text= has 60,000 characters; 5,000 is the most"),
        (f"/api/people?text={'a' * 60_000}", "text= has 60,000 characters"),
        ("/api/summary?x=1", "there is no parameter 'x'"),
        ("/api/funnel", "step= names 0 event"),
        ("/api/funnel?step=A&step=a", "twice"),
        ("/api/funnel?step=A&step=B&within=x", "within= 'x' is not a time"),
    ],
)
def test_a_wrong_question_is_an_error_with_a_hint(client: Client, path: str, said: str) -> None:
    answer = client.get(path)
    assert answer.status == 400
    assert said in answer.json["error"]
    assert answer.json["hint"]


def test_the_longest_text_fits_into_the_search(client: Client) -> None:
    """Characters that JSON and a pattern both escape, and characters of four bytes."""
    for text in ("\x01" * 5000, "\\" * 5000, "%" * 5000, "\U0001f600" * 5000):
        assert client.api(f"/api/calls?text={quote(text)}")["calls"] == []


def basic(user: str, password: str = "") -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


def query(client: Client, path: str, headers: dict[str, str] | None = None) -> Any:
    return client.ask("GET", f"/v3{path}", None, basic("key") if headers is None else headers)


def test_the_query_api_lists_products_events_and_properties(client: Client) -> None:
    client.send(plan="pro")
    client.send(_t=SECOND + DAY, _n="signed up")
    client.send(_t=SECOND + DAY, _n="signed up")
    (product,) = query(client, "/products").json["data"]
    assert set(product) == {"id", "account_id", "name", "timezone"}
    assert product["name"] == "site-1"
    (event,) = query(client, f"/products/{product['id']}/events").json["events"]
    assert (event["name"], event["total"], event["product_id"]) == ("Signed Up", 2, product["id"])
    assert (event["first_used_at"], event["last_used_at"]) == ("2020-09-13T12:26:40Z", "2020-09-14T12:26:40Z")
    (found,) = query(client, f"/products/{product['id']}/properties").json["events"]
    assert (found["name"], found["total"]) == ("plan", 1)
    assert query(client, "/products/unheard-of/events").status == 404
    assert query(client, "/queries/1").status == 404


def test_the_query_api_pages_without_an_end_mark(client: Client) -> None:
    for number in range(55):
        client.send(_n=f"Did {number:02}")
    (product,) = query(client, "/products").json["data"]
    path = f"/products/{product['id']}/events"
    sizes = [
        len(query(client, f"{path}?{at}").json["events"])
        for at in ("", "offset=50", "offset=55", "limit=3", "limit=500")
    ]
    assert sizes == [50, 5, 0, 3, 50]
    assert query(client, f"{path}?limit=x").status == 400


@pytest.mark.parametrize("value", ["", "Bearer x", "Basic", "Basic !!", "Basic " + "Og=="])
def test_the_query_api_wants_basic_authorisation(client: Client, value: str) -> None:
    answer = query(client, "/products", {"Authorization": value} if value else {})
    assert (answer.status, answer.json) == (401, {"status": 401, "messages": ["Unauthenticated."]})
    assert query(client, "/products", basic("ada@example.com", "secret")).status == 200


def test_the_query_api_answers_so_many_requests_a_minute(tmp_path: Path) -> None:
    with serving(tmp_path / "s.db", queries_a_minute=3) as client:
        assert [query(client, "/products").status for _ in range(4)] == [200, 200, 200, 429]
        refused = query(client, "/products")
        assert refused.json["status"] == 429
        assert "retry-after" not in refused.headers
        assert query(client, "/products", {}).status == 401  # such requests do not count


def test_the_limit_is_of_any_minute() -> None:
    times = iter([0.0, 30.0, 59.0, 60.0, 61.0, 90.0])
    limit = RequestLimit(2, lambda: next(times))
    assert [limit.is_exhausted() for _ in range(6)] == [False, False, True, False, True, False]


def test_the_query_api_shows_calls_after_a_delay(tmp_path: Path) -> None:
    for delay, shown in ((DAY, 0), (0, 1)):
        with serving(tmp_path / "s.db", show_after=delay) as client:
            client.send()
            (product,) = query(client, "/products").json["data"]
            assert len(query(client, f"/products/{product['id']}/events").json["events"]) == shown


def test_the_export_has_every_call_in_order_of_arrival(client: Client) -> None:
    client.send(plan="pro")
    client.send("s", _p="bob", plan="team")
    client.send("a", _p="bob", _n="bob@example.com")
    client.send()  # the same again
    index = list(csv.DictReader(io.StringIO(client.get("/export/index.csv").body.decode())))
    assert [row["Filename"] for row in index] == ["revisions/1.json"]
    assert client.get("/export/status.csv").status == 200
    lines = [json.loads(line) for line in client.get("/export/revisions/1.json").body.splitlines()]
    assert [(one["_p"], one.get("_n"), one.get("_p2"), one.get("plan")) for one in lines] == [
        ("ada", "Signed Up", None, "pro"),
        ("bob", None, None, "team"),
        ("bob", None, "bob@example.com", None),
    ]
    again = client.get("/export/revisions/1.json?duplicates=1").body.splitlines()
    assert len(again) == 4
    assert client.get("/export/revisions/2.json").status == 404


@pytest.mark.parametrize(
    ("what", "said", "parameters"),
    [
        ("dropped", "more characters than Kissmetrics takes", {"_n": "x" * 256}),
        ("merged", "Two spellings", {"_n": "signed up", "_t": SECOND + 1}),
        ("changed", "commas and colons become spaces", {"_n": "a,b"}),
    ],
)
def test_each_way_of_a_rule_has_its_own_words(
    client: Client, what: str, said: str, parameters: dict[str, Any]
) -> None:
    client.send()
    client.send(**parameters)
    (fact,) = client.api("/api/facts?rule=D4")["facts"]
    assert fact["what"] == what
    assert said in fact["said"]
