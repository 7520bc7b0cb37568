"""Why a funnel counted by people differs from the same funnel counted by accounts."""

from __future__ import annotations

from typing import NamedTuple

from km_cli.compare.table import Table

_MOST_NAMED = 10
_LARGEST_NAMED = 5
SIZES = ((1, 1), (2, 2), (3, 5), (6, 10), (11, 20), (21, 50), (51, 100), (101, None))
"""The groups of accounts by their number of people, from and to."""


class Contributor(NamedTuple):
    """An account that converts although most of its people do not.

    `began` is how many of its people reached step one, `converted` how many of them the last step.
    """

    name: str
    people: int
    began: int
    converted: int


class Size(NamedTuple):
    """How many accounts have from `least` to `most` people; None for no limit."""

    least: int
    most: int | None
    accounts: int


class Differences(NamedTuple):
    """How one persona (the accounts) relates to the actor (the people).

    `contributors` are those that explain most, of `contributing` in all. `without_converts` accounts convert
    although none of their people does: different people do the steps. `in_several` and `in_none` count
    people; `median_people` and `largest` are about all accounts that the log names with people.
    """

    persona: str
    contributing: int
    contributors: tuple[Contributor, ...]
    without_converts: int
    in_several: int
    in_one: int
    in_none: int
    sizes: tuple[Size, ...]
    median_people: float | None
    largest: tuple[tuple[str, int], ...]


_ACCOUNTS = """
CREATE TEMP TABLE accounts AS
SELECT other AS identity,
       count(*) AS people,
       count(walked.identity) AS began,
       sum(coalesce(walked.steps, 0) = :steps) AS converted
FROM belongs LEFT JOIN walked ON walked.identity = belongs.actor
WHERE other % :width = :place
GROUP BY other
"""

_CONVERTED = "(SELECT steps FROM walked WHERE walked.identity = accounts.identity) = :steps"
_CONTRIBUTING = f"FROM accounts WHERE 2 * converted < began AND {_CONVERTED}"


def differences(table: Table, place: int, steps: int) -> Differences:
    """Return how the persona at `place` relates to the actor, for a funnel of so many steps.

    The table is finished, and its walks are counted.
    """
    database, width = table.database, len(table.personas)
    known = {"steps": steps, "width": width, "place": place}
    database.execute(_ACCOUNTS, known)
    try:
        (contributing,) = database.execute(f"SELECT count(*) {_CONTRIBUTING}", known).fetchone()
        (without,) = database.execute(
            f"SELECT count(*) FROM accounts WHERE converted = 0 AND {_CONVERTED}", known
        ).fetchone()
        return Differences(
            table.personas[place],
            contributing,
            _contributors(table, known),
            without,
            *_belonging(table, known),
            _sizes(table),
            _median(table),
            _largest(table),
        )
    finally:
        database.execute("DROP TABLE accounts")


def _contributors(table: Table, known: dict[str, int]) -> tuple[Contributor, ...]:
    rows = table.database.execute(
        "SELECT (SELECT name FROM names WHERE names.identity = accounts.identity) AS name,"
        f" people, began, converted {_CONTRIBUTING}"
        " ORDER BY began - converted DESC, name LIMIT :most",
        {**known, "most": _MOST_NAMED},
    )
    return tuple(Contributor(*row) for row in rows)


def _belonging(table: Table, known: dict[str, int]) -> tuple[int, int, int]:
    """Return how many people belong to several accounts, to one, and to none."""
    several, one = table.database.execute(
        "SELECT coalesce(sum(number > 1), 0), coalesce(sum(number = 1), 0) FROM"
        " (SELECT count(*) AS number FROM belongs WHERE other % :width = :place GROUP BY actor)",
        known,
    ).fetchone()
    return several, one, table.identities(0) - several - one


def _sizes(table: Table) -> tuple[Size, ...]:
    """Return the distribution of accounts by their number of people, without empty groups at its end."""
    sums = ", ".join(
        f"coalesce(sum(people >= {least}{f' AND people <= {most}' if most else ''}), 0)"
        for least, most in SIZES
    )
    numbers = table.database.execute(f"SELECT {sums} FROM accounts").fetchone()
    sizes = [Size(least, most, number) for (least, most), number in zip(SIZES, numbers, strict=True)]
    while sizes and not sizes[-1].accounts:
        sizes.pop()
    return tuple(sizes)


def _median(table: Table) -> float | None:
    (number,) = table.database.execute("SELECT count(*) FROM accounts").fetchone()
    if not number:
        return None
    middle = table.database.execute(
        "SELECT people FROM accounts ORDER BY people LIMIT ? OFFSET ?",
        (2 - number % 2, (number - 1) // 2),
    ).fetchall()
    return float(sum(people for (people,) in middle) / len(middle))


def _largest(table: Table) -> tuple[tuple[str, int], ...]:
    rows = table.database.execute(
        "SELECT (SELECT name FROM names WHERE names.identity = accounts.identity) AS name, people"
        " FROM accounts ORDER BY people DESC, name LIMIT ?",
        (_LARGEST_NAMED,),
    )
    return tuple((str(name), int(people)) for name, people in rows)
