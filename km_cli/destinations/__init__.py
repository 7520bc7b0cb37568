"""Where calls go. `--to` names one: a word, or a URL."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from km_cli.errors import UsageError
from km_cli.protocols import Destination


class Target(NamedTuple):
    """A destination by name. `tracker` is what keeps its sites apart from others' in the ledger."""

    kind: str
    tracker: str
    place: str

    @property
    def needs_key(self) -> bool:
        """Whether its sites have API keys."""
        return self.kind == "tracker"


def parse_target(to: str, default_store: Path) -> Target:
    """Return what `--to` names. Raises UsageError if that is nothing, or nowhere a key may go."""
    from km_cli.destinations.tracker import ALSO_KISSMETRICS, KISSMETRICS, check_url

    if to == "kissmetrics":
        return Target("tracker", "kissmetrics", KISSMETRICS)
    word, _, path = to.partition(":")
    if word == "local":
        return Target("local", "local", _expanded(path) if path else str(default_store))
    if "://" in to or "@" in to:
        url = check_url(to)
        return Target("tracker", "kissmetrics" if url in ALSO_KISSMETRICS else url, url)
    raise UsageError(f"--to {to!r} is no destination", "use kissmetrics, a URL, or local[:PATH]")


def _expanded(path: str) -> str:
    try:
        return str(Path(path).expanduser())
    except RuntimeError:
        raise UsageError(f"--to local:{path} names the home of an unknown user", "write it out") from None


def open_destination(target: Target, keys: Mapping[str, str], timeout: float) -> Destination:
    """Return the destination; `keys` maps sites to API keys, `timeout` is an attempt's, in seconds."""
    if target.kind == "local":
        from km_cli.destinations.local import LocalDestination

        return LocalDestination(Path(target.place))
    from km_cli.destinations.tracker import TrackerDestination

    return TrackerDestination(target.place, keys, timeout=timeout)
