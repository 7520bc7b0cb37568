"""Descriptions of the findings about calls of one person in one second: D1, D2 and the times themselves."""

from __future__ import annotations

from km_cli.rules.base import HEADER, About, Example, Severity, log

_SAME_SECOND = log("09:05:00Z,bo,Acme,Invited", "09:05:00Z,cy,Acme,Invited")
_NEXT_SECOND = log("09:05:00Z,bo,Acme,Invited", "09:05:01Z,cy,Acme,Invited")
_TWO_PLANS = log("09:05:00Z,bo,Acme,Paid,pro", "09:05:00Z,cy,Acme,Left,free", more="plan")
_ONE_PLAN = log("09:05:00Z,bo,Acme,Paid,pro", "09:05:00Z,cy,Acme,Left,pro", more="plan")

SECONDS: tuple[About, ...] = (
    About(
        "D1",
        Severity.NOTE,
        "Kissmetrics counts an event of one person once a second. Further ones are sent in a later second.",
        "Nothing. --spread limits how far an event may move; --collisions keep leaves it in its second.",
        "detecting-duplicates",
        Example(_SAME_SECOND, _NEXT_SECOND),
        disagreement="By a newer page they merge only if their properties match too.",
    ),
    About(
        "D1-alike",
        Severity.NOTE,
        "One person has the same event and properties twice in a second. One moves to a later second.",
        "Nothing, unless the log wrote one action twice: then remove the second row before you import.",
        "detecting-duplicates",
        Example(_SAME_SECOND, log("09:05:00Z,bo,Acme,Paid,1", "09:05:00Z,cy,Acme,Paid,2", more="seats")),
        disagreement="By the older page the properties do not matter.",
    ),
    About(
        "D1-merged",
        Severity.MERGED,
        "Same person, event and second: Kissmetrics counts them once, as --collisions keep leaves them.",
        "Leave --collisions out: then each event is sent in a second of its own.",
        "detecting-duplicates",
        Example(_SAME_SECOND, _NEXT_SECOND, ("--collisions", "keep")),
    ),
    About(
        "D1-full",
        Severity.REJECTED,
        "This person already has this event in every second within --spread. It is not sent.",
        "Import the rejects file with a larger --spread, or list fewer events for accounts in km.toml.",
        "detecting-duplicates",
        Example(_SAME_SECOND, _NEXT_SECOND, ("--spread", "0")),
        ("D1",),
    ),
    About(
        "D2",
        Severity.NOTE,
        "Kissmetrics keeps one value of a property a second: other values get a later second.",
        "Nothing. With fewer properties (--exclude-property NAME), fewer of them are moved.",
        "detecting-duplicates",
        Example(_TWO_PLANS, _ONE_PLAN),
    ),
    About(
        "D2-lost",
        Severity.LOST,
        "A property has several values in one second and no second is free: Kissmetrics keeps one of them.",
        "Use a larger --spread, or send fewer properties for that persona (km.toml, properties).",
        "detecting-duplicates",
        Example(_TWO_PLANS, _ONE_PLAN, ("--spread", "0")),
    ),
    About(
        "D2-full",
        Severity.REJECTED,
        "This person has another value of the property in that second: not sent (--collisions reject).",
        "Import the rejects file without --collisions: then the value is sent in a free second.",
        "detecting-duplicates",
        Example(_TWO_PLANS, _ONE_PLAN, ("--collisions", "reject")),
        ("D2",),
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
        "leap-second",
        Severity.CHANGED,
        "A time has the second :60, which Kissmetrics does not know. It is sent as :59.",
        "Nothing.",
        "specifications",
        Example(log("23:59:60Z,ada,Acme,Paid"), log("23:59:59Z,ada,Acme,Paid")),
    ),
    About(
        "time-unit",
        Severity.NOTE,
        "The times are numbers too large or too small for seconds: km-cli took them for another unit.",
        "Check that the times shown are right.",
        "specifications",
        Example(f"{HEADER}\n1709283600000,ada,Acme,Paid\n", f"{HEADER}\n1709283600,ada,Acme,Paid\n"),
    ),
    About(
        "constant-time",
        Severity.NOTE,
        "The first rows all have the same time: perhaps when the log was written, not when things happened.",
        "Name the column that has the time of each event: --timestamp NAME.",
        "",
        Example(
            log(*(f"09:00:00Z,u{n},Acme,Paid" for n in range(30))),
            log(*(f"09:00:{n:02}Z,u{n},Acme,Paid" for n in range(30))),
        ),
    ),
)
