"""What must hold for all logs: each call once, nothing merged, and nothing depends on how it is batched."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from km_cli.kissmetrics import fold_name
from km_cli.model import Overlap
from tests.support.oracle import expected, judged
from tests.support.running import run, wire

COLUMNS = {"user": "user", "account": "account", "event": "event", "timestamp": "timestamp"}

Rows = list[tuple[str, str, str, str, str, str]]

rows = st.lists(
    st.tuples(
        st.sampled_from(["ada", "bob", "cy", ""]),
        st.sampled_from(["Acme", "Beta", ""]),
        st.sampled_from(["Clicked", "Clicked: again", "Signed Up"]),
        st.sampled_from(["00Z", "00.5Z", "01Z", "02Z"]),
        st.sampled_from(["free", "pro", ""]),
        st.sampled_from(["", "", "1", "2", "3", "4"]),
    ),
    max_size=14,
)


def write(path: Path, log: Rows) -> Path:
    lines = [f"{u},{a},{e},2024-01-01T00:00:{s},{plan},{i}\n" for u, a, e, s, plan, i in log]
    path.write_text("user,account,event,timestamp,plan,id\n" + "".join(lines), encoding="utf-8")
    return path


def counted(calls: list[dict[str, str]], *without: str) -> Counter[tuple[tuple[str, str], ...]]:
    return Counter(
        tuple(sorted((name, value) for name, value in call.items() if name not in without)) for call in calls
    )


@settings(max_examples=120, deadline=None)
@given(log=rows, size=st.integers(1, 15), stop=st.integers(0, 6))
def test_one_log_gives_what_the_oracle_expects_however_it_is_batched_and_interrupted(
    log: Rows, size: int, stop: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file, ledger = write(Path(folder, "log.csv"), log), Path(folder, "ledger.db")
        without_id = {"exclude": ("id",)}
        first, _ = run([file], ledger, batch_size=size, batches=stop, column_options=_columns(**without_id))
        second, _ = run([file], ledger, batch_size=16 - size, column_options=_columns(**without_id))
        again, tally = run([file], ledger, column_options=_columns(**without_id))
        calls = expected(file, **COLUMNS, properties=["plan"])
    assert counted(wire(first + second)) == counted(calls)
    assert again == []
    assert tally.rows.read == tally.rows.skipped == len(log)


@settings(max_examples=120, deadline=None)
@given(logs=st.lists(rows, min_size=2, max_size=3), size=st.integers(1, 15))
def test_overlapping_logs_send_each_call_once(logs: list[Rows], size: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = [write(Path(folder, f"{number}.csv"), log) for number, log in enumerate(logs)]
        ledger = Path(folder, "ledger.db")
        sent, _ = run(
            files,
            ledger,
            batch_size=size,
            column_options=_columns(exclude=("id",)),
            spread=600,
            overlap=Overlap.SEPARATE,
        )
        calls = expected(files, **COLUMNS, properties=["plan"], spread=600)
    assert counted(wire(sent), "_t") == counted(calls, "_t")
    _check_nothing_merges(wire(sent))


@settings(max_examples=120, deadline=None)
@given(logs=st.lists(rows, min_size=1, max_size=3), size=st.integers(1, 15), stop=st.integers(0, 6))
def test_with_ids_nothing_merges_and_batches_change_nothing(logs: list[Rows], size: int, stop: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = [write(Path(folder, f"{number}.csv"), log) for number, log in enumerate(logs)]
        with_id = {"column_options": _columns(id="id"), "overlap": Overlap.SEPARATE}
        whole, _ = run(files, Path(folder, "whole.db"), **with_id)
        ledger = Path(folder, "parts.db")
        first, _ = run(files, ledger, batch_size=size, batches=stop, **with_id)
        second, _ = run(files, ledger, batch_size=size, **with_id)
        again, _ = run(files, ledger, **with_id)
    assert counted(wire(first + second)) == counted(wire(whole))
    assert again == []
    _check_nothing_merges(wire(whole))


@settings(max_examples=60, deadline=None)
@given(log=rows)
def test_one_log_with_ids_gives_what_the_oracle_expects(log: Rows) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = write(Path(folder, "log.csv"), log)
        sent, _ = run([file], Path(folder, "ledger.db"), column_options=_columns(id="id"))
        judgement = judged(file, **COLUMNS, id="id", properties=["plan"])
    assert counted(wire(sent)) == counted(judgement.calls)


@settings(max_examples=60, deadline=None)
@given(log=rows, copies=st.permutations(range(14)))
def test_a_reordered_export_sends_nothing(log: Rows, copies: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file, ledger = write(Path(folder, "log.csv"), log), Path(folder, "ledger.db")
        run([file], ledger, column_options=_columns(exclude=("id",)))
        other = write(Path(folder, "other.csv"), [log[index] for index in copies if index < len(log)])
        sent, _ = run([other], ledger, column_options=_columns(exclude=("id",)))
    assert sent == []


def _columns(**changes: object):  # type: ignore[no-untyped-def]
    from km_cli.mapping import ColumnOptions

    return ColumnOptions()._replace(**changes)


def _check_nothing_merges(calls: list[dict[str, str]]) -> None:
    events = Counter((call["_p"], fold_name(call["_n"]), call["_t"]) for call in calls)
    assert all(count == 1 for count in events.values())
    values: dict[tuple[str, str], set[str]] = {}
    for call in calls:
        if "plan" in call:
            values.setdefault((call["_p"], call["_t"]), set()).add(call["plan"])
    assert all(len(found) == 1 for found in values.values())


@settings(max_examples=150, deadline=None)
@given(known=rows, log=rows, cut=st.integers(0, 14), with_id=st.booleans())
def test_a_log_that_grows_sends_what_the_whole_would(known: Rows, log: Rows, cut: int, with_id: bool) -> None:
    options = {
        "column_options": _columns(id="id") if with_id else _columns(exclude=("id",)),
        "overlap": Overlap.SEPARATE,
    }
    with tempfile.TemporaryDirectory() as folder:
        before, file = write(Path(folder, "known.csv"), known), Path(folder, "log.csv")
        whole, parts = Path(folder, "whole.db"), Path(folder, "parts.db")
        run([before], whole, **options)
        at_once, _ = run([write(file, log)], whole, **options)
        run([before], parts, **options)
        first, _ = run([write(file, log[:cut])], parts, **options)
        second, _ = run([write(file, log)], parts, **options)
    assert counted(wire(first + second)) == counted(wire(at_once))
