"""The real time."""

from __future__ import annotations

import time


class SystemClock:
    """The real time."""

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()
