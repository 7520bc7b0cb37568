"""Bytes → lines, with any of the three line ends, in blocks and at constant memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from km_cli.inputs.base import LONGEST_RECORD

BLOCK = 1 << 18
"""Bytes read at a time."""


class Overlong(bytes):
    """A piece of a line that is too long for a record. `first` if the line begins with it."""

    first: bool = True


def split_lines(
    stream: BinaryIO, longest: int = LONGEST_RECORD, *, overlong: bool = False
) -> Iterator[bytes]:
    """Yield the lines of `stream` with their ends (LF, CR LF or CR); joined they are its bytes.

    A line of more than `longest` bytes comes as pieces, each an `Overlong`. With `overlong` the stream begins
    inside of such a line.
    """
    carry = b""
    while block := stream.read(BLOCK):
        block = carry + block
        lines = block.splitlines(keepends=True)
        # A block that ends in CR may be followed by LF in the next one: both are one line end.
        carry = b"" if block.endswith(b"\n") else lines.pop()
        if overlong and lines:
            yield _piece(lines.pop(0), first=False)
            overlong = False
        yield from lines if len(block) <= longest else _measured(lines, longest)
        if len(carry) > longest or (overlong and carry):
            end = b"\r" if carry.endswith(b"\r") else b""
            if piece := carry.removesuffix(end):
                yield _piece(piece, first=not overlong)
            carry, overlong = end, True
    if carry:
        yield _piece(carry, first=False) if overlong else carry


def _measured(lines: Iterable[bytes], longest: int) -> Iterator[bytes]:
    for line in lines:
        yield line if len(line) <= longest else _piece(line, first=True)


def _piece(data: bytes, *, first: bool) -> Overlong:
    piece = Overlong(data)
    piece.first = first
    return piece
