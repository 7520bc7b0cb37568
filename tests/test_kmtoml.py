"""km.toml: every key takes effect, every mistake is reported with its place, and flags override it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from km_cli.config import kmtoml
from km_cli.config.people import make_people
from km_cli.errors import UsageError
from km_cli.rules import CATALOGUE
from tests.support.command import KEY, Command
from tests.support.patience import PATIENCE
from tests.support.people import ACCOUNT_KEY, SITES, arrived, configure, write
from tests.support.tracker import OK, UNAVAILABLE, Tracker

# The example of design.md, and everything else that can be said

WHOLE = """
allow_id = ["guest"]

[columns]
event = "did"
timestamp = "created_at"
timezone = "Europe/Berlin"
time_format = "%d/%m/%Y %H:%M:%S"
ambiguous = "later"
id = "event_id"
properties = ["plan", "amount"]

[sites.main]
key_env = "MAIN_KEY"
[sites.accounts]
key_file = "accounts.key"

[[personas]]
name = "user"
column = "who"
events = "*"
link = { Account = "account" }

[[personas]]
name = "account"
column = "account_id"
events = ["Signed Up", "Upgraded"]
rename = "Account {event}"
properties = ["plan"]
prefix = "acct "
site = "accounts"
set = ["industry"]

[[personas]]
name = "team"
events = { Upgraded = "Team Upgraded" }

