"""The tables of a Spark job: their columns, as Spark and as Arrow name the types.

Rows are ordered by `reading` and `row`: the input, and the row in it. In this order one machine would plan
them. `part` tells the calls of one person and row apart, so that a call is known for ever by its place:
`person`, `reading`, `row` and `part`. No column holds a bare digest of a value: see `planning.keyed`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pyarrow
    from pyspark.sql import DataFrame, SparkSession

CALL, KNOWN, VALUE, OWNER = "call", "known", "value", "owner"
"""The kinds of a plan's rows.

CALL: a call that is to be sent; it alone has a payload. KNOWN: a call that was planned before, with its
present claims; it replaces the row of the same place in earlier jobs, and the CALL of its own job. VALUE: a
value that was sent of a property that is set when it changes. OWNER: a person without a call.
"""

ALIAS_CALL = f"kind IN ('{CALL}', '{KNOWN}') AND second = 0"
"""The condition for an alias: no other call has the second 0 (`model.calls.NO_SECOND`)."""

JOINED = "joined"
"""The kind that planning gives to an alias in the place of CALL or KNOWN, once for each of its two people.

The `leader` of the second one is the first one; that of the first one is null: others are led by it.
"""

SPELLED, NAMED, LINE = "spelled", "named", "line"
"""More kinds, which a ledger's receipts have for the rules on whole logs; planning passes them over.

SPELLED: a person with the digest of its identity's spelling in `deed`, see `spark.spellings`. NAMED: a name
that a site has, with `event` or `property` as its `persona` and the digest of the name in `deed`, 8 bytes.
LINE: the line of a corrected reject that was sent, as `deed`, with person and second of its call.
"""


class Table(NamedTuple):
    """The columns of a table: names, and Spark's names of their types."""

    columns: Columns

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
            "array<int>": pa.list_(pa.int32()),
        }
        return pa.schema([pa.field(name, kinds[kind]) for name, kind in self.columns])


def empty_frame(spark: SparkSession, table: Table) -> DataFrame:
    """Return a DataFrame without rows. Spark sees that it is empty, and starts no task for it."""
    columns = ", ".join(f"CAST(NULL AS {kind}) AS `{name}`" for name, kind in table.columns)
    return spark.sql(f"SELECT {columns} WHERE false")


Columns = tuple[tuple[str, str], ...]

_PLACE: Columns = (("reading", "int"), ("row", "bigint"), ("part", "int"))
_ROW: Columns = (("source", "string"), ("line", "bigint"))

