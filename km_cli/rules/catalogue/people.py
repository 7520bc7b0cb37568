"""Descriptions of the findings about identities and personas."""

from __future__ import annotations

from km_cli.rules.base import NO_EXAMPLE, About, Example, Severity, log

_PAID_AND_SEEN = log("09:00:00Z,ada,Acme,Paid", "09:01:00Z,ada,Acme,Seen")
_ONLY_PAID = (
    '[[personas]]\nname = "user"\nevents = ["Paid"]\n[[personas]]\nname = "account"\nevents = ["Paid"]\n'
)


def _teams(people: str) -> str:
    """Return a log of 30 events by 12 users of 3 accounts; {user} and {team} are numbers."""
    return log(*(f"09:{n:02}:00Z,{people.format(user=n % 12, team=n % 3)},Paid" for n in range(30)))


PEOPLE: tuple[About, ...] = (
    About(
        "D4-ids",
        Severity.MERGES,
        "Two ids differ only by commas or colons: Kissmetrics may take them for one person. Rejected.",
        "Write the id in one way; a prefix does not help.",
        "specifications",
        Example(
            log('09:00:00Z,"lee, ada",Acme,Paid', "09:01:00Z,lee  ada,Acme,Paid"),
            log('09:00:00Z,"lee, ada",Acme,Paid', "09:01:00Z,lee ada,Acme,Paid"),
        ),
        ("D4",),
        disagreement="Only an older page changes commas and colons in identities.",
    ),
    About(
        "I1",
        Severity.MERGES,
        "An identity that is a placeholder, such as guest or null, makes all its rows one person. Rejected.",
        "Correct the row in the rejects file, or use --allow-id VALUE if it is a real identity.",
        "troubleshooting-identities",
        Example(log("09:00:00Z,guest,Acme,Paid"), log("09:00:00Z,guest one,Acme,Paid")),
    ),
    About(
        "I2",
        Severity.MERGES,
        "One id as two personas of a site, or an alias between them, makes them one for good. Rejected.",
        "Give one persona a prefix in km.toml, or another site.",
        "specifications, troubleshooting-identities",
        Example(
            log("09:00:00Z,7,8,Paid", "09:01:00Z,8,9,Paid"), log("09:00:00Z,7,8,Paid", "09:01:00Z,9,8,Paid")
        ),
    ),
    About(
        "I3",
        Severity.NOTE,
        "An alias shows only once both identities have data, and this log has none for one of them.",
        "Nothing, if that data comes from elsewhere, such as a visitor's from JavaScript.",
        "troubleshooting-identities",
        Example(
            log("09:00:00Z,ada,Acme,Paid,ada@a.example", more="alias"),
            log(
                "09:00:00Z,ada@a.example,Acme,Visited,", "09:01:00Z,ada,Acme,Paid,ada@a.example", more="alias"
            ),
            ("--allow-alias",),
            '[[personas]]\nname = "user"\nalias = "alias"\n',
        ),
    ),
    About(
        "alike-ids",
        Severity.CHANGES,
        "Two ids differ only in case or Unicode form: Kissmetrics takes them for two people.",
        "Write the id in one way if it is one person.",
        "troubleshooting-identities",
        Example(
            log("09:00:00Z,ada@a.example,Acme,Paid", "09:01:00Z,Ada@a.example,Acme,Paid"),
            log("09:00:00Z,ada@a.example,Acme,Paid", "09:01:00Z,ada@b.example,Acme,Paid"),
        ),
    ),
    About(
        "crossover",
        Severity.NOTE,
        "Two personas of one site do the same event: a report on it counts both as people.",
        "Rename it for one of them (km.toml, rename), or compare them by events that only one of them does.",
        "person-or-account",
        Example(log("09:00:00Z,ada,Acme,Paid"), log("09:00:00Z,ada,,Paid", "09:00:00Z,,Acme,Left")),
    ),
    About(
        "swapped",
        Severity.NOTE,
        "There are fewer users than accounts, and a user has several: the columns may be swapped.",
        "If they are, swap them, as the finding says. Identities cannot be separated once they were sent.",
        "",
        Example(_teams("Acme{team},u{user}"), _teams("u{user},Acme{team}")),
    ),
    About(
        "no-persona",
        Severity.DROPS,
        "No persona has this event among its events (km.toml): nothing is recorded for it.",
        "Add it to a persona's events in km.toml, or name it in skip (km.toml, columns) if that is intended.",
        "person-or-account",
        Example(
            _PAID_AND_SEEN,
            log("09:00:00Z,ada,Acme,Paid", "09:01:00Z,ada,Acme,paid"),
            km_toml=_ONLY_PAID,
        ),
    ),
    About(
        "left-to-others",
        Severity.NOTE,
        "One persona has this event among its events and another has not, so reports on the other lack it.",
        "Nothing, if that is intended. Otherwise add it to the other persona's events in km.toml.",
        "",
        Example(
            _PAID_AND_SEEN,
            log("09:00:00Z,ada,Acme,Paid", "09:01:00Z,ada,,Seen"),
            km_toml='[[personas]]\nname = "user"\n[[personas]]\nname = "account"\nevents = ["Paid"]\n',
        ),
    ),
    About(
        "members",
        Severity.CHANGES,
        "The members' file names another account than when the row was sent: the event is sent for it too.",
        "Give since and until in the members' file: rows that were sent then keep the account of their time.",
        "km-cli",
        NO_EXAMPLE,
    ),
)
