"""Every error that km-cli raises on purpose, and the exit code that it means.

KmError                      what went wrong, and `hint`: what to do next
├── UsageError           2   wrong flags, an absent file, a key that is missing
│   └── InputError       2   an input that can't be understood (X in bad-input.md)
│       └── Unclosed     2   its last quotation mark is not closed
├── LedgerError         73   the ledger cannot be used
│   ├── LedgerBusy      75   another run holds it
│   └── LedgerFailed    74   it was in use and a write failed (a full disk)
├── ReadError           74   reading failed midway
│   ├── CutShort        74   what is packed ends in the middle
│   └── Rewritten       74   the file was cut off or written anew while it was read
├── TooManyRejects      65   more rows are rejected than --max-rejects allows
├── Untold              65   an earlier run rejected rows, and was cut off before it could say so
├── TooManyFindings     65   there are findings, and --strict allows none
├── Unavailable         69   the destination is unavailable or refuses us
│   └── Outage          69   it does not answer at present
├── Exhausted           74   the system has no more files or threads for us
├── ComeBackLater       75   the destination told us to wait longer than a run should
├── Undelivered         75   calls are pending: every attempt at them was in vain, or they have to wait
└── TimeIsUp            75   the run took as long as it may (--max-time)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import IntEnum


class Exit(IntEnum):
    """What the process says to the shell; the table is in the README."""

    OK = 0
    USAGE = 2
    REJECTED = 65
    UNAVAILABLE = 69
    BUG = 70
    LEDGER = 73
    IO = 74
    TEMPORARY = 75
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


class KmError(Exception):
    """Base of the tree. `str(error)` is what went wrong, `hint` is what to do next.

    `plain` is the same without what stands in a log, for files that others read; the hint is in those only if
    there is nothing to leave out.
    """

    exit: Exit = Exit.USAGE

    def __init__(self, message: str, hint: str, *, plain: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        self.plain = plain or message
        self.plain_hint = "`km-cli dry-run` of that file shows what and where" if plain else hint


class UsageError(KmError):
    """The command as given cannot work."""


class InputError(UsageError):
    """An input as a whole can't be understood; nothing more of it is sent."""


class Unclosed(InputError):
    """An input ends inside of quotation marks; if it grows it may still be closed."""


class LedgerError(KmError):
    """The ledger cannot be used: damaged, of a newer version, not writable."""

    exit = Exit.LEDGER


class LedgerBusy(LedgerError):
    """Another run holds the ledger's lock."""

    exit = Exit.TEMPORARY


class LedgerFailed(LedgerError):
    """A write to the ledger or the rejects file failed midway; what was committed stands."""

    exit = Exit.IO


class ReadError(KmError):
    """An input stopped being readable midway; what was whole before that place is dealt with."""

    exit = Exit.IO


class CutShort(ReadError):
    """What is packed ends in the middle: it is damaged, or still being written."""


class Rewritten(ReadError):
    """The file is not what it was when its beginning was read: what follows belongs to something else."""


class UnreportedRejects(KmError):
    """An earlier run rejected rows, and was cut off before it told anybody."""

    exit = Exit.REJECTED


class TooManyRejects(KmError):
    """More rows are rejected than were allowed; what was sent before stands."""

    exit = Exit.REJECTED


class TooManyFindings(KmError):
    """Kissmetrics would lose, merge or change something, and that is not allowed; nothing was sent."""

    exit = Exit.REJECTED


class Unavailable(KmError):
    """The destination does not answer, or refuses us as a whole."""

    exit = Exit.UNAVAILABLE


class Outage(Unavailable):
    """The destination does not answer at present; later it may."""


class Exhausted(KmError):
    """The system has no more files or threads for this process; nothing that was sent is forgotten."""

    exit = Exit.IO


class Undelivered(KmError):
    """The run came to its end and left calls pending."""

    exit = Exit.TEMPORARY


class ComeBackLater(KmError):
    """The destination asked for a longer pause (Retry-After, in seconds) than a run waits."""

    exit = Exit.TEMPORARY

    def __init__(self, message: str, hint: str, seconds: float = 0.0) -> None:
        super().__init__(message, hint)
        self.seconds = seconds


class TimeIsUp(KmError):
    """The run took as long as it may; what is left is for the next one."""

    exit = Exit.TEMPORARY


def nearest(word: str, names: Iterable[str], least: float = 0.6) -> str:
    """Return the name that `word` was probably meant to be, whatever the case of its letters; "" if none.

    `least` is how alike they must be, from 0 to 1.
    """
    import difflib

    folded = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(word.casefold(), folded, 1, least)
    return folded[near[0]] if near else ""


def did_you_mean(
    word: str, names: Iterable[str], otherwise: str, shown: Callable[[str], str] = str, also: str = ""
) -> str:
    """Return a hint that proposes the nearest of `names`, written by `shown`; `otherwise` if none is near.

    `also` follows a proposal.
    """
    near = nearest(word, names)
    return f"did you mean {shown(near)}?{also}" if near else otherwise
