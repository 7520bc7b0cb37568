"""What must arrive at Kissmetrics for a log under the strategy `toggle`, worked out naively and in memory.

A second reading of design.md, kissmetrics.md and bad-input.md that shares nothing with the product. It knows
rows that are sent, rejected or known already; it does not know what stops a run before it starts (X).
"""

import csv
import io
import json
import re
import time
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from datetime import timezone as offset_of
from email.utils import parsedate_to_datetime
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

Fields = dict[str, Any]
Pair = tuple[str, str]
Paths = str | Path | Sequence[str | Path]

PLACEHOLDERS = {"null", "none", "undefined", "anonymous", "guest", "-", "n/a", "missing"}
FIRST = int(datetime(2009, 1, 1, tzinfo=UTC).timestamp())
DAY = 86_400
RECORD_BYTES = 1 << 20
VALUE_BYTES = 8_192
NAME_LENGTH = 255
KEPT = 1_000

_HIDDEN = re.compile("[\u200b-\u200f\u2060\ufeff\u061c\u202a-\u202e\u2066-\u2069]")
_NUMBER = re.compile(r"[+-]?\d{1,40}(\.\d{0,40})?([eE][+-]?\d{1,3})?", re.ASCII)
_ISO = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)"
    r"([Tt ](?P<hour>\d\d):(?P<minute>\d\d)(:(?P<second>\d\d)([.,](?P<part>\d{1,40}))?)?)?"
    r" ?(?P<zone>[Zz]|[+-]\d\d(:?\d\d)?)?",
    re.ASCII,
)
_RFC_2822 = re.compile(
    r"([A-Za-z]{3},\s*)?\d{1,2}\s+[A-Za-z]{3}\s+\d{4}\s+\d\d:\d\d(:\d\d)?\s+([+-]\d{4}|GMT|UT)"
)


class BadRowError(Exception):
    """This row gives no calls; the message says why."""


class StopError(Exception):
    """The whole run stops here (X in bad-input.md)."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that gave nothing (`persona` is None), or the part of a row that is still owed."""

    source: str
    line: int
    """Where the row begins, from 1."""
    reason: str
    persona: str | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """All that the oracle says about the files."""

    calls: list[dict[str, str]]
    """Decoded wire parameters, in order."""
    rejected: list[Rejected]
    """Rows rejected whole."""
    owed: list[Rejected]
    """Parts of rows that found no second, or whose id is known with another deed."""
    rows: int
    repeated: int
    """Calls that were known already, alike in everything (or by their id)."""
    moved: int
    """Calls sent at another second than their own."""
    merging: int
    """Calls sent although one of their property values will be lost (D2)."""

    @property
    def lines(self) -> list[int]:
        """Line numbers of the rows rejected whole."""
        return [row.line for row in self.rejected]


@dataclass(frozen=True, slots=True)
class Mapping:
    """Which columns mean what; None: there is no such column."""

    user: str | None
    account: str | None
    event: str
    timestamp: str
    properties: list[str] | None = None
    id: str | None = None
    timezone: str | None = None

    @property
    def used(self) -> set[str]:
        """Columns that aren't properties by default."""
        named = (self.user, self.account, self.event, self.timestamp, self.id)
        return {name for name in named if name is not None}


@dataclass(frozen=True, slots=True)
class Call:
    """One persona's part of one row, before a second is chosen."""

    source: str
    line: int
    persona: str
    identity: str
    actor: str
    event: str
    moment: Fraction
    properties: tuple[Pair, ...]
    id: str
    cells: frozenset[Pair] = frozenset()
    """All columns of the row that are not blank."""
    id_column: str = ""

    @property
    def deed(self) -> tuple[str, str, str, str, Fraction]:
        """Who did what when."""
        return self.persona, self.identity, self.actor, fold(self.event), self.moment

    @property
    def alike(self) -> tuple[object, ...]:
        """Two calls with the same are one: those of rows that are alike in every column."""
        return self.deed, self.cells

    def is_like(self, other: "Call") -> bool:
        """Whether the rows of two calls are alike, but for an id that one of them lacks."""
        if self.id and other.id:
            return self.cells == other.cells
        return self._without_id() == other._without_id()

    def _without_id(self) -> set[Pair]:
        return {pair for pair in self.cells if pair[0] != self.id_column}

    @property
    def values(self) -> frozenset[Pair]:
        """The properties, whatever their order and the case of their names."""
        return frozenset((fold(name), value) for name, value in self.properties)

    def at(self, second: int) -> dict[str, str]:
        """What is on the wire (W2)."""
        wire = {"_p": self.identity, "_n": self.event, "_t": str(second), "_d": "1"}
        return wire | dict(self.properties)


