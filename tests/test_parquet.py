"""Parquet files: each row arrives as the same row of JSON lines does, and is known again as that."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from km_cli.inputs.parquet import read_parquet
from km_cli.inputs.unpacking import Damaged
from tests.support.bench import Bench, fresh
from tests.support.command import Command
from tests.support.drawing import examples
from tests.support.tracker import Tracker

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError:
    pytest.skip("needs pyarrow", allow_module_level=True)

AT = datetime(2024, 1, 1, 12, 0, 5, 250_000, tzinfo=UTC)


def rows(number: int) -> list[dict[str, Any]]:
    return [
        {
            "user": f"u{n % 3}",
            "account": f"a{n % 2}",
            "event": "Paid",
            "timestamp": AT + timedelta(seconds=n),
            "traits": {"plan": "pro", "seats": n},
        }
        for n in range(number)
    ]


def write(path: Path, values: list[dict[str, Any]], **more: Any) -> Path:
    pq.write_table(pa.Table.from_pylist(values), path, **more)
    return path


def as_json_lines(path: Path) -> Path:
    """The same rows, written by Python's own libraries."""
    other = path.with_suffix(".jsonl")
    found = [
        {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
        for row in pq.read_table(path).to_pylist()
    ]
    other.write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")
    return other


def lines_of(path: Path) -> list[Any]:
    """The rows as km-cli reads them."""
    data = b""
    with closing(read_parquet(str(path), path.open("rb"))) as content:
        while piece := content.read1(1000):
            data += piece
    return [json.loads(line) for line in data.splitlines()]


def calls(bench: Bench) -> list[tuple[str, str]]:
    """What arrived, without the times of arrival."""
    return sorted((hit.path, json.dumps(sorted(hit.params.items()))) for hit in bench.tracker.hits)


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (pa.int64(), 2**62, 2**62),
        (pa.uint8(), 7, 7),
        (pa.float64(), 1.5, 1.5),
        (pa.float64(), float("nan"), None),
        (pa.float64(), float("inf"), "inf"),
        (pa.bool_(), True, True),
        (pa.string(), "Zoë", "Zoë"),
        (pa.large_string(), "Zoë", "Zoë"),
        (pa.binary(), b"ada", "ada"),
        (pa.binary(), b"\xff\x00", "/wA="),
        (pa.decimal128(12, 2), Decimal("1234567890.50"), "1234567890.50"),
        (pa.date32(), date(2024, 2, 29), "2024-02-29"),
        (pa.date64(), date(2024, 2, 29), "2024-02-29"),
        (pa.time64("us"), time(1, 2, 3, 4), "01:02:03.000004"),
        (pa.timestamp("s", "UTC"), 0, "1970-01-01T00:00:00Z"),
        (pa.timestamp("ms"), -1, "1969-12-31T23:59:59.999"),
        (pa.timestamp("us", "Europe/Berlin"), 1_704_110_405_250_000, "2024-01-01T12:00:05.25Z"),
        (pa.timestamp("ns", "UTC"), 1_704_110_405_000_000_001, "2024-01-01T12:00:05.000000001Z"),
        (pa.list_(pa.timestamp("ns", "UTC")), [1], ["1970-01-01T00:00:00.000000001Z"]),
        (pa.struct([("at", pa.timestamp("ms"))]), {"at": 0}, {"at": "1970-01-01T00:00:00"}),
        (pa.struct([("n", pa.int8())]), {"n": None}, {"n": None}),
        (pa.map_(pa.string(), pa.int32()), [("a", 1), ("b", None)], {"a": 1, "b": None}),
        (pa.dictionary(pa.int32(), pa.string()), "pro", "pro"),
        (pa.list_(pa.struct([("a", pa.int8())])), [{"a": 1}, None], [{"a": 1}, None]),
        (pa.null(), None, None),
        (pa.string(), None, None),
    ],
)  # fmt: skip
def test_each_type_has_one_text(tmp_path: Path, kind: Any, value: Any, text: Any) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"x": pa.array([value], kind)}), path)
    assert lines_of(path) == [{"x": text}]


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd", "gzip"])
def test_the_calls_are_those_of_json_lines(bench: Bench, compression: str) -> None:
    """And the ledger knows the rows in either form."""
    path = write(bench.folder / "log.parquet", rows(40), compression=compression, row_group_size=7)
    bench.send(path, "--flatten", code=0)
    sent = calls(bench)
    assert len(sent) == 80
    again = as_json_lines(path)
    assert bench.send(again, "--flatten", code=0).summary["calls"]["planned"] == 0
    bench.tracker.forget()
    bench.ledger = bench.folder / "other.db"
    bench.send(again, "--flatten", code=0)
    assert calls(bench) == sent


def test_it_goes_on_where_it_stopped_and_when_the_file_has_grown(bench: Bench) -> None:
    path = write(bench.folder / "log.parquet", rows(10))
    bench.send(path, "--flatten", "--limit", "4", code=0)
    bench.send(path, "--flatten", code=0)
    assert len(bench.tracker.hits) == 20
    write(path, rows(15))
    assert bench.send(path, "--flatten", code=0).summary["rows"]["sent"] == 5
    assert len(set(calls(bench))) == 30 == len(bench.tracker.hits)


