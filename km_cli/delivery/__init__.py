"""From durable to acknowledged.

`policy` and `stops` have the numbers: how long to wait, and when to stop. `concurrency` finds how many calls
are in flight. `courier` decides which call goes next, and knows neither threads nor sockets. Two drivers send
what it says: `pool` with a thread for each request, `one_thread` with all requests in one.
"""

from __future__ import annotations

from km_cli.delivery.concurrency import Concurrency
from km_cli.delivery.courier import NOT_SENT, Courier
from km_cli.delivery.driver import Driver
from km_cli.delivery.one_thread import OneThread
from km_cli.delivery.policy import Policy
from km_cli.delivery.pool import Pool

__all__ = ["NOT_SENT", "Concurrency", "Courier", "Driver", "OneThread", "Policy", "Pool"]
