"""From durable to acknowledged.

`policy` and `stops` have the numbers: how long to wait, and when to stop. `courier` decides which call goes
next, and knows neither threads nor sockets. `pool` drives it with threads.
"""

from __future__ import annotations

from km_cli.delivery.courier import NOT_SENT
from km_cli.delivery.policy import Policy
from km_cli.delivery.pool import Pool

__all__ = ["NOT_SENT", "Policy", "Pool"]
