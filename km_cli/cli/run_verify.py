"""The heavy half of `verify`: ask the Query API, read the ledger, and print how they differ."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import click

from km_cli.cli.conclusion import warn_of_exposed_key
from km_cli.cli.context import environment_of, km_toml_of
from km_cli.cli.show_place import Place, opened_to_look, place_of, print_lines
from km_cli.cli.terminal.asking_api import ApiWatcher
from km_cli.cli.terminal.show import complain, hide, put, say
from km_cli.cli.terminal.verify import problem_lines, snapshot_object, verify_lines, verify_object
from km_cli.config.files import expanded, is_open_to_all
from km_cli.config.query import query_key_file, query_login
from km_cli.destinations.tracker import HOSTS, NAME, check_url
from km_cli.errors import Exit, UsageError, did_you_mean
from km_cli.ledger import Ledger, check_name
from km_cli.serve.settings import seconds_of
from km_cli.verify.asking import Asker, Credentials
from km_cli.verify.comparing import compare_site
from km_cli.verify.own import Look, OwnProperties, look, own_properties
from km_cli.verify.products import products_of_sites
from km_cli.verify.query_v3 import URL, QueryV3
from km_cli.verify.result import Result, exit_of
from km_cli.verify.snapshot import Asked, ask, check_new, read_snapshot, with_own, write_snapshot
from km_cli.verify.values import SiteState, Snapshot

_EXAMPLE = "for example: --api https://query.kissmetrics.io/v3"


class _Flags(NamedTuple):
    """The flags, checked. `products` maps sites to ids or names of products. Paths are None if not given."""

    place: Place
    products: Mapping[str, str]
    show_after: float
    snapshot: Path | None
    since: Path | None
    until: Path | None

    @property
    def is_only_snapshot(self) -> bool:
        """Whether nothing is to be compared."""
        return self.snapshot is not None and self.since is None


class _Now(NamedTuple):
    """What Kissmetrics and the ledger have now, and the properties that the ledger has for each site.

    `in_files` are the calls that were written to bulk files, by site.
    """

    snapshot: Snapshot
    asked: Asked
    properties: Mapping[str, OwnProperties]
    in_files: Mapping[str, int]


def run_verify(context: click.Context) -> int:
    """Verify, and print the result. Raises UsageError, LedgerError, and Unavailable."""
    try:
        return _verify(context, _flags(context))
    except KeyboardInterrupt:
        complain("interrupted: nothing was compared or written", "run the same command again")
        return Exit.INTERRUPTED


def _verify(context: click.Context, flags: _Flags) -> int:
    before = _read(flags.since, "--since", flags) if flags.since else None
    now = _stored(flags) if flags.until else _ask(context, flags, before)
    if flags.snapshot:
        for _, error in now.asked.failures:
            raise error
        write_snapshot(flags.snapshot, now.snapshot)
    if flags.is_only_snapshot:
        return _report_snapshot(context, flags, now.snapshot)
    return _report(context, flags, _compared(flags, now, before))


def _flags(context: click.Context) -> _Flags:
    params = context.params
    paths = {name: _path(params[name], f"--{name}") for name in ("snapshot", "since", "until")}
    if paths["snapshot"] and paths["until"]:
        raise UsageError(
            "--until asks for nothing new, so there is no snapshot to write", "leave one of them out"
        )
    if paths["snapshot"]:
        check_new(paths["snapshot"])
    given = {
        name: str(table.product)
        for name, table in km_toml_of(context).config.sites.items()
        if table.product != ""
    }
    return _Flags(
        place_of(context),
        given | dict(_product(word) for word in params["products"]),
        seconds_of(params["show_after"], "--show-after"),
        **paths,
    )


def _path(text: str | None, label: str) -> Path | None:
    return expanded(text, label) if text else None


def _product(word: str) -> tuple[str, str]:
    site, equals, product = word.partition("=")
    if not (site.strip() and equals and product.strip()):
        raise UsageError(
            f"--product {word!r} does not name a site and its product", "for example: --product main=12345"
        )
    return site.strip(), product.strip()


def _read(path: Path, label: str, flags: _Flags) -> Snapshot:
    """Read a snapshot of this destination. Raises UsageError for any other one."""
    found = read_snapshot(path, f"{label} {path}")
    if found.to != flags.place.target.tracker:
        raise UsageError(
            f"{label} {path} is a snapshot for --to {found.to}, not for {flags.place.target.tracker}",
            "give the same --to as when it was taken",
        )
    return found


def _stored(flags: _Flags) -> _Now:
    """Return a snapshot that was taken before, with the properties that the ledger has now."""
    assert flags.until is not None, "the caller looked"
    found = _read(flags.until, "--until", flags)
    with opened_to_look(flags.place) as ledger:
        properties = {
            state.site: own_properties(
                ledger, found.to, state.site, state.pending, is_recent=bool(found.shown_by)
            )
            for state in found.sites
        }
        in_files = _in_files(flags, ledger)
    return _Now(found, Asked(found.sites, ()), properties, in_files)


def _ask(context: click.Context, flags: _Flags, before: Snapshot | None) -> _Now:
    """Ask Kissmetrics, and read the ledger before and after."""
    clock = environment_of(context).clock
    tracker, began = flags.place.target.tracker, clock.now()
    with _asker(context, flags) as asker, _ledger(flags) as ledger:
        first = look(ledger, tracker, began, flags.show_after)
        api = QueryV3(asker)
        products = products_of_sites(_sites(context, flags, first), flags.products, api.products())
        _check_products(products, before)
        asked = ask(api, products)
        sites = with_own(asked.sites, first, _second_look(ledger, tracker, first, flags, began))
        properties = {
            state.site: own_properties(
                ledger, tracker, state.site, state.pending, is_recent=bool(first.shown_by)
            )
            for state in sites
        }
        in_files = _in_files(flags, ledger)
    taken = datetime.fromtimestamp(int(began), UTC)
    shown_by = datetime.fromtimestamp(int(first.shown_by), UTC) if first.shown_by else None
    snapshot = Snapshot(taken, _api(context, flags), tracker, sites, shown_by)
    return _Now(snapshot, asked, properties, in_files)


def _in_files(flags: _Flags, ledger: Ledger) -> Mapping[str, int]:
    """Return the calls that were written to bulk files. Those are for Kissmetrics itself."""
    return ledger.bulk_parts.calls_by_site() if flags.place.target.tracker == NAME else {}


def _second_look(ledger: Ledger, tracker: str, first: Look, flags: _Flags, now: float) -> Look:
    """Look once more if a run has planned calls meanwhile. Another scan of all slots takes its time."""
    planned = sum(ledger.sent.total(tracker).values())
    return first if planned == first.planned else look(ledger, tracker, now, flags.show_after)


@contextmanager
def _ledger(flags: _Flags) -> Iterator[Ledger]:
    """Open the ledger. A first snapshot needs none: then it is empty."""
    if not flags.is_only_snapshot or flags.place.ledger.exists():
        with opened_to_look(flags.place) as ledger:
            yield ledger
        return
    check_name(flags.place.ledger)
    with closing(Ledger.overlay(flags.place.ledger)) as empty:
        yield empty


@contextmanager
def _asker(context: click.Context, flags: _Flags) -> Iterator[Asker]:
    environment, km_toml = environment_of(context), km_toml_of(context)
    place = (km_toml.config, km_toml.folder, environment.variables)
    login, key_file = query_login(*place), query_key_file(*place)
    if key_file and is_open_to_all(key_file):
        warn_of_exposed_key(key_file)
    credentials = Credentials(*login)
    hide(credentials.secrets)
    watcher = ApiWatcher(is_shown=environment.shows_progress, is_quiet=context.params["quiet"])
    with closing(Asker(_api(context, flags), credentials, environment.clock, watcher)) as asker:
        yield asker


def _api(context: click.Context, flags: _Flags) -> str:
    """Return the base URL of the API. Raises UsageError for a place where no credentials may go."""
    if given := context.params["api"]:
        return check_url(given, "--api", _EXAMPLE)
    if flags.place.target.place in HOSTS:
        return URL
    raise UsageError(
        f"--to {flags.place.target.spelled or flags.place.target.tracker} is not Kissmetrics itself, so the "
        "address of its Query API is not known",
        "give it with --api URL; km-cli serve has one below /v3",
    )


def _sites(context: click.Context, flags: _Flags, found: Look) -> list[str]:
    """Return the sites to ask for: those of the ledger, and those whose product is given.

    Before the first import, these are all sites of km.toml.
    """
    own = list(km_toml_of(context).config.sites)
    if not flags.is_only_snapshot:
        _check_known(context.params["products"], [*found.sites, *own])
    return [*found.sites, *flags.products] or own or ["main"]


def _check_known(words: Iterable[str], sites: Collection[str]) -> None:
    """Raise UsageError if --product names a site that neither the ledger nor km.toml has."""
    for word in words:
        site, product = _product(word)
        if sites and site not in sites:
            here = f"the ledger and km.toml have {', '.join(map(repr, dict.fromkeys(sites)))}"
            raise UsageError(
                f"--product {word}: there is no site {site!r}",
                did_you_mean(site, sites, f"{here}; it is --product SITE={product}"),
            )


def _check_products(products: Mapping[str, object], before: Snapshot | None) -> None:
    """Raise UsageError if a site was another product when the snapshot was taken."""
    for state in before.sites if before else ():
        product = products.get(state.site)
        if product is not None and getattr(product, "id", "") != state.product.id:
            raise UsageError(
                f"the site {state.site!r} was the product {state.product.name!r} ({state.product.id}) when "
                "the snapshot was taken",
                f"give --product {state.site}={state.product.id}, or take a new snapshot",
            )


def _compared(flags: _Flags, now: _Now, before: Snapshot | None) -> Result:
    states = {state.site: state for state in before.sites} if before else {}
    sites = tuple(
        compare_site(
            state, _state_before(state, states, is_since=before is not None), now.properties[state.site]
        )
        for state in now.snapshot.sites
    )
    return Result(
        flags.place.ledger,
        now.snapshot,
        before.taken if before else None,
        sites,
        tuple((site, str(error), error.hint) for site, error in now.asked.failures),
        flags.show_after,
        now.in_files,
    )


def _state_before(state: SiteState, states: Mapping[str, SiteState], *, is_since: bool) -> SiteState | None:
    """Return a site as it was. One that the snapshot does not have yet is compared as a whole."""
    return states.get(state.site) if is_since else None


def _report_snapshot(context: click.Context, flags: _Flags, snapshot: Snapshot) -> int:
    if context.params["as_json"]:
        put(json.dumps(_snapshot_object(flags, snapshot)))
    elif not context.params["quiet"]:
        say(f"wrote {flags.snapshot}: " + "; ".join(map(_described, snapshot.sites)))
    return Exit.OK


def _snapshot_object(flags: _Flags, snapshot: Snapshot) -> dict[str, Any]:
    common = {"ledger": str(flags.place.ledger), "to": snapshot.to, "exit": int(Exit.OK)}
    return {**common, "snapshot": snapshot_object(flags.snapshot, snapshot)}


def _described(state: SiteState) -> str:
    names = f"{len(state.events.names):,} events, {len(state.properties.names):,} properties"
    return f"site {state.site}, product {state.product.name}: {names}"


def _report(context: click.Context, flags: _Flags, result: Result) -> int:
    params, code = context.params, exit_of(result)
    if params["as_json"]:
        written = {"snapshot": snapshot_object(flags.snapshot, result.now)} if flags.snapshot else {}
        put(json.dumps(verify_object(result, code) | written))
    elif not params["quiet"]:
        print_lines(context, verify_lines(result, all_events=params["verbose"]))
    for message, hint in problem_lines(result) if params["quiet"] or params["as_json"] else ():
        complain(message, hint)
    return code
