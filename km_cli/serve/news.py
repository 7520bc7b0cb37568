"""Waiting for calls: those of this server ring at once, those of another process are looked for."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

LOOK_EACH: Final = 0.25
"""Seconds between two looks for calls that another process has written, such as an import with --to local."""


class News:
    """Wakes everyone who waits when calls were kept, and when the server ends."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.is_over = False
        self.deletions = 0
        """How often all calls were deleted: ids of calls do not show that."""

    def ring(self) -> None:
        """Wake everyone who waits."""
        before, self._event = self._event, asyncio.Event()
        before.set()

    def end(self) -> None:
        """Wake everyone for the last time: the server ends."""
        self.is_over = True
        self.ring()

    async def wait(self, seconds: float) -> None:
        """Return when it rings, at the latest after so many seconds."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._event.wait(), seconds)
