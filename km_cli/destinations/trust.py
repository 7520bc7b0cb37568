"""Checks the file of trusted certificates before the first call. No retry would help if it is wrong."""

from __future__ import annotations

import errno
import os
import ssl

from km_cli.errors import Exhausted, UsageError

_MEND = (
    "name a file of PEM certificates in REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE, or unset them to trust the "
    "usual certificates"
)


def check_bundle(verify: object) -> None:
    """Raise UsageError if the bundle that the environment names cannot be used.

    `verify` is its path, or True for the usual certificates.

    Raises Exhausted if this machine has no more files.
    """
    if not isinstance(verify, str):
        return
    try:
        os.stat(verify)
        if not os.path.isdir(verify):
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=verify)
    except ssl.SSLError:
        raise UsageError(f"the CA bundle {verify} holds no certificates that can be read", _MEND) from None
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise Exhausted(
                f"the CA bundle {verify} cannot be opened: too many files are open",
                "lower --concurrency, or raise the limit (ulimit -n)",
            ) from None
        fault = (
            "is not there" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        )
        raise UsageError(f"the CA bundle {verify} {fault}", _MEND) from None
