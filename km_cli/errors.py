"""Every error that km-cli raises on purpose, and its exit code.

KmError                         the message, and `hint`, the next step
├── UsageError              2   wrong flags, a missing file, a missing key
│   ├── TransportError      2   the fast transport cannot be used
│   ├── PlanDiffers         2   what would be sent is not what an import plan says
│   └── InputError          2   an input that cannot be understood
│       └── Unclosed        2   its last quotation mark is not closed
├── LedgerError            73   the ledger cannot be used
│   ├── LedgerBusy         75   another run holds the ledger
│   └── LedgerFailed       74   a write to the ledger failed (a full disk)
├── ReadError              74   reading an input failed midway
│   ├── CutShort           74   a compressed file ends in the middle
│   └── Rewritten          74   the file was truncated or rewritten while it was read
├── TooManyRejects         65   more rows are rejected than --max-rejects allows
├── UnreportedRejects      65   an earlier run rejected rows and was cut off before it reported them
├── TooManyFindings        65   there are findings, and --strict allows none
├── Unavailable            69   the destination is unavailable, or refuses us
│   └── Outage             69   the destination does not answer at present
├── PlanningFailed         74   Spark could not plan the rows
├── WriteError             74   writing a bulk file failed
├── Exhausted              74   the system allows this process no more files or threads
├── ComeBackLater          75   the destination asked for a longer wait than a run should make
├── Undelivered            75   calls are pending: their attempts are used up, or they have to wait
└── TimeIsUp               75   the run took as long as --max-time allows
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import NamedTuple

MOST_LISTED = 20
"""How many columns an error lists. A nested log may have hundreds."""


class Exit(IntEnum):
    """The exit codes. `cli/REFERENCE.md` explains them."""

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


class Where(NamedTuple):
    """The place of an error in a file. Terminals show the text there.

    `line` is counted from 1. `text` is the record or the line as it stands in the file, `column` the name of
    a column, and `cell` the part of the text that is wrong, "" if the whole text may be.
    """

    source: str
    line: int
    text: str | bytes
    column: str = ""
    cell: str = ""


class KmError(Exception):
    """The base of the tree. `str(error)` is the problem, `hint` is the next step.

    `plain` is the message without values of the log, for the journal and the monitor, which other people may
    read. If the two differ, the hint may hold such values as well, and `plain_hint` is a general one. `where`
    is the place in an input, if there is one.
    """

    exit: Exit = Exit.USAGE

    def __init__(self, message: str, hint: str, *, plain: str = "", where: Where | None = None) -> None:
        super().__init__(message)
        self.hint = hint
        self.where = where
        self.plain = plain or message
        self.plain_hint = "`km-cli dry-run` of that file shows the values" if plain else hint


class UsageError(KmError):
    """The command as given cannot work."""


class InputError(UsageError):
    """An input cannot be understood. Nothing more of it is sent."""


class Unclosed(InputError):
    """An input ends within quotation marks. If it grows they may still be closed."""


class LedgerError(KmError):
    """The ledger cannot be used: damaged, of a newer version, not writable."""

    exit = Exit.LEDGER


class LedgerBusy(LedgerError):
    """Another run holds the ledger's lock."""

    exit = Exit.TEMPORARY


class LedgerFailed(LedgerError):
    """A write to the ledger or the rejects file failed. Batches committed before are not affected."""

    exit = Exit.IO


class ReadError(KmError):
    """Reading an input failed midway. The rows before that place are sent."""

    exit = Exit.IO


class CutShort(ReadError):
    """A compressed file ends in the middle: it is damaged, or still being written."""


class Rewritten(ReadError):
    """The file changed after its beginning was read, so the rest may belong to another log."""


class PlanningFailed(KmError):
    """Spark could not plan the rows. Nothing of the job was sent."""

    exit = Exit.IO


class WriteError(KmError):
    """Writing a bulk file failed, or a file that an earlier run left is not as that run left it."""

    exit = Exit.IO


class UnreportedRejects(KmError):
    """An earlier run rejected rows and was cut off before it reported them."""

    exit = Exit.REJECTED


class TooManyRejects(KmError):
    """More rows are rejected than --max-rejects allows. Calls that were sent before are not affected."""

    exit = Exit.REJECTED


class TooManyFindings(KmError):
    """Kissmetrics would lose, merge or change something, and --strict does not allow that."""

    exit = Exit.REJECTED


class Unavailable(KmError):
    """The destination does not answer, or refuses all calls of this run."""

    exit = Exit.UNAVAILABLE


class Outage(Unavailable):
    """The destination does not answer at present. It may answer later."""


class Exhausted(KmError):
    """The system allows this process no more files or threads. The ledger is not affected."""

    exit = Exit.IO


class TransportError(UsageError):
    """The fast transport (pycurl) cannot be used. `is_absent` if it is not installed."""

    is_absent = False


class PlanDiffers(UsageError):
    """An import would not send what its plan says (--plan)."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(
            message, hint or "make the plan again with km-cli dry-run … --out, and have it reviewed"
        )


class Undelivered(KmError):
    """The run ended and left calls pending."""

    exit = Exit.TEMPORARY


class ComeBackLater(KmError):
    """The destination asked for a longer pause (Retry-After, in seconds) than a run waits."""

    exit = Exit.TEMPORARY

    def __init__(self, message: str, hint: str, seconds: float = 0.0) -> None:
        super().__init__(message, hint)
        self.seconds = seconds


class TimeIsUp(KmError):
    """The run took as long as --max-time allows. The next run continues."""

    exit = Exit.TEMPORARY


MISSPELT = 0.65
"""How alike a name must be to the one that is missing to be proposed: `action` is not `account`, misspelt."""


def nearest(word: str, names: Iterable[str], least: float = 0.6) -> str:
    """Return the name that is most like `word`, in any case of letters; "" if none is like it.

    `least` is how alike the two must be, from 0 to 1.
    """
    import difflib

    folded = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(word.casefold(), folded, 1, least)
    return folded[near[0]] if near else ""


def did_you_mean(
    word: str,
    names: Iterable[str],
    otherwise: str,
    write: Callable[[str], str] = str,
    also: str = "",
    least: float = 0.6,
) -> str:
    """Return a hint that proposes the nearest of `names`, or `otherwise` if none is near.

    `write` returns a name as the hint has it. `also` follows a proposal. `least` is as for `nearest`.
    """
    near = nearest(word, names, least)
    return f"did you mean {write(near)}?{also}" if near else otherwise
