"""Descriptions of the findings that mapping, planning and the run make.

An entry has no example if one log cannot show it: it takes an earlier import, or the answer of a destination.
"""

from __future__ import annotations

from km_cli.rules.base import About
from km_cli.rules.catalogue.limits import LIMITS
from km_cli.rules.catalogue.people import PEOPLE
from km_cli.rules.catalogue.rows import ROWS
from km_cli.rules.catalogue.seconds import SECONDS

ELSEWHERE: tuple[About, ...] = (*SECONDS, *LIMITS, *PEOPLE, *ROWS)
"""The findings that no rule about a single event makes."""
