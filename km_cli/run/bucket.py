"""A bucket that bulk files are uploaded to: requests are repeated as calls are, and no object is replaced."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from enum import Enum, auto
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from km_cli.delivery import Policy
from km_cli.delivery.policy import backoff
from km_cli.inputs.storage.s3 import S3
from km_cli.inputs.storage.s3_errors import Fault

_DIGEST = "km-cli-sha256"
"""The metadata that tells an object of ours. An ETag does not: encrypted objects have other ones."""

_CHUNK = 1 << 20
_REFUSED = frozenset({"AccessDenied", "AllAccessDisabled", "403"})
_RIGHTS = "check that the credentials have s3:PutObject, s3:GetObject and s3:ListBucket for this bucket"
_AT_ONCE = frozenset({"ConditionalRequestConflict", "409"})
"""Another upload to this key is at work: the same request may work later."""
_NO_CONDITIONS = frozenset({"NotImplemented", "501"})
_MOST_RACES = 3


class Upload(NamedTuple):
    """A file to be uploaded, with its length in bytes and its SHA-256 digest."""

    path: Path
    length: int
    digest: bytes


def upload_of(path: Path) -> Upload:
    """Return the upload of a file. Raises OSError."""
    digest, length = hashlib.sha256(), 0
    with path.open("rb") as file:
        while data := file.read(_CHUNK):
            digest.update(data)
            length += len(data)
    return Upload(path, length, digest.digest())


class _Seen(Enum):
    """The object that a key has: the content of our file, another one, none, or we may not look."""

    OURS = auto()
    OTHER = auto()
    NONE = auto()
    HIDDEN = auto()


class Bucket:
    """The objects of a bucket. Methods raise Fault when a request has used up its attempts."""

    def __init__(self, s3: S3, name: str, policy: Policy, random: Random, check: Callable[[], None]) -> None:
        """`check` is called while an answer is awaited. It may raise the error that ends the run."""
        self._s3 = s3
        self._name = name
        self._policy = policy
        self._random = random
        self._check = check
        self._was_reached = False

    def names(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin with a prefix; none if the credentials may not list the bucket."""
        asked = {"Bucket": self._name, "Prefix": prefix}
        while True:
            try:
                page = self._ask("list_objects_v2", asked)
            except Fault as fault:
                if fault.code in _REFUSED:
                    return
                raise
            yield from (found["Key"] for found in page.get("Contents", ()))
            if not page.get("IsTruncated"):
                return
            asked["ContinuationToken"] = page["NextContinuationToken"]

    def upload(self, key: str, upload: Upload) -> bool:
        """Write a file to a key, unless an object has it; return whether the object is this file.

        An earlier run may have uploaded it and been killed before it could note that.
        """
        for _ in range(_MOST_RACES):
            seen = self._look(key, upload)
            if seen in (_Seen.OURS, _Seen.OTHER):
                return seen is _Seen.OURS
            if self._put(key, upload):
                return True
            if seen is _Seen.HIDDEN:
                raise Fault("an object has its key, and access to that is denied", _RIGHTS, "403")
        raise Fault("objects with its key come and go", "stop the other program that writes them", "409")

    def _look(self, key: str, upload: Upload) -> _Seen:
        try:
            found = self._ask("head_object", {"Bucket": self._name, "Key": key})
        except Fault as fault:
            if fault.is_absent:
                return _Seen.NONE
            if fault.code in _REFUSED:
                return _Seen.HIDDEN
            raise
        is_ours = found.get("Metadata", {}).get(_DIGEST) == upload.digest.hex()
        return _Seen.OURS if is_ours and found["ContentLength"] == upload.length else _Seen.OTHER

    def _put(self, key: str, upload: Upload) -> bool:
        """Write an object where there is none; return whether that was so."""
        asked = {
            "Bucket": self._name,
            "Key": key,
            "IfNoneMatch": "*",
            "ChecksumSHA256": base64.b64encode(upload.digest).decode(),
            "Metadata": {_DIGEST: upload.digest.hex()},
        }
        try:
            self._ask("put_object", asked, upload.path)
        except Fault as fault:
            if fault.is_changed:
                return False
            raise
        return True

    def _ask(self, method: str, asked: dict[str, Any], body: Path | None = None) -> dict[str, Any]:
        """Make a request, and repeat it as often as a call. A file is read anew each time."""
        attempt = 0
        while True:
            attempt += 1
            try:
                answer = self._ask_once(method, asked, body)
            except Fault as fault:
                self._was_reached = self._was_reached or not fault.is_unreachable
                most = self._policy.attempts
                most = most if self._was_reached else min(most, self._policy.unreached)
                if attempt >= most or not (fault.is_passing or fault.code in _AT_ONCE):
                    raise _explained(fault) from None
                self._s3.sleep(backoff(self._policy, attempt, self._random), self._check)
            else:
                self._was_reached = True
                return answer

    def _ask_once(self, method: str, asked: dict[str, Any], body: Path | None) -> dict[str, Any]:
        if body is None:
            return self._s3.ask_once(method, asked, self._check)
        with body.open("rb") as file:
            return self._s3.ask_once(method, {**asked, "Body": file}, self._check)

    def close(self) -> None:
        """Close all connections."""
        self._s3.close()


def _explained(fault: Fault) -> Fault:
    """Return a fault with the hint for a bucket that is written to."""
    if fault.code in _REFUSED:
        return Fault(str(fault), _RIGHTS, fault.code)
    if fault.code in _NO_CONDITIONS:
        hint = (
            "this store cannot keep an object from being replaced: write --to file:PATH, and upload the files"
        )
        return Fault(str(fault), hint, fault.code)
    return fault
