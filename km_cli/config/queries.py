"""The queries that are inputs: `sql` in a [[backfill]] of km.toml, and --sql."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from km_cli.config.kmtoml import BackfillTable
from km_cli.config.settings import Settings
from km_cli.errors import UsageError
from km_cli.inputs.sql.address import Database, parse_database
from km_cli.inputs.sql.base import Query
from km_cli.inputs.sql.text import check_reads


class Asked(NamedTuple):
    """The parts of a query as flags or km.toml give them; "" for those that they do not give."""

    sql: str
    database: str
    url_env: str
    order_by: str
    start: str
    name: str = ""


class Labels(NamedTuple):
    """How messages name the parts of a query, such as `--order-by` or `km.toml, backfill[2].order_by:`."""

    sql: str
    database: str
    url_env: str
    order_by: str
    id: str


FLAGS = Labels("--sql:", "--database:", "--database-env:", "--order-by:", "--id:")


def query_of_table(table: BackfillTable, place: str, folder: Path, settings: Settings) -> Query | None:
    """Return the query of a [[backfill]], None if it reads files. `folder` is that of km.toml.

    `place` is that of the table, for messages. Raises UsageError for keys that are missing, or contradict
    each other; keys of files beside those of a query were refused before.
    """
    if not table.sql:
        return None
    labels = Labels(
        f"{place}.sql:", f"{place}.database:", f"{place}.url_env:", f"{place}.order_by:", "columns.id:"
    )
    asked = Asked(table.sql, table.database, table.url_env, table.order_by, str(table.start), table.name)
    return make_query(asked, labels, folder, settings)


def make_query(asked: Asked, labels: Labels, folder: Path, settings: Settings) -> Query:
    """Return a query. Raises UsageError for parts that are missing, or contradict each other."""
    sql = check_reads(asked.sql, labels.sql)
    database = _database(asked, labels, folder, settings.environment)
    if not asked.order_by:
        raise UsageError(
            f"{labels.order_by} a query needs the column that its rows are in order of",
            "name a column that grows with each new or changed row, such as updated_at: a later run "
            "continues there",
        )
    if not settings.column_options.id:
        raise UsageError(
            f"{labels.id} a query needs the column of the id that each row has",
            'name it, as --id event_id, or in km.toml, [columns]: id = "event_id"; rows that are read again '
            "are known by it",
        )
    options = settings.column_options
    if asked.order_by in (*options.hash, *options.drop):
        raise UsageError(
            f"{labels.order_by} the ledger keeps the last value of {asked.order_by!r}, which `hash` or "
            "`drop` keep out of it",
            "order by another column, such as the time of the last change",
        )
    return Query(asked.name or _name(sql, database), sql, database, asked.order_by, options.id, asked.start)


def _database(asked: Asked, labels: Labels, folder: Path, variables: Mapping[str, str]) -> Database:
    if asked.database and asked.url_env:
        raise UsageError(
            f"{labels.database} and {labels.url_env} contradict each other".replace(":", ""),
            "give one of them",
        )
    if asked.database:
        return parse_database(asked.database, folder, labels.database)
    if not asked.url_env:
        raise UsageError(
            f"{labels.database} a query needs its database",
            "give it: --database URL, or --database-env NAME; in km.toml database or url_env",
        )
    url = variables.get(asked.url_env, "").strip()
    if not url:
        raise UsageError(
            f"{labels.url_env} the variable {asked.url_env} is not set", "put the URL of the database into it"
        )
    return parse_database(url, Path(), f"{labels.url_env} {asked.url_env}:", is_secret=True)


def _name(sql: str, database: Database) -> str:
    """Return the name of a query that has none: another query is another reading."""
    return "query-" + hashlib.sha256(f"{database.place}\n{sql}".encode()).hexdigest()[:8]
