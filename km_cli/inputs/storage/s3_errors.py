"""What an error of an object store means: whether it passes by itself, and what to do about it.

Texts of the store are never repeated: they may have parts of credentials or of the request in them.
"""

from __future__ import annotations

import asyncio
from typing import Any

from km_cli.object_address import CREDENTIALS

_PASSING = {408, 429, 500, 502, 503, 504}
_PASSING_CODES = {"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "Throttling",
                  "ThrottlingException", "TooManyRequests", "RequestLimitExceeded"}  # fmt: skip
_ABSENT = {"NoSuchKey", "404", "NoSuchVersion"}
_CHANGED = {"PreconditionFailed", "412"}

_RENEW = "renew them; a run that begins with valid ones goes on where this one stopped"
_RIGHTS = (
    "check that the credentials have s3:GetObject and s3:ListBucket here; without the latter, "
    "a key that does not exist is refused as well"
)

_CODES: dict[str, tuple[str, str]] = {
    "NoSuchBucket": (
        "there is no such bucket",
        "check its name, and AWS_ENDPOINT_URL",
    ),
    "AccessDenied": ("access is denied", _RIGHTS),
    "AllAccessDisabled": ("access is denied", _RIGHTS),
    "403": ("access is denied", _RIGHTS),
    "ExpiredToken": ("the credentials have expired", _RENEW),
    "TokenRefreshRequired": ("the credentials have expired", _RENEW),
    "InvalidToken": ("the session token is not valid", f"check AWS_SESSION_TOKEN, or {_RENEW}"),
    "InvalidAccessKeyId": ("the store does not know the access key", f"check {CREDENTIALS}"),
    "SignatureDoesNotMatch": ("the secret key does not fit the access key", f"check {CREDENTIALS}"),
    "RequestTimeTooSkewed": ("this machine's clock is wrong", "set the clock, then run again"),
    "InvalidObjectState": ("the object is archived", "restore it first, as with S3 Glacier"),
    "KeyTooLongError": ("the key is too long", "a key has 1,024 bytes at most"),
    "SlowDown": ("the store asks for fewer requests", "run again later"),
}
"""What the codes of S3 say: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"""

_REGION = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301",
           "Redirect", "TemporaryRedirect"}  # fmt: skip


class Fault(Exception):
    """A request failed. `str(fault)` says why, and `hint` what to do.

    `is_passing` if the same request may work later, `is_unreachable` if the store did not answer at all,
    `is_absent` if there is no such object, `is_changed` if it is not the one that was asked for any more.
    """

    def __init__(self, message: str, hint: str, code: str = "", *, is_passing: bool = False) -> None:
        super().__init__(message)
        self.hint = hint
        self.code = code
        self.is_passing = is_passing
        self.is_unreachable = is_passing and not code
        self.is_absent = code in _ABSENT
        self.is_changed = code in _CHANGED


def fault_of(error: Exception) -> Fault | None:
    """Return what an error of s3fs and the libraries below it means; None if it is none of theirs."""
    import aiohttp
    from botocore import exceptions as boto

    # s3fs wraps an answer of the store into an OSError.
    cause = error.__cause__ if isinstance(error.__cause__, boto.ClientError) else error
    if isinstance(cause, boto.ClientError):
        return _of_answer(cause.response)
    if fault := _of_credentials(cause):
        return fault
    if isinstance(cause, boto.SSLError):
        return Fault(
            "the certificate of the object store cannot be verified",
            "check AWS_ENDPOINT_URL; AWS_CA_BUNDLE names the file of your own certificates",
            "certificate",
        )
    if isinstance(cause, boto.NoRegionError | boto.InvalidRegionError):
        return Fault("the region of the object store is not known", "set AWS_REGION", "region")
    passing = (
        *(boto.HTTPClientError, boto.ConnectionError, boto.IncompleteReadError),
        *(aiohttp.ClientError, asyncio.TimeoutError, OSError, EOFError),
    )
    if isinstance(cause, passing) or type(cause).__name__ == "ResponseParserError":
        return Fault(
            f"the object store does not answer ({type(cause).__name__})",
            "check the network and AWS_ENDPOINT_URL, then run again",
            is_passing=True,
        )
    if isinstance(cause, boto.BotoCoreError):
        return Fault(
            f"the object store cannot be asked ({type(cause).__name__})",
            "check AWS_ENDPOINT_URL, AWS_REGION and the files of the AWS configuration",
            type(cause).__name__,
        )
    if isinstance(cause, ValueError) and "endpoint" in str(cause).lower():
        return Fault("AWS_ENDPOINT_URL is not a URL", "set it as https://s3.example.com", "endpoint")
    return None


def _of_credentials(cause: BaseException) -> Fault | None:
    from botocore import exceptions as boto

    if isinstance(cause, boto.NoCredentialsError | boto.PartialCredentialsError):
        return Fault("there are no credentials for the object store", f"set {CREDENTIALS}", "credentials")
    if isinstance(cause, boto.ProfileNotFound):
        return Fault("there is no such profile of credentials", "check AWS_PROFILE", "credentials")
    if isinstance(cause, boto.CredentialRetrievalError | boto.TokenRetrievalError | boto.SSOError):
        return Fault("credentials cannot be obtained", f"log in again, or set {CREDENTIALS}", "credentials")
    return None


def _of_answer(response: Any) -> Fault:
    code = str(response.get("Error", {}).get("Code", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    is_passing = code in _PASSING_CODES or status in _PASSING
    if code in _REGION or (status == 301):
        return Fault(
            f"the bucket is in another region ({code})", "set AWS_REGION to the bucket's region", code
        )
    message, hint = _CODES.get(
        code, ("the object store refuses it", "check the address and AWS_ENDPOINT_URL")
    )
    if code not in _CODES and is_passing:
        message, hint = "the object store fails", "run again later"
    return Fault(f"{message} ({_named(code, status)})", hint, code or str(status), is_passing=is_passing)


def _named(code: str, status: int) -> str:
    """Return the code of an answer if it looks like one, with the status."""
    word = code if code.isascii() and code.isalnum() and len(code) <= 40 else ""
    return word if word == str(status) or not status else f"{word} {status}".strip()
