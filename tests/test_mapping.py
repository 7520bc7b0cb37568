"""Rows to events: the columns of the roles, the identities that are refused, the properties that are sent."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from km_cli.errors import InputError
from km_cli.inputs.jsonl import parse_object
from km_cli.kissmetrics import PLACEHOLDERS
from km_cli.mapping import (
    ColumnOptions,
    Columns,
    Mapper,
    Mapping,
    PersonaColumns,
    TimeOptions,
    property_columns,
    recognise_columns,
)
from km_cli.mapping.found_columns import USUAL
from km_cli.mapping.identities import Identities
from km_cli.model import Event, Persona, PersonaPart, Reject, Row
from tests.support.running import TOGGLE

NOW = 1_735_689_600  # 2025-01-01
T = "2024-01-01T00:00:00Z"
NANOSECONDS = 1_704_067_200_000_000_000
USUAL_COLUMNS = ("user", "account", "event", "timestamp")


def understood(found: str, *, tabular: bool = True, **wanted: Any) -> Columns:
    """The columns of a header such as `user,event`; `user` and `account` are asked for too."""
    personas = asked(wanted)
    return recognise_columns(
        ColumnOptions(**wanted), personas, tuple(found.split(",")), "log", tabular=tabular
    )


def asked(wanted: dict[str, Any]) -> tuple[Persona, ...]:
    """Take the columns of user and account out of the options."""
    return tuple(persona._replace(column=wanted.pop(persona.name, "")) for persona in TOGGLE)


def roles(columns: Columns) -> dict[str, str]:
    """The columns that were chosen, without the roles that have none."""
    user, account = (who.identity for who in columns.personas)
    chosen = {"user": user, "account": account, "event": columns.event, "timestamp": columns.timestamp}
    return {role: column for role, column in {**chosen, "id": columns.id}.items() if column}


class Mapped:
    """One row mapped, with the findings on the way."""

    def __init__(
        self,
        values: Any,
        found: tuple[str, ...],
        wanted: ColumnOptions = ColumnOptions(),  # noqa: B008
        personas: tuple[Persona, ...] = TOGGLE,
        *,
        time_options: TimeOptions = TimeOptions(),  # noqa: B008
        allowed: tuple[str, ...] = (),
    ) -> None:
        self.normalised: defaultdict[str, int] = defaultdict(int)
        tabular = isinstance(values, list)
        raw = json.dumps(values).encode()
        mapper = Mapper(
            recognise_columns(wanted, personas, found, "log", tabular=tabular),
            found,
            tabular=tabular,
            personas=personas,
            time_options=time_options,
            allowed=allowed,
            now=NOW,
            normalised=self.normalised,
        )
        self.result = mapper.map(Row("log", 7, raw, values))
        self.findings = list(self.result.findings) if isinstance(self.result, Event) else []

    @property
    def event(self) -> Event:
        assert isinstance(self.result, Event), self.result
        return self.result

    @property
    def identities(self) -> tuple[str, ...]:
        return tuple(part.identity for part in self.event.parts)

    @property
    def reject(self) -> Reject:
        assert isinstance(self.result, Reject), self.result
        return self.result


def cells(user: str = "ada", account: str = "Acme", event: str = "In", time: str = T, **more: Any) -> Mapped:
    return Mapped([user, account, event, time], USUAL_COLUMNS, **more)


def with_properties(names: str, *values: str, **wanted: Any) -> Mapped:
    """A CSV row with these properties."""
    found = (*USUAL_COLUMNS, *names.split(","))
    personas = asked(wanted)
    return Mapped(["ada", "Acme", "In", T, *values], found, ColumnOptions(**wanted), personas)


def objects(members: str, *, found: str = "", **wanted: Any) -> Mapped:
    """A JSON row with these members beside the usual ones; `found` are keys of earlier rows."""
    values = parse_object(b'{"user":"ada","event":"In","time":1704067200,' + members.encode() + b"}")
    names = ["user", "event", "time", *filter(None, found.split(","))]
    names += [name for name in values if name not in names and not isinstance(values[name], dict)]
    personas = asked(wanted)
    return Mapped(values, tuple(names), ColumnOptions(**wanted), personas)


# Columns


@pytest.mark.parametrize(("role", "name"), [(role, name) for role in USUAL for name in USUAL[role]])
@pytest.mark.parametrize("spelled", [str, str.upper, lambda name: name.replace("_", " ").title()])
def test_usual_names(role: str, name: str, spelled: Any) -> None:
    """Each is recognised, in upper case, and with blanks."""
    names = {"user": "user", "event": "event", "timestamp": "time", role: spelled(name)}
    assert roles(understood(",".join(names.values())))[role] == spelled(name)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ("ts,date,time,event,user", {"user": "user", "event": "event", "timestamp": "time"}),
        ("identity,email,event,ts", {"user": "email", "event": "event", "timestamp": "ts"}),
        ("tenant,group,org,action,ts", {"account": "org", "event": "action", "timestamp": "ts"}),
        ("activity,event_name,user_id,ts", {"user": "user_id", "event": "event_name", "timestamp": "ts"}),
        ("id,user,event,ts", {"user": "user", "event": "event", "timestamp": "ts"}),
    ],
)
def test_the_first_usual_name_wins(found: str, expected: dict[str, str]) -> None:
    """In the order of the design, not of the file. An `id` is asked for, never guessed."""
    assert roles(understood(found)) == expected


@pytest.mark.parametrize(
    ("found", "wanted", "expected"),
    [
        ("who,what,when,event", {"user": "who", "event": "what", "timestamp": "when"},
         {"user": "who", "event": "what", "timestamp": "when"}),
        ("Who,event,ts", {"user": "WHO"}, {"user": "Who"}),
        ("user,company,event,ts", {"user": "company"}, {"user": "company"}),
        ("user,org,company,event,ts", {"account": "company"}, {"user": "user", "account": "company"}),
        ("user,event,event_id,ts", {"id": "event_id"}, {"user": "user", "id": "event_id"}),
        ("user,event,event_name,ts", {"id": "event"},
         {"user": "user", "id": "event", "event": "event_name"}),
    ],
)  # fmt: skip
def test_flags_name_columns(found: str, wanted: dict[str, str], expected: dict[str, str]) -> None:
    """A column that a flag names gets no other role."""
    chosen = roles(understood(found, **wanted))
    assert chosen == {"event": "event", "timestamp": chosen["timestamp"], **expected}


@pytest.mark.parametrize(
    ("found", "personas", "expected"),
    [
        ("user_id,email,event,ts", ({"name": "user", "alias": "user_id"},), "email"),
        ("user,company,event,ts", ({"name": "user", "sets": ("company",)}, {"name": "account"}), "user "),
        ("user,company,event,ts", ({"name": "user"}, {"name": "account"}, {"name": "company"}),
         "user  company"),
        ("user,org,company,event,ts", ({"name": "company"}, {"name": "account"}), "company org"),
        ("user,contact,event,ts", ({"name": "user"}, {"name": "contact"}, {"name": "Contact"}),
         "user contact "),
        ("email,event,ts", ({"name": "user", "sets": ("email",)},), "email"),
    ],
)  # fmt: skip
def test_no_column_is_two_things(found: str, personas: tuple[dict[str, Any], ...], expected: str) -> None:
    """The persona with the column's name goes first; a column named beside an identity is no other's."""
    people = [Persona(site="main", **persona) for persona in personas]
    columns = recognise_columns(ColumnOptions(), people, tuple(found.split(",")), "log", tabular=True)
    assert [who.identity for who in columns.personas] == expected.split(" ")


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (
            {"user": "email", "account": "Email"},
            ("'email' is asked for as user and as account", "--user NAME or"),
        ),
        ({"user": "email", "id": "email"}, ("as id and as user", "--id NAME or --user NAME")),
        ({"account": "what", "event": "what"}, ("as event and as account",)),
        ({"user": "ts", "timestamp": "ts"}, ("as timestamp and as user",)),
    ],
)
def test_one_column_asked_for_as_two_things(wanted: dict[str, str], said: tuple[str, ...]) -> None:
    """One of them is wrong."""
    with pytest.raises(InputError) as raised:
        understood("email,what,event,ts", **wanted)
    whole = f"{raised.value} {raised.value.hint}"
    assert [part for part in said if part not in whole] == []


def test_members_of_objects_that_the_first_ones_lack() -> None:
    """Personas may name them: a member is often left out. In a header a column is there, or is not."""
    people = [Persona("user", "main", alias="mail.work", properties=("plan", "Seats"), sets=("born",))]
    found = ("user", "event", "ts", "seats")
    (who,) = recognise_columns(ColumnOptions(), people, found, "log", tabular=False).personas
    assert who == PersonaColumns("user", "user", "mail.work", ("plan", "seats"), ("born",))
    for persona in (people[0]._replace(alias=name, properties=None, sets=()) for name in ("plan", "usre")):
        with pytest.raises(InputError, match=r"km.toml, user's alias"):
            recognise_columns(ColumnOptions(), [persona], found, "log", tabular=True)
    with pytest.raises(InputError, match=r"no column 'plan' \(--property, or km.toml\)"):
        recognise_columns(ColumnOptions(properties=("plan",)), people, found, "log", tabular=False)


def test_columns_of_personas_of_ones_own_are_said_in_km_toml() -> None:
    """They have no flag."""
    people = [Persona("contact", "main")]
    with pytest.raises(InputError) as raised:
        recognise_columns(ColumnOptions(), people, ("contacts", "event", "ts"), "log", tabular=True)
    cure = "in km.toml's persona 'contact'"
    assert raised.value.hint == (
        f'name the column: column = "NAME" {cure}; perhaps column = "contacts" {cure}?'
    )
    for wrong, hint in (({"column": "contct"}, "'contacts'"), ({"column": "x"}, f'column = "x.id" {cure}')):
        with pytest.raises(InputError) as raised:
            recognise_columns(
                ColumnOptions(), [people[0]._replace(**wrong)], ("contacts", "x.id"), "log", tabular=False
            )
        assert "(km.toml, the persona 'contact')" in str(raised.value)
        assert hint in raised.value.hint


@pytest.mark.parametrize(
    ("found", "wanted", "said"),
    [
        ("usr,what,ts", {}, ("no column was recognised as event", "usr, what, ts", "--event NAME")),
        ("user,evnt,ts", {}, ("recognised as event", "--event evnt")),
        ("user,event,created", {}, ("recognised as timestamp", "user, event, created", "--timestamp NAME")),
        ("user,event,TimeStamp_", {}, ("recognised as timestamp", "--timestamp TimeStamp_")),
        ("usr,event,ts", {}, ("as user or account", "--user NAME or --account NAME", "--user usr")),
        ("accounts,event,ts", {}, ("recognised as user or account", "--account accounts")),
        ("user,event,ts", {"user": "usre"}, ("'usre' (--user, or km.toml)", "user, event, ts", "'user'")),
        ("user,event,ts", {"id": "uuid"}, ("'uuid' (--id, or km.toml)", "name one of the columns found")),
        ("user,event,ts", {"properties": ("plan",)}, ("no column 'plan' (--property, or km.toml)",)),
        ("user,event,ts", {"exclude": ("plan",)}, ("no column 'plan' (--exclude-property, or km.toml)",)),
        ("user.id,event,ts", {"user": "user"}, ("no column 'user' (--user, or km.toml)", "'user.id'")),
        ("user,event,ts,_id,Customer ID,KM_x", {},
         ("'_id', 'Customer ID', 'KM_x'", "--exclude-property _id --exclude-property 'Customer ID'")),
        ("user,event,ts," + "x" * 255, {}, ("255 characters", "D4")),
    ],
)  # fmt: skip
def test_columns_that_are_missing_or_must_not_be(
    found: str, wanted: dict[str, Any], said: tuple[str, ...]
) -> None:
    """The message names the columns that were found and the nearest one."""
    with pytest.raises(InputError) as raised:
        understood(found, **wanted)
    whole = f"{raised.value} {raised.value.hint}"
    assert [part for part in said if part not in whole] == []


def test_dotted_names_reach_into_objects() -> None:
    """A part of an object is a column; the object itself is none for a role, but can be left out."""
    found = "user.id,user.email,event,ts,plan.name"
    columns = understood(found, tabular=False, user="user.id", exclude=("plan",))
    assert roles(columns)["user"] == "user.id"
    with pytest.raises(InputError, match=r"'user'.*is an object with user\.id, user\.email") as raised:
        understood(found, tabular=False, user="user")
    assert "--user user.id" in raised.value.hint
    with pytest.raises(InputError) as raised:
        understood(found, tabular=True)
    assert "user or account" in str(raised.value)
    assert "--user user.id" in raised.value.hint


@pytest.mark.parametrize(
    ("found", "wanted", "user", "account"),
    [
        ("user.id,user.email,event,ts", {}, "user.id", ""),
        ("user.id,account.ID,event,ts", {}, "user.id", "account.ID"),
        ("user_id,user.id,org.id,event,ts", {}, "user_id", "org.id"),
        ("user_id,account.id,event,ts", {"flatten": True}, "user_id", ""),
        ("user_id,account.id,event,ts", {"exclude": ("account",)}, "user_id", ""),
        ("user_id,account.id,event,ts", {"properties": ("plan",)}, "user_id", ""),
        ("user.id,account.id,event,ts", {"properties": ()}, "user.id", "account.id"),
        ("user.id,account.id,event,ts", {"flatten": True}, "user.id", "account.id"),
    ],
)
def test_the_id_of_an_object_is_a_persona_if_the_log_could_not_be_imported_without(
    found: str, wanted: dict[str, Any], user: str, account: str
) -> None:
    """A log that could be imported before keeps its mapping."""
    chosen = roles(understood(f"{found},plan", tabular=False, **wanted))
    assert (chosen["user"], chosen.get("account", "")) == (user, account)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, ("plan", "Seats", "x")),
        ({"exclude": ("seats",)}, ("plan", "x")),
        ({"properties": ("x", "plan", "x")}, ("x", "plan")),
        ({"properties": ()}, ()),
        ({"id": "x"}, ("plan", "Seats")),
    ],
)
def test_columns_of_properties(wanted: dict[str, Any], expected: tuple[str, ...]) -> None:
    """Every other column in the header's order, or those that were asked for, once each."""
    found = "plan,user,event,Seats,ts,x"
    assert property_columns(understood(found, **wanted), tuple(found.split(","))) == expected


