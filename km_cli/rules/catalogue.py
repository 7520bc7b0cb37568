"""What is noticed elsewhere on the way, in the same words as the rules about single events.

The stages find it; here is what it means. An example's log shows it, one that is nearly the same does not.
"""

from __future__ import annotations

from km_cli.rules.base import HEADER, About, Example, Severity, log

_SAME_SECOND = log("09:05:00Z,bo,Acme,Invited", "09:05:00Z,cy,Acme,Invited")
_NEXT_SECOND = log("09:05:00Z,bo,Acme,Invited", "09:05:01Z,cy,Acme,Invited")
_TWO_PLANS = log("09:05:00Z,bo,Acme,Paid,pro", "09:05:00Z,cy,Acme,Left,free", more="plan")
_ONE_PLAN = log("09:05:00Z,bo,Acme,Paid,pro", "09:05:00Z,cy,Acme,Left,pro", more="plan")
_PAID_AND_SEEN = log("09:00:00Z,ada,Acme,Paid", "09:01:00Z,ada,Acme,Seen")
_ONLY_PAID = (
    '[[personas]]\nname = "user"\nevents = ["Paid"]\n[[personas]]\nname = "account"\nevents = ["Paid"]\n'
)
_NO_EXAMPLE = Example("", "")
"""It takes what was sent before, or what a destination answers, to show it."""


def _many(rows: int, event: str, more: str = "", cell: str = "") -> str:
    """Return a log of so many events, a second apart, by users of one account; {n} counts them."""
    moments = (f"{9 + n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}Z" for n in range(rows))
    lines = [f"{at},u{n},Acme,{event.format(n=n)}{cell.format(n=n)}" for n, at in enumerate(moments)]
    return log(*lines, more=more)


