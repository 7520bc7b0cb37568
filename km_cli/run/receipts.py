"""The calls that a ledger knows, a receipt each, for another program.

A ledger has digests only, and names of events. A digest of a person could be guessed from a list of e-mail
addresses, so it leaves the ledger only under a secret (HMAC-SHA256), and without a secret not at all. Digests
of deeds and rows never leave: they are made of identities too.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from km_cli.kissmetrics import fold_name
from km_cli.ledger import Ledger
from km_cli.memory import Remembered
from km_cli.model import NO_EVENT, Claim, KnownCall
from km_cli.planning.digests import digest

_MOST_REMEMBERED = 100_000
_EVENT_BYTES = 4
"""The size of an event's digest in a slot, as `planning.fingerprints` makes it."""

Sender = tuple[str, str]
"""A destination and a site."""


class KnownReceipt(NamedTuple):
    """One call as the ledger knows it. `state` is `acknowledged` or `pending`.

    `to` and `site` are "" if they are not known, as in ledgers of the first version. `event` is "" for a call
    that sets properties, None if the name is not known. `second` is the one that it was sent with, in seconds
    since 1970, and `moved` how many seconds it was moved by. `source` and `line` are those of its row, line 0
    if not known. `person` is the keyed digest in hexadecimal, None without a secret.
    """

    state: str
    to: str
    site: str
    persona: str
    event: str | None
    second: int
    moved: int
    source: str
    line: int
    person: str | None


class KnownReceipts:
    """The receipts of a ledger that is open for reading, in the order of their seconds. `secret` may be b"".

    Aliases have no second, and are not among them; nor are refused and pruned calls, which the ledger has
    forgotten.
    """

    def __init__(self, ledger: Ledger, secret: bytes = b"") -> None:
        self._ledger = ledger
        self._secret = secret
        self._people: Remembered[bytes, str] = Remembered(_MOST_REMEMBERED)
        self._readings: Remembered[int, tuple[str, dict[str, Sender]]] = Remembered(_MOST_REMEMBERED)
        self._events: dict[tuple[str, str, str], dict[bytes, str]] = {}

    def __iter__(self) -> Iterator[KnownReceipt]:
        """Yield the receipts. Memory grows with the pending calls alone. Raises LedgerError."""
        pending = self._ledger.outbox.pending_calls()
        for known_call in self._ledger.slots.all_known():
            yield self._receipt(known_call, is_pending=known_call[:5] in pending)

    def _receipt(self, known_call: KnownCall, *, is_pending: bool) -> KnownReceipt:
        owner = self._ledger.slots.owner(known_call.person)
        persona = owner.persona if owner else ""
        to, site = self.sender(known_call.claims, persona)
        claim = known_call.claims[0]
        source, _ = self.reading(claim.reading)
        return KnownReceipt(
            "pending" if is_pending else "acknowledged",
            to,
            site,
            persona,
            self.event(to, site, persona, known_call.event),
            known_call.taken,
            known_call.taken - known_call.second,
            source,
            claim.line,
            self._person(known_call.person),
        )

    def _person(self, person: bytes) -> str | None:
        if not self._secret:
            return None
        known = self._people.get(person)
        if known is None:
            known = self._people.remember(person, hmac.digest(self._secret, person, "sha256").hex())
        return known

    def sender(self, claims: Iterable[Claim], persona: str) -> Sender:
        """Return the destination and site of a call: those of a reading that has sent calls of the persona.

        The first claim is that of the reading that the call was sent from, as a rule.
        """
        for claim in claims:
            _, senders = self.reading(claim.reading)
            if persona in senders:
                return senders[persona]
        return "", ""

    def reading(self, number: int) -> tuple[str, dict[str, Sender]]:
        """Return the source of a reading, and where the calls of each of its personas went."""
        known = self._readings.get(number)
        if known is None:
            reading = self._ledger.reading_of(number)
            senders: dict[str, Sender] = {}
            for place, _ in reading.calls:
                tracker, _, rest = place.partition(" ")  # Format 2 counted by tracker alone.
                site, _, persona = rest.partition(" ")
                senders[persona] = (tracker, site)
            known = self._readings.remember(number, (reading.source, senders))
        return known

    def event(self, to: str, site: str, persona: str, event: bytes) -> str | None:
        if event == NO_EVENT:
            return ""
        if not self._events:
            self._load_events()
        return self._events.get((to, site, persona), {}).get(event)

    def _load_events(self) -> None:
        """Load the names of all events. The ledger counts calls by name; its slots have a digest of it."""
        for tracker in {one.tracker for one in self._ledger.sent.by_site()}:
            for kind in self._ledger.sent.total(tracker):
                names = self._events.setdefault((tracker, kind.site, kind.persona), {})
                names.setdefault(digest(_EVENT_BYTES, fold_name(kind.event)), kind.event)