[members]
file = "users.csv"
user = "email"
team = "group"
"""
WHOLE_HEADER = "who,account_id,did,created_at,event_id,plan,amount,note,industry"


def test_everything_in_it_is_in_force(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """At 02:30 the clock in Berlin had been put back: `later` is 01:30 UTC."""
    path = configure(importer, WHOLE, tmp_path / "config")
    (path.parent / "accounts.key").write_text(ACCOUNT_KEY)
    (path.parent / "accounts.key").chmod(0o600)
    write(path.parent / "users.csv", "ada,Sales", header="email,group")
    importer.environment |= {"MAIN_KEY": KEY, "KM_API_KEY": "", "KM_ACCOUNT_API_KEY": ""}
    rows = [
        "ada,7,Upgraded,27/10/2024 02:30:01,e1,pro,12,x,Tools",
        "ada,7,Upgraded,27/10/2024 02:30:01,e2,pro,12,x,Tools",
        "guest,,Left,27/10/2024 02:30:05,e3,,,,",
    ]
    importer("import", write(tmp_path / "log.csv", *rows, header=WHOLE_HEADER)).ended(0)
    assert sorted({call["_t"] for call in tracker.calls()}) == ["1729992601", "1729992602", "1729992605"]
    assert arrived(tracker) == sorted(
        [
            *["ada did Upgraded, plan pro, amount 12, Account acct 7"] * 2,
            *["acct 7 did Account Upgraded, plan pro @accounts"] * 2,
            *["Sales did Team Upgraded, plan pro, amount 12"] * 2,
            "acct 7 has industry Tools @accounts",
            "guest did Left",
        ]
    )


def test_delivery_is_in_force(km: Command, tracker: Tracker, tmp_path: Path) -> None:
    """Relative paths of ledger and rejects start at the folder of km.toml."""
    keys = {
        "to": f'"{tracker.url}"',
        "batch_size": 1,
        "concurrency": 1,
        "rate": 1000,
        "timeout": 5,
        "attempts": 2,
        "collisions": '"spread"',
        "spread": 0,
        "ledger": '"memory/ledger.db"',
        "rejects": '"bad.jsonl"',
        "max_rejects": '"50%"',
    }
    text = "[delivery]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())
    folder = configure(km, text, tmp_path / "config").parent
    log = write(tmp_path / "log.csv", "ada,Acme,In,@0", "bob,Acme,In,@0", "guest,,In,@1", "eve,,In,@2")
    km("import", log).ended(65)
    assert arrived(tracker) == ["Acme did In", "ada did In", "bob did In", "eve did In"]
    assert (folder / "memory" / "ledger.db").exists()
    codes = [json.loads(line)["code"] for line in (folder / "bad.jsonl").read_text().splitlines()]
    assert sorted(codes) == ["D1-full", "I1"]
    assert not km.state.exists()


@pytest.mark.parametrize(
    ("key", "value", "rows", "said"),
    [
        ("attempts", "1", ["ada,Beta,In,@0"], "1 call planned and not acknowledged"),
        ("max_rejects", "0", ["ada,Acme,In,@0", "guest,,In,@0"], "max-rejects"),
        ("collisions", '"reject"', ["ada,Acme,In,@0", "bob,Acme,In,@0"], "1 row rejected (D1-full 1)"),
    ],
)
def test_what_cannot_be_seen_in_what_arrives(
    importer: Command, tracker: Tracker, tmp_path: Path, key: str, value: str, rows: list[str], said: str
) -> None:
    tracker.behave = lambda hit, _: UNAVAILABLE if hit.params["_p"] == "Beta" else OK
    configure(importer, f"[delivery]\n{key} = {value}\n")
    assert said in importer("import", write(tmp_path / "log.csv", *rows)).err


def test_it_is_found_in_this_folder_and_local_lies_beside_it(km: Command, tmp_path: Path) -> None:
    folder = configure(km, '[delivery]\nto = "local:store.db"\n', tmp_path / "here").parent
    del km.environment["KM_CLI_CONFIG"]
    write(folder / "log.csv", "ada,Acme,In,@0")
    process = km.start("import", "log.csv", cwd=folder)
    assert process.communicate(timeout=PATIENCE) == ("", "")
    assert (folder / "store.db").exists()


# What goes before what


NAMES = ("flag", "variable", "file", "default")
PLACES = [
    pytest.param(("flag", "variable", "file"), "flag", id="a flag"),
    pytest.param(("variable", "file"), "variable", id="the environment"),
    pytest.param(("file",), "file", id="the file"),
    pytest.param((), "default", id="none"),
]


@pytest.mark.parametrize(("said", "wins"), PLACES)
@pytest.mark.parametrize(
    ("option", "table", "values"),
    [
        ("--timestamp", "columns", dict(zip(NAMES, ("t1", "t2", "t3", "timestamp"), strict=True))),
        ("--user", "columns", dict(zip(NAMES, ("u1", "u2", "u3", "user"), strict=True))),
        ("--event", "columns", dict(zip(NAMES, ("e1", "e2", "e3", "event"), strict=True))),
        ("--spread", "delivery", dict(zip(NAMES, (1, 2, 3, 60), strict=True))),
        ("--strategy", "", dict(zip(NAMES, ("property", "sites", "property", "toggle"), strict=True))),
    ],
)
def test_flag_environment_file_default(
    km: Command,
    tmp_path: Path,
    option: str,
    table: str,
    values: dict[str, Any],
    said: tuple[str, ...],
    wins: str,
) -> None:
    name = option.removeprefix("--")
    words: list[str] = []
    if "file" in said:
        value = json.dumps(values["file"])
        configure(km, f"[{table}]\n{name} = {value}\n" if table else f"{name} = {value}\n")
    if "variable" in said:
        km.environment[f"KM_CLI_{name.upper()}"] = str(values["variable"])
    if "flag" in said:
        words = [option, str(values["flag"])]
    words += ["--no-properties"] if option == "--strategy" else []
    out = dry(km, tmp_path, *words)
    expected = values[wins]
    if option == "--spread":
        assert len(re.findall(r"moved by \d+ s", out)) == min(expected, 4)
    elif option == "--strategy":
        calls = {"toggle": "record  x", "sites": "site accounts", "property": "Account: "}[expected]
        assert calls in out
        assert (expected == "property") is ("Account: " in out)
        assert (expected == "sites") is ("site accounts" in out)
    else:
        role = "time" if name == "timestamp" else name
        assert f"{role} from {expected!r}" in out


def dry(km: Command, folder: Path, *words: str) -> str:
    """Rehearse a log in which every column could be something; five accounts' calls are in one second."""
    header = "user,u1,u2,u3,account,event,e1,e2,e3,timestamp,t1,t2,t3"
    rows = [f"a{n},b{n},c{n},d{n},Acme,x,x1,x2,x3,@0,@0,@0,@0" for n in range(5)]
    log = write(folder / "log.csv", *rows, header=header)
    log.write_text(log.read_text().replace("@0", "2024-01-01T00:00:00Z"))
    result = km("dry-run", log, "--show", "9", *words)
    assert result.code in (0, 65), result.err
    return result.out


