"""Bytes packed in every way that is unpacked again."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable

import zstandard

Pack = Callable[[bytes], bytes]


def _zst(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


PACKS: dict[str, Pack] = {
    "gz": lambda data: gzip.compress(data, mtime=0),  # a test is called by it: the same each time
    "bz2": lambda data: bz2.compress(data, 1),  # blocks of 100 kB: of a cut one nothing can be read
    "xz": lzma.compress,
    "zst": _zst,
}
"""Ending → packing."""
