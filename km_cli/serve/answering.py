"""Answers of the API: JSON, parameters that are checked, and errors with a hint."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from km_cli.errors import KmError, UsageError, did_you_mean
from km_cli.serve.guard import error_answer
from km_cli.serve.settings import seconds_of

_MOST_ROWS = 1000
_MOST_ID = 2**62
_LONGEST_TEXT = 5000
"""Characters of a parameter: SQLite refuses a pattern of 50,000 bytes, and each may take seven in it."""

LONGEST_WAIT = 60
"""Seconds that one request may wait for a call."""


class Problem(Exception):
    """An answer other than 200, with a sentence on the problem and one on what to do."""

    def __init__(self, status: int, error: str, hint: str) -> None:
        super().__init__(error)
        self.status = status
        self.hint = hint


def answer(value: Any, status: int = 200) -> Response:
    """Return a value as JSON. It is ASCII, because a name may have a lone surrogate in it."""
    return Response(json.dumps(value), status, media_type="application/json")


def problem(status: int, error: str, hint: str) -> Response:
    """Return the answer for a problem."""
    return Response(error_answer(status, error, hint).body, status, media_type="application/json")


def on_problem(_request: Request, error: Exception) -> Response:
    """Answer for an error that a handler raised."""
    match error:
        case Problem():
            return problem(error.status, str(error), error.hint)
        case KmError():
            return problem(400, str(error), error.hint)
        case sqlite3.Error():
            return problem(
                503, f"the store cannot be read: {error}", "ask again; if it stays, look at the file"
            )
        case HTTPException():
            hint = "the addresses are in the reference of km-cli serve"
            text = {404: "there is no such address", 405: "this address takes no such method"}
            return problem(error.status_code, text.get(error.status_code, error.detail), hint)
    raise error


ON_ERRORS: Any = dict.fromkeys((Problem, KmError, sqlite3.Error, HTTPException), on_problem)
"""The errors that have an answer, for Starlette."""


class Parameters:
    """The query of a request. A parameter that is not known is an error: a test must not pass by a typo."""

    def __init__(self, request: Request, *known: str) -> None:
        self._query = request.query_params
        for name in self._query:
            if name not in known:
                listed = f"the parameters are {', '.join(known)}" if known else "this address has none"
                raise UsageError(f"there is no parameter {name!r}", did_you_mean(name, known, listed))

    def text(self, name: str) -> str | None:
        """Return a text, None if it is not given or empty. Raises UsageError if it is too long."""
        text = self._query.get(name) or None
        if text and len(text) > _LONGEST_TEXT:
            raise UsageError(
                f"{name}= has {len(text):,} characters; {_LONGEST_TEXT:,} is the most",
                "give a shorter part of it",
            )
        return text

    def all(self, name: str) -> list[str]:
        """Return each value of a parameter that may come several times."""
        return self._query.getlist(name)

    def flag(self, name: str) -> bool:
        """Tell whether a parameter is 1 or true."""
        return self._query.get(name, "").casefold() in ("1", "true", "yes")

    def number(self, name: str, default: int | None, most: int = _MOST_ID) -> int | None:
        """Return a whole number from 0 to `most`. Raises UsageError."""
        text = self._query.get(name)
        if not text:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= most):
            raise UsageError(
                f"{name}={text} is not a whole number from 0 to {most:,}", f"for example {name}=100"
            )
        return int(text)

    def limit(self, default: int = 100) -> int:
        """Return how many rows are asked for."""
        return min(self.number("limit", default) or 0, _MOST_ROWS)

    def seconds(self, name: str) -> float:
        """Return a time such as 5s, 0 if it is not given, at most a minute. Raises UsageError."""
        text = self._query.get(name)
        return min(seconds_of(text, f"{name}="), LONGEST_WAIT) if text else 0