@pytest.mark.parametrize(
    ("file", "variables", "words", "events"),
    [
        ('event = "kind"', {}, ["--event-name", "Billed"], {"Billed"}),
        ('event_name = "Billed"', {}, ["--event", "kind"], {"A", "B"}),
        ('event_name = "Billed"', {"KM_CLI_EVENT": "kind"}, [], {"A", "B"}),
        ("", {"KM_CLI_EVENT": "kind"}, ["--event-name", "Billed"], {"Billed"}),
        ('event_name = "Billed"', {"KM_CLI_EVENT": "kind"}, ["--event-name", "Paid"], {"Paid"}),
        ('event_name = "Billed"', {}, [], {"Billed"}),
    ],
)
def test_event_and_event_name(
    importer: Command,
    tracker: Tracker,
    tmp_path: Path,
    file: str,
    variables: dict[str, str],
    words: list[str],
    events: set[str],
) -> None:
    configure(importer, f"[columns]\n{file}\n")
    importer.environment |= variables
    log = write(tmp_path / "log.csv", "ada,A,@0", "ada,B,@1", header="user,kind,timestamp")
    importer("import", log, *words).ended(0)
    assert {call["_n"] for call in tracker.calls()} == events


@pytest.mark.parametrize(
    ("file", "words", "sent"),
    [
        ('["plan"]', [], {"plan"}),
        ("[]", [], set()),
        ("[]", ["--property", "size"], {"size"}),
        ('["plan"]', ["--no-properties"], set()),
        ('["plan"]', ["--property", "size"], {"size"}),
        ('["plan", "size"]', ["--exclude-property", "note"], {"plan", "size"}),
    ],
)
def test_properties_and_none(
    importer: Command, tracker: Tracker, tmp_path: Path, file: str, words: list[str], sent: set[str]
) -> None:
    configure(importer, f"[columns]\nproperties = {file}\n")
    log = write(tmp_path / "log.csv", "ada,In,@0,a,b,c", header="user,event,timestamp,plan,size,note")
    importer("import", log, *words).ended(0)
    assert {name for call in tracker.calls() for name in call if not name.startswith("_")} == sent


PRIVATE = """
[columns]
{everybody}
[[personas]]
name = "user"
{user}
[[personas]]
name = "account"
{account}
"""


@pytest.mark.parametrize(
    ("everybody", "user", "account", "words", "sent"),
    [
        ("", "", "", ["--property", "plan", "--property", "Note", "--exclude-property", "note"], {"plan"}),
        ("", "", "", ["--property", "note", "--exclude-property", "note"], set()),
        ('properties = ["plan", "note"]', "", "", ["--exclude-property", "NOTE"], {"plan"}),
        ('exclude = ["size"]', "", "", ["--exclude-property", "note"], {"plan"}),
        ("", 'properties = ["plan", "note"]', "", ["--exclude-property", "note"], {"plan", "size"}),
        ("", "", 'set = ["note"]', ["--exclude-property", "note"], {"plan", "size"}),
        ("", 'properties = ["plan"]', 'set = ["note"]', ["--no-properties"], set()),
    ],
)
def test_a_flag_keeps_in_what_km_toml_would_send(
    importer: Command,
    tracker: Tracker,
    tmp_path: Path,
    everybody: str,
    user: str,
    account: str,
    words: list[str],
    sent: set[str],
) -> None:
    """A private column stays private, whichever list it is in."""
    configure(importer, PRIVATE.format(everybody=everybody, user=user, account=account))
    header = "user,account,event,timestamp,plan,size,note"
    importer("import", write(tmp_path / "log.csv", "ada,Acme,In,@0,a,b,c", header=header), *words).ended(0)
    assert {name for call in tracker.calls() for name in call if not name.startswith("_")} == sent


@pytest.mark.parametrize(
    ("account", "words", "said"),
    [
        ("properties = []", ["--property", "plan"], "--property cannot be used"),
        ('events = []\nset = ["plan"]', ["--exclude-property", "plan"], "anything to send"),
        ('events = []\nset = ["plan"]', ["--no-properties"], "anything to send"),
    ],
)
def test_flags_that_km_tomls_personas_leave_no_room_for(
    km: Command, tmp_path: Path, account: str, words: list[str], said: str
) -> None:
    configure(km, PRIVATE.format(everybody="", user="events = []", account=account))
    assert said in km("dry-run", write(tmp_path / "log.csv", "ada,Acme,In,@0,a"), *words).ended(2).err


