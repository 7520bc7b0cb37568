"""Nested logs: paths into lists and JSON text, the members of one object, names and constants, who did it."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from km_cli.cli.terminal.described import described
from km_cli.errors import InputError
from km_cli.inputs.jsonl import parse_object
from km_cli.json_text import DEEPEST
from km_cli.mapping import (
    ColumnOptions,
    Columns,
    LeftOut,
    Mapper,
    Mapping,
    PersonaColumns,
    TimeOptions,
    make_condition,
    recognise_columns,
)
from km_cli.mapping.nested import ABSENT, members, value_at
from km_cli.model import Event, Persona, Properties, Reject, Row
from tests.support.command import Command
from tests.support.drawing import examples
from tests.support.running import settings as settings_of
from tests.support.tracker import Tracker

USER, ACCOUNT = Persona("user", "main"), Persona("account", "main")


def mapped(
    line: dict[str, Any],
    *personas: Persona,
    tabular: bool = False,
    normalised: defaultdict[str, int] | None = None,
    **wanted: Any,
) -> Event | Reject | LeftOut:
    """Map one row, given as an object; a table has its nested members as JSON text."""
    values: Any = parse_object(json.dumps(line).encode())
    found = tuple(_paths(values))
    if tabular:
        values = [one if isinstance(one, str) else json.dumps(line[name]) for name, one in values.items()]
        found = tuple(line)
    people = personas or (USER, ACCOUNT)
    mapper = Mapper(
        recognise_columns(ColumnOptions(**wanted), people, found, "log", tabular=tabular),
        found,
        tabular=tabular,
        personas=people,
        time_options=TimeOptions(),
        allowed=(),
        now=1_735_689_600,
        normalised=defaultdict(int) if normalised is None else normalised,
    )
    return mapper.map(Row("log", 7, json.dumps(line).encode(), values))


def _paths(values: dict[str, Any], prefix: str = "") -> list[str]:
    return [
        path
        for key, one in values.items()
        for path in (_paths(one, f"{prefix}{key}.") if isinstance(one, dict) else [prefix + key])
    ]


def sent(line: dict[str, Any], *personas: Persona, tabular: bool = False, **wanted: Any) -> dict[str, str]:
    """The properties of the actor's record."""
    event = mapped({**LINE, **line}, *personas, tabular=tabular, **wanted)
    assert isinstance(event, Event), event
    return dict(event.parts[0].properties)


LINE = {"user": "ada", "event": "Paid", "time": "2024-03-01T09:00:00Z"}


# Paths


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("groups.company.0", "Acme"),
        ("groups.company.1", "Beta"),
        ("groups.company.2", ABSENT),
        ("groups.company.-1", ABSENT),
        ("groups.company.x", ABSENT),
        ("groups.company.0.x", ABSENT),
        ("text.plan", "pro"),
        ("text.items.0.sku", "A-1"),
        ("plain.x", ABSENT),
        ("params.page", "/"),
        ("params.n", "3"),
        ("params.none", None),
        ("params.0.key", "page"),
        ("attributes.page", "/"),
        ("pairs.colour", "red"),
        ("inner.a.b", "part"),
        ("inner.c.d", "whole"),
        ("inside.a.b", "part"),
        ("inside.a.c", "whole"),
        ("listed.0.a.b", "part"),
        ("words.x", ABSENT),
        ("dotted.name", "whole"),
        ("missing.x", ABSENT),
    ],
)
def test_paths(path: str, expected: object) -> None:
    """Into objects, lists by number, JSON text, and lists of keys and values; a full name goes first."""
    line = {
        "groups": {"company": ["Acme", "Beta"]},
        "text": '{"plan": "pro", "items": [{"sku": "A-1"}]}',
        "plain": "pro",
        "params": [
            {"key": "page", "value": {"string_value": "/", "int_value": None}},
            {"key": "n", "value": {"int_value": 3}},
            {"key": "none", "value": {"string_value": None}},
        ],
        "attributes": [{"key": "page", "value": {"stringValue": "/"}}],
        "pairs": [{"name": "colour", "value": "red"}],
        "inner": {"a.b": "whole", "a": {"b": "part"}, "c.d": "whole"},
        "inside": '{"a.b": "whole", "a": {"b": "part"}, "a.c": "whole"}',
        "listed": [{"a.b": "whole", "a": {"b": "part"}}],
        "words": "[none]",
        "dotted.name": "whole",
        "dotted": {"name": "part"},
    }
    assert value_at(parse_object(json.dumps(line).encode()), path) == expected


