"""Text → a TOML string that reads back as the same text."""

from __future__ import annotations

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def quoted(text: str) -> str:
    """Return text as a TOML string on one line, its invisible characters escaped.

    TOML asks for escapes of the quotation mark, the backslash, U+0000 to U+001F and U+007F (toml.io, v1.0.0,
    "String"). Other invisible characters are escaped so that people see them. A lone surrogate, as in names
    of files that are not UTF-8, has no form in TOML.
    """
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(letter: str) -> str:
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    if letter.isprintable():
        return letter
    return f"\\u{ord(letter):04X}" if ord(letter) <= 0xFFFF else f"\\U{ord(letter):08X}"
