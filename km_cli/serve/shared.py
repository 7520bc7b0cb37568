"""What the answers of a server share."""

from __future__ import annotations

from typing import NamedTuple

from km_cli.serve.faults import Drawing
from km_cli.serve.news import News
from km_cli.serve.personas import Personas
from km_cli.serve.settings import ServeSettings
from km_cli.serve.writer import Writer
from km_cli.standin import Journal


class Shared(NamedTuple):
    """The store's writer and reader, the personas, the faults in force and the news of a server."""

    settings: ServeSettings
    writer: Writer
    journal: Journal
    personas: Personas
    drawing: Drawing
    news: News