NAMES = st.text(max_size=5)
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
SEVERAL = st.lists(NAMES, max_size=3).map(tuple)


@given(
    st.tuples(
        st.lists(
            st.builds(PersonaColumns, NAMES, NAMES, NAMES, st.none() | SEVERAL, SEVERAL), max_size=3
        ).map(tuple),
        NAMES,
        NAMES,
        NAMES,
        st.none() | SEVERAL,
        SEVERAL,
        st.booleans(),
        NAMES,
    ),
    st.tuples(NAMES, NAMES, NAMES),
)
def test_mappings_are_kept_as_they_are(columns: tuple[Any, ...], time_options: tuple[str, str, str]) -> None:
    """The ledger keeps them as text."""
    mapping = Mapping(Columns(*columns), TimeOptions(*time_options))
    assert Mapping.from_json(mapping.to_json()) == mapping


# Identities


@pytest.mark.parametrize("persona", ["user", "account"])
@pytest.mark.parametrize(
    ("text", "identity"),
    [
        ("eve", "eve"),
        ("  eve\t", "eve"),
        ("eve online", "eve online"),
        ("Ada@Example.com", "Ada@Example.com"),
        ("a+/=", "a+/="),
        ("0", "0"),
        ("nullable", "nullable"),
        ("é中\U0001f600", "é中\U0001f600"),
        ("x" * 255, "x" * 255),
        (" " + "é" * 255 + " ", "é" * 255),
    ],
)
def test_identities_that_are_sent(persona: str, text: str, identity: str) -> None:
    """Blanks around them go, nothing else."""
    assert identity in cells(**{persona: text}).identities


