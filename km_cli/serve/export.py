"""The store as Kissmetrics' data export (W7): `/export/index.csv`, `status.csv` and `revisions/N.json`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from km_cli.serve.answering import Parameters, Problem
from km_cli.standin import Export


def export_routes(store: Path) -> list[Route]:
    """Return the addresses of the export. `site` and `duplicates=1` choose what is in it."""

    def opened(request: Request) -> Export:
        asked = Parameters(request, "site", "duplicates")
        return Export(store, asked.text("site"), duplicates=asked.flag("duplicates"))

    def csv(make: Callable[[Export], str]) -> Callable[[Request], Response]:
        def get(request: Request) -> Response:
            with closing(opened(request)) as export:
                return Response(make(export), media_type="text/csv; charset=utf-8", headers=_NO_STORE)

        return get

    def revision(request: Request) -> Response:
        export = opened(request)
        lines = export.revision(request.path_params["number"])
        if lines is None:
            export.close()
            raise Problem(404, "there is no such revision", "/export/index.csv lists them")
        return StreamingResponse(_lines(export, lines), media_type="application/json", headers=_NO_STORE)

    return [
        Route("/export/index.csv", csv(Export.index_csv)),
        Route("/export/status.csv", csv(Export.status_csv)),
        Route("/export/revisions/{number:int}.json", revision),
    ]


_NO_STORE = {"Cache-Control": "no-store"}


def _lines(export: Export, lines: Iterator[str]) -> Iterator[bytes]:
    with closing(export):
        for line in lines:
            yield f"{line}\n".encode()
