"""One line of a rejects file: written for people to correct, and parsed again."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any

from km_cli.inputs.base import BOM
from km_cli.inputs.delimited_header import DELIMITERS
from km_cli.inputs.formats import format_with
from km_cli.inputs.jsonl import parse_object
from km_cli.model import Origin, Reject, Row

_KEY = "km_cli_reject"

BEGINNING = b'{"%s"' % _KEY.encode()
"""The first bytes of every line that km-cli writes. Another program may put the key in another place."""

UNSEEN = {
    code: f"\\u{code:04x}"
    for code in (
        *range(0x7F, 0xA0),
        *(0xAD, 0x034F, 0xFEFF),
        *range(0x200B, 0x2010),
        *range(0x2028, 0x202F),
        *range(0x2060, 0x2070),
        *range(0xFE00, 0xFE10),
    )
}
"""JSON escapes for characters that control a terminal, end a line in an editor, or are invisible."""

_IS_REJECT = re.compile(rb'\s*\{.{0,4096}?"km_cli_reject"\s*:\s*1\b')


def is_reject(text: bytes) -> bool:
    """Tell whether the first line of this text is a line of a rejects file."""
    return _IS_REJECT.match(text.removeprefix(BOM).lstrip().partition(b"\n")[0]) is not None


def format_reject(reject: Reject, origin: Origin) -> bytes:
    """Return the line of the rejects file. A person corrects `raw`; the other keys give the row's origin.

    `origin` is that of the reading in which the row was read. A corrected reject keeps the one that it has.
    """
    row = reject.row
    origin = row.origin or origin
    line: dict[str, Any] = {
        _KEY: 1,
        "source": row.source,
        "line": row.line,
        "reason": reject.reason,
        "code": reject.code,
    }
    if owed := reject.owed or origin.owed:
        line["owed"] = list(owed)
    line["reading"] = origin.reading
    line["columns"] = list(origin.columns) if origin.delimiter else None
    if origin.delimiter not in ("", ","):
        line["delimiter"] = origin.delimiter
    raw = row.raw.lstrip(b"\r\n")
    try:
        line["raw"] = raw.decode()
    except UnicodeDecodeError:
        line["raw_b64"] = base64.b64encode(raw).decode()
    return json.dumps(line, ensure_ascii=False).translate(UNSEEN).encode() + b"\n"


def parse_reject(raw: bytes) -> Row:
    """Return the row that a line holds, its values not read yet. Raises ValueError if the line holds none."""
    line = parse_object(raw)
    if line.get(_KEY) != "1":
        raise ValueError(f"it has no {_KEY!r}")
    number = str(line.get("line", ""))
    if not (number.isdecimal() and len(number) < 16):
        raise ValueError("its `line` is not the number of a line")
    return Row(str(line.get("source", "")), int(number), _record(line), None, origin_of(line))


def parse_origin(raw: bytes) -> Origin:
    """Return where the row of a line comes from. Raises ValueError."""
    return origin_of(parse_object(raw))


def origin_of(line: dict[str, Any]) -> Origin:
    """Return the origin that the keys of a reject say. Raises ValueError."""
    delimiter = "" if line.get("columns") is None else line.get("delimiter", ",")
    if not isinstance(delimiter, str) or format_with(delimiter) is None:
        raise ValueError(f"its `delimiter` is not one of {', '.join(DELIMITERS.values())}")
    columns = _names(line, "columns")
    return Origin(str(line.get("reading", "")), _names(line, "owed"), columns, delimiter)


def _names(line: dict[str, Any], key: str) -> tuple[str, ...]:
    names = line.get(key)
    if names is None:
        return ()
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"its `{key}` is not a list of names")
    return tuple(names)


def _record(line: dict[str, Any]) -> bytes:
    if isinstance(raw := line.get("raw"), str):
        return raw.encode()
    if isinstance(packed := line.get("raw_b64"), str):
        try:
            return base64.b64decode(packed, validate=True)
        except binascii.Error:
            raise ValueError("its `raw_b64` is not base64") from None
    raise ValueError("it has neither `raw` nor `raw_b64`")
