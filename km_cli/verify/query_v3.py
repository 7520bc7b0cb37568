"""Version 3 of the Query API (Q1, Q2): its addresses, its pages, and the shapes of its answers.

The API calls itself beta, so an answer is read strictly: a key that is missing, a number that is text, or a
list under another name is Unavailable, with the place in the answer. Keys that rows have besides are ignored.
Times are an exception: one that cannot be read is as if the API had none, and is compared with nothing.

A list has no mark of its end. It is read until a page is empty. A page that repeats a row means that the list
moved while it was read, so that another row may have been missed: the list is then read again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import UNSET, Struct, UnsetType

from km_cli.errors import Unavailable
from km_cli.verify.asking import Asker
from km_cli.verify.values import Count, Listing, NameTotal, Product

URL: Final = "https://query.kissmetrics.io/v3"
"""Kissmetrics' own API."""

_LIMIT: Final = 50
_TRIES: Final = 3
_MOST_ROWS: Final = 70_000
"""More names than a product can have (D8), and more products than anyone has."""

_BETA: Final = "the API calls itself beta: this version of km-cli may not know its present form"


class _Row(Struct, frozen=True):
    id: int | str


class _ProductRow(_Row, frozen=True):
    name: str


class _NameRow(_Row, frozen=True):
    product_id: int | str
    name: str
    visible: bool
    total: Count
    first_used_at: str | int | float | None
    last_used_at: str | int | float | None


class _Products(Struct, frozen=True, forbid_unknown_fields=True):
    data: list[_ProductRow]


class _Names(Struct, frozen=True, forbid_unknown_fields=True):
    """Events stand under `events`. So do properties on their page, which may be a slip of that page."""

    events: list[_NameRow] | UnsetType = UNSET
    properties: list[_NameRow] | UnsetType = UNSET


_R = TypeVar("_R", bound=_Row)


class QueryV3:
    """Asks version 3. Every method raises Unavailable for an answer that is not as its reference says."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker

    def products(self) -> tuple[Product, ...]:
        """Return the products that these credentials may see."""
        rows, is_whole = self._rows("/products", "the products", _products_of)
        if not is_whole:
            raise Unavailable("the products could not be asked: their list changes while it is read", _BETA)
        return tuple(Product(str(row.id), row.name) for row in rows)

    def events(self, product: Product) -> Listing:
        """Return the events of a product, with their totals."""
        return self._names(product, "events")

    def properties(self, product: Product) -> Listing:
        """Return the properties of a product, with their totals."""
        return self._names(product, "properties")

    def _names(self, product: Product, kind: str) -> Listing:
        what = f"the {kind} of the product {product.name!r}"
        rows, is_whole = self._rows(f"/products/{quote(product.id, safe='')}/{kind}", what, _names_of)
        if strange := next((row for row in rows if str(row.product_id) != product.id), None):
            raise self._unexpected(what, f"the product_id {strange.product_id!r} is that of another product")
        return Listing(tuple(map(_name_total, rows)), is_whole)

    def _rows(self, path: str, what: str, decode: Callable[[bytes], list[_R]]) -> tuple[Sequence[_R], bool]:
        """Return the rows of all pages, and whether the list stood still while it was read."""
        found: dict[int | str, _R] = {}
        for _ in range(_TRIES):
            rows, has_moved = self._read_through(path, what, decode)
            if not has_moved:
                return list(rows.values()), True
            found |= rows
        return list(found.values()), False

    def _read_through(
        self, path: str, what: str, decode: Callable[[bytes], list[_R]]
    ) -> tuple[dict[int | str, _R], bool]:
        found: dict[int | str, _R] = {}
        has_moved, offset = False, 0
        while page := self._page(f"{path}?offset={offset}&limit={_LIMIT}", what, len(found), decode):
            before = len(found)
            found |= {row.id: row for row in page}
            has_moved |= len(found) < before + len(page)
            if len(found) == before:  # a server that repeats a page would do so for ever
                break
            if len(found) > _MOST_ROWS:
                raise self._unexpected(what, "their list does not end")
            offset += len(page)
        return found, has_moved

    def _page(self, path: str, what: str, names: int, decode: Callable[[bytes], list[_R]]) -> list[_R]:
        body = self._asker.get(path, what, names)
        try:
            return decode(body)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise self._unexpected(what, str(error)) from None

    def _unexpected(self, what: str, why: str) -> Unavailable:
        return Unavailable(f"{what} could not be read: {self._asker.masked(why)}", _BETA)


def _products_of(body: bytes) -> list[_ProductRow]:
    return msgspec.json.decode(body, type=_Products).data


def _names_of(body: bytes) -> list[_NameRow]:
    answer = msgspec.json.decode(body, type=_Names)
    lists = [rows for rows in (answer.events, answer.properties) if not isinstance(rows, UnsetType)]
    if len(lists) != 1:
        raise ValueError("it has no list of events or of properties, or both")
    return lists[0]


def _name_total(row: _NameRow) -> NameTotal:
    return NameTotal(row.name, row.total, _moment(row.first_used_at), _moment(row.last_used_at))


def _moment(value: Any) -> datetime | None:
    """Return a time of the API, None for any other form. One without an offset is taken as UTC."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    try:
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except OverflowError:
        return None
