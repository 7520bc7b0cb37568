"""The tables of km.toml: their keys, types and descriptions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from km_cli.inputs.formats import format_words
from km_cli.strategies import STRATEGIES

Positive = Annotated[int, Meta(ge=1)]
Above0 = Annotated[float, Meta(gt=0)]
_NAME = r"^[^\W\d][\w -]*$"
_SITE = r"^[\w.-]+$"
_NAME_OF_PLAN = r"^\S(?:[^\x00-\x1f\x7f]*\S)?$(?!\n)"
_VARIABLE = r"^(?![0-9A-Fa-f]{32,}$)[A-Za-z_]\w*$"
_URL_VARIABLE = r"^[A-Za-z_]\w*$"
_KEY_FILE = r"^(?!\s*[0-9A-Fa-f]{32,}\s*$)[^\x00-\x1f\x7f]*$(?!\n)"
_PATH = r"^[^\x00-\x1f\x7f]+$(?!\n)"
_RENAME = r"^[^{}]*(\{event\}[^{}]*)+$"
_NO_NUL = r"^[^\x00]*$"
_SIZE = "^[0-9]{1,15} ?[KMGkmg]?[Bb]?$"
_REJECT_LIMIT = r"^\d+(\.\d+)?%?$"
_NOT_BLANK = r"\S"
_AUTO = "^auto$"
PATTERNS = {
    _NAME: "that begins with a letter and has letters, digits, blanks, dashes and underscores",
    _SITE: "of letters, digits, dots, dashes and underscores",
    _NAME_OF_PLAN: "without blanks around it, and without control characters",
    _VARIABLE: "that is the name of an environment variable; the variable holds the key, km.toml never does",
    _URL_VARIABLE: "that is the name of an environment variable; the variable holds the URL",
    _KEY_FILE: "that is the path of a file; the file holds the key, km.toml never does",
    _PATH: "of one character or more, without control characters",
    _RENAME: "with {event}, the name of the event in the log, and no other braces",
    _NO_NUL: "without NUL",
    _REJECT_LIMIT: "such as 10 or 5%",
    _SIZE: "such as 100M",
    _NOT_BLANK: "that is not blank",
    _AUTO: "auto, or a whole number",
}
"""The patterns that texts must match, in words that follow `Expected text`."""

Text = Annotated[str, Meta(min_length=1, pattern=_NO_NUL)]
EventName = Annotated[str, Meta(pattern=_NOT_BLANK)]
PathText = Annotated[str, Meta(pattern=_PATH)]


class _Table(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of km.toml."""


class ColumnsTable(_Table, frozen=True):
    """The columns of the log. Dotted names reach into JSON. By default the usual names are recognised."""

    user: Text | UnsetType = UNSET
    account: Text | UnsetType = UNSET
    event: Text | UnsetType = UNSET
    event_name: Annotated[str, Meta(description="the event of every row")] | UnsetType = UNSET
    timestamp: (
        Text
        | Annotated[
            list[Text],
            Meta(min_length=1, description="column of the time, or columns: the first that is not empty"),
        ]
        | UnsetType
    ) = UNSET
    timezone: Annotated[str, Meta(description="zone of times without an offset")] | UnsetType = UNSET
    time_format: Annotated[str, Meta(description="format of times, such as %d/%m/%Y %H:%M")] | UnsetType = (
        UNSET
    )
    ambiguous: Literal["earlier", "later"] | UnsetType = UNSET
    id: Annotated[str, Meta(description="column of the id that the log gives to each event")] | UnsetType = (
        UNSET
    )
    properties: (
        Annotated[list[Text], Meta(description="default: every column not named elsewhere")] | UnsetType
    ) = UNSET
    exclude: list[Text] | UnsetType = UNSET
    hash: (
        Annotated[
            list[Text],
            Meta(description="columns whose values are sent as digests (HMAC-SHA256, with hash_key_file)"),
        ]
        | UnsetType
    ) = UNSET
    drop: (
        Annotated[
            list[Text],
            Meta(description="columns that are not sent, and by whose digests rows are compared"),
        ]
        | UnsetType
    ) = UNSET
    hash_key_file: (
        Annotated[
            str,
            Meta(pattern=_KEY_FILE, description="file with a secret of 32 bytes or more, for hash and drop"),
        ]
        | UnsetType
    ) = UNSET
    ignore: (
        Annotated[
            list[Text],
            Meta(description="columns neither sent nor compared, such as offsets and times of arrival"),
        ]
        | UnsetType
    ) = UNSET
    flatten: bool | UnsetType = UNSET
    profiles: (
        Annotated[bool, Meta(description="if true, no row is an event: each sets its properties")] | UnsetType
    ) = UNSET
    at: (
        Annotated[str, Meta(description="the time of all profiles, for files without a time column")]
        | UnsetType
    ) = UNSET
    rename: (
        Annotated[
            dict[Text, EventName],
            Meta(description="table from a column to the property that it is sent as"),
        ]
        | UnsetType
    ) = UNSET
    constant: (
        Annotated[
            dict[Text, str | int | float | bool],
            Meta(description="table from a property to its value on every record"),
        ]
        | UnsetType
    ) = UNSET
    where: (
        Annotated[
            list[Text],
            Meta(description="only rows that match all conditions: type=track, type!=page, type in a,b"),
        ]
        | UnsetType
    ) = UNSET
    export: Annotated[str, Meta(description="the tool that exported the log, or none")] | UnsetType = UNSET
    skip: (
        Annotated[
            list[EventName],
            Meta(description="events that are left out on purpose"),
        ]
        | UnsetType
    ) = UNSET
    alias: (
        Annotated[
            str,
            Meta(description="column of aliases of the actor: left out, and sent with --allow-alias"),
        ]
        | UnsetType
    ) = UNSET
    without_event: (
        Annotated[
            Literal["set"],
            Meta(description="a row without an event sets its properties; default: it is rejected"),
        ]
        | UnsetType
    ) = UNSET
    leave_out_reserved: (
        Annotated[
            bool, Meta(description="if true, properties that Kissmetrics reserves are left out and counted")
        ]
        | UnsetType
    ) = UNSET
    optional: (
        Annotated[
            list[Text],
            Meta(description="columns that a file, or its first rows, may lack; no error is made of that"),
        ]
        | UnsetType
    ) = UNSET
    skip_anonymous: (
        Annotated[bool, Meta(description="if true, rows that name no persona are skipped, not rejected")]
        | UnsetType
    ) = UNSET


