"""The content of an import plan, in the order of its text."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

FORMAT: Literal[1] = 1


class _Part(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A part of the plan."""


class Total(_Part, frozen=True, kw_only=True):
    """The rows that are read, by what becomes of them, and the calls.

    `left_by_earlier_runs` are pending calls by site. An import sends them first.
    """

    rows: int
    rows_to_send: int
    rows_to_skip: int
    rows_to_reject: int
    calls: int
    left_by_earlier_runs: dict[str, int] = {}


class CallsOf(_Part, frozen=True, kw_only=True):
    """The calls of one persona in one site. `events` are the calls that record each event, by its name.

    `sets` only set properties. `new_people` are people whom the site does not know yet.
    """

    site: str
    persona: str
    records: int
    sets: int
    aliases: int
    new_people: int
    events: dict[str, int] = {}


class Found(_Part, frozen=True, kw_only=True):
    """Findings, or rejected rows, of one code. `first` is the place and the message of the first one.

    `lines` are their lines, an input each: "log.csv: 2, 5-9".
    """

    code: str
    severity: str
    count: int
    first: str
    lines: list[str]


class Input(_Part, frozen=True, kw_only=True):
    """One input, as it was on disk, and the rows of it that this plan is about.

    `sha256` is the digest of the file, as `sha256sum` prints it. `columns` says in words which column has
    which role.
    """

    name: str
    bytes: int
    sha256: str
    columns: str
    rows: int
    first_line: int
    last_line: int


class LedgerPart(_Part, frozen=True, kw_only=True):
    """The state of the ledger that the plan was made against.

    `last_run` is the number of its last run, and `readings` of its last reading. `calls` were planned for
    this destination. `state` is a digest of all readings and counts, and `readings_known` one of the names of
    the readings: it stays the same when they are continued.
    """

    last_run: int
    readings: int
    calls: int
    state: str
    readings_known: str


class Proof(_Part, frozen=True, kw_only=True):
    """The digests of all calls, see `chain`.

    `sums` are by site: the sum of the digests of its calls modulo 2^256, whatever their order. `chain` is
    over all blocks. A block is [input, first line, last line, rows, calls, digest, bytes].
    """

    sums: dict[str, str]
    chain: str
    blocks: list[tuple[str, int, int, int, int, str, str]]


class ImportPlan(_Part, frozen=True, kw_only=True):
    """All that an import will send.

    `made` is the time when it was made, and `digest` that of all its text but these two. `days` are calls by
    site, and by day or month in UTC. `cost` compares with the plans in km.toml, if it has any.
    """

    format: Literal[1]
    made: str
    km_cli: str
    digest: str
    total: Total
    calls: list[CallsOf] = []
    days: dict[str, dict[str, int]] = {}
    findings: list[Found] = []
    rejects: list[Found] = []
    forecast: dict[str, dict[str, dict[str, int]]] = {}
    cost: dict[str, str] = {}
    inputs: list[Input]
    settings: dict[str, Any]
    ledger: LedgerPart
    proof: Proof