@pytest.mark.parametrize(
    ("value", "code", "said"),
    [
        ('{"plan": ', "bad-json", "the JSON text in 'p' cannot be read: not JSON: expecting value, column 9"),
        ('{"plan": 1, "plan": 2}', "bad-json", "the key 'plan' occurs twice"),
        ('{"plan": NaN}', "bad-json", "NaN is not a number"),
        ('{"plan": "\\ud800"}', "bad-json", "half of a surrogate pair"),
        ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), "too-deep", "nested too deeply"),
        ([{"key": "a", "value": 1}, {"key": "a", "value": 2}], "bad-json", "a key occurs twice"),
    ],
)
def test_json_text_that_is_none(value: Any, code: str, said: str) -> None:
    """The row is rejected, with the column: its properties would be lost."""
    for tabular in [False] if isinstance(value, list) else [False, True]:
        result = mapped({**LINE, "p": value}, tabular=tabular, properties=("p.plan",))
        assert isinstance(result, Reject), result
        assert result.code == code
        assert said in result.reason


def test_a_cell_that_holds_no_json() -> None:
    """In a table, a path promises JSON: other text would be lost. An empty cell has no members."""
    result = mapped({**LINE, "p": "pro"}, tabular=True, properties=("p.plan",))
    assert isinstance(result, Reject)
    assert result.reason == "'p' holds no JSON object, but a path of the mapping reaches into it"
    assert sent({"p": ""}, tabular=True, properties=("p.plan",)) == {}
    assert sent({"p": " "}, tabular=True, properties=("p.*",)) == {}


# Identities


@pytest.mark.parametrize("tabular", [False, True])
def test_an_identity_in_a_list(tabular: bool) -> None:
    """The only item is the identity; of several the first is, with a finding, unless a number names one."""
    for companies, column, identity, several in (
        (["Acme"], "groups.company", "Acme", 0),
        ([7], "groups.company", "7", 0),
        ([], "groups.company", "", 0),
        (["Acme", "Beta"], "groups.company", "Acme", 1),
        (["Acme", "Beta"], "groups.company.1", "Beta", 0),
    ):
        account = ACCOUNT._replace(column=column)
        event = mapped(
            {**LINE, "groups": {"company": companies}}, USER, account, tabular=tabular, properties=()
        )
        assert isinstance(event, Event), event
        assert event.parts[1].identity == identity
        found = [one for one in event.findings if one.code == "one-of-several"]
        assert len(found) == several
        if found:
            assert found[0].message == "'groups.company' lists 2 values: only the first value is recorded"


def test_the_cure_for_a_list_of_several_works(km: Command, tmp_path: Path) -> None:
    """As the finding says it: the list would be a property that is nested."""
    log = tmp_path / "log.jsonl"
    log.write_text(json.dumps({**LINE, "account": ["Acme", "Beta"]}) + "\n")
    assert "Add --exclude-property COLUMN." in km("dry-run", log).ended(0).out
    cured = km("dry-run", log, "--account", "account.1", "--exclude-property", "account").ended(0).out
    assert "one-of-several" not in cured
    assert "identify  Beta  (account)" in cured


def test_other_columns_take_no_list_of_several() -> None:
    """A wrong time, event or alias could not be taken back."""
    for wanted in ({"timestamp": "x"}, {"event": "x"}, {"id": "x"}):
        result = mapped({**LINE, "x": ["a", "b"]}, properties=(), **wanted)
        assert isinstance(result, Reject)
        assert result.code == "nested"
    alias = USER._replace(alias="x")
    assert isinstance(mapped({**LINE, "x": ["a", "b"]}, alias, properties=()), Reject)


