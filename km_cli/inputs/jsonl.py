"""JSON lines: one object a line. Numbers keep the form they were written in."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from km_cli.errors import InputError
from km_cli.inputs.base import (
    BOM,
    MOST_BLANK,
    OTHER_ENDS,
    Item,
    is_last_open,
    not_text,
    piped,
    shown,
    too_long,
)
from km_cli.inputs.lines import Overlong
from km_cli.model import Gap, Reject, Row

DEEPEST = 100
"""Levels of nesting that an object may have; none that was meant has more."""

_TOO_DEEP = f"nested beyond reason (more than {DEEPEST} levels)"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise ValueError(f"the key {shown(counts.most_common(1)[0][0])} occurs twice in one object")
    return made


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not a number that can be sent")


decode = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=str, parse_float=str, parse_constant=_no_constant
).decode
"""Text → value. Numbers come back as they were written. Raises ValueError with a reason for people."""


class JsonLinesReader:
    """Reads one object a line."""

    tabular = False
    delimiter = ""
    is_open = staticmethod(is_last_open)

    def __init__(
        self,
        source: str,
        lines: Iterator[bytes],
        columns: tuple[str, ...],
        preamble: bytes,
        *,
        line: int,
        encoding: str,
        normalised: defaultdict[str, int],
    ) -> None:
        self.source = source
        self.columns = columns
        self.preamble = preamble
        self._encoding = encoding
        self._normalised = normalised
        self._lines = lines
        self._line = line
        self._at_start = line == 1

    def items(self) -> Iterator[Item]:
        """Yield a Row for every line that is an object, a Reject for any other."""
        blank = b""
        number = self._line - 1
        for raw in self._lines:
            if type(raw) is Overlong and not raw.first:
                yield Gap(bytes(raw))
                continue
            number += 1
            if raw.endswith(OTHER_ENDS):
                self._normalised["line-ends"] = 1
            if raw.isspace() and type(raw) is bytes:
                blank += raw
                self._normalised["blank-lines"] += 1
                if len(blank) > MOST_BLANK:
                    yield Gap(blank)
                    blank = b""
                continue
            yield self._item(number, raw, blank)
            blank = b""
        if blank:
            yield Gap(blank)

    def _item(self, number: int, raw: bytes, blank: bytes) -> Item:
        at_start, self._at_start = self._at_start, False
        place = Row(self.source, number, blank + raw if blank else bytes(raw), None)
        if type(raw) is Overlong:
            return Reject(place, "record-too-long", too_long(raw))
        try:
            values = parse_object(raw)
        except UnicodeDecodeError:
            return Reject(place, *not_text(self._encoding))
        except RecursionError:
            return Reject(place, "too-deep", _TOO_DEEP)
        except ValueError as error:
            if at_start and raw.removeprefix(BOM).lstrip().startswith(b"["):
                raise array_error(self.source) from None
            return Reject(place, "bad-json", str(error))
        return place._replace(values=values)


def parse_object(raw: bytes) -> dict[str, Any]:
    """Return the object that one line holds; raises ValueError if it holds anything else.

    Raises RecursionError for one that is nested more than DEEPEST levels.
    """
    text = raw.decode("utf-8-sig").strip()
    try:
        values = decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg[:1].lower()}{error.msg[1:]}, column {error.colno}") from None
    if not isinstance(values, dict):
        raise ValueError(f"not a JSON object but {shown(text)}")
    if text.count("{") + text.count("[") > DEEPEST:
        _check_depth(values)
    if "\\u" in text:
        _check_escapes(values)
    return values


def _check_depth(values: dict[str, Any]) -> None:
    level: list[Any] = [values]
    for _ in range(DEEPEST):
        level = [
            inner
            for value in level
            for inner in (value.values() if isinstance(value, dict) else value)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise RecursionError(_TOO_DEEP)


def _check_escapes(values: dict[str, Any]) -> None:
    """Raise ValueError for what only an escape can bring in: a lone surrogate, a NUL."""
    whole = json.dumps(values, ensure_ascii=False)
    try:
        whole.encode()
    except UnicodeEncodeError:
        raise ValueError("it has half of a surrogate pair, which is no character") from None
    # Pairs of backslashes are backslashes that were meant.
    if "\\u0000" in whole.replace("\\\\", ""):
        raise ValueError("it has a NUL character")


def array_error(source: str) -> InputError:
    """Return the error for an input that is one JSON array."""
    return InputError(
        f"{source} is one JSON array, not one object a line",
        f"""turn it into JSON lines: {piped(source, "jq -c '.[]'")} > lines.jsonl""",
    )
