"""Digests that are keyed by a secret: they leave this machine, and bare digests of e-mail addresses do not.

Who knows an address can make its bare digest, and look for it. So each digest that stands for a person or for
a value is replaced by its HMAC-SHA256 under the secret, cut to the same length: a ledger's digests can be
turned into these, and the planner works with either. The names of columns and of events are no secrets: their
digests stay bare.
"""

from __future__ import annotations

import hmac

from km_cli.model import (
    Claim,
    KnownCall,
    KnownValue,
    Owner,
    Properties,
    RowFingerprint,
    Set,
    Wired,
    split_pairs,
)
from km_cli.planning.digests import Column, ColumnDigests, digest
from km_cli.planning.fingerprints import CallFingerprint, Fingerprints, fold_spelling


def key_digest(secret: bytes, digest: bytes) -> bytes:
    """Return the digest under the secret, of the same length; none for none."""
    return hmac.digest(secret, digest, "sha256")[: len(digest)]


def key_pairs(secret: bytes, pairs: bytes) -> bytes:
    """Return the digests of names and values, 4 bytes each, with those of the values under the secret."""
    return b"".join(
        [name + hmac.digest(secret, name + value, "sha256")[:4] for name, value in split_pairs(pairs)]
    )


def key_known(secret: bytes, known: KnownCall) -> KnownCall:
    """Return a call of a ledger with its digests under the secret."""
    person, _, _, deed, total, _, pairs, call_id, claims, _ = known
    return known._replace(
        person=key_digest(secret, person),
        deed=key_digest(secret, deed),
        total=key_digest(secret, total),
        pairs=key_pairs(secret, pairs),
        id=key_digest(secret, call_id),
        claims=tuple(_key_claim(secret, one) for one in claims),
    )


def _key_claim(secret: bytes, claim: Claim) -> Claim:
    return claim._replace(total=key_digest(secret, claim.total))


def key_owner(secret: bytes, owner: Owner) -> Owner:
    """Return an owner of a ledger with its digests under the secret."""
    return owner._replace(
        identity=key_digest(secret, owner.identity), leader=key_digest(secret, owner.leader)
    )


def key_value(secret: bytes, name: bytes, value: KnownValue) -> KnownValue:
    """Return a value of a ledger under the secret. `name` is the digest of its property's name, 4 bytes."""
    beginning, whole = value.value[:4], value.value
    keyed = hmac.digest(secret, name + beginning, "sha256")[:4]
    return value._replace(value=keyed + key_digest(secret, whole)[4:])


class _KeyedColumn(Column):
    """The digests of a column's values, with the first 8 bytes as `key_pairs` makes them."""

    __slots__ = ("_secret",)

    def __init__(self, name: str, columns: ColumnDigests, secret: bytes) -> None:
        super().__init__(name, columns)
        self._secret = secret

    def __missing__(self, value: str) -> tuple[bytes, int]:
        pair, number = super().__missing__(value)
        found = (key_pairs(self._secret, pair), number)
        if value in self:
            self[value] = found
        return found


class _KeyedColumns(ColumnDigests):
    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        super().__init__()
        self._secret = secret

    def __missing__(self, name: str) -> Column:
        self.remembered += 1
        column = self[name] = _KeyedColumn(name, self, self._secret)
        return column


class KeyedFingerprints(Fingerprints):
    """The digests of rows and calls under a secret."""

    def __init__(self, tracker: str, secret: bytes) -> None:
        super().__init__(tracker)
        self._secret = secret
        self._columns = _KeyedColumns(secret)

    def fingerprint_call(self, call: Wired, row_total: bytes = b"") -> CallFingerprint:
        """Return the digests of a call; `row_total` is the fingerprint of its row, under the secret."""
        made = super().fingerprint_call(call, row_total)
        if type(call) is Set:
            return made._replace(deed=key_digest(self._secret, made.deed))
        return made

    def digest_id(self, site: str, persona: str, log_id: str) -> bytes:
        """Return the digest of the log's own id of an event."""
        return key_digest(self._secret, super().digest_id(site, persona, log_id))

    def fingerprint_row(self, cells: Properties) -> RowFingerprint:
        """Return the fingerprint of a row, given its columns that are not blank."""
        total, columns = super().fingerprint_row(cells)
        return RowFingerprint(key_digest(self._secret, total), columns)

    def digest_properties(self, properties: Properties) -> bytes:
        """Return one digest of all properties, in any order."""
        return key_digest(self._secret, super().digest_properties(properties))

    def digest_value(self, name: str, value: str) -> bytes:
        """Return 8 bytes for a property's name and value; the first 4 are those of the value in pairs."""
        pair, number = self._columns[name][value]
        return pair[4:] + key_digest(self._secret, number.to_bytes(8))[4:]

    def id_of_set(self, call: Set, name: str) -> bytes:
        """Return the id by which ledgers of format 4 know that a property was set for an identity."""
        return key_digest(self._secret, super().id_of_set(call, name))

    def make_person(self, site: str, identity: str) -> tuple[bytes, bytes]:
        """Return the digests of a person in a site, and of the identity as it is written."""
        person, written = super().make_person(site, identity)
        return key_digest(self._secret, person), key_digest(self._secret, written)

    def digest_deed(self, who: str, actor: str, name: str, moment: int) -> tuple[bytes, bytes]:
        """Return the digests of an event's name, and of who did it when."""
        event, deed = super().digest_deed(who, actor, name, moment)
        return event, key_digest(self._secret, deed)


def fingerprints_for(tracker: str, secret: bytes) -> Fingerprints:
    """Return what makes the digests of a ledger: keyed ones if it has a secret."""
    return KeyedFingerprints(tracker, secret) if secret else Fingerprints(tracker)


def digest_spelling(tracker: str, site: str, identity: str, secret: bytes) -> bytes:
    """Return 8 bytes for an identity as people read it, whatever its case; bare ones without a secret."""
    bare = digest(8, tracker, site, fold_spelling(identity))
    return key_digest(secret, bare) if secret else bare
