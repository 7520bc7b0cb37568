"""`s3://BUCKET/PATH.json` and `.csv`: bulk files (W6) that are uploaded to the bucket that Kissmetrics reads.

The files are written beside the ledger, as those of `file:PATH`, and `run/uploads.py` uploads them.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, Self

from km_cli.destinations.bulk import FileTarget, check_series
from km_cli.destinations.series import Series, series_in
from km_cli.destinations.tracker import NAME
from km_cli.errors import UsageError
from km_cli.install_hint import install_command
from km_cli.object_address import is_address, parse

_EXAMPLE = "for example: --to s3://bucket/folder/history.json"


class BucketTarget(FileTarget):
    """A series of objects. Its credentials come from the environment, as those of inputs do."""

    spelling: ClassVar[str] = "s3://BUCKET/PATH.json or .csv to upload them to a bucket"

    @classmethod
    def parse(cls, to: str, folder: Path) -> Self:  # noqa: ARG003 - others need it
        """Return the target. Raises UsageError for a name that Kissmetrics would not take."""
        if not is_address(to):
            raise UsageError(f"--to {to!r} is not an address in an object store", _EXAMPLE)
        address = parse(to)  # Before any message repeats the address: it may have a password in it.
        if not to.isprintable():
            raise UsageError(f"--to {to!r} has characters that cannot be shown", _EXAMPLE)
        check_series(to, address.key.rpartition("/")[2], _EXAMPLE)
        return cls(NAME, str(address), spelled=str(address))

    def bulk(self) -> Series:
        """Return the series of files; `Series.beside` says where they are written."""
        return series_in(parse(self.place))

    def check(self) -> None:
        """Raise UsageError if s3fs is not installed. The bucket is first asked for when a run begins."""
        if find_spec("s3fs") is None:
            raise UsageError(
                "s3:// needs s3fs, which is not installed", f"install it: {install_command('s3')}"
            )
