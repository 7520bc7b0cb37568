"""Addresses of objects: `s3://bucket/key`, as the key stands in the bucket, with nothing percent-encoded."""

from __future__ import annotations

import re
from typing import NamedTuple

from km_cli.errors import UsageError

_SCHEME = "s3://"
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
_EXAMPLE = "write it as s3://bucket/folder/log.csv"

CREDENTIALS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))} | {
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}


class Address(NamedTuple):
    """A bucket and the key of an object in it, or a part of a key, or a pattern."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"{_SCHEME}{self.bucket}/{self.key}"


def is_address(name: str) -> bool:
    """Tell whether a name is that of an object, not of a file on this machine."""
    return name[: len(_SCHEME)].lower() == _SCHEME


def parse(name: str) -> Address:
    """Return the bucket and the key of an address. Raises UsageError, which never shows a password in it."""
    bucket, _, key = name[len(_SCHEME) :].partition("/")
    # A secret key may hold a slash, so that only a part of it stands before the first one.
    if ":" in bucket or "@" in bucket:
        raise UsageError(
            "the address of an object store has a key or a password in it, which others could read",
            f"write s3://bucket/folder/log.csv, and put the key into the environment: {CREDENTIALS}",
        )
    if not _BUCKET.fullmatch(bucket):
        raise UsageError(f"{shown(name)}: {bucket!r} is not the name of a bucket", _EXAMPLE)
    return Address(bucket, key)


def shown(name: str) -> str:
    """Return an address as one line of text: control characters and line ends are escaped."""
    return name.translate(_CONTROLS).encode(errors="backslashreplace").decode()
