"""Who events are recorded as, and in which sites: from km.toml, or from a strategy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from msgspec import UNSET

from km_cli.config.files import expanded
from km_cli.config.kmtoml import KmToml, PersonaTable
from km_cli.config.sites import ACCOUNT_KEY_VARIABLE, KEY_VARIABLE, Site
from km_cli.errors import UsageError, did_you_mean
from km_cli.kissmetrics import LONGEST_IDENTITY, LONGEST_NAME, fold_name, is_reserved
from km_cli.model import Persona
from km_cli.strategies import STRATEGIES

_OTHERWISE = frozenset({"event", "timestamp", "id", "file", "since", "until"})
"""What columns of logs and of members' files are called that are no persona's."""

_CODED = frozenset({"such-event", "persona", "identity", "property-name"})
"""Names that `no-NAME` would say of what it already says something else of: it is the code of a finding."""


class People(NamedTuple):
    """The personas, the actor first, and the sites that any of them is recorded in.

    `digest` tells them from others, whatever flags say of their columns and properties.
    """

    personas: tuple[Persona, ...]
    sites: tuple[Site, ...]
    digest: str = ""

    def with_personas(self, personas: tuple[Persona, ...]) -> People:
        """Return other personas, and of the sites those that any of them is recorded in."""
        used = {persona.site for persona in personas if persona.is_recorded}
        return self._replace(personas=personas, sites=tuple(site for site in self.sites if site.name in used))


def people_of(
    config: KmToml, folder: Path, *, strategy: str, site: str, columns: Mapping[str, str], allow_alias: bool
) -> People:
    """Return who there is.

    `strategy` "" is km.toml's personas, `site` "" the first site, `columns` those that flags give to personas
    by name, `folder` where km.toml is. Raises UsageError for what contradicts itself.
    """
    first, second = _first_two(config, site)
    if strategy:
        personas = STRATEGIES[strategy].personas(first, second)
    else:
        personas = tuple(_persona(table, config, first) for table in config.personas)
        _check(personas)
        _check_trial(personas, config, site)
    personas = _with_columns(personas, columns)
    _check_aliases(personas)
    for persona in personas:
        if persona.alias and not allow_alias:
            raise UsageError(
                f"km.toml: the persona {persona.name!r} has an alias column; an alias can't be undone (I2)",
                "say --allow-alias if that is what you want, or take `alias` out",
            )
    used = dict.fromkeys(persona.site for persona in personas if persona.is_recorded)
    sites = tuple(_site(name, config, folder, first, second) for name in used)
    plain = json.dumps([persona._replace(column="") for persona in personas])
    return People(personas, sites, hashlib.sha256(plain.encode()).hexdigest()[:16])


def _first_two(config: KmToml, site: str) -> tuple[str, str]:
    """Return the names of the first site and of the one that accounts have in the strategy `sites`.

    Beside a site that km.toml does not know, a trial, accounts must not land among real ones: they have a
    site of the trial's own, and the ledger refuses a key that is tied to another name.
    """
    names = list(config.sites) or ["main"]
    if site and site not in names:
        return site, f"{site}-accounts"
    first = site or names[0]
    return first, next((name for name in names if name != first), "accounts")


def _site(name: str, config: KmToml, folder: Path, first: str, second: str) -> Site:
    """Return a site, and where its key is: as km.toml says, else in the usual variable."""
    table = config.sites.get(name)
    if table and table.key_env and table.key_file:
        raise UsageError(f"km.toml: sites.{name} has both key_env and key_file", "leave one of them out")
    if table and table.key_file:
        return Site(name, key_file=str(folder / expanded(table.key_file, f"km.toml, sites.{name}.key_file:")))
    if table and table.key_env:
        return Site(name, table.key_env)
    # A product keeps its key whichever is asked for: the first two of km.toml have the usual ones.
    usual = {second: ACCOUNT_KEY_VARIABLE, first: KEY_VARIABLE}
    usual.update(zip(config.sites, (KEY_VARIABLE, ACCOUNT_KEY_VARIABLE), strict=False))
    if name not in usual:
        raise UsageError(
            f"km.toml: sites.{name} does not say where its key is", 'add key_env = "VARIABLE", or key_file'
        )
    return Site(name, usual[name])


def _persona(table: PersonaTable, config: KmToml, first: str) -> Persona:
    if table.site and table.site not in config.sites:
        raise _unknown(f"{table.name}.site", table.site, "site", config.sites)
    return Persona(
        table.name,
        table.site or first,
        _events(table.events),
        table.rename,
        tuple(table.link.items()),
        table.prefix,
        table.column,
        table.alias,
        None if table.properties is UNSET else tuple(table.properties),
        tuple(table.set),
    )


def _events(events: str | list[str] | dict[str, str]) -> tuple[tuple[str, str], ...] | None:
    if isinstance(events, dict):
        return tuple(events.items())
    return tuple((name, "") for name in events) if isinstance(events, list) else None


def _check(personas: tuple[Persona, ...]) -> None:
    names = [persona.name for persona in personas]
    for name in names:
        if name in _OTHERWISE:
            raise UsageError(
                f"km.toml: no persona can be called {name!r}",
                "that is another column's name: call it otherwise",
            )
        if name in _CODED:
            raise UsageError(
                f"km.toml: no persona can be called {name!r}",
                f"no-{name} is the code of another finding: call it otherwise",
            )
        if names.count(name) > 1:
            raise UsageError(f"km.toml: two personas are called {name!r}", "give one of them another name")
    if not any(persona.is_recorded for persona in personas):
        raise UsageError(
            "km.toml: no persona may do anything", "give one of them events, or leave `events` out for all"
        )
    for persona in personas:
        _check_links(persona, names)
        if len(persona.prefix) >= LONGEST_IDENTITY or not persona.prefix.isprintable():
            raise UsageError(
                f"km.toml: the prefix of {persona.name!r} is too long, or has characters that are not shown",
                'a short word does: prefix = "acct "',
            )
        for column in persona.sets:
            _check_property(f"{persona.name}.set", column)


def _check_trial(personas: tuple[Persona, ...], config: KmToml, site: str) -> None:
    """Raise UsageError if a trial in a site that km.toml does not know would record someone elsewhere."""
    if not site or site in config.sites:
        return
    for persona in personas:
        if persona.is_recorded and persona.site != site:
            raise UsageError(
                f"--site {site} leaves {persona.name!r} in the site {persona.site!r}",
                "give the trial a km.toml of its own (--config), in which every site is a test product",
            )


def _check_links(persona: Persona, names: list[str]) -> None:
    folded: dict[str, str] = {}
    for name, other in persona.link:
        _check_property(f"{persona.name}.link", name)
        twin = folded.setdefault(fold_name(name), name)
        if twin != name:
            raise UsageError(
                f"km.toml: {persona.name}.link: {twin!r} and {name!r} would be one property (D4)",
                "give one of them another name",
            )
        if other not in names:
            raise _unknown(f"{persona.name}.link.{name}", other, "persona", names)
        if other == persona.name:
            raise UsageError(
                f"km.toml: {persona.name}.link.{name} holds its own identity", "name another persona"
            )


def _check_aliases(personas: tuple[Persona, ...]) -> None:
    """Raise UsageError for an alias that is taken from a column of identities: two would be made one."""
    for persona in personas:
        for other in personas:
            if persona.alias and persona.alias.casefold() == other.column.casefold():
                whose = "its own identity" if other is persona else f"the identity of {other.name!r}"
                raise UsageError(
                    f"km.toml: the alias of {persona.name!r} is the column of {whose}: {other.column!r}",
                    "name a column that holds another identity of the same person",
                )


def _check_property(place: str, name: str) -> None:
    if is_reserved(name):
        raise UsageError(
            f"km.toml: {place}: Kissmetrics reserves the property {name!r}", "give it another name"
        )
    if not name.strip() or len(name) > LONGEST_NAME:
        raise UsageError(
            f"km.toml: {place}: {name[:30]!r} is no name of a property",
            f"it has 1 to {LONGEST_NAME} characters (D4)",
        )


def _unknown(place: str, name: str, what: str, known: Collection[str]) -> UsageError:
    return UsageError(
        f"km.toml: {place}: there is no {what} {name!r}",
        did_you_mean(name, known, f"there are: {', '.join(known) or 'none'}", repr),
    )


def _with_columns(personas: tuple[Persona, ...], columns: Mapping[str, str]) -> tuple[Persona, ...]:
    """Lay the columns that flags name over the personas'."""
    names = [persona.name for persona in personas]
    for name in columns:
        if name not in names:
            raise UsageError(
                f"--{name} names the column of a persona {name!r}, and km.toml has none",
                f"there are: {', '.join(names)}; say their columns in km.toml",
            )
    return tuple(persona._replace(column=columns.get(persona.name, persona.column)) for persona in personas)
