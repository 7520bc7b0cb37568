"""Writes batches to bulk files: the calls are on the disk before the batch is committed with their lengths.

No call is ever pending: a batch that was not committed lies behind the lengths that the ledger has. The next
run cuts it off and writes it again, so that each call is in the files once.
"""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from km_cli.destinations.bulk_formats import Layout
from km_cli.destinations.part_file import PartFile, is_file_of
from km_cli.destinations.series import LAST_NUMBER, Series
from km_cli.errors import WriteError
from km_cli.ledger import BulkPart, Ledger
from km_cli.model import Wired
from km_cli.run.tally import Tally, WrittenPart

if TYPE_CHECKING:
    from km_cli.run.uploads import Uploads

_MOST_OPEN = 16
"""Files that are open at once. Each has other columns, and only CSV needs more than one."""

_Key = tuple[str, Layout]


class _Part:
    """A file that is open, and its description with the calls that were written to it."""

    def __init__(self, described: BulkPart, file: PartFile) -> None:
        self._described = described
        self.file = file
        self.calls = described.calls

    def described(self, *, is_open: bool = True) -> BulkPart:
        """Return the file as it is now."""
        file = self.file
        return self._described._replace(length=file.length, crc=file.crc, calls=self.calls, is_open=is_open)


class BulkFiles:
    """The files of one series, over a ledger. `part_size` is the most bytes that a file gets.

    Only a line that is longer makes a longer file. `tally` gets the files that are finished. With `uploads`,
    a file is finished when it is uploaded.
    """

    def __init__(
        self, ledger: Ledger, series: Series, part_size: int, tally: Tally, uploads: Uploads | None = None
    ) -> None:
        self._ledger = ledger
        self._series = series
        self._format = series.make_format()
        self._pack: Callable[[bytes], bytes] = _packed if series.is_gzip else bytes
        self._part_size = part_size
        self._tally = tally
        self._uploads = uploads
        self._open: dict[_Key, _Part] = {}
        """The files that are open, the one that was written to last at the end."""
        self._full: list[_Part] = []
        self._last: dict[str, int] = {}
        """The number of each site's last file."""

    def resume(self) -> None:
        """Open the files that an earlier run left, without the batch that it did not commit.

        Files that wait are uploaded. Raises WriteError if a file is gone, or is not as that run left it;
        Unavailable, Undelivered.
        """
        finished: list[BulkPart] = []
        empty: list[BulkPart] = []
        unfinished = self._ledger.bulk_parts.unfinished(self._series.name)
        if self._uploads is not None:
            self._uploads.clean(unfinished)
            self._uploads.add(part for part in unfinished if part.waits)
        for part in unfinished:
            if part.waits:
                continue
            path = self._series.open_path(part.site, part.number)
            if not path.exists() and not part.length:
                empty.append(part)  # the run was cut off before it made the file
            elif not path.exists() and self._is_finished(part):
                finished.append(part._replace(is_open=False))
            else:
                self._go_on(part, PartFile.resume(path, part.length, part.crc))
        self._keep(finished, empty)

    def _go_on(self, part: BulkPart, file: PartFile) -> None:
        """Go on with a file. If there is a later one with its layout, it was full."""
        kind, columns = json.loads(part.layout)
        key = part.site, Layout(kind, tuple(columns))
        if key in self._open:
            self._full.append(self._open.pop(key))
        self._open[key] = _Part(part, file)

    def _is_finished(self, part: BulkPart) -> bool:
        """Tell whether a file got its name before the ledger could note that."""
        return is_file_of(self._series.path(part.site, part.number), part.length, part.crc)

    def write(self, calls: Iterable[tuple[Wired, int]]) -> None:
        """Write calls with their seconds, and wait until they are on the disk. Raises WriteError."""
        by_site: defaultdict[str, list[tuple[Wired, int]]] = defaultdict(list)
        for call, second in calls:
            by_site[call.site].append((call, second))
        for site, some in by_site.items():
            lines: defaultdict[Layout, list[bytes]] = defaultdict(list)
            begun = [layout for at, layout in self._open if at == site]
            layouts = self._format.layouts([call for call, _ in some], begun)
            line, last, of_last = self._format.line, None, list[bytes]()
            for (call, second), layout in zip(some, layouts, strict=True):
                if layout is not last:  # Layouts are compared slowly, and mostly the next one is the same.
                    last, of_last = layout, lines[layout]
                of_last.append(line(call, second, layout))
            for layout, of_layout in lines.items():
                self._write((site, layout), of_layout)

    def _write(self, key: _Key, lines: Sequence[bytes]) -> None:
        """Write the lines of one layout. A file that has no room for the next line is full."""
        while lines:
            part = self._open[key] = self._open.pop(key) if key in self._open else self._begin(key)
            header = b"" if part.file.length else self._format.header(key[1])
            room = self._part_size - part.file.length - len(header)
            fitting = _fitting(lines, room) or (0 if part.calls else 1)  # one is too long for any file
            if fitting:
                part.file.append(self._pack(header + b"".join(lines[:fitting])))
                part.calls += fitting
            lines = lines[fitting:]
            if lines:
                self._full.append(self._open.pop(key))

    def _begin(self, key: _Key) -> _Part:
        """Begin a file. The ledger knows of it first, so that no run leaves a file that none goes on with."""
        site, layout = key
        number = self._last_number(site) + 1
        if number > LAST_NUMBER:
            raise WriteError(
                f"the series {self._series.name} has {LAST_NUMBER:,} files", "name another: --to file:PATH"
            )
        part = BulkPart(self._series.name, site, number, json.dumps(layout))
        self._ledger.keep_parts([part])
        self._last[site] = number
        return _Part(part, PartFile.create(self._series.open_path(site, number)))

    def _last_number(self, site: str) -> int:
        """Return the number of the last file of a site, which may have been uploaded and removed since."""
        if site not in self._last:
            known = self._ledger.bulk_parts.last_number(self._series.name, site)
            uploaded = self._uploads.last_number(site) if self._uploads is not None else 0
            self._last[site] = max(known, uploaded, self._series.last_number(site))
        return self._last[site]

    def described(self) -> list[BulkPart]:
        """Return the files that are open, as they are now."""
        return [part.described() for part in (*self._full, *self._open.values())]

    def finish_full(self) -> None:
        """Finish the files that are full, and those that are too many. All that they hold is committed."""
        while len(self._open) > _MOST_OPEN:
            self._full.append(self._open.pop(next(iter(self._open))))
        self._finish(self._full)
        self._full = []

    def finish(self) -> None:
        """Finish all files. All that they hold is committed. Raises WriteError, LedgerFailed."""
        self._finish((*self._full, *self._open.values()))
        self._full, self._open = [], {}

    def _finish(self, parts: Iterable[_Part]) -> None:
        finished: list[BulkPart] = []
        empty: list[BulkPart] = []
        for part in parts:
            described = part.described(is_open=False)
            if described.length:
                part.file.finish(self._series.path(described.site, described.number))
                finished.append(described)
            else:
                part.file.remove()
                empty.append(described)
        self._keep(finished, empty)

    def _keep(self, finished: Sequence[BulkPart], empty: Sequence[BulkPart]) -> None:
        """Note files that have their names, and upload them if they are for a bucket."""
        if self._uploads is not None:
            finished = [part._replace(waits=True) for part in finished]
        if finished or empty:
            self._ledger.keep_parts(finished, empty)
        if self._uploads is not None:
            self._uploads.add(finished)
            self._uploads.run()
        else:
            for part in finished:
                self._note(part)

    def _note(self, part: BulkPart) -> None:
        path = self._series.path(part.site, part.number)
        self._tally.parts.append(WrittenPart(str(path), part.site, part.length, part.calls))

    def close(self) -> None:
        """Close the files that are open. The next run goes on with them."""
        for part in (*self._full, *self._open.values()):
            part.file.close()
        if self._uploads is not None:
            self._uploads.close()


def _fitting(lines: Sequence[bytes], room: int) -> int:
    """Return how many of the lines fit into so many bytes."""
    for at, line in enumerate(lines):
        room -= len(line)
        if room < 0:
            return at
    return len(lines)


def _packed(data: bytes) -> bytes:
    """Return a gzip member: members one after the other are one file, and it may end behind any of them."""
    return gzip.compress(data, 6, mtime=0)
