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
)
