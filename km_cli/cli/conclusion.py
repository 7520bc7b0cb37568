"""The end of a run: the complaints, each with its next step, and the exit code."""

from __future__ import annotations

from pathlib import Path

from km_cli.cli.terminal import report
from km_cli.cli.terminal.problem import complain_of
from km_cli.cli.terminal.show import complain, counted
from km_cli.config.settings import Settings
from km_cli.errors import Exit, KmError, Unavailable, Undelivered, UnreportedRejects
from km_cli.ledger import Ledger
from km_cli.rejects import how_to_correct
from km_cli.run.backfill import BackfillSummary
from km_cli.run.importing import Run, Seen
from km_cli.run.tally import Tally

MOST_PROBLEMS_SHOWN = 10
"""Problems that are printed in full; the rest are counted."""

_DECIDE = (
    "decide about the conflicts: import that file with --overlap separate if its rows are different events, "
    "or with --overlap repeats if they are the same events with changed values"
)
_RETRY_REFUSED = (
    "import that file as it is once the destination works again; if a row itself is wrong, correct it in "
    "that file first"
)


def warn_of_exposed_keys(settings: Settings) -> None:
    """Complain about key files that everyone on this machine can read."""
    for site in settings.people.sites:
        if settings.target.needs_key and site.is_exposed:
            warn_of_exposed_key(site.key_file)


def warn_of_exposed_key(path: str | Path) -> None:
    """Complain about one key file that everyone on this machine can read."""
    complain(
        f"everyone on this machine can read the key file {path}",
        f"unless that is intended: chmod go-r {path}",
    )


def warn_of_other_sites(pending: dict[str, int], keys: dict[str, str]) -> None:
    """Complain about calls that stay pending because this run has no key of their site. Both are by site."""
    for site, calls in pending.items():
        if site not in keys:
            complain(
                f"{counted(calls, 'call')} to the site {site!r} still pending: this run has no key of it",
                "run the command that planned them again, with the same --strategy or --config",
            )


def unreported_rejects(ledger: Ledger) -> list[UnreportedRejects]:
    """Return the rejects of runs that were cut off before they reported them, one problem for each file."""
    return [
        UnreportedRejects(
            f"{counted(rows, 'row')} rejected by a run that was cut off, in {path}", how_to_correct(path)
        )
        for path, rows in ledger.unreported.earlier.items()
    ]


def _next_step(tally: Tally, error: KmError | None, cure: str) -> str:
    """Return the next step for the rejects file."""
    if isinstance(error, Unavailable) and "refused" in tally.rejects:
        return _RETRY_REFUSED
    if set(tally.rejects) == {"conflict"}:
        return _DECIDE
    return f"{cure}; {_DECIDE}" if "conflict" in tally.rejects else cure


def undelivered(tally: Tally, error: KmError | None = None) -> Undelivered | None:
    """Return the problem of pending calls, if there are any; with the last failure, unless `error` has it."""
    if not tally.calls.pending:
        return None
    message = f"{counted(tally.calls.pending, 'call')} planned and not acknowledged yet"
    if _is_missing_from(error, tally):
        message += f"; the last attempt failed: {tally.last_failure}"
    return Undelivered(message, "run the same command again: it sends them first")


def problems(tally: Tally, error: KmError | None) -> list[KmError]:
    """Return the problems that a run ended with, for the journal and the monitor."""
    pending = undelivered(tally, error) if error is None or _is_missing_from(error, tally) else None
    return [problem for problem in (error, pending) if problem is not None]


def _is_missing_from(error: KmError | None, tally: Tally) -> bool:
    """Tell whether there was a failed attempt that the error does not mention."""
    return bool(tally.last_failure) and (error is None or tally.last_failure not in str(error))


def complain_of_files(summary: BackfillSummary) -> None:
    """Print the problems with single files of a backfill, the first ones in full."""
    for problem in summary.problems[:MOST_PROBLEMS_SHOWN]:
        complain_of(problem)
    if summary.trouble > MOST_PROBLEMS_SHOWN:
        more = summary.trouble - MOST_PROBLEMS_SHOWN
        complain(f"{more:,} more problems", "solve these first, or see the others in --log or --json")


def conclude(run: Run[Seen], error: KmError | None, signal: int, worst: int = Exit.OK) -> int:
    """Print the complaints, the most urgent last, and return the exit code.

    The last lines of a terminal are the ones that are read: the error that ended the run, then the calls that
    are pending because of it. `worst` is the highest exit code of problems with single files, which have been
    printed already.
    """
    tally, rejects, earlier = run.tally, run.rejects, unreported_rejects(run.ledger)
    for problem in earlier:
        complain_of(problem)
    if rejects.count:
        # A batch whose rejects are written, and that could not be committed, has no reasons in the tally.
        reasons = f" ({report.reasons(tally)})" if tally.reasons else ""
        complain(
            f"{counted(rejects.count, 'row')} rejected{reasons}, in {rejects.place}",
            _next_step(tally, error, rejects.cure),
        )
    if error is not None:
        complain_of(error)
    if (pending := undelivered(tally, error)) is not None:
        complain_of(pending)
    if signal:
        complain("interrupted; the ledger has all acknowledgements", "run the same command again to continue")
        return 128 + signal
    if error is not None:
        return error.exit
    if worst:
        return worst
    if tally.calls.pending:
        return Exit.TEMPORARY
    return Exit.REJECTED if rejects.count or earlier else Exit.OK
