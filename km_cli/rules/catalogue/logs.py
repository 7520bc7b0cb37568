"""Logs that several examples of the catalogue need."""

from __future__ import annotations

from km_cli.rules.base import log


def many_events(rows: int, event: str, more: str = "", cell: str = "") -> str:
    """Return a log of `rows` events, a second apart, each by another user of one account; {n} counts them."""
    moments = (f"{9 + n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}Z" for n in range(rows))
    lines = [f"{at},u{n},Acme,{event.format(n=n)}{cell.format(n=n)}" for n, at in enumerate(moments)]
    return log(*lines, more=more)
