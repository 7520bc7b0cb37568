"""The options that several commands share, in groups. `cli/settings.py` turns their values into Settings."""

from km_cli.cli.options.keeping import (
    as_json,
    asking,
    config,
    ledger,
    ledger_alone,
    output,
    output_file,
    place,
    plan,
    plan_out,
    quiet,
    rejects,
    show,
)
from km_cli.cli.options.reading import (
    columns,
    files,
    format_options,
    optional_files,
    query,
    selection,
    source,
    times,
)
from km_cli.cli.options.sending import delivery, resending
from km_cli.cli.options.words import Words, forms, paths

__all__ = [
    "Words",
    "as_json",
    "asking",
    "columns",
    "config",
    "delivery",
    "files",
    "format_options",
    "forms",
    "ledger",
    "ledger_alone",
    "optional_files",
    "output",
    "output_file",
    "paths",
    "place",
    "plan",
    "plan_out",
    "query",
    "quiet",
    "rejects",
    "resending",
    "selection",
    "show",
    "source",
    "times",
]
