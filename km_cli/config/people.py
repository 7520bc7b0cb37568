"""The personas that events are recorded as, and their sites: from km.toml, or from a strategy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from msgspec import UNSET

from km_cli.config.columns import check_property_name
from km_cli.config.files import expanded
from km_cli.config.kmtoml import KmToml, PersonaTable
from km_cli.config.sites import ACCOUNT_KEY_VARIABLE, KEY_VARIABLE, Site
from km_cli.errors import UsageError, did_you_mean
from km_cli.kissmetrics import LONGEST_IDENTITY, fold_name
from km_cli.model import Persona
from km_cli.strategies import STRATEGIES

_OTHER_COLUMNS = frozenset({"event", "timestamp", "id", "file", "since", "until"})
"""Names of columns of logs and members' files that are not columns of a persona."""

_CODED = frozenset({"such-event", "persona", "identity", "property-name"})
"""Names for which the code of a finding, `no-NAME`, already has another meaning."""


class People(NamedTuple):
    """The personas, the actor first, and the sites that any of them is recorded in.

    `digest` identifies the personas. It does not depend on the flags about columns and properties.
    """

    personas: tuple[Persona, ...]
    sites: tuple[Site, ...]
    digest: str = ""

    def with_personas(self, personas: tuple[Persona, ...]) -> People:
        """Replace the personas, and keep the sites that any of them is recorded in."""
        used = {persona.site for persona in personas if persona.is_recorded}
        return self._replace(personas=personas, sites=tuple(site for site in self.sites if site.name in used))


def make_people(
    config: KmToml, folder: Path, *, strategy: str, site: str, columns: Mapping[str, str], allow_alias: bool
) -> People:
    """Return the personas and sites of a run.

    A `strategy` of "" means the personas of km.toml, a `site` of "" the first site. `columns` are given by
    flags, by persona; `folder` is that of km.toml. Raises UsageError for contradictions.
    """
    first, second = _first_two(config, site)
    if strategy:
        personas = STRATEGIES[strategy].personas(first, second)
    else:
        personas = tuple(_persona(table, config, first) for table in config.personas)
        _check(personas)
        _check_trial(personas, config, site)
    personas = _with_columns(personas, columns)
    if allow_alias and config.columns.alias:
        personas = (personas[0]._replace(alias=personas[0].alias or config.columns.alias), *personas[1:])
    _check_aliases(personas)
    for persona in personas:
        if persona.alias and not allow_alias:
            raise UsageError(
                f"km.toml: the persona {persona.name!r} has an alias column; an alias cannot be undone (I2)",
                "add --allow-alias if you want that, or remove `alias`",
            )
    used = dict.fromkeys(persona.site for persona in personas if persona.is_recorded)
    sites = tuple(_site(name, config, folder, first, second) for name in used)
    # The columns and their values are no part of a persona: they may change from one log to the next.
    plain = json.dumps([persona._replace(column="", others=(), nobody=()).plain for persona in personas])
    return People(personas, sites, hashlib.sha256(plain.encode()).hexdigest()[:16])


def sites_named(config: KmToml, folder: Path, names: Collection[str], site: str = "") -> dict[str, Site]:
    """Return those of these sites whose key has a place: in km.toml, or in a default variable.

    `site` is that of --site. `folder` is that of km.toml. Raises UsageError if km.toml contradicts itself.
    """
    first, second = _first_two(config, site)
    known = {*config.sites, first, second}
    return {name: _site(name, config, folder, first, second) for name in names if name in known}


def make_sites(config: KmToml, folder: Path) -> tuple[Site, ...]:
    """Return all sites of km.toml, or the two usual ones if it names none. Raises UsageError."""
    first, second = _first_two(config, "")
    names = tuple(config.sites) or (first, second)
    return tuple(_site(name, config, folder, first, second) for name in names)


def _first_two(config: KmToml, site: str) -> tuple[str, str]:
    """Return the names of the first site, and of the site for accounts in the strategy `sites`.

    A --site that km.toml does not have is a trial. Its accounts must not be mixed with real ones, so they get
    a site of their own, NAME-accounts. The ledger refuses a key that belongs to a site of another name.
    """
    names = list(config.sites) or ["main"]
    if site and site not in names:
        return site, f"{site}-accounts"
    first = site or names[0]
    return first, next((name for name in names if name != first), "accounts")


def _site(name: str, config: KmToml, folder: Path, first: str, second: str) -> Site:
    """Return a site with the place of its key: as km.toml gives it, else the default variable."""
    table = config.sites.get(name)
    if table and table.key_env and table.key_file:
        raise UsageError(f"km.toml: sites.{name} has both key_env and key_file", "leave one of them out")
    if table and table.key_file:
        return Site(name, key_file=str(folder / expanded(table.key_file, f"km.toml, sites.{name}.key_file:")))
    if table and table.key_env:
        return Site(name, table.key_env)
    # The default variables belong to the first two sites of km.toml, whichever site --site selects: a call
    # must never go out with the key of another site.
    usual = {second: ACCOUNT_KEY_VARIABLE, first: KEY_VARIABLE}
    usual.update(zip(config.sites, (KEY_VARIABLE, ACCOUNT_KEY_VARIABLE), strict=False))
    if name not in usual:
        raise UsageError(
            f"km.toml: sites.{name} has neither key_env nor key_file", 'add key_env = "VARIABLE", or key_file'
        )
    return Site(name, usual[name])