def test_a_reject_is_the_row_as_json_and_is_sent_when_it_is_corrected(bench: Bench) -> None:
    values = [*rows(2), {**rows(1)[0], "user": "anonymous", "account": "a9"}]
    path = write(bench.folder / "log.parquet", values)
    bench.send(path, "--flatten", code=65)
    file = bench.rejects[-1]
    line = json.loads(file.read_text())
    assert json.loads(line["raw"])["traits"] == {"plan": "pro", "seats": 0}
    line["raw"] = line["raw"].replace("anonymous", "ada")
    file.write_text(json.dumps(line) + "\n")
    bench.send(file, "--flatten", code=0)
    assert {"ada", "a9"} <= {hit.params["_p"] for hit in bench.tracker.hits}


def test_a_folder_and_a_pattern_find_it(bench: Bench) -> None:
    folder = bench.folder / "logs" / "day=1"
    folder.mkdir(parents=True)
    write(folder / "part-0.parquet", rows(3))
    toml = bench.write(
        "km.toml", '[[backfill]]\nname = "lake"\nfiles = ["logs/**/*.parquet"]\n[columns]\nflatten = true\n'
    )
    result = bench.run("backfill", "--config", toml)
    assert result.code == 0
    assert len(bench.tracker.hits) == 6
    assert bench.run("backfill", "--config", toml).summary["calls"]["planned"] == 0


def test_a_pipe_is_read_as_well(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """The description of the columns is at the end, so the pipe is written to a temporary file first."""
    path = write(tmp_path / "log.parquet", rows(3))
    with subprocess.Popen(["cat", path], stdout=subprocess.PIPE) as cat:
        process = importer.start("import", "-", "--flatten", stdin=cat.stdout)
        out, err = process.communicate(timeout=300)
    assert process.returncode == 0, out + err
    assert len(tracker.hits) == 6


def test_a_damaged_file_sends_nothing(bench: Bench) -> None:
    path = write(bench.folder / "log.parquet", rows(500))
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    result = bench.run("import", path, "--flatten")
    assert result.code == 74
    assert "the Parquet data cannot be read" in result.err
    path.write_bytes(whole[:60] + bytes(400) + whole[460:])
    assert bench.run("import", path, "--flatten").code != 0
    assert not bench.tracker.hits


def test_kinds_that_cannot_be_read_say_what_to_do(bench: Bench) -> None:
    path = write(bench.folder / "log.parquet", rows(3))
    packed = bench.folder / "log.parquet.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    result = bench.run("import", packed)
    assert (result.code, "is a packed Parquet file" in result.err) == (2, True)
    path.write_bytes(b"PARE" + path.read_bytes()[4:])
    result = bench.run("import", path)
    assert (result.code, "is an encrypted Parquet file" in result.err) == (2, True)


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]), path)
    with pytest.raises(Damaged, match="two of its columns are called 'a'"):
        lines_of(path)


def test_an_encoding_is_that_of_text_files(bench: Bench) -> None:
    path = write(bench.folder / "log.parquet", [{**rows(1)[0], "account": "Zoë"}])
    bench.send(path, "--flatten", "--encoding", "cp1252", code=0)
    assert {hit.params["_p"] for hit in bench.tracker.hits} == {"u0", "Zoë"}


def test_a_text_that_begins_alike_is_text(bench: Bench) -> None:
    log = bench.write("PAR1.csv", "PAR1,user,event,timestamp\nx,ada,Paid,2024-01-01T00:00:00Z\n")
    bench.send(log, code=0)
    assert len(bench.tracker.hits) == 1


def test_without_the_library_it_says_what_to_install(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(bench.folder / "it's.parquet", rows(3))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = bench.run("import", path)
    assert result.code == 2
    assert "is a Parquet file, which takes a library that is not installed" in result.err
    assert "pip install pyarrow" in result.err


@settings(
    max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    notes=st.lists(
        st.fixed_dictionaries({"t": st.text(max_size=8), "n": st.integers(-9, 9)}), min_size=1, max_size=9
    ),
    cut=st.integers(1, 9),
)
def test_any_rows_in_any_pieces(shared_tracker: Tracker, notes: list[dict[str, Any]], cut: int) -> None:
    with fresh(shared_tracker) as bench:
        values = [
            {**row, **note, "at": n}
            for n, (row, note) in enumerate(zip(rows(len(notes)), notes, strict=True))
        ]
        path = write(bench.folder / "log.parquet", values, row_group_size=2)
        bench.run("import", path, "--flatten", "--limit", cut)
        bench.run("import", path, "--flatten")
        sent = calls(bench)
        assert len(sent) == len(set(sent))
        shared_tracker.forget()
        bench.ledger = bench.folder / "other.db"
        bench.run("import", as_json_lines(path), "--flatten")
        assert calls(bench) == sent


def test_init_proposes_files_of_its_kind(bench: Bench, km: Command) -> None:
    path = write(bench.folder / "log.parquet", rows(3))
    assert '# files = ["logs/*.parquet"]' in km("init", path, "--output", "-").ended(0).out


def test_the_format_parquet_is_the_content(bench: Bench, km: Command) -> None:
    log = bench.write("log.csv", "user,event,timestamp\nu,In,@1\n")
    for command in ("dry-run", "init"):
        err = km(command, log, "--format", "parquet").ended(2).err
        assert "Parquet: such files are recognised by their content" in err
        assert "next: leave --format out" in err
