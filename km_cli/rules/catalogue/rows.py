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
        "pruned",
        Severity.NOTE,
        "These rows are older than the ledger's horizon: km-cli forgot which of them were sent. Not sent.",
        "Nothing, if they were sent before `km-cli ledger prune`. If they are new: import with --as-new.",
        "",
        NO_EXAMPLE,
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
        "No row meets a condition (--where, or where in km.toml), or no row has the column it names.",
        "Correct the condition: each character counts. The finding names a near value, if there is one.",
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
        "A flag or km.toml names a column, such as plan.name, that no row has: is it misspelt?",
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
        "Rows differ only in a column that is not sent. Each row is still sent as an event of its own.",
        "If they are repeats, and this column only counts or dates them: --ignore-column NAME.",
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
        "Use --id NAME if an event keeps its id in every export: km-cli then knows it again.",
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
        "Import the rejects: --overlap separate sends a new event, --overlap repeats keeps the first values.",
        "",
        NO_EXAMPLE,
    ),
    About(
        "older-value",
        Severity.LOST,
        "Rows read first have another value of this property, from before and after this one. Not sent.",
        "Nothing, if the latest value is enough: it is right. Otherwise import in order of time.",
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
        "This event was sent before with other values. Those stay in Kissmetrics; the new ones are not sent.",
        "Nothing, if the first values are right. If it is a different event: --overlap separate.",
        "km-cli",
        NO_EXAMPLE,
    ),
    About(
        "refused",
        Severity.REJECTED,
        "The destination refused a part of this row. The rejects file has the parts that were not taken.",
        "Read the answer in the reason, then import the rejects file: only the missing parts are sent.",
        "",
        NO_EXAMPLE,
    ),
)
