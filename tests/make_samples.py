"""Write samples/: the product log of an invented company, always the same bytes.

`python tests/make_samples.py [FOLDER]`. Six months of a planning tool sold to teams: `events.csv` from its
web application, `events.jsonl` from its mobile one. Both hold what real logs hold: teams of all sizes, people
who are in no team yet, billing without a person, many things in one second, duplicates, and a few bad rows.
"""

import csv
import io
import json
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

SEED = 20_240_630
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = 182
COLUMNS = ("user_id", "account_id", "event", "timestamp", "plan", "amount", "seats", "source", "note")

PLANS = {"Starter": 9, "Team": 19, "Business": 39}
SOURCES = ("Google", "Newsletter", "Partner", "Word of mouth", "Webinar, spring", "Conference")
FIRST = (
    "ana",
    "ben",
    "cleo",
    "dora",
    "emil",
    "fay",
    "gus",
    "hana",
    "ivo",
    "june",
    "kofi",
    "lena",
    "milo",
    "nora",
)
LAST = (
    "abbott",
    "brandt",
    "castro",
    "dietz",
    "eklund",
    "ferri",
    "gomes",
    "hale",
    "ito",
    "jansen",
    "keller",
    "lund",
)
COMPANY = ("Fernhill", "Northgate", "Blueleaf", "Harbour", "Kestrel", "Lumen", "Marlow", "Orchard", "Quarry")
TRADE = ("Robotics", "Foods", "Legal", "Studio", "Logistics", "Health", "Energy", "& Sons")
NOTES = (
    "Wants invoices, not cards",
    'Asked for the "Business" trial',
    "Called twice\nsend the contract on Monday",
    "Renewal, upsell",
    "Überweisung, nicht Karte",
)
WEB = {
    "Logged In": 34,
    "Created Project": 14,
    "Completed Task": 24,
    "Invited Teammate": 5,
    "Uploaded File": 10,
    "Exported Report": 6,
    "Commented": 7,
}
MOBILE = {"Opened App": 40, "Completed Task": 30, "Commented": 20, "Scanned Document": 10}
HOURS = (7, 8, 8, 9, 9, 9, 9, 10, 10, 10, 11, 11, 12, 13, 13, 14, 14, 14, 15, 15, 16, 16, 17, 18, 20, 22)

Choice = TypeVar("Choice")


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a log to be."""

    at: datetime
    user: str
    account: str
    event: str
    plan: str = ""
    amount: str = ""
    seats: str = ""
    source: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """A customer: its users in the order in which they came."""

    name: str
    plan: str
    users: tuple[str, ...]
    joined: tuple[datetime, ...]


class Dice:
    """Draws that are the same in every Python version: they use nothing of `random` but `random()`."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random

    def share(self) -> float:
        """From 0.0 to just below 1.0."""
        return self._random()

    def below(self, limit: int) -> int:
        """From 0 to `limit` - 1."""
        return int(self._random() * limit)

    def chance(self, share: float) -> bool:
        """True for about this share."""
        return self._random() < share

    def pick(self, choices: Sequence[Choice]) -> Choice:
        """One of them."""
        return choices[self.below(len(choices))]

    def weighed(self, weights: dict[str, int]) -> str:
        """A name, by its weight."""
        return self.pick([name for name, weight in weights.items() for _ in range(weight)])

    def moment(self, first_day: int, last_day: int) -> datetime:
        """A moment in working hours, hardly ever on a weekend; half of them with milliseconds."""
        day = BEGIN + timedelta(days=first_day + self.below(max(last_day - first_day, 1)))
        if day.weekday() > 4 and self.chance(0.9):
            day -= timedelta(days=2)
        moment = day.replace(hour=self.pick(HOURS), minute=self.below(60), second=self.below(60))
        return max(moment, BEGIN) + timedelta(milliseconds=self.below(1000) if self.chance(0.5) else 0)


def accounts(dice: Dice) -> list[Account]:
    """Sixty customers of 1 to 25 users; few are big."""
    names = [f"{company} {trade}" for trade in TRADE for company in COMPANY]
    return [_account(dice, names.pop(dice.below(len(names)))) for _ in range(60)]


def _account(dice: Dice, name: str) -> Account:
    size = 1 + int(25 * dice.share() ** 3)
    size = 25 if name == "Fernhill Robotics" else size
    domain = name.lower().replace("& ", "").replace(" ", "-")
    people = [f"{first}.{last}" for first in FIRST for last in LAST]
    users = tuple(f"{people.pop(dice.below(len(people)))}@{domain}.example" for _ in range(size))
    first = dice.below(DAYS - 40)
    joined = sorted(dice.moment(first, first + 30) for _ in users)
    return Account(name, dice.pick(tuple(PLANS)), users, tuple(joined))


def web(dice: Dice, customers: list[Account]) -> list[Event]:
    """The web application's log in order of time, without its accidents."""
    events = [event for customer in customers for event in _life(dice, customer)]
    users = sum(len(customer.users) for customer in customers)
    for customer in customers:
        for user, joined in zip(customer.users, customer.joined, strict=True):
            events += _work(dice, customer, user, joined, WEB, 2_950 / users)
    return sorted(events, key=lambda event: event.at)


