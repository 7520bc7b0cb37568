"""The shapes of values, and of columns' names, that speak for a role or against it."""

from __future__ import annotations

import re

UUID = re.compile(r"\{?[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\}?")

EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
NUMBER = re.compile(r"[+-]?[\d.,]+")
LIKE_EVENT = re.compile(r"event|action|activity|verb|operation|task|step|what|type")
LIKE_TEXT = re.compile(r"(^|_)(description|message|text|title|comment|note)$")
"""Names of columns that say in words what another column names."""

DAY = re.compile(r"(\d{1,4}([/.-])\d{1,2}\2\d{1,4}|\d{8})([T ]0?0:00(:00([.,]0+)?)?)?", re.ASCII)
TIME_OF_DAY = re.compile(r"\d{1,2}:\d\d(:\d\d([.,]\d+)?)?(\s?[AP]M)?", re.ASCII | re.IGNORECASE)
