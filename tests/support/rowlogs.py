"""Logs whose rows are hard to tell apart, and every kind of personas to read them with.

Rows of one second, equal and almost equal ones, and in each log a column (`note`) that no persona carries.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from hypothesis import strategies as st

from tests.support.rowcount import Form, Level

COLUMNS = ("timestamp", "user", "account", "contact", "event", "plan", "note", "offset")
UNCARRIED = "note"
EVENTS = ("Signed Up", "Invited", "Paid")

Row = tuple[str, ...]
"""A value for each of the columns; `offset` is empty unless lines are delivered again."""


class Kind(NamedTuple):
    """Personas, as the command line has them and as the oracle knows them."""

    name: str
    flags: tuple[str, ...]
    toml: str
    form: Form


USER, ACCOUNT = Level("user", "user"), Level("account", "account")
_SITES = '[sites.main]\nkey_env = "KM_API_KEY"\n[sites.accounts]\nkey_env = "KM_ACCOUNT_API_KEY"\n'
_PARTNERS = '[sites.partners]\nkey_env = "KM_PARTNERS_API_KEY"\n'

_TEAMS = Form(
    (
        Level("user", "user", properties=("plan",), link=(("Account", "account"),)),
        Level(
            "account",
            "account",
            events={"Signed Up": "", "Invited": ""},
            rename="Account {event}",
            properties=(),
            prefix="account ",
        ),
        Level("contact", "contact", "partners", events={"Invited": "Was Invited"}, properties=()),
    )
)
_TEAMS_TOML = (
    _SITES
    + _PARTNERS
    + """
[[personas]]
name = "user"
properties = ["plan"]
link = { Account = "account" }
[[personas]]
name = "account"
prefix = "account "
events = ["Signed Up", "Invited"]
rename = "Account {event}"
properties = []
[[personas]]
name = "contact"
events = { Invited = "Was Invited" }
properties = []
site = "partners"
"""
)
_BARE_TOML = (
    _SITES
    + '[[personas]]\nname = "user"\nproperties = ["plan"]\n'
    + ('[[personas]]\nname = "account"\nproperties = []\nsite = "accounts"\n')
)
_UNSENT = ("--exclude-property", "note", "--exclude-property", "contact")

KINDS = (
    Kind("all-but-note", _UNSENT, "", Form((USER, ACCOUNT), excluded=("note", "contact"))),
    Kind("no-properties", ("--no-properties",), "", Form((USER, ACCOUNT), properties=())),
    Kind("one-property", ("--property", "plan"), "", Form((USER, ACCOUNT), properties=("plan",))),
    Kind(
        "property",
        ("--strategy", "property", "--property", "plan"),
        "",
        Form(
            (USER._replace(link=(("Account", "account"),)), ACCOUNT._replace(events={})), properties=("plan",)
        ),
    ),
    Kind(
        "sites",
        ("--strategy", "sites", "--no-properties"),
        "",
        Form((USER, ACCOUNT._replace(site="accounts")), properties=()),
    ),
    Kind(
        "bare-account",
        (),
        _BARE_TOML,
        Form((USER._replace(properties=("plan",)), ACCOUNT._replace(site="accounts", properties=()))),
    ),
    Kind("teams", (), _TEAMS_TOML, _TEAMS),
)
BY_NAME = {kind.name: kind for kind in KINDS}


def as_csv(rows: Iterable[Row], columns: Sequence[str] = COLUMNS, of: Sequence[str] = COLUMNS) -> str:
    """Return rows (with values for the columns `of`) as CSV with these columns, in this order."""
    places = [of.index(name) for name in columns]
    return "".join(
        ",".join(cells) + "\n" for cells in (columns, *([row[at] for at in places] for row in rows))
    )


def as_jsonl(rows: Iterable[Row], columns: Sequence[str] = COLUMNS, sparse: bool = False) -> str:
    """Return rows as JSON lines; blanks are absent in every second row (`sparse`: in all), else null."""
    lines = []
    for number, row in enumerate(rows):
        whole = dict(zip(COLUMNS, row, strict=True))
        cells = {name: whole[name] or None for name in columns}
        is_whole = number % 2 == 0 and not sparse
        shown = cells if is_whole else {name: cell for name, cell in cells.items() if cell}
        lines.append(json.dumps(shown) + "\n")
    return "".join(lines)


def moment(eighths: int) -> str:
    """Return a time so many eighths of a second after noon."""
    minutes, seconds = divmod(eighths // 8, 60)
    return f"2024-03-01T12:{minutes:02}:{seconds:02}.{eighths % 8 * 125:03}Z"


def row(
    eighths: int,
    user: str = "ada",
    account: str = "Acme",
    event: str = "Invited",
    plan: str = "pro",
    note: str = "",
    contact: str = "",
    offset: str = "",
) -> Row:
    """Return a row, by what matters of it."""
    return moment(eighths), user, account, contact, event, plan, note, offset


# For hypothesis

rows = st.builds(
    row,
    st.sampled_from([0, 0, 1, 2, 8, 8, 9, 16]),
    st.sampled_from(["ada", "ada", "bo"]),
    st.sampled_from(["Acme", "Acme", "Beta", ""]),
    st.sampled_from(EVENTS[1:]),
    st.sampled_from(["pro", "pro", "free", ""]),
    st.sampled_from(["", "1", "2", "3"]),
    st.sampled_from(["", "zoe"]),
)


@st.composite
def logs(draw: st.DrawFn, least: int = 2, most: int = 8) -> list[Row]:
    """Rows in order of time, some of them alike, two at least that differ in the uncarried column alone."""
    found = draw(st.lists(rows, min_size=least - 1, max_size=most - 2))
    at = COLUMNS.index(UNCARRIED)
    twin = draw(st.sampled_from(found))
    found.append((*twin[:at], f"not {twin[at]}", *twin[at + 1 :]))
    if draw(st.booleans()):
        found.append(draw(st.sampled_from(found)))
    return sorted(draw(st.permutations(found)), key=lambda one: one[0])


def cuts(draw: st.DrawFn, log: Sequence[Row], most: int = 3) -> list[list[Row]]:
    """Cut a log into files at any rows, one between two rows that differ in `note` alone, if there are."""
    places = set(draw(st.lists(st.integers(1, len(log)), max_size=most)))
    twins = [at for at in range(1, len(log)) if _are_twins(log[at - 1], log[at])]
    if twins:
        places.add(draw(st.sampled_from(twins)))
    ends = [0, *sorted(places - {len(log)}), len(log)]
    return [list(log[begin:end]) for begin, end in pairwise(ends)]


def _are_twins(one: Row, other: Row) -> bool:
    at = COLUMNS.index(UNCARRIED)
    return one != other and one[:at] + one[at + 1 :] == other[:at] + other[at + 1 :]


# By a seed, larger


def seeded(seed: int, size: int, seconds: int) -> list[Row]:
    """Return rows in order of time, within so many seconds."""
    draw = random.Random(seed)
    found = [
        row(
            draw.randrange(seconds * 8),
            f"u{draw.randrange(4)}",
            draw.choice(["Acme", "Beta", "Gamma", ""]),
            draw.choice(EVENTS),
            draw.choice(["pro", "free", ""]),
            str(draw.randrange(3)),
            draw.choice(["", "zoe", "max"]),
        )
        for _ in range(size)
    ]
    return sorted(found, key=lambda one: one[0])
