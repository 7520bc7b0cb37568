"""The columns of an input without a header: the keys of its first objects."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice

from km_cli.inputs.lines import split_lines

_FEWEST_REGULAR = 20
"""Objects. The keys that fewer objects have in common say little about the objects that follow."""

_SAMPLE = 1000
"""Objects that are looked at."""


def keys_of(
    head: bytes, keys_in: Callable[[bytes], Iterable[str]], longest: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the keys of the first objects, in order of appearance, and the keys that all of them have.

    `keys_in` returns the keys of the object in one line, or raises ValueError or RecursionError. `longest`
    are the bytes that a line may have.
    """
    found: Counter[str] = Counter()
    objects = 0
    for raw in islice(split_lines(io.BytesIO(head), longest), _SAMPLE):
        try:
            found.update(dict.fromkeys(keys_in(raw), 1))
        except (ValueError, RecursionError):
            continue
        objects += 1
    regular = tuple(name for name, count in found.items() if count == objects)
    return tuple(found), regular if objects >= _FEWEST_REGULAR else ()