class SiteTable(_Table, frozen=True):
    """A Kissmetrics product, and where its API key is. The key itself is never in km.toml."""

    key_env: Annotated[
        str, Meta(pattern=_VARIABLE, description="environment variable that holds the API key")
    ] = ""
    key_file: Annotated[str, Meta(pattern=_KEY_FILE, description="file that holds only the API key")] = ""
    product: Annotated[
        Annotated[str, Meta(pattern=_NOT_BLANK)] | int,
        Meta(description="id or name of the product in Kissmetrics, for verify"),
    ] = ""


class QueryTable(_Table, frozen=True):
    """Kissmetrics' Query API, which verify asks. The credentials themselves are never in km.toml."""

    key_file: Annotated[
        str,
        Meta(pattern=_KEY_FILE, description="file that holds only an API key, or USER:PASSWORD"),
    ] = ""


class PersonaTable(_Table, frozen=True):
    """A kind of identity that events are recorded as. The first persona is the actor."""

    name: Annotated[str, Meta(pattern=_NAME)]
    column: Annotated[
        str | Annotated[list[Text], Meta(min_length=1)],
        Meta(
            description="column of the identity, or columns: the first that is not empty; default: the "
            "usual names"
        ),
    ] = ""
    nobody: Annotated[list[Text], Meta(description="values that count as empty, such as n/a")] = (
        msgspec.field(default_factory=list)
    )
    events: Annotated[
        Literal["*"] | list[EventName] | dict[EventName, EventName],
        Meta(description="the events it may do: all, a list, or a table from events to new names"),
    ] = "*"
    not_events: Annotated[
        list[EventName], Meta(description="the events that it does not do, if it may do all others")
    ] = msgspec.field(default_factory=list)
    rename: Annotated[
        str, Meta(pattern=_RENAME, description="new name of its events, such as Account {event}")
    ] = "{event}"
    properties: (
        Annotated[list[Text], Meta(description="columns sent with its events; default: all properties")]
        | UnsetType
    ) = UNSET
    link: Annotated[
        dict[Text, Text], Meta(description="table from a property to the persona whose identity it holds")
    ] = msgspec.field(default_factory=dict)
    prefix: Annotated[
        str, Meta(description="put before every identity, to keep it apart from those of other personas")
    ] = ""
    site: Annotated[str, Meta(description="default: the first site")] = ""
    set: Annotated[
        list[Text], Meta(description="columns set for each identity whenever their value changes")
    ] = msgspec.field(default_factory=list)
    alias: Annotated[
        str, Meta(description="column of another identity of the same person; needs --allow-alias")
    ] = ""


