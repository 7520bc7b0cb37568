"""Descriptions of the findings about who did an event, which the mapping makes."""

from __future__ import annotations

from km_cli.rules.base import About, Example, Severity, log

_MEMBERS = '"timestamp": "2024-03-01T09:00:00Z", "event": "Paid"'

IDENTIFIED: tuple[About, ...] = (
    About(
        "anonymous",
        Severity.NOTE,
        "Rows that name no persona are skipped, as --skip-anonymous says.",
        "Nothing, if visitors are not to be recorded. To see these rows as rejects, leave the option out.",
        "",
        Example(
            log("09:00:00Z,ada,Acme,Paid", "09:01:00Z,,,Paid"),
            log("09:00:00Z,ada,Acme,Paid", "09:01:00Z,,Acme,Paid"),
            ("--skip-anonymous",),
        ),
    ),
    About(
        "one-of-several",
        Severity.DROPS,
        "A persona's column lists several values: the row is recorded for the first one alone.",
        'Name the item that is meant by its number, as column = "groups.company.0" in km.toml.',
        "km-cli",
        Example(
            f'{{{_MEMBERS}, "user": "ada", "account": ["Acme", "Beta"]}}\n',
            f'{{{_MEMBERS}, "user": "ada", "account": ["Acme"]}}\n',
        ),
    ),
)
