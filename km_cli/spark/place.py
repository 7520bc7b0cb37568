"""Where the receipts of a job are. This module needs no Spark."""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """The receipts folder of a job, and the secret under which its digests are made.

    `takes_lease` takes the lease from a job that has died.
    """

    path: str
    secret: bytes
    takes_lease: bool = False