class DeliveryTable(_Table, frozen=True):
    """Where calls go, and how."""

    to: PathText | UnsetType = UNSET
    batch_size: Annotated[int, Meta(ge=1, le=100_000)] | UnsetType = UNSET
    part_size: Annotated[str, Meta(pattern=_SIZE)] | int | UnsetType = UNSET
    concurrency: Annotated[int, Meta(ge=1, le=1024)] | Annotated[str, Meta(pattern=_AUTO)] | UnsetType = UNSET
    rate: Above0 | UnsetType = UNSET
    timeout: Above0 | UnsetType = UNSET
    attempts: Positive | UnsetType = UNSET
    transport: Literal["auto", "requests", "curl"] | UnsetType = UNSET
    collisions: Literal["spread", "keep", "reject"] | UnsetType = UNSET
    spread: Annotated[int, Meta(ge=0, le=86_400)] | UnsetType = UNSET
    ledger: PathText | UnsetType = UNSET
    rejects: PathText | UnsetType = UNSET
    max_rejects: Annotated[str, Meta(pattern=_REJECT_LIMIT)] | int | UnsetType = UNSET


class PlanTable(_Table, frozen=True):
    """A plan of Kissmetrics. If km.toml has any, they replace the public ones."""

    events: Annotated[int, Meta(ge=1, description="events that the plan allows a month")]
    price: Annotated[float, Meta(ge=0, le=1e9, description="US dollars a month")]


if TYPE_CHECKING:
    FormatWord = str
else:  # as below
    FormatWord = Literal[format_words()]


class BackfillTable(_Table, frozen=True):
    """A source of `km-cli backfill`."""

    name: Annotated[str, Meta(pattern=_NAME)]
    files: Annotated[
        list[PathText],
        Meta(
            min_length=1,
            description="files, folders, patterns such as logs/**/*.csv, days such as logs/%Y/%m/%d/*.jsonl; "
            "also s3://bucket/key",
        ),
    ] = msgspec.field(default_factory=list)
    sql: Annotated[
        str,
        Meta(
            pattern=_NOT_BLANK,
            description="a query instead of files; :since is where the last run stopped",
        ),
    ] = ""
    database: Annotated[
        str,
        Meta(description="its database: postgresql://HOST/DATABASE, or a file of SQLite or DuckDB"),
    ] = ""
    url_env: Annotated[
        str,
        Meta(
            pattern=_URL_VARIABLE,
            description="variable that holds the URL of the database, with its password",
        ),
    ] = ""
    order_by: Annotated[
        str, Meta(description="column that the rows of the query are read in order of, such as updated_at")
    ] = ""
    start: Annotated[
        str | int | float, Meta(description="the value of :since in the first run, such as 2024-01-01")
    ] = ""
    since: Annotated[str, Meta(description="only events at or after this time, such as 2024-01-31")] = ""
    until: Annotated[str, Meta(description="only events before this time")] = ""
    optional: Annotated[bool, Meta(description="if true, it is no error that there is no file")] = False
    overlap: Annotated[
        Literal["ask", "repeats", "separate"],
        Meta(description="how to treat a row if another file has its event at its moment with other values"),
    ] = "ask"
    format: Annotated[FormatWord, Meta(description="default: by the name and the content")] | None = None
    encoding: Annotated[str, Meta(description="such as utf-16 or cp1252; default: UTF-8")] = ""
    delimiter: Annotated[str, Meta(description="comma, semicolon, tab or pipe")] = ""
    export: Annotated[str, Meta(description="the tool that exported the files, or none")] = ""
    columns: Annotated[
        ColumnsTable, Meta(description="keys of [columns] that are other ones for this source")
    ] = ColumnsTable()
    personas: Annotated[
        list[PersonaTable], Meta(description="the personas of this source, instead of those of km.toml")
    ] = msgspec.field(default_factory=list)


if TYPE_CHECKING:
    StrategyName = str
else:  # the schema lists the registered strategies; a type checker cannot read them
    StrategyName = Literal[tuple(STRATEGIES)]


class KmToml(_Table, frozen=True):
    """A whole km.toml."""

    strategy: StrategyName | UnsetType = UNSET
    allow_id: list[Text] | UnsetType = UNSET
    columns: ColumnsTable = ColumnsTable()
    sites: dict[Annotated[str, Meta(pattern=_SITE)], SiteTable] = msgspec.field(default_factory=dict)
    personas: list[PersonaTable] = msgspec.field(default_factory=list)
    members: Annotated[
        dict[str, Text],
        Meta(description="the members' file: its path, and a column for each persona"),
    ] = msgspec.field(default_factory=dict)
    delivery: DeliveryTable = DeliveryTable()
    plans: dict[Annotated[str, Meta(pattern=_NAME_OF_PLAN)], PlanTable] = msgspec.field(default_factory=dict)
    query: QueryTable = QueryTable()
    backfill: list[BackfillTable] = msgspec.field(default_factory=list)


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the file, for editors."""
    return msgspec.json.schema(KmToml)
