"""What the fuzzer feeds to km-cli: a target takes any bytes, and fails if a promise about them is broken.

Whatever the bytes, a command ends with an exit code that is documented, shows no traceback, tells no key,
and counts each row once.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from tests.proof.seeds import changed_ledger
from tests.support.command import KEY, Command, Result

ROW = b"user,account,event,timestamp,plan\nada,Acme,In,1704067200,pro\n"
Target = Callable[[bytes, Path], None]


def _dry_run(name: str, data: bytes, folder: Path) -> None:
    """A log of this name."""
    (folder / name).write_bytes(data)
    km = Command(folder)
    result = _ended(km("dry-run", folder / name, "--json"), 0, 2, 65, 74)
    if result.out:
        rows = json.loads(result.out)["rows"]
        parts = ("sent", "skipped", "rejected", "held", "pending")
        assert rows["read"] == sum(rows[part] for part in parts), rows
    _ended(km("dry-run", folder / name, "--show", "2", "--flatten"), 0, 2, 65, 74)


def _init(data: bytes, folder: Path) -> None:
    """A log that `init` looks at, and the km.toml that it writes."""
    (folder / "log").write_bytes(data)
    km, made = Command(folder), folder / "km.toml"
    _ended(km("init", folder / "log", "--output", made), 0, 2, 74)
    if made.exists():
        _ended(km("config", "show", "--config", made), 0)
        _ended(km("dry-run", folder / "log", "--config", made), 0, 2, 65, 74)


def _km_toml(data: bytes, folder: Path) -> None:
    """A km.toml. Only commands that write nothing: it may name any file."""
    (folder / "km.toml").write_bytes(data)
    (folder / "log.csv").write_bytes(ROW)
    km = Command(folder)
    _ended(km("config", "show", "--config", folder / "km.toml"), 0, 2, 74)
    _ended(km("dry-run", folder / "log.csv", "--config", folder / "km.toml"), 0, 2, 65, 73, 74)


def _ledger(data: bytes, folder: Path) -> None:
    """A ledger with these changes (`changed_ledger`). Commands that only look leave it as it is."""
    ledger, log = folder / "ledger.db", folder / "log.csv"
    before = changed_ledger(data)
    ledger.write_bytes(before)
    ledger.chmod(0o600)
    log.write_bytes(ROW)
    km = Command(folder)
    _ended(km("status", "--ledger", ledger, "--json"), 0, 2, 73)
    _ended(km("ledger", "check", "--ledger", ledger), 0, 2, 73)
    _ended(km("ledger", "export", "--ledger", ledger), 0, 2, 73)
    _ended(km("dry-run", log, "--ledger", ledger, "--json"), 0, 2, 65, 73)
    assert ledger.read_bytes() == before
    _ended(km("import", log, "--ledger", ledger, "--to", f"local:{folder}/local.db"), 0, 2, 65, 73, 75)


def _plan(data: bytes, folder: Path) -> None:
    """An import plan. Nothing is sent that is not planned."""
    (folder / "plan").write_bytes(data)
    (folder / "log.csv").write_bytes(ROW)
    store = folder / "local.db"
    result = Command(folder)(
        "import", folder / "log.csv", "--plan", folder / "plan", "--to", f"local:{store}"
    )
    _ended(result, 2, 73)


def _rejects(name: str, data: bytes, folder: Path) -> None:
    """Rejects that were corrected by a person or a program: they are told apart from a log."""
    (folder / name).write_bytes(data)
    _ended(Command(folder)("dry-run", folder / name, "--json"), 0, 2, 65, 74)


def _answer(transport: str, data: bytes, folder: Path) -> None:
    """A server's answer. `KEY` in it is the key, as a server may send it back."""
    answer = data.replace(b"KEY", KEY.encode())
    (folder / "log.csv").write_bytes(ROW.replace(b"Acme", b""))
    with _Answering(answer) as url:
        km = Command(folder, url, {"KM_CLI_TRANSPORT": transport})
        result = _ended(
            km("import", folder / "log.csv", "--attempts", "1", "--timeout", "5", "--json"), 0, 65, 69, 75
        )
    assert KEY.encode() not in b"".join(path.read_bytes() for path in km.state.rglob("*") if path.is_file())
    if result.out and json.loads(result.out)["calls"]["acknowledged"]:
        assert b" 200" in answer
        assert any(magic in answer for magic in (b"GIF8", b"\x89PNG")) or b"encoding" in answer.lower()


class _Answering:
    """A server that gives one answer to each connection, whatever it is asked, and ends it."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            with peer:
                try:
                    peer.recv(65_536)
                    peer.sendall(self._answer)
                    peer.shutdown(socket.SHUT_WR)
                    peer.settimeout(5)
                    peer.recv(1)
                except OSError:
                    continue


def _ended(result: Result, *codes: int) -> Result:
    assert result.code in codes, f"exit {result.code}\n{result.out}\n{result.err}"
    assert "Traceback" not in result.err
    assert KEY not in result.out + result.err, "the key was told"
    return result


TARGETS: dict[str, Target] = {
    "csv": partial(_dry_run, "log.csv"),
    "jsonl": partial(_dry_run, "log.jsonl"),
    "any": partial(_dry_run, "log"),
    "gz": partial(_dry_run, "log.csv.gz"),
    "bz2": partial(_dry_run, "log.csv.bz2"),
    "xz": partial(_dry_run, "log.csv.xz"),
    "zst": partial(_dry_run, "log.csv.zst"),
    "init": _init,
    "kmtoml": _km_toml,
    "ledger": _ledger,
    "plan": _plan,
    "rejects": partial(_rejects, "rejects.jsonl"),
    "table": partial(_rejects, "rejects.csv"),
    "answer": partial(_answer, "requests"),
}
if find_spec("pycurl") is not None:
    TARGETS["curl"] = partial(_answer, "curl")
"""By name. The corpus of a target is the folder of its name, or of `BORROWED`, in `corpus`."""

BORROWED = {"curl": "answer"}
