"""The sections of the page, each with its chart and table."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from km_cli.compare import words
from km_cli.compare.comparison import Comparison
from km_cli.compare.counting import PersonaFunnel
from km_cli.compare.differences import Differences
from km_cli.compare.page import charts
from km_cli.compare.page.html import pair, shown, table, visible

_DAY, _HOUR = 86_400, 3600


def funnel_text(found: Comparison) -> str:
    """Return the steps in one line."""
    steps = " → ".join(map(shown, found.funnel.steps))
    within = found.funnel.within
    text = f"The funnel: {steps}" + (f", within {words.duration(within)} of the first step" if within else "")
    if found.is_proposed:
        text += ". It is a proposal: the events that most often follow one another"
    return f"{text}."


def _counted(found: Comparison) -> list[PersonaFunnel]:
    return [one for one in found.personas if one.identities]


def shares(found: Comparison) -> Iterator[str]:
    """Yield the shares of all personas, large."""
    yield '<ul class="shares">'
    for one in _counted(found):
        counted = f"of {words.many(one.funnel.began, one.persona)}"
        yield f"<li><strong>{words.percent(one.funnel.conversion)}</strong>{shown(counted)}</li>"
    yield "</ul>"


def answer(found: Comparison) -> Iterator[str]:
    """Yield the recommendation with its reasons."""
    advice = found.recommendation
    if advice is None:
        return
    yield '<section class="answer" aria-label="Recommendation">'
    if advice.count_by:
        how = (
            "with personas in km.toml"
            if advice.strategy == "personas"
            else f"with --strategy {advice.strategy}"
        )
        sure = "" if advice.certainty == "clear" else ". The data are too few to be sure"
        yield f"<p><strong>Recommendation: count by {shown(advice.count_by)}</strong>, {how}{sure}.</p>"
    else:
        yield "<p><strong>No recommendation</strong></p>"
    yield f"<ul>{''.join(f'<li>{shown(reason)}</li>' for reason in advice.reasons)}</ul>"
    if advice.km_toml:
        yield f"<p>I{escape(words.IN_KM_TOML[1:])}</p>"
        yield f'<pre tabindex="0">{escape(visible(advice.km_toml))}</pre>'
    yield "</section>"


def funnels(found: Comparison) -> Iterator[str]:
    """Yield the funnels side by side."""
    personas = _counted(found)
    rows = [
        {
            "name": visible(step.event),
            "group": visible(one.persona),
            "value": step.reached / one.funnel.began,
            "text": words.percent(step.reached / one.funnel.began),
        }
        for one in personas
        if one.funnel.began
        for step in one.funnel.steps
    ]
    yield "<h2>The funnel</h2>"
    if not rows:
        yield "<p>No one begins this funnel.</p>"
        return
    chart = charts.bars(
        rows, title="Share of those who began that reach each step", label="of those who began", is_share=True
    )
    beside = table(
        "How many reach each step, and the share of those who began",
        ("step", *(shown(one.persona) for one in personas)),
        [
            (shown(step), *(_reached(one, place) for one in personas))
            for place, step in enumerate(found.funnel.steps)
        ],
    )
    yield from pair(chart, beside)
    for one in personas:
        if text := words.in_force(one):
            yield f"<p>{shown(text)}</p>"
        yield from _groups(one, found.by)


def _reached(one: PersonaFunnel, place: int) -> str:
    step = one.funnel.steps[place]
    share = step.reached / one.funnel.began if one.funnel.began else None
    return _in_one_line(f"{step.reached:,} ({words.percent(share)})")


def _groups(one: PersonaFunnel, by: str) -> Iterator[str]:
    if not one.groups:
        return
    yield f"<h3>{shown(one.persona)} by {shown(by)}</h3>"
    yield table(
        f"How many {shown(words.plural(one.persona))} reach each step, by {shown(by)} at step one",
        (shown(by), *(shown(step.event) for step in one.funnel.steps), "converts"),
        [
            (
                shown(words.group_name(group)),
                *(f"{number:,}" for number in group.reached),
                words.percent(group.reached[-1] / group.reached[0] if group.reached[0] else None),
            )
            for group in one.groups
        ],
    )


def times(found: Comparison) -> Iterator[str]:
    """Yield the times from step to step, and from the first to the last."""
    personas = [one for one in _counted(found) if one.funnel.began]
    last = len(found.funnel.steps)
    names = [*(f"to {step}" for step in found.funnel.steps[1:]), "first to last"]
    medians = {
        (one.persona, at): one.funnel.median_seconds if at == last else one.funnel.steps[at].median_seconds
        for one in personas
        for at in range(1, last + 1)
    }
    known = [seconds for seconds in medians.values() if seconds is not None]
    yield "<h2>Time to convert</h2>"
    if not known:
        yield "<p>No one reaches the second step.</p>"
        return
    unit, size = ("days", _DAY) if max(known) >= 2 * _DAY else ("hours", _HOUR)
    rows = [
        {
            "name": visible(names[at - 1]),
            "group": visible(persona),
            "value": seconds / size,
            "text": words.duration(seconds),
        }
        for (persona, at), seconds in medians.items()
        if seconds is not None
    ]
    chart = charts.bars(rows, title=f"Median time of each step, in {unit}", label=f"median, {unit}")
    titles = [f"{shown(one.persona)}, {what}" for one in personas for what in ("median", "90% within")]
    beside = table(
        "The time from the step before",
        ("step", *titles),
        [
            (shown(names[at - 1]), *(cell for one in personas for cell in _spans(one, at, last)))
            for at in range(1, last + 1)
        ],
    )
    yield from pair(chart, beside)


def _spans(one: PersonaFunnel, at: int, last: int) -> tuple[str, ...]:
    part = one.funnel if at == last else one.funnel.steps[at]
    return tuple(_in_one_line(words.brief_duration(one)) for one in (part.median_seconds, part.p90_seconds))


def _in_one_line(text: str) -> str:
    """Return a short text that a narrow table does not break."""
    return text.replace(" ", "\u00a0")


def why(one: Differences, actor: str) -> Iterator[str]:
    """Yield why people and accounts differ, and how many people an account has."""
    people, accounts = words.plural(actor), words.plural(one.persona)
    yield f"<h2>Why {shown(people)} and {shown(accounts)} differ</h2>"
    yield f"<ul>{''.join(f'<li>{shown(line)}</li>' for line in words.difference_lines(one, actor))}</ul>"
    if one.contributors:
        yield table(
            f"The {shown(accounts)} that make most of the difference",
            (shown(one.persona), shown(people), "began", "converted"),
            [
                (shown(each.name), f"{each.people:,}", f"{each.began:,}", f"{each.converted:,}")
                for each in one.contributors
            ],
        )
    if not one.sizes:
        return
    yield f"<h3>{shown(people.capitalize())} per {shown(one.persona)}</h3>"
    rows = [
        {"name": words.size_name(size), "group": "", "value": size.accounts, "text": f"{size.accounts:,}"}
        for size in one.sizes
    ]
    chart = charts.bars(rows, title=f"Number of {accounts} by their {people}", label=visible(accounts))
    beside = table(
        f"How many {shown(accounts)} have so many {shown(people)}",
        (shown(people), shown(accounts)),
        [(words.size_name(size), f"{size.accounts:,}") for size in one.sizes],
    )
    yield from pair(chart, beside)


def cost(found: Comparison) -> Iterator[str]:
    """Yield what each strategy would leave in Kissmetrics, and what it costs."""
    if not found.strategies:
        return
    yield "<h2>What each strategy leaves in Kissmetrics, and its cost</h2>"
    rows = [
        {"name": held.name, "group": "", "value": held.months.most, "text": f"{held.months.most:,}"}
        for held in found.strategies
    ]
    chart = charts.bars(
        rows, title="Events in the busiest month, by strategy", label="events in the busiest month"
    )
    beside = table(
        "Events and their cost",
        ("strategy", "events", "busiest month", "plan"),
        [
            (
                held.name,
                f"{held.events:,}",
                f"{held.months.most:,}",
                shown(found.plans.describe(held.months.most)),
            )
            for held in found.strategies
        ],
    )
    yield from pair(chart, beside)
    for held in found.strategies:
        yield f"<h3>{held.name}</h3>"
        lines = [*map(words.held_line, held.personas), *words.report_lines(held)]
        yield f"<ul>{''.join(f'<li>{shown(line)}</li>' for line in lines)}</ul>"
    short = " The log is shorter than a month, so a whole month may have more." if _is_short(found) else ""
    yield (
        f'<p class="quiet">Prices are {shown(found.plans.origin)}.{short} No page of Kissmetrics says '
        "whether backdated events are billed.</p>"
    )


def _is_short(found: Comparison) -> bool:
    return any(held.months.is_short for held in found.strategies)