@pytest.mark.parametrize("persona", ["user", "account"])
@pytest.mark.parametrize(
    ("text", "code"),
    [
        *((word, "I1") for word in sorted(PLACEHOLDERS)),
        ("NULL", "I1"),
        (" Guest ", "I1"),
        ("x" * 256, "D4-long"),
        ("a\x00b", "invisible-character"),
        ("a\nb", "invisible-character"),
        ("a\x1b[31m", "invisible-character"),
        ("a\x7fb", "invisible-character"),
        ("a\x85b", "invisible-character"),
        ("a\u00adb", "invisible-character"),
        ("a\u200bb", "invisible-character"),
        ("\u200b", "invisible-character"),
        ("a\u202eb", "invisible-character"),
        ("a\u2066b", "invisible-character"),
        ("\ufeffada", "invisible-character"),
    ],
)
def test_identities_that_are_refused(persona: str, text: str, code: str) -> None:
    """One that would merge people, can't be seen or would be cut rejects the row; nothing is shown raw."""
    mapped = cells(**{persona: text})
    assert mapped.reject.code == code
    assert mapped.reject.row.line == 7
    assert mapped.reject.reason.isprintable()
    assert not mapped.findings


def test_a_placeholder_can_be_let_through() -> None:
    """By its name, in any case; the others stay out. The reason names the flag."""
    assert cells(user="Guest", allowed=("guest",)).identities == ("Guest", "Acme")
    assert cells(user="none", allowed=("guest",)).reject.code == "I1"
    assert "--allow-id 'Guest'" in cells(user="Guest").reject.reason


