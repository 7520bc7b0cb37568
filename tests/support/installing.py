"""What `backfill --print` prints, in an environment that this machine has no part in."""

from __future__ import annotations

from pathlib import Path

from tests.support.command import Command, Result
from tests.support.patience import PATIENCE

PROXIED = {
    name: ""
    for stem in ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
    for name in (stem, stem.upper())
} | dict.fromkeys(("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"), "")
"""Whatever this machine has set is none of the tests'."""


def printed(km: Command, folder: Path, *words: str | Path, form: str = "crontab") -> Result:
    """Print from within a folder, so that all paths are relative to it."""
    process = km.start("backfill", *words, "--print", form, cwd=folder)
    out, err = process.communicate(timeout=PATIENCE)
    return Result(process.returncode, out, err)
