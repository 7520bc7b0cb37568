"""`hash` and `drop` of km.toml: what is personal reaches neither the wire nor the ledger."""

from __future__ import annotations

import hashlib
import hmac
import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.bench import Bench, fresh
from tests.support.drawing import examples
from tests.support.tracker import BAD, OK, UNAVAILABLE, Tracker

KEY = b"0123456789abcdef0123456789abcdef"
TOML = """
[columns]
hash = ["email"]
drop = ["phone"]
hash_key_file = "hash.key"
[[personas]]
name = "user"
column = "email"
prefix = "u-"
[[personas]]
name = "account"
column = "account"
"""


def digest(text: str) -> str:
    """HMAC-SHA256 as its own library has it, in the form that is sent."""
    return "h_" + hmac.new(KEY, text.encode(), hashlib.sha256).hexdigest()


def write(bench: Bench, rows: list[dict[str, str]], toml: str = TOML, *, tabular: bool = True) -> Path:
    bench.write("km.toml", toml)
    key = bench.folder / "hash.key"
    key.write_bytes(KEY + b"\n")
    key.chmod(0o600)
    columns = ["email", "account", "event", "timestamp", "phone", "plan"]
    if not tabular:
        return bench.write("log.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    lines = [",".join(columns), *(",".join(row.get(name, "") for name in columns) for row in rows)]
    return bench.write("log.csv", "\n".join(lines) + "\n")


def row(email: str, second: int = 0, **more: str) -> dict[str, str]:
    return {
        "email": email,
        "account": "Acme",
        "event": "Paid",
        "timestamp": f"2024-01-01T00:00:{second:02}Z",
        "phone": "+49 555 0199",
        "plan": "pro",
        **more,
    }


def words(bench: Bench, log: Path) -> tuple[Path | str, ...]:
    return log, "--config", bench.folder / "km.toml"


def check_nothing_plain(bench: Bench, *texts: str, wire: bool = True) -> None:
    """None of these texts is in any file of the ledger, or in what arrived."""
    files = [path for path in bench.folder.iterdir() if path.name.startswith("ledger.db")]
    assert files
    for text in texts:
        for path in files:
            assert text.encode() not in path.read_bytes(), f"{text} is in {path.name}"
        for hit in bench.tracker.hits if wire else ():
            assert text not in "".join([*hit.params.values(), *hit.params])


@pytest.mark.parametrize("tabular", [True, False])
def test_identities_are_sent_as_digests_behind_their_prefix(bench: Bench, tabular: bool) -> None:
    log = write(bench, [row("ada@example.com"), row(" bo@example.com ", 1)], tabular=tabular)
    bench.send(*words(bench, log), code=0)
    people = {hit.params["_p"] for hit in bench.tracker.hits}
    assert people == {f"u-{digest('ada@example.com')}", f"u-{digest('bo@example.com')}", "Acme"}
    assert {name for hit in bench.tracker.hits for name in hit.params if name[0] != "_"} == {"plan"}
    check_nothing_plain(bench, "ada@example.com", "bo@example.com", "555 0199")


def test_a_property_and_a_link_are_digests_too(bench: Bench) -> None:
    toml = (
        '[columns]\nhash = ["email", "plan", "account"]\nhash_key_file = "hash.key"\n'
        '[[personas]]\nname = "user"\ncolumn = "email"\nset = ["plan"]\nlink = { Account = "account" }\n'
        '[[personas]]\nname = "account"\ncolumn = "account"\nproperties = ["plan"]\n'
    )
    log = write(bench, [row("ada@example.com")], toml)
    bench.send(*words(bench, log), code=0)
    values = {value for hit in bench.tracker.hits for name, value in hit.params.items() if name[0] != "_"}
    assert {digest("pro"), digest("Acme")} <= values
    check_nothing_plain(bench, "ada@example.com", "Acme")


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (row("anonymous"), "I1"),
        (row("a" * 300), "D4-long"),
        (row("u-x", account="u-u-x"), "I2"),
    ],
)
def test_identities_are_judged_in_clear(bench: Bench, bad: dict[str, str], code: str) -> None:
    """The reject has the row as it stands in the log."""
    log = write(bench, [row("ada@example.com"), bad])
    result = bench.send(*words(bench, log), code=65)
    assert result.summary["reasons"] == {code: 1}
    assert json.loads(bench.rejects[-1].read_text().splitlines()[0])["raw"].startswith(bad["email"])


