"""JSON lines: one object a line. Numbers keep the form they were written in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, ClassVar

from km_cli.errors import InputError
from km_cli.inputs.base import (
    BOM,
    MOST_BLANK,
    OTHER_ENDS,
    Format,
    Item,
    Layout,
    Text,
    is_last_open,
    not_text,
    too_long,
)
from km_cli.inputs.envelope import envelope_error, is_envelope, key_of_rows
from km_cli.inputs.keys import keys_of
from km_cli.inputs.lines import Overlong
from km_cli.inputs.messages import excerpt, shell_command
from km_cli.inputs.octal import without_octal
from km_cli.json_text import TOO_DEEP, check_value, parse_json
from km_cli.model import Gap, Reject, Row


class JsonLines(Format):
    """JSON lines, by any ending."""

    name = "jsonl"
    words: ClassVar[Mapping[str, str]] = {"jsonl": "", "ndjson": ""}
    delimiters = ("",)

    def recognises(self, beginning: bytes) -> bool:
        """Tell whether an object or an array comes first. The error for an array says how to convert it."""
        return beginning[:1] in (b"{", b"[")

    def layout(self, text: Text) -> Layout:
        """Return the keys of the first objects, nested ones dotted. Raises InputError if there are none."""
        columns, regular = keys_of(text.head, _paths, self.longest_line)
        if key := key_of_rows(text.head):
            _check_rows(text.source, text.head, key, has_rows=bool(columns))
        if not columns and text.head.removeprefix(BOM).strip():
            raise text.broken or _no_objects(text.source, text.head)
        return Layout(columns, regular)

    def reader(self, text: Text, layout: Layout) -> JsonLinesReader:
        """Return the reader of one object a line."""
        return JsonLinesReader(text, layout)

    def parse_record(
        self,
        raw: bytes,
        columns: tuple[str, ...],  # noqa: ARG002 - an object names its own columns
        delimiter: str,  # noqa: ARG002 - it has none
    ) -> dict[str, Any]:
        """Return the object."""
        return parse_object(raw)

    def write_record(self, values: Any, columns: tuple[str, ...], delimiter: str) -> bytes:  # noqa: ARG002
        """Return the object on one line. Numbers are texts there, which are read as the same values."""
        return json.dumps(values, ensure_ascii=False).encode() + b"\n"


class JsonLinesReader:
    """Reads one object a line."""

    is_open = staticmethod(is_last_open)

    def __init__(self, text: Text, layout: Layout) -> None:
        self.columns = layout.columns
        self.preamble = layout.preamble
        self._source = text.source
        self._encoding = text.encoding
        self._normalised = text.normalised
        self._lines = text.lines
        self._line = layout.line
        self._at_start = layout.line == 1

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
        place = Row(self._source, number, blank + raw if blank else bytes(raw), None)
        if type(raw) is Overlong:
            return Reject(place, "record-too-long", too_long(raw))
        try:
            values = parse_object(raw, self._normalised)
        except UnicodeDecodeError:
            return Reject(place, *not_text(self._encoding))
        except RecursionError:
            return Reject(place, "too-deep", TOO_DEEP)
        except ValueError as error:
            if at_start and raw.removeprefix(BOM).lstrip().startswith(b"["):
                raise _array_error(self._source) from None
            return Reject(place, "bad-json", str(error))
        return place._replace(values=values)


def parse_object(raw: bytes, normalised: dict[str, int] | None = None) -> dict[str, Any]:
    """Return the object that one line holds; raises ValueError if it holds anything else.

    Raises RecursionError for one that is nested more than DEEPEST levels. A row of
    Kissmetrics may have octal escapes, and its line is counted then.
    """
    text = raw.decode("utf-8-sig").strip()
    try:
        values = parse_json(text)
    except ValueError:
        plain = without_octal(text)
        if plain == text:
            raise
        values = parse_object(plain.encode())
        if _PERSON not in values:
            raise
        if normalised is not None:
            normalised["octal-escapes"] = normalised.get("octal-escapes", 0) + 1
    if not isinstance(values, dict):
        raise ValueError(f"not a JSON object but {excerpt(text)}")
    check_value(values, text)
    return values


def _check_rows(source: str, head: bytes, key: str, *, has_rows: bool) -> None:
    """Raise InputError if an input is one object with its rows in a list, on one line or on several."""
    first = head.split(b"\n", 1)[0]
    is_envelope_of_rows = not has_rows or first.removeprefix(BOM).strip() == b"{"
    with suppress(ValueError, RecursionError):
        is_envelope_of_rows = is_envelope(parse_object(first), key)
    if is_envelope_of_rows:
        raise envelope_error(source, key)


def _array_error(source: str) -> InputError:
    """Return the error for an input that is one JSON array."""
    return InputError(
        f"{source} is one JSON array, not one object a line",
        f"""turn it into JSON lines: {shell_command(source, "jq -c '.[]'")} > lines.jsonl""",
    )


def _no_objects(source: str, head: bytes) -> InputError:
    if head.removeprefix(BOM).lstrip().startswith(b"["):
        return _array_error(source)
    return InputError(
        f"{source}: none of its first lines is a JSON object with a key",
        f"JSON lines have one whole object a line: {shell_command(source, 'jq -c .')} > lines.jsonl",
    )


def _paths(raw: bytes) -> list[str]:
    return list(_dotted(parse_object(raw)))


def _dotted(values: dict[str, object], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _dotted(value, f"{prefix}{key}.")
        else:
            yield prefix + key


_PERSON = "_p"
"""The key that every row of Kissmetrics has. In any other log, an octal escape is a mistake."""

JSON_LINES = JsonLines()
