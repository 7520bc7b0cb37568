"""The receipts folder: a lease, numbered manifests, and a folder for each job.

    lease.json               the job that is at work; created exclusively
    manifest-000001.json …   the highest is in force; it names the jobs whose calls are known
    jobs/JOB/plan/           the planned calls, with their final bytes: the outbox
    jobs/JOB/rejects/        the rows that were rejected while planning
    jobs/JOB/refused/        the rows that the destination refused
    jobs/JOB/receipts/       a row for each call that was acknowledged or refused
    jobs/JOB/stopped.json    why a task ended early: the others end, too

A job is in the manifest from the moment its plan is complete: `planned`. Only then does a call leave. It is
`done` when each of its calls has a receipt. A folder that no manifest names is the plan of a job that died
before that; no call of it was sent, and it is removed.

A receipt is a fact: a call was acknowledged or refused, whichever task sent it, and however that task ended.
So all files of receipts count, those of tasks that failed or ran twice as well.
"""

from __future__ import annotations

import hmac
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from secrets import token_hex
from typing import Any, NamedTuple

from km_cli.errors import LedgerBusy, LedgerError, UsageError
from km_cli.spark.files import Exists, Files, is_local, local_path

FORMAT = 1
PLANNED, DONE = "planned", "done"

_MANIFEST = "manifest-"
_DIGEST = 16
_KEPT = 20
"""Manifests that stay, the one in force among them."""
_ANOTHER = "name another folder with --receipts for it: one folder belongs to one destination and one secret"


class Job(NamedTuple):
    """A job of the manifest: its folder's name, its state, and what it noted about itself."""

    name: str
    state: str
    notes: Mapping[str, Any]


class Manifest(NamedTuple):
    """A manifest. `sites` are the fingerprints of API keys by site, `secret` is that of the secret."""

    number: int
    to: str
    secret: str
    sites: Mapping[str, str]
    jobs: tuple[Job, ...]


