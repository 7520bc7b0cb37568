"""`dry-run --as`: each form, read back, has exactly the calls that an import sends."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.bench import Bench, fresh, ran
from tests.support.command import KEY, Command
from tests.support.drawing import examples
from tests.support.formcalls import Told, of_hits, of_js, of_jsonl, of_urls
from tests.support.people import ACCOUNT_KEY
from tests.support.tracker import Tracker

SITES = {KEY: "main", ACCOUNT_KEY: "accounts"}
TOML = """
[sites.main]
key_env = "KM_API_KEY"
[sites.accounts]
key_env = "KM_ACCOUNT_API_KEY"
[[personas]]
name = "user"
column = "user"
alias = "visitor"
set = ["role"]
[[personas]]
name = "account"
column = "account"
site = "accounts"
"""
HOSTILE = [
    "$(touch gone)`touch gone`",
    "a\"b'c\\d",
    "</script><!--",
    "Zoë 東京 \u2028 \u202e \x85",
    "a&b=c?d#e%20+f",
    "END",
    "${KM_API_KEY}",
]


def write(folder: Path, values: list[str], *, rows: int = 1) -> tuple[Path, Path]:
    """A log in which each value is an event and a property, and its km.toml."""
    log, toml = folder / "log.jsonl", folder / "km.toml"
    lines = [
        {
            "user": f"u{at % 3}",
            "account": "" if at % 4 == 3 else f"a{at % 2}",
            "visitor": f"v{at % 3}+/=",
            "role": value[:400],
            "event": f"Did {value[:50]}",
            "timestamp": f"2024-01-01T00:00:{at % 7:02}Z",
            "note": value,
            "line": str(at),
        }
        for at, value in enumerate(values * rows)
    ]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    toml.write_text(TOML, encoding="utf-8")
    return log, toml


def told_by(bench: Bench, form: str, words: tuple[str | Path, ...]) -> tuple[Path, list[Told]]:
    """Write the calls in a form; return the file and the calls that another reader finds in it."""
    path = bench.folder / f"calls.{form}"
    keys = ("--with-keys",) if form == "urls" else ()
    assert bench.run("dry-run", *words, "--as", form, "--out", path, *keys).code == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    if form == "js":
        return path, of_js(path)
    text = path.read_text(encoding="utf-8")
    return path, of_jsonl(text) if form == "jsonl" else of_urls(text, SITES)


@pytest.mark.parametrize("form", ["js", "jsonl", "urls"])
def test_a_form_has_the_calls_that_an_import_sends(bench: Bench, form: str) -> None:
    """Two sites, aliases, sets, moved seconds, rows without an account, and hostile values."""
    log, toml = write(bench.folder, HOSTILE, rows=3)
    words = (log, "--config", toml, "--allow-alias")
    _, told = told_by(bench, form, words)
    bench.send(*words, code=0)
    assert told == of_hits(bench.tracker.hits, SITES)
    assert {one.path for one in told} == {"/e", "/s", "/a"}
    assert told_by(bench, form, words)[1] == []


_value = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20)


@settings(
    max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(values=st.lists(_value, min_size=1, max_size=8))
def test_any_values_come_back(shared_tracker: Tracker, values: list[str]) -> None:
    with fresh(shared_tracker) as bench:
        log, toml = write(bench.folder, values)
        words = (log, "--config", toml, "--allow-alias")
        written = {}
        for form in ("jsonl", "urls"):
            path = bench.folder / f"calls.{form}"
            keys = ("--with-keys",) if form == "urls" else ()
            ran = bench.run("dry-run", *words, "--as", form, "--out", path, *keys)
            written[form] = path.read_bytes().decode() if ran.code in (0, 65) else ""
        bench.run("import", *words)
        sent = of_hits(shared_tracker.hits, SITES)
        assert of_jsonl(written["jsonl"]) == sent
        assert of_urls(written["urls"], SITES) == sent


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_the_script_for_curl_sends_the_calls(bench: Bench, shell: str) -> None:
    """A shell runs it. Nothing of the log is run, long calls are posted, and no argument has a key."""
    if not (shutil.which("curl") and shutil.which(shell)):
        pytest.skip(f"needs curl and {shell}")
    log, toml = write(bench.folder, [*HOSTILE, "x" * 3000], rows=20)
    words = (log, "--config", toml, "--allow-alias")
    script = bench.folder / "calls.sh"
    assert bench.run("dry-run", *words, "--as", "curl", "--out", script).code == 0
    text = script.read_text(encoding="utf-8")
    assert KEY not in text
    assert ACCOUNT_KEY not in text
    environment = {"PATH": os.environ["PATH"], "KM_API_KEY": KEY, "KM_ACCOUNT_API_KEY": ACCOUNT_KEY}
    subprocess.run([shell, script], env=environment, cwd=bench.folder, check=True, timeout=300)
    assert not (bench.folder / "gone").exists()
    sent = of_hits(bench.tracker.hits, SITES)
    assert {hit.method for hit in bench.tracker.hits} == {"GET", "POST"}
    bench.tracker.forget()
    bench.send(*words, code=0)
    assert sent == of_hits(bench.tracker.hits, SITES)


@pytest.mark.parametrize(("key", "message"), [("", "empty or not set"), ("a b", "does not hold an API key")])
def test_the_script_for_curl_asks_for_its_key(bench: Bench, key: str, message: str) -> None:
    log = bench.write("log.csv", "user,account,event,timestamp\nu,a,Did,2024-01-01T00:00:00Z\n")
    script = bench.folder / "calls.sh"
    assert bench.run("dry-run", log, "--as", "curl", "--out", script).code == 0
    result = subprocess.run(
        ["sh", script], env={"PATH": os.environ["PATH"], "KM_API_KEY": key}, capture_output=True, text=True
    )
    assert result.returncode == 2
    assert message in result.stderr
    assert not bench.tracker.hits


def test_a_call_that_fails_ends_the_script(bench: Bench) -> None:
    from tests.support.tracker import UNAVAILABLE

    log = bench.write("log.csv", "user,event,timestamp\nu,A,2024-01-01T00:00:00Z\nu,B,2024-01-01T00:00:01Z\n")
    script = bench.folder / "calls.sh"
    assert bench.run("dry-run", log, "--as", "curl", "--out", script).code == 0
    bench.tracker.behave = lambda _hit, _number: UNAVAILABLE
    environment = {"PATH": os.environ["PATH"], "KM_API_KEY": KEY}
    assert subprocess.run(["sh", script], env=environment, capture_output=True).returncode != 0
    assert len(bench.tracker.seen) == 1


def test_standard_output_has_the_calls_and_nothing_else(km: Command, tmp_path: Path) -> None:
    log, toml = write(tmp_path, HOSTILE)
    result = km("dry-run", log, "--config", toml, "--allow-alias", "--as", "jsonl").ended(0)
    assert of_jsonl(result.out)
    assert "The ledger does not know calls that are sent this way" in result.err
    assert f"{len(of_jsonl(result.out))} calls written to standard output." in result.err
    table = km("dry-run", log, "--config", toml, "--allow-alias", "--as", "table", "-q").ended(0)
    assert len(table.out.splitlines()) == len(of_jsonl(result.out)) + 1
    assert not [one for one in table.out if not one.isprintable() and one != "\n"]
    assert "written to" not in table.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--with-keys",), "--with-keys needs --as"),
        (("--as", "urls"), "has the API key on every line"),
        (("--as", "urls", "--with-keys"), "is written only to a file"),
        (("--as", "urls", "--with-keys", "--out", "-"), "is written only to a file"),
        (("--as", "jsonl", "--with-keys"), "has no API keys in it"),
        (("--as", "jsonl", "--json"), "both write to standard output"),
        (("--as", "curl", "--to", "local"), "a local store is none"),
        (("--as", "curl", "--to", "file:bulk.json"), "a bulk file is none"),
        (("--as", "jsonl", "--out", "absent/x"), "there is no folder"),
        (("--as", "jsonl", "--out", "log.csv"), "would be both an input and the file of --out"),
        (("--as", "yaml"), "is not one of table, jsonl, js, curl, urls"),
    ],
)
def test_options_that_do_not_go_together(
    km: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("log.csv").write_text("user,event,timestamp\nu,Did,2024-01-01T00:00:00Z\n")
    result = km("dry-run", "log.csv", *words).ended(2)
    assert message in result.err
    assert result.out == ""
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {"log.csv"}


def test_urls_needs_the_key_and_says_which(km: Command, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("user,event,timestamp\nu,Did,2024-01-01T00:00:00Z\n")
    km.environment["KM_API_KEY"] = ""
    result = km("dry-run", log, "--as", "urls", "--with-keys", "--out", tmp_path / "urls.log").ended(2)
    assert "KM_API_KEY is not set" in result.err


def test_a_run_that_fails_leaves_the_older_file(bench: Bench) -> None:
    good = bench.write("good.csv", "user,event,timestamp\nu,Did,2024-01-01T00:00:00Z\n")
    bad = bench.write("bad.csv", 'user,event,timestamp\nu,Did,2024-01-01T00:00:00Z\nu,"Did,\n')
    out = bench.folder / "calls.jsonl"
    assert bench.run("dry-run", good, "--as", "jsonl", "--out", out).code == 0
    before = out.read_bytes()
    assert bench.run("dry-run", good, bad, "--as", "jsonl", "--out", out).code not in (0, 65)
    assert out.read_bytes() == before
    assert not list(bench.folder.glob("*.part"))


def test_a_backfill_is_written_too(bench: Bench) -> None:
    bench.write("one.csv", "user,event,timestamp\nu,Did,2024-01-01T00:00:00Z\n")
    toml = bench.write("km.toml", '[[backfill]]\nname = "logs"\nfiles = ["*.csv"]\n')
    out = bench.folder / "calls.jsonl"
    assert ran("dry-run", "--config", toml, "--ledger", bench.ledger, "--as", "jsonl", "--out", out).code == 0
    assert [told.person for told in of_jsonl(out.read_text())] == ["u"]


def test_json_names_the_file_that_was_written(bench: Bench) -> None:
    log = bench.write("good.csv", "user,event,timestamp\nu,Did,2024-01-01T00:00:00Z\n")
    out = bench.folder / "calls.jsonl"
    summary = bench.run("dry-run", log, "--as", "jsonl", "--out", out).summary
    assert summary["written"] == {"path": str(out), "form": "jsonl", "calls": 1}
    assert "written" not in bench.run("dry-run", log).summary
