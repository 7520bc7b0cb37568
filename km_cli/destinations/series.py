"""The names of bulk files: one series of files for each `--to file:PATH`, in the order of writing (W6)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from km_cli.destinations.bulk_formats import BulkFormat, Csv, JsonLines
from km_cli.errors import UsageError

_FORMATS: dict[str, type[BulkFormat]] = {one.ending: one for one in (JsonLines, Csv)}
GZIP = ".gz"
_DIGITS = 5
LAST_NUMBER = 10**_DIGITS - 1
_OPEN = ".part"
"""The ending of a file that is still being written."""


class Series(NamedTuple):
    """The files of one `--to file:PATH`, for all sites: `stem`, the site's name, a number, and `ending`.

    Kissmetrics wants alphanumeric names, and takes the files in their order. So the other characters of a
    site's name are left out, and the numbers have five digits.
    """

    folder: Path
    stem: str
    ending: str

    @property
    def name(self) -> str:
        """The name by which the ledger knows the series. Bytes that are not UTF-8 are escaped."""
        path = self.folder / f"{self.stem}{self.ending}"
        return os.fsencode(path).decode(errors="backslashreplace")

    @property
    def is_gzip(self) -> bool:
        """Whether its files are compressed."""
        return self.ending.endswith(GZIP)

    def make_format(self) -> BulkFormat:
        """Return the format of its files."""
        return _FORMATS[self.ending.removesuffix(GZIP)]()

    def path(self, site: str, number: int) -> Path:
        """Return the path of a file that is finished."""
        return self.folder / f"{self.stem}{_letters(site)}{number:0{_DIGITS}}{self.ending}"

    def open_path(self, site: str, number: int) -> Path:
        """Return the path of a file while it is written."""
        path = self.path(site, number)
        return path.with_name(path.name + _OPEN)

    def last_number(self, site: str) -> int:
        """Return the highest number of the site's files that are in the folder, 0 if there are none."""
        form = re.compile(
            re.escape(self.stem + _letters(site))
            + rf"(\d{{{_DIGITS}}})"
            + re.escape(self.ending)
            + f"({re.escape(_OPEN)})?"
        )
        found = [form.fullmatch(path.name) for path in self.folder.iterdir()]
        return max((int(one[1]) for one in found if one), default=0)

    def files(self) -> Iterator[Path]:
        """Yield the files in the folder that may be of this series, finished or not."""
        if self.folder.is_dir():
            form = re.compile(rf"{re.escape(self.stem)}\w*\d{{{_DIGITS}}}{re.escape(self.ending)}(\{_OPEN})?")
            yield from (path for path in self.folder.iterdir() if form.fullmatch(path.name))

    def check_sites(self, sites: Iterable[str]) -> None:
        """Raise UsageError if the files of two sites would have the same names."""
        seen: dict[str, str] = {}
        for site in sites:
            letters = _letters(site)
            if not letters or letters in seen:
                other = f"like those of the site {seen[letters]!r}" if letters else "without the site's name"
                raise UsageError(
                    f"the files of the site {site!r} would be named {other}: Kissmetrics takes letters and "
                    "digits only",
                    "name it differently: --site NAME, or [sites] in km.toml",
                )
            seen[letters] = site


def _letters(site: str) -> str:
    return re.sub("[^A-Za-z0-9]", "", site)


def split_name(name: str) -> tuple[str, str]:
    """Return a file's name and its ending, which is "" if it names no format."""
    found = re.fullmatch(rf"(.*?)((?:\.json|\.csv)(?:\{GZIP})?)", name, re.DOTALL)
    return (found[1], found[2]) if found else (name, "")


def series_at(path: Path) -> Series:
    """Return the series of a path that ends as its files do."""
    return Series(path.parent, *split_name(path.name))
