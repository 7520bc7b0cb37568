"""`backfill --print`: the printed job runs in the bare environment of cron or systemd."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from km_cli.cli.schedule import systemd
from km_cli.cli.schedule.install import Job, _program
from tests.support.command import KEY, Command, Result
from tests.support.installing import PROXIED, printed
from tests.support.patience import PATIENCE
from tests.support.tracker import Tracker

AWKWARD = "a b %H 100% \"c\" 'd' $HOME `e` \\%f \\\\ ü; &#"
ROW = '{"user": "ada", "account": "7", "event": "Signed Up", "timestamp": "2024-03-01T09:00:00Z"}\n'
SOURCE = '[[backfill]]\nname = "logs"\nfiles = ["app.log*"]\n'


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """A folder with an awkward name that has a km.toml and a log."""
    folder = tmp_path / AWKWARD
    folder.mkdir()
    (folder / "km.toml").write_text(SOURCE, encoding="utf-8")
    (folder / "app.log").write_text(ROW, encoding="utf-8")
    return folder


@pytest.fixture
def km(tmp_path: Path) -> Command:
    """The command, in an environment without proxies and keys."""
    return Command(tmp_path, environment={**PROXIED, "KM_API_KEY": ""})


def command_of(crontab: str) -> str:
    """Return the command that cron gives to the shell: from the only line that is no comment or variable."""
    (line,) = [one for one in crontab.splitlines() if one[:1].isdigit()]
    *times, command = line.split(" ", 5)
    assert times == ["0", "3", "*", "*", "*"]
    # Vixie's cron takes \\ as well, others do not: it must not matter.
    assert "\\\\" not in command
    assert not re.search(r"(?<!\\)%", command)
    return command.replace("\\%", "%")


def by_cron(command: str, home: Path) -> Result:
    """Run it as cron does: in the home folder, with almost no environment."""
    bare = {"HOME": str(home), "LOGNAME": "me", "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        ["/bin/sh", "-c", command], env=bare, cwd=home, capture_output=True, text=True, timeout=PATIENCE
    )
    return Result(done.returncode, done.stdout, done.stderr)


def words_of(crontab: str, home: Path) -> list[str]:
    """Return the words that the program would get, as the shell makes them, the environment before them."""
    head, program, rest = command_of(crontab).partition(" backfill ")
    assert program, crontab
    assignments = head.rpartition("set +a && ")[2].rpartition(" ")[0]
    shown = by_cron(f"{assignments} /usr/bin/printf '%s\\n' {rest}", home).ended(0)
    return shown.out.splitlines()


def secrets(km: Command, text: str, mode: int = 0o600) -> Path:
    """Write the file that the printed line reads."""
    (path,) = {Path(word) for word in re.findall(r"\S+\.env", text)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"KM_API_KEY='{km.environment.get('KM_API_KEY') or KEY}'\n", encoding="utf-8")
    path.chmod(mode)
    return path


# The command


def test_a_line_runs_as_it_is_printed(km: Command, there: Path) -> None:
    result = printed(km, there, "--to", "local:kept.db")
    assert not result.ended(0).err
    ran = by_cron(command_of(result.out), km.home).ended(0)
    assert (ran.out, ran.err) == ("", "")
    assert "set -a" not in result.out, "a local store needs no key"


def test_paths_are_absolute_and_words_arrive_as_they_are(km: Command, there: Path) -> None:
    given = ["logs", "--only", AWKWARD, "--only", "-x", "--rejects", "r.jsonl", "--log", "../l.log", "-v"]
    words = words_of(printed(km, there, *given, "--ledger", "my.db").ended(0).out, km.home)
    assert words == [
        "logs",
        f"--config={there}/km.toml",
        f"--ledger={there}/my.db",
        f"--only={AWKWARD}",
        "--only=-x",
        "--transport=requests",  # of the variable that each command of the tests has
        f"--rejects={there}/r.jsonl",
        f"--log={there}/../l.log",
        "--verbose",
    ]


def test_the_ledger_of_now_is_the_ledger_of_then(km: Command, there: Path) -> None:
    """cron has no XDG_STATE_HOME: with another ledger everything would be sent again."""
    assert f"--ledger={km.state}/ledger.db" in words_of(printed(km, there).ended(0).out, km.home)
    stored = words_of(printed(km, there, "--to", "local").ended(0).out, km.home)
    assert stored[:2] == [f"--config={there}/km.toml", f"--to=local:{km.state}/local.db"]


def test_the_environment_of_now_is_carried_over(km: Command, there: Path) -> None:
    km.environment |= {"KM_CLI_RATE": "5", "HTTPS_PROXY": "http://proxy:3128/%20", "no_proxy": "a b"}
    km.environment["SSL_CERT_FILE"] = "ca.pem"
    out = printed(km, there, "--to", "local").ended(0).out
    assert "--rate=5" in words_of(out, km.home)
    head = command_of(out).partition(" backfill ")[0]
    shown = by_cron(f"{head.rpartition(' ')[0]} /usr/bin/env", km.home).out.splitlines()
    assert {"HTTPS_PROXY=http://proxy:3128/%20", "no_proxy=a b", f"SSL_CERT_FILE={there}/ca.pem"} <= {*shown}


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        (SOURCE, ["nosuch"], "no [[backfill]] called 'nosuch'"),
        (SOURCE, ["--only", "a\nb"], "cannot be printed"),
        (SOURCE, ["--only", "a\u200bb"], "cannot be printed"),
        (SOURCE, ["--only", "x" * 999], "cron takes at most 998"),
        (SOURCE, ["--rate", "inf"], "not a number"),
        (SOURCE + '[sites.main]\nkey_file = "nosuch.key"\n', [], "cannot be read"),
        (SOURCE, ["--ping", "ftp://x"], "--ping"),
        (SOURCE, ["--metrics", "x.txt"], "does not end in .prom"),
        ("", [], "no [[backfill]]"),
        (None, [], "there is no km.toml"),
    ],
)
def test_what_cannot_work_is_not_printed(
    km: Command, tmp_path: Path, text: str | None, words: list[str], said: str
) -> None:
    folder = tmp_path / "there"
    folder.mkdir()
    if text is not None:
        (folder / "km.toml").write_text(text, encoding="utf-8")
    result = printed(km, folder, *words).ended(2)
    assert result.out == ""
    assert said in result.err
    assert "next:" in result.err


def test_without_a_script_the_interpreter_runs_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python3"))
    assert _program() == (str(tmp_path / "python3"), "-m", "km_cli")
    (tmp_path / "km-cli").touch(0o700)
    assert _program() == (str(tmp_path / "km-cli"),)


# What is secret


def test_the_key_comes_from_a_file_alone(km: Command, there: Path, tracker: Tracker) -> None:
    km.environment["KM_API_KEY"] = KEY
    first = printed(km, there, "--to", tracker.url).ended(0)
    assert "does not exist yet" in first.err
    missing = by_cron(command_of(first.out), km.home)
    assert missing.code != 0
    assert ".env" in missing.err
    (made,) = re.findall(r"^#   (\(umask .*\))$", first.out, re.MULTILINE)
    subprocess.run(["/bin/sh", "-c", made], env={**os.environ, "KM_API_KEY": KEY}, check=True)
    again = printed(km, there, "--to", tracker.url).ended(0)
    assert (again.out, again.err) == (first.out, "")
    ran = by_cron(command_of(again.out), km.home).ended(0)
    assert (ran.out, ran.err) == ("", "")
    assert {hit.params["_k"] for hit in tracker.hits} == {KEY}


def test_a_file_that_lacks_something_is_complained_of(km: Command, there: Path) -> None:
    file = secrets(km, printed(km, there).out, mode=0o644)
    assert "other users can read" in printed(km, there).ended(0).err
    file.chmod(0o600)
    assert printed(km, there).ended(0).err == ""
    km.environment["KM_API_KEY"] = "another"
    assert "another KM_API_KEY than this shell" in printed(km, there).ended(0).err
    file.write_text("# KM_API_KEY=1\nOTHER=2\n", encoding="utf-8")
    assert "does not set KM_API_KEY" in printed(km, there).ended(0).err


def test_a_key_file_needs_no_other(km: Command, there: Path) -> None:
    (there / "km.toml").write_text(f'{SOURCE}[sites.main]\nkey_file = "main.key"\n', encoding="utf-8")
    (there / "main.key").write_text(KEY, encoding="utf-8")
    result = printed(km, there).ended(0)
    assert (result.err, ".env" in result.out) == ("", False)


def test_a_proxys_password_is_a_secret_too(km: Command, there: Path) -> None:
    km.environment["HTTPS_PROXY"] = "http://me:hidden@proxy:3128"
    for form in ("crontab", "systemd"):
        result = printed(km, there, form=form).ended(0)
        assert "hidden" not in result.out + result.err
        assert 'HTTPS_PROXY "${HTTPS_PROXY:?}"' in result.out


def test_a_ping_of_the_environment_is_a_secret_too(km: Command, there: Path) -> None:
    """Whoever has the URL can report success."""
    km.environment["KM_CLI_PING"] = "https://monitor.example/hidden"
    result = printed(km, there, "--to", "local").ended(0)
    assert "hidden" not in result.out + result.err
    assert 'KM_CLI_PING "${KM_CLI_PING:?}"' in result.out
    km.environment["KM_CLI_PING"] = ""
    words = words_of(printed(km, there, "--to", "local", "--ping", "https://m.example/1%2").out, km.home)
    assert "--ping=https://m.example/1%2" in words


def test_another_km_toml_has_other_secrets(km: Command, there: Path, tmp_path: Path) -> None:
    """Keys of two projects may have one name; neither may overwrite the other's."""
    (tmp_path / "km.toml").write_text(SOURCE, encoding="utf-8")
    files = [re.findall(r"\S+\.env", printed(km, folder).out)[0] for folder in (there, tmp_path)]
    assert files[0] != files[1]


