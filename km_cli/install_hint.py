"""How to install a library that is missing: the command that is right wherever km-cli itself came from."""

from __future__ import annotations

import shlex
import sys
from importlib.util import find_spec

PACKAGES = {
    "fast": ("pycurl",),
    "metrics": ("prometheus-client",),
    "parquet": ("pyarrow",),
    "report": ("altair", "vl-convert-python"),
    "s3": ("s3fs",),
    "serve": ("starlette", "uvicorn"),
    "spark": ("pandas<3", "pyarrow", "pyspark"),
    "sql": ("duckdb", "psycopg[binary]"),
    "zst": ("zstandard",),
}
"""The packages of each extra, with the version that is too new, if there is one.

In a clone and under pipx pip knows their names, and not that of the extra."""


def install_command(extra: str) -> str:
    """Return the shell command that installs the packages of an extra for the Python that runs km-cli.

    The environments of uv have no pip; `uv pip` installs into them.
    """
    python, packages = shlex.quote(sys.executable), shlex.join(PACKAGES[extra])
    if find_spec("pip") is None:
        return f"uv pip install --python {python} {packages}"
    return f"{python} -m pip install {packages}"
