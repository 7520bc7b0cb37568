"""The words in columns' names that speak for a role, and how well they speak for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from km_cli.inference.shapes import LIKE_EVENT
from km_cli.mapping import USUAL

_SUFFIXES = ("id", "uuid", "guid", "key", "email", "name", "slug", "ids")
"""Ends of a column's name behind the word for a kind of identity; the best identity first."""

WORDS = {
    "user": ("user", "person", "identity", "distinct", "uid", "actor", "member", "username", "login",
             "visitor", "resource", "whodunnit", "remote_user"),
    "account": ("account", "organization", "organisation", "org", "company", "group", "workspace", "tenant",
                "team", "client", "customer", "business", "firm"),
    "event": ("event", "event_type", "action", "activity", "concept"),
    "timestamp": ("timestamp", "event_time", "time", "datetime", "created_at", "occurred_at", "ts", "date"),
}  # fmt: skip
"""Words for a role in a column's name, beside its usual names; `resource` and `concept` are those of XES,
`remote_user` that of web servers."""

LEVELS = (*WORDS["account"], "contact")
"""Words for further kinds of identity, each a persona of its own."""

PROGRAMS = ("client",)
"""Words for a kind of identity that programs have, too: an OAuth client is an application."""

OWN_IDS = ("event_id", "id", "uuid", "guid", "message_id", "insert_id", "log_id", "_id")
"""Names of the log's own id of an event. In an inner object, `id` is the id of another thing."""

_AMBIGUOUS_IDS = ("id", "_id")

_KINDS = ("event", "event_name", "event_type")
"""Names that say wherever they stand that the column names the event."""

TOP_KINDS = ("type", "verb", "operation", "kind")
"""Names that say it at the top of a row. In an inner object they describe that object."""

_BODIES = ("payload", "body", "data", "detail", "message", "attributes")
"""Objects that hold the event itself in many logs: their `name` is the name of the event."""

WEAK = ("client", "member", "login", "resource", "visitor", "business")
"""Words for a kind of identity that mean other things in many logs."""

INNER = 40
"""The rank of names in inner objects that say less about the event than the columns of the row itself."""

_LATER = re.compile(
    r"receiv|sent|upload|process|ingest|stored|load|updat|modif|expir|end|finish|due|until|\betl_"
)
"""Parts of the names of times that are later than the event: of its way to the log, or of an end."""

_LIKE_TIME = re.compile(r"time|date|stamp|when|created|occurred|published|_at$|_on$")


def plain(name: str) -> str:
    """Return a name in small letters, with underscores: `userId` and `User ID` are `user_id`."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[\s_-]+", "_", apart).casefold()


def parts(name: str) -> list[str]:
    """Return the parts of a plain name: those of the objects that it lies in, and its own."""
    return re.split(r"[.:/]", plain(name))


def depth(name: str) -> int:
    """Return how deep a column lies: 1 at the top of a row."""
    return len(re.split(r"[.:/]", name))


def word_of(name: str) -> tuple[str, int]:
    """Return the word for a column's kind of identity, and its rank: the smaller, the better an identity.

    The word is `user` for `userId`, `user.id` and `data.user_name`, and `group` for `$group_0`.
    """
    *before, last = parts(name)
    last = re.sub(r"(?<=[a-z])_\d+$", "", last.removeprefix("$"))
    if last in _SUFFIXES and before:
        return before[-1], _SUFFIXES.index(last)
    for rank, suffix in enumerate(_SUFFIXES):
        if last.endswith(f"_{suffix}") and last != f"_{suffix}":
            return last.removesuffix(f"_{suffix}"), rank
    return last, 0


def own_id_of(name: str) -> str:
    """Return the usual name of the log's own id that a column has, "" if it has none."""
    *before, last = parts(name)
    last = last.removeprefix("$")
    return "" if last not in OWN_IDS or (before and last in _AMBIGUOUS_IDS) else last


def may_be_id(name: str) -> bool:
    """Tell whether a column's name is usual for the log's own id of an event."""
    return bool(own_id_of(name))


def rank_of_event(name: str) -> int | None:
    """Return how well a name says that its column names the event: the smaller, the better; or None.

    A usual name at the top goes first. An inner object comes after the columns of the row itself, unless its
    member is called an event: in a row with a `type`, `payload.action` says what was done to the payload.
    """
    *before, last = parts(name)
    if not before and last in USUAL["event"]:
        return USUAL["event"].index(last)
    word, suffix = word_of(name)
    if _SUFFIXES[suffix] in ("id", "uuid", "guid", "key", "email") and last != word:
        return None
    if last in _KINDS:
        return 10 + _KINDS.index(last)
    if word in WORDS["event"]:
        return (INNER if before else 20) + WORDS["event"].index(word)
    return None


def unlike_event(name: str) -> int:
    """Return how little a name says that its column names the event.

    0: it has a word for an event. 1: it is the name of an object that holds the event, as `payload.name`.
    2: it says nothing.
    """
    if LIKE_EVENT.search(plain(name)):
        return 0
    *before, last = parts(name)
    return 1 if last == "name" and before and before[-1] in _BODIES else 2


def rank_of_time(name: str) -> int:
    """Return how well a column's name says that it holds the time of the event, the smaller the better."""
    own = plain(name)
    if _LATER.search(own):
        return 2
    return 0 if _LIKE_TIME.search(own) else 1


def is_id(name: str) -> bool:
    """Tell whether a column's name ends as an id's does."""
    return plain(name).endswith(("_id", ".id", "_ids", ".ids"))


def folder(name: str) -> str:
    """Return the beginning that a column's name shares with its neighbours: `org:` of `org:group`."""
    return "".join(re.split(r"([.:/])", name)[:-1])


def with_first(words: Iterable[str], names: list[str], word: Callable[[str], str]) -> list[str]:
    """Return the names that have the first of the words that any name has."""
    by_word: dict[str, list[str]] = {}
    for name in names:
        by_word.setdefault(word(name), []).append(name)
    return next((by_word[one] for one in words if one in by_word), [])
