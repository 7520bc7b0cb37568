"""The API for tests and for the Live page, under `/api`. Its objects are made in `views.py`."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from km_cli.serve import views
from km_cli.serve.answering import Parameters, Problem, answer
from km_cli.serve.faults import make_faults
from km_cli.serve.funnel import funnel_of_store
from km_cli.serve.news import LOOK_EACH
from km_cli.serve.personas import has_ledger
from km_cli.serve.shared import Shared
from km_cli.serve.stream import MOST_CALLS, Update
from km_cli.standin import KeptCall

_LARGEST_JSON = 1 << 16
_PAGE = 500
"""Calls that are looked through at a time for those of one persona."""

_MOST_PEOPLE = 10_000
"""People who are looked through for those of one persona."""


class Api:
    """The handlers. Those that read the store run in threads, and those that wait do so in the event loop."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def routes(self) -> list[Route]:
        """Return the addresses with their handlers."""
        return [
            Route("/api/summary", self.summary),
            Route("/api/calls", self.calls, methods=["GET"]),
            Route("/api/calls", self.delete_calls, methods=["DELETE"]),
            Route("/api/facts", self.facts),
            Route("/api/people", self.people),
            Route("/api/people/{identity:path}", self.person),
            Route("/api/events", self.events),
            Route("/api/funnel", self.funnel),
            Route("/api/faults", self.faults, methods=["GET"]),
            Route("/api/faults", self.set_faults, methods=["PUT"]),
        ]

    def summary(self, request: Request) -> Response:
        """Answer with the counts."""
        Parameters(request)
        return answer(self._summary())

    def _summary(self) -> dict[str, Any]:
        return views.summary_object(self._shared.journal, self._shared.personas)

    async def calls(self, request: Request) -> Response:
        """Answer with calls; with `wait`, as soon as one matches, at the latest after that time."""
        asked = _CallsAsked(request)
        clock = asyncio.get_running_loop().time
        until = clock() + asked.wait
        while True:
            found = await asyncio.to_thread(self._calls, asked)
            left = until - clock()
            if found["calls"] or left <= 0 or self._shared.news.is_over:
                return answer(found)
            await self._shared.news.wait(min(LOOK_EACH, left))

    def _calls(self, asked: _CallsAsked) -> dict[str, Any]:
        last = self._shared.journal.last_id()
        calls = self._of_persona(asked) if asked.persona else self._look(asked, asked.since, asked.before)
        return {"calls": views.call_objects(calls, self._shared.personas), "last": last}

    def _look(
        self, asked: _CallsAsked, since: int, before: int | None, limit: int | None = None
    ) -> list[KeptCall]:
        return self._shared.journal.calls(
            since,
            asked.limit if limit is None else limit,
            person=asked.person,
            event=asked.event,
            site=asked.site,
            text=asked.text,
            before=before,
            newest=asked.newest,
        )

    def _of_persona(self, asked: _CallsAsked) -> list[KeptCall]:
        """Return the calls of one persona: the store does not know personas, so it goes page by page."""
        found: list[KeptCall] = []
        since, before = asked.since, asked.before
        while len(found) < asked.limit:
            page = self._look(asked, since, before, _PAGE)
            personas = self._shared.personas.of([(call.site, (call.identity,)) for call in page])
            fitting = [call for call, name in zip(page, personas, strict=True) if name == asked.persona]
            left = asked.limit - len(found)
            if asked.newest:
                found = fitting[-left:] + found
                before = page[0].id if page else before
            else:
                found += fitting[:left]
                since = page[-1].id if page else since
            if len(page) < _PAGE:
                break
        return found

    async def delete_calls(self, request: Request) -> Response:
        """Delete all calls, unless a ledger in the same file would go on believing that they were sent."""
        await _no_fields(request)
        shared = self._shared
        if await asyncio.to_thread(has_ledger, shared.settings.store):
            raise Problem(
                409,
                "the ledger of --to local shares the file, and would go on believing that all was sent",
                f"delete the file {shared.settings.store.name} instead, or serve another one with --store",
            )
        await shared.writer.do(lambda store: store.delete_all())
        shared.personas.forget()
        shared.news.deletions += 1
        shared.news.ring()
        return answer({"deleted": True})

    def facts(self, request: Request) -> Response:
        """Answer with facts, each with its two calls."""
        asked = Parameters(request, "rule", "since", "before", "limit", "newest")
        journal = self._shared.journal
        found = journal.facts(
            asked.text("rule"),
            asked.number("since", 0) or 0,
            asked.limit(),
            before=asked.number("before", None),
            newest=asked.flag("newest"),
        )
        return answer({"facts": views.facts_with_calls(found, journal, self._shared.personas)})

    def people(self, request: Request) -> Response:
        """Answer with people, those with the newest calls first."""
        asked = Parameters(request, "text", "site", "persona", "limit")
        persona, limit = asked.text("persona"), asked.limit()
        most = limit if persona is None else _MOST_PEOPLE
        journal, personas = self._shared.journal, self._shared.personas
        rows = journal.people(asked.text("text") or "", most, asked.text("site"))
        if persona is not None:
            found = personas.of([(one.site, one.identities) for one in rows])
            rows = [one for one, name in zip(rows, found, strict=True) if name == persona][:limit]
        return answer({"people": views.people_objects(rows, personas)})

    def person(self, request: Request) -> Response:
        """Answer with a person in each site. Raises Problem if there is none.

        The identities "." and ".." come as a parameter: in a path, a browser takes them for folders.
        """
        asked = Parameters(request, "site", "identity")
        identity = request.path_params["identity"] or asked.text("identity") or ""
        found = self._shared.journal.person(identity, asked.text("site"))
        if not found:
            raise Problem(404, f"the store has no person {identity!r}", "/api/people?text= finds identities")
        return answer({"people": views.person_objects(found, self._shared.personas)})

    def events(self, request: Request) -> Response:
        """Answer with the events, and how many people of each persona did them."""
        Parameters(request)
        return answer({"events": views.event_objects(self._shared.settings.store, self._shared.personas)})

    def funnel(self, request: Request) -> Response:
        """Answer with the funnel of `compare`, counted over the store."""
        asked = Parameters(request, "step", "within")
        steps, within = asked.all("step"), asked.text("within") or ""
        return answer(funnel_of_store(self._shared.settings.store, self._shared.personas, steps, within))

    def faults(self, request: Request) -> Response:
        """Answer with the faults in force."""
        Parameters(request)
        return answer(self._shared.drawing.faults._asdict())

    async def set_faults(self, request: Request) -> Response:
        """Put other faults in force. Those that the body does not name are off."""
        self._shared.drawing.set(make_faults(await _fields(request)))
        return self.faults(request)

    async def update(self, last: int | None) -> Update | None:
        """Return the calls after an id for the stream; None if there are none."""
        return await asyncio.to_thread(self._update, last)

    def _update(self, last: int | None) -> Update | None:
        journal = self._shared.journal
        newest = journal.last_id()
        if last == newest:
            return None
        if last is None or newest < last:
            return Update([], 0, self._summary(), newest)
        calls = journal.calls(last, MOST_CALLS, before=newest + 1, newest=True)
        missed = max(0, newest - last - len(calls))
        return Update(views.call_objects(calls, self._shared.personas), missed, self._summary(), newest)


class _CallsAsked:
    """The parameters of `GET /api/calls`."""

    def __init__(self, request: Request) -> None:
        names = ("person", "event", "site", "persona", "text", "since", "before", "limit", "newest", "wait")
        asked = Parameters(request, *names)
        self.person = asked.text("person")
        self.event = asked.text("event")
        self.site = asked.text("site")
        self.persona = asked.text("persona")
        self.text = asked.text("text")
        self.since = asked.number("since", 0) or 0
        self.before = asked.number("before", None)
        self.limit = asked.limit()
        self.newest = asked.flag("newest")
        self.wait = asked.seconds("wait")


async def _fields(request: Request) -> dict[str, Any]:
    """Return the JSON object of a body. Raises Problem if it is none."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LARGEST_JSON:
            raise Problem(413, "the body has more than 64 KiB", "send one small JSON object")
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise Problem(400, "the body is not a JSON object", 'send for example {"failures": 0.1}')
    return fields


async def _no_fields(request: Request) -> None:
    if fields := await _fields(request):
        raise Problem(400, f"{next(iter(fields))!r} means nothing here", "send {}: all calls are deleted")
