"""How the calls of a job are sent, as the options of a data source: text that any process can read.

Spark shows options in its plans and writes them into its event log. So an API key never stands in them, only
the variable or the file that holds it where the tasks run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

from km_cli.config.settings import Transport
from km_cli.config.sites import KEY_VARIABLE, Site
from km_cli.destinations import Target, parse_target
from km_cli.destinations.tracker import TrackerTarget
from km_cli.errors import UsageError, did_you_mean

T = TypeVar("T")

MOST_IN_FLIGHT = 256
"""Calls in flight over the whole cluster, if no other number is given."""

OPTIONS = (
    *("to", "site", "keyEnv", "keyFile", "sites", "receipts", "partitions", "maxInFlight", "rate"),
    *("timeout", "attempts", "transport", "receiptsEvery"),
)
"""The options of the data source, as they are written. Spark does not tell capitals from small letters."""

_KEYS = frozenset({"key", "apikey", "api_key", "_k", "km_api_key"})
"""Options by which a key would be given itself."""


class Delivery(NamedTuple):
    """How a job's calls are sent.

    `receipts` is the folder that takes the files of receipts. `partitions` is the number of tasks among which
    `in_flight` calls at a time and `rate` calls a second are divided. `timeout` and `receipts_every` are in
    seconds: the limit of an attempt, and how long a receipt may be in memory alone.
    """

    to: str
    sites: tuple[Site, ...]
    receipts: str
    partitions: int
    in_flight: int = MOST_IN_FLIGHT
    rate: float | None = None
    timeout: float = 30.0
    attempts: int = 10
    transport: Transport = Transport.AUTO
    receipts_every: float = 60.0

    @property
    def share(self) -> int:
        """How many calls a task may have in flight: one at least, so that each task gets on."""
        return max(1, self.in_flight // self.partitions)

    @property
    def share_of_rate(self) -> float | None:
        """How many calls a second a task may send."""
        return None if self.rate is None else self.rate / self.partitions

    @property
    def target(self) -> Target:
        """The destination. Raises UsageError."""
        return tracker_of(self.to)

    def options(self) -> dict[str, str]:
        """Return the options of the data source that mean this delivery."""
        found = {
            "to": self.to,
            "sites": json.dumps([site._asdict() for site in self.sites]),
            "receipts": self.receipts,
            "partitions": str(self.partitions),
            "maxInFlight": str(self.in_flight),
            "timeout": str(self.timeout),
            "attempts": str(self.attempts),
            "transport": self.transport.value,
            "receiptsEvery": str(self.receipts_every),
        }
        return found if self.rate is None else {**found, "rate": str(self.rate)}


def tracker_of(to: str) -> Target:
    """Return the tracker that `to` names. Raises UsageError for files of one machine."""
    target = parse_target(to, Path())
    if not isinstance(target, TrackerTarget):
        raise UsageError(
            f"--to {to} is a file of one machine, and the tasks of Spark run on many",
            "send to a tracker: --to kissmetrics, or its base URL",
        )
    return target


def delivery_of(options: Mapping[str, str]) -> Delivery:
    """Return the delivery that the options of a data source mean. Raises UsageError."""
    given = {name.lower(): value for name, value in options.items()}
    _check_names(given)
    for name in ("to", "receipts", "partitions"):
        if not given.get(name):
            raise UsageError(f"the option {name} is missing", _MISSING[name])
    delivery = Delivery(given["to"], _sites(given), given["receipts"], _number(given, "partitions", int, 1))
    tracker_of(delivery.to)
    return delivery._replace(
        in_flight=_number(given, "maxInFlight", int, MOST_IN_FLIGHT),
        rate=_number(given, "rate", float, 0.0) if "rate" in given else None,
        timeout=_number(given, "timeout", float, delivery.timeout),
        attempts=_number(given, "attempts", int, delivery.attempts),
        transport=_transport(given.get("transport", Transport.AUTO.value)),
        receipts_every=_number(given, "receiptsEvery", float, delivery.receipts_every),
    )


_MISSING = {
    "to": 'say where the calls go: .option("to", "kissmetrics")',
    "receipts": 'name the folder for the receipts of this plan: .option("receipts", "…/jobs/JOB/receipts")',
    "partitions": '.option("partitions", plan.rdd.getNumPartitions()): calls in flight are divided by it',
}


def _check_names(given: Mapping[str, str]) -> None:
    """Raise UsageError for an option that is not known. The value of one that may be a key is not shown."""
    known = {name.lower(): name for name in OPTIONS}
    for name in given:
        if name in _KEYS:
            raise UsageError(
                "an API key must not be an option: Spark writes options into its event log",
                "name the variable (keyEnv) or the file (keyFile) that holds the key where the tasks run",
            )
        if name not in known:
            raise UsageError(
                f"there is no option {name}",
                did_you_mean(name, OPTIONS, f"the options are {', '.join(OPTIONS)}"),
            )


def _sites(given: Mapping[str, str]) -> tuple[Site, ...]:
    """Return the sites: those of `sites`, or the one of `site` with `keyEnv` or `keyFile`."""
    if "sites" in given:
        try:
            return tuple(Site(**one) for one in json.loads(given["sites"]))
        except (ValueError, TypeError):
            raise UsageError(
                "the option sites cannot be read",
                'write it as [{"name": "main", "key_env": "KM_API_KEY"}], or give site and keyEnv',
            ) from None
    file = given.get("keyfile", "")
    variable = "" if file else given.get("keyenv", KEY_VARIABLE)
    return (Site(given.get("site", "main"), variable, file),)


def _number(given: Mapping[str, str], name: str, kind: Callable[[str], T], otherwise: T) -> T:
    text = given.get(name.lower())
    if text is None:
        return otherwise
    try:
        number = kind(text)
    except ValueError:
        number = kind("0")
    if not number > kind("0"):  # type: ignore[operator]  # both kinds are numbers
        raise UsageError(
            f"the option {name} is {text!r}, which is no number above 0", "give a number above 0"
        )
    return number


def _transport(text: str) -> Transport:
    try:
        return Transport(text)
    except ValueError:
        raise UsageError(f"the option transport is {text!r}", "give one of auto, requests, curl") from None
