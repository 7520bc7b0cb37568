"""The text of an import plan → the plan, checked: it is whole, and it was not edited."""

from __future__ import annotations

import tomllib
from typing import Any

import msgspec

from km_cli.errors import UsageError
from km_cli.import_plan.content import FORMAT, ImportPlan
from km_cli.import_plan.writing import digest_of

LARGEST = 64 << 20
"""Bytes. A plan of a million rows has a tenth of a million."""


def parse(text: str, name: str) -> ImportPlan:
    """Return the plan of a text; `name` is that of its file. Raises UsageError: it is no plan, or edited."""
    # A dry run does not write over this file, because it is not a plan that km-cli wrote.
    hint = "make it again with km-cli dry-run … --out PATH, a new file, and have that reviewed"
    try:
        found: dict[str, Any] = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError
        raise UsageError(f"{name} is not an import plan: {error}", hint) from None
    if "km_cli" not in found or "format" not in found:
        raise UsageError(f"{name} is not an import plan", hint)
    if found["format"] != FORMAT:
        raise UsageError(
            f"{name} is an import plan of km-cli {found['km_cli']}, in a form that this version cannot read",
            hint,
        )
    if found.get("digest") != digest_of(text):
        raise UsageError(f"{name} was changed after km-cli wrote it: its digest is wrong", hint)
    try:
        return msgspec.convert(found, ImportPlan)
    except msgspec.ValidationError as error:
        raise UsageError(f"{name} is not an import plan: {error}", hint) from None
