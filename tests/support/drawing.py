"""How many examples hypothesis draws: all of them in `.ci/run`, a quarter in a newcomer's test run."""

import os

IS_CI = os.environ.get("KM_CLI_REQUIRE") == "all"


def examples(number: int) -> int:
    """Return `number`, or a quarter of it where tests have to be quick."""
    return number if IS_CI else max(1, number // 4)
