"""The rows of the simulated year, and the calls that are owed for them. Has no code of km-cli."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import parse_qsl

Key = tuple[str, int, str]
"""Who, when, and the number of the row."""


class Owed:
    """Two calls for each row, one for its user and one for its account."""

    def __init__(self) -> None:
        self.rows: list[dict[str, object]] = []
        self.calls: dict[Key, bytes | None] = {}
        """The bytes with which each call arrived; None: it has not."""
        self._bad: set[int] = set()
        self._seconds: set[int] = set()

    def __len__(self) -> int:
        return len(self.calls)

    def line(self, moment: float, *, is_bad: bool = False) -> bytes:
        """Return a line of a log with a new row, and note its calls. No two rows are of one second.

        A bad one has no time until somebody corrects it, and is not owed before.
        """
        number, second = len(self.rows), int(moment) - 100_000
        while second in self._seconds:
            second += 1
        self._seconds.add(second)
        row: dict[str, object] = {
            "user": f"u{number % 5}", "account": f"a{number % 3}", "event": "Did",
            "timestamp": second, "plan": "pro", "n": number,
        }  # fmt: skip
        self.rows.append(row)
        if is_bad:
            self._bad.add(number)
            return json.dumps({**row, "timestamp": "never"}).encode() + b"\n"
        self._owe(number)
        return json.dumps(row).encode() + b"\n"

    def take(self, calls: Iterable[bytes], *, is_calm: bool) -> None:
        """Compare calls that arrived with those that are owed. In calm weather none comes twice."""
        for payload in calls:
            path, _, query = payload.decode().partition("?")
            call = dict(parse_qsl(query, keep_blank_values=True))
            key = (call["_p"], int(call["_t"]), call["n"])
            assert path == "/e", payload
            assert key in self.calls, f"nobody owes {payload!r}"
            known = self.calls[key]
            assert known in (None, payload), f"twice, with other bytes: {known!r}, {payload!r}"
            assert known is None or not is_calm, f"twice, though nothing went wrong: {payload!r}"
            self.calls[key] = payload

    def missing(self) -> list[Key]:
        """Return the calls that have not arrived."""
        return [key for key, payload in self.calls.items() if payload is None]

    def arrived(self, before: int) -> list[int]:
        """Return the numbers of the good rows before that one whose users' calls have arrived."""
        return [number for number in range(before) if self.calls.get(self._keys(number)[0]) is not None]

    def corrected(self, rejects: Iterable[Path]) -> Iterator[str]:
        """Yield the rejects that nobody has corrected yet, with the time that was missing."""
        for line in (line for path in rejects for line in path.read_text().splitlines()):
            reject = json.loads(line)
            number = json.loads(reject["raw"])["n"]
            if number in self._bad:
                self._bad.remove(number)
                self._owe(number)
                yield json.dumps({**reject, "raw": json.dumps(self.rows[number])}) + "\n"

    def _owe(self, number: int) -> None:
        for key in self._keys(number):
            self.calls.setdefault(key, None)

    def _keys(self, number: int) -> list[Key]:
        row = self.rows[number]
        return [(str(row[who]), int(str(row["timestamp"])), str(number)) for who in ("user", "account")]
