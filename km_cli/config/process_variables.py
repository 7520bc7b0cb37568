"""The variables of a process that is not a command: a task on a cluster, which gets no Environment."""

from __future__ import annotations

import os
from collections.abc import Mapping


def process_variables() -> Mapping[str, str]:
    """Return the variables of this process."""
    return os.environ
