"""A pytest fixture with a local Kissmetrics for each test.

Put this line into a test module, or into the conftest.py at the top of your tests:

    pytest_plugins = "km_cli.serve.fixture"

A plugin that loads by itself would cost every run of pytest in your environment time, so it does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from km_cli.serve.running import RunningServer
from km_cli.serve.settings import ServeSettings
from km_cli.serve.trial import Standin


@pytest.fixture
def kissmetrics_standin(tmp_path: Path) -> Iterator[Standin]:
    """Run a local Kissmetrics with a store, and a place for a ledger, of its own."""
    folder = tmp_path / "kissmetrics"
    with RunningServer(ServeSettings(store=folder / "store.db", port=0)) as server:
        yield Standin(server.url, folder / "ledger.db")
