"""Descriptions of the findings about calls that Kissmetrics drops, or of which it keeps only the last."""

from __future__ import annotations

from km_cli.rules.base import HEADER, About, Example, Severity, log
from km_cli.rules.catalogue.logs import many_events

LIMITS: tuple[About, ...] = (
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
        Example(many_events(1001, "In"), many_events(1000, "In")),
    ),
    About(
        "D7-property",
        Severity.DROPS,
        "Kissmetrics keeps the last 1,000 values of one property for one person: older ones are dropped.",
        "Let the account's records carry fewer properties (km.toml, properties or set).",
        "technical-limitations",
        Example(many_events(1001, "In", "plan", ",pro"), many_events(1000, "In", "plan", ",pro")),
    ),
    About(
        "D8",
        Severity.DROPS,
        "More names of events or properties than a product can have: Kissmetrics drops the rest.",
        "Name the kind of event, and send the part that differs as a property.",
        "technical-limitations, faq",
        Example(many_events(1001, "Did {n}"), many_events(1000, "Did {n}")),
        disagreement="One page says 65,535 names of events and as many of properties, an FAQ says 1,000.",
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
)