def fold(name: str) -> str:
    """The form in which Kissmetrics compares names (D4)."""
    return fold_id(name).casefold()


def fold_id(identity: str) -> str:
    """The form in which Kissmetrics might compare identities (D4): their case counts."""
    return identity.replace(",", " ").replace(":", " ")


# --- files ---


def rows(path: Path, mapping: Mapping) -> Iterator[tuple[int, Fields | str]]:
    """Line number and fields of every row, or what is wrong with it. Blank lines are no rows."""
    data = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    if re.search(r"\.(jsonl|ndjson)(\.|$)", path.name):
        return _json_rows(data)
    return _csv_rows(data, "\t" if path.suffix == ".tsv" else None, mapping)


def _json_rows(data: bytes) -> Iterator[tuple[int, Fields | str]]:
    for line, raw in enumerate(re.split(rb"\r\n|\n|\r", data), start=1):
        if raw.strip():
            try:
                yield line, _json_fields(raw)
            except (BadRowError, ValueError, RecursionError) as error:
                yield line, str(error) or "no JSON"


def _json_fields(raw: bytes) -> Fields:
    if len(raw) > RECORD_BYTES:
        raise BadRowError("record over 1 MiB")
    value = json.loads(
        raw.decode(), parse_int=str, parse_float=str, parse_constant=_no_number, object_pairs_hook=_object
    )
    if not isinstance(value, dict):
        raise BadRowError("no object")
    _check_texts(_texts(value))
    return value


def _no_number(text: str) -> str:
    raise BadRowError(f"{text} is no number")


def _object(pairs: list[tuple[str, Any]]) -> Fields:
    if len(dict(pairs)) < len(pairs):
        raise BadRowError("duplicate keys")
    return dict(pairs)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value


def _check_texts(texts: Iterable[str]) -> None:
    for text in texts:
        if "\0" in text:
            raise BadRowError("NUL")
        if re.search("[\ud800-\udfff]", text):
            raise BadRowError("invalid UTF-8 or a lone surrogate")


def _csv_rows(data: bytes, delimiter: str | None, mapping: Mapping) -> Iterator[tuple[int, Fields | str]]:
    text = data.decode(errors="surrogateescape")
    found = _csv_records(text, delimiter or _delimiter(text))
    header: list[str] | None = None
    for line, size, cells in found:
        if header is None:
            header = cells
            _check_header(header, mapping)
            continue
        try:
            yield line, _csv_fields(header, cells, size)
        except BadRowError as error:
            yield line, str(error)


def _check_header(header: list[str], mapping: Mapping) -> None:
    """A header that does not fit stops the run."""
    folded = [name.casefold() for name in header]
    if len(set(folded)) < len(folded) or not all(name.strip() for name in header):
        raise StopError("two headers alike, or an empty one")
    if missing := (mapping.used | set(mapping.properties or ())) - set(header):
        raise StopError(f"no column {sorted(missing)}")
    for name in mapping.properties or set(header) - mapping.used:
        try:
            _check_property(name, "")
        except BadRowError as error:
            raise StopError(str(error)) from error


def _delimiter(text: str) -> str:
    header = re.split("[\r\n]", text.lstrip("\r\n"), maxsplit=1)[0]
    return max(",;\t|", key=header.count)


def _csv_records(text: str, delimiter: str) -> list[tuple[int, int, list[str]]]:
    """First line, size in bytes and cells of every record but the blank ones."""
    lines = list(io.StringIO(text, newline=""))
    before = csv.field_size_limit(1 << 40)
    try:
        reader = csv.reader(lines, delimiter=delimiter)
        records, start = [], 0
        for cells in reader:
            raw = "".join(lines[start : reader.line_num])
            records.append((start + 1, len(raw.encode(errors="surrogateescape")), cells))
            start = reader.line_num
    finally:
        csv.field_size_limit(before)
    return [record for record in records if record[2]]


def _csv_fields(header: list[str], cells: list[str], size: int) -> Fields:
    if size > RECORD_BYTES:
        raise BadRowError("record over 1 MiB")
    if len(cells) != len(header):
        raise BadRowError(f"{len(cells)} fields instead of {len(header)}")
    _check_texts(cells)
    return dict(zip(header, cells, strict=True))


# --- rows ---