# systemd


def unquoted(line: str) -> list[str]:
    """Take a command apart as systemd does: systemd.service(5), command lines."""
    words = []
    for quoted, plain in re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', line):
        word = re.sub(r"\\(.)", r"\1", quoted) if quoted else plain
        assert not re.search(r"(?<!%)(%%)*%(?!%)", word), "a specifier"
        words.append(word.replace("%%", "%"))
    assert not any(re.search(r"(?<!\$)(\$\$)*\$(?!\$)", word) for word in words[1:]), "a variable"
    return [words[0], *(word.replace("$$", "$") for word in words[1:])]


def written(script: str, folder: Path) -> dict[str, str]:
    """Run the script with a systemctl that only notes its arguments. Return the files it wrote, by name."""
    tools, units = folder / "tools", folder / "units"
    tools.mkdir()
    stand_in = tools / "systemctl"
    stand_in.write_text(f'#!/bin/sh\necho "$@" >> {shlex.quote(str(folder / "told"))}\n', encoding="utf-8")
    stand_in.chmod(0o700)
    script = re.sub("^folder=.*$", f"folder={shlex.quote(str(units))}", script, flags=re.MULTILINE)
    subprocess.run(
        ["/bin/sh"],
        input=script,
        text=True,
        check=True,
        env={"PATH": f"{tools}:/usr/bin:/bin"},
        timeout=PATIENCE,
    )
    return {path.name: path.read_text(encoding="utf-8") for path in units.iterdir()}


