"""The header of delimited text: the columns that it names, and the errors if the first line is no header."""

from __future__ import annotations

import re
import shlex

from km_cli.errors import MOST_LISTED, InputError, Where
from km_cli.inputs.messages import excerpt, shell_command
from km_cli.kissmetrics import LIKE_A_KEY, LONGEST_NAME

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}

_NO_HEADER = re.compile(r"#|//|--|sep=", re.IGNORECASE)
"""The beginning of a comment, or of the line by which Excel names the delimiter.

The name of a column may begin so as well.
"""

_VALUE = re.compile(
    r"[^@\s]+@[^@\s]+\.[^@\s]+"  # an e-mail address
    r"|[+-]?(?:\d{9,}|\d+\.\d+)(?:[eE]\d+)?"  # seconds since 1970, an amount
    r"|(?:19|20)\d\d(?:\d{4}|-\d\d-\d\d|/\d\d?/\d\d?)(?:[T ,].*)?"  # a date, with a clock or without
    r"|\d\d?([/.-])\d\d?\1(?:\d{4}|\d\d)(?:[T ,].*)?"
    r"|.*\b(?:19|20)\d\d\b.*\b\d\d?:\d\d\b.*",  # a date in words, and a clock
    re.ASCII,
)
"""Values of rows that cannot be names of columns. Small numbers can: columns are called 2024, or 404."""


def header_columns(source: str, line: int, cells: list[str], delimiter: str, end: bytes) -> tuple[str, ...]:
    """Return the columns that the header's cells name. `end` are the last two bytes of its line.

    Raises InputError if the cells are a row or a comment, two are alike, one is empty, or there is only one.
    """
    columns = tuple(cell.strip() for cell in cells)
    place = f"{source}, line {line}"
    try:
        if len(columns) > 1 and any(map(_is_value, columns)):
            raise _row_first(source, place, columns, delimiter)
        if len(columns) > 2 and columns[-1] == "" and "" not in columns[:-1]:
            raise _delimiter_last(source, place, delimiter, end)
        _check_header(place, columns, delimiter)
    except InputError as error:
        found = _comment(source, line, columns[0]) if _NO_HEADER.match(columns[0]) else error
        found.where = Where(source, line, delimiter.join(cells))
        raise found from None
    return columns


def _is_value(cell: str) -> bool:
    return len(cell) <= LONGEST_NAME and bool(_VALUE.fullmatch(cell))


def _row_first(source: str, place: str, columns: tuple[str, ...], delimiter: str) -> InputError:
    """Return the error for a file that begins with a row: as the header, that row would be lost."""
    value = next(filter(_is_value, columns))
    names = delimiter.join(("user", "account", "event", "..."))
    tabs = names.replace("\t", "\\t")
    echo = f"printf '{tabs}\\n'" if delimiter == "\t" else f"echo {shlex.quote(names)}"
    return InputError(
        f"{place}: there is no header: its first line looks like a row, with {excerpt(value)} in it",
        f"add a header that names each of the {len(columns)} columns in their order: "
        f"({echo}; {shell_command(source, 'cat')}) | km-cli import -",
        plain=f"{place}: there is no header: its first line looks like a row",
    )


def _delimiter_last(source: str, place: str, delimiter: str, end: bytes) -> InputError:
    """Return the error for a header that ends with a delimiter, as every line of some exports does."""
    cut = "sed $'s/\\t$//'" if delimiter == "\t" else f"sed 's/{delimiter}$//'"
    command = (
        f"{shell_command(source, 'cat')} | tr -d '\\r' | {cut}"
        if end == b"\r\n"
        else shell_command(source, cut)
    )
    return InputError(
        f"{place}: the header ends with a {DELIMITERS[delimiter]}, so its last column has no name",
        f"name that column; or, if every line ends so, cut it off: {command} | km-cli import -",
    )


def no_header(source: str, line: int, why: str) -> InputError:
    """Return the error for a first line that cannot be read as a header."""
    return InputError(
        f"{source}, line {line}: the first line should be the header, but {why}",
        "give a file whose first line names its columns",
    )


def _comment(source: str, line: int, text: str) -> InputError:
    return InputError(
        f"{source}, line {line}: the first line looks like a comment, not a header: {excerpt(text)}",
        f"leave it out: {shell_command(source, f'tail -n +{line + 1}')} | km-cli import -",
        plain=f"{source}, line {line}: the first line looks like a comment, not a header",
    )


def unreadable_header(source: str, encoding: str) -> InputError:
    """Return the error for a header with bytes that are no text in its encoding."""
    return InputError(
        f"{source}: the header is not text in {encoding}",
        "name the encoding of the file: --encoding cp1252 (or utf-16, iso8859-2, shift-jis, …)",
    )


def _check_header(place: str, columns: tuple[str, ...], delimiter: str) -> None:
    more = f", … ({len(columns):,} in all)" if len(columns) > MOST_LISTED else ""
    found = f"columns found: {', '.join(columns[:MOST_LISTED])}{more}"
    if len(columns) == 1:
        shown = "its name looks like a key" if LIKE_A_KEY.search(columns[0]) else repr(columns[0])
        raise InputError(
            f"{place}: only one column was found ({shown}), separated by {DELIMITERS[delimiter]}",
            "give a file with a header, its columns separated by comma, semicolon, tab or pipe "
            "(--delimiter says which)",
            plain=f"{place}: only one column was found",
        )
    if "" in columns:
        raise InputError(
            f"{place}: column {columns.index('') + 1} has no name ({found})",
            "name every column in the header",
            plain=f"{place}: column {columns.index('') + 1} has no name",
        )
    seen: dict[str, str] = {}
    for column in columns:
        if (folded := column.casefold()) in seen:
            raise InputError(
                f"{place}: two columns are alike: {seen[folded]!r} and {column!r} ({found})",
                "rename one of them; Kissmetrics does not tell upper from lower case (D4)",
                plain=f"{place}: two columns are alike",
            )
        seen[folded] = column
