"""The stand-in reads requests as Kissmetrics does, and answers for none that are wrong."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from km_cli.standin import Event, Hit, Ignored, Kept, Person, Property, Store, decode
from tests.support.drawing import examples
from tests.support.standin import ARRIVAL, Request, T, after, call, fresh


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "local.db", now=lambda: ARRIVAL + 0.9)) as opened:
        yield opened


# The wire (W1, W2, W4)


def test_an_event_and_its_properties_are_kept(store: Store) -> None:
    kept = after(store, call(Plan="pro"))
    nothing = {"D1": 0, "D2": 0, "D4": 0, "repeat": 0}
    assert kept == Kept(1, 1, 1, 1, nothing, {"D7": 0, "D7-property": 0}, {})
    assert list(store.events()) == [Event("K", "ada", "Signed Up", T)]
    assert list(store.properties()) == [Property("K", "ada", "Plan", T, "pro")]
    assert list(store.people()) == [Person("K", ("ada",))]


@pytest.mark.parametrize(
    "given", [{"_d": None}, {"_d": 0}, {"_d": None, "_t": "rubbish"}, {"_d": "", "_t": 1}]
)
def test_w2_without_d_the_arrival_counts(store: Store, given: dict[str, object]) -> None:
    store.receive([call(**given)])
    assert [event.second for event in store.events()] == [ARRIVAL]


def test_w1_query_and_form_are_joined(store: Store) -> None:
    body = f"_n=Signed+Up&_t={T}&_d=1&Plan=a%2Bb%26c".encode()
    store.receive([("/base/e?_k=K&_p=ada", body), ("/e", b"_k=K&_p=bob&" + body)])
    assert [(p.person, p.value) for p in store.properties()] == [("ada", "a+b&c"), ("bob", "a+b&c")]


def test_w4_raw_plus_is_a_space_and_bad_utf8_is_replaced(store: Store) -> None:
    store.receive([(f"/e?_k=K&_p=a+b%40c&_n=%ff&_t={T}&_d=1&x=\udc80&&y", b"")])
    assert [(e.person, e.event) for e in store.events()] == [("a b@c", "\ufffd")]
    assert [(p.name, p.value) for p in store.properties()] == [("x", "?"), ("y", "")]


def test_reserved_parameters_are_no_properties(store: Store) -> None:
    assert after(store, call(_ip="1.2.3.4", _ua="x", _other="y")).properties == 0


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (call(_k=None), "no key"),
        (call(_k=" "), "no key"),
        (call(_p=None), "no person"),
        (call(_p=",: "), "no person"),
        (call(_n=None), "no event name"),
        (call("a", _n=""), "no other identity"),
        (call("x"), "no such call"),
        (("/", b""), "no such call"),
        (call(_t=None), "time not an integer"),
        (call(_t="1500000000.5"), "time not an integer"),
        (call(_t="1_500_000_000"), "time not an integer"),
        (call(_t="٣"), "time not an integer"),
        (call(_t="-"), "time not an integer"),
        (call(_t=1_230_767_999), "time before 2009"),
        (call(_t=-(10**30)), "time before 2009"),
        (call(_t=253_402_300_800), "time after 9999"),
        (call(_t="9" * 5000), "time after 9999"),
        (call(_p="p" * 256), "person over 255 characters"),
        (call(_n="n" * 256), "event name over 255 characters"),
        (call("a", _n="n" * 256), "other identity over 255 characters"),
    ],
)
def test_wrong_parameters_are_counted_and_forgotten(store: Store, request_: Request, reason: str) -> None:
    kept = after(store, request_)
    assert (kept.received, kept.people, kept.events, kept.ignored) == (1, 0, 0, {reason: 1})
    assert decode(*request_) == Ignored(reason)


@pytest.mark.parametrize(
    "parameters",
    [
        {"_t": 1_230_768_000},  # D6
        {"_t": 253_402_300_799},
        {"_t": "0001500000000"},
        {"_p": "é" * 255},  # D4 counts characters, not bytes
        {"_n": "é" * 255},
    ],
)
def test_what_is_just_within_bounds_is_kept(store: Store, parameters: dict[str, object]) -> None:
    kept = after(store, call(**parameters))
    assert (kept.events, kept.ignored) == (1, {})


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("n" * 256, "v", "property name over 255 characters"),
        ("n", "v" * 8193, "value over 8192 bytes"),
        ("n", "é" * 4097, "value over 8192 bytes"),
        ("", "v", "no property name"),
        (" :", "v", "no property name"),
        ("\u00a0", "v", "no property name"),
    ],
)
def test_a_property_that_is_wrong_takes_nothing_with_it(
    store: Store, name: str, value: str, reason: str
) -> None:
    kept = after(store, call(**{name: value, "Plan": "pro"}))
    assert (kept.events, kept.properties, kept.ignored) == (1, 1, {reason: 1})


def test_a_property_at_its_bounds_is_kept(store: Store) -> None:
    store.receive([call(**{"é" * 255: "é" * 4096})])
    assert [(len(p.name), len(p.value)) for p in store.properties()] == [(255, 4096)]


# What holds for all inputs

text = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("+&@=%;#, :/?"), max_size=30)
names = text.filter(lambda name: name.strip(" ,:\t\n") and not name.startswith("_") and name.strip())


def plain(name: str) -> str:
    """As D4 changes a name."""
    return name.replace(",", " ").replace(":", " ")


@settings(deadline=None, max_examples=examples(150))
@given(names, names, st.dictionaries(names, text, max_size=5), st.booleans())
def test_what_was_encoded_is_what_is_kept(
    person: str, event: str, properties: dict[str, str], posted: bool
) -> None:
    form = urlencode({"_k": "K", "_p": person, "_n": event, "_t": T, "_d": 1} | properties)
    request = ("/e", form.encode()) if posted else (f"/e?{form}", b"")
    changed = () if plain(person) == person else (person,)
    hit = Hit("e", "K", plain(person), event, T, tuple(properties.items()), (), (), changed)
    assert decode(*request) == hit
    with fresh() as store:
        store.receive([request])
        assert list(store.events()) == [Event("K", plain(person), plain(event), T)]
        last = {plain(name).casefold(): value for name, value in properties.items()}
        assert {p.name.casefold(): p.value for p in store.properties()} == last


@settings(max_examples=examples(300))
@given(st.text(max_size=60) | text.map(lambda t: f"/e?_k=1&_p=1&_n=1&_d=1&_t={t}"), st.binary(max_size=60))
def test_no_request_raises(path: str, body: bytes) -> None:
    assert isinstance(decode(path, body), Hit | Ignored)
