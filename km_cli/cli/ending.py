"""What a run says when it has ended: what is left to do, and the exit code."""

from __future__ import annotations

from km_cli.cli.terminal import report
from km_cli.cli.terminal.show import complain, counted
from km_cli.config.settings import Settings
from km_cli.errors import Exit, KmError, Unavailable, Undelivered, UnreportedRejects
from km_cli.ledger import Ledger
from km_cli.run.importing import Run, Seen
from km_cli.run.tally import Tally

_MEND = "correct them there, in `raw`, and import that file"
_DECIDE = (
    "decide on the conflicts: import that file with --overlap separate if they are other events, with "
    "--overlap repeats if they are the same ones, changed since"
)
_MEND_REFUSED = (
    "those that it refused: import that file as it is when the destination is well; if a row itself is at "
    "fault, correct it there, in `raw`"
)


def tell_exposed(settings: Settings) -> None:
    """Complain of key files that everyone can read."""
    for site in settings.people.sites:
        if settings.target.needs_key and site.is_exposed:
            complain(
                f"the key file {site.key_file} can be read by everyone on this machine",
                f"unless that is meant: chmod go-r {site.key_file}",
            )


def tell_of_other_sites(pending: dict[str, int], keys: dict[str, str]) -> None:
    """Complain of calls that stay pending, since this run has no key of their site; both are by site."""
    for site, calls in pending.items():
        if site not in keys:
            complain(
                f"{counted(calls, 'call')} of the site {site!r} still pending",
                "run the command that planned them again, with the same --strategy or --config",
            )


def unreported(ledger: Ledger) -> list[UnreportedRejects]:
    """Return what is to be told of rejects by runs that were cut off before they could."""
    return [
        UnreportedRejects(f"{counted(rows, 'row')} rejected by a run that was cut off, in {path}", _MEND)
        for path, rows in ledger.unreported.earlier.items()
    ]


def _what_to_do(tally: Tally, error: KmError | None) -> str:
    """Return what to do with the rejects file."""
    if isinstance(error, Unavailable) and "refused" in tally.rejects:
        return _MEND_REFUSED
    if set(tally.rejects) == {"conflict"}:
        return _DECIDE
    return f"{_MEND}; {_DECIDE}" if "conflict" in tally.rejects else _MEND


def undelivered(tally: Tally, error: KmError | None = None) -> Undelivered | None:
    """Return that calls are pending, if some are, and why the last attempt failed unless `error` says so."""
    if not tally.calls.pending:
        return None
    said = f"{counted(tally.calls.pending, 'call')} planned and not acknowledged yet"
    if _is_news(tally, error):
        said += f"; the last attempt failed: {tally.last_failure}"
    return Undelivered(said, "run the same command again: it sends them first")


def problems(tally: Tally, error: KmError | None) -> list[KmError]:
    """Return what a run ended with, for those who are not there: why, and why calls are pending."""
    pending = undelivered(tally, error) if error is None or _is_news(tally, error) else None
    return [problem for problem in (pending, error) if problem is not None]


def _is_news(tally: Tally, error: KmError | None) -> bool:
    return bool(tally.last_failure) and (error is None or tally.last_failure not in str(error))


def conclude(run: Run[Seen], error: KmError | None, signal: int, worst: int = Exit.OK) -> int:
    """Say what is left to do, the most urgent last, and return the exit code.

    `worst` is that of what was wrong with single files, and was told.
    """
    tally, rejects, earlier = run.tally, run.rejects, unreported(run.ledger)
    for problem in earlier:
        complain(str(problem), problem.hint)
    if rejects.count:
        complain(
            f"{counted(rejects.count, 'row')} rejected ({report.reasons(tally)}), in {rejects.path}",
            _what_to_do(tally, error),
        )
    if (pending := undelivered(tally, error)) is not None:
        complain(str(pending), pending.hint)
    if error is not None:
        complain(str(error), error.hint)
    if signal:
        complain("interrupted; what was acknowledged is remembered", "run the same command again to go on")
        return 128 + signal
    if error is not None:
        return error.exit
    if worst:
        return worst
    if tally.calls.pending:
        return Exit.TEMPORARY
    return Exit.REJECTED if rejects.count or earlier else Exit.OK
