"""Who acts is part of what a call is known by: another actor for a log that was sent would send it again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import Command
from tests.support.tracker import Tracker

LOG = "timestamp,user,account,contact,event\n1709283600,ada,Acme,zoe,Paid\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of three levels."""
    path = tmp_path / "log.csv"
    path.write_text(LOG)
    return path


def km_toml(tmp_path: Path, *names: str) -> Path:
    """Write a km.toml with these personas."""
    path = tmp_path / "km.toml"
    path.write_text("\n".join(f'[[personas]]\nname = "{name}"\n' for name in names))
    return path


@pytest.mark.parametrize("command", ["import", "dry-run"])
def test_another_actor_for_the_same_log_is_refused(
    importer: Command, tracker: Tracker, tmp_path: Path, log: Path, command: str
) -> None:
    importer("import", log).ended(0)
    sent = len(tracker.seen)
    config = km_toml(tmp_path, "contact", "user", "account")
    result = importer(command, log, "--config", config).ended(2)
    assert "sent to the site 'main' already" in result.err
    assert "another persona or column as the actor" in result.err
    assert "--as-new" in result.err
    assert len(tracker.seen) == sent


def test_a_log_that_grew_is_the_same_log(importer: Command, tmp_path: Path, log: Path) -> None:
    importer("import", log).ended(0)
    log.write_text(LOG + "1709283601,bo,Acme,zoe,Paid\n")
    importer("import", log, "--config", km_toml(tmp_path, "contact", "user", "account")).ended(2)


def test_personas_behind_the_actor_may_come_and_go(
    importer: Command, tracker: Tracker, tmp_path: Path, log: Path
) -> None:
    importer("import", log).ended(0)
    sent = len(tracker.seen)
    importer("import", log, "--config", km_toml(tmp_path, "user", "contact", "account")).ended(0)
    assert [hit.params["_p"] for hit in tracker.seen[sent:]] == ["zoe"]


def test_other_logs_and_other_sites_may_have_other_actors(
    importer: Command, tmp_path: Path, log: Path
) -> None:
    importer("import", log).ended(0)
    config = km_toml(tmp_path, "contact", "user", "account")
    billing = tmp_path / "billing.csv"
    billing.write_text("timestamp,account,event\n1709283600,Acme,Billed\n")
    importer("import", billing, "--config", km_toml(tmp_path, "account")).ended(0)
    importer.environment["KM_API_KEY"] = "another-key"
    config = km_toml(tmp_path, "contact", "user", "account")
    importer("import", log, "--config", config, "--site", "test").ended(0)


def test_another_column_or_prefix_for_the_actor_is_another_actor(
    importer: Command, tracker: Tracker, tmp_path: Path, log: Path
) -> None:
    """The accounts' calls would be sent again in either case."""
    importer("import", log).ended(0)
    sent = len(tracker.seen)
    assert "other identities of the user" in importer("import", log, "--user", "contact").ended(2).err
    config = km_toml(tmp_path, "user", "account")
    config.write_text(config.read_text().replace('name = "user"', 'name = "user"\nprefix = "u "'))
    assert "other identities of the user" in importer("import", log, "--config", config).ended(2).err
    assert len(tracker.seen) == sent


def test_a_header_alone_is_no_log_that_was_read(importer: Command, tmp_path: Path, log: Path) -> None:
    """A last row without its end is not behind the cursor: only the header is."""
    log.write_text(LOG.rstrip("\n"))
    importer("import", log).ended(0)
    other = tmp_path / "other.csv"
    other.write_text(LOG.replace("ada", "bo"))
    importer("import", other, "--config", km_toml(tmp_path, "contact", "user", "account")).ended(0)
