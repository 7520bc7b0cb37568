"""Lines of the export (W6, W7) as digests: those by which the ledger knows people, events and properties."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from km_cli.model import NO_EVENT
from km_cli.planning.fingerprints import Fingerprints
from km_cli.verify.export.files import ExportError, open_lines

_LONG = 512
"""Characters from which on Kissmetrics may cut a value (D5, the newer page)."""

_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)
_HINT = "name the files of a data export of Kissmetrics: JSON, one record a line with _p and _t"


class ExportRecord(NamedTuple):
    """A record of the export, at `line` of its file. `second` is in UTC Unix time.

    `event` and `other` are "" if it records no event and is no alias. `pairs` and `loose` are as in a
    HeldRecord.
    """

    line: int
    second: int
    identity: str
    event: str
    other: str
    pairs: bytes
    loose: bytes


class RecordReader:
    """Reads the files of an export. It digests properties as planning does."""

    def __init__(self, fingerprints: Fingerprints) -> None:
        self._fingerprints = fingerprints
        self._pair = lru_cache(maxsize=1 << 16)(self._digest_pair)
        self._decode = msgspec.json.Decoder(dict[str, Any]).decode

    def records(self, name: str) -> Iterator[ExportRecord]:
        """Yield the records of a file. Raises ExportError with the place of a line that is no record."""
        for line, text in open_lines(name):
            if not text.strip():
                continue
            try:
                yield self._record(line, self._decode(text))
            except (msgspec.DecodeError, ValueError, UnicodeError, RecursionError) as error:
                raise ExportError(
                    f"{name}, line {line:,}: not a record of an export: {error}", _HINT
                ) from None

    def _record(self, line: int, values: dict[str, Any]) -> ExportRecord:
        """Return the record with these values. Raises ValueError."""
        pairs: list[bytes] = []
        loose: list[bytes] = []
        for name, value in values.items():
            if name.startswith("_") or value is None or value == "":
                continue
            text = value if type(value) is str else _text_of(value)
            pair = self._pair(name, text)
            pairs.append(pair)
            if type(value) is not str or len(text) >= _LONG:
                loose.append(pair[:4])
        return ExportRecord(
            line,
            _second(values.get("_t")),
            _name(values, "_p", is_needed=True),
            _name(values, "_n"),
            _name(values, "_p2"),
            b"".join(pairs),
            b"".join(loose),
        )

    def _digest_pair(self, name: str, text: str) -> bytes:
        return self._fingerprints.digest_name(name) + self._fingerprints.digest_value(name, text)[:4]

    def event_of(self, record: ExportRecord) -> bytes:
        """Return the digest of a record's event."""
        return self._fingerprints.digest_event(record.event) if record.event else NO_EVENT


def _text_of(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _second(value: object) -> int:
    """Return a time. Raises ValueError."""
    text = str(int(value)) if isinstance(value, float) else str(value)
    if isinstance(value, bool) or not _INTEGER.fullmatch(text):
        raise ValueError("its _t is not a time in whole seconds")
    return int(text)


def _name(values: dict[str, Any], key: str, *, is_needed: bool = False) -> str:
    """Return an identity or the name of an event, "" if there is none. Raises ValueError."""
    value = values.get(key)
    text = "" if value is None else value if isinstance(value, str) else _text_of(value)
    if isinstance(value, (dict, list)) or (is_needed and not text):
        raise ValueError(f"its {key} is {'missing' if not text else 'not a text'}")
    return text