def test_nobody_and_members_are_judged_in_clear(bench: Bench) -> None:
    toml = (
        '[columns]\nhash = ["email", "account"]\nhash_key_file = "hash.key"\n'
        '[[personas]]\nname = "user"\ncolumn = "email"\nnobody = ["n/a"]\n'
        '[[personas]]\nname = "account"\ncolumn = "account"\n'
        '[members]\nfile = "members.csv"\nuser = "email"\naccount = "company"\n'
    )
    bench.write("members.csv", "email,company\nada@example.com,Beta\n")
    log = write(bench, [row("ada@example.com", account=""), row("n/a", 1)], toml)
    bench.send(*words(bench, log), code=0)
    people = {hit.params["_p"] for hit in bench.tracker.hits}
    assert people == {digest("ada@example.com"), digest("Beta"), digest("Acme")}


def test_rows_that_differ_in_what_is_dropped_are_two(bench: Bench) -> None:
    """An event is not lost because the column that tells it apart stays home."""
    log = write(bench, [row("ada@example.com"), row("ada@example.com", phone="+49 555 0100")])
    bench.send(*words(bench, log), code=0)
    assert len(bench.tracker.hits) == 4
    assert bench.send(*words(bench, log), code=0).summary["calls"]["planned"] == 0


@pytest.mark.parametrize("tabular", [True, False])
def test_pending_and_refused_calls_keep_nothing_plain(bench: Bench, tabular: bool) -> None:
    """A refused row comes back as it was kept, and is sent as the same calls when it is imported again."""
    log = write(bench, [row("ada@example.com"), row("bo@example.com", 1)], tabular=tabular)
    bench.tracker.behave = lambda _hit, _number: UNAVAILABLE
    bench.run("import", *words(bench, log), "--attempts", "1")
    check_nothing_plain(bench, "ada@example.com", "bo@example.com", "555 0199", wire=False)
    bench.tracker.behave = lambda _hit, _number: BAD
    bench.send(*words(bench, log), code=65)
    refused = bench.rejects[-1]
    assert "ada@example.com" not in refused.read_text()
    bench.tracker.behave = lambda _hit, _number: OK
    bench.tracker.forget()
    bench.send(*words(bench, refused), code=0)
    people = {hit.params["_p"] for hit in bench.tracker.hits}
    assert people == {f"u-{digest('ada@example.com')}", f"u-{digest('bo@example.com')}", "Acme"}
    assert bench.send(*words(bench, log)).summary["calls"]["planned"] == 0
    check_nothing_plain(bench, "ada@example.com", "bo@example.com", "555 0199")


def test_changed_rows_keep_nothing_plain(bench: Bench) -> None:
    """A later export has an event with other values: its row is kept until it is clear what it is."""
    bench.send(*words(bench, write(bench, [row("ada@example.com", n) for n in range(9)])), code=0)
    changed = [row("ada@example.com", n, plan="free", phone="+49 555 0111") for n in range(9)]
    log = write(bench, changed).rename(bench.folder / "again.csv")
    bench.send(*words(bench, log), "--overlap", "repeats", code=0)
    check_nothing_plain(bench, "ada@example.com", "555 0111", "555 0199")


def test_nested_values_are_hashed_where_they_lie(bench: Bench) -> None:
    toml = TOML.replace('"email"', '"traits.email"').replace('"phone"', '"traits.phone"')
    nested = {
        "traits": {"email": "ada@example.com", "phone": "+49 555 0199", "plan": "pro"},
        "account": "Acme",
        "event": "Paid",
        "timestamp": "2024-01-01T00:00:00Z",
    }
    log = write(bench, [nested], toml, tabular=False)  # type: ignore[list-item]
    bench.send(*words(bench, log), "--flatten", code=0)
    people = {hit.params["_p"] for hit in bench.tracker.hits}
    assert people == {f"u-{digest('ada@example.com')}", "Acme"}
    check_nothing_plain(bench, "ada@example.com", "555 0199")


EVENT = {"user": "u", "event": "Paid", "timestamp": "2024-01-01T00:00:00Z"}
DROPPING = '[columns]\ndrop = ["props.phone", "props.more.tel"]\nhash_key_file = "hash.key"\n'


@pytest.mark.parametrize(("tabular", "flags"), [(True, ()), (True, ["--flatten"]), (False, ["--flatten"])])
def test_a_value_that_is_dropped_inside_a_column_is_not_sent_as_a_digest(
    bench: Bench, tabular: bool, flags: list[str]
) -> None:
    """Rows are compared by it all the same."""
    props = [{"phone": f"555 010{n}", "plan": "pro", "more": {"tel": "555 0199", "x": 1}} for n in range(2)]
    log = write(bench, [], DROPPING, tabular=False)
    log.write_text("".join(json.dumps({**EVENT, "props": one}) + "\n" for one in props))
    if tabular:
        cells = [json.dumps(one).replace('"', '""') for one in props]
        rows = [f'u,Paid,{EVENT["timestamp"]},"{cell}"' for cell in cells]
        log = bench.write("log.csv", "\n".join(["user,event,timestamp,props", *rows, ""]))
    bench.send(*words(bench, log), *flags, code=0)
    assert len(bench.tracker.hits) == 2
    for hit in bench.tracker.hits:
        text = json.dumps({name: value for name, value in hit.params.items() if name[0] != "_"})
        assert "pro" in text
        assert not any(part in text for part in ("phone", "tel", "h_", "555"))
    check_nothing_plain(bench, "555 0100", "555 0101", "555 0199")