def _persona(table: PersonaTable, config: KmToml, first: str) -> Persona:
    if table.site and table.site not in config.sites:
        raise _unknown(f"{table.name}.site", table.site, "site", config.sites)
    column, *others = table.column if isinstance(table.column, list) else [table.column]
    return Persona(
        table.name,
        table.site or first,
        _events(table.events),
        table.rename,
        tuple(table.link.items()),
        table.prefix,
        column,
        table.alias,
        None if table.properties is UNSET else tuple(table.properties),
        tuple(table.set),
        tuple(dict.fromkeys(name for name in others if name != column)),
        tuple(table.nobody),
        _not_events(table),
    )


def _not_events(table: PersonaTable) -> tuple[str, ...]:
    if table.not_events and table.events != "*":
        raise UsageError(
            f"km.toml: the persona {table.name!r} has both `events` and `not_events`",
            "a list of `events` already leaves out all others: remove one of the two",
        )
    return tuple(table.not_events)


def _events(events: str | list[str] | dict[str, str]) -> tuple[tuple[str, str], ...] | None:
    if isinstance(events, dict):
        return tuple(events.items())
    return tuple((name, "") for name in events) if isinstance(events, list) else None


def _check(personas: tuple[Persona, ...]) -> None:
    names = [persona.name for persona in personas]
    for name in names:
        if name in _OTHER_COLUMNS:
            raise UsageError(
                f"km.toml: a persona cannot be called {name!r}",
                "that is the name of another column: choose another name",
            )
        if name in _CODED:
            raise UsageError(
                f"km.toml: a persona cannot be called {name!r}",
                f"no-{name} is the code of another finding: choose another name",
            )
        if names.count(name) > 1:
            raise UsageError(f"km.toml: two personas are called {name!r}", "give one of them another name")
    if not any(persona.is_recorded for persona in personas):
        raise UsageError(
            "km.toml: no persona has any events",
            "give one of them events, or leave `events` out for all events",
        )
    for persona in personas:
        _check_links(persona, names)
        if len(persona.prefix) >= LONGEST_IDENTITY or not persona.prefix.isprintable():
            raise UsageError(
                f"km.toml: the prefix of {persona.name!r} is too long or has invisible characters",
                'a short word is enough: prefix = "acct "',
            )
        for column in persona.sets:
            check_property_name(f"{persona.name}.set", column)


def _check_trial(personas: tuple[Persona, ...], config: KmToml, site: str) -> None:
    """Raise UsageError if a trial in a site that km.toml does not have would also record in another site."""
    if not site or site in config.sites:
        return
    for persona in personas:
        if persona.is_recorded and persona.site != site:
            raise UsageError(
                f"--site {site} would still record {persona.name!r} in the site {persona.site!r}",
                "use another km.toml for the trial (--config), in which every site is a test product",
            )


def _check_links(persona: Persona, names: list[str]) -> None:
    folded: dict[str, str] = {}
    for name, other in persona.link:
        check_property_name(f"{persona.name}.link", name)
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
                f"km.toml: {persona.name}.link.{name} is its own identity", "name another persona"
            )


def _check_aliases(personas: tuple[Persona, ...]) -> None:
    """Raise UsageError for an alias from a column of identities: it would merge two people for good (I2)."""
    for persona in personas:
        for other in personas:
            # Its own second column may be its alias: a visitor's id, in rows that have both.
            columns = [other.column] if other is persona else [other.column, *other.others]
            alias = persona.alias.casefold()
            if column := next((name for name in columns if name and name.casefold() == alias), ""):
                whose = "its own identity" if other is persona else f"the identity of {other.name!r}"
                raise UsageError(
                    f"km.toml: the alias of {persona.name!r} is the column of {whose}: {column!r}",
                    "give a column that holds another identity of the same person",
                )


def _unknown(place: str, name: str, noun: str, known: Collection[str]) -> UsageError:
    return UsageError(
        f"km.toml: {place}: there is no {noun} {name!r}",
        did_you_mean(name, known, f"the {noun}s are: {', '.join(known) or 'none'}", repr),
    )


def _with_columns(personas: tuple[Persona, ...], columns: Mapping[str, str]) -> tuple[Persona, ...]:
    """Replace the columns of personas by those that flags give."""
    names = [persona.name for persona in personas]
    for name in columns:
        if name not in names:
            raise UsageError(
                f"--{name} is the column of a persona {name!r}, and km.toml has no such persona",
                f"the personas are: {', '.join(names)}; give their columns in km.toml",
            )
    return tuple(
        persona._replace(column=columns[persona.name], others=()) if persona.name in columns else persona
        for persona in personas
    )
