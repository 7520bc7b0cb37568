"""Compares the forecast of a dry run with the content of the local store after the import."""

from __future__ import annotations

import json
import os
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from km_cli.standin import Store
from tests.support.inprocess import run


def ran(*words: str | Path) -> dict[str, Any]:
    """Run a command in this process and return its summary."""
    code, out, err = run([str(word) for word in words], os.environ)
    assert code in (0, 65), err
    return json.loads(out)


def held(path: Path, accounts: set[str]) -> dict[str, dict[str, int]]:
    """What the store holds, by persona: who is an account is known by name."""
    counts: dict[str, Counter[str]] = {"user": Counter(), "account": Counter()}
    with closing(Store(path)) as store:
        for person in store.people():
            counts["account" if person.identities[0] in accounts else "user"]["people"] += 1
        for event in store.events():
            counts["account" if event.person in accounts else "user"]["events"] += 1
        for value in store.properties():
            counts["account" if value.person in accounts else "user"]["properties"] += 1
    names = ("people", "events", "properties")
    return {persona: {name: found[name] for name in names} for persona, found in counts.items() if found}


def check_forecast(log: Path, store: Path, accounts: set[str], *flags: str) -> dict[str, Any]:
    """Check that an import keeps what a dry run foretells, also when something is there already.

    The findings D7 of all imports are what the store has dropped. Return the import's summary.
    """
    dropped = {"D7": 0, "D7-property": 0}
    if store.exists():
        with closing(Store(store)) as opened:
            dropped = opened.kept().dropped
    flags = (*flags, "--to", f"local:{store}", "--json")
    told = ran("dry-run", log, *flags)
    done = ran("import", log, *flags, "--rejects", store.with_name("rejects"))
    assert told["forecast"]["main"] == held(store, accounts)
    for code, before in dropped.items():
        found = done["findings"].get(code, 0)
        assert found == told["findings"].get(code, 0)
        assert done["kept"]["dropped"][code] == before + found
    return done
