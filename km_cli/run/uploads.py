"""Uploads the bulk files of `--to s3://…`: a file is in the bucket before the ledger notes it as finished.

A file waits beside the ledger until then. If a run is killed between the upload and its note, the next one
finds the object with the same content, or uploads the same bytes to the same key. No object is replaced: if
another one has the key, the file gets a later number.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from random import Random

from km_cli.delivery import Policy
from km_cli.destinations.part_file import check_waiting
from km_cli.destinations.series import LAST_NUMBER, Series
from km_cli.durable import make_folder, sync
from km_cli.errors import KmError, Outage, Unavailable, Undelivered, WriteError
from km_cli.inputs.storage.s3 import S3
from km_cli.inputs.storage.s3_errors import Fault
from km_cli.ledger import BulkPart, Ledger
from km_cli.run.bucket import Bucket, upload_of
from km_cli.run.stopping import Stop, Stopped
from km_cli.run.tally import Tally, WrittenPart


class Uploads:
    """The files of one series that wait for their upload. `tally` gets those that are uploaded."""

    def __init__(self, bucket: Bucket, series: Series, ledger: Ledger, tally: Tally, stop: Stop) -> None:
        self._bucket = bucket
        self._series = series
        self._ledger = ledger
        self._tally = tally
        self._stop = stop
        self._waiting: list[BulkPart] = []
        self._has_failed = False

    def last_number(self, site: str) -> int:
        """Return the highest number of a site's files in the bucket, 0 if there are none. Raises KmError."""
        bucket = self._series.bucket
        assert bucket is not None
        try:
            names = [key[len(bucket.key) :] for key in self._bucket.names(bucket.key + self._series.stem)]
        except Fault as fault:
            raise self._failed(f"{self._series.name} cannot be written", fault) from None
        return self._series.highest(site, names)

    def add(self, parts: Iterable[BulkPart]) -> None:
        """Add files that wait, as the ledger has them."""
        self._waiting.extend(parts)

    def run(self) -> None:
        """Upload the files, unless that has failed in this run, or the run was asked to stop.

        Raises KmError: files that are not uploaded still wait.
        """
        while self._waiting and not (self._has_failed or self._stop.requested):
            try:
                self._upload(self._waiting[0])
            except BaseException:
                self._has_failed = True
                raise
            del self._waiting[0]

    def _upload(self, part: BulkPart) -> None:
        """Upload a file, note it in the ledger, and remove it from this machine."""
        series = self._series
        check_waiting(series.path(part.site, part.number), part.length, part.crc)
        try:
            upload = upload_of(series.path(part.site, part.number))
            while not self._bucket.upload(series.key(part.site, part.number), upload):
                part = self._waiting[0] = self._renumbered(part)
                upload = upload._replace(path=series.path(part.site, part.number))
            self._ledger.keep_parts([part._replace(waits=False)])
            os.unlink(upload.path)
        except Fault as fault:
            raise self._failed(f"{series.place(part.site, part.number)} cannot be written", fault) from None
        except OSError as error:
            raise unusable(upload.path, error) from None
        self._tally.parts.append(
            WrittenPart(series.place(part.site, part.number), part.site, part.length, part.calls)
        )

    def _renumbered(self, part: BulkPart) -> BulkPart:
        """Give a file the next number, because another object has its key.

        The ledger never knows a file that is not there: the copy is made before, the original removed after.
        """
        site, number = part.site, part.number
        last = max(self._ledger.bulk_parts.last_number(part.series, site), self._series.last_number(site))
        later = part._replace(number=max(last, self.last_number(site)) + 1)
        if later.number > LAST_NUMBER:
            raise WriteError(
                f"{part.series} has {LAST_NUMBER:,} files", "name another: --to s3://BUCKET/PATH"
            )
        old, new = self._series.path(site, number), self._series.path(site, later.number)
        shutil.copyfile(old, new)
        sync(new)
        sync(new.parent)
        self._ledger.keep_parts([later], [part])
        os.unlink(old)
        return later

    def _failed(self, what: str, fault: Fault) -> KmError:
        """Return the error about a request that failed. Its files wait, and their calls count as sent."""
        left = sum(part.calls for part in self._waiting)
        if left:
            noun = "1 call waits" if left == 1 else f"{left:,} calls wait"
            what = f"{what}, and {noun} for the upload"
        hint = f"{fault.hint}; the next run with --to {self._series.spelled} goes on, and nothing is lost"
        if not fault.is_passing:
            return Unavailable(f"{what}: {fault}", hint)
        if fault.is_unreachable:
            return Outage(f"{what}: {fault}", hint)
        return Undelivered(f"{what}: {fault}", hint)

    def clean(self, parts: Iterable[BulkPart]) -> None:
        """Remove the files of earlier runs that the ledger does not know as unfinished.

        A run was killed before it could remove them, or before it could note that it began them.
        """
        series, known = self._series, set[Path]()
        for part in parts:
            known.add(series.path(part.site, part.number))
            known.add(series.open_path(part.site, part.number))
        for path in list(series.files()):
            if path not in known:
                try:
                    os.unlink(path)
                except OSError as error:
                    raise unusable(path, error) from None

    def close(self) -> None:
        """Close all connections, and remove the folder of the files if it is empty."""
        self._bucket.close()
        for folder in (self._series.folder, self._series.folder.parent):
            with suppress(OSError):
                folder.rmdir()


def opened_uploads(
    series: Series, ledger: Ledger, policy: Policy, random: Random, tally: Tally, stop: Stop
) -> Uploads:
    """Return the uploads of a series, with a folder for its files. Nothing is contacted yet.

    Raises UsageError if s3fs is not installed, WriteError if the folder cannot be made.
    """

    def check() -> None:
        if stop.requested:
            raise Stopped(stop.error)

    assert series.bucket is not None
    try:
        make_folder(series.folder)
    except OSError as error:
        raise unusable(series.folder, error) from None
    bucket = Bucket(S3(), series.bucket.bucket, policy, random, check)
    return Uploads(bucket, series, ledger, tally, stop)


def unusable(path: Path, error: OSError) -> WriteError:
    """Return the error about a file that waits for its upload, or its folder."""
    return WriteError(
        f"{path}, where bulk files wait for their upload, cannot be used: {error.strerror}",
        "make room or repair the disk, then run the same command again: it goes on where it stopped",
    )
