"""The settings that decide which calls a row becomes, as an import plan lists them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from km_cli.config.settings import Settings
from km_cli.mapping import Selection, condition_text
from km_cli.model import NANOSECONDS, Overlap, Persona
from km_cli.planning import Collisions

_ALWAYS = ("to", "sites", "collisions", "spread", "digest")
"""Settings that are listed although they have their default."""


def settings_of(settings: Settings) -> dict[str, Any]:
    """Return the settings by name, without those that are not used. Sites are names: no key is among them.

    `digest` stands for all of them, also for what the others do not say, such as the members' file.
    """
    options = settings.column_options
    found: dict[str, Any] = {
        "to": settings.target.tracker,
        "sites": [site.name for site in settings.people.sites],
        "source": settings.source,
        "export": settings.export,
        "collisions": settings.collisions.value if isinstance(settings.collisions, Collisions) else "",
        "spread": settings.spread,
        "overlap": settings.overlap.value if settings.overlap is not Overlap.ASK else "",
        "as_new": settings.as_new,
        "limit": settings.limit,
        "max_rejects": settings.max_rejects.text if settings.max_rejects else "",
        "allow_id": sorted(settings.allowed),
        "allow_alias": settings.allow_alias,
        "members": settings.members.digest if settings.members else "",
        "digest": settings.asked_of_files,
        "format": _used(settings.format_options._asdict()),
        "columns": {
            **_used(options._replace(where=())._asdict()),
            **_used({"where": [condition_text(one) for one in options.where]}),
            **({"properties": []} if options.properties == () else {}),
        },
        "times": _used(settings.time_options._asdict()),
        "selection": _selection(settings.selection),
        "personas": {persona.name: _persona(persona) for persona in settings.personas},
    }
    return {name: value for name, value in found.items() if name in _ALWAYS or _is_used(value)}


def _persona(persona: Persona) -> dict[str, Any]:
    found = persona._replace(rename="" if persona.rename == "{event}" else persona.rename)._asdict()
    every = {"events": "*"} if persona.events is None else {"events": _texts(persona.events)}
    own = {} if persona.properties is None else {"properties": list(persona.properties)}
    return {**_used({name: value for name, value in found.items() if name != "name"}), **every, **own}


def _selection(selection: Selection) -> dict[str, Any]:
    times = {"since": selection.since, "until": selection.until}
    moments = {name: _iso(moment) for name, moment in times.items() if moment is not None}
    return {**moments, **_used({"only": selection.only, "skip": selection.skip})}


def _iso(moment: int) -> str:
    second, rest = divmod(moment, NANOSECONDS)
    fraction = f".{rest:09}".rstrip("0") if rest else ""
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}{fraction}Z"


def _used(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that are used, lists as lists of texts."""
    return {
        name: _texts(value) if isinstance(value, tuple | list) else value
        for name, value in options.items()
        if _is_used(value)
    }


def _is_used(value: Any) -> bool:
    return value is not None and value is not False and value not in ("", (), [], {})


def _texts(values: Iterable[Any]) -> list[str]:
    """Return values as texts, pairs as `column → property`."""
    return [" → ".join(filter(None, one)) if isinstance(one, tuple) else str(one) for one in values]