@pytest.mark.parametrize(
    ("user", "account", "missing"), [("ada", "", "account"), ("ada", "  ", "account"), ("", "Acme", "user")]
)
def test_an_empty_identity_leaves_out_its_part(user: str, account: str, missing: str) -> None:
    """And is counted."""
    mapped = cells(user, account)
    assert mapped.identities == (user.strip(), account.strip())
    assert [(one.code, one.line) for one in mapped.findings] == [(f"no-{missing}", 7)]


def test_a_column_that_is_not_there_leaves_out_its_part() -> None:
    """As if it were empty."""
    mapped = Mapped(["ada", "In", T], ("user", "event", "time"))
    assert mapped.identities == ("ada", "")
    assert [one.code for one in mapped.findings] == ["no-account"]


def test_nobody_did_it() -> None:
    """Both are empty."""
    assert cells("", " ").reject.code == "no-identity"


def test_nothing_is_found_in_a_row_that_is_rejected() -> None:
    """Its part is not left out: nothing of it is sent."""
    mapped = cells("ada", "", time="never")
    assert mapped.reject.code == "time"
    assert mapped.findings == []


@pytest.mark.parametrize(
    ("user", "account", "same"),
    [("Acme", "Acme", True), (" Acme", "Acme ", True), ("a,b", "a:b", True), ("acme", "Acme", False)],
)
def test_one_id_as_user_and_as_account(user: str, account: str, same: bool) -> None:
    """They would be one person for good (I2); identities that Kissmetrics folds count as the same (D4)."""
    mapped = cells(user, account)
    assert (isinstance(mapped.result, Reject) and mapped.result.code == "I2") == same


