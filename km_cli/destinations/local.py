"""`local[:PATH]`: a store that keeps what Kissmetrics would keep, so that a trial needs no account."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from km_cli.destinations.base import Target
from km_cli.errors import UsageError
from km_cli.protocols import Clock, Destination


class LocalTarget(Target):
    """A file that holds the stand-in's store and the ledger: deleting it starts afresh."""

    spelling: ClassVar[str] = "local[:PATH] for a store on this machine"

    @classmethod
    def parse(cls, to: str, folder: Path) -> Self:
        """Return the target; without a path its file is in `folder`. Raises UsageError."""
        path = to.partition(":")[2]
        try:
            file = Path(path).expanduser() if path else folder / "local.db"
        except RuntimeError:
            raise UsageError(f"--to {to}: there is no such user", "write the whole path") from None
        return cls("local", str(file), spelled=f"local:{file}" if path else "local", own_ledger=file)

    def open(self, keys: Mapping[str, str], timeout: float, clock: Clock) -> Destination:  # noqa: ARG002 - all targets open alike
        """Return the destination, which needs no keys and does not wait."""
        from km_cli.destinations.store import LocalDestination  # SQLite takes long to import

        return LocalDestination(Path(self.place))

    def kept(self) -> Mapping[str, Any] | None:
        """Return the store's counts; None if there is no file, or it cannot be read (a full disk)."""
        from km_cli.destinations.store import kept_in

        return kept_in(Path(self.place))
