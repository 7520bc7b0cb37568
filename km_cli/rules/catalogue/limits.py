"""Descriptions of the findings about calls that Kissmetrics drops, or of which it keeps only the last."""

from __future__ import annotations

from km_cli.rules.base import HEADER, About, Example, Severity, log
from km_cli.rules.catalogue.logs import many_events

LIMITS: tuple[About, ...] = (
    About(
        "D5-bytes",
        Severity.REJECTED,
        "A value has more than 8,192 bytes, and Kissmetrics would drop it: the row is not sent.",
        "Leave the column out with --exclude-property NAME, or shorten the value in the rejects file.",
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
        Severity.REJECTED,
        "The time is before 2009, or is 0 or 0000-00-00: Kissmetrics would not keep it. Not sent.",
        "Correct the time in the rejects file, or leave old events out with --since 2009-01-01.",
        "importing-data, arg-out-of-range",
        Example(
            f"{HEADER}\n2008-12-31T23:59:59Z,ada,Acme,In\n",
            f"{HEADER}\n2009-01-01T00:00:00Z,ada,Acme,In\n",
        ),
        ("time",),
    ),
    About(
        "D7",
        Severity.LOST,
        "Kissmetrics keeps the last 1,000 of each event for each person, and drops the older ones.",
        "Record fewer events on accounts (km.toml, events): an account gets the events of all its users.",
        "technical-limitations",
        Example(many_events(1001, "In"), many_events(1000, "In")),
    ),
    About(
        "D7-property",
        Severity.LOST,
        "Kissmetrics keeps the last 1,000 values of each property for each person, and drops the older ones.",
        "Send fewer properties for accounts: shorten the lists properties and set in km.toml.",
        "technical-limitations",
        Example(many_events(1001, "In", "plan", ",pro"), many_events(1000, "In", "plan", ",pro")),
    ),
    About(
        "D8",
        Severity.LOST,
        "The log has more names of events or properties than Kissmetrics can hold: it drops the rest.",
        "Give events a general name, such as Viewed Page, and send the part that differs as a property.",
        "technical-limitations, faq",
        Example(many_events(1001, "Did {n}"), many_events(1000, "Did {n}")),
        disagreement="One page says 65,535 names of events and as many of properties, an FAQ says 1,000.",
    ),
    About(
        "reserved",
        Severity.REJECTED,
        "Kissmetrics reserves this property name (Customer ID, _NAME, KM_NAME): the row is not sent.",
        "Rename the column, or leave it out with --exclude-property NAME.",
        "specifications, url, javascript",
        Example(
            '{"timestamp": 1709283600, "user": "ada", "event": "Paid", "Customer ID": "7"}\n',
            '{"timestamp": 1709283600, "user": "ada", "event": "Paid", "Customer": "7"}\n',
        ),
    ),
)
