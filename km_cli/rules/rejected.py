"""Descriptions of the rejects that inputs, mapping and planning make: rows that are not sent.

Those that rest on a fact about Kissmetrics which has other findings too stand beside them in `catalogue`.
"""

from __future__ import annotations

from km_cli.rules.base import HEADER, NO_EXAMPLE, About, Example, Severity, log

_PAID = '"timestamp": "2024-03-01T09:00:00Z", "user": "ada", "account": "Acme", "event": "Paid"'


def _rejected(code: str, meaning: str, cure: str, example: Example = NO_EXAMPLE, source: str = "") -> About:
    return About(code, Severity.REJECTED, meaning, cure, source, example)


def _objects(fires: str, near: str, *flags: str) -> Example:
    """Return an example of two rows in JSON, given their members beside those that each row has."""
    return Example(f"{{{_PAID}, {fires}}}\n", f"{{{_PAID}, {near}}}\n", flags)


_OF_KISSMETRICS = (
    About(
        "D4-long",
        Severity.REJECTED,
        "The name of an event or property is over 254 characters, or an id over 255. Not sent.",
        "Shorten it in the rejects file. km-cli does not: two cut names could end up the same.",
        "technical-limitations, specifications",
        Example(log(f"09:00:00Z,{'a' * 256},Acme,In"), log(f"09:00:00Z,{'a' * 255},Acme,In")),
        ("D4",),
    ),
    _rejected(
        "time",
        "The time is missing, is not a time, or is more than a day ahead: the row is not sent.",
        "Correct it in the rejects file. If all rows are so: --timestamp NAME, or --time-format FORMAT.",
        Example(f"{HEADER}\nsoon,ada,Acme,In\n", f"{HEADER}\n2024-03-01T09:00:00Z,ada,Acme,In\n"),
        "specifications",
    ),
    _rejected(
        "no-event",
        "The row has no event: Kissmetrics would accept the call and keep nothing. It is not sent.",
        "Write the event into the rejects file. If all rows are the same event: --event-name TEXT.",
        Example(log("09:00:00Z,ada,Acme,"), log("09:00:00Z,ada,Acme,Paid")),
        "specifications",
    ),
    _rejected(
        "no-identity",
        "The row has no id of a user, or of another persona that may do its event. It is not sent.",
        "Write the id into the rejects file. If such rows are not to be recorded: --skip-anonymous.",
        Example(log("09:00:00Z,,,Paid"), log("09:00:00Z,ada,,Paid")),
        "specifications",
    ),
    _rejected(
        "no-property-name",
        "A property has no name, and Kissmetrics would drop it without an error. The row is not sent.",
        "Give the property a name in the rejects file, and import that file.",
        _objects('"": "pro"', '"plan": "pro"'),
        "specifications",
    ),
    _rejected(
        "twice",
        "Two columns of the row would become one property, and one value would be lost. It is not sent.",
        "Rename one of them (km.toml, rename), or leave it out with --exclude-property NAME.",
        _objects('"plan": "pro", "Plan": "free"', '"plan": "pro", "Plans": "free"'),
        "technical-limitations",
    ),
    _rejected(
        "nested",
        "A value is nested JSON, and a property holds a single value: the row is not sent.",
        "--flatten sends it as plan.name, plan.price, …; --exclude-property NAME leaves it out.",
        _objects('"plan": {"name": "pro"}', '"plan": "pro"'),
        "technical-limitations",
    ),
)

_OF_BULK_FILES = (
    _rejected(
        "unfit",
        "The files of --to file:PATH.csv cannot hold the row: commas, quotation marks, over ten properties.",
        "Import the rejects file with --to file:PATH.json: JSON holds every row. Or correct it before.",
        Example(
            log('09:00:00Z,ada,Acme,"Paid ""twice"""'), log("09:00:00Z,ada,Acme,Paid"), ("--to", "file:x.csv")
        ),
        "csv-import",
    ),
)

