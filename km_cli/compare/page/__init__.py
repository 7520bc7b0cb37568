"""The comparison as one self-contained page: charts, each with its table, and no script."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from km_cli.compare.comparison import Comparison
from km_cli.errors import ReadError, UsageError
from km_cli.install_hint import install_command
from km_cli.whole_file import write_whole

_LIBRARIES = ("altair", "vl_convert")


def check_libraries() -> None:
    """Raise UsageError if the libraries that draw the charts are not installed."""
    if not all(find_spec(name) for name in _LIBRARIES):
        raise UsageError(
            "--html needs Altair and vl-convert, which are not installed",
            f"{install_command('report')}; without --html, compare needs neither",
        )


def write_page(path: Path, found: Comparison) -> None:
    """Write the page. Its name shows a whole page or the earlier one, never half a page."""
    from km_cli.compare.page.document import document

    text = document(found)
    try:
        write_whole(path, text.encode(), 0o644 & ~_umask())
    except OSError as error:
        raise ReadError(
            f"--html {path}: the page cannot be written: {error.strerror or error}",
            "make room, or give another path",
        ) from None


def _umask() -> int:
    """Return the permissions that new files do not get."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