@pytest.mark.parametrize("tabular", [False, True])
@pytest.mark.parametrize(
    ("cells", "identity"),
    [
        (("ada", "x9"), "ada"),
        (("", "x9"), "x9"),
        (("  ", "x9"), "x9"),
        (("N/A", "x9"), "x9"),
        ((" n/a ", " x9 "), "x9"),
        (("", "-"), ""),
        (("", ""), ""),
    ],
)
def test_several_columns_of_one_persona(tabular: bool, cells: tuple[str, str], identity: str) -> None:
    """The first that is not empty has the identity; a value that means nobody counts as empty (before I1)."""
    user = USER._replace(column="userId", others=("anonymousId",), nobody=("n/a", "-"))
    line = {"userId": cells[0], "anonymousId": cells[1], "account": "Acme", **LINE}
    del line["user"]
    event = mapped(line, user, ACCOUNT, tabular=tabular)
    assert isinstance(event, Event), event
    assert event.parts[0].identity == identity
    assert event.parts[0].properties == ()
    assert [one.code for one in event.findings] == ([] if identity else ["no-user"])


def test_several_columns_in_words() -> None:
    columns = Columns((PersonaColumns("user", "id", others=("visitor",)),), "did", "at", "", (), (), False)
    assert described(columns).startswith(
        "user from 'id', or from 'visitor' if that is empty, event from 'did'"
    )


def test_one_column_for_two_personas() -> None:
    """One of them is wrong, also if it is a second column."""
    user = USER._replace(column="userId", others=("account",))
    with pytest.raises(InputError, match="the column 'account' is asked for as account and as user"):
        mapped({**LINE, "userId": "ada", "account": "Acme"}, user, ACCOUNT._replace(column="account"))


def test_rows_that_name_nobody() -> None:
    """They are skipped instead of rejected; a row with an account is sent."""
    for members_, kind in (
        ({"user": ""}, LeftOut),
        ({"user": "", "event": ""}, LeftOut),
        ({"user": "", "account": "Acme"}, Event),
        ({"user": "guest"}, Reject),
    ):
        line = {**LINE, "account": "", **members_}
        assert isinstance(mapped(line, skip_anonymous=True), kind)
    assert isinstance(mapped({**LINE, "user": "", "account": ""}), Reject)


# Properties


@pytest.mark.parametrize("tabular", [False, True])
def test_the_members_of_one_object(tabular: bool) -> None:
    """Without the object's name; deeper ones with dots; those with a role of their own are left out."""
    inner = {
        "plan": "pro",
        "seats": 5,
        "none": None,
        "deep": {"x": {"y": True}, "list": ["a", "b"], "one": ["a"], "text": '{"z": 1}'},
        "params": [{"key": "page", "value": {"string_value": "/"}}],
        "company": ["Acme"],
        "off": 1,
    }
    account = ACCOUNT._replace(column="props.company")
    assert sent(
        {"props": inner, "device": "mac"},
        USER,
        account,
        tabular=tabular,
        properties=("device", "props.*"),
        exclude=("props.off",),
    ) == {
        "device": "mac",
        "plan": "pro",
        "seats": "5",
        "deep.x.y": "true",
        "deep.list.0": "a",
        "deep.list.1": "b",
        "deep.one": "a",
        "deep.text": '{"z": 1}',
        "params.page": "/",
    }


@pytest.mark.parametrize("tabular", [False, True])
def test_each_personas_own_members(tabular: bool) -> None:
    """A persona may carry the members of one object, and another one of a single member."""
    account = ACCOUNT._replace(properties=("props.plan",))
    line = {**LINE, "account": "Acme", "props": {"plan": "pro", "seats": 5}, "x": "1"}
    event = mapped(line, USER._replace(properties=("props.*",)), account, tabular=tabular)
    assert isinstance(event, Event), event
    assert [dict(part.properties) for part in event.parts] == [{"plan": "pro", "seats": "5"}, {"plan": "pro"}]