# Names of events


@pytest.mark.parametrize(
    ("name", "code"), [("", "no-event"), ("  ", "no-event"), ("x" * 255, "D4-long"), ("x" * 254, "")]
)
def test_names_of_events(name: str, code: str) -> None:
    """None, or too long."""
    mapped = cells(event=name)
    assert (mapped.reject.code if code else mapped.event.name) == (code or name)


# Properties


@pytest.mark.parametrize(
    ("mapped", "expected"),
    [
        (with_properties("plan,Seats", "pro", "5"), {"plan": "pro", "Seats": "5"}),
        (with_properties("plan,Seats", "", " "), {"Seats": " "}),
        (with_properties("plan,Seats", "a,b", '{"x":1}'), {"plan": "a,b", "Seats": '{"x":1}'}),
        (with_properties("plan,_x", "pro", "1", exclude=("_x",)), {"plan": "pro"}),
        (with_properties("plan,_x", "pro", "1", properties=("plan",)), {"plan": "pro"}),
        (with_properties("plan,_x", "pro", "1", properties=()), {}),
        (with_properties("plan,x", "pro", "1", id="x"), {"plan": "pro"}),
        (objects('"n":1.50,"e":1E3,"z":0,"big":123456789012345678901234567890'),
         {"n": "1.50", "e": "1E3", "z": "0", "big": "123456789012345678901234567890"}),
        (objects('"t":true,"f":false,"none":null,"empty":"","s":"null"'),
         {"t": "true", "f": "false", "s": "null"}),
        (objects('"plan":{"name":"pro","tags":["a",{"b":2}]}', flatten=True),
         {"plan.name": "pro", "plan.tags.0": "a", "plan.tags.1.b": "2"}),
        (objects('"plan":{},"tags":[],"x":{"y":null}', flatten=True), {}),
        (objects('"plan":{"name":"pro","price":{"eur":5}},"x":1', found="plan.name,plan.price.eur",
                 flatten=True, properties=("plan.price", "x")), {"plan.price.eur": "5", "x": "1"}),
        (objects('"plan":{"name":"pro","n":1}', found="plan.name,plan.n", flatten=True, exclude=("plan.n",)),
         {"plan.name": "pro"}),
        (objects('"plan":{"name":"pro"},"x":1', found="plan.name", exclude=("plan",)), {"x": "1"}),
        (objects('"plan":{"name":"pro"},"x":1', found="plan.name", properties=("plan.name",)),
         {"plan.name": "pro"}),
        (objects('"plan.name":"pro"'), {"plan.name": "pro"}),
        (objects('"who":{"id":"eve","name":null},"x":1', found="who.id", account="who.id"), {"x": "1"}),
        (objects('"who":{"id":"eve","name":"Eve"}', found="who.id,who.name", account="who.id",
                 exclude=("who.name",)), {}),
        (objects('"_x":1,"x":2', exclude=("_x",)), {"x": "2"}),
    ],
)  # fmt: skip
def test_properties_that_are_sent(mapped: Mapped, expected: dict[str, str]) -> None:
    """As they were written; empty ones and null are left out."""
    assert mapped.event.properties == tuple(expected.items())


