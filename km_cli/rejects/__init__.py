"""Rejected rows: how they are written to a file, how they are read back, and which of their parts are owed.

The way of a corrected reject: `line.format_reject` writes a row with its `Origin` (the token of its
reading, its columns and delimiter, the parts owed), and `file.RejectsFile` appends it. A person corrects
`raw`. When the file is imported, `reader.REJECTS` recognises it as an input and yields the row with that
origin. For a path that ends with `.csv`, `table_file.RejectsTable` writes a table instead (`table.py`), which
`table_reader.REJECTS_TABLE` reads. `run/opening.py` finds the mapping of its reading by the token,
`strategies/` expands the parts owed alone, and `planning/` matches its calls as those of that reading and
line.
"""

from __future__ import annotations

from km_cli.rejects.file import RejectsFile
from km_cli.rejects.line import format_reject, is_reject
from km_cli.rejects.owed import refused
from km_cli.rejects.reader import REJECTS
from km_cli.rejects.table_file import RejectsTable, how_to_correct, make_rejects_file
from km_cli.rejects.table_reader import REJECTS_TABLE

__all__ = [
    "REJECTS",
    "REJECTS_TABLE",
    "RejectsFile",
    "RejectsTable",
    "format_reject",
    "how_to_correct",
    "is_reject",
    "make_rejects_file",
    "refused",
]
