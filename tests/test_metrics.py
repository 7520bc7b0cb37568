"""Metrics of unattended runs: Prometheus' own parser reads them, and never half of them."""

from __future__ import annotations

import os
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from km_cli.cli.monitoring.metrics import Measured, check_metrics, write_metrics
from km_cli.errors import UsageError
from tests.support.drawing import examples
from tests.support.permissions import refusable

NIGHT = 1795489200.5
WELL = Measured(
    exit_code=0,
    started=NIGHT,
    seconds=2.25,
    rows={"read": 6, "sent": 3, "skipped": 2, "rejected": 0, "held": 1, "pending": 0},
    calls={"planned": 6, "acknowledged": 6},
    findings={"D1": 2, "no-account": 1},
    files={"read": 2, "unchanged": 5, "held": 0, "failed": 0, "outside": 0, "missing": 0},
    pending=4,
)
LATER = WELL._replace(started=NIGHT + 86400, exit_code=69)


def read(text: str) -> dict[str, float]:
    """Samples by name without the prefix, with the value of the label as `{label}`."""
    return {
        sample.name.removeprefix("km_cli_backfill_")
        + "".join(f"{{{value}}}" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def written(path: Path, measured: Measured) -> dict[str, float]:
    assert write_metrics(path, measured)
    return read(path.read_text())


def test_a_run_is_measured(tmp_path: Path) -> None:
    path = tmp_path / "km.prom"
    assert written(path, WELL) == {
        "last_run_timestamp_seconds": NIGHT + 2.25,
        "last_success_timestamp_seconds": NIGHT + 2.25,
        "duration_seconds": 2.25,
        "exit_code": 0,
        "pending_calls": 4,
        "rows{read}": 6,
        "rows{sent}": 3,
        "rows{skipped}": 2,
        "rows{rejected}": 0,
        "rows{held}": 1,
        "rows{pending}": 0,
        "calls{planned}": 6,
        "calls{acknowledged}": 6,
        "findings{D1}": 2,
        "findings{no-account}": 1,
        "files{read}": 2,
        "files{unchanged}": 5,
        "files{held}": 0,
        "files{failed}": 0,
        "files{outside}": 0,
        "files{missing}": 0,
    }
    text = path.read_text()
    assert 'km_cli_backfill_rows{outcome="sent"} 3.0\n' in text
    assert 'km_cli_backfill_calls{outcome="planned"} 6.0\n' in text
    assert 'km_cli_backfill_findings{code="D1"} 2.0\n' in text
    assert 'km_cli_backfill_files{state="unchanged"} 5.0\n' in text
    kinds = {family.type for family in text_string_to_metric_families(text)}
    assert kinds == {"gauge"}
    assert all(family.documentation for family in text_string_to_metric_families(text))


def test_the_last_success_is_kept_while_runs_fail(tmp_path: Path) -> None:
    path = tmp_path / "km.prom"
    written(path, WELL)
    for _ in range(2):
        failed = written(path, LATER)
        assert failed["last_success_timestamp_seconds"] == WELL.ended
        assert failed["last_run_timestamp_seconds"] == LATER.ended
        assert failed["exit_code"] == 69
    assert written(path, LATER._replace(exit_code=0))["last_success_timestamp_seconds"] == LATER.ended


def test_without_a_success_there_is_none(tmp_path: Path) -> None:
    assert "last_success_timestamp_seconds" not in written(tmp_path / "km.prom", LATER)


_LAST = "km_cli_backfill_last_success_timestamp_seconds"
_LINES = st.lists(st.text() | st.text().map(_LAST.__add__)).map("\n".join)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=examples(60),
    deadline=None,
)
@given(_LINES.map(lambda text: text.encode()) | st.binary() | st.binary().map(_LAST.encode().__add__))
@example(f"{_LAST} NaN".encode())
@example(f"{_LAST}{{".encode())
@example(f'{_LAST}{{a="'.encode())
@example(f'{_LAST}{{a="b"}}'.encode())
@example(f"{_LAST} ".encode())
@example(f"{_LAST} 1 x".encode())
@example(f"{_LAST} 1 2 3".encode())
@example(_LAST.encode())
def test_whatever_stood_there_before_is_replaced(tmp_path: Path, before: bytes) -> None:
    path = tmp_path / "km.prom"
    path.write_bytes(before)
    assert written(path, LATER)["exit_code"] == 69


def test_the_last_success_is_found_among_what_is_no_metric(tmp_path: Path) -> None:
    path = tmp_path / "km.prom"
    path.write_bytes(b"\xff{{{ torn\n" + f"{_LAST} 12.5\n".encode() + b"more } torn")
    assert written(path, LATER)["last_success_timestamp_seconds"] == 12.5


@pytest.fixture
def _cron() -> Iterator[None]:
    """A umask that lets no other user read."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_cron")
def test_node_exporter_may_read_it_at_every_moment(tmp_path: Path) -> None:
    """A reader in a loop always finds a complete file, readable by all, while it is rewritten."""
    path = tmp_path / "km.prom"
    written(path, WELL)
    whole = path.read_bytes()
    odd: list[tuple[int, int]] = []
    looks = 0
    done = threading.Event()

    def look() -> None:
        nonlocal looks
        while not done.is_set():
            with path.open("rb") as file:
                mode, size = stat.S_IMODE(os.fstat(file.fileno()).st_mode), len(file.read())
            looks += 1
            if (mode, size) != (0o644, len(whole)):
                odd.append((mode, size))

    reader = threading.Thread(target=look)
    reader.start()
    writes = 0
    while writes < 100 or (looks < 100 and reader.is_alive()):
        assert write_metrics(path, WELL)
        writes += 1
    done.set()
    reader.join()
    assert looks >= 100
    assert odd == []
    assert [file.name for file in tmp_path.iterdir()] == ["km.prom"]


def test_a_failed_write_is_complained_about_and_keeps_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "km.prom"
    written(path, WELL)
    before = path.read_bytes()

    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert not write_metrics(path, LATER)
    complaint, hint = capsys.readouterr().err.splitlines()
    assert complaint == f"km-cli: --metrics {path}: No space left on device"
    assert hint.startswith("  next: this does not affect what was sent")
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["km.prom"]


def test_a_vanished_folder_is_complained_about(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not write_metrics(tmp_path / "gone" / "km.prom", WELL)
    assert "No such file or directory" in capsys.readouterr().err


def test_what_can_be_written_is_let_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_metrics(tmp_path / "km.prom")
    check_metrics(Path("km.prom"))
    Path("km.prom").touch()
    check_metrics(Path("km.prom"))
    assert [file.name for file in tmp_path.iterdir()] == ["km.prom"]


@pytest.mark.parametrize("name", ["km.txt", "km", "km.prom.1", "km.PROM", "", ".", "..", "km."])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"does not end in \.prom") as caught:
        check_metrics(Path(name))
    assert caught.value.hint.endswith(".prom")


def test_an_absent_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder") as caught:
        check_metrics(tmp_path / "gone" / "km.prom")
    assert caught.value.hint == "create it, or use another file"


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "km.prom")
    with pytest.raises(UsageError, match="not a regular file"):
        check_metrics(tmp_path / "km.prom")


def test_a_folder_that_may_not_be_written_is_refused() -> None:
    with refusable() as folder:
        folder.chmod(0o500)
        with pytest.raises(UsageError, match="may not write"):
            check_metrics(folder / "km.prom")


def test_without_the_library_the_hint_is_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(UsageError, match="prometheus-client") as caught:
        check_metrics(tmp_path / "km.prom")
    assert caught.value.hint == f"{sys.executable} -m pip install prometheus-client"