def parts(fields: Fields, mapping: Mapping, source: str, line: int, now: float) -> list[Call]:
    """The user's call, then the account's; a persona without an id has none."""
    user, account = (_identity(fields, name) for name in (mapping.user, mapping.account))
    if not user and not account:
        raise BadRowError("no id")
    if user and account and fold_id(user) == fold_id(account):
        raise BadRowError("one id as user and as account")
    event = _text(_look(fields, mapping.event))
    if not event.strip():
        raise BadRowError("no event")
    if len(event) > NAME_LENGTH:
        raise BadRowError("event name over 255 characters")
    moment = _moment(_look(fields, mapping.timestamp), mapping.timezone)
    if not FIRST <= moment <= Fraction(now) + DAY:
        raise BadRowError("time out of range")
    properties = tuple(_properties(fields, mapping))
    key = _text(_look(fields, mapping.id)).strip() if mapping.id else ""
    cells = frozenset(_leaves(fields))
    return [
        Call(
            source,
            line,
            persona,
            identity,
            user,
            event,
            moment,
            properties,
            key,
            cells,
            mapping.id or "",
        )
        for persona, identity in (("user", user), ("account", account))
        if identity
    ]


def _leaves(fields: Fields, prefix: str = "") -> Iterator[Pair]:
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        elif value is not None and str(value).strip():
            yield prefix + name, json.dumps(value) if isinstance(value, list) else _text(value)


def _look(fields: Fields, name: str) -> object:
    """The value of a column; a dotted name reaches into nested objects."""
    if name in fields:
        return fields[name]
    first, _, rest = name.partition(".")
    inner = fields.get(first)
    return _look(inner, rest) if rest and isinstance(inner, dict) else None


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    raise BadRowError("nested JSON value")


def _identity(fields: Fields, name: str | None) -> str:
    identity = _text(_look(fields, name)).strip() if name else ""
    if identity.casefold() in PLACEHOLDERS:
        raise BadRowError(f"{identity} is nobody's id")
    if len(identity) > NAME_LENGTH:
        raise BadRowError("id over 255 characters")
    if _HIDDEN.search(identity) or any(unicodedata.category(letter) == "Cc" for letter in identity):
        raise BadRowError("control, zero-width or bidirectional characters in an id")
    return identity


def _properties(fields: Fields, mapping: Mapping) -> Iterator[Pair]:
    if mapping.properties is None:
        found = list(_unused(fields, mapping.used))
    else:
        found = [(name, _look(fields, name)) for name in mapping.properties]
    for name, value in found:
        text = _text(value)
        _check_property(name, text)
        if text:
            yield name, text


def _unused(fields: Fields, used: set[str]) -> Iterator[tuple[str, object]]:
    """What no name in `used` reaches, nested objects that are used up left out."""
    for name, value in fields.items():
        if name in used:
            continue
        inner = {other.removeprefix(f"{name}.") for other in used if other.startswith(f"{name}.")}
        if inner and isinstance(value, dict):
            left = dict(_unused(value, inner))
            if left:
                yield name, left
        else:
            yield name, value


def _check_property(name: str, value: str) -> None:
    if not name.strip() or len(name) > NAME_LENGTH:
        raise BadRowError("empty property name, or one over 255 characters")
    if name.startswith("_") or fold(name) == "customer id" or fold(name).startswith("km_"):
        raise BadRowError(f"{name} is reserved")
    if len(value.encode()) > VALUE_BYTES:
        raise BadRowError("value over 8,192 bytes")


def _moment(value: object, timezone: str | None) -> Fraction:
    """Seconds since 1970, with all the digits there are."""
    if isinstance(value, bool):
        raise BadRowError("not a time")
    text = _text(value).strip()
    if _NUMBER.fullmatch(text):
        return _epoch(Fraction(text.removesuffix(".")))
    try:
        if match := _ISO.fullmatch(text):
            return _iso(match, timezone)
        if _RFC_2822.fullmatch(text):
            return Fraction(int(parsedate_to_datetime(text).timestamp()))
    except (ValueError, OverflowError) as error:
        raise BadRowError("not a time") from error
    raise BadRowError("no time" if not text else "not a time")


def _epoch(number: Fraction) -> Fraction:
    """Seconds, milli-, micro- or nanoseconds by magnitude; what is none of them is out of range later."""
    for limit, unit in ((10**11, 1), (10**14, 10**3), (10**17, 10**6)):
        if number < limit:
            return number / unit
    return number / 10**9


