"""The values of `--to`: one spelling for each destination, and none to which a key must not go."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from km_cli.destinations import parse_target
from km_cli.destinations.tracker import check_url
from km_cli.errors import UsageError

FOLDER = Path("state")


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://trk.example.com", "https://trk.example.com"),
        ("https://trk.example.com/", "https://trk.example.com"),
        ("https://trk.example.com/a/b//", "https://trk.example.com/a/b"),
        ("https://TRK.Example.com:443", "https://trk.example.com"),
        ("https://trk.example.com:8443/", "https://trk.example.com:8443"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.9.9.9", "http://127.9.9.9"),
        ("http://LOCALHOST:80/x", "http://localhost/x"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
    ],
)
def test_a_base_url_has_one_spelling(url: str, base: str) -> None:
    assert check_url(url) == base
    assert check_url(base) == base
    assert parse_target(url, FOLDER).tracker == base


@pytest.mark.parametrize(
    "url",
    [
        "http://trk.example.com",
        "http://127.example.com",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "https://ada:secret@trk.example.com",
        "https://ada:secret@[::1",
        "http://127.0.0.1@trk.example.com",
        "http://127.0.0.1\\@trk.example.com",
        "http://127.0.0.1\\.trk.example.com",
        "https://trk.example.com?key=1",
        "https://trk.example.com/?",
        "https://trk.example.com/#e",
        "https://trk.example.com/#",
        "https://",
        "https:///e",
        "https://:443",
        "https://[::1",
        "https://trk.example.com:port",
        "https://trk.example.com:99999",
        "https://trk.exam ple.com",
        "https://trk.example.com\n",
        "https://trk.example.com/\t",
        "https://bücher.example",
        "https://trk.example.com/ä",
        "ftp://trk.example.com",
    ],
)
def test_no_key_goes_there(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_target(url, FOLDER)
    assert "secret" not in str(caught.value) + caught.value.hint


def test_kissmetrics_is_one_tracker_by_all_its_names() -> None:
    names = ("kissmetrics", "https://trk.kissmetrics.io/", "https://trk.kissmetrics.com")
    targets = [parse_target(name, FOLDER) for name in names]
    assert {target.tracker for target in targets} == {"kissmetrics"}
    assert [target.place for target in targets] == [
        "https://trk.kissmetrics.io",
        "https://trk.kissmetrics.io",
        "https://trk.kissmetrics.com",
    ]


@pytest.mark.parametrize(
    ("to", "place"),
    [
        ("local", "state/local.db"),
        ("local:", "state/local.db"),
        ("local:/tmp/x.db", "/tmp/x.db"),
        ("local:ada@example.com/x.db", "ada@example.com/x.db"),
    ],
)
def test_local_names_a_file_that_holds_store_and_ledger(to: str, place: str) -> None:
    target = parse_target(to, FOLDER)
    assert (target.tracker, target.place, target.own_ledger) == ("local", place, Path(place))


def test_a_bucket_needs_a_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    target = parse_target("S3://bucket/folder/history.csv.gz", Path())
    assert (target.tracker, target.spelled) == ("kissmetrics", "s3://bucket/folder/history.csv.gz")
    with pytest.raises(UsageError, match="needs s3fs, which is not installed"):
        target.check()


@pytest.mark.parametrize("to", ["", "kissmetric", "s4://bucket", "LOCAL", "trk.kissmetrics.io"])
def test_what_is_no_destination_is_refused(to: str) -> None:
    with pytest.raises(UsageError, match="not a destination"):
        parse_target(to, FOLDER)
