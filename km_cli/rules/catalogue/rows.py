"""Descriptions of the findings about rows: selected or not, alike, sent before, refused."""

from __future__ import annotations

from km_cli.rules.base import NO_EXAMPLE, About, Example, Severity, log
from km_cli.rules.catalogue.logs import many_events

ROWS: tuple[About, ...] = (
    About(
        "left-out",
        Severity.NOTE,
        "These rows are outside of the part of the log that was asked for, and are not sent.",
        "To send them too, import without --since, --until, --only, --skip, --where (km.toml: skip, where).",
        "",
        Example(
            log("09:00:00Z,ada,Acme,Paid", "09:01:00Z,ada,Acme,Left"),
            log("09:00:00Z,ada,Acme,Paid"),
            ("--only", "Paid"),
        ),
    ),
    About(
        "no-such-event",
        Severity.NOTE,
        "No row has an event of this name, which --only, --skip or km.toml asks for.",
        "Correct the name; the finding says which name in the log is nearest.",
        "",
        Example(log("09:00:00Z,ada,Acme,Paid"), log("09:00:00Z,ada,Acme,Payd"), ("--only", "Payd")),
    ),
    About(
        "unmet-condition",
        Severity.NOTE,
        "No row meets a condition on a column (--where, or where in km.toml), or has its column.",
        "Correct the condition: values are compared as they are. The finding names a near one, if any.",
        "",
        Example(
            log("09:00:00Z,ada,Acme,Paid,track", more="type"),
            log("09:00:00Z,ada,Acme,Paid,page", more="type"),
            ("--where", "type=page"),
        ),
    ),
    About(
        "unseen-column",
        Severity.NOTE,
        "No row has a column inside of an object that a flag or km.toml names: the name may be misspelt.",
        "Correct the name; the finding says which column of the log is nearest, if one is.",
        "",
        Example(
            log('09:00:00Z,ada,Acme,Paid,"{""nam"":""pro""}"', more="plan"),
            log('09:00:00Z,ada,Acme,Paid,"{""name"":""pro""}"', more="plan"),
            ("--property", "plan.name"),
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
        "If the log repeats lines, and this column only counts or dates them: --ignore-column NAME.",
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
            many_events(60, "Paid", "event_id", ",{n}-paid"),
            many_events(60, "Paid", "row", ",{n}"),
        ),
    ),
    About(
        "conflict",
        Severity.REJECTED,
        "Another file has this event at this moment with other values. It is not sent until you decide.",
        "Import the rejects: --overlap separate for another event, --overlap repeats for a changed one.",
        "",
        NO_EXAMPLE,
    ),
    About(
        "older-value",
        Severity.LOST,
        "Rows that were read earlier have another value of a set column before and after this row. Not sent.",
        "Import files and rows in order of time. The value that Kissmetrics holds last is right either way.",
        "km-cli",
        Example(
            log(
                "09:00:00Z,ada,Acme,In,pro",
                "09:02:00Z,ada,Acme,In,pro",
                "09:01:00Z,ada,Acme,In,max",
                more="plan",
            ),
            log(
                "09:00:00Z,ada,Acme,In,pro",
                "09:01:00Z,ada,Acme,In,max",
                "09:02:00Z,ada,Acme,In,pro",
                more="plan",
            ),
            km_toml='[[personas]]\nname = "user"\nset = ["plan"]\n',
        ),
    ),
    About(
        "changed",
        Severity.LOST,
        "Sent before with other values, which stay in Kissmetrics: the new ones are not sent.",
        "Nothing, if the first values are right. If these are other events: --overlap separate.",
        "km-cli",
        NO_EXAMPLE,
    ),
    About(
        "refused",
        Severity.REJECTED,
        "The destination refused a call: the rejects file has the parts of the row that are still owed.",
        "Read the answer in the reason, then import the rejects file: only the missing parts are sent.",
        "",
        NO_EXAMPLE,
    ),
)