def test_systemd_runs_the_same_command(km: Command, there: Path, tmp_path: Path) -> None:
    given = ["logs", "--only", AWKWARD, "--log", "l.log"]
    by_line = words_of(printed(km, there, *given).ended(0).out, km.home)
    units = written(printed(km, there, *given, form="systemd").ended(0).out, tmp_path)
    (name,) = [name for name in units if name.startswith("km-cli-backfill-") and name.endswith(".service")]
    (command,) = re.findall("^ExecStart=(.*)$", units[name], re.MULTILINE)
    program, backfill, *words = unquoted(command)
    assert (Path(program).is_absolute(), backfill, words) == (True, "backfill", by_line)
    assert re.search(r"^EnvironmentFile=/.*\.env$", units[name], re.MULTILINE)
    timer = name.replace(".service", ".timer")
    told = (tmp_path / "told").read_text(encoding="utf-8").replace("--user ", "").splitlines()
    assert told == ["daemon-reload", f"enable --now {timer}"]
    assert "OnCalendar=*-*-* 03:00:00" in units[timer]


@pytest.mark.parametrize("user", [0, 1000])
def test_root_has_the_units_of_the_system_others_their_own(
    user: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    job = Job("km-cli-backfill-x", ("/bin/km-cli", "backfill"), {}, (), None)
    script = "\n".join(systemd.unit_script_lines(job))
    subprocess.run(["/bin/sh", "-n"], input=script, text=True, check=True, timeout=PATIENCE)
    assert ("systemctl --user enable" in script) is (user != 0)
    assert ("/etc/systemd/system" in script) is (user == 0)
    assert ("enable-linger" in script) is (user != 0)
    units = written(script, tmp_path)
    assert ("network-online.target" in units["km-cli-backfill-x.service"]) is (user == 0)
    assert "EnvironmentFile" not in units["km-cli-backfill-x.service"]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not here")
def test_systemd_understands_the_units(km: Command, there: Path, tmp_path: Path) -> None:
    km.environment["HTTPS_PROXY"] = 'http://proxy/%20$"\\'
    script = printed(km, there, "--only", AWKWARD, form="systemd").ended(0).out
    units = written(script, tmp_path)
    done = subprocess.run(
        ["systemd-analyze", "verify", *(str(tmp_path / "units" / name) for name in units)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    ours = [line for line in done.stderr.splitlines() if "km-cli" in line]
    assert (done.returncode, ours) == (0, [])
