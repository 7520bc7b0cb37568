"""Files that are no logs, though one may be in them: known by their first bytes, and what to do with them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import NamedTuple

from km_cli.errors import InputError
from km_cli.inputs.base import BOM
from km_cli.inputs.messages import shell_command, shell_word

_HEAD = 1024
"""Bytes looked at: a tar archive shows behind its first 257."""

_IMPORTED = "| km-cli import -"
_EXPORT = "export its table of events as CSV or JSON lines, and import that"
_OTHER = "name the file with the events, CSV or JSON lines"


class _Kind(NamedTuple):
    """Files that begin like this, what they are, and what to do.

    In a cure that is a text FILE stands for the name, in a shell.
    """

    begins: bytes
    what: str
    cure: str | Callable[[str], str]


def _archive(begins: bytes, what: str, to_one: str, to_all: str) -> _Kind:
    cure = f"if one log is in it: {to_one} FILE {_IMPORTED}; if several: {to_all} FILE, and name them"
    return _Kind(begins, f"{what} archive", cure)


def _packed(begins: bytes, packer: str, program: str) -> _Kind:
    def cure(name: str) -> str:
        return f"unpack it: {shell_command(name, f'{program} -dc')} {_IMPORTED}"

    return _Kind(begins, f"packed by {packer}", cure)


def _from_parquet(name: str) -> str:
    file = "FILE" if name == "<stdin>" else name
    query = 'FROM "{}"'.format(file.replace('"', '""'))
    return f"turn it into CSV: duckdb -csv -c {shlex.quote(query)} {_IMPORTED}"


_KINDS = (
    # What Office programs write are zip archives too: told apart by the name of what is first in them.
    _Kind(rb"PK\x03\x04.{26}(\[Content_Types\]|_rels/|docProps/|xl/)", "an Office document (xlsx)", _EXPORT),
    _Kind(rb"PK\x03\x04.{26}mimetypeapplication/", "an Office document (ods)", _EXPORT),
    _Kind(rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Office document (xls)", _EXPORT),
    _archive(rb"PK(\x03\x04|\x05\x06)", "a zip", "unzip -p", "unzip"),
    _archive(rb".{257}ustar[\0 ]", "a tar", "tar -xOf", "tar -xf"),
    _archive(rb"7z\xbc\xaf\x27\x1c", "a 7z", "7z e -so", "7z x"),
    _archive(rb"Rar!\x1a\x07", "a rar", "unrar p -inul", "unrar x"),
    _packed(rb"\x04\x22\x4d\x18", "lz4", "lz4"),
    _packed(rb"LZIP\x01", "lzip", "lzip"),
    _packed(rb"\x1f\x9d", "compress", "gzip"),
    _Kind(rb"PAR[1E][\0-\x1f\x7f-\xff]", "a Parquet file", _from_parquet),
    _Kind(rb"ARROW1\0\0", "an Arrow file", _EXPORT),
    _Kind(rb"Obj\x01", "an Avro file", _EXPORT),
    _Kind(
        rb"SQLite format 3\0",
        "an SQLite database",
        f"export its table of events: sqlite3 -header -csv FILE 'SELECT * FROM events' {_IMPORTED}",
    ),
    _Kind(rb"%PDF-", "a PDF document", _OTHER),
    _Kind(rb"\x89PNG\r\n|\xff\xd8\xff|GIF8[79]a", "a picture", _OTHER),
    _Kind(rb"(?i)\s*(<!doctype html|<html\b)", "a web page (of a login that failed?)", _OTHER),
    _Kind(rb"\s*<\?xml\s", "an XML document", _EXPORT),
)


def check_kind(name: str, head: bytes) -> None:
    """Raise InputError if an input that begins with `head` is known to hold no text of rows."""
    begun = head[:_HEAD].removeprefix(BOM)
    for kind in _KINDS:
        if re.match(kind.begins, begun, re.DOTALL):
            cure = kind.cure
            hint = cure.replace("FILE", shell_word(name)) if isinstance(cure, str) else cure(name)
            raise InputError(f"{name} is {kind.what}, no CSV or JSON lines", hint)