class Receipts:
    """A receipts folder at `path`. All but reading needs its lease."""

    def __init__(self, path: str, files: Files, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self.files = files
        self._token = ""

    @classmethod
    def open(cls, path: str, files: Files, *, secret: bytes, to: str, keys: Mapping[str, str]) -> Receipts:
        """Open the folder, which need not be there yet. Nothing is written.

        `to` is the name of the destination, `keys` are the API keys by site, none for a dry run. Raises
        UsageError if the folder belongs to another destination, secret or key; LedgerError if it is damaged.
        """
        path = _whole(path)
        mark = hmac.digest(secret, b"km-cli receipts", "sha256")[:_DIGEST].hex()
        asked = {name: _mark_of_key(secret, name, key) for name, key in keys.items()}
        known = _latest(path, files)
        if known is None:
            return cls(path, files, Manifest(0, to, mark, asked, ()))
        _check(path, known, to, mark, asked)
        return cls(path, files, known._replace(sites={**known.sites, **asked}))

    @contextmanager
    def lease(self, *, is_broken: bool = False, now: float | None = None) -> Iterator[None]:
        """Hold the folder: one job at a time. Raises LedgerBusy if another job holds it.

        `is_broken` takes it from a job that has died.
        """
        place = f"{self.path}/lease.json"
        self._token = token_hex(8)
        holder = {
            "token": self._token,
            "host": socket.gethostname(),
            "process": os.getpid(),
            "since": _utc(time.time() if now is None else now),
        }
        if is_broken:
            self.files.remove(place)
        try:
            self.files.create(place, _written(holder))
        except Exists:
            raise _busy(place, self.files.read(place)) from None
        try:
            # Another job may have ended between the opening and the lease.
            known = _latest(self.path, self.files)
            if known is not None:
                self.manifest = known._replace(sites={**known.sites, **self.manifest.sites})
            yield
        finally:
            if self._holds():
                self.files.remove(place)

    def begin(self) -> str:
        """Return the name of a new job, whose folder is not there yet."""
        return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{token_hex(4)}"

    def folder(self, job: str) -> str:
        """Return the folder of a job."""
        return f"{self.path}/jobs/{job}"

    def plan_path(self, job: str) -> str:
        """Return the folder of the job's plan, as Parquet."""
        return f"{self.folder(job)}/plan"

    def rejects_path(self, job: str) -> str:
        """Return the folder of the rows that the job rejected while planning, as Parquet."""
        return f"{self.folder(job)}/rejects"

    def receipts_path(self, job: str) -> str:
        """Return the folder of the job's receipts, as Parquet."""
        return f"{self.folder(job)}/receipts"

    def refused_path(self, job: str) -> str:
        """Return the folder of the rows that the destination refused, as Parquet."""
        return f"{self.folder(job)}/refused"

    def planned(self, job: str, notes: Mapping[str, Any]) -> None:
        """Put a job into force whose plan is complete: from now on its calls are known, and may leave."""
        self.files.sync(self.folder(job))
        self._publish((*self.manifest.jobs, Job(job, PLANNED, notes)))

    def done(self, job: str) -> None:
        """Note that each call of a job has its receipt."""
        jobs = (one._replace(state=DONE) if one.name == job else one for one in self.manifest.jobs)
        self._publish(tuple(jobs))

    def unfinished(self) -> list[Job]:
        """Return the jobs that have calls without a receipt, as far as the manifest knows."""
        return [one for one in self.manifest.jobs if one.state == PLANNED]

    def has_unfinished_before(self, job: str) -> bool:
        """Tell whether a job that was planned before this one, which is unfinished too, is unfinished."""
        return self.unfinished()[0].name != job

    def notes(self, job: str) -> Mapping[str, Any]:
        """Return what a job noted about itself."""
        return next(one.notes for one in self.manifest.jobs if one.name == job)

    def has_receipts(self, job: str) -> bool:
        """Tell whether a file of receipts is there. Spark cannot read a folder without one."""
        return any(name.endswith(".parquet") for name in self.files.names(self.receipts_path(job)))

    def clean(self) -> None:
        """Remove the folders of jobs that died before their plan was complete."""
        known = {one.name for one in self.manifest.jobs}
        for name in self.files.names(f"{self.path}/jobs"):
            if name not in known:
                self.files.remove(self.folder(name))

    def take_stop(self, job: str) -> dict[str, Any] | None:
        """Return why a task of the job ended early, and forget it, so that a new start may send."""
        place = f"{self.folder(job)}/stopped.json"
        content = self.files.read(place)
        if content is None:
            return None
        self.files.remove(place)
        found = json.loads(content)
        return found if isinstance(found, dict) else None

    def take_counts(self, job: str) -> dict[str, Any] | None:
        """Return what the tasks counted since the last time; None if a task failed."""
        found = None
        for name in self.files.names(self.receipts_path(job)):
            if name.startswith("_sent-"):
                place = f"{self.receipts_path(job)}/{name}"
                found = json.loads(self.files.read(place) or b"null")
                self.files.remove(place)
        return found

    def _publish(self, jobs: tuple[Job, ...]) -> None:
        """Write the next manifest. It is complete before it has its name."""
        if not self._holds():
            raise LedgerBusy(
                f"another job took the lease of {self.path}", "see that one job at a time runs, and run again"
            )
        following = self.manifest._replace(number=self.manifest.number + 1, jobs=jobs)
        content = {"km_cli_receipts": FORMAT, **following._asdict(), "jobs": [one._asdict() for one in jobs]}
        try:
            self.files.create(f"{self.path}/{_MANIFEST}{following.number:06}.json", _written(content))
        except Exists:
            raise LedgerBusy(
                f"another job wrote to {self.path} meanwhile",
                "see that one job at a time runs, and run again",
            ) from None
        self.manifest = following
        if following.number > _KEPT:
            self.files.remove(f"{self.path}/{_MANIFEST}{following.number - _KEPT:06}.json")

    def _holds(self) -> bool:
        content = self.files.read(f"{self.path}/lease.json")
        return content is not None and _holder(content).get("token") == self._token


def _whole(path: str) -> str:
    """Return a path that means the same in all processes: tasks run in folders of their own."""
    path = path.rstrip("/") or path
    is_relative = is_local(path) and not path.lower().startswith("file:")
    return str(local_path(path).absolute()) if is_relative else path


def _latest(path: str, files: Files) -> Manifest | None:
    names = [name for name in files.names(path) if name.startswith(_MANIFEST) and name.endswith(".json")]
    if not names:
        return None
    place = f"{path}/{max(names)}"
    try:
        found = json.loads(files.read(place) or b"")
        if found["km_cli_receipts"] > FORMAT:
            raise UsageError(f"{place} is of a newer version of km-cli", "install that version")
        jobs = tuple(Job(one["name"], one["state"], one["notes"]) for one in found["jobs"])
        return Manifest(int(found["number"]), found["to"], found["secret"], dict(found["sites"]), jobs)
    except (ValueError, KeyError, TypeError):
        raise LedgerError(
            f"{place} is damaged", "restore the folder from a copy; the manifest before it is older"
        ) from None


def _check(path: str, known: Manifest, to: str, mark: str, asked: Mapping[str, str]) -> None:
    """Raise UsageError if the folder belongs to another destination, secret or API key."""
    if known.to != to:
        hint = f"give --to {known.to}, or {_ANOTHER}"
        raise UsageError(f"{path} has the receipts of {known.to}, not those of {to}", hint)
    if known.secret != mark:
        raise UsageError(
            f"the digests in {path} were made under another secret",
            "give the file with that secret: --secret-file PATH",
        )
    for name, key in asked.items():
        if known.sites.get(name, key) != key:
            raise UsageError(
                f"{path} knows the site {name!r} with another API key",
                "give that key, or another name to the site of this one: --site NAME",
            )


def _mark_of_key(secret: bytes, site: str, key: str) -> str:
    return hmac.digest(secret, f"site\0{site}\0{key}".encode(), "sha256")[:_DIGEST].hex()


def _busy(place: str, content: bytes | None) -> LedgerBusy:
    holder = _holder(content or b"")
    who = f"process {holder['process']} on {holder['host']}, since {holder['since']}" if holder else "a job"
    return LedgerBusy(
        f"another job holds the receipts folder ({place}): {who}",
        "wait for its end; if you know that it has died, take the lease from it: --break-lease",
    )


def _holder(content: bytes) -> dict[str, Any]:
    """Return the holder that a lease names, {} if it is not complete yet."""
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    names = ("token", "host", "process", "since")
    return found if isinstance(found, dict) and all(name in found for name in names) else {}


def _written(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=1).encode() + b"\n"


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
