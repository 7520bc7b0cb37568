"""A ledger → a receipts table: the calls of one destination that a ledger knows, as a job that is done.

It needs pyarrow and no Spark. Who goes on with Spark then sends nothing twice. What a receipts table has no
place for is refused before anything is written: see `_check`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import count, islice
from typing import Any, NamedTuple

from km_cli.durable import make_folder
from km_cli.errors import Undelivered, UsageError
from km_cli.ledger import Ledger
from km_cli.ledger.slot_bytes import encode_slot
from km_cli.model import NO_SECOND, KnownCall, Slot
from km_cli.planning.keyed import key_digest, key_known, key_owner, key_pairs, key_value
from km_cli.run.receipts import KnownReceipts
from km_cli.spark.files import LocalFiles, is_local, local_path
from km_cli.spark.person_values import pack_value
from km_cli.spark.readings import reading_to_json
from km_cli.spark.receipts import Receipts
from km_cli.spark.tables import KNOWN, LINE, NAMED, OWNER, SPELLED, VALUE, WRITTEN_PLAN

_BATCH = 20_000
_ALONE = "go on with km-cli import and this ledger"


class Exported(NamedTuple):
    """The number of calls that were written, and the files' size in bytes."""

    calls: int
    bytes: int


def export_receipts(ledger: Ledger, tracker: str, path: str, secret: bytes) -> Exported:
    """Write the calls that a ledger sent to a tracker to a new receipts folder.

    Raises UsageError if the folder has receipts, or the ledger what a receipts table cannot hold; Undelivered
    if calls are pending; LedgerBusy, LedgerError, WriteError.
    """
    if not is_local(path):
        raise UsageError(
            f"--receipts {path} is not on this machine",
            "name a folder of this machine, and copy it to its place: it consists of plain files",
        )
    _check(ledger, secret)
    _check_destination(ledger, tracker)
    make_folder(local_path(path))
    receipts = Receipts.open(path, LocalFiles(), secret=secret, to=tracker, keys={})
    with receipts.lease():
        if receipts.manifest.jobs:
            raise UsageError(
                f"{path} has receipts already",
                "name a new folder: calls of two sources cannot be put together",
            )
        receipts.clean()
        job = receipts.begin()
        rows = _Rows(ledger, tracker, secret)
        size = _write(f"{receipts.plan_path(job)}/part-00000.parquet", rows)
        notes = {"readings": [*rows.readings()], "held": rows.held()}
        receipts.planned(job, notes)
        receipts.done(job)
    return Exported(rows.calls, size)


def _check(ledger: Ledger, secret: bytes) -> None:
    """Raise UsageError for what a receipts table cannot hold, Undelivered for pending calls."""
    if ledger.outbox.pending_calls():
        raise Undelivered(
            "calls of this ledger are pending, and receipts are about calls that were sent",
            "send them first: `km-cli status` names the command",
        )
    if ledger.secret not in (b"", secret):
        raise UsageError(
            "the digests of this ledger are keyed by another secret",
            "give the file with the secret of the receipts that the ledger was made from: --secret-file PATH",
        )
    found = {
        "a horizon, before which its calls are forgotten": ledger.horizon.is_set,
        "logs of the first version": any(one.is_of_format_2 for one in ledger.readings.latest()),
        "rows that were taken for changed ones (--overlap repeats)": ledger.slots.has_changed,
    }
    for what, is_there in found.items():
        if is_there:
            raise UsageError(f"this ledger has {what}, for which a receipts table has no place yet", _ALONE)


def _check_destination(ledger: Ledger, tracker: str) -> None:
    """Raise UsageError if all calls of the ledger went elsewhere: the receipts would be empty."""
    known = {name.partition(" ")[0] for one in ledger.readings.latest() for name, _ in one.calls}
    if known and tracker not in known:
        raise UsageError(
            f"the ledger {ledger.path} has no calls to {tracker}",
            f"name the destination of its calls: --to {', or --to '.join(sorted(known))}",
        )