@pytest.mark.parametrize("tabular", [False, True])
@pytest.mark.parametrize("flatten", [False, True])
@pytest.mark.parametrize("path", ["props", "outer.props"])
def test_the_members_of_one_object_and_all_columns(tabular: bool, flatten: bool, path: str) -> None:
    """A persona without a list of its own carries all properties, under the same names."""
    members_ = {"plan": "pro", "seats": 5}
    line = {**LINE, "account": "Acme", "x": "1"}
    line |= {"props": members_} if path == "props" else {"outer": {"props": members_}}
    user = USER._replace(properties=(f"{path}.*",))
    exclude = ("outer",) if tabular and path != "props" else ()
    event = mapped(line, user, ACCOUNT, tabular=tabular, flatten=flatten, exclude=exclude)
    assert isinstance(event, Event), event
    sent_ = [dict(part.properties) for part in event.parts]
    assert sent_ == [{"plan": "pro", "seats": "5"}, {"x": "1", "plan": "pro", "seats": "5"}]


@pytest.mark.parametrize("wanted", [{"properties": ("p.*",)}, {"flatten": True}])
def test_two_members_at_one_path(wanted: dict[str, Any]) -> None:
    result = mapped({**LINE, "p": {"a.b": 1, "a": {"b": 2}}}, **wanted)
    assert isinstance(result, Reject)
    said = "two members at 'p.a.b', one in an object and one with dots, would become one property (D4)"
    assert (result.code, result.reason) == ("twice", said)


@pytest.mark.parametrize(
    ("name", "tabular", "said"),
    [
        ("account", False, "the constant 'account' of km.toml and the account's identity would be one"),
        ("account", True, "the constant 'account' of km.toml and the account's identity would be one"),
        ("Plan", True, "the constant 'Plan' of km.toml and the column 'plan' would be one property"),
    ],
)
def test_a_constant_that_no_row_could_carry(name: str, tabular: bool, said: str) -> None:
    """It is said before a row is read."""
    user = USER._replace(link=(("Account", "account"),))
    line = {**LINE, "account": "Acme", "plan": "pro"}
    with pytest.raises(InputError, match=said):
        mapped(line, user, ACCOUNT, tabular=tabular, constant=((name, "x"),))
    assert mapped(line, user, ACCOUNT, tabular=tabular, constant=(("Source", "x"),))


@pytest.mark.parametrize("tabular", [False, True])
def test_items_are_counted_from_0(tabular: bool) -> None:
    account = ACCOUNT._replace(column="groups.company.-1")
    with pytest.raises(
        InputError, match=r"'groups\.company\.-1' .* before the first item of a list"
    ) as raised:
        mapped({**LINE, "groups": {"company": ["Acme"]}}, USER, account, tabular=tabular, properties=())
    assert raised.value.hint == "count from 0: 'groups.company.0' is the first item"
    if not tabular:
        assert sent({"groups": {"-1": "x"}}, properties=("groups.-1",)) == {"groups.-1": "x"}


@pytest.mark.parametrize("tabular", [False, True])
def test_new_names_and_constants(tabular: bool) -> None:
    """A property may have another name than its column; a constant is on every record."""
    for line, wanted, expected in (
        ({"props": {"plan": "pro"}}, {"properties": ("props.plan",), "rename": (("props.plan", "plan"),)},
         {"plan": "pro"}),
        ({"props": {"plan": "pro"}}, {"properties": ("props.*",), "rename": (("props.plan", "Plan"),)},
         {"Plan": "pro"}),
        ({"_x": "1", "y": ""}, {"rename": (("_x", "x"),)}, {"x": "1"}),
        ({"x": "1"}, {"constant": (("source", "import"),)}, {"x": "1", "source": "import"}),
        ({"x": "1"}, {"properties": (), "constant": (("source", "import"),)}, {"source": "import"}),
    ):  # fmt: skip
        assert sent(line, tabular=tabular, **wanted) == expected


