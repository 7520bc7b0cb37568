"""Reads bulk files as Kissmetrics' pages describe them (json-import, csv-import), without km-cli's code.

A call is what the tracker gets of it: its parameters, without key and `_d`. An alias has no time.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

Call = tuple[tuple[str, str], ...]


def calls_in(folder: Path, stem: str) -> Counter[Call]:
    """Return the calls of all finished files of a series, of all sites."""
    return Counter(form(call) for path in finished(folder, stem) for call in read(path))


def finished(folder: Path, stem: str) -> list[Path]:
    """Return the files in the order in which Kissmetrics takes them; all have names that it takes."""
    found = sorted(path for path in folder.glob(f"{stem}*.*") if path.suffix != ".part")
    for path in found:
        assert re.fullmatch(r"[A-Za-z0-9]+\.(json|csv)(\.gz)?", path.name)
    return found


def form(call: Mapping[str, str]) -> Call:
    """Return a call of a file in the form in which it is compared."""
    return tuple(
        sorted((name, value) for name, value in call.items() if not (name == "_t" and "_p2" in call))
    )


def form_of_hit(path: str, params: Mapping[str, str]) -> Call:
    """Return a call that came to the tracker in the same form. Of an alias, `_n` is the other identity."""
    call = {name: value for name, value in params.items() if name not in ("_k", "_d")}
    if path == "/a":
        call["_p2"] = call.pop("_n")
    return form(call)


def read(path: Path) -> list[dict[str, str]]:
    """Return the calls of a file, in its order."""
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    assert text.endswith("\n")
    lines = text.removesuffix("\n").split("\n")
    return list((_of_csv if ".csv" in path.name else _of_json)(lines))


def _of_json(lines: Iterable[str]) -> Iterator[dict[str, str]]:
    for line in lines:
        found = json.loads(line, object_pairs_hook=_once)
        assert isinstance(found["_p"], str)
        assert type(found["_t"]) is int
        assert {"_n", "_p2"} & found.keys() or len(found) > 2
        yield {name: str(value) for name, value in found.items()}


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    assert len(dict(pairs)) == len(pairs), pairs
    return dict(pairs)


_COLUMNS = {"Identity": "_p", "Timestamp": "_t", "Event": "_n", "Alias": "_p2"}


def _of_csv(lines: list[str]) -> Iterator[dict[str, str]]:
    """Cells are what stands between commas: there are no quotation marks."""
    header = lines[0].split(",")
    properties = [name for name in header if name.startswith("Prop:")]
    assert len(properties) <= 10
    assert len({name.casefold() for name in header}) == len(header)
    assert "Timestamp" in header or "Alias" in header
    for line in lines[1:]:
        cells = line.split(",")
        assert len(cells) == len(header)
        found = {
            _COLUMNS.get(name) or name.removeprefix("Prop:"): cell
            for name, cell in zip(header, cells, strict=True)
        }
        assert "Event" not in header or found["_n"], "rows that only set properties have files of their own"
        yield {name: cell for name, cell in found.items() if cell}
