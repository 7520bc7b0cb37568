"""The names of bulk files: one series of files for each `--to file:PATH`, in the order of writing (W6).

The files of `--to s3://BUCKET/PATH` are written beside the ledger, and uploaded when they are finished.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from km_cli.destinations.bulk_formats import BulkFormat, Csv, JsonLines
from km_cli.errors import UsageError
from km_cli.object_address import Address, is_address, parse

_FORMATS: dict[str, type[BulkFormat]] = {one.ending: one for one in (JsonLines, Csv)}
GZIP = ".gz"
_DIGITS = 5
LAST_NUMBER = 10**_DIGITS - 1
_OPEN = ".part"
"""The ending of a file that is still being written."""


class Series(NamedTuple):
    """The files of one `--to`, for all sites: `stem`, the site's name, a number, and `ending`.

    `bucket` is the bucket and the folder in it that they are uploaded to, None if they stay in `folder`.

    Kissmetrics wants alphanumeric names, and takes the files in their order. So the other characters of a
    site's name are left out, and the numbers have five digits.
    """

    folder: Path
    stem: str
    ending: str
    bucket: Address | None = None

    @property
    def name(self) -> str:
        """The name by which the ledger knows the series. Bytes that are not UTF-8 are escaped."""
        if self.bucket is not None:
            return f"{self.bucket}{self.stem}{self.ending}"
        path = self.folder / f"{self.stem}{self.ending}"
        return os.fsencode(path).decode(errors="backslashreplace")

    @property
    def spelled(self) -> str:
        """How `--to` is written for it."""
        return self.name if self.bucket is not None else f"file:{self.name}"

    def beside(self, ledger: Path) -> Series:
        """Return the series with the folder in which a run over this ledger writes its files.

        Each ledger has a folder of its own, since it knows the lengths of the files in it.
        """
        if self.bucket is None:
            return self
        digest = hashlib.sha256(self.name.encode()).hexdigest()[:12]
        return self._replace(folder=ledger.with_name(f"{ledger.name}-uploads") / f"{self.stem}-{digest}")

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

    def key(self, site: str, number: int) -> str:
        """Return the key in the bucket of a file that is uploaded."""
        assert self.bucket is not None
        return self.bucket.key + self.path(site, number).name

    def place(self, site: str, number: int) -> str:
        """Return the place of a file that is finished: its path, or its address in the bucket."""
        if self.bucket is None:
            return str(self.path(site, number))
        return str(self.bucket._replace(key=self.key(site, number)))

    def open_path(self, site: str, number: int) -> Path:
        """Return the path of a file while it is written."""
        path = self.path(site, number)
        return path.with_name(path.name + _OPEN)

    def last_number(self, site: str) -> int:
        """Return the highest number of the site's files that are in the folder, 0 if there are none."""
        return self.highest(site, (path.name.removesuffix(_OPEN) for path in self.folder.iterdir()))

    def highest(self, site: str, names: Iterable[str]) -> int:
        """Return the highest number of the site's files among these names, 0 if there are none."""
        form = re.compile(
            re.escape(self.stem + _letters(site)) + rf"(\d{{{_DIGITS}}})" + re.escape(self.ending)
        )
        found = map(form.fullmatch, names)
        return max((int(one[1]) for one in found if one), default=0)

    def files(self) -> Iterator[Path]:
        """Yield the files in the folder that may be of this series, finished or not."""
        if self.folder.is_dir():
            yield from (path for path in self.folder.iterdir() if self.has(path.name.removesuffix(_OPEN)))

    def has(self, name: str) -> bool:
        """Tell whether the name of a file is one of those that the series gives."""
        form = rf"{re.escape(self.stem)}\w*\d{{{_DIGITS}}}{re.escape(self.ending)}"
        return re.fullmatch(form, name) is not None

    def has_object(self, name: str) -> bool:
        """Tell whether the address of an object is one of those that the series gives."""
        if self.bucket is None or not is_address(name):
            return False
        folder, slash, key = name.rpartition("/")
        return f"{folder}{slash}" == str(self.bucket) and self.has(key)

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


def series_in(address: Address) -> Series:
    """Return the series of an address that ends as its files do; `beside` says where they are written."""
    folder, slash, name = address.key.rpartition("/")
    return Series(Path(), *split_name(name), address._replace(key=folder + slash))


def series_named(name: str, ledger: Path) -> Series:
    """Return the series that a ledger knows by this name."""
    return series_in(parse(name)).beside(ledger) if is_address(name) else series_at(Path(name))