@pytest.mark.parametrize("flags", [(), ("--flatten",)])
@pytest.mark.parametrize(
    "more",
    [
        {"props.email": "ada@example.com", "props": {"email": "bo@example.com"}},
        {"props": {"email": "ada@example.com"}, "props.email": "bo@example.com"},
        {"a.b": {"c": "ada@example.com"}, "a": {"b": {"c": "bo@example.com"}, "b.c": "cy@example.com"}},
    ],
)
def test_each_value_at_a_path_is_hashed(
    bench: Bench, flags: tuple[str, ...], more: dict[str, object]
) -> None:
    """A key that has dots and an object may both lead to one path. The row may be rejected for that."""
    toml = '[columns]\nhash = ["props.email", "a.b.c"]\nhash_key_file = "hash.key"\n'
    toml = toml.replace('"props.email", ', "") if "a" in more else toml.replace(', "a.b.c"', "")
    log = write(bench, [], toml, tabular=False)
    log.write_text(json.dumps({**EVENT, **more}) + "\n")
    bench.send(*words(bench, log), *flags)
    check_nothing_plain(bench, "ada@example", "bo@example", "cy@example")


def test_a_column_and_a_cell_of_one_path_are_both_hashed(bench: Bench) -> None:
    toml = '[columns]\nhash = ["props.email"]\nhash_key_file = "hash.key"\n'
    write(bench, [], toml)
    cell = '"{""email"": ""bo@example.com""}"'
    log = bench.write(
        "log.csv",
        f"user,event,timestamp,props.email,props\nu,Paid,2024-01-01T00:00:00Z,ada@example.com,{cell}\n",
    )
    bench.send(*words(bench, log), code=0)
    check_nothing_plain(bench, "ada@example", "bo@example")


def test_a_value_in_a_list_is_not_sent_in_clear(bench: Bench) -> None:
    toml = '[columns]\nhash = ["traits.0.email"]\nhash_key_file = "hash.key"\n'
    first = {"traits": [{"email": "ada@example.com"}], "user": "u", "event": "Paid"}
    log = write(bench, [{**first, "timestamp": "2024-01-01T00:00:00Z"}], toml, tabular=False)  # type: ignore[list-item]
    result = bench.run("import", *words(bench, log), "--flatten")
    assert result.code != 0
    assert not bench.tracker.hits


def test_digests_meet_across_files_and_runs(bench: Bench) -> None:
    """The same log in another form, in a later run, is known."""
    bench.send(*words(bench, write(bench, [row("ada@example.com")])), code=0)
    again = write(bench, [row("ada@example.com")], tabular=False)
    assert bench.send(*words(bench, again), code=0).summary["calls"]["planned"] == 0


def test_another_key_is_refused_before_anything_is_sent(bench: Bench) -> None:
    bench.send(*words(bench, write(bench, [row("ada@example.com")])), code=0)
    log = write(bench, [row("ada@example.com"), row("bo@example.com", 1)])
    (bench.folder / "hash.key").write_bytes(KEY[::-1])
    before = len(bench.tracker.hits)
    result = bench.run("import", *words(bench, log))
    assert result.code == 2
    assert "hashed under another key" in result.err
    assert len(bench.tracker.hits) == before
    bench.send(*words(bench, log), "--as-new", code=0)
    assert len(bench.tracker.hits) > before


def test_hashing_a_log_that_was_sent_in_clear_is_refused(bench: Bench) -> None:
    """The people would be other people: that is another meaning of the same log."""
    plain = TOML.replace('hash = ["email"]\n', "").replace('drop = ["phone"]\n', "")
    rows = [row(f"u{n}@example.com", n) for n in range(5)]
    bench.send(*words(bench, write(bench, rows, plain)), code=0)
    result = bench.run("import", *words(bench, write(bench, rows)))
    assert result.code == 2
    assert "other identities of the user" in result.err


def test_it_is_said_that_other_sources_name_people_in_clear(bench: Bench) -> None:
    result = bench.run("dry-run", *words(bench, write(bench, [row("ada@example.com")])))
    assert result.summary["findings"]["hashed"] == 1