@pytest.mark.parametrize("tabular", [False, True])
@pytest.mark.parametrize(
    ("line", "wanted", "code", "said"),
    [
        ({"plan": "a", "p": {"Plan": "b"}}, {"properties": ("plan", "p.*")}, "twice",
         "'plan' and 'p.Plan' would become one property, 'Plan' (D4)"),
        ({"a": "1", "b": "2"}, {"rename": (("b", "a"),)}, "twice", "'a' and 'b' would become one property"),
        ({"p": {"a": "1"}}, {"properties": ("p.*",), "constant": (("A", "x"),)}, "twice",
         "the constant 'A' and 'p.a' would become"),
        ({"p": {"_x": "1"}}, {"properties": ("p.*",)}, "reserved", "--exclude-property p._x leaves it out"),
        ({"p": {"x" * 255: "1"}}, {"properties": ("p.*",)}, "D4-long", "255 characters"),
    ],
)  # fmt: skip
def test_names_that_cannot_be_sent(
    tabular: bool, line: dict[str, Any], wanted: dict[str, Any], code: str, said: str
) -> None:
    """The rules for names hold for the names that are sent (D4, reserved names)."""
    result = mapped({**LINE, **line}, tabular=tabular, **wanted)
    assert isinstance(result, Reject), result
    assert result.code == code
    assert said in result.reason


def test_a_link_and_a_member_of_one_name() -> None:
    """They would be one property (D4)."""
    user = USER._replace(link=(("Plan", "account"),))
    line = {**LINE, "account": "Acme", "p": {"plan": "pro"}}
    for tabular in (False, True):
        result = mapped(line, user, ACCOUNT, tabular=tabular, properties=("p.*",))
        assert isinstance(result, Reject)
        assert result.code == "twice"


def test_an_exclusion_names_the_outermost_object() -> None:
    """One word is enough, and it leaves out everything in the object."""
    line = {**LINE, "context": {"page": {"url": "/"}, "ip": "::1"}}
    for account, exclude in ((ACCOUNT, ()), (ACCOUNT._replace(column="context.ip"), ())):
        result = mapped(line, USER, account, exclude=exclude)
        assert isinstance(result, Reject)
        assert "--exclude-property context leaves" in result.reason
    event = mapped(line, USER, ACCOUNT._replace(column="context.ip"), exclude=("context",))
    assert isinstance(event, Event)
    assert (event.parts[1].identity, event.parts[0].properties) == ("::1", ())


@pytest.mark.parametrize("key", ["exclude", "ignore"])
def test_an_object_of_a_flat_table_is_excluded(key: str) -> None:
    """Tables made of nested logs have one column for each member."""
    table = {**LINE, "context.ip": "::1", "context.page.url": "/", "plan": "pro"}
    assert sent(table, tabular=True, **{key: ("context",)}) == {"plan": "pro"}


def test_a_column_of_a_table_is_excluded_alone() -> None:
    """It is no object if the table has a column of exactly that name."""
    table = {**LINE, "plan": "pro", "plan.name": "Pro", "context": "", "context.ip": "::1"}
    assert sent(table, tabular=True, exclude=("plan", "context")) == {"plan.name": "Pro", "context.ip": "::1"}


@pytest.mark.parametrize("org", ["[none]", "{x}", "{", "[", "-", "[nobody"])
def test_a_word_in_brackets_on_the_way_of_a_path_has_no_members(org: str) -> None:
    """Its row makes the user's calls, as it did before texts were opened."""
    event = mapped({**LINE, "org": org}, USER, ACCOUNT._replace(column="org.id"), properties=())
    assert isinstance(event, Event)
    assert [part.identity for part in event.parts] == ["ada", ""]


@pytest.mark.parametrize("wanted", [{"id": "p.*"}, {"exclude": ("p.*",)}, {"rename": (("p.*", "x"),)}])
def test_only_properties_can_be_all_members(wanted: dict[str, Any]) -> None:
    """Anything else is one column, or one object."""
    for more in ({}, {"sets": ("p.*",)}):
        with pytest.raises(
            InputError, match=r"'p\.\*' .* means all members of an object, not one column"
        ) as raised:
            mapped({**LINE, "p": {"x": 1}}, USER._replace(**more), **({} if more else wanted))
        assert raised.value.hint == "name one column, or the object itself: 'p'"


