"""Options that say how a log is read: its files, columns, times, and which of its rows."""

from __future__ import annotations

import click

from km_cli.cli.options.words import FormatWords, Words, exports, formats, paths
from km_cli.cli.sections import Decorated, option, section

_files_argument = click.argument("files", nargs=-1, required=True, metavar="FILE...", shell_complete=paths)

format_options = section(
    "Files",
    option(
        "--format",
        type=FormatWords(formats),
        help="Format of the files. Default: by the ending of the name, else by the content.",
    ),
    option(
        "--delimiter",
        metavar="CHARACTER",
        default="",
        help="comma, semicolon, tab or pipe. Default: the most frequent one in the header.",
    ),
    option(
        "--encoding", metavar="NAME", default="", help="Such as utf-16, cp1252 or shift-jis. Default: UTF-8."
    ),
    option(
        "--export",
        type=Words(exports),
        default=None,
        help="The tool that exported the files. Default: by their content; none reads plain columns.",
    ),
)


def files(command: Decorated) -> Decorated:
    """Add the argument FILE..., and the options that describe the format."""
    return _files_argument(format_options(command))


def optional_files(command: Decorated) -> Decorated:
    """Add the argument [FILE]..., and the options that describe the format."""
    return click.argument("files", nargs=-1, metavar="[FILE]...", shell_complete=paths)(
        format_options(command)
    )


query = section(
    "Query",
    option(
        "--sql",
        metavar="QUERY",
        default="",
        help="Read the rows of a query instead of files. :since in it is where the last run stopped.",
    ),
    option(
        "--database",
        metavar="URL",
        default="",
        shell_complete=paths,
        help="Its database: postgresql://HOST/DATABASE, or a file of SQLite or DuckDB. It is only read.",
    ),
    option(
        "--database-env",
        metavar="NAME",
        default="",
        help="The variable that holds the URL of the database, if there is a password in it.",
    ),
    option(
        "--order-by",
        metavar="NAME",
        default="",
        help="Column that the rows are read in order of, such as updated_at. The next run continues there.",
    ),
    option("--start", metavar="VALUE", default="", help="The value of :since in the first run."),
    option(
        "--name",
        metavar="NAME",
        default="",
        help="Name of the query in the ledger and in rejects. Default: made from its text and database.",
    ),
)


def sources(command: Decorated) -> Decorated:
    """Add the argument SOURCE... of commands on Spark, and the options that describe the format."""
    argument = click.argument("files", nargs=-1, required=True, metavar="SOURCE...", shell_complete=paths)
    return argument(format_options(command))


source = section(
    "Files",
    option(
        "--source",
        metavar="NAME",
        default="",
        help="Read the files as the [[backfill]] of this name in km.toml, with its own columns, personas and "
        "format.",
    ),
)

columns = section(
    "Columns",
    option("--user", metavar="NAME", default="", help="Column of the user. Default: user, user_id, email, …"),
    option(
        "--account",
        metavar="NAME",
        default="",
        help="Column of the account. Default: account, account_id, company, …",
    ),
    option("--event", metavar="NAME", default="", help="Column of the event. Default: event, event_name, …"),
    option("--event-name", metavar="TEXT", default="", help="The event of every row, if no column has it."),
    option(
        "--profiles",
        is_flag=True,
        help="The rows are people and accounts, not events: each sets its properties, at its time.",
    ),
    option(
        "--timestamp",
        metavar="NAME",
        default="",
        help="Column of the time. Default: timestamp, time, created_at, …",
    ),
    option(
        "--id",
        "event_id",
        metavar="NAME",
        default="",
        help="Column of the id that the log gives to each event.",
    ),
    option(
        "--property",
        "properties",
        metavar="NAME",
        multiple=True,
        help="Send this column as a property (repeatable). Default: every column not named elsewhere.",
    ),
    option(
        "--exclude-property",
        "exclude",
        metavar="NAME",
        multiple=True,
        help="Do not send this column (repeatable).",
    ),
    option(
        "--ignore-column",
        "ignore",
        metavar="NAME",
        multiple=True,
        help="Neither send nor compare this column, for example an offset or a time of arrival (repeatable).",
    ),
    option("--no-properties", is_flag=True, help="Send no properties."),
    option("--flatten", is_flag=True, help="Send nested JSON as properties plan.name, plan.price, …"),
    option(
        "--allow-id",
        "allowed",
        metavar="VALUE",
        multiple=True,
        help="Accept an identity such as 'guest', which is otherwise rejected (repeatable).",
    ),
    option(
        "--allow-alias",
        is_flag=True,
        help="Send the aliases of the personas in km.toml. An alias cannot be undone.",
    ),
)

times = section(
    "Times",
    option(
        "--at",
        metavar="TIME",
        default="",
        help="The time of all --profiles, if no column has it: when the file was true, such as 2024-01-31.",
    ),
    option(
        "--timezone",
        metavar="ZONE",
        default="",
        help="Zone of times without an offset, such as Europe/Berlin.",
    ),
    option(
        "--time-format", metavar="FORMAT", default="", help="Format of unusual times, such as %d/%m/%Y %H:%M."
    ),
    option(
        "--ambiguous",
        type=click.Choice(["earlier", "later"]),
        default=None,
        help="Which of the two times to take in the hour that occurs twice when clocks go back.",
    ),
)

_parts = (
    option(
        "--since",
        metavar="TIME",
        default="",
        help="Only events at or after this time: 2024-01-31 or 2024-01-31T18:00, in --timezone, else UTC.",
    ),
    option("--until", metavar="TIME", default="", help="Only events before this time."),
    option("--only", metavar="EVENT", multiple=True, help="Only events of this name (repeatable)."),
    option("--skip", metavar="EVENT", multiple=True, help="Leave out events of this name (repeatable)."),
    option(
        "--where",
        metavar="CONDITION",
        multiple=True,
        help="Only rows for which this is true: 'type=track', 'type!=page' or 'type in track,screen' "
        "(repeatable: all must be true).",
    ),
    option(
        "--skip-anonymous",
        is_flag=True,
        help="Skip rows that name no persona. Default: reject them.",
    ),
)
_limit = option(
    "--limit",
    type=click.IntRange(1),
    metavar="N",
    help="Read at most N new rows. The next run continues after them.",
)
_max_rejects = option(
    "--max-rejects",
    metavar="N|N%",
    default="",
    help="Stop if more rows than this are rejected. Default: no limit.",
)
_strict = option(
    "--strict",
    is_flag=True,
    help="Send nothing and exit 65 if anything would be lost, merged, changed or rejected.",
)

selection = section("Selection", *_parts, _limit, _max_rejects, _strict)
spark_selection = section("Selection", *_parts, _limit, _max_rejects, _strict)
