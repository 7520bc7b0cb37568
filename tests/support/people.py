"""Logs of several personas, the km.toml for them, and what came to the tracker, as one would say it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.support.command import KEY, Command
from tests.support.tracker import Hit, Tracker

ACCOUNT_KEY = "fedcba9876543210fedcba9876543210fedcba98"
_SITES = {KEY: "", ACCOUNT_KEY: " @accounts"}

HEADER = "user,account,event,timestamp,plan"

SITES = """
[sites.main]
key_env = "KM_API_KEY"
[sites.accounts]
key_env = "KM_ACCOUNT_API_KEY"
"""


def configure(command: Command, text: str, folder: Path | None = None) -> Path:
    """Write km.toml and have the command find it; return where it is."""
    path = (folder or command.home) / "km.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    command.environment["KM_CLI_CONFIG"] = str(path)
    command.environment.setdefault("KM_ACCOUNT_API_KEY", ACCOUNT_KEY)
    return path


def write(path: Path, *rows: str, header: str = HEADER) -> Path:
    """Write a log; what a row lacks at its end is empty, and `@5` stands for the fifth second of a day."""
    width = header.count(",")
    whole = [row + "," * (width - row.count(",")) for row in rows]
    path.write_text("\n".join([header, *map(_timed, whole), ""]), encoding="utf-8")
    return path


def _timed(row: str) -> str:
    cells = [f"2024-01-01T00:00:{int(cell[1:]):02}Z" if cell[:1] == "@" else cell for cell in row.split(",")]
    return ",".join(cells)


def sentences(hits: Iterable[Hit]) -> list[str]:
    """Write calls as sentences without times: "Acme did Clicked, plan pro @accounts"."""
    return [_sentence(hit) for hit in hits]


def arrived(tracker: Tracker) -> list[str]:
    """What was kept of it so far, sorted, each call once."""
    return sorted(sentences({hit.wire: hit for hit in tracker.hits}.values()))


def seconds(tracker: Tracker) -> dict[str, int]:
    """The second of the minute at which each call was sent."""
    return {
        call: int(hit.params["_t"]) % 60
        for call, hit in zip(sentences(tracker.hits), tracker.hits, strict=True)
    }


def _sentence(hit: Hit) -> str:
    params = hit.params
    values = ", ".join(f"{name} {value}" for name, value in params.items() if not name.startswith("_"))
    where = _SITES[params["_k"]]
    if hit.path == "/a":
        return f"{params['_p']} is {params['_n']}{where}"
    if hit.path == "/s":
        return f"{params['_p']} has {values}{where}"
    return f"{params['_p']} did {params['_n']}{', ' if values else ''}{values}{where}"
