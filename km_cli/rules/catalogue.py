"""Descriptions of the findings that mapping, planning and the run make.

An entry has no example if one log cannot show it: it takes an earlier import, or the answer of a destination.
"""

from __future__ import annotations

from km_cli.rules.base import HEADER, NO_EXAMPLE, About, Example, Severity, log

_SAME_SECOND = log("09:05:00Z,bo,Acme,Invited", "09:05:00Z,cy,Acme,Invited")
_NEXT_SECOND = log("09:05:00Z,bo,Acme,Invited", "09:05:01Z,cy,Acme,Invited")
_TWO_PLANS = log("09:05:00Z,bo,Acme,Paid,pro", "09:05:00Z,cy,Acme,Left,free", more="plan")
_ONE_PLAN = log("09:05:00Z,bo,Acme,Paid,pro", "09:05:00Z,cy,Acme,Left,pro", more="plan")
_PAID_AND_SEEN = log("09:00:00Z,ada,Acme,Paid", "09:01:00Z,ada,Acme,Seen")
_ONLY_PAID = (
    '[[personas]]\nname = "user"\nevents = ["Paid"]\n[[personas]]\nname = "account"\nevents = ["Paid"]\n'
)


def _many(rows: int, event: str, more: str = "", cell: str = "") -> str:
    """Return a log of `rows` events, a second apart, each by another user of one account; {n} counts them."""
    moments = (f"{9 + n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}Z" for n in range(rows))
    lines = [f"{at},u{n},Acme,{event.format(n=n)}{cell.format(n=n)}" for n, at in enumerate(moments)]
    return log(*lines, more=more)


def _teams(people: str) -> str:
    """Return a log of 30 events by 12 users of 3 accounts; {user} and {team} are numbers."""
    return log(*(f"09:{n:02}:00Z,{people.format(user=n % 12, team=n % 3)},Paid" for n in range(30)))