def _iso(match: re.Match[str], timezone: str | None) -> Fraction:
    part = match["part"] or "0"
    second = min(int(match["second"] or 0), 59) if match["second"] == "60" else int(match["second"] or 0)
    wall = datetime.fromisoformat(match["date"]).replace(
        hour=int(match["hour"] or 0), minute=int(match["minute"] or 0), second=second
    )
    zone = match["zone"]
    moment = _local(wall, timezone) if zone is None else wall.replace(tzinfo=_offset(zone))
    return Fraction(int(moment.timestamp())) + Fraction(int(part), 10 ** len(part))


def _offset(zone: str) -> offset_of:
    if zone in "Zz":
        return UTC
    digits = zone[1:].replace(":", "").ljust(4, "0")
    away = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return offset_of(-away if zone[0] == "-" else away)


def _local(wall: datetime, timezone: str | None) -> datetime:
    """A local time that exists once."""
    if timezone is None:
        raise StopError("no offset and no zone")
    zone = ZoneInfo(timezone)
    early, late = (wall.replace(tzinfo=zone, fold=turn).astimezone(UTC) for turn in (0, 1))
    if early != late:
        raise BadRowError("a local time that does not exist or happens twice")
    return early


# --- files in order ---


@dataclass
class Memory:
    """What is known of earlier files, and what stands in every second."""

    spread: int
    owners: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Folded id → the persona and the id it was first seen as."""
    deeds: dict[tuple[object, ...], list[Call]] = field(default_factory=lambda: defaultdict(list))
    ids: dict[tuple[str, str], Call] = field(default_factory=dict)
    """(persona, `--id`) → the call."""
    events: set[tuple[str, str, int]] = field(default_factory=set)
    values: dict[tuple[str, str, int], set[str]] = field(default_factory=lambda: defaultdict(set))

    def admit(self, calls: list[Call]) -> None:
        """Refuse a row whose id is another persona's, or folds to another id (I2, D4)."""
        for call in calls:
            if self.owners.get(fold_id(call.identity), (call.persona, call.identity)) != (
                call.persona,
                call.identity,
            ):
                raise BadRowError("two ids that would be one")
        self.owners |= {fold_id(call.identity): (call.persona, call.identity) for call in calls}

    def second(self, call: Call) -> int | None:
        """The first second that is free of D1 and D2, else of D1, else None (promise 6)."""
        own = call.moment.__floor__()
        free = [
            second
            for second in range(own, own + self.spread + 1)
            if (call.identity, fold(call.event), second) not in self.events
        ]
        return next((second for second in free if not self.loses(call, second)), free[0] if free else None)

    def loses(self, call: Call, second: int) -> bool:
        """Whether another value of one of the call's properties stands in this second (D2)."""
        return any(
            self.values.get((call.identity, name, second), {value}) != {value} for name, value in call.values
        )

    def take(self, call: Call, second: int) -> None:
        """Put the call into its second."""
        self.events.add((call.identity, fold(call.event), second))
        for name, value in call.values:
            self.values[call.identity, name, second].add(value)

    def learn(self, calls: Iterable[Call]) -> None:
        """A file is done: from now on its calls are known."""
        for call in calls:
            self.deeds[call.deed].append(call)
            if call.id:
                self.ids[call.persona, call.id] = call


def known(calls: list[Call], memory: Memory) -> dict[tuple[object, ...], str]:
    """Which of a file's calls earlier files have: "repeated", "changed" or "clash", by `alike`."""
    unique = list({call.alike: call for call in calls}.values())
    claimed: set[int] = set()
    fates: dict[tuple[object, ...], str] = {}
    for call in unique:
        if before := memory.ids.get((call.persona, call.id)) if call.id else None:
            claimed.add(id(before))
            fates[call.alike] = "repeated" if before.deed == call.deed else "clash"
    for call in unique:
        match = None if call.alike in fates else _match(call, memory, claimed)
        if match is not None:
            claimed.add(id(match))
            fates[call.alike] = "repeated"
            if call.id:
                memory.ids[call.persona, call.id] = match
    return fates


def _match(call: Call, memory: Memory, claimed: set[int]) -> Call | None:
    """A call of an earlier file with the same deed, of a row that is alike, that nothing was matched with."""
    for before in memory.deeds.get(call.deed, ()):
        apart = bool(call.id and before.id)  # two ids are two calls
        if id(before) not in claimed and not apart and before.is_like(call):
            return before
    return None


