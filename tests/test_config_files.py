"""km.toml, key files and members' files: a file that cannot be read is an error, never treated as absent."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from km_cli.config.files import read_small
from km_cli.config.kmtoml_file import read
from km_cli.errors import UsageError
from tests.support.command import Command, Result
from tests.support.logs import said
from tests.support.patience import PATIENCE
from tests.support.permissions import refusable
from tests.support.tracker import Tracker

LOG = "user,account,event,timestamp\nada,Acme,In,1704067200\n"


def _loop(path: Path) -> None:
    path.symlink_to(path)


def _dangling(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


UNREADABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "dangling link": (_dangling, "nowhere, which does not exist"),
    "loop": (_loop, "symbolic links"),
    "folder": (Path.mkdir, "folder"),
    "fifo": (os.mkfifo, "not a regular file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
}
"""Kinds of files that cannot be read: how to create one, and the message about it."""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.csv"
    path.write_text(LOG)
    return path


def within(command: Command, folder: Path, *words: str | Path) -> Result:
    """Run a command in a folder. It must end by itself, without waiting for a FIFO."""
    process = command.start(*words, cwd=folder)
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        pytest.fail("the command waits for something")
    return Result(process.returncode, out, err)


@pytest.mark.parametrize("named", [False, True], ids=["found", "--config"])
@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_km_toml_that_cannot_be_read(
    importer: Command, tracker: Tracker, log: Path, tmp_path: Path, kind: str, named: bool
) -> None:
    """Without its km.toml the run would send to another site, under other identities."""
    make, words = UNREADABLE[kind]
    folder = tmp_path / "here"
    folder.mkdir()
    make(folder / "km.toml")
    flags = ["--config", str(folder / "km.toml")] if named else []
    result = within(importer, tmp_path if named else folder, "import", log, *flags).ended(2)
    said(result, "km.toml", words)
    assert not tracker.seen
    assert within(importer, folder, "config", "show").code == 2


def test_one_that_is_not_there_is_still_absent(importer: Command, log: Path, tmp_path: Path) -> None:
    within(importer, tmp_path, "import", log).ended(0)
    said(within(importer, tmp_path, "import", log, "--config", "other.toml").ended(2), "no such file")


@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_key_file_that_cannot_be_read(
    importer: Command, tracker: Tracker, log: Path, tmp_path: Path, kind: str
) -> None:
    make, words = UNREADABLE[kind]
    (tmp_path / "km.toml").write_text('[sites.main]\nkey_file = "key"\n')
    make(tmp_path / "key")
    said(within(importer, tmp_path, "import", log).ended(2), "the key file key", words)
    assert not tracker.seen


@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_members_file_that_cannot_be_read(
    importer: Command, tracker: Tracker, log: Path, tmp_path: Path, kind: str
) -> None:
    make, words = UNREADABLE[kind]
    (tmp_path / "km.toml").write_text('[members]\nfile = "users.csv"\nuser = "email"\naccount = "company"\n')
    make(tmp_path / "users.csv")
    said(within(importer, tmp_path, "import", log).ended(2), "users.csv", words)
    assert not tracker.seen


def test_a_file_without_rights() -> None:
    with refusable() as folder:
        path = folder / "km.toml"
        path.touch()
        path.chmod(0)
        with pytest.raises(UsageError, match="cannot be read: Permission denied"):
            read(path)


@pytest.mark.parametrize(("size", "fits"), [(4096, True), (4097, False), (1 << 32, False)])
def test_a_file_is_read_within_its_bound(tmp_path: Path, size: int, fits: bool) -> None:
    """A sparse file of 4 GiB takes neither time nor memory."""
    path = tmp_path / "key"
    with path.open("wb") as file:
        file.truncate(size)
    if fits:
        assert read_small(path, 4096, "the key file", "") == bytes(size)
        return
    with pytest.raises(UsageError, match="has more than 4,096 bytes"):
        read_small(path, 4096, "the key file", "")


def test_a_km_toml_beyond_any_size(tmp_path: Path) -> None:
    path = tmp_path / "km.toml"
    with path.open("wb") as file:
        file.truncate(1 << 32)
    with pytest.raises(UsageError, match="too large"):
        read(path)


@pytest.mark.parametrize(
    "line",
    [
        "rate = " + "9" * 5000,
        "max_rejects = " + "9" * 5000,
        "max_rejects = 0x" + "f" * 5000,
        "rate = 0x" + "f" * 5000,
        "concurrency = 0o" + "7" * 9000,
        "batch_size = -" + "9" * 4000,
        "ledger = [[{a = 0x" + "f" * 5000 + "}]]",
        "rate = " + "9" * 400,
    ],
)
def test_a_number_of_thousands_of_digits(km: Command, log: Path, tmp_path: Path, line: str) -> None:
    """Python refuses some of them with errors of its own."""
    (tmp_path / "km.toml").write_text(f"[delivery]\n{line}\n")
    result = within(km, tmp_path, "dry-run", log).ended(2)
    said(result, "km.toml", "too many digits")


@pytest.mark.parametrize("number", ["1e400", "9" * 400 + ".0", "1." + "9" * 5000])
def test_a_number_with_a_point_that_is_too_large_or_long(
    km: Command, log: Path, tmp_path: Path, number: str
) -> None:
    (tmp_path / "km.toml").write_text(f"[delivery]\nrate = {number}\n")
    assert within(km, tmp_path, "dry-run", log).code in (0, 2)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('[sites.main]\nkey_file = "~no-such-user/key"\n', "sites.main.key_file"),
        ('[members]\nfile = "~no-such-user/x"\nuser = "a"\naccount = "b"\n', "members.file"),
        ('[delivery]\nledger = "~no-such-user/x"\n', "delivery.ledger"),
        ('[delivery]\nto = "local:~no-such-user/x"\n', "delivery.to"),
    ],
)
def test_the_home_of_a_user_that_is_not_known(
    importer: Command, log: Path, tmp_path: Path, text: str, place: str
) -> None:
    (tmp_path / "km.toml").write_text(text)
    said(within(importer, tmp_path, "import", log).ended(2), place, "there is no such user")


@pytest.mark.parametrize("flag", ["--config", "--ledger", "--rejects", "--to local:"])
def test_a_flag_that_names_the_home_of_a_user_that_is_not_known(
    importer: Command, log: Path, tmp_path: Path, flag: str
) -> None:
    flag, _, before = flag.partition(" ")
    words = [flag, f"{before}~no-such-user/x"]
    said(within(importer, tmp_path, "import", log, *words).ended(2), flag, "there is no such user")


PERSONAS = '[[personas]]\nname = "user"\n\n[[personas]]\nname = "account"\n'
SOURCE = '[[backfill]]\nname = "a"\nfiles = ["x"]\n'


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("colums = 3\n", 1),
        ("[delivery]\nconcurency = 3\n", 2),
        ('[delivery]\n# a comment\nrate = "x"\n', 3),
        ('delivery.rate = "x"\n', 1),
        (PERSONAS + "evnts = []\n", 6),
        ('[[personas]]\ncolumn = "x"\n', 1),
        (SOURCE + '[backfill.columns]\nusr = "x"\n', 5),
        (SOURCE + "[[backfill.personas]]\nname = 3\n", 5),
        (SOURCE + SOURCE.replace('"x"', '"x", 3'), 6),
        ('[sites]\nmain = { key_evn = "KM" }\n', 2),
        ('[columns]\nrename = { "a" = "" }\n', 2),
    ],
)
def test_a_mistake_in_km_toml_has_its_line(tmp_path: Path, text: str, line: int) -> None:
    path = tmp_path / "km.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as error:
        read(path)
    where = error.value.where
    assert where is not None
    assert (where.line, where.text) == (line, text.split("\n")[line - 1])


@pytest.mark.parametrize(
    "text",
    [
        f'[sites.main]\nkey_env = "{"0123456789abcdef" * 2}"\n',  # `sites.*` may be any site
        "[plans.a]\nevents = -1\nprice = 0\n",
        f'[sites.main]\nkey = "{"0123456789abcdef" * 2}"\n',
    ],
)
def test_a_line_that_is_uncertain_or_secret_is_not_shown(tmp_path: Path, text: str) -> None:
    path = tmp_path / "km.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as error:
        read(path)
    where = error.value.where
    assert where is None or where.text == ""
