"""The tables of a Spark job: their columns, as Spark and as Arrow name the types.

Rows are ordered by `reading`, `row` and `part`: the input, the row in it, and the call in its row. In this
order one machine would plan them. No column holds a digest in clear: see `planning.keyed`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pyarrow

CALL, KNOWN, VALUE, OWNER = "call", "known", "value", "owner"
"""The kinds of a plan's rows.

CALL: a call that is to be sent; it alone has a payload. KNOWN: a call that was known before, with its present
claims; it replaces the row of the same place (`reading`, `row`, `part`) in earlier jobs. VALUE: a value that
was sent of a property that is set when it changes. OWNER: a person without a call.
"""


class Table(NamedTuple):
    """The columns of a table: names, and Spark's names of their types."""

    columns: tuple[tuple[str, str], ...]

    @property
    def ddl(self) -> str:
        """The schema as Spark writes it."""
        return ", ".join(f"`{name}` {kind}" for name, kind in self.columns)

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return [name for name, _ in self.columns]

    def arrow(self) -> pyarrow.Schema:
        """The schema as Arrow has it."""
        import pyarrow as pa

        kinds = {
            "int": pa.int32(),
            "bigint": pa.int64(),
            "string": pa.string(),
            "binary": pa.binary(),
            "boolean": pa.bool_(),
            "array<string>": pa.list_(pa.string()),
        }
        return pa.schema([pa.field(name, kinds[kind]) for name, kind in self.columns])


_PLACE = (("reading", "int"), ("row", "bigint"), ("part", "int"))
_ROW = (("source", "string"), ("line", "bigint"))

PLAN = Table(
    (
        ("kind", "string"),
        *_PLACE,
        *_ROW,
        ("raw", "binary"),
        ("site", "string"),
        ("persona", "string"),
        ("payload", "binary"),
        ("person", "binary"),
        ("spelling", "binary"),
        ("second", "bigint"),
        ("taken", "bigint"),
        ("deed", "binary"),
        ("total", "binary"),
        ("known", "binary"),
        ("columns", "binary"),
        ("identity", "string"),
        ("event", "string"),
        ("names", "array<string>"),
        ("gain_people", "int"),
        ("gain_event", "binary"),
        ("gain_names", "binary"),
    )
)
"""The plan: what is to be sent, and what is known from now on.

`payload` has the final bytes but for the key, `raw` the bytes of the row (for the table of rejects). `person`
(8 bytes), `deed` (8) and `total` (8) are those of the KnownCall, `spelling` (4) is the `identity` of the
person's Owner. `known` is the KnownCall as `ledger.slot_bytes.encode_slot` writes a slot of it alone, null
for an alias; its row is 1. `columns` are those of the KnownRow whose `reading` and `line` stand here; null if
the call has none. A VALUE has in `known` what `spark.state` packs. `identity`, `event` and `names` (of the
properties) are in clear, for the rules on whole logs, and `gain_*` is the call's Gain; all six are null in
rows that are not CALL.
"""

REJECTS = Table(
    (
        *_PLACE[:2],
        *_ROW,
        ("raw", "binary"),
        ("code", "string"),
        ("reason", "string"),
        ("owed", "array<string>"),
    )
)
"""Rows that are not sent, one for each code of a row. `owed` are the parts that are not sent (empty: all)."""

FINDINGS = Table((*_PLACE, ("code", "string"), ("message", "string"), *_ROW, ("who", "string")))
"""Findings, as in `model.Finding`. `part` orders those of a row."""

ROWS = Table((*_PLACE[:2], *_ROW, ("outcome", "string"), ("calls", "int")))
"""One row for each row that was read. `outcome` is event, undone, left-out, pruned or rejected (by the
mapping); `calls` are those of its sequence."""

RECEIVED = Table((*PLAN.columns, ("job", "string"), ("rejected", "boolean")))
"""What planning gets: the plans of earlier jobs, and which of their calls the destination rejected.

Jobs sort by their names. Of two rows of one place the later job's counts, but `rejected` in either does.
"""

RECEIPTS = Table((("number", "bigint"), ("state", "string"), ("reason", "string")))
"""A receipt: the number of the call in its job's plan, `acknowledged` or `rejected`, and why if rejected.

A call may have several, since a task may run twice. If one of them is `acknowledged`, the call is.
"""