class _Rows:
    """The rows of the plan that stands for a ledger. `calls` counts those that were written so far."""

    def __init__(self, ledger: Ledger, tracker: str, secret: bytes) -> None:
        self._ledger = ledger
        self._tracker = tracker
        self._secret = secret if not ledger.secret else b""
        self._receipts = KnownReceipts(ledger)
        self._joined = {person: "" for pair in ledger.slots.aliases() for person in pair}
        """The people of aliases, each with the site of its calls."""
        self.calls = 0

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        yield from self._calls()
        yield from self._aliases()
        yield from self._people()
        yield from self._values()
        yield from self._names()

    def _key(self, digest: bytes) -> bytes:
        """Return a digest of the ledger under the secret; it may be keyed already."""
        return key_digest(self._secret, digest) if self._secret else digest

    def _calls(self) -> Iterator[Mapping[str, Any]]:
        """Yield the calls. The part numbers all of them, so that no two have one place."""
        for part, known in zip(count(), self._ledger.slots.all_known(), strict=False):
            owner = self._ledger.slots.owner(known.person)
            persona = owner.persona if owner else ""
            to, site = self._receipts.sender(known.claims, persona)
            if to != self._tracker or owner is None:
                continue
            self.calls += 1
            if known.person in self._joined:
                self._joined[known.person] = site
            if self._secret:
                owner = key_owner(self._secret, owner)
            yield {
                "kind": KNOWN,
                "site": site,
                "persona": persona,
                "spelling": owner.identity,
                "event": self._receipts.event(to, site, persona, known.event),
                "part": part,
                **self._of_known(known),
            }

    def _aliases(self) -> Iterator[Mapping[str, Any]]:
        """Yield the aliases. One without a call of its people may be of another destination: no harm."""
        for part, (leader, person) in enumerate(self._ledger.slots.aliases()):
            first, other = self._ledger.slots.owner(leader), self._ledger.slots.owner(person)
            if first is not None and other is not None:
                yield {
                    "kind": KNOWN,
                    "reading": 0,
                    "row": 0,
                    "part": part,
                    "site": self._joined[leader] or self._joined[person],
                    "persona": other.persona,
                    "person": self._key(leader),
                    "spelling": self._key(first.identity),
                    "second": NO_SECOND,
                    "deed": self._key(person),
                    "total": self._key(other.identity),
                }

    def _of_known(self, known: KnownCall) -> Mapping[str, Any]:
        row, claim = self._ledger.slots.row(known.row), known.claims[0]
        reading, line = (row.reading, row.line) if row else (claim.reading, claim.line)
        keyed = key_known(self._secret, known) if self._secret else known
        alone = Slot((keyed._replace(row=int(row is not None)),))
        return {
            "reading": reading,
            "row": line,
            "decided": line,
            "source": self._receipts.reading(reading)[0],
            "line": line,
            "person": keyed.person,
            "second": keyed.second,
            "taken": keyed.taken,
            "deed": keyed.deed,
            "total": keyed.total,
            "id": keyed.id or None,
            "known": encode_slot(keyed.person, keyed.second, alone),
            "columns": self._keyed_columns(row.columns) if row else None,
        }

    def _keyed_columns(self, columns: bytes) -> bytes:
        return key_pairs(self._secret, columns) if self._secret else columns

    def _people(self) -> Iterator[Mapping[str, Any]]:
        """Yield people without calls, and the spellings of all."""
        for person, owner in self._ledger.slots.owners_without_calls():
            yield {
                "kind": OWNER,
                "person": self._key(person),
                "persona": owner.persona,
                "spelling": self._key(owner.identity),
            }
        for spelling, person in self._ledger.counts.spellings():
            yield {"kind": SPELLED, "person": self._key(person), "deed": self._key(spelling)}
        for number, person, second in self._ledger.slots.ids_of_lines():
            yield {"kind": LINE, "person": self._key(person), "deed": number, "second": second}

    def _values(self) -> Iterator[Mapping[str, Any]]:
        for key, value in self._ledger.slots.values.all():
            person, name = key[:8], key[8:]
            keyed = key_value(self._secret, name, value) if self._secret else value
            yield {
                "kind": VALUE,
                "reading": 0,
                "row": value.moment,
                "part": value.place,
                "person": self._key(person),
                "known": pack_value(keyed),
                "columns": name,
            }

    def _names(self) -> Iterator[Mapping[str, Any]]:
        for place, kind, name in self._ledger.counts.names():
            tracker, _, site = place.partition(" ")
            if tracker == self._tracker:
                yield {"kind": NAMED, "site": site, "persona": kind, "deed": name}

    def readings(self) -> Iterator[dict[str, Any]]:
        """Yield the ledger's readings for the manifest."""
        for reading in self._ledger.readings.latest():
            yield reading_to_json(reading)

    def held(self) -> dict[str, dict[str, list[int]]]:
        """Return what Kissmetrics holds of these calls, by site and persona."""
        sites = {one.site for one in self._ledger.sent.by_site() if one.tracker == self._tracker}
        return {
            site: {
                persona: [*held]
                for persona, held in self._ledger.counts.total(f"{self._tracker} {site}").items()
            }
            for site in sorted(sites)
        }


def _write(path: str, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write the rows of a plan; return the size of the file. `Receipts.planned` makes it durable."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    target = local_path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    schema, numbers = WRITTEN_PLAN.arrow(), count()
    rows = iter(rows)
    with pq.ParquetWriter(target, schema) as writer:
        while some := [{**row, "number": next(numbers)} for row in islice(rows, _BATCH)]:
            writer.write_batch(pa.RecordBatch.from_pylist(some, schema=schema))
    return target.stat().st_size
