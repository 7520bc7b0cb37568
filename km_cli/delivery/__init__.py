"""Getting what is durable acknowledged: policy (when), pool (who)."""

from __future__ import annotations

from km_cli.delivery.policy import Policy
from km_cli.delivery.pool import Pool

__all__ = ["Policy", "Pool"]