def _life(dice: Dice, customer: Account) -> Iterator[Event]:
    """How the users came, and what the account paid."""
    for number, (user, joined) in enumerate(zip(customer.users, customer.joined, strict=True)):
        before = joined - timedelta(minutes=5 + dice.below(120))
        yield Event(before, user, "", "Signed Up", source=dice.pick(SOURCES))
        if dice.chance(0.3):
            yield Event(before + timedelta(minutes=4), user, "", "Viewed Tour")
        yield Event(joined, user, customer.name, "Joined Account", customer.plan, seats=str(number + 1))
    if dice.chance(0.5):
        upgraded = customer.joined[-1] + timedelta(days=3, seconds=dice.below(9_000))
        note = dice.pick(NOTES) if dice.chance(0.6) else ""
        yield Event(upgraded, customer.users[0], customer.name, "Upgraded", "Business", note=note)
    for month in range(2, 7):
        billed = datetime(2024, month, 1, 4, month, dice.below(60), tzinfo=UTC)
        if billed > customer.joined[0]:
            seats = sum(joined < billed for joined in customer.joined)
            yield Event(
                billed,
                "",
                customer.name,
                "Billed",
                customer.plan,
                f"{PLANS[customer.plan] * seats}.00",
                str(seats),
            )


def _work(
    dice: Dice, customer: Account, user: str, joined: datetime, weights: dict[str, int], about: float
) -> Iterator[Event]:
    """What a user does from joining to the end, `about` events on average."""
    for _ in range(int(about * (0.5 + dice.share()) + dice.share())):
        at = dice.moment((joined - BEGIN).days + 1, DAYS)
        plan = customer.plan if dice.chance(0.7) else ""
        yield Event(at, user, customer.name, dice.weighed(weights), plan)


def crowd(dice: Dice, events: list[Event], customers: list[Account], times: int) -> Iterator[Event]:
    """Colleagues in the same second: the same event (D1), or another one with other properties (D2)."""
    colleagues = {user: customer.users for customer in customers for user in customer.users}
    work = [event for event in events if event.event in WEB | MOBILE and len(colleagues[event.user]) > 1]
    for number in range(times):
        event = dice.pick(work)
        other = dice.pick([user for user in colleagues[event.user] if user != event.user])
        within = event.at.replace(microsecond=1000 * dice.below(1000))
        yield replace(event, user=other, at=within)
        if number % 3 == 0:
            yield replace(event, event="Changed Plan", plan=dice.pick(tuple(PLANS)), seats=str(1 + number))


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds" if at.microsecond else "seconds").replace("+00:00", "Z")


def _cells(event: Event) -> list[str]:
    rest = [event.plan, event.amount, event.seats, event.source, event.note]
    return [event.user, event.account, event.event, _stamp(event.at), *rest]


def _spoil(rows: list[list[str]]) -> None:
    """Seven rows as no log should have them, far apart."""
    for place, column, value in (
        (701, 0, "guest"),
        (1_301, 3, "0000-00-00"),
        (1_901, 3, "1999-12-31T23:59:59Z"),
        (2_501, 2, ""),
        (3_701, 1, "N/A"),
    ):
        rows[place][column] = value
    rows[3_101][0:2] = ["", ""]
    rows[400] = rows[400][:5]


def csv_log(customers: list[Account]) -> str:
    """`events.csv`: a few duplicates, quoted commas and line breaks, seven bad rows."""
    dice = Dice(SEED + 1)
    events = web(dice, customers)
    events += crowd(dice, events, customers, 45)
    rows = [_cells(event) for event in sorted(events, key=lambda event: event.at)]
    for _ in range(8):
        place = dice.below(len(rows) - 10)
        rows.insert(place + 1 + dice.below(5), list(rows[place]))
    _spoil(rows)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows])
    return text.getvalue()


def _line(event: Event, dice: Dice) -> str:
    """A JSON line; amounts keep their cents, which `json` would not do."""
    fields: dict[str, object] = {}
    if event.user:
        fields["user"] = {"id": event.user}
    if event.account:
        fields["account"] = {"id": event.account}
    fields |= {"event": event.event, "timestamp": round(event.at.timestamp() * 1000)}
    fields |= {"plan": event.plan or None, "offline": dice.chance(0.1)}
    line = json.dumps(fields, ensure_ascii=dice.chance(0.5))
    return line if not event.amount else f'{line[:-1]}, "amount": {event.amount}}}'


def jsonl_log(customers: list[Account]) -> str:
    """`events.jsonl`: nested ids, epoch milliseconds, six bad lines."""
    dice = Dice(SEED + 2)
    events: list[Event] = []
    users = sum(len(customer.users) for customer in customers)
    for customer in customers:
        for user, joined in zip(customer.users, customer.joined, strict=True):
            events += _work(dice, customer, user, joined, MOBILE, 1_350 / users)
            if dice.chance(0.2):
                bought = dice.moment((joined - BEGIN).days + 1, DAYS)
                events.append(Event(bought, user, customer.name, "Bought Add-on", customer.plan, "49.00"))
    events += crowd(dice, events, customers, 15)
    lines = [_line(event, dice) for event in sorted(events, key=lambda event: event.at)]
    lines.insert(300, lines[299])
    lines[350] = lines[350][:40]
    lines[550] = "[]"
    lines[750] = lines[750].replace('"plan"', '"tags": ["a", "b"], "plan"')
    lines[950] = lines[950].replace('"event"', '"event": "Twice", "event"')
    lines[1_150] = lines[1_150].replace('"offline"', '"score": NaN, "offline"')
    lines[1_250] = '{"user": {"id": "undefined"}, "event": "Opened App", "timestamp": 1717500000000}'
    return "\n".join(lines) + "\n"


def make(folder: Path) -> None:
    """Write both files into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    customers = accounts(Dice(SEED))
    for name, text in (("events.csv", csv_log(customers)), ("events.jsonl", jsonl_log(customers))):
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "samples")
