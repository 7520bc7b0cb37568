"""Any bytes: no traceback, every row is counted once, and memory stays flat."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from km_cli.errors import InputError
from km_cli.inputs import Source, open_reader
from km_cli.model import Gap
from tests.support.command import Command
from tests.support.drawing import examples
from tests.support.running import run

cells = st.one_of(
    st.sampled_from(
        [b"ada", b"Acme", b"In", b"1704067200", b"2024-01-01T00:00:00Z", b"guest", b'"', b'"a\nb"', b""]
    ),
    st.binary(max_size=6),
)
csv_lines = st.lists(cells, min_size=3, max_size=6).map(b",".join)
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=2),
)
json_lines = st.one_of(
    st.binary(max_size=12),
    st.dictionaries(st.sampled_from(["user", "account", "event", "timestamp", "plan", "_k"]), values).map(
        lambda made: repr(made).replace("'", '"').encode(errors="surrogatepass")
    ),
    st.just(b'{"user": "ada", "event": "In", "timestamp": 1704067200, "plan": "\\ud800"}'),
    st.just(b'{"user": "ada", "event": "In", "timestamp": 1704067200}'),
)
ends = st.sampled_from([b"\n", b"\r\n", b"\r"])


def joined(lines: list[bytes], ends: list[bytes]) -> bytes:
    return b"".join(line + end for line, end in zip(lines, ends, strict=False))


@settings(max_examples=examples(150), deadline=None)
@given(
    lines=st.one_of(
        st.lists(csv_lines, max_size=8).map(lambda lines: [b"user,account,event,timestamp", *lines]),
        st.lists(json_lines, max_size=8).map(
            lambda lines: [b'{"user":"u","event":"In","timestamp":1}', *lines]
        ),
    ),
    breaks=st.lists(ends, min_size=10, max_size=10),
    size=st.integers(1, 5),
)
def test_every_row_is_counted_once_or_the_input_is_refused(
    lines: list[bytes], breaks: list[bytes], size: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        log.write_bytes(joined(lines, breaks))
        try:
            rows = rows_of(log)
            sent, tally = run([log], Path(folder, "ledger.db"), batch_size=size)
        except InputError as refused:
            told = refused.hint
        else:
            told = "every row"
            planned = len({(one.row.line, one.row.raw) for one in sent})
            assert tally.rows.skipped + tally.rows.rejected + planned >= rows >= tally.rows.rejected
            _, again = run([log], Path(folder, "ledger.db"), batch_size=size)
            assert again.rows.read == rows
    assert told


def rows_of(log: Path) -> int:
    """Return how many records there are, good or bad. Raises InputError."""
    opened = open_reader(Source(str(log)))
    try:
        return sum(not isinstance(item, Gap) for item in opened.reader().items())
    finally:
        opened.close()


_STREAM = """
import sys
row = b",".join([b"%d@example.com", b"Acme %d", b"Clicked", b"%d", b"x" * 4000]) + b"\\n"
sys.stdout.buffer.write(b"user,account,event,timestamp,note\\n")
for number in range(int(sys.argv[1]) // len(row)):
    sys.stdout.buffer.write(row % (number % 5000, number % 300, 1_600_000_000 + number))
"""


@pytest.mark.slow
def test_a_gigabyte_through_standard_input_in_flat_memory(km: Command) -> None:
    words = [sys.executable, "-c", _STREAM, str(1 << 30)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as stream:
        process = km.start("dry-run", "-", "--json", stdin=stream.stdout)
        peak = 0
        while process.poll() is None:
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = max(peak, int(status.partition("VmHWM:")[2].split()[0]) if "VmHWM:" in status else 0)
            try:
                process.wait(0.2)
            except subprocess.TimeoutExpired:
                continue
        out, err = process.communicate()
    assert process.returncode == 0, err
    assert '"read": 26' in out
    assert 0 < peak < 200_000, f"{peak} KiB"