ELSEWHERE: tuple[About, ...] = (
    About(
        "W3",
        Severity.NOTE,
        "Kissmetrics accepts this call and then drops it without an error.",
        "Correct the row in the rejects file: km-cli rejects calls that Kissmetrics would drop.",
        "specifications",
        Example(log("09:00:00Z,ada,Acme,"), log("09:00:00Z,ada,Acme,Paid")),
        ("W3", "no-event", "no-identity", "no-property-name"),
    ),
    About(
        "D1",
        Severity.NOTE,
        "Same person, event and second: Kissmetrics would count one. They are moved to a free second.",
        "Nothing. --collisions keep leaves them in one second; --spread limits how far they may move.",
        "detecting-duplicates",
        Example(_SAME_SECOND, _NEXT_SECOND),
        disagreement="By a newer page they merge only if their properties match too.",
    ),
    About(
        "D1-alike",
        Severity.NOTE,
        "Same person, event and second, and the same properties too. They are moved to a free second.",
        "Nothing: both pages are satisfied when the calls are moved apart.",
        "detecting-duplicates",
        Example(_SAME_SECOND, log("09:05:00Z,bo,Acme,Paid,1", "09:05:00Z,cy,Acme,Paid,2", more="seats")),
        disagreement="By the older page the properties do not matter.",
    ),
    About(
        "D1-merged",
        Severity.MERGES,
        "Same person, event and second, left so by --collisions keep: Kissmetrics counts them once.",
        "Leave --collisions out: then they are moved to a free second.",
        "detecting-duplicates",
        Example(_SAME_SECOND, _NEXT_SECOND, ("--collisions", "keep")),
    ),
    About(
        "D1-full",
        Severity.DROPS,
        "No second within --spread is free of the same event: that part of the row is rejected.",
        "Let accounts do fewer events (personas in km.toml), or use a larger --spread, or --collisions keep.",
        "detecting-duplicates",
        Example(_SAME_SECOND, _NEXT_SECOND, ("--spread", "0")),
    ),
    About(
        "D2",
        Severity.NOTE,
        "Another value of a property in the same second: one would be lost. They are moved to a free second.",
        "Nothing. Fewer properties (km.toml, properties) or --exclude-property avoid it.",
        "detecting-duplicates",
        Example(_TWO_PLANS, _ONE_PLAN),
    ),
    About(
        "D2-lost",
        Severity.CHANGES,
        "Another value of a property in the same second, and no free second: Kissmetrics keeps one value.",
        "Send fewer properties for that persona, or use a larger --spread.",
        "detecting-duplicates",
        Example(_TWO_PLANS, _ONE_PLAN, ("--spread", "0")),
    ),
    About(
        "D2-full",
        Severity.DROPS,
        "Another value of a property in the same second: rejected, as --collisions reject says.",
        "Leave --collisions out: then they are moved to a free second.",
        "detecting-duplicates",
        Example(_TWO_PLANS, _ONE_PLAN, ("--collisions", "reject")),
    ),
    About(
        "D3",
        Severity.NOTE,
        "Kissmetrics' own advice on D1 and D2 is to move the later call by a second.",
        "Nothing: km-cli moves it to the first free second within --spread.",
        "ecommerce-essentials",
        Example(_SAME_SECOND, _NEXT_SECOND),
        ("D1", "D2"),
    ),
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
        "D5-bytes",
        Severity.DROPS,
        "Kissmetrics drops a value of more than 8,192 bytes: the row is rejected.",
        "Leave it out with --exclude-property, or send a shorter form of it.",
        "technical-limitations",
        Example(
            log("09:00:00Z,ada,Acme,Wrote," + "x" * 8193, more="note"),
            log("09:00:00Z,ada,Acme,Wrote," + "x" * 8192, more="note"),
        ),
        ("D5",),
        disagreement="A newer page says 512 characters: see D5-long.",
    ),
    About(
        "D6",
        Severity.DROPS,
        "Kissmetrics keeps nothing from before 2009, and no time such as 0000-00-00: the row is rejected.",
        "Correct the time in the rejects file, or leave these rows out with --since.",
        "importing-data, arg-out-of-range",
        Example(
            f"{HEADER}\n2008-12-31T23:59:59Z,ada,Acme,In\n",
            f"{HEADER}\n2009-01-01T00:00:00Z,ada,Acme,In\n",
        ),
        ("time",),
    ),
    About(
        "D7",
        Severity.DROPS,
        "Kissmetrics keeps the last 1,000 of one event for one person: the older ones are dropped.",
        "Let accounts do fewer events (km.toml, events): an account gathers those of all its users.",
        "technical-limitations",
        Example(_many(1001, "In"), _many(1000, "In")),
    ),
    About(
        "D7-property",
        Severity.DROPS,
        "Kissmetrics keeps the last 1,000 values of one property for one person: older ones are dropped.",
        "Let the account's records carry fewer properties (km.toml, properties or set).",
        "technical-limitations",
        Example(_many(1001, "In", "plan", ",pro"), _many(1000, "In", "plan", ",pro")),
    ),
    About(
        "D8",
        Severity.DROPS,
        "More names of events or properties than a product can have: Kissmetrics drops the rest.",
        "Name the kind of event, and send the part that differs as a property.",
        "technical-limitations, faq",
        Example(_many(1001, "Did {n}"), _many(1000, "Did {n}")),
        disagreement="One page says 65,535 names of events and as many of properties, an FAQ says 1,000.",
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
        "reserved",
        Severity.DROPS,
        "Kissmetrics reserves this property, such as Customer ID, _NAME or KM_NAME: the row is rejected.",
        "Rename it, or leave it out with --exclude-property.",
        "specifications, url, javascript",
        Example(
            '{"timestamp": 1709283600, "user": "ada", "event": "Paid", "Customer ID": "7"}\n',
            '{"timestamp": 1709283600, "user": "ada", "event": "Paid", "Customer": "7"}\n',
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
        "leap-second",
        Severity.CHANGES,
        "A time with the second :60 is read as :59.",
        "Nothing: Kissmetrics' clock has no such second.",
        "specifications",
        Example(log("23:59:60Z,ada,Acme,Paid"), log("23:59:59Z,ada,Acme,Paid")),
    ),
    About(
        "time-unit",
        Severity.NOTE,
        "Times are in another unit than seconds, recognised by their magnitude.",
        "Check that the times shown are right.",
        "specifications",
        Example(f"{HEADER}\n1709283600000,ada,Acme,Paid\n", f"{HEADER}\n1709283600,ada,Acme,Paid\n"),
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
        "constant-time",
        Severity.NOTE,
        "All events of the first rows have the same time: it may be when the log was written.",
        "Name the column of when the events happened: --timestamp NAME.",
        "",
        Example(
            log(*(f"09:00:00Z,u{n},Acme,Paid" for n in range(30))),
            log(*(f"09:00:{n:02}Z,u{n},Acme,Paid" for n in range(30))),
        ),
    ),
    About(
        "left-out",
        Severity.NOTE,
        "Rows are left out by --since, --until, --only, --skip, --where, or km.toml's skip or where.",
        "To send the rest, import without these options.",
        "",
        Example(
            log("09:00:00Z,ada,Acme,Paid", "09:01:00Z,ada,Acme,Left"),
            log("09:00:00Z,ada,Acme,Paid"),
            ("--only", "Paid"),
        ),
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
        "no-such-event",
        Severity.NOTE,
        "No row has an event with this name, which --only, --skip or km.toml has.",
        "Correct the name; the finding says which name in the log is nearest.",
        "",
        Example(log("09:00:00Z,ada,Acme,Paid"), log("09:00:00Z,ada,Acme,Payd"), ("--only", "Payd")),
    ),
    About(
        "unmet-condition",
        Severity.NOTE,
        "No row meets a condition on a column (--where, or where in km.toml), or has its column.",
        "Correct the condition: values are compared as they are. The finding proposes the nearest one.",
        "",
        Example(
            log("09:00:00Z,ada,Acme,Paid,track", more="type"),
            log("09:00:00Z,ada,Acme,Paid,page", more="type"),
            ("--where", "type=page"),
        ),
    ),
    About(
        "alike-rows",
        Severity.NOTE,
        "Rows are alike in every column, or have the same id: they are sent as one event.",
        "Nothing, if the log repeats lines. If they are several events, a column must tell them apart.",
        "",
        Example(
            log("09:05:00Z,ada,Acme,Paid,1", "09:05:00Z,ada,Acme,Paid,1", more="order"),
            log("09:05:00Z,ada,Acme,Paid,1", "09:05:00Z,ada,Acme,Paid,2", more="order"),
        ),
    ),
    About(
        "one-column",
        Severity.NOTE,
        "Rows differ from the row before only in a column that is not sent: each is sent as an event.",
        "If that column is an offset or a time of arrival, and the log repeats lines: --ignore-column NAME.",
        "",
        Example(
            log("09:05:00Z,ada,Acme,Paid,1", "09:05:00Z,ada,Acme,Paid,2", more="offset"),
            log("09:05:00Z,ada,Acme,Paid,1", "09:06:00Z,ada,Acme,Paid,2", more="offset"),
            ("--no-properties",),
        ),
    ),
    About(
        "id-column",
        Severity.NOTE,
        "A column has a different value in every row: it may be the log's own id of the event.",
        "Use --id NAME if every export of the log has the same ids.",
        "",
        Example(
            _many(60, "Paid", "event_id", ",{n}-paid"),
            _many(60, "Paid", "row", ",{n}"),
        ),
    ),
    About(
        "dates",
        Severity.NOTE,
        "Times have no time of day: all events of a day fall into one second, and are moved apart.",
        "--spread 86399 lets them move within their day. A column with the time of day is better.",
        "",
        Example(
            f"{HEADER}\n2024-03-01,ada,Acme,Paid\n",
            f"{HEADER}\n2024-03-01T00:00:00,ada,Acme,Paid\n",
            ("--timezone", "UTC"),
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
    About(
        "conflict",
        Severity.NOTE,
        "Another log has an event of this person and moment with other values: the row is rejected.",
        "If it is another event: --overlap separate. If it is the same, changed since: --overlap repeats.",
        "",
        NO_EXAMPLE,
    ),
    About(
        "changed",
        Severity.DROPS,
        "The event was sent before with other values: it is not sent again (--overlap repeats, or its id).",
        "Nothing, if the first values are right. If these are other events: --overlap separate.",
        "km-cli",
        NO_EXAMPLE,
    ),
    About(
        "refused",
        Severity.NOTE,
        "The destination rejected a call: the rejects file has the parts of the row that are still owed.",
        "Read the destination's answer, then import the rejects file: only the missing parts are sent.",
        "",
        NO_EXAMPLE,
    ),
)