@pytest.mark.parametrize(
    ("toml", "key", "mode", "message"),
    [
        (TOML.replace('hash_key_file = "hash.key"\n', ""), KEY, 0o600, "there is no hash_key_file"),
        (TOML, KEY[:31], 0o600, "has 31 bytes"),
        (TOML, KEY, 0o640, "others than its owner can read it"),
        (TOML.replace("hash.key", "absent.key"), KEY, 0o600, "cannot be read"),
        (TOML.replace('hash = ["email"]', 'hash = ["emial"]'), KEY, 0o600, "there is no column 'emial'"),
        (TOML.replace('drop = ["phone"]', 'drop = ["account"]'), KEY, 0o600, "both used and in `drop`"),
        (TOML.replace('hash = ["email"]', 'hash = ["event"]'), KEY, 0o600, "both used and in `hash`"),
        (TOML + '[sites.main]\nkey_file = "hash.key"\n', KEY, 0o600, "API key"),
    ],
)
def test_mistakes_are_refused_before_anything_is_sent(
    bench: Bench, toml: str, key: bytes, mode: int, message: str
) -> None:
    log = write(bench, [row("ada@example.com")], toml)
    path = bench.folder / "hash.key"
    path.write_bytes(key)
    path.chmod(mode)
    result = bench.run("import", *words(bench, log))
    if message == "API key":  # a key of sites may be the same file: nothing is wrong with that
        return
    assert result.code == 2
    assert message in result.err
    assert "hash.key)" not in result.err or "no hash_key_file" in message  # would overwrite the key
    assert not bench.tracker.hits


def test_the_key_is_never_read_as_a_log(bench: Bench) -> None:
    write(bench, [row("ada@example.com")])
    result = bench.run("import", *words(bench, bench.folder / "hash.key"))
    assert result.code == 2
    assert "key file" in result.err
    assert KEY.decode() not in result.err


_text = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cf", "Zl", "Zp")), min_size=1, max_size=12)


@settings(
    max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    people=st.lists(_text.filter(lambda text: bool(text.strip())), min_size=1, max_size=6),
    cut=st.integers(0, 6),
)
def test_hashed_logs_resume_and_repeat_as_plain_ones_do(
    shared_tracker: Tracker, people: list[str], cut: int
) -> None:
    """In any pieces, the calls are those of an import in one go, and none comes twice."""
    with fresh(shared_tracker) as bench:
        rows = [row(f"x{person}@", n % 60) for n, person in enumerate(people)]
        log = write(bench, rows, tabular=False)
        code, limit = (0, 65), ("--limit", str(cut))
        if cut:
            assert bench.run("import", *words(bench, log), *limit).code in code
        bench.send(*words(bench, log))
        sent = {hit.wire for hit in shared_tracker.hits}
        assert len(sent) == len(shared_tracker.hits)
        accepted = {hit.params["_p"] for hit in shared_tracker.hits if hit.params["_p"].startswith("u-")}
        assert accepted <= {f"u-{digest(one['email'].strip())}" for one in rows}
        assert bench.send(*words(bench, log)).summary["calls"]["planned"] == 0


def test_a_plan_has_no_value_that_stays_home(bench: Bench) -> None:
    """It is passed on for review, and the reasons of rejects are found in values in clear."""
    bad = (
        row("dora" * 70),
        row("u-same@example.com", account="u-u-same@example.com"),
        row("zero\u200bwidth@example.com"),
    )
    log = write(bench, [row("ada@example.com"), *bad])
    plan = bench.folder / "import.plan.toml"
    assert bench.run("dry-run", *words(bench, log), "--out", plan).code == 65
    text = plan.read_text()
    assert {found["code"] for found in tomllib.loads(text)["rejects"]} == {
        "D4-long",
        "I2",
        "invisible-character",
    }
    assert "log.csv, line 3: " in text
    for plain in ("ada@", "dora", "same@", "zero", "555 0199"):  # A digest may have 555 in it.
        assert plain not in text


def test_what_a_list_has_is_not_sent_in_clear(bench: Bench) -> None:
    """No path reaches into a list. What is behind it must not go out under the name of the element."""
    toml = '[columns]\nuser = "id"\nhash = ["user.email"]\nhash_key_file = "hash.key"\n'
    write(bench, [], toml)
    rest = {"id": "u1", "event": "Paid", "timestamp": "2024-01-01T00:00:00Z"}
    people = ([{"email": "ada@example.com"}], [], {"email": "bo@example.com"}, {"of": []}, None)
    log = bench.write("log.jsonl", "".join(json.dumps({**rest, "user": one}) + "\n" for one in people))
    assert bench.send(*words(bench, log), "--flatten", code=65).summary["reasons"] == {"nested": 1}
    assert len(bench.tracker.hits) == len(people) - 1
    check_nothing_plain(bench, "ada@example.com", "bo@example.com")
