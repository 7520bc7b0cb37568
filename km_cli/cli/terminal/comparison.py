"""Prints a comparison: the funnels as tables with bars, why they differ, and what each strategy leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from km_cli.cli.terminal.show import escaped, put, say, width_of
from km_cli.compare import Comparison, CountedFunnel, Differences, PersonaFunnel, words

_WIDEST_NAME = 22
_BAR = 12
_EIGHTHS = " ▏▎▍▌▋▊▉"


def print_comparison(found: Comparison) -> None:
    """Print all of a comparison, at most 80 columns wide but for names and sentences."""
    rows = found.tally.rows
    bad = f", {rows.rejected:,} of them bad" if rows.rejected else ""
    left_out = f", {rows.skipped:,} left out" if rows.skipped else ""
    held = f", {rows.held:,} held back: a last line may still grow" if rows.held else ""
    say(f"rows read  {rows.read:,}{bad}{left_out}{held}")
    _print_funnel_of(found)
    for one in found.personas:
        if one.identities:
            _print_persona(one)
            _print_groups(one, found.by)
    for each in found.differences:
        _print_differences(each, found.personas[0].persona)
    _print_strategies(found)
    _print_recommendation(found)


def _print_funnel_of(found: Comparison) -> None:
    text = " → ".join(found.funnel.steps)
    if found.funnel.within is not None:
        text += f", within {words.duration(found.funnel.within)} of the first step"
    say(f"funnel     {text}", hang=11)
    if found.is_proposed:
        say(
            "           This funnel is a proposal: the events that most often follow one another. --funnel "
            "names yours.",
            hang=11,
        )


class _Column(NamedTuple):
    """A column of a table: its title, and whether it is aligned to the right."""

    title: str
    is_number: bool = True


def _print_table(columns: Sequence[_Column], rows: Sequence[Sequence[str]]) -> None:
    """Print rows below their titles. Wide characters count as two columns.

    On a terminal that is too narrow for that, bars are left out, and then each row has lines of its own.
    """
    lines = _table_lines(columns, rows)
    width = width_of()
    if not width or max(map(cell_len, lines)) <= width:
        for line in lines:
            say(line)
        return
    places = [at for at, column in enumerate(columns) if column.title]
    if len(places) < len(columns):
        _print_table([columns[at] for at in places], [[row[at] for at in places] for row in rows])
        return
    for row in rows:
        pairs = [(column.title, cell) for column, cell in zip(columns, row, strict=True) if cell]
        say(f"  {_cut(row[0])}: " + ", ".join(f"{title} {_cut(cell)}" for title, cell in pairs[1:]), hang=4)


def _table_lines(columns: Sequence[_Column], rows: Sequence[Sequence[str]]) -> list[str]:
    shown = [[_cut(cell) for cell in row] for row in rows]
    widths = [
        max(cell_len(column.title), *(cell_len(row[at]) for row in shown))
        for at, column in enumerate(columns)
    ]
    lines = []
    for row in ([column.title for column in columns], *shown):
        cells = [
            _padded(cell, width, is_number=column.is_number)
            for cell, width, column in zip(row, widths, columns, strict=True)
        ]
        lines.append("  " + "  ".join(cells).rstrip())
    return lines


def _cut(text: str) -> str:
    """Return text on one line, at most so many columns wide."""
    text = escaped(text.replace("\n", "\\n"))
    return text if cell_len(text) <= _WIDEST_NAME else set_cell_size(text, _WIDEST_NAME - 1).rstrip() + "…"


def _padded(text: str, width: int, *, is_number: bool) -> str:
    blanks = " " * (width - cell_len(text))
    return blanks + text if is_number else text + blanks


def bar(part: float, whole: float, width: int = _BAR) -> str:
    """Return a bar for a part of a whole, in eighths of a character. A part above 0 is never invisible."""
    if not whole or not part:
        return ""
    eighths = max(1, round(8 * width * part / whole))
    full, rest = divmod(eighths, 8)
    return "█" * full + (_EIGHTHS[rest] if rest else "")


def _print_persona(one: PersonaFunnel) -> None:
    say(f"\n{one.persona}: {words.headline(one)}")
    if one.funnel.began:
        _print_steps(one.funnel)
    if text := words.in_force(one):
        say(f"  {text}", hang=2)


def _print_steps(funnel: CountedFunnel) -> None:
    columns = (
        _Column("step", is_number=False),
        _Column("reached"),
        _Column("of previous"),
        _Column("", is_number=False),
        _Column("median"),
        _Column("90% within"),
    )
    rows = [
        (
            step.event,
            f"{step.reached:,}",
            words.percent(step.conversion) if at else "",
            bar(step.reached, funnel.began),
            words.brief_duration(step.median_seconds) if at else "",
            words.brief_duration(step.p90_seconds) if at else "",
        )
        for at, step in enumerate(funnel.steps)
    ]
    _print_table(columns, rows)


def _print_groups(one: PersonaFunnel, by: str) -> None:
    if not one.groups:
        return
    steps = [_Column(str(at)) for at in range(1, len(one.groups[0].reached) + 1)]
    say(f"  by {by} at step one; the columns are the steps")
    _print_table(
        (_Column(by, is_number=False), *steps, _Column("converts")),
        [
            (
                words.group_name(group),
                *(f"{number:,}" for number in group.reached),
                words.percent(group.reached[-1] / group.reached[0] if group.reached[0] else None),
            )
            for group in one.groups
        ],
    )


def _print_differences(one: Differences, actor: str) -> None:
    say(f"\nwhy {words.plural(actor)} and {words.plural(one.persona)} differ")
    for line in words.difference_lines(one, actor):
        say(f"  {line}", hang=4)
    if one.contributors:
        say(f"  the {words.plural(one.persona)} that make most of the difference")
        people = words.plural(actor)
        _print_table(
            (_Column(one.persona, is_number=False), _Column(people), _Column("began"), _Column("converted")),
            [
                (each.name, f"{each.people:,}", f"{each.began:,}", f"{each.converted:,}")
                for each in one.contributors
            ],
        )
    if one.sizes:
        most = max(size.accounts for size in one.sizes)
        _print_table(
            (
                _Column(words.plural(actor), is_number=False),
                _Column(words.plural(one.persona)),
                _Column("", is_number=False),
            ),
            [(words.size_name(size), f"{size.accounts:,}", bar(size.accounts, most)) for size in one.sizes],
        )


def _print_strategies(found: Comparison) -> None:
    if not found.strategies:
        return
    say("\nwhat each strategy would leave in Kissmetrics, if all of the log were sent")
    for held in found.strategies:
        say(f"  {held.name}")
        sites = {one.site for one in held.personas}
        for one in held.personas:
            place = f" in the site {one.site!r}" if len(sites) > 1 else ""
            say(f"    {words.held_line(one)}{place}", hang=6)
        for line in words.report_lines(held):
            say(f"    {line}", hang=6)
        say(f"    {words.cost_line(held, found.plans)}", hang=6)
    say(f"  Prices are {found.plans.origin}. No page says whether backdated events are billed (Q5).", hang=4)


def _print_recommendation(found: Comparison) -> None:
    advice = found.recommendation
    if advice is None:
        return
    say()
    if advice.count_by:
        how = "with personas in km.toml" if advice.strategy == "personas" else f"--strategy {advice.strategy}"
        say(f"recommendation: count by {advice.count_by}, {how} ({advice.certainty})")
    else:
        say("recommendation: none")
    for reason in advice.reasons:
        say(f"  - {reason}", hang=4)
    if advice.km_toml:
        say(f"\n  {words.IN_KM_TOML}", hang=4)
        for line in advice.km_toml.splitlines():
            put(f"    {line}".rstrip())  # A name that is broken in two would be no TOML.
