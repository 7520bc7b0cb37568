"""The Live page and its parts. No path of a request touches the file system: names are looked up."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
}


def page_routes() -> list[Route]:
    """Return a route for each file of the folder `page`; `/` is index.html."""
    routes = []
    for file in sorted(files("km_cli.serve").joinpath("page").iterdir(), key=lambda one: one.name):
        media_type = _TYPES.get(file.name.rpartition(".")[2])
        if media_type is not None:
            path = "/" if file.name == "index.html" else f"/{file.name}"
            routes.append(_route(path, file.read_bytes(), media_type))
    return routes


def _route(path: str, content: bytes, media_type: str) -> Route:
    def get(_request: Request) -> Response:
        return Response(content, media_type=media_type, headers={"Cache-Control": "no-store"})

    return Route(path, get)
