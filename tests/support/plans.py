"""Reads import plans, and works out from the calls that arrived which digests a plan must have.

It shares no code with km-cli: TOML by Python's `tomllib`, and requests as the tracker got them.
"""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from tests.support.tracker import Hit


def plan_in(path: Path) -> dict[str, Any]:
    """Return the content of a plan."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def digest_of(path: Path) -> str:
    """Return the digest of a plan's text without the two lines that are not in it."""
    text = path.read_text(encoding="utf-8")
    head, bracket, rest = text.partition("\n[")
    kept = [line for line in head.split("\n") if line[:7] != "made = " and line[:9] != "digest = "]
    return sha256(("\n".join(kept) + bracket + rest).encode()).hexdigest()


def resigned(path: Path, old: str, new: str) -> None:
    """Change a plan, and give it the digest of the change."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old} is in the plan {text.count(old)} times"
    path.write_text(text.replace(old, new), encoding="utf-8")
    before = plan_in(path)["digest"]
    signed = path.read_text(encoding="utf-8").replace(before, digest_of(path))
    path.write_text(signed, encoding="utf-8")


def sums(hits: Iterable[Hit], sites: Mapping[str, str]) -> dict[str, str]:
    """Return the sum of the digests of calls by site, as `proof.sums` has it. `sites` are sites by key.

    A call that came twice, byte for byte, is one.
    """
    found: defaultdict[str, int] = defaultdict(int)
    for method, path, query, body in {hit.wire for hit in hits}:
        text = body.decode("ascii") if method == "POST" else query
        pairs = parse_qsl(text, keep_blank_values=True)
        params = dict(pairs)
        site = sites[params["_k"]]
        properties = [
            part for pair in pairs if pair[0] not in ("_k", "_p", "_n", "_t", "_d") for part in pair
        ]
        parts = [site, path[1:], params["_p"], params.get("_n", "")]
        if path != "/a":
            parts += [params["_t"], *properties]
        found[site] += int.from_bytes(sha256("\0".join(parts).encode()).digest(), "big")
    return {site: f"{total % 2**256:064x}" for site, total in sorted(found.items())}
