"""The threats of the threat model (km_cli/README.md) that no other test file covers."""

from __future__ import annotations

import csv
import ssl
import stat
from io import StringIO
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.command import Command
from tests.support.logs import written
from tests.support.tls import Authority, Door
from tests.support.tracker import Tracker

PAGE = Path(__file__).parents[1] / "km_cli" / "README.md"

ROW = "ada,Acme,In,1704067200,1\n"
HOSTILE = "\x1b]0;owned\x07\x1b[31m\u202e\x9b2J"


# TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def trusting(km: Command, authority: Authority) -> Command:
    """A command that trusts this authority, and no other."""
    km.environment["REQUESTS_CA_BUNDLE"] = str(authority.path)
    return km


@pytest.mark.usefixtures("transport")
def test_an_authority_of_ones_own_is_trusted_if_it_is_named(
    trusting: Command, authority: Authority, tracker: Tracker, tmp_path: Path
) -> None:
    with Door(authority.certificate(), _port(tracker)) as door:
        trusting("import", written(tmp_path, ROW), "--to", door.url).ended(0)
    assert len(tracker.hits) == 2


@pytest.mark.usefixtures("transport")
@pytest.mark.parametrize(
    ("name", "days", "version", "says"),
    [
        ("DNS:example.com", 2, None, "the certificate of"),
        ("IP:127.0.0.2", 2, None, "the certificate of"),
        ("IP:127.0.0.1", -1, None, "the certificate of"),
        ("IP:127.0.0.1", 2, ssl.TLSVersion.TLSv1_1, "no TLS connection to"),
    ],
    ids=["another name", "another address", "expired", "an old version of TLS"],
)
def test_a_server_that_cannot_be_trusted_gets_no_byte(
    trusting: Command,
    authority: Authority,
    tracker: Tracker,
    tmp_path: Path,
    name: str,
    days: int,
    version: ssl.TLSVersion | None,
    says: str,
) -> None:
    with Door(authority.certificate(name, days), _port(tracker), version) as door:
        result = trusting("import", written(tmp_path, ROW), "--to", door.url).ended(69)
        assert door.heard == b""
    assert tracker.seen == []
    assert says in result.err


@pytest.mark.usefixtures("transport")
def test_a_certificate_of_an_unknown_authority_gets_no_byte(
    km: Command, authority: Authority, tracker: Tracker, tmp_path: Path
) -> None:
    with Door(authority.certificate(), _port(tracker)) as door:
        assert "cannot be trusted" in km("import", written(tmp_path, ROW), "--to", door.url).ended(69).err
        assert door.heard == b""


def _port(tracker: Tracker) -> int:
    port = urlsplit(tracker.url).port
    assert port is not None
    return port


# Files that others could read, and links that lead elsewhere


def test_whatever_a_command_keeps_is_for_its_owner_alone(km: Command, tmp_path: Path) -> None:
    """Whatever the umask lets others do with a new file."""
    log, out = written(tmp_path, f"{ROW}bob,Acme,In,never,1\n"), tmp_path / "out"
    out.mkdir()
    km("import", log, "--to", "local").ended(65)
    km("import", log, "--to", f"file:{out}/history.csv", "--yes").ended(65)
    later = written(tmp_path, "eve,Acme,In,1704067300,1\n", name="later.csv")
    km("import", later, "--to", f"file:{out}/history.json", "--yes").ended(0)
    km("dry-run", log, "--out", out / "plan", "--as-new")
    km("dry-run", log, "--as", "urls", "--with-keys", "--out", out / "urls", "--as-new")
    km("ledger", "export", "--out", out / "receipts").ended(0)
    km("ledger", "backup", out / "backup.db").ended(0)
    found = [path for folder in (km.home / "state", out) for path in folder.rglob("*")]
    assert len(found) >= 10
    others = stat.S_IRWXG | stat.S_IRWXO
    assert [path for path in found if path != out and path.stat().st_mode & others] == []


@pytest.mark.parametrize(
    "words",
    [("dry-run", "LOG", "--out"), ("dry-run", "LOG", "--as", "curl", "--out"), ("ledger", "export", "--out")],
)
def test_a_link_at_the_place_of_a_new_file_is_not_followed(
    km: Command, tmp_path: Path, words: tuple[str, ...]
) -> None:
    log, victim, link = written(tmp_path, ROW), tmp_path / "victim", tmp_path / "link"
    km("import", log, "--to", f"file:{tmp_path}/history.json", "--yes").ended(0)
    victim.write_text("as it was\n")
    link.symlink_to(victim)
    km(*[str(log) if word == "LOG" else word for word in words], link)
    assert victim.read_text() == "as it was\n"


# Values that a terminal or a spreadsheet would obey


@pytest.mark.parametrize(
    "words",
    [
        ("show", "--to", "local"),
        ("show", "--to", "local", "ada"),
        ("status", "--to", "local"),
        ("ledger", "export", "--to", "local"),
        ("ledger", "export", "--to", "local", "--as", "csv"),
        ("compare", "LOG", "--funnel", f"In{HOSTILE}", "--funnel", f"Out{HOSTILE}"),
        ("compare", "LOG", "--json"),
        ("dry-run", "LOG", "--as", "table"),
        ("dry-run", "LOG", "--as", "js"),
        ("dry-run", "LOG", "--as", "curl"),
        ("dry-run", "LOG", "--as", "jsonl"),
        ("init", "LOG", "--output", "HOME/new.toml"),
        ("config", "show", "--config", "LOG"),
        (f"dry-{HOSTILE}",),
        ("import", f"absent{HOSTILE}.csv"),
    ],
    ids=" ".join,
)
def test_no_command_lets_a_value_reach_the_terminal_as_it_is(
    km: Command, tmp_path: Path, words: tuple[str, ...]
) -> None:
    header = f"user,account,event,timestamp,plan{HOSTILE}\n"
    rows = f"ada,Acme,In{HOSTILE},1704067200,1{HOSTILE}\nada,Acme,Out{HOSTILE},1704067300,2\n"
    log = written(tmp_path, rows, header)
    km("import", log, "--to", "local").ended(0)
    given = [{"LOG": str(log)}.get(word, word.replace("HOME", str(tmp_path))) for word in words]
    result = km(*given)
    text = result.out + result.err
    assert text
    assert "Traceback" not in text
    assert all(letter == "\n" or (letter.isprintable() and letter != "\u202e") for letter in text)


def test_no_cell_of_the_receipts_is_a_formula(km: Command, tmp_path: Path) -> None:
    """Names of events come from the log."""
    log = written(
        tmp_path, "ada,Acme,=HYPERLINK(1),1704067200,1\nada,Acme,-2,1704067300,1\n", name="@log.csv"
    )
    km("import", log, "--to", "local").ended(0)
    out = km("ledger", "export", "--to", "local", "--as", "csv").ended(0).out
    found = {row["event"] for row in csv.DictReader(StringIO(out))}
    assert found == {"'=HYPERLINK(1)", "'-2"}
    assert '"event": "=HYPERLINK(1)"' in km("ledger", "export", "--to", "local").ended(0).out


# The threat model


def test_every_threat_names_a_test() -> None:
    """That the tests are there is checked with all that pages name (`test_pages.py`)."""
    section = PAGE.read_text(encoding="utf-8").partition("\n## Threats\n")[2].partition("\n## ")[0]
    threats = [line for line in section.splitlines() if line.startswith("| ")][1:]
    assert len(threats) >= 20
    assert [line for line in threats if "`tests/test_" not in line.rsplit("|", 2)[1]] == []