@dataclass
class _Run:
    """The oracle at work: one list for each thing that it counts."""

    mapping: Mapping
    memory: Memory
    now: float
    across_rows: bool
    calls: list[dict[str, str]] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    owed: list[Rejected] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def file(self, path: Path) -> None:
        calls = [
            call for line, fields in rows(path, self.mapping) for call in self.row(str(path), line, fields)
        ]
        fates = known(calls, self.memory)
        sent: dict[tuple[object, ...], Call] = {}
        ids: dict[tuple[str, str], Call] = {}
        for call in calls:
            fate = fates.get(call.alike) or self.within(call, sent, ids) or self.send(call)
            self.counts[fate] += 1
            if fate == "sent":
                sent[call.alike] = call
                if call.id:
                    ids[call.persona, call.id] = call
            elif fate in ("clash", "full"):
                self.owed.append(Rejected(call.source, call.line, fate, call.persona))
        self.memory.learn(sent.values())

    def row(self, source: str, line: int, fields: Fields | str) -> list[Call]:
        self.counts["rows"] += 1
        try:
            if isinstance(fields, str):
                raise BadRowError(fields)
            calls = parts(fields, self.mapping, source, line, self.now)
            if self.across_rows:
                self.memory.admit(calls)
        except BadRowError as error:
            self.rejected.append(Rejected(source, line, str(error)))
            return []
        return calls

    @staticmethod
    def within(
        call: Call, sent: dict[tuple[object, ...], Call], ids: dict[tuple[str, str], Call]
    ) -> str | None:
        """What this very file says about the call: sent before, or its id was used for something else."""
        if before := ids.get((call.persona, call.id)) if call.id else None:
            return "repeated" if before.deed == call.deed else "clash"
        return "repeated" if call.alike in sent else None

    def send(self, call: Call) -> str:
        second = self.memory.second(call)
        if second is None:
            return "full"
        self.counts["moved"] += second != call.moment.__floor__()
        self.counts["merging"] += self.memory.loses(call, second)
        self.memory.take(call, second)
        self.calls.append(call.at(second))
        return "sent"


def judged(
    path_or_paths: Paths,
    *,
    user: str | None,
    account: str | None,
    event: str,
    timestamp: str,
    properties: list[str] | None = None,
    id: str | None = None,  # noqa: A002  the option's name
    timezone: str | None = None,
    spread: int = 60,
    now: float | None = None,
    across_rows: bool = True,
) -> Judgement:
    """All calls that must arrive and all that must not.

    `properties`: None for every column not named elsewhere. `now`: Unix seconds, for what lies ahead.
    `across_rows`: also reject rows whose id an earlier row used as the other persona, or that folds to
    another id (bad-input.md); a single row with one id as both is rejected in any case.
    """
    paths = [path_or_paths] if isinstance(path_or_paths, str | Path) else list(path_or_paths)
    mapping = Mapping(user, account, event, timestamp, properties, id, timezone)
    run = _Run(mapping, Memory(spread), time.time() if now is None else now, across_rows)
    for path in paths:
        run.file(Path(path))
    return Judgement(
        run.calls,
        run.rejected,
        run.owed,
        **{name: run.counts[name] for name in ("rows", "repeated", "moved", "merging")},
    )


def expected(
    path_or_paths: Paths,
    *,
    user: str | None,
    account: str | None,
    event: str,
    timestamp: str,
    properties: list[str] | None = None,
    id: str | None = None,  # noqa: A002  the option's name
    timezone: str | None = None,
    spread: int = 60,
) -> list[dict[str, str]]:
    """The decoded wire parameters of every call that must arrive, in order; see `judged`."""
    return judged(
        path_or_paths,
        user=user,
        account=account,
        event=event,
        timestamp=timestamp,
        properties=properties,
        id=id,
        timezone=timezone,
        spread=spread,
    ).calls


def merged(calls: Iterable[dict[str, str]]) -> set[tuple[str | int, ...]]:
    """What Kissmetrics keeps: (person, event, second) and (person, property, second, value), names folded.

    Of each event and each property of a person those of the last 1,000 seconds that have it (D7).
    """
    events: dict[Pair, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    values: dict[Pair, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for call in calls:
        person, second = call["_p"], int(call["_t"])
        if "_n" in call:
            events[person, fold(call["_n"])][second].add("")
        for name, value in call.items():
            if not name.startswith("_"):
                values[person, fold(name)][second].add(value)
    kept: set[tuple[str | int, ...]] = set()
    for (person, name), seconds in events.items():
        kept |= {(person, name, second) for second in sorted(seconds)[-KEPT:]}
    for (person, name), seconds in values.items():
        for second in sorted(seconds)[-KEPT:]:
            kept |= {(person, name, second, value) for value in seconds[second]}
    return kept
