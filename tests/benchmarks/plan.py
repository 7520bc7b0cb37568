"""What a row costs from file to plan, ledger included: `python -m tests.benchmarks.plan [FILE OPTION...]`.

Prints CPU microseconds a row for every stage, for the whole, and for a bare `csv.reader` over the same file,
which is the yardstick: machines differ, so compare ratios of one run.
"""

from __future__ import annotations

import csv
import gc
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from km_cli.destinations.base import QueryEncoder
from km_cli.inputs import Source, open_reader
from km_cli.ledger import Ledger, Reading
from km_cli.mapping import ColumnOptions, Mapper, Mapping, TimeOptions, recognise_columns
from km_cli.model import Event, Outcome, Overlap, Receipt, Row
from km_cli.planning import Planner
from km_cli.planning.forecast import Forecaster
from km_cli.rules import Rules
from km_cli.run.overlaps import Overlaps
from km_cli.strategies import STRATEGIES, Expansion

SAMPLE = Path(__file__).parent.parent.parent / "samples" / "events.csv"
BATCH = 500


class Stages:
    """CPU seconds by stage."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}

    def time(self, stage: str, work: Callable[[], Any]) -> Any:
        """Run the work and add what it took."""
        began = time.process_time()
        done = work()
        self.spent[stage] = self.spent.get(stage, 0.0) + time.process_time() - began
        return done


def chunks(items: list[Any]) -> Iterator[list[Any]]:
    """Yield batches."""
    for at in range(0, len(items), BATCH):
        yield items[at : at + BATCH]


def measure(path: str, named: dict[str, str], folder: Path) -> tuple[int, Stages]:
    """Take a file through every stage, batch by batch; return its rows and what they cost."""
    stages = Stages()
    opened = open_reader(Source(path))
    tabular = opened.format.is_tabular
    personas = STRATEGIES["toggle"].personas("main", "accounts")
    personas = tuple(one._replace(column=named.pop(one.name, "")) for one in personas)
    columns = recognise_columns(ColumnOptions(**named), personas, opened.columns, path, tabular=tabular)
    expansion = Expansion(personas)
    mapper = Mapper(
        columns,
        opened.columns,
        tabular=tabular,
        personas=personas,
        time_options=TimeOptions(),
        allowed=(),
        now=time.time(),
        normalised=defaultdict(int),
    )
    ledger = Ledger.open(folder / "ledger.db")
    rules, forecaster = Rules(), Forecaster(ledger.counts, "benchmark")
    mapping = Mapping(columns, TimeOptions()).to_json()
    reading = ledger.readings.begin(
        Reading(0, "", "asked", mapping, path, opened.columns, ",", regular=opened.columns)
    )
    overlaps = Overlaps(ledger, reading, Overlap.ASK)
    encode = QueryEncoder().encode
    planner = Planner(ledger.slots, "benchmark", reading.number, overlaps, encode=encode)
    items = stages.time("read", lambda: list(opened.reader().items()))
    for some in chunks(items):
        mapped = stages.time(
            "map", lambda some=some: [mapper.map(one) for one in some if isinstance(one, Row)]
        )
        events = [one for one in mapped if isinstance(one, Event)]
        stages.time("rules", lambda events=events: [list(rules.look(one)) for one in events])
        sequences = stages.time("expand", lambda events=events: [expansion.expand(one) for one in events])
        plans = stages.time("plan", lambda sequences=sequences: [planner.plan(one) for one in sequences])
        stages.time("forecast", lambda both=(sequences, plans): forecaster.take(*both))
        planned_calls = stages.time("commit", lambda plans=plans: ledger.commit("benchmark", reading, plans))
        receipts = [Receipt(planned_call, Outcome.ACKNOWLEDGED) for planned_call in planned_calls]
        stages.time("settle", lambda receipts=receipts: ledger.settle("benchmark", receipts))
    ledger.close()
    opened.close()
    return len(items), stages


def main() -> None:
    """Measure the file named, or the sample, three times; print the best."""
    path = sys.argv[1] if len(sys.argv) > 1 else str(SAMPLE)
    names = dict(word.split("=", 1) for word in sys.argv[2:])
    gc.set_threshold(100_000, 50, 50)  # as the command has it
    runs = []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as folder:
            rows, stages = measure(path, dict(names), Path(folder))
            size = (Path(folder) / "ledger.db").stat().st_size
        runs.append((sum(stages.spent.values()), stages, rows, size))
    total, stages, rows, size = min(runs, key=lambda one: one[0])
    began = time.process_time()
    with open(path, newline="", encoding="utf-8") as file:
        yardstick = sum(1 for _ in csv.reader(file)) and time.process_time() - began
    print(f"{rows:,} rows of {path}; CPU microseconds a row:")
    for stage, seconds in stages.spent.items():
        print(f"  {stage:8} {seconds / rows * 1e6:6.1f}")
    print(f"  {'all':8} {total / rows * 1e6:6.1f}   ({total / yardstick:.0f} x a bare csv.reader)")
    print(f"  ledger: {size / rows:.0f} bytes a row")


if __name__ == "__main__":
    main()
