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
        Severity.REJECTED,
        "Two ids differ only by commas or colons: Kissmetrics may make one person of both. Not sent.",
        "Write the id in one way in the rejects file and import it. A prefix from km.toml does not help.",
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
        Severity.REJECTED,
        "A placeholder, such as guest, stands for many people, who would become one for good. Not sent.",
        "Correct the id in the rejects file. If it is the id of a real person or account: --allow-id VALUE.",
        "troubleshooting-identities",
        Example(log("09:00:00Z,guest,Acme,Paid"), log("09:00:00Z,guest one,Acme,Paid")),
    ),
    About(
        "I2",
        Severity.REJECTED,
        "A user and an account have the same id, or an alias: they would be one person for good. Not sent.",
        "In km.toml, give the ids of one of them a prefix, or give it a Kissmetrics site of its own.",
        "specifications, troubleshooting-identities",
        Example(
            log("09:00:00Z,7,8,Paid", "09:01:00Z,8,9,Paid"), log("09:00:00Z,7,8,Paid", "09:01:00Z,9,8,Paid")
        ),
    ),
    About(
        "I3",
        Severity.NOTE,
        "An alias (two ids, one person) needs events of both ids to show, and one has none in this log.",
        "Nothing, if those events come from elsewhere, such as the website's JavaScript.",
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
        Severity.CHANGED,
        "Two ids differ only in capitals or in how an accent is stored: Kissmetrics counts two people.",
        "If it is one person, write the id in one way in the log.",
        "troubleshooting-identities",
        Example(
            log("09:00:00Z,ada@a.example,Acme,Paid", "09:01:00Z,Ada@a.example,Acme,Paid"),
            log("09:00:00Z,ada@a.example,Acme,Paid", "09:01:00Z,ada@b.example,Acme,Paid"),
        ),
    ),
    About(
        "crossover",
        Severity.NOTE,
        "Two kinds, such as users and accounts, do the same event: a report on it counts both as people.",
        "Rename it for one kind (km.toml, rename), or build reports on events that only one kind does.",
        "person-or-account",
        Example(log("09:00:00Z,ada,Acme,Paid"), log("09:00:00Z,ada,,Paid", "09:00:00Z,,Acme,Left")),
    ),
    About(
        "swapped",
        Severity.NOTE,
        "There are fewer users than accounts, and a user has several: the two columns may be swapped.",
        "If they are, swap them as the finding says. People who were merged cannot be separated again.",
        "",
        Example(_teams("Acme{team},u{user}"), _teams("u{user},Acme{team}")),
    ),
    About(
        "no-persona",
        Severity.LOST,
        "km.toml lists this event under no persona, such as user or account: it is not recorded.",
        "Add it to a persona's events in km.toml, or to skip (columns) if it is meant to be left out.",
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
        "km.toml lists this event for some personas only, such as users: reports on the others lack it.",
        "Nothing, if that is meant. Otherwise add it to the other persona's events in km.toml.",
        "",
        Example(
            _PAID_AND_SEEN,
            log("09:00:00Z,ada,Acme,Paid", "09:01:00Z,ada,,Seen"),
            km_toml='[[personas]]\nname = "user"\n[[personas]]\nname = "account"\nevents = ["Paid"]\n',
        ),
    ),
    About(
        "members",
        Severity.CHANGED,
        "The members' file names another account than when the row was sent: the event counts for both.",
        "Put since and until in the members' file: a row then keeps the account it had at that time.",
        "km-cli",
        NO_EXAMPLE,
    ),
)
