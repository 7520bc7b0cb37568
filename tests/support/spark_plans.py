"""Plans made by hand, as a job of Spark writes them, in a receipts folder."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from km_cli.config.settings import Settings
from km_cli.destinations.tracker import TrackerTarget
from km_cli.spark.files import LocalFiles
from km_cli.spark.receipts import Receipts
from km_cli.spark.tables import PLAN, REJECTS
from tests.support.running import settings as settings_of
from tests.support.tracker import Tracker

SECRET = b"the secret of tests, 32 bytes or more"
KEY = "0123456789abcdef0123456789abcdef01234567"


def settings_to(url: str, folder: Path, **changes: Any) -> Settings:
    """Return settings that send to a tracker, with the key in a file below `folder`."""
    file = folder / "key"
    file.write_text(KEY)
    file.chmod(0o600)
    target = TrackerTarget(url, url, needs_key=True)
    made = settings_of(folder / "ledger.db", **{"target": target, "concurrency": None, **changes})
    return made.with_sites(tuple(site._replace(key_env="", key_file=str(file)) for site in made.people.sites))


def payload(number: int) -> bytes:
    """Return the bytes of the call with this number."""
    return f"/e?_p=person{number // 2}&_n=Event{number % 2}&_t={1709283901 + number}&_d=1".encode()


def write_plan(receipts: Receipts, calls: int) -> str:
    """Put a plan of so many calls into force, two for each row; return the name of its job."""
    import pyarrow as pa
    from pyarrow import parquet

    with receipts.lease():
        job = receipts.begin()
        rows = [_row(number) for number in range(calls)]
        schema = PLAN.arrow().append(pa.field("number", pa.int64()))
        plan, rejects = Path(receipts.plan_path(job)), Path(receipts.rejects_path(job))
        for folder in (plan, rejects):
            folder.mkdir(parents=True)
        parquet.write_table(pa.Table.from_pylist(rows, schema), plan / "part-0.parquet")
        parquet.write_table(REJECTS.arrow().empty_table(), rejects / "part-0.parquet")
        receipts.planned(job, {"readings": []})
    return job


def _row(number: int) -> dict[str, object]:
    return {
        "kind": "call",
        "reading": 1,
        "row": number // 2,
        "part": number % 2,
        "decided": number // 2,
        "source": "log.csv",
        "line": number // 2 + 2,
        "raw": f"row {number // 2}\n".encode(),
        "site": "main",
        "persona": ("user", "account")[number % 2],
        "payload": payload(number),
        "number": number,
    }


def opened(folder: Path, url: str) -> Receipts:
    """Open the receipts folder of calls to this tracker."""
    return Receipts.open(str(folder), LocalFiles(), secret=SECRET, to=url, keys={"main": KEY})


def arrived(tracker: Tracker) -> Counter[bytes]:
    """Return the bytes that the tracker kept, without the key, with how often each came."""
    return Counter(f"{hit.path}?{hit.query.removeprefix(f'_k={KEY}&')}".encode() for hit in tracker.hits)
