"""Every error that km-cli raises on purpose, and the exit code that it means.

KmError                      what went wrong, and `hint`: what to do next
├── UsageError           2   wrong flags, an absent file, a key that is missing
│   └── InputError       2   an input that can't be understood (X in bad-input.md)
├── LedgerError         73   the ledger cannot be used
│   ├── LedgerBusy      75   another run holds it
│   └── LedgerFailed    74   it was in use and a write failed (a full disk)
├── ReadError           74   reading failed midway
├── TooManyRejects      65   more rows are rejected than --max-rejects allows
├── TooManyFindings     65   there are findings, and --strict allows none
├── Unavailable         69   the destination is unavailable or refuses us
└── ComeBackLater       75   the destination told us to wait longer than a run should
"""

from __future__ import annotations

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
    INTERRUPTED = 130
    TERMINATED = 143


class KmError(Exception):
    """Base of the tree. `str(error)` is what went wrong, `hint` is what to do next."""

    exit: Exit = Exit.USAGE

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(KmError):
    """The command as given cannot work."""


class InputError(UsageError):
    """An input as a whole can't be understood; nothing more of it is sent."""


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


class TooManyRejects(KmError):
    """More rows are rejected than were allowed; what was sent before stands."""

    exit = Exit.REJECTED


class TooManyFindings(KmError):
    """Kissmetrics would lose, merge or change something, and that is not allowed; nothing was sent."""

    exit = Exit.REJECTED


class Unavailable(KmError):
    """The destination does not answer, or refuses us as a whole."""

    exit = Exit.UNAVAILABLE


class ComeBackLater(KmError):
    """The destination asked for a longer pause (Retry-After) than a run waits."""

    exit = Exit.TEMPORARY
