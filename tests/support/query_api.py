"""A Query API (Q1, Q2) that answers as a test says, over a real server."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.support.tracker import Hit, Reaction, Tracker

JSON = (("Content-Type", "application/json"),)
QUERY_KEY = "query-key-0123456789"

Row = Mapping[str, Any]
Answer = Callable[[Hit, int], Reaction | None]
"""Spoils an answer, given the request and its number; None leaves it as it is."""


def answer(value: object, status: int = 200) -> Reaction:
    return Reaction(status, JSON, json.dumps(value).encode())


def name(text: str, total: int, number: int, product: int = 7, **more: object) -> Row:
    """A row of an event or a property."""
    times = {
        f"{which}_{kind}_at": "2024-01-01T00:00:00Z"
        for which in ("first", "last")
        for kind in ("used", "sent")
    }
    return {
        "id": number,
        "product_id": product,
        "name": text,
        "visible": True,
        "total": total,
        **times,
        **more,
    }


def names(totals: Mapping[str, int], product: int = 7) -> list[Row]:
    return [name(text, total, number, product) for number, (text, total) in enumerate(totals.items())]


class FakeApi:
    """Answers as its reference says, page by page; `spoil` may answer instead.

    `products` are their ids and names, and `lists` the rows of each path, such as `7/events`.
    """

    def __init__(self, products: Mapping[int, str], lists: Mapping[str, Sequence[Row]]) -> None:
        self.products = [
            {"id": number, "account_id": 1, "name": text, "timezone": "UTC"}
            for number, text in products.items()
        ]
        self.lists = dict(lists)
        self.spoil: Answer | None = None

    def behave(self, hit: Hit, number: int) -> Reaction:
        """Answer one request."""
        if self.spoil and (spoilt := self.spoil(hit, number)):
            return spoilt
        path = hit.path.removeprefix("/v3/products").lstrip("/")
        rows = self.products if not path else self.lists.get(path, [])
        at, most = int(hit.params["offset"]), int(hit.params["limit"])
        return answer({"events" if path else "data": rows[at : at + most]})


def answering(server: Tracker, products: Mapping[int, str], lists: Mapping[str, Sequence[Row]]) -> FakeApi:
    """Let a server answer as the API."""
    api = FakeApi(products, lists)
    server.behave = api.behave
    return api
