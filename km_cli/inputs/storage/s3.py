"""The S3 API by s3fs: one request after the other, repeated while the fault is a passing one.

s3fs is asynchronous and has a thread of its own for callers that are not. Here it runs on an event loop that
only turns while this thread waits for an answer. So there is no second thread, a signal is heard at once, and
`close` ends every connection. Endpoint and credentials come from the environment, which botocore reads.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

from km_cli.errors import UsageError
from km_cli.inputs.base import Check
from km_cli.inputs.storage.s3_errors import Fault, fault_of
from km_cli.install_hint import install_command

_TICK = 0.2
"""Seconds between two looks at whether the run is to end."""

_ATTEMPTS = 9
_ATTEMPTS_UNREACHABLE = 3
"""How often a request is made if it fails for a passing reason. A store that was never reached gets fewer."""

_FIRST_WAIT, _LONGEST_WAIT = 0.1, 15.0
"""Seconds. Each wait is twice the one before."""

_BLOCK = 1 << 18
"""Bytes that are read in one turn of the loop, if the answer has as many."""

_CONFIG = {"connect_timeout": 10, "read_timeout": 30, "retries": {"total_max_attempts": 1}}

_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")

T = TypeVar("T")


class Entry(NamedTuple):
    """An object of a listing. `size` is in bytes, `modified` in seconds since 1970."""

    key: str
    etag: str
    size: int
    modified: float


class Body:
    """The content of an answer, to be read once."""

    def __init__(self, entry: Entry, stream: Any) -> None:
        self.entry = entry
        self.stream = stream

    async def read(self) -> bytes:
        """Return the next bytes, b"" at the end."""
        pieces: list[bytes] = []
        left = _BLOCK
        while left > 0 and (piece := await self.stream.read(left)):
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)

    def close(self) -> None:
        """End the answer, however much of it is left."""
        self.stream.close()


class S3:
    """The object store that the environment names. Methods raise Fault."""

    def __init__(self) -> None:
        """Nothing is contacted yet. Raises UsageError if s3fs is not installed."""
        try:
            import s3fs
        except ImportError:
            raise UsageError(
                "s3:// needs s3fs, which is not installed", f"install it: {install_command('s3')}"
            ) from None
        self._loop = asyncio.new_event_loop()
        # Otherwise s3fs repeats by itself, and cannot be told to stop.
        self._files = s3fs.S3FileSystem(
            asynchronous=True, skip_instance_cache=True, use_listings_cache=False, config_kwargs=_CONFIG
        )
        self._files.retries = 1
        self._was_reached = False

    @property
    def endpoint(self) -> str:
        """The address of the store, after the first request."""
        return str(self._files.s3.meta.endpoint_url)

    def list(self, bucket: str, prefix: str, check: Check, delimiter: str = "") -> Iterator[Entry | str]:
        """Yield the objects whose keys begin with a prefix. With a delimiter, keys are cut behind it."""
        asked = {"Bucket": bucket, "Prefix": prefix, **({"Delimiter": delimiter} if delimiter else {})}
        while True:
            page = self._ask("list_objects_v2", asked, check)
            yield from (found["Prefix"] for found in page.get("CommonPrefixes", ()))
            for found in page.get("Contents", ()):
                time = found["LastModified"].timestamp()
                yield Entry(found["Key"], found["ETag"], found["Size"], time)
            if not page.get("IsTruncated"):
                return
            asked["ContinuationToken"] = page["NextContinuationToken"]

    def get(
        self, bucket: str, key: str, check: Check, first: int = 0, last: int | None = None, etag: str = ""
    ) -> Body:
        """Ask for the bytes from `first` to `last` of an object, both included; None is the end.

        With an ETag, the object must still be the one that has it.
        """
        asked = {"Bucket": bucket, "Key": key, **({"IfMatch": etag} if etag else {})}
        if first or last is not None:
            asked["Range"] = f"bytes={first}-{'' if last is None else last}"
        try:
            answer = self._ask("get_object", asked, check)
        except Fault as fault:
            if fault.code not in ("InvalidRange", "416") or first:
                raise
            del asked["Range"]  # An empty object has no byte that could be asked for.
            answer = self._ask("get_object", asked, check)
        whole = _RANGE.fullmatch(answer.get("ContentRange", ""))
        size = int(whole[2]) if whole else answer["ContentLength"]
        entry = Entry(key, answer["ETag"], size, answer["LastModified"].timestamp())
        body = Body(entry, answer["Body"])
        _check_answer(body, etag, first, int(whole[1]) if whole else 0)
        return body

    def read(self, body: Body, check: Check) -> bytes:
        """Return the next bytes of an answer, b"" at its end. It is not repeated."""
        return self._once(body.read, check)

    def wait(self, fault: Fault, attempt: int, check: Check) -> None:
        """Wait before the next attempt. Raises the fault if there is none: it will not pass by itself."""
        most = _ATTEMPTS if self._was_reached or not fault.is_unreachable else _ATTEMPTS_UNREACHABLE
        if not fault.is_passing or attempt >= most:
            raise fault
        seconds = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** (attempt - 1))
        self.sleep(seconds, check)

    def ask_once(self, method: str, asked: dict[str, Any], check: Check) -> dict[str, Any]:
        """Make a request of the S3 API, and do not repeat it. Raises Fault."""
        return dict(self._once(lambda: self._files._call_s3(method, **asked), check))

    def sleep(self, seconds: float, check: Check) -> None:
        """Wait. `check` is called meanwhile, and ends the wait if it raises."""
        self._once(lambda: asyncio.sleep(seconds), check)

    def close(self) -> None:
        """Close all connections."""
        if self._loop.is_closed():
            return
        self._loop.run_until_complete(self._end())
        self._loop.close()

    async def _end(self) -> None:
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        if self._files._s3 is not None:
            with suppress(Exception):
                await self._files._s3.close()
        await self._loop.shutdown_asyncgens()
        await self._loop.shutdown_default_executor()
        for _ in range(3):  # A transport lets its socket go in a later turn.
            await asyncio.sleep(0)

    def _ask(self, method: str, asked: dict[str, Any], check: Check) -> dict[str, Any]:
        attempt = 1
        while True:
            try:
                answer = self.ask_once(method, asked, check)
            except Fault as fault:
                self._was_reached = self._was_reached or not fault.is_unreachable
                self.wait(fault, attempt, check)
                attempt += 1
            else:
                self._was_reached = True
                return answer

    def _once(self, make: Callable[[], Awaitable[T]], check: Check) -> T:
        """Await once. `check` is called meanwhile; if it raises, the request is given up."""
        try:
            return self._loop.run_until_complete(_patiently(make, check))
        except Exception as error:
            fault = fault_of(error)
            if fault is None:
                raise
            raise fault from None


def _check_answer(body: Body, etag: str, asked: int, begins: int) -> None:
    """Raise Fault if an answer is of another object, or begins elsewhere: some proxies drop such headers."""
    if etag and body.entry.etag != etag:
        body.close()
        raise Fault("it is another object now", "run again", "PreconditionFailed")
    if asked != begins:
        body.close()
        raise Fault(
            "the store answers with other bytes than it was asked for (Range)",
            "ask the store itself, without a proxy between: check AWS_ENDPOINT_URL",
            "range",
        )


async def _patiently(make: Callable[[], Awaitable[T]], check: Check) -> T:
    task = asyncio.ensure_future(make())
    try:
        while not (await asyncio.wait({task}, timeout=_TICK))[0]:
            check()
    except BaseException:
        task.cancel()
        await asyncio.wait({task})
        raise
    return task.result()


def digest_of(*parts: str) -> tuple[int, int]:
    """Return 16 bytes that stand for these texts, as two numbers."""
    digest = hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:16], "big")