def test_an_object_that_is_excluded_goes_with_all_in_it(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"user": "ada", "event": "In", "time": 1704067200, "at": {"ip": 1, "os": "x"}}\n')
    importer("import", log, "--property", "at.ip", "--property", "at.os", "--exclude-property", "at").ended(0)
    assert arrived(tracker) == ["ada did In"]


def test_contradictions_in_one_place(km: Command, tmp_path: Path) -> None:
    log = write(tmp_path / "log.csv", "ada,Acme,In,@0")
    for words in (["--event", "event", "--event-name", "X"], ["--no-properties", "--property", "plan"]):
        assert "contradict each other" in km("dry-run", log, *words).ended(2).err
    configure(km, '[columns]\nevent = "event"\nevent_name = "X"\n')
    assert "contradict each other" in km("dry-run", log).ended(2).err


def test_flags_name_the_columns_of_personas(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    configure(
        importer, '[[personas]]\nname = "user"\ncolumn = "a"\n[[personas]]\nname = "team"\ncolumn = "b"\n'
    )
    log = write(tmp_path / "log.csv", "1,2,3,In,@0", header="a,b,c,event,timestamp")
    importer("import", log, "--user", "c", "--no-properties").ended(0)
    assert arrived(tracker) == ["2 did In", "3 did In"]
    result = importer("import", log, "--account", "c").ended(2)
    assert "--account" in result.err
    assert "user, team" in result.err


def test_a_strategy_asked_for_goes_before_personas(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    configure(importer, '[[personas]]\nname = "user"\nrename = "Mine {event}"\n')
    importer("import", write(tmp_path / "log.csv", "ada,Acme,In,@0"), "--strategy", "property").ended(0)
    assert arrived(tracker) == ["ada did In, Account Acme"]


def test_another_config(km: Command, tmp_path: Path) -> None:
    configure(km, "strategy = 1\n")
    other = tmp_path / "other.toml"
    other.write_text('strategy = "property"\n')
    log = write(tmp_path / "log.csv", "ada,Acme,In,@0")
    assert "Account: Acme" in km("dry-run", log, "--config", other).ended(0).out
    result = km("dry-run", log, "--config", tmp_path / "none.toml").ended(2)
    assert "none.toml" in result.err


# Where rejects must not go


KEPT = """
[sites.main]
key_file = "key"
[members]
file = "members.csv"
user = "user"
account = "account"
[delivery]
ledger = "ledger.db"
"""


@pytest.mark.parametrize(
    "name",
    [
        *("ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db.lock", "km.toml", "key", "members.csv"),
        "notes.txt",
        "log.csv",
        "../home/key",
    ],
)
def test_rejects_are_not_written_into_what_is_kept(
    importer: Command, tracker: Tracker, tmp_path: Path, name: str
) -> None:
    """Whether the rejects file exists or not."""
    folder = configure(importer, KEPT, tmp_path / "home").parent
    (folder / "key").write_text(ACCOUNT_KEY)
    (folder / "notes.txt").write_text("mine\n")
    (folder / "members.csv").write_text("user,account\nada,Acme\n")
    log = write(folder / "log.csv", "guest,,In,@0")
    result = importer("import", log, "--rejects", folder / name).ended(2)
    assert "--rejects" in result.err
    assert tracker.seen == []
    assert not (folder / "ledger.db").exists()


def test_rejects_go_behind_rejects(importer: Command, tmp_path: Path) -> None:
    """An empty file may become the rejects file."""
    log = write(tmp_path / "log.csv", "guest,,In,@0")
    (tmp_path / "bad.jsonl").touch()
    importer("import", log, "--rejects", tmp_path / "bad.jsonl").ended(65)
    write(log, "null,,In,@0")
    importer("import", log, "--rejects", tmp_path / "bad.jsonl").ended(65)
    assert len((tmp_path / "bad.jsonl").read_text().splitlines()) == 2


# Mistakes


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("stratgy = 'toggle'", "stratgy is not a known key", "did you mean strategy?"),
        ("[column]", "column is not a known key", "did you mean columns?"),
        (
            "[columns]\ntimezon = 'UTC'",
            "columns.timezon is not a known key",
            "did you mean columns.timezone?",
        ),
        (
            "[sites.main]\nkeyenv = 'X'",
            "sites.main.keyenv is not a known key",
            "did you mean sites.main.key_env?",
        ),
        ("[sites.main]\nkey = 'X'", "sites.main.key is not a known key", "key_env"),
        (
            "[[personas]]\nname = 'a'\n[[personas]]\nname = 'b'\nprefx = 'x'",
            "personas[2].prefx",
            "personas[2].prefix?",
        ),
        ("[delivery]\nconcurency = 3", "delivery.concurency", "delivery.concurrency?"),
        ("[members]\nflie = 'x'", "members.flie is not a known key", "did you mean members.file?"),
        ("zzz = 1", "zzz is not a known key", "the keys are: strategy"),
        ("[[backfil]]", "backfil is not a known key", "did you mean backfill?"),
        (
            "[[backfill]]\nname = 'a'\nfiles = ['a']\n[[backfill]]\nfile = ['b']",
            "backfill[2].file is not a known key",
            "did you mean backfill[2].files?",
        ),
    ],
)
def test_an_unknown_key_names_the_nearest(
    km: Command, tmp_path: Path, text: str, said: str, hint: str
) -> None:
    path = configure(km, text)
    result = km("dry-run", write(tmp_path / "log.csv", "ada,Acme,In,@0")).ended(2)
    message, next_step, *_ = result.err.splitlines()
    file = path if "members" not in text else "km.toml"
    assert message.startswith(f"km-cli: {file}: {said}")
    assert hint in next_step


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("strategy = 'togle'", "strategy", "'togle'"),
        ("allow_id = 'guest'", "allow_id", "list"),
        ("columns = 3", "columns", "table"),
        ("[columns]\nproperties = 'plan'", "columns.properties", "list"),
        ("[columns]\nproperties = [1]", "columns.properties", "text"),
        ("[columns]\nambiguous = 'both'", "columns.ambiguous", "'both'"),
        ("[columns]\nuser = ''", "columns.user", "length"),
        ("[sites]\nkey_env = 'X'", "sites", "table"),
        ("[sites.main]\nkey_env = 'a b'", "sites.*.key_env", "name of an environment variable"),
        ("[[personas]]\nname = 'a'\nrename = ' '", "personas[1].rename", "with {event}"),
        ("[[personas]]\nname = 'a'\nrename = 'Account'", "personas[1].rename", "with {event}"),
        ("[[personas]]\nname = 'a'\nrename = '{event} {x}'", "personas[1].rename", "no other braces"),
        ("[[personas]]\nname = 'a'\nevents = {In = ' '}", "personas[1].events", "not blank"),
        ("[[personas]]\nname = 'a'\nevents = [' ']", "personas[1].events", "not blank"),
        ("[sites.main]\nkey_file = 'a\\u0000b'".replace("'", '"'), "sites.*.key_file", "path of a file"),
        ('[members]\nfile = "a\\u0000b"', "members", "without NUL"),
        *(
            (f'[delivery]\n{key} = "local:{bad}"', f"delivery.{key}", "without control characters")
            for key in ("to", "ledger", "rejects")
            for bad in ("\\u0000", "x\\n", "\\u007f")
        ),
        ("[sites.'a b']\nkey_env = 'X'", "sites", "of letters, digits"),
        ("[[personas]]\ncolumn = 'x'", "personas[1]", "missing required field name"),
        ("[[personas]]\nname = '1'", "personas[1].name", "begins with a letter"),
        ("[[personas]]\nname = 'a'\nevents = 3", "personas[1].events", "text or a table or a list"),
        ("[[personas]]\nname = 'a'\nevents = 'In'", "personas[1].events", "'In'"),
        ("[[personas]]\nname = 'a'\nset = 'plan'", "personas[1].set", "list"),
        ("[[personas]]\nname = 'a'\nlink = ['b']", "personas[1].link", "table"),
        ("[personas]\nname = 'a'", "personas", "list"),
        ("[members]\nfile = 3", "members", "text"),
        ("[delivery]\nconcurrency = '3'", "delivery.concurrency", "auto, or a whole number"),
        ("[delivery]\nconcurrency = 0", "delivery.concurrency", ">= 1"),
        ("[delivery]\nrate = 0", "delivery.rate", "> 0"),
        ("[delivery]\nmax_rejects = 'few'", "delivery.max_rejects", "as 10 or 5%"),
        ("[delivery]\nspread = true", "delivery.spread", "got true or false"),
        ("[backfill]\nname = 'a'", "backfill", "list"),
        ("[[backfill]]\nname = 'a'", "backfill[1]", "has neither files nor sql"),
        ("[[backfill]]\nfiles = ['a']", "backfill[1]", "missing required field name"),
        ("[[backfill]]\nname = ''", "backfill[1].name", "begins with a letter"),
        ("[[backfill]]\nname = 'a'\nfiles = []", "backfill[1].files", "length >= 1"),
        ("[[backfill]]\nname = 'a'\nfiles = 'a.csv'", "backfill[1].files", "a list, got text"),
        ("[[backfill]]\nname = 'a'\nfiles = ['a', '']", "backfill[1].files", "one character or more"),
        ("[[backfill]]\nname = 'a'\nfiles = ['a']\noptional = 'no'", "backfill[1].optional", "true or false"),
        ("[[backfill]]\nname = 'a'\nfiles = ['a']\nsince = 2024", "backfill[1].since", "text"),
    ],
)
def test_a_wrong_type_names_file_and_key(
    km: Command, tmp_path: Path, text: str, place: str, said: str
) -> None:
    path = configure(km, text)
    result = km("dry-run", write(tmp_path / "log.csv", "ada,Acme,In,@0")).ended(2)
    message = result.err.splitlines()[0]
    assert message.startswith(f"km-cli: {path}: {place}")
    assert said in message
    assert "`" not in message


