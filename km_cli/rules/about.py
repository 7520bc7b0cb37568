"""The description of any code of a finding or a reject, also of codes made of a persona's name."""

from __future__ import annotations

from km_cli.rules.base import About, Severity
from km_cli.rules.registry import CATALOGUE

_NO = "no-"
_UNKNOWN = "A finding that this version of km-cli does not explain."


def about_code(code: str) -> About:
    """Return the description of a code. `no-NAME` is about rows that name no persona of that name."""
    if code in CATALOGUE:
        return CATALOGUE[code]
    name = code.removeprefix(_NO)
    if name == code:
        return About(code, Severity.NOTE, _UNKNOWN, "Look at the rows that it names.", "")
    return About(
        code,
        Severity.NOTE,
        f"Rows that name no {name} make no calls for that persona.",
        f"Nothing, if such rows have no {name}. Otherwise name the column of the {name} (flag or km.toml).",
        "",
    )
