"""Which product of Kissmetrics stands for which site."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from km_cli.errors import MOST_LISTED, UsageError, did_you_mean
from km_cli.verify.values import Product


def products_of_sites(
    sites: Iterable[str], given: Mapping[str, str], products: Sequence[Product]
) -> dict[str, Product]:
    """Return the product of each site.

    `given` maps sites to the id or the name of their product. Without that it is the product that has the
    name of the site, or the only product if there is one site. Raises UsageError, which lists the products.
    """
    wanted = tuple(dict.fromkeys(sites))
    found = {site: _product_of(site, given, products, is_only=len(wanted) == 1) for site in wanted}
    owners: dict[str, str] = {}
    for site, product in found.items():
        if (other := owners.setdefault(product.id, site)) != site:
            raise UsageError(
                f"the sites {other!r} and {site!r} have the same product, {product.name!r}",
                f"a site is a product of its own; {_choose(site, products)}",
            )
    return found


def _product_of(
    site: str, given: Mapping[str, str], products: Sequence[Product], *, is_only: bool
) -> Product:
    if site in given:
        return _named(given[site], site, products)
    of_name = [one for one in products if one.name.casefold() == site.casefold()]
    if len(of_name) == 1:
        return of_name[0]
    if is_only and len(products) == 1:
        return products[0]
    if not products:
        raise UsageError(
            "these credentials see no product of Kissmetrics", "check that they belong to the right account"
        )
    raise UsageError(f"it is not clear which product the site {site!r} is", _choose(site, products))


def _named(word: str, site: str, products: Sequence[Product]) -> Product:
    """Return the product with this id, or else with this name. Raises UsageError if there is not just one."""
    of_id = [one for one in products if one.id == word]
    of_name = of_id or [one for one in products if one.name == word]
    of_name = of_name or [one for one in products if one.name.casefold() == word.casefold()]
    if len(of_name) == 1:
        return of_name[0]
    if of_name:
        raise UsageError(f"{len(of_name)} products have the name {word!r}", _choose(site, of_name))
    hint = did_you_mean(word, [one.name for one in products], _choose(site, products), repr)
    raise UsageError(f"the site {site!r}: there is no product {word!r}", hint)


def _choose(site: str, products: Sequence[Product]) -> str:
    listed = ", ".join(f"{one.id} ({one.name})" for one in products[:MOST_LISTED])
    more = f", and {len(products) - MOST_LISTED:,} more" if len(products) > MOST_LISTED else ""
    how = f"say it with --product {site}=ID, or sites.{site}.product in km.toml"
    return f"{how}; the products are {listed}{more}"