@pytest.mark.parametrize(
    "table", ["[columns]", "[[backfill]]\nname = 'a'\nfiles = ['x']\n[backfill.columns]"]
)
def test_several_columns_of_one_persona_go_to_its_table(km: Command, tmp_path: Path, table: str) -> None:
    (tmp_path / "km.toml").write_text(f"{table}\naccount = ['org', 'team']\n")
    err = km("config", "show", "--config", tmp_path / "km.toml").ended(2).err
    assert "columns.account: Expected text, got a list" in err
    assert '[[personas]]: name = "account", column = […]' in err


@pytest.mark.parametrize(
    ("text", "variables", "words", "said"),
    [
        ("[columns]\ntimezone = 'Mars'", {}, [], "km.toml, columns.timezone: 'Mars' is not a time zone"),
        ("[delivery]\nrate = inf", {}, [], "km.toml, delivery.rate: inf is not a number"),
        ("[delivery]\ntimeout = inf", {}, ["--timeout", "nan"], "--timeout nan is not a number"),
        ("", {"KM_CLI_TIMEZONE": "Mars"}, [], "KM_CLI_TIMEZONE: 'Mars' is not a time zone"),
        ("", {"KM_CLI_TIMEZONE": "Mars"}, ["--timezone", "Venus"], "--timezone 'Venus' is not a time zone"),
        (
            "",
            {"KM_CLI_CONCURRENCY": "few"},
            [],
            "KM_CLI_CONCURRENCY: 'few' is not auto or a whole number from 1",
        ),
        ("", {"KM_CLI_RATE": "0"}, ["--attempts", "2"], "KM_CLI_RATE: '0' is not a number above 0"),
        ("", {}, ["--rate", "0"], "--rate '0' is not a number above 0"),
    ],
)
def test_a_mistake_is_reported_with_its_source(
    km: Command, tmp_path: Path, text: str, variables: dict[str, str], words: list[str], said: str
) -> None:
    configure(km, text)
    km.environment |= variables
    log = write(tmp_path / "log.csv", "ada,Acme,In,@0")
    assert km("dry-run", log, *words).ended(2).err.startswith(f"km-cli: {said}")
    if "KM_CLI_RATE" in variables:
        assert km("config", "show").ended(2).err.startswith(f"km-cli: {said}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"a = ", "end of document"),
        (b"event = Clicked", "line 1"),
        (b"\xff", "is not UTF-8"),
        (b"x = " + b"[" * 5000 + b"]" * 5000, "nested too deep"),
        (b"[sites.main]\nkey_env = 'A'\n[sites.main]\nkey_env = 'B'", "line 3"),
    ],
)
def test_what_is_no_toml(km: Command, tmp_path: Path, text: bytes, said: str) -> None:
    path = configure(km, "")
    path.write_bytes(text)
    result = km("dry-run", write(tmp_path / "log.csv", "ada,Acme,In,@0")).ended(2)
    assert result.err.startswith(f"km-cli: {path}: ")
    assert said in result.err


