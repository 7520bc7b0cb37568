"""Calls to the stand-in, made without the sender's code."""

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlencode

from km_cli.standin import Kept, Store

T = 1_500_000_000
ARRIVAL = 1_600_000_000

Request = tuple[str, bytes]


def call(kind: str = "e", /, **parameters: object) -> Request:
    """A good call by ada; a parameter of None is left out."""
    whole = {"_k": "K", "_p": "ada", "_n": "Signed Up", "_t": T, "_d": 1} | parameters
    return f"/{kind}?" + urlencode({k: v for k, v in whole.items() if v is not None}), b""


def alias(one: str, other: str) -> Request:
    return call("a", _p=one, _n=other)


@contextmanager
def fresh() -> Iterator[Store]:
    """A store that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder, closing(Store(Path(folder) / "s.db")) as opened:
        yield opened


def after(store: Store, *requests: Request) -> Kept:
    """What is kept after these requests."""
    store.receive(requests)
    return store.kept()