NAMES = st.text("abc_.", max_size=3)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("ab{[", max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


def naive(value: Any, path: str) -> list[tuple[str, Any]]:
    """All single values in a value, by a second reading of the rule."""
    if isinstance(value, list) and len(value) == 1:
        return naive(value[0], path)
    if isinstance(value, list):
        value = {str(at): one for at, one in enumerate(value)}
    if not isinstance(value, dict):
        return [(path, value)]
    return [pair for key, one in value.items() for pair in naive(one, f"{path}.{key}")]


@given(st.dictionaries(NAMES, VALUES, max_size=4))
@settings(max_examples=examples(200))
def test_no_member_is_lost(value: dict[str, Any]) -> None:
    """Each single value in an object comes out once, as an object, and as JSON text."""
    expected = [pair for key, one in value.items() for pair in naive(one, f"p.{key}")]
    assert list(members(value, "p", ())) == expected
    as_text = parse_object(json.dumps({"p": value}).encode())["p"]
    assert list(members(json.dumps(value), "p", ())) == list(members(as_text, "p", ()))


# Rows without an event, and aliases that are withheld


NO_EVENT = {"user": "ada", "time": "2024-03-01T09:00:00Z"}


@pytest.mark.parametrize(
    ("more", "wanted", "code"),
    [
        ({}, {}, "no-event"),
        ({"old": "anna"}, {"withheld_alias": "old"}, "alias-left-out"),
    ],
)
def test_a_constant_alone_is_no_call(more: dict[str, Any], wanted: dict[str, Any], code: str) -> None:
    result = mapped(
        {**NO_EVENT, **more}, event="", without_event="set", constant=(("source", "import"),), **wanted
    )
    assert isinstance(result, Reject | LeftOut)
    assert result.code == code


def test_constants_are_on_records_alone() -> None:
    event = mapped({**NO_EVENT, "plan": "pro"}, without_event="set", constant=(("source", "import"),))
    assert isinstance(event, Event)
    assert event.parts[0].sets == (("plan", "pro"),)


def test_a_set_column_and_a_property_of_a_row_without_an_event() -> None:
    who = Persona("user", "main", properties=("city",), sets=("plan",))
    event = mapped({**NO_EVENT, "plan": "pro", "city": "Rome"}, who, without_event="set")
    assert isinstance(event, Event)
    assert event.parts[0].sets == (("plan", "pro"), ("city", "Rome"))


@pytest.mark.parametrize(
    ("old", "path", "code"), [(["a", {"b": "c"}], "old", "nested"), ('{"bad', "old.id", "bad-json")]
)
def test_a_withheld_alias_that_cannot_be_read(old: Any, path: str, code: str) -> None:
    """Its row is rejected, as it would be if the alias were sent."""
    result = mapped({**LINE, "old": old}, withheld_alias=path, properties=())
    assert isinstance(result, Reject)
    assert result.code == code


def test_reserved_names_are_counted_once_a_row() -> None:
    """Each persona carries other columns than the row has in all."""
    people = USER._replace(properties=("_x", "plan")), ACCOUNT._replace(properties=("plan",))
    normalised: defaultdict[str, int] = defaultdict(int)
    line = {**LINE, "account": "Acme", "_x": "1", "plan": "pro"}
    assert isinstance(mapped(line, *people, leave_out_reserved=True, normalised=normalised), Event)
    assert normalised["reserved-names"] == 1


# Conditions


@pytest.mark.parametrize(
    ("conditions", "taken"),
    [
        (["type=track"], True),
        (["type = track"], True),
        (["type=page"], False),
        (["type!=page"], True),
        (["type!=track"], False),
        (["type in page, track"], True),
        (["type in page,screen"], False),
        (["type=track", "test!=true"], False),
        (["other="], True),
        (["props.kind=a=b"], True),
    ],
)
@pytest.mark.parametrize("tabular", [False, True])
def test_conditions(tabular: bool, conditions: list[str], taken: bool) -> None:
    """All must hold; texts are compared as they are. A column that a row lacks is empty."""
    line = {**LINE, "type": " track", "test": "true", "other": "", "props": {"kind": "a=b"}}
    where = tuple(map(make_condition, conditions))
    result = mapped(line, tabular=tabular, where=where, properties=())
    assert isinstance(result, Event if taken else LeftOut)


# What is kept


PAIRS = st.lists(st.tuples(NAMES, NAMES), max_size=2).map(tuple)
TEXTS = st.lists(NAMES, max_size=2).map(tuple)


HASHED = st.one_of(st.just(((), (), "")), st.tuples(TEXTS, TEXTS, st.just("0123456789abcdef")))
"""Columns that stay home, and the key's fingerprint, which only such columns have."""


@given(PAIRS, PAIRS, st.lists(st.builds(make_condition, st.just("a in b,c")), max_size=2).map(tuple),
       st.booleans(), TEXTS, TEXTS,
       st.tuples(st.sampled_from(["", "set"]), st.booleans(), NAMES, NAMES, NAMES, TEXTS),
       HASHED, NAMES)  # fmt: skip
@settings(max_examples=examples(100))
def test_a_reading_keeps_how_it_is_read(
    rename: Properties,
    constant: Properties,
    where: tuple[Any, ...],
    skip: bool,
    others: tuple[str, ...],
    nobody: tuple[str, ...],
    newer: tuple[Any, ...],
    hashed: tuple[Any, ...],
    source: str,
) -> None:
    """The ledger keeps a mapping as text. `newer` and `hashed` are without_event and all fields behind it."""
    newer = (*newer, *hashed)
    who = PersonaColumns("user", "u", "", None, (), others, nobody)
    columns = Columns((who,), "e", "t", "", None, (), False, "", (), rename, constant, where, skip, *newer)
    assert len(newer) == len(Columns._fields) - Columns._fields.index("without_event")
    mapping = Mapping(columns, TimeOptions(), "digest", source)
    assert Mapping.from_json(mapping.to_json()) == mapping


def test_older_ledgers_go_on(tmp_path: Path) -> None:
    """With no new key in use, mappings and digests are those of version 0.2, to the byte."""
    columns = Columns((PersonaColumns("user", "u"),), "e", "t", "", None, (), False)
    assert Mapping(columns, TimeOptions()).to_json() == (
        '[[[["user", "u", "", null, []]], "e", "t", "", null, [], false, "", []], ["", "", ""], ""]'
    )
    plain = settings_of(tmp_path / "ledger.db")
    assert plain.asked == "831cd0f2703a5778ba251efae4815bf03a101538381ee109d5465c97741f8a6c"
    options = ColumnOptions("e", "t", "i", ("a", "b"), ("c",), True, "", ("off",))
    ignoring = settings_of(tmp_path / "ledger.db", column_options=options)
    assert ignoring.asked == "2d0cea6f7f725c01d5f29f822cb83f535bfb8ea2ea03cbdde6e05620958a4e4b"
    for changes in (
        {"rename": (("a", "b"),)},
        {"constant": (("a", "b"),)},
        {"where": (make_condition("a=b"),)},
        {"skip_anonymous": True},
    ):
        assert (
            settings_of(tmp_path / "l.db", column_options=ColumnOptions()._replace(**changes)).asked
            != plain.asked
        )


# The command


def test_a_row_that_names_an_account_is_not_anonymous(importer: Command, tmp_path: Path) -> None:
    """It is rejected as without --skip-anonymous, and so is a corrected reject that names no persona."""
    log, rejects = tmp_path / "log.csv", tmp_path / "rejects.jsonl"
    time = "2024-03-01T09:00:00Z"
    log.write_text(
        f"user,account,event,timestamp\nada,,Paid,{time}\n,Acme,Paid,{time}\n,,Paid,{time}\n", "utf-8"
    )
    words = ("--strategy", "property", "--skip-anonymous", "--json")
    summary = importer("import", log, "--rejects", rejects, *words).ended(65).summary
    assert (summary["rows"]["rejected"], summary["findings"]["anonymous"]) == (1, 1)
    rejects.write_text(rejects.read_text("utf-8").replace(",Acme,", ",,"), "utf-8")
    again = importer("import", rejects, "--rejects", tmp_path / "again.jsonl", *words).ended(65).summary
    assert again["rows"]["rejected"] == 1


KM_TOML = """
[columns]
timestamp = "properties.time"
properties = ["properties.*"]
rename = { "properties.plan" = "Plan" }
constant = { source = "import" }
where = ["type!=page"]
skip_anonymous = true

[[personas]]
name = "user"
column = ["properties.distinct_id", "anonymous"]
nobody = ["n/a"]

[[personas]]
name = "account"
column = "properties.company"
"""
LINES: list[dict[str, Any]] = [
    {"type": "track", "properties": {"distinct_id": "ada", "company": ["Acme"], "plan": "pro", "n": 1}},
    {"type": "track", "properties": {"distinct_id": "n/a", "company": ["Acme"]}, "anonymous": "x9"},
    {"type": "track", "properties": {"distinct_id": "n/a"}},
    {"type": "page", "properties": {"distinct_id": "ada"}},
]


def log_of(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines with an event, and a second each."""
    return [
        {
            "event": "Paid",
            "anonymous": "",
            **one,
            "properties": {"time": 1709283600 + at, **one["properties"]},
        }
        for at, one in enumerate(lines)
    ]


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_the_keys_of_km_toml(importer: Command, tracker: Tracker, tmp_path: Path, form: str) -> None:
    """The same calls arrive from objects and from a table with JSON text; every row is accounted for."""
    (tmp_path / "km.toml").write_text(KM_TOML)
    log, lines = tmp_path / f"log.{form}", log_of(LINES)
    if form == "jsonl":
        log.write_text("".join(json.dumps(one) + "\n" for one in lines))
    else:
        text = io.StringIO()
        writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({**one, "properties": json.dumps(one["properties"])} for one in lines)
        log.write_text(text.getvalue())
    summary = importer("import", log, "--config", tmp_path / "km.toml", "--json").ended(0).summary
    assert summary["rows"] == {
        "read": 4, "sent": 2, "skipped": 2, "rejected": 0, "held": 0, "pending": 0,
    }  # fmt: skip
    assert summary["findings"].items() >= {"anonymous": 1, "left-out": 1}.items()
    names = ("_p", "Plan", "n", "source")
    assert sorted(tuple(one.params.get(name, "") for name in names) for one in tracker.seen) == [
        ("Acme", "", "", "import"),
        ("Acme", "pro", "1", "import"),
        ("ada", "pro", "1", "import"),
        ("x9", "", "", "import"),
    ]


def test_a_message_lists_the_likely_columns() -> None:
    """At most twenty of them, those with usual names first, and then the way to see all."""
    numbered = (f"context.c{at}.x" for at in range(200))
    found = (*numbered, "context.traits.email", "user_id", "deep.at.ts")
    with pytest.raises(InputError) as raised:
        recognise_columns(ColumnOptions(), (USER, ACCOUNT), found, "my log.jsonl", tabular=False)
    assert "columns found, 20 of 203: user_id, context.traits.email, deep.at.ts, context.c0.x, " in str(
        raised.value
    )
    assert str(raised.value).count("context.c") == 17
    assert raised.value.hint.endswith("; or let `km-cli init 'my log.jsonl'` look at all columns")
    with pytest.raises(InputError) as raised:
        recognise_columns(ColumnOptions(event="context.c7.y"), (), found, "<stdin>", tabular=False)
    assert raised.value.hint == "did you mean 'context.c7.x'?; or let `km-cli init FILE` look at all columns"
