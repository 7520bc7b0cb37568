"""Files that are not logs, although they may hold one. Their first bytes show the kind, which has a hint."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from km_cli.errors import InputError
from km_cli.inputs.base import BOM
from km_cli.inputs.messages import shell_command, shell_word

_HEAD = 1024
"""Bytes by which a kind is recognised. Those of a tar archive come after its first 257."""

_IMPORTED = "| km-cli import -"
_EXPORT = "export its table of events as CSV or JSON lines, and import that"
_OTHER = "name the file with the events, CSV or JSON lines"


class _Kind(NamedTuple):
    """A kind of file: the regular expression for its first bytes, its name, and the hint.

    In a hint that is a text, FILE stands for the name of the file.
    """

    begins: bytes
    name: str
    hint: str | Callable[[str], str]


def _archive(begins: bytes, name: str, to_one: str, to_all: str) -> _Kind:
    hint = f"if one log is in it: {to_one} FILE {_IMPORTED}; if several: {to_all} FILE, and name them"
    return _Kind(begins, f"{name} archive", hint)


def _packed(begins: bytes, packer: str, program: str) -> _Kind:
    def hint(name: str) -> str:
        return f"unpack it: {shell_command(name, f'{program} -dc')} {_IMPORTED}"

    return _Kind(begins, f"packed by {packer}", hint)


_KINDS = (
    # Office documents are zip archives too. They differ by the name of their first member.
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
    _Kind(
        rb"PAR1[\0-\x1f\x7f-\xff]", "a packed Parquet file", "unpack it, and import the Parquet file itself"
    ),
    _Kind(rb"PARE[\0-\x1f\x7f-\xff]", "an encrypted Parquet file", "decrypt it first"),
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
    """Raise InputError if an input that begins with `head` is of a kind that is not a log."""
    begun = head[:_HEAD].removeprefix(BOM)
    for kind in _KINDS:
        if re.match(kind.begins, begun, re.DOTALL):
            hint = (
                kind.hint.replace("FILE", shell_word(name)) if isinstance(kind.hint, str) else kind.hint(name)
            )
            raise InputError(f"{name} is {kind.name}, not CSV or JSON lines", hint)
