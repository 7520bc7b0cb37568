"""Spark plans the calls that one machine plans, byte for byte: its stages, without Spark."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import click
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from km_cli.cli import group
from km_cli.cli.settings import make_settings
from km_cli.config.settings import Settings
from km_cli.destinations.base import QueryEncoder
from km_cli.inputs import Source
from km_cli.ledger import Ledger
from km_cli.model import Finding, Reject
from km_cli.run.batch import Batch
from km_cli.run.observer import Observer
from km_cli.run.pipeline import Pipeline
from km_cli.run.rehearsal import Rehearsal
from km_cli.run.stopping import Stop
from km_cli.run.tally import Tally
from tests.support import sparkless
from tests.support.drawing import examples
from tests.support.inprocess import environment
from tests.support.rowlogs import COLUMNS, KINDS, Kind, Row, as_csv, as_jsonl, cuts, logs, seeded
from tests.support.virtual import VirtualClock

phases = set(Phase) - {Phase.explain}
few = settings(max_examples=examples(20), deadline=None, phases=phases)
