"""The store as Kissmetrics' data export (W7): `/export/index.csv`, `status.csv` and `revisions/N.json`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from km_cli.serve.answering import Parameters, Problem
from km_cli.standin import Export


def export_routes(store: Path) -> list[Route]:
    """Return the addresses of the export. `site` and `duplicates=1` choose what is in it."""

    def asked(request: Request) -> Export:
        given = Parameters(request, "site", "duplicates")
        return Export(store, given.text("site"), duplicates=given.flag("duplicates"))

    def index(request: Request) -> Response:
        return _csv(asked(request).index_csv())

    def status(request: Request) -> Response:
        return _csv(asked(request).status_csv())

    def revision(request: Request) -> Response:
        lines = asked(request).revision(request.path_params["number"])
        if lines is None:
            raise Problem(404, "there is no such revision", "/export/index.csv lists them")
        return StreamingResponse(_encoded(lines), media_type="application/json")

    return [
        Route("/export/index.csv", index),
        Route("/export/status.csv", status),
        Route("/export/revisions/{number:int}.json", revision),
    ]


def _csv(text: str) -> Response:
    return Response(text, media_type="text/csv; charset=utf-8")


def _encoded(lines: Iterator[str]) -> Iterator[bytes]:
    for line in lines:
        yield f"{line}\n".encode(errors="replace")
