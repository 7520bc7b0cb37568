"""People whose identities differ only in case or Unicode form, over a whole log and its receipts.

A spelling belongs to the first person that has it. The people of one spelling may stand in any part of the
log, so the plan is sorted by spelling once. What is sorted is a keyed digest: see `planning.keyed`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from km_cli.planning.forecast import alike_ids
from km_cli.planning.keyed import digest_spelling
from km_cli.spark.tables import CALL, FINDINGS, SPELLED, Table

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

_SPELLED = Table(
    (
        ("key", "binary"),
        ("side", "int"),
        ("job", "string"),
        ("reading", "int"),
        ("row", "bigint"),
        ("part", "int"),
        ("source", "string"),
        ("line", "bigint"),
        ("persona", "string"),
        ("person", "binary"),
        ("identity", "string"),
    )
)
"""A person that is new with a call, under the digest of its spelling. Side 0 are the receipts."""

_MOST_PARTS = 1_000_000
"""More than the calls of one person in a row."""

_ORDER = ("key", "side", "job", "reading", "row", "part")


def alike_findings(
    plan: DataFrame, received: DataFrame | None, personas: Sequence[str], tracker: str, secret: bytes
) -> DataFrame:
    """Return FINDINGS about people of a plan with the spelling of another person's identity.

    `plan` has the rows of PLAN that are planned now, `received` those of RECEIVED, None if there are none.
    The calls of a row are taken in the order of the `personas`, as one machine takes them.
    """
    from pyspark.sql import functions as F  # noqa: N812 - the name that Spark's own pages give it

    wanted = ["kind", *_SPELLED.names[3:], "site", "deed"]
    is_new = "kind = 'call' AND gain_people > 0"
    turn = F.array_position(F.array(*map(F.lit, personas)), F.col("persona"))
    own = plan.withColumn("part", (turn * _MOST_PARTS + F.col("part")).cast("int"))
    rows = own.where(is_new).select(F.lit(1).alias("side"), F.lit("").alias("job"), *wanted)
    if received is not None:
        known = received.where(f"({is_new}) OR kind = '{SPELLED}'")
        rows = rows.unionByName(known.select(F.lit(0).alias("side"), "job", *wanted))
    keyed = rows.mapInArrow(_Keying(tracker, secret), _SPELLED.ddl)
    ordered = keyed.repartition("key").sortWithinPartitions(*_ORDER)
    return ordered.mapInArrow(_find, FINDINGS.ddl)


class _Keying:
    """Puts each row under the digest of its spelling."""

    def __init__(self, tracker: str, secret: bytes) -> None:
        self._tracker = tracker
        self._secret = secret

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            made = [{**row, "key": self.key(row)} for row in batch.to_pylist()]
            yield pa.RecordBatch.from_pylist(made, schema=_SPELLED.arrow())

    def key(self, row: Mapping[str, Any]) -> bytes:
        """Return the digest of a row's spelling; the receipts of a ledger have it instead of the identity."""
        if row["kind"] != CALL:
            return bytes(row["deed"])
        return digest_spelling(self._tracker, row["site"], row["identity"], self._secret)


def _find(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    rows = (row for batch in batches for row in batch.to_pylist())
    found: list[dict[str, Any]] = []
    for one in find_alike(rows):
        found.append(one)
        if len(found) >= 10_000:
            yield pa.RecordBatch.from_pylist(found, schema=FINDINGS.arrow())
            found = []
    yield pa.RecordBatch.from_pylist(found, schema=FINDINGS.arrow())


def find_alike(rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield rows of FINDINGS for rows that are sorted by spelling and, within it, in their order."""
    for _, of_spelling in groupby(rows, itemgetter("key")):
        owner: bytes | None = None
        first: str | None = None
        for row in of_spelling:
            if row["side"] and first is None:
                first = row["identity"]
            if owner is None:
                owner = row["person"]
            elif row["side"] and owner != row["person"] and first is not None:
                yield {
                    **{name: row[name] for name in ("reading", "row", "part", "source", "line")},
                    "code": "alike-ids",
                    "text": alike_ids(row["persona"], row["identity"], first),
                    "who": f"{row['persona']} {row['identity']!r}",
                }
