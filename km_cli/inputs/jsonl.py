"""JSON lines: one object a line. Numbers keep the form they were written in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from km_cli.errors import InputError
from km_cli.inputs.base import Item
from km_cli.inputs.lines import Overlong
from km_cli.model import Gap, Reject, Row


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} occurs twice in one object")
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

    def __init__(
        self, source: str, lines: Iterator[bytes], columns: tuple[str, ...], preamble: bytes, *, line: int
    ) -> None:
        self.source = source
        self.columns = columns
        self.preamble = preamble
        self._lines = lines
        self._line = line

    def items(self) -> Iterator[Item]:
        """Yield a Row for every line that is an object, a Reject for any other."""
        blank = b""
        number = self._line - 1
        for raw in self._lines:
            if type(raw) is Overlong and not raw.first:
                yield Gap(bytes(raw))
                continue
            number += 1
            if raw.isspace():
                blank += raw
                continue
            yield self._item(number, raw, blank)
            blank = b""
        if blank:
            yield Gap(blank)

    def _item(self, number: int, raw: bytes, blank: bytes) -> Item:
        place = Row(self.source, number, blank + raw if blank else raw, None)
        if type(raw) is Overlong:
            reason = f"a record over 1 MiB; only its first {len(raw):,} bytes are kept"
            return Reject(place, "record-too-long", reason)
        try:
            values = parse_object(raw)
        except UnicodeDecodeError:
            return Reject(place, "invalid-utf8", "not valid UTF-8")
        except RecursionError:
            return Reject(place, "too-deep", "nested beyond reason")
        except ValueError as error:
            if raw.lstrip(b"\xef\xbb\xbf \t").startswith(b"[") and number == 1:
                raise _array(self.source) from None
            return Reject(place, "bad-json", str(error))
        return place._replace(values=values)


def parse_object(raw: bytes) -> dict[str, Any]:
    """Return the object that one line holds; raises ValueError if it holds anything else."""
    text = raw.decode("utf-8-sig").strip()
    values = decode(text)
    if not isinstance(values, dict):
        raise ValueError(f"not a JSON object but {text[:40]!r}")
    if "\\u" in text:
        _check_escapes(values)
    if "\0" in text:
        raise ValueError("it has a NUL byte")
    return values


def _check_escapes(values: dict[str, Any]) -> None:
    """Raise ValueError for what only an escape can bring in: a lone surrogate, a NUL."""
    whole = json.dumps(values, ensure_ascii=False)
    try:
        whole.encode()
    except UnicodeEncodeError:
        raise ValueError("it has half of a surrogate pair, which is no character") from None
    if "\\u0000" in whole:
        raise ValueError("it has a NUL character")


def _array(source: str) -> InputError:
    return InputError(
        f"{source} is one JSON array, not one object a line",
        f"turn it into JSON lines: jq -c '.[]' {source} > lines.jsonl",
    )
