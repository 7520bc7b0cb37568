"""Files → Rows. `open_reader` recognises an input's format (formats.py) and returns it ready to be read."""

from __future__ import annotations

from km_cli.inputs.base import Format, FormatOptions, Item, Reader
from km_cli.inputs.finding import expand
from km_cli.inputs.opened import Opened, Place, open_reader
from km_cli.inputs.options import make_format_options
from km_cli.inputs.source import Source
from km_cli.inputs.storage.base import Stamp

__all__ = [
    "Format",
    "FormatOptions",
    "Item",
    "Opened",
    "Place",
    "Reader",
    "Source",
    "Stamp",
    "expand",
    "make_format_options",
    "open_reader",
]