@pytest.mark.parametrize(
    ("mapped", "code", "said"),
    [
        (objects('"plan":{"name":"pro"}'), "nested", "'plan'"),
        (objects('"tags":["a"]'), "nested", "--exclude-property tags"),
        (objects('"who":{"id":"eve","name":"Eve"}', found="who.id", account="who.id"),
         "nested", "'who.name'"),
        (objects('"plan":{"name":"pro"}', found="plan.name", properties=("plan",)), "nested", "--flatten"),
        (objects('"acc":{"id":1}', found="acc", account="acc"), "nested", "'acc' is nested JSON"),
        (objects('"plan.name":"a","plan":{"name":"b"}', flatten=True), "twice", "one property"),
        (objects('"_x":1'), "reserved", "--exclude-property _x"),
        (objects('"a":{"_x":1}', flatten=True), "", ""),
        (objects('"Customer ID":1'), "reserved", "'Customer ID'"),
        (objects('"customer id":1'), "reserved", "--exclude-property 'customer id'"),
        (objects('"KM_PERSON":1'), "reserved", "'KM_PERSON'"),
        (objects('"kme":1'), "reserved", "'kme'"),
        (objects('"":1'), "no-property-name", "empty name"),
        (objects('" ":1'), "no-property-name", "empty name"),
        (objects(f'"{"x" * 255}":1'), "D4-long", "255 characters"),
        (objects(f'"{"x" * 254}":1'), "", ""),
        (objects(f'"x":"{"é" * 4096}"'), "", ""),
        (objects(f'"x":"{"é" * 4097}"'), "D5-bytes", "8,192 bytes"),
        (with_properties("x", "x" * 8192), "", ""),
        (with_properties("x", "x" * 8193), "D5-bytes", "'x'"),
    ],
)  # fmt: skip
def test_properties_that_are_refused(mapped: Mapped, code: str, said: str) -> None:
    """The row goes to the rejects with the name of the property and the way out."""
    if code:
        assert mapped.reject.code == code
        assert said in mapped.reject.reason
    else:
        assert mapped.event


