"""Prints findings and rejects: each once, the gravest first, with its count, first place and cure.

    ! lost  4  Kissmetrics keeps the last 1,000 of each event for each person, and drops the older ones. (D7)
        first: log.csv, line 1002: account 'Acme' has 1,001 of 'In'
        do: Let accounts do fewer events (km.toml, events): an account gathers those of all its users.

The word and the sign say how grave it is, for those who see no colour.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from km_cli.cli.terminal.show import complain, say, say_entry, short
from km_cli.model import Finding
from km_cli.rules import About, Severity, about_code, is_harmless
from km_cli.run.tally import Tally

_ALWAYS_SHOWN = frozenset({"no-such-event", "unmet-condition", "unseen-column", "swapped", "constant-time"})
"""Harmless findings that are printed without a terminal too: an option or km.toml is probably wrong."""

_LISTED = frozenset({"left-out", "left-to-others"})
"""Harmless findings whose most frequent subjects are shown as well."""

_LONGEST_MESSAGE = 300
_LONGEST_SUBJECT = 80
_WORST = 3


class _Look(NamedTuple):
    """How a severity is shown: a sign, and a colour that can be read on light and on dark."""

    sign: str
    colour: str


_LOOKS = {
    Severity.REJECTED: _Look("x", "red"),
    Severity.LOST: _Look("!", "red"),
    Severity.MERGED: _Look("&", "magenta"),
    Severity.CHANGED: _Look("~", "yellow"),
    Severity.NOTE: _Look("-", ""),
    Severity.FACT: _Look("-", ""),
}
_GRAVEST_FIRST = list(Severity)


class _Shown(NamedTuple):
    """One kind of finding or reject, with the place and message of the first one."""

    about: About
    number: int
    first: str


def print_findings(tally: Tally, *, worst: bool = False, all_places: bool = False) -> None:
    """Print what was found; with `worst` also the subjects of most findings, with `all_places` all lines."""
    found = _found(tally)
    if not found:
        return
    say("\nfindings")
    for one, head in zip(found, _heads(found), strict=True):
        _print_head(one, head)
        if one.first:
            say(f"      first: {one.first}", hang=8)
        code = one.about.code
        if worst and (code in _LISTED or not is_harmless(code)):
            _print_subjects(tally, code)
        if all_places and one.number > 1:
            _print_places(tally, code)
        say(f"      do: {one.about.cure}", hang=8)


def print_worst(tally: Tally) -> None:
    """Print the gravest losses and changes, with their counts, on standard error before a question."""
    found = [one for one in _found(tally) if not is_harmless(one.about.code)]
    shown = [one for one in found if one.about.code not in tally.reasons][:_WORST]
    if shown:
        say("\nthe worst findings: `km-cli dry-run` shows all", to_stderr=True)
    for one, head in zip(shown, _heads(shown), strict=True):
        _print_head(one, head, to_stderr=True)


def print_losses(tally: Tally) -> None:
    """Print each kind of loss or change as a problem, for runs that print no summary.

    Rejects are left out: the complaint about the rejects file counts them.
    """
    for one in _found(tally):
        code = one.about.code
        if code not in tally.findings or code in tally.reasons:
            continue
        if code in _ALWAYS_SHOWN or not is_harmless(code):
            _complain_of(tally.examples[code], one)


def print_doubts(tally: Tally) -> None:
    """Print as problems the findings which say that an option or km.toml is probably wrong."""
    for one in _found(tally):
        if one.about.code in _ALWAYS_SHOWN:
            _complain_of(tally.examples[one.about.code], one)


def _complain_of(finding: Finding, one: _Shown) -> None:
    first = f"the first of {one.number:,}: " if one.number > 1 else ""
    place = f" ({first}{_place(finding)})" if finding.source else ""
    message = short(finding.message, _LONGEST_MESSAGE)
    complain(f"{one.about.severity.value}: {message}{place} ({one.about.code})", one.about.cure)


def _found(tally: Tally) -> list[_Shown]:
    """Return all kinds, the gravest first, and those with the highest count first among equals.

    A reject may be a finding as well (D1-full): it is shown once.
    """
    shown = [_Shown(about_code(code), count, _first_of(tally, code)) for code, count in _counts(tally)]
    return sorted(shown, key=lambda one: (_GRAVEST_FIRST.index(one.about.severity), -one.number))


def _counts(tally: Tally) -> Iterator[tuple[str, int]]:
    yield from tally.reasons.items()
    yield from ((code, count) for code, count in tally.findings.items() if code not in tally.reasons)


def _first_of(tally: Tally, code: str) -> str:
    """Return place and message of the first finding or reject of a code."""
    if (reject := tally.rejects.get(code)) is not None:
        finding = Finding(code, reject.reason, reject.row.source, reject.row.line)
    else:
        finding = tally.examples[code]
    place = f"{_place(finding)}: " if finding.source else ""
    return f"{place}{short(finding.message, _LONGEST_MESSAGE)}"


def _heads(found: Sequence[_Shown]) -> list[str]:
    """Return the sign, word and count of each, aligned."""
    words = [_word(one) for one in found]
    counts = [f"{one.number:,}" for one in found]
    widest, longest = max(map(len, words), default=0), max(map(len, counts), default=0)
    return [f"{word:<{widest}}  {count:>{longest}}" for word, count in zip(words, counts, strict=True)]


def _word(one: _Shown) -> str:
    return f"  {_LOOKS[one.about.severity].sign} {one.about.severity.value}"


def _print_head(one: _Shown, head: str, *, to_stderr: bool = False) -> None:
    text, colour = f"{one.about.meaning} ({one.about.code})", _LOOKS[one.about.severity].colour
    say_entry(head, text, coloured=len(_word(one)), colour=colour, to_stderr=to_stderr)


def _print_subjects(tally: Tally, code: str) -> None:
    """Print the subjects of most findings of a code, if there are several."""
    subjects = tally.worst[code]
    if len(subjects) < 2:
        return
    most = subjects.most_common(_WORST)
    listed = "; ".join(f"{short(subject, _LONGEST_SUBJECT)} {count:,}" for subject, count in most)
    more = len(subjects) - len(most)
    say(f"      most: {listed}" + (f"; and {more:,} more" if more else ""), hang=8)


def _print_places(tally: Tally, code: str) -> None:
    """Print all lines that have a finding, by input."""
    places = tally.places[code]  # It has none if the findings are about a whole input.
    for source, lines in places.by_source().items():
        say(f"      lines of {source}: {lines}", hang=8)
    if places.more:
        say(f"      and {places.more:,} more places")


def _place(finding: Finding) -> str:
    return f"{finding.source}, line {finding.line}" if finding.line else finding.source
