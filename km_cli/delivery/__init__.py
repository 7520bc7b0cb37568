"""Getting what is durable acknowledged: policy and stops (numbers), courier (order), pool (threads)."""

from __future__ import annotations

from km_cli.delivery.courier import NOT_SENT
from km_cli.delivery.policy import Policy
from km_cli.delivery.pool import Pool

__all__ = ["NOT_SENT", "Policy", "Pool"]