_OF_THE_FILE = (
    _rejected(
        "invisible-character",
        "An id has an invisible character, or only blanks: it would look like another id. Not sent.",
        "Take the character out in the rejects file, and import that file.",
        Example(log("09:00:00Z,a\u200bda,Acme,In"), log("09:00:00Z,ada,Acme,In")),
    ),
    _rejected(
        "too-many-properties",
        "The row has more than 5,000 properties: it is not sent.",
        "List those to send with --property NAME, or leave out a nested column: --exclude-property NAME.",
    ),
    _rejected(
        "ragged-row",
        "The row has more or fewer fields than the header: its columns cannot be told. It is not sent.",
        "Correct it in the rejects file. Often a value with a comma in it has no quotation marks.",
        Example(log("09:00:00Z,ada,Acme"), log("09:00:00Z,ada,Acme,In")),
    ),
    _rejected(
        "bad-quoting",
        "The quotation marks of the row do not fit together: its fields cannot be told. It is not sent.",
        'Correct it in the rejects file: inside a quoted field, write each quotation mark twice ("").',
        Example(log('09:00:00Z,"a"da,Acme,In'), log('09:00:00Z,"a""da",Acme,In')),
    ),
    _rejected(
        "bad-json",
        "The line, or a cell that is named as COLUMN.NAME, is not a readable JSON object. It is not sent.",
        "Correct it in the rejects file. The reason says at which character it goes wrong.",
        Example(f'{{{_PAID}}}\n{{"event": }}\n', f"{{{_PAID}}}\n"),
    ),
    _rejected(
        "too-deep",
        "The JSON of the row is nested in more levels than km-cli reads: it is not sent.",
        "Take the innermost levels out in the rejects file, and import that file.",
        Example(f'{{{_PAID}}}\n{{"a": {"[" * 300}{"]" * 300}}}\n', f"{{{_PAID}}}\n"),
    ),
    _rejected(
        "nul",
        "The row has a NUL byte, often left by a program that crashed while writing. It is not sent.",
        "Take the byte out in the rejects file, and check that nothing of the row is missing.",
        Example(log("09:00:00Z,ada,Acme,I\0n"), log("09:00:00Z,ada,Acme,In")),
    ),
    _rejected(
        "invalid-utf8",
        "The row has characters that are not UTF-8: it is not sent.",
        "Import it again with the file's encoding, such as --encoding cp1252 for many Windows exports.",
    ),
    _rejected(
        "invalid-text",
        "The row has characters that do not fit the encoding (--encoding) of the file. It is not sent.",
        "Import the log again with the right --encoding, or correct `raw_b64` in the rejects file.",
    ),
    _rejected(
        "record-too-long",
        "The row is longer than 1 MiB: it is not sent.",
        "Look at its place in the log. Often a quotation mark or a line end is missing before it.",
    ),
)

_OF_EARLIER_RUNS = (
    _rejected(
        "id-reused",
        "This event id (--id) was sent before with another person, event or time. The row is not sent.",
        "Correct the id in the rejects file. If the column does not identify events, leave --id out.",
        Example(
            log("09:00:00Z,ada,Acme,In,1", "09:01:00Z,ada,Acme,Out,1", more="id"),
            log("09:00:00Z,ada,Acme,In,1", "09:01:00Z,ada,Acme,Out,2", more="id"),
            ("--id", "id"),
        ),
    ),
    _rejected(
        "owed",
        "Part of this row was sent. The rest is for a user or account that it no longer names. Not sent.",
        "Import the rejects file with the same --strategy and --config as the first import.",
    ),
    _rejected(
        "other-source",
        "The row comes from another log, with its own settings in km.toml (a [[backfill]]). Not sent.",
        "Import the rejects file with the --source that the reason names.",
    ),
    _rejected(
        "still-bad",
        "The record in this line of the rejects file still cannot be read: it is not sent.",
        "Correct it once more, as the reason says, in the new rejects file.",
    ),
    _rejected(
        "bad-reject",
        "This line of the rejects file is damaged: km-cli cannot read it as a reject. Not sent.",
        "Edit only the part named `raw`. Take the rest of the line from a copy of the file.",
    ),
)

REJECTED: tuple[About, ...] = (*_OF_KISSMETRICS, *_OF_BULK_FILES, *_OF_THE_FILE, *_OF_EARLIER_RUNS)