NOTICED: tuple[About, ...] = (
    About(
        "W3",
        Severity.NOTE,
        "whatever is wrong with a call, the answer is 200 and an image, and the call is gone",
        "correct the row in the rejects file: km-cli rejects what Kissmetrics would drop",
        "specifications",
        Example(log("09:00:00Z,ada,Acme,"), log("09:00:00Z,ada,Acme,Paid")),
        ("W3", "no-event", "no-identity", "no-property-name"),
    ),
    About(
        "D1",
        Severity.NOTE,
        "same person, event and second: moved to a free second so that both count",
        "nothing; --collisions keep leaves them in one second, --spread says how far they may move",
        "detecting-duplicates",
        Example(_SAME_SECOND, _NEXT_SECOND),
    ),
    About(
        "D1-alike",
        Severity.NOTE,
        "those of D1 whose properties match too: by a newer page only they would merge",
        "nothing: the stricter page is assumed, and both are moved apart",
        "detecting-duplicates",
        Example(_SAME_SECOND, log("09:05:00Z,bo,Acme,Paid,1", "09:05:00Z,cy,Acme,Paid,2", more="seats")),
    ),
    About(
        "D1-merged",
        Severity.MERGES,
        "same person, event and second, left so by --collisions keep: Kissmetrics counts them once",
        "leave --collisions out: they are moved apart then",
        "detecting-duplicates",
        Example(_SAME_SECOND, _NEXT_SECOND, ("--collisions", "keep")),
    ),
    About(
        "D1-full",
        Severity.DROPS,
        "no second within --spread is free of the same event: that part of the row is rejected",
        "let accounts do fewer events (personas in km.toml), or a larger --spread, or --collisions keep",
        "detecting-duplicates",
        Example(_SAME_SECOND, _NEXT_SECOND, ("--spread", "0")),
    ),
    About(
        "D2",
        Severity.NOTE,
        "another value of a property in the same second: moved to a free second so that both are kept",
        "nothing; fewer properties (km.toml, properties) or --exclude-property avoid it",
        "detecting-duplicates",
        Example(_TWO_PLANS, _ONE_PLAN),
    ),
    About(
        "D2-lost",
        Severity.CHANGES,
        "another value of a property, and no free second within --spread: one value survives",
        "fewer properties for that persona, or a larger --spread",
        "detecting-duplicates",
        Example(_TWO_PLANS, _ONE_PLAN, ("--spread", "0")),
    ),
    About(
        "D2-full",
        Severity.DROPS,
        "another value of a property in the same second, rejected as --collisions reject says",
        "leave --collisions out: they are moved apart then",
        "detecting-duplicates",
        Example(_TWO_PLANS, _ONE_PLAN, ("--collisions", "reject")),
    ),
    About(
        "D3",
        Severity.NOTE,
        "the documented cure of D1 and D2 is to move the later call by a second: it shows as D1 or D2",
        "nothing: km-cli does it, the first free second within --spread",
        "ecommerce-essentials",
        Example(_SAME_SECOND, _NEXT_SECOND),
        ("D1", "D2"),
    ),
    About(
        "D4-ids",
        Severity.MERGES,
        "two ids that differ by commas or colons only: an older page makes them one person; rejected",
        "write the id in one way; a prefix does not help",
        "specifications",
        Example(
            log('09:00:00Z,"lee, ada",Acme,Paid', "09:01:00Z,lee  ada,Acme,Paid"),
            log('09:00:00Z,"lee, ada",Acme,Paid', "09:01:00Z,lee ada,Acme,Paid"),
        ),
        ("D4",),
    ),
    About(
        "D5-bytes",
        Severity.DROPS,
        "a value over 8,192 bytes: rejected",
        "leave it out with --exclude-property, or send a shorter form of it",
        "technical-limitations",
        Example(
            log("09:00:00Z,ada,Acme,Wrote," + "x" * 8193, more="note"),
            log("09:00:00Z,ada,Acme,Wrote," + "x" * 8192, more="note"),
        ),
        ("D5",),
    ),
    About(
        "D6",
        Severity.DROPS,
        "a time before 2009, or none at all such as 0000-00-00: Kissmetrics does not keep it; rejected",
        "correct the time in the rejects file, or leave those rows out with --since",
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
        "more than 1,000 of one event for one person: only the last 1,000 are kept",
        "let accounts do fewer events (km.toml, events): they gather those of all their users",
        "technical-limitations",
        Example(_many(1001, "In"), _many(1000, "In")),
    ),
    About(
        "D7-property",
        Severity.DROPS,
        "more than 1,000 values of one property for one person: only the last 1,000 are kept",
        "let the account's records carry fewer properties (km.toml, properties or set)",
        "technical-limitations",
        Example(_many(1001, "In", "plan", ",pro"), _many(1000, "In", "plan", ",pro")),
    ),
    About(
        "D8",
        Severity.DROPS,
        "more names of events or properties than a product can have: 65,535, or 1,000 as an FAQ says",
        "name the kind of event, and send what differs as a property",
        "technical-limitations, faq",
        Example(_many(1001, "Did {n}"), _many(1000, "Did {n}")),
    ),
    About(
        "I1",
        Severity.MERGES,
        "an identity that stands for nobody, as guest or null, would be one person for good; rejected",
        "correct the row in the rejects file, or --allow-id VALUE if it really is somebody",
        "troubleshooting-identities",
        Example(log("09:00:00Z,guest,Acme,Paid"), log("09:00:00Z,guest one,Acme,Paid")),
    ),
    About(
        "I2",
        Severity.MERGES,
        "one id as two personas of a site, or an alias between people: one person for good; rejected",
        "give one persona a prefix in km.toml, or another site",
        "specifications, troubleshooting-identities",
        Example(
            log("09:00:00Z,7,8,Paid", "09:01:00Z,8,9,Paid"), log("09:00:00Z,7,8,Paid", "09:01:00Z,9,8,Paid")
        ),
    ),
    About(
        "I3",
        Severity.NOTE,
        "an alias to an identity that has no data of its own here: it shows only once it has",
        "nothing, if its data comes from elsewhere, as a visitor's from JavaScript",
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
        "a property that Kissmetrics reserves, as Customer ID or one that begins with _ or KM_: rejected",
        "rename it, or leave it out with --exclude-property",
        "specifications, url, javascript",
        Example(
            '{"timestamp": 1709283600, "user": "ada", "event": "Paid", "Customer ID": "7"}\n',
            '{"timestamp": 1709283600, "user": "ada", "event": "Paid", "Customer": "7"}\n',
        ),
    ),
    About(
        "crossover",
        Severity.NOTE,
        "one event is done by two personas of a site: a report on it counts both as people",
        "rename it for one of them (km.toml, rename), or tell them apart by events that only they do",
        "person-or-account",
        Example(log("09:00:00Z,ada,Acme,Paid"), log("09:00:00Z,ada,,Paid", "09:00:00Z,,Acme,Left")),
    ),
    About(
        "alike-ids",
        Severity.CHANGES,
        "an id that differs from another only in case or Unicode form: two people, perhaps one",
        "write the id in one way",
        "troubleshooting-identities",
        Example(
            log("09:00:00Z,ada@a.example,Acme,Paid", "09:01:00Z,Ada@a.example,Acme,Paid"),
            log("09:00:00Z,ada@a.example,Acme,Paid", "09:01:00Z,ada@b.example,Acme,Paid"),
        ),
    ),
    About(
        "leap-second",
        Severity.CHANGES,
        "a time with the second :60: read as :59",
        "nothing: Kissmetrics' clock has no such second",
        "specifications",
        Example(log("23:59:60Z,ada,Acme,Paid"), log("23:59:59Z,ada,Acme,Paid")),
    ),
    About(
        "time-unit",
        Severity.NOTE,
        "times in a unit other than seconds, recognised by magnitude",
        "see that the times shown are right",
        "specifications",
        Example(f"{HEADER}\n1709283600000,ada,Acme,Paid\n", f"{HEADER}\n1709283600,ada,Acme,Paid\n"),
    ),
    About(
        "left-out",
        Severity.NOTE,
        "rows that --since, --until, --only, --skip or km.toml's skip leaves out",
        "an import without them sends the rest",
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
        "an event that is in no persona's list (km.toml, events): no one is recorded as doing it",
        "add it to a persona's events in km.toml, or name it in skip (km.toml, columns) if it is meant",
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
        "an event that is in one persona's list and not in another's, whose reports do without it",
        "nothing, if it is meant; else add it to the other persona's events in km.toml",
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
        "names after --only or --skip, or in km.toml, that no row has",
        "correct the name; the finding says which name of the log is nearest",
        "",
        Example(log("09:00:00Z,ada,Acme,Paid"), log("09:00:00Z,ada,Acme,Payd"), ("--only", "Payd")),
    ),
    About(
        "alike-rows",
        Severity.NOTE,
        "rows that are alike in every column, or have the same id: they are one event",
        "nothing, if the log repeats lines; if they are several events, a column must tell them apart",
        "",
        Example(
            log("09:05:00Z,ada,Acme,Paid,1", "09:05:00Z,ada,Acme,Paid,1", more="order"),
            log("09:05:00Z,ada,Acme,Paid,1", "09:05:00Z,ada,Acme,Paid,2", more="order"),
        ),
    ),
    About(
        "one-column",
        Severity.NOTE,
        "rows that differ from the row before in one column alone, which is not sent: events of their own",
        "if that column is an offset or a time of arrival, and the log repeats lines: --ignore-column NAME",
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
        "a column with another value in every row, as an id of the event: with it rows are known for certain",
        "say --id NAME, if every export of the log has the same ids",
        "",
        Example(
            _many(60, "Paid", "event_id", ",{n}-paid"),
            _many(60, "Paid", "row", ",{n}"),
        ),
    ),
    About(
        "dates",
        Severity.NOTE,
        "times without a time of day: all events of a day fall into one second, and are moved apart",
        "--spread 86399 lets them move within their day; a column with the time of day is better",
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
        "the members' file names another account than when a row was sent: the event is sent for it too",
        "say since and until in the members' file: then what was sent stays with the account of its time",
        "km-cli",
        _NO_EXAMPLE,
    ),
    About(
        "conflict",
        Severity.NOTE,
        "another log has the same event of the same moment with other values: rejected, for you to decide",
        "--overlap separate, if it is another event; --overlap repeats, if it is the same, changed since",
        "",
        _NO_EXAMPLE,
    ),
    About(
        "changed",
        Severity.DROPS,
        "sent before with other values: not sent again, as --overlap repeats or an id says",
        "nothing, if the first values are right; if these are other events: --overlap separate",
        "km-cli",
        _NO_EXAMPLE,
    ),
    About(
        "refused",
        Severity.NOTE,
        "the destination did not take a call: what is still owed of the row is in the rejects file",
        "see what it answered, then import the rejects file: only what is owed is sent",
        "",
        _NO_EXAMPLE,
    ),
)
