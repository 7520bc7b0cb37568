"""Descriptions of the findings about who did an event, which the mapping makes."""

from __future__ import annotations

from km_cli.rules.base import About, Example, Severity, log

_MEMBERS = '"timestamp": "2024-03-01T09:00:00Z", "event": "Paid"'

_BY_KISSMETRICS = '{"_p": "ada", "_n": "Signed Up", "_t": 1709283600}'

IDENTIFIED: tuple[About, ...] = (
    About(
        "anonymous",
        Severity.NOTE,
        "Rows without an id of a user or account are skipped, as --skip-anonymous asks.",
        "Nothing, if visitors are not to be recorded. To see these rows as rejects, leave the option out.",
        "",
        Example(
            log("09:00:00Z,ada,Acme,Paid", "09:01:00Z,,,Paid"),
            log("09:00:00Z,ada,Acme,Paid", "09:01:00Z,,Acme,Paid"),
            ("--skip-anonymous",),
        ),
    ),
    About(
        "hashed",
        Severity.NOTE,
        "Identities are sent as digests. A source that names the same people in clear has other people.",
        "Have all sources of the site send the same digests (HMAC-SHA256, h_ and hex), or a site of its own.",
        "importing-data",
    ),
    About(
        "one-of-several",
        Severity.LOST,
        "The column of an id lists several values: only the first value is recorded.",
        "Name one as the id: COLUMN.0 (first) or COLUMN.1 (second). Add --exclude-property COLUMN.",
        "km-cli",
        Example(
            f'{{{_MEMBERS}, "user": "ada", "account": ["Acme", "Beta"]}}\n',
            f'{{{_MEMBERS}, "user": "ada", "account": ["Acme"]}}\n',
        ),
    ),
    About(
        "unused-account",
        Severity.LOST,
        "Rows name no account, but have a column that looks like one. No account event is sent for them.",
        "If the column is the account, name it: --account COLUMN, or a persona's column in km.toml.",
        "km-cli",
        Example(
            f'{{{_MEMBERS}, "user": "ada", "groupId": "acme"}}\n',
            f'{{{_MEMBERS}, "user": "ada", "plan": "pro"}}\n',
        ),
    ),
    About(
        "alias-left-out",
        Severity.NOTE,
        "The log has a second id of a person. The link is not sent, so both ids stay two people.",
        "If both are the same person, add --allow-alias. An alias cannot be undone.",
        "troubleshooting-identities",
        Example(
            f"{_BY_KISSMETRICS}\n" + '{"_p": "an+1", "_p2": "ada", "_t": 1709283660}\n',
            f"{_BY_KISSMETRICS}\n" + '{"_p": "ada", "_n": "Paid", "_t": 1709283660}\n',
        ),
    ),
)