def test_a_byte_order_mark_is_no_matter(km: Command, tmp_path: Path) -> None:
    configure(km, '\ufeffstrategy = "property"\n')
    log = write(tmp_path / "log.csv", "ada,Acme,In,@0")
    assert "Account: Acme" in km("dry-run", log).ended(0).out


USER = "[[personas]]\nname = 'user'\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"strategy = 'toggle'\n{USER}", "both a strategy and personas"),
        (f"{USER}events = []", "no persona has any events"),
        (f"{USER}[[personas]]\nname = 'event'\ncolumn = 'account'", "a persona cannot be called 'event'"),
        (f"{USER}[[personas]]\nname = 'since'", "a persona cannot be called 'since'"),
        (f"{USER}[[personas]]\nname = 'persona'", "a persona cannot be called 'persona'"),
        (f"{USER}link = {{ Team = 'a', 'team:' = 'a' }}\n[[personas]]\nname = 'a'", "'Team' and 'team:'"),
        (f"{USER}column = 'u'\nalias = 'U'", "the column of its own identity: 'u'"),
        (f"{USER}alias = 'a'\n[[personas]]\nname = 'team'\ncolumn = 'a'", "the identity of 'team': 'a'"),
        (f"{USER}{USER}", "two personas are called 'user'"),
        (f"{USER}site = 'mian'\n{SITES}", "did you mean 'main'?"),
        (f"{USER}link = {{ Account = 'acount' }}\n[[personas]]\nname = 'account'", "did you mean 'account'?"),
        (f"{USER}link = {{ Me = 'user' }}", "its own identity"),
        (f"{USER}link = {{ KM_X = 'account' }}\n[[personas]]\nname = 'account'", "'KM_X'"),
        (f"{USER}prefix = '{'x' * 300}'", "too long"),
        ("[sites.main]\nkey_env = 'A'\nkey_file = 'b'", "both key_env and key_file"),
        (
            f"[sites.a]\nkey_env = 'A'\n[sites.b]\nkey_env = 'B'\n[sites.c]\n{USER}site = 'c'",
            "neither key_env nor key_file",
        ),
        (f"{USER}column = 'usr'", "did you mean 'user'?"),
        (f"{USER}set = ['pln']", "did you mean 'plan'?"),
        (f"{USER}properties = ['pln']", "did you mean 'plan'?"),
        ("[members]\nfile = 'x.csv'", "needs a file, a column of"),
    ],
)
def test_what_cannot_go_together(km: Command, tmp_path: Path, text: str, said: str) -> None:
    configure(km, text)
    result = km("dry-run", write(tmp_path / "log.csv", "ada,Acme,In,@0")).ended(2)
    assert said in result.err


def test_no_persona_has_the_code_of_a_finding(tmp_path: Path) -> None:
    """The code `no-NAME` reports rows without an identity for a persona."""
    codes = set(CATALOGUE)
    names = [code.removeprefix("no-") for code in codes if code.startswith("no-")]
    assert len(names) == 5
    for name in names:
        config = kmtoml.KmToml(personas=[kmtoml.PersonaTable(name=name)])
        with pytest.raises(UsageError, match="a persona cannot be called"):
            make_people(config, tmp_path, strategy="", site="", columns={}, allow_alias=False)


@pytest.mark.parametrize("key", [KEY, KEY[::-1], KEY.upper(), KEY[:32], f" {KEY}"])
@pytest.mark.parametrize(
    "line",
    [
        "[sites.main]\nkey_env = '{}'",
        "[sites.main]\nkey_file = '{}'",
        "[sites.main]\nkey = '{}'",
        "[sites]\nmain = '{}'",
    ],
)
def test_a_key_is_never_printed(importer: Command, tmp_path: Path, key: str, line: str) -> None:
    """Not even if the key itself is in km.toml."""
    configure(importer, line.format(key))
    assert key not in importer("import", write(tmp_path / "log.csv", "ada,Acme,In,@0")).ended(2).err