PLAN = Table(
    (
        ("kind", "string"),
        *_PLACE,
        ("decided", "bigint"),
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
        ("id", "binary"),
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

`decided` is the row in whose turn the call was planned: mostly `row`, else a later one, which turned out to
be the call that this row was taken for. `payload` has the final bytes but for the key, `raw` the bytes of the
row (for the table of rejects), with hashed values if columns are hashed. `person` (8 bytes), `deed` (8) and
`total` (8) are those of the KnownCall, `spelling` (4) is the `identity` of the person's Owner, `id` (8) is
that of the call, null if it has none. `known` is the KnownCall as `ledger.slot_bytes.encode_slot` writes a
slot of it alone. `columns` are those of the KnownRow whose `reading` and `line` stand here; null if the call
has none. An alias has the other person as its `deed`, the `spelling` of that person as its `total`, and no
`known`. A VALUE has in `known` what `pack_value` of `spark.person_values` writes, and in `columns` the digest
of its name. `identity`, `event` and `names` (of the properties) are in clear, for the rules on whole logs,
and `gain_*` is the call's Gain; all six are null in rows that are not CALL.
"""

WRITTEN_PLAN = Table((*PLAN.columns, ("number", "bigint")))
"""A plan as it stands in the receipts folder. Receipts name a call by its `number`."""

REJECTS = Table(
    (
        *_PLACE,
        ("decided", "bigint"),
        *_ROW,
        ("raw", "binary"),
        ("code", "string"),
        ("text", "string"),
        ("owed", "array<string>"),
    )
)
"""Rows that are not sent, one for each code of a row; `text` is the reason. `owed` are the parts that are not
sent (empty: all), `decided` is as in PLAN."""

MAPPED = Table(
    (
        ("kind", "string"),
        *_PLACE,
        *_ROW,
        ("raw", "binary"),
        ("site", "string"),
        ("persona", "string"),
        ("person", "binary"),
        ("spelling", "binary"),
        ("ids", "array<string>"),
        ("second", "bigint"),
        ("dated", "boolean"),
        ("code", "string"),
        ("text", "string"),
        ("who", "string"),
        ("owed", "array<string>"),
        ("number", "bigint"),
        ("blob", "binary"),
    )
)
"""What mapping makes of the inputs, by `kind`:

`part`: the calls of one person in a row (`blob`, see `spark.parts`), with the digests of their `ids` in
hexadecimal; `number` are the calls of the whole row;
`row`: a row that was read. Its `code` says what mapping made of it: event, undone (no persona does it),
left-out, WITHHELD_ROW or rejected; or PASSED_OVER. `second` is that of its time, null if it has none;
`reject` and `finding` (the message is `text`, `number` the row before, if a finding is about both rows);
`head` and `read`: the bytes of a file (see `spark.following`);
`alias`: a person that an alias is about;
`member`: the personas that do the event of a row, as `owed`, if accounts come from members;
`name`: a name that is new in its task (`text`), with its kind as `code` (see `spark.names`);
`seen`: what the task saw of the events, conditions and columns that flags and km.toml name, as JSON in
`text` (see `mapping.EventsSeen`), with its first row;
`lacked`: an event that some personas lack (see `strategies.EventLists`);
`count`: how many times the unusual form `code` was met.
"""

SEEN = "seen"
"""The kind of a row of MAPPED that says what a task saw, see there."""

FINDINGS = Table((*_PLACE, *_ROW, ("code", "string"), ("text", "string"), ("who", "string")))
"""Findings, as in `model.Finding`; `text` is the message. `part` orders those of a row."""

WITHHELD_ROW = "withheld"
"""The code of a row that is left out because it has an alias alone, and aliases are not allowed."""

PASSED_OVER = "passed-over"
"""The code of a row that an earlier job has read in the same file."""

RECEIVED = Table((*PLAN.columns, ("job", "string"), ("rejected", "boolean")))
"""What planning gets: the plans of earlier jobs, and which of their calls the destination rejected.

Jobs sort by their names. Of two rows of one place the later job's counts, but `rejected` in either does.
"""

RECEIPTS = Table((("number", "bigint"), ("state", "string"), ("reason", "string")))
"""A receipt: the number of the call in its job's plan, `acknowledged` or `rejected`, and why if rejected.

A call may have several, since a task may run twice. If one of them is `acknowledged`, the call is.
"""

WALK = Table(
    (
        ("person", "binary"),
        ("side", "int"),
        *_PLACE,
        ("job", "string"),
        ("kind", "string"),
        ("rejected", "boolean"),
        ("line", "bigint"),
        ("site", "string"),
        ("persona", "string"),
        ("spelling", "binary"),
        ("second", "bigint"),
        ("known", "binary"),
        ("columns", "binary"),
        ("blob", "binary"),
        ("leader", "binary"),
        ("forced", "array<string>"),
        ("events", "array<int>"),
    )
)
"""What the planner walks over, sorted by `ORDER`: of each person what was received (`side` 0), then the parts
of its rows (1), and the aliases that this job plans (1). `leader` is that of JOINED, `forced` says what
`spark.contests` decided on a row, `events` are those of EVENTS."""

EVENTS = Table(
    (
        *_PLACE[:2],
        ("events", "int"),
        ("new", "int"),
        ("is_contested", "int"),
        ("is_changed", "int"),
    )
)
"""The events of a part: how many, and how many are new. `is_…` are 1 or 0, as in `RowEvents`."""

ORDER = ("person", "side", "reading", "row", "part", "job", "kind")

WALKED = Table(
    (*PLAN.columns, ("code", "string"), ("text", "string"), ("who", "string"), ("owed", "array<string>"))
)
"""What the planner makes of it, by `kind`: rows of the plan, `reject` and `finding`; and `forced` (see
`spark.contests`), with the people in `owed`."""