def test_a_reserved_name_without_a_value_is_not_sent() -> None:
    """So there is nothing to reject."""
    assert objects('"_x":null,"KM_y":""').event.properties == ()


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(CHARACTERS, max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text("abc.", max_size=3), inner, max_size=3)
        ),
        max_leaves=20,
    ),
    st.booleans(),
)  # fmt: skip
def test_whatever_is_nested(value: Any, flatten: bool) -> None:
    """It becomes pairs of text with each name once, or a reject."""
    members = f'"p":{json.dumps(value)}'
    mapped = objects(members, flatten=flatten)
    if isinstance(mapped.result, Event):
        names = [name for name, _ in mapped.result.properties]
        assert len(set(names)) == len(names)
        assert all(isinstance(text, str) and text for _, text in mapped.result.properties)
    else:
        assert mapped.reject.code in ("nested", "twice")
        assert mapped.reject.code != "nested" or not flatten


# The rest of an event


def test_an_event() -> None:
    """All of it."""
    found = ("id", *USUAL_COLUMNS, "plan")
    mapped = Mapped([" 7 ", "ada", "Acme", " In ", f" {T} ", "pro"], found, ColumnOptions(id="id"))
    plan = (("plan", "pro"),)
    parts = (PersonaPart("ada", plan), PersonaPart("Acme", plan))
    assert mapped.event[1:6] == (parts, " In ", NANOSECONDS, plan, "7")
    cells = (("id", " 7 "), ("user", "ada"), ("account", "Acme"), ("event", " In "), ("timestamp", f" {T} "))
    assert mapped.event.cells == (*cells, ("plan", "pro"))
    assert mapped.event.row.line == 7


def test_numbers_and_words_as_identities() -> None:
    """JSON's numbers are ids as they were written; null is no id."""
    mapped = objects('"account":12345678901234567890')
    assert mapped.identities == ("ada", "12345678901234567890")
    assert objects('"account":null').identities == ("ada", "")


def test_a_dotted_name_of_its_own_comes_before_a_path() -> None:
    """`user.id` as a key, else the `id` in `user`; a `user` that is no object has no user."""
    for members, user in (
        ('"who.id":"a","who":{"id":"b"}', "a"),
        ('"who":{"id":"b"}', "b"),
        ('"who":["b"]', ""),
        ('"who":"b"', ""),
    ):
        mapped = objects(members, found="who.id", account="who.id", properties=())
        assert mapped.identities == ("ada", user)


def test_times_that_need_a_flag_stop_the_input() -> None:
    """With the place, and the flag as the hint."""
    with pytest.raises(InputError, match=r"^log, line 7: the time '2024-01-01' has no offset") as raised:
        cells(time="2024-01-01")
    assert "--timezone" in raised.value.hint


def test_a_leap_second_is_found_in_its_row() -> None:
    """Not in the one after a row that was rejected for something else."""
    mapped = cells(time="2016-12-31T23:59:60Z")
    assert [(one.code, one.line) for one in mapped.findings] == [("leap-second", 7)]
    assert mapped.event.moment == 1_483_228_799_000_000_000


def test_blanks_around_ids_are_counted_each_time() -> None:
    """With a prefix too; blanks alone are no id, and there is nothing to count."""
    trimmed: list[str] = []
    identities = Identities(prefix="acct ", trimmed=trimmed)
    assert [identities.clean(text) for text in (" x", "x", " x", "x ", "  ", "")] == [*["acct x"] * 4, "", ""]
    assert trimmed == [" x", " x", "x "]
