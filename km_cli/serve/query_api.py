"""Kissmetrics' Query API (Q1, Q2) over the store, so that a program that asks it can be tried.

Its reference gives the addresses, the fields, Basic authorisation in two forms, `offset` and `limit`
without a total or a mark of the last page, and 15 requests a minute. It does not say what an exhausted
limit answers: here 429 in the form of other errors, without a header. Ids here are UUIDs made of the name
of the site. Queries (Q3) answer 404: the form of their results is not published, so nothing is made up.
"""

from __future__ import annotations

import base64
import binascii
import time
import uuid
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from km_cli.serve.answering import answer
from km_cli.serve.shared import Shared
from km_cli.serve.views import iso
from km_cli.standin import NameKind

PAGE: Final = 50
"""Rows of a page, unless `limit` asks for fewer."""

_MINUTE: Final = 60
_ACCOUNT: Final = str(uuid.uuid5(uuid.NAMESPACE_URL, "km-cli:account"))


class RequestLimit:
    """Lets so many requests through in any minute. `clock` returns seconds."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._passed: deque[float] = deque()

    def is_exhausted(self) -> bool:
        """Tell whether one more request is too many; it counts if it is not."""
        now = self._clock()
        while self._passed and self._passed[0] <= now - _MINUTE:
            self._passed.popleft()
        if len(self._passed) >= self._most:
            return True
        self._passed.append(now)
        return False


class QueryApi:
    """The handlers under `/v3`."""

    def __init__(self, shared: Shared, now: Callable[[], float] = time.time) -> None:
        self._shared = shared
        self._now = now
        self._limit = RequestLimit(shared.settings.queries_a_minute)

    def routes(self) -> list[Route]:
        """Return the addresses with their handlers."""
        return [
            Route("/v3/products", self._guarded(self._products)),
            Route("/v3/products/{product}/events", self._guarded(self._events)),
            Route("/v3/products/{product}/properties", self._guarded(self._properties)),
            Route("/v3/{rest:path}", self._guarded(_nothing), methods=["GET", "POST"]),
        ]

    def _guarded(self, handler: Callable[[Request], Response]) -> Callable[[Request], Response]:
        """Return a handler that first looks at the authorisation and the limit."""

        def get(request: Request) -> Response:
            if not _is_authorised(request.headers.get("authorization", "")):
                return _refused(401, "Unauthenticated.")
            if self._limit.is_exhausted():
                return _refused(429, "Too many requests.")
            return handler(request)

        return get

    def _products(self, request: Request) -> Response:
        sites = self._shared.journal.sites()
        rows = [
            {"id": product_id(site), "account_id": _ACCOUNT, "name": site, "timezone": "UTC"}
            for site in sites
        ]
        return _page(request, "data", rows)

    def _events(self, request: Request) -> Response:
        return self._names(request, "event")

    def _properties(self, request: Request) -> Response:
        return self._names(request, "property")

    def _names(self, request: Request, kind: NameKind) -> Response:
        """Answer with the events or properties of a product. The key is `events` for both (Q2)."""
        product = request.path_params["product"]
        site = next((site for site in self._shared.journal.sites() if product_id(site) == product), None)
        if site is None:
            return _refused(404, "Not found.")
        until = int(self._now() - self._shared.settings.show_after)
        rows = [
            {
                "id": str(uuid.uuid5(uuid.UUID(product), f"{kind}:{one.name.casefold()}")),
                "product_id": product,
                "name": one.name,
                "visible": True,
                "total": one.total,
                "first_used_at": iso(one.first_used),
                "last_used_at": iso(one.last_used),
                "first_sent_at": iso(one.first_sent),
                "last_sent_at": iso(one.last_sent),
            }
            for one in self._shared.journal.names(kind, site, until)
        ]
        return _page(request, "events", rows)


def product_id(site: str) -> str:
    """Return the id of the product of a site."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"km-cli:site:{site}"))


def _is_authorised(header: str) -> bool:
    """Tell whether a header is Basic authorisation with a user: an e-mail address, or an API key."""
    scheme, _, text = header.partition(" ")
    if scheme.casefold() != "basic":
        return False
    try:
        user, colon, _ = base64.b64decode(text.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return False
    return bool(user and colon)


def _page(request: Request, key: str, rows: list[dict[str, Any]]) -> Response:
    """Answer with one page of rows; an empty list is all that tells of the end."""
    offset, limit = _whole(request, "offset", 0), _whole(request, "limit", PAGE)
    if offset is None or limit is None:
        return _refused(400, "offset and limit are whole numbers.")
    return answer({key: rows[offset : offset + min(limit, PAGE)]})


def _whole(request: Request, name: str, default: int) -> int | None:
    text = request.query_params.get(name, str(default))
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _nothing(_request: Request) -> Response:
    return _refused(404, "Not found.")


def _refused(status: int, message: str) -> Response:
    return answer({"status": status, "messages": [message]}, status)
