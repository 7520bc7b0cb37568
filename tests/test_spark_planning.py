"""Spark plans the calls that one machine plans, byte for byte: its stages, without Spark."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, TypeVar

import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from km_cli.errors import InputError, UsageError
from km_cli.model import Claim, Finding, KnownCall, Record, Reject
from km_cli.planning.fingerprints import Fingerprints
from km_cli.planning.keyed import KeyedFingerprints, key_digest, key_known, key_pairs
from km_cli.spark.names import NAME_RULES, name_findings
from km_cli.spark.spilling import MOST
from tests.support import sparkless
from tests.support.drawing import examples
from tests.support.onemachine import Planned, one_machine, settings_of
from tests.support.rowlogs import COLUMNS, KINDS, Kind, Row, as_csv, as_jsonl, cuts, logs, row, rows
from tests.support.sparkless import NOW, Job, Receipts
from tests.test_receipt import FLAGS, LOG, text
from tests.test_receipt import KINDS as RECEIPT_KINDS

T = TypeVar("T")

phases = set(Phase) - {Phase.explain}
few = settings(max_examples=examples(12), deadline=None, phases=phases)
kinds = st.sampled_from(KINDS)

HASH_KEY = b"a key of 32 bytes, for hashing .."

AGGREGATED = {"alike-ids", "crossover", "D8", *(rule.about.code for rule in NAME_RULES)}
"""Findings about whole logs; so are those without a line. Other tests have them."""


def words(folder: Path, kind: Kind, *more: str) -> list[str]:
    """The words of a command line that reads a log with these personas."""
    config = ["--config", str(folder / "km.toml")] if kind.toml else []
    if kind.toml:
        (folder / "km.toml").write_text(kind.toml)
    if "hash_key_file" in kind.toml:
        (folder / "hash.key").write_bytes(HASH_KEY)
        (folder / "hash.key").chmod(0o600)
    return ["--to", "http://127.0.0.1:1", *kind.flags, *config, *more]


def written(folder: Path, texts: Sequence[str], ending: str) -> list[Path]:
    paths = [folder / f"{number}{ending}" for number, _ in enumerate(texts)]
    for path, content in zip(paths, texts, strict=True):
        path.write_text(content)
    return paths


def assert_same(job: Job, planned: Planned) -> None:
    """Both plan the same, and each call adds the same to Kissmetrics: no person has 1,000 calls (D7)."""
    assert_alike(job, planned)
    assert kept_by_job(job) == planned.kept


def assert_alike(job: Job, planned: Planned) -> None:
    """Both plan the same calls, reject the same rows for the same reasons, and find the same."""
    assert job.payloads == planned.payloads
    assert rejects_of_job(job) == Counter(map(_reject, planned.rejects))
    assert findings_of_job(job) == Counter(
        map(_finding, (one for one in planned.findings if one.line and one.code not in AGGREGATED))
    )


def assert_same_unseen(job: Job, planned: Planned) -> None:
    """Both find the same names that no row has."""
    codes = ("no-such-event", "unmet-condition", "unseen-column")
    examples = planned.tally.examples
    assert job.unseen == [examples[code] for code in codes if code in examples]


def kept_by_job(job: Job) -> Counter[tuple[object, ...]]:
    columns = ("site", "payload", "source", "line", "raw", "gain_people", "gain_event", "gain_names")
    return Counter(tuple(one[name] for name in columns) for one in job.plan if one["kind"] == "call")


def rejects_of_job(job: Job) -> Counter[tuple[object, ...]]:
    return Counter(
        (one["source"], one["line"], one["raw"], one["code"], _plain(one["text"]), frozenset(one["owed"]))
        for one in job.rejects
    )


def _reject(one: Reject) -> tuple[object, ...]:
    row, code, reason, owed = one
    return row.source, row.line, row.raw, code, _plain(reason), frozenset(owed)


def _plain(reason: str) -> str:
    """Without the values of the other row, which Spark does not read again."""
    return reason.partition(", with another")[0]


def findings_of_job(job: Job) -> Counter[tuple[object, ...]]:
    several = Counter(
        (one["source"], one["line"], one["code"], one["text"], one["who"])
        for one in job.findings
        if one["line"]
    )
    return Counter({key: 1 if key[2] == "alike-rows" else several[key] for key in several})


def _finding(one: Finding) -> tuple[object, ...]:
    return one.source, one.line, one.code, one.message, one.who


@given(kind=kinds, log=logs(), unsorted=st.booleans(), json=st.booleans(), data=st.data())
@few
def test_any_log(kind: Kind, log: list[Row], unsorted: bool, json: bool, data: st.DataObject) -> None:
    """Cut into files, sorted or not; and once more: nothing is sent."""
    log = data.draw(st.permutations(log)) if unsorted else log
    pieces = cuts(data.draw, log)
    overlap = data.draw(st.sampled_from(["ask", "separate", "repeats"]))
    with TemporaryDirectory() as name:
        folder = Path(name)
        as_text = as_jsonl if json else as_csv
        texts = [as_text(piece) for piece in pieces]
        # Spark finds no file of the same job that another one begins with; of two that are the same, messages
        # name the first one.
        assume(not any(one is not other and other.startswith(one) for one in texts for other in texts))
        files = written(folder, texts, ".jsonl" if json else ".csv")
        asked = settings_of(words(folder, kind, "--overlap", overlap, *map(str, files)))
        receipts = Receipts()
        with one_machine(folder, NOW) as machine:
            job = sparkless.plan(asked, files, receipts, data.draw(st.integers(1, 4)))
            assert_same(job, machine.plan(asked, files))
            receipts.take(job)
            again = sparkless.plan(asked, files, receipts)
            assert not again.plan


@given(
    log=logs(most=10),
    limits=st.lists(st.sampled_from(["1", "2", "3", "5", ""]), min_size=1, max_size=3),
    flags=st.sampled_from([(), ("--only", "Paid"), ("--where", "plan=pro"), ("--overlap", "separate")]),
    json=st.booleans(),
    end=st.sampled_from(["", "\n"]),
    data=st.data(),
)
@few
def test_the_first_rows(
    log: list[Row], limits: list[str], flags: tuple[str, ...], json: bool, end: str, data: st.DataObject
) -> None:
    """Some rows of several files first, then some more, and at last the rest."""
    pieces = cuts(data.draw, log)
    with TemporaryDirectory() as name:
        folder, receipts = Path(name), Receipts()
        texts = [as_jsonl(piece) if json else as_csv(piece) for piece in pieces]
        if len(texts) == 1:
            texts = [texts[0].removesuffix("\n") + end]
        assume(not any(one is not other and other.startswith(one) for one in texts for other in texts))
        files = written(folder, texts, ".jsonl" if json else ".csv")
        with one_machine(folder, NOW) as machine:
            for limit in (*limits, ""):
                more = ("--limit", limit) if limit else ()
                asked = settings_of(words(folder, KINDS[0], *flags, *more, *map(str, files)))
                job = sparkless.plan(asked, files, receipts)
                planned = machine.plan(asked, files)
                assert_same(job, planned)
                assert_same_unseen(job, planned)
                receipts.take(job)


LISTED = Kind(
    "listed",
    (),
    '[columns]\nskip = ["Sign Up"]\n[[personas]]\nname = "user"\n'
    '[[personas]]\nname = "account"\nevents = ["Invited", "Pay"]\n',
    KINDS[0].form,
)


@given(
    flags=st.lists(
        st.sampled_from(
            [
                ("--only", "Paid"),
                ("--only", "Payed"),
                ("--skip", "Invite"),
                ("--where", "plan=pro"),
                ("--where", "plan=prof"),
                ("--where", "plam=pro"),
                ("--where", "note in 1,4"),
                ("--property", "nota"),
                ("--property", "note"),
                ("--ignore-column", "ofset"),
            ]
        ),
        max_size=3,
        unique=True,
    ),
    listed=st.booleans(),
    log=logs(),
    json=st.booleans(),
    data=st.data(),
)
@few
def test_names_that_no_row_has(
    flags: list[tuple[str, str]], listed: bool, log: list[Row], json: bool, data: st.DataObject
) -> None:
    """Events, conditions and columns of flags and km.toml; not if a row was read before."""
    pieces = cuts(data.draw, log)
    kind = LISTED if listed else LISTED._replace(toml="")
    with TemporaryDirectory() as name:
        folder = Path(name)
        texts = [as_jsonl(piece) if json else as_csv(piece) for piece in pieces]
        assume(not any(one is not other and other.startswith(one) for one in texts for other in texts))
        files = written(folder, texts, ".jsonl" if json else ".csv")
        asked = settings_of(words(folder, kind, *(word for flag in flags for word in flag), *map(str, files)))
        receipts = Receipts()
        with one_machine(folder, NOW) as machine:
            for _ in range(2):
                planned = _result(partial(machine.plan, asked, files))
                job = _result(partial(sparkless.plan, asked, files, receipts))
                if isinstance(planned, str) or isinstance(job, str):
                    assert job == planned
                    return
                assert_same(job, planned)
                assert_same_unseen(job, planned)
                receipts.take(job)


GROWING = (
    "ada,Acme,Paid,1700000000000,\n\nada,Acme,Invited,1700000001000,pro\n",
    "bo,Acme,Paid,1700000002000,pro\n\n\nbo,Acme,Invited,1700000003000,\nbo,,Invited,1700000004000,\n",
    "",
    "cy,Acme,Signed In,1700000005000,pro\n",
)


def test_a_grown_file_has_the_findings_of_its_new_rows(tmp_path: Path) -> None:
    """Those on names, forms, lists and units too, whatever the rows that were read before had."""
    log, receipts, found = tmp_path / "log.csv", Receipts(), set()
    log.write_text("user,account,event,timestamp,plan\n")
    asked = settings_of(words(tmp_path, LISTED, str(log)))
    with one_machine(tmp_path, NOW) as machine:
        for more in GROWING:
            with log.open("a") as file:
                file.write(more)
            planned, job = machine.plan(asked, [log]), sparkless.plan(asked, [log], receipts)
            assert_same(job, planned)
            tally, told = planned.tally, job.told
            names = [{**one, "first": one} for one in told if one["kind"] == "name"]
            codes = Counter(one.code for one in name_findings(names))
            codes.update(one["code"] for one in job.findings if not one["line"])
            codes["left-to-others"] = sum(one["kind"] == "lacked" for one in told)
            assert {code: tally.findings[code] for code in codes} == dict(codes)
            counted = {one["code"]: one["number"] for one in told if one["kind"] == "count"}
            assert counted == dict(tally.normalised)
            found.update((+codes).keys() | counted.keys())
            receipts.take(job)
    assert {"crossover", "time-unit", "left-to-others", "blank-lines", "empty-values"} <= found


MEMBERS = Kind(
    "members",
    (),
    '[members]\nfile = "users.csv"\nuser = "who"\naccount = "org"\n'
    '[[personas]]\nname = "user"\n[[personas]]\nname = "account"\n'
    '[[personas]]\nname = "contact"\nevents = ["Paid"]\n',
    KINDS[0].form,
)
belong = st.fixed_dictionaries({user: st.sampled_from(["Acme", "Beta", "zoe", ""]) for user in ("ada", "bo")})


@given(
    log=logs(most=10),
    belonging=st.lists(belong, min_size=2, max_size=3),
    flags=st.sampled_from([(), ("--spread", "0"), ("--overlap", "repeats"), ("--collisions", "reject")]),
)
@few
def test_members_who_move(log: list[Row], belonging: list[dict[str, str]], flags: tuple[str, ...]) -> None:
    """A row that was sent for one account is sent for another one when its user has moved."""
    with TemporaryDirectory() as name:
        folder, receipts = Path(name), Receipts()
        (file,) = written(folder, [as_csv(log)], ".csv")
        with one_machine(folder, NOW) as machine:
            for accounts in belonging:
                lines = ["who,org", *(f"{user},{account}" for user, account in accounts.items())]
                (folder / "users.csv").write_text("\n".join(lines))
                asked = settings_of(words(folder, MEMBERS, *flags, str(file)))
                job = sparkless.plan(asked, [file], receipts)
                assert_same(job, machine.plan(asked, [file]))
                receipts.take(job)


def _result(plan: Callable[[], T]) -> T | str:
    """Return a plan, or the error that refuses the log."""
    try:
        return plan()
    except (InputError, UsageError) as error:
        return _plain(str(error))


SETS = Kind(
    "sets",
    (),
    '[[personas]]\nname = "user"\nset = ["plan"]\n[[personas]]\nname = "account"\nset = ["plan", "note"]\n',
    KINDS[0].form,
)
STATES = Kind(
    "states",
    (),
    '[columns]\nwithout_event = "set"\n[[personas]]\nname = "user"\nset = ["plan"]\n'
    '[[personas]]\nname = "account"\nlink = { User = "user" }\nproperties = ["note"]\n',
    KINDS[0].form,
)
IDS = Kind("ids", ("--id", "note"), "", KINDS[0].form)
SETS_AND_IDS = SETS._replace(name="sets and ids", flags=("--id", "contact"))
CONTESTED = st.builds(
    row,
    st.sampled_from([0, 0, 1, 2, 8, 9, 16]),
    st.sampled_from(["ada", "bo", "Acme", "a,da"]),
    st.sampled_from(["Acme", "Ac,me", "Beta", "ada", ""]),
    st.sampled_from(["Invited", "Paid", ""]),
    st.sampled_from(["pro", "max", "free", ""]),
    st.sampled_from(["", "1", "2", "3"]),
    st.sampled_from(["", "zoe", "i1", "i2"]),
)


class Run(NamedTuple):
    """A log, and the rows of it whose calls the destination refuses: each of so many."""

    rows: list[Row]
    columns: tuple[str, ...]
    refused: int


runs = st.builds(
    Run,
    st.lists(st.one_of(rows, CONTESTED), min_size=1, max_size=9),
    st.sampled_from([COLUMNS, tuple(one for one in COLUMNS if one != "contact"), COLUMNS[::-1]]),
    st.sampled_from([0, 0, 2, 3]),
)

ALIASES = Kind(
    "aliases",
    ("--allow-alias",),
    '[[personas]]\nname = "user"\nalias = "contact"\n[[personas]]\nname = "account"\n',
    KINDS[0].form,
)
ALIASES_OF_BOTH = Kind(
    "aliases of both",
    ("--allow-alias",),
    '[columns]\nwithout_event = "set"\n'
    '[[personas]]\nname = "user"\nalias = "contact"\nset = ["plan"]\n'
    '[[personas]]\nname = "account"\nalias = "note"\nevents = ["Paid"]\nset = ["plan"]\n',
    KINDS[0].form,
)
ALIASES_AND_IDS = ALIASES._replace(name="aliases and ids", flags=("--allow-alias", "--id", "note"))
HASHED = Kind(
    "hashed",
    (),
    '[columns]\nhash = ["user", "plan"]\ndrop = ["note"]\nhash_key_file = "hash.key"\n'
    '[[personas]]\nname = "user"\n[[personas]]\nname = "account"\nprefix = "a "\n',
    KINDS[0].form,
)
HASHED_ALIASES = Kind(
    "hashed aliases",
    ("--allow-alias",),
    '[columns]\nhash = ["user", "account", "contact"]\nhash_key_file = "hash.key"\n'
    '[[personas]]\nname = "user"\nalias = "contact"\nset = ["plan"]\n[[personas]]\nname = "account"\n',
    KINDS[0].form,
)
JOINED = st.builds(
    row,
    st.sampled_from([0, 0, 1, 2, 8, 9, 16]),
    st.sampled_from(["ada", "bo", "cy", "Acme", "a,da"]),
    st.sampled_from(["Acme", "Acme", "Beta", "cy", ""]),
    st.sampled_from(["Invited", "Paid", ""]),
    st.sampled_from(["pro", "free", ""]),
    st.sampled_from(["", "", "1", "Beta", "Acme"]),
    st.sampled_from(["", "ada", "bo", "cy", "a,da", "Acme", "zoe"]),
)
joined = st.builds(
    Run, st.lists(JOINED, min_size=1, max_size=9), st.just(COLUMNS), st.sampled_from([0, 0, 2, 3])
)


@given(
    kind=st.sampled_from([*KINDS, SETS, STATES, IDS, SETS_AND_IDS]),
    several=st.lists(runs, min_size=1, max_size=3),
    overlaps=st.lists(st.sampled_from(["ask", "separate", "repeats"]), min_size=3, max_size=3),
    partitions=st.integers(1, 3),
    most=st.sampled_from([1, MOST]),
    more=st.sampled_from(
        [(), (), ("--as-new",), ("--collisions", "keep"), ("--collisions", "reject"), ("--spread", "1")]
    ),
)
@few
def test_any_logs_one_after_the_other(
    kind: Kind, several: list[Run], overlaps: list[str], partitions: int, most: int, more: tuple[str, ...]
) -> None:
    """People whom several owners claim, ids that come again, refused calls, values that follow columns.

    The calls of a person are in memory, or all but one of them in a temporary file.
    """
    assert_same_of_all(kind, several, overlaps, partitions, more, most)


@given(
    kind=st.sampled_from([ALIASES, ALIASES_OF_BOTH, ALIASES_AND_IDS, HASHED, HASHED_ALIASES]),
    several=st.lists(joined, min_size=1, max_size=3),
    overlaps=st.lists(st.sampled_from(["ask", "separate", "repeats"]), min_size=3, max_size=3),
    partitions=st.integers(1, 3),
    most=st.sampled_from([1, MOST]),
    more=st.sampled_from([(), (), ("--as-new",), ("--spread", "1")]),
)
@few
def test_any_aliases_and_hashed_columns(
    kind: Kind, several: list[Run], overlaps: list[str], partitions: int, most: int, more: tuple[str, ...]
) -> None:
    """An alias is about two people, whose rows may stand anywhere. Hashed rows are kept as they are sent."""
    assert_same_of_all(kind, several, overlaps, partitions, more, most)


def assert_same_of_all(
    kind: Kind, several: list[Run], overlaps: list[str], partitions: int, more: tuple[str, ...], most: int
) -> None:
    """Both plan the same for each of these logs, when the calls of those before it have their receipts."""
    with TemporaryDirectory() as name:
        folder, receipts = Path(name), Receipts()
        texts = [as_csv(run.rows, run.columns) for run in several]
        with one_machine(folder, NOW) as machine:
            for number, (run, overlap) in enumerate(zip(several, overlaps, strict=False)):
                path = folder / f"log{number}.csv"
                path.write_text(texts[number])
                asked = settings_of(words(folder, kind, "--overlap", overlap, *more, str(path)))
                planned = _result(partial(machine.plan, asked, [path]))
                job = _result(partial(sparkless.plan, asked, [path], receipts, partitions, most=most))
                if isinstance(planned, str) or isinstance(job, str):
                    assert job == planned or "--overlap repeats" in str(job)
                    return
                assert_same(job, planned)
                refused = {call.payload for call in planned.calls[:: run.refused]} if run.refused else set()
                machine.refuse(call for call in planned.calls if call.payload in refused)
                receipts.take(job, refused)


# Files that come again


GROWN = [row(0, "ada"), row(8, "ada", plan="max"), row(8, "bo")]


@pytest.mark.parametrize("end", ["\n", ""])
def test_a_file_that_grew(tmp_path: Path, end: str) -> None:
    """It is known by its bytes: rows that it had are passed over, and new rows are rows of the same log."""
    path, receipts = tmp_path / "log.csv", Receipts()
    asked = settings_of(words(tmp_path, KINDS[0], str(path)))
    with one_machine(tmp_path, NOW) as machine:
        for some in (GROWN[:2], [*GROWN[:2], row(0, "ada", note="other"), *GROWN[2:]], GROWN):
            path.write_text(as_csv(some).removesuffix("\n") + end)
            planned, job = machine.plan(asked, [path]), sparkless.plan(asked, [path], receipts)
            assert_same(job, planned)
            receipts.take(job)
    assert [reading.number for reading in receipts.readings] == [1, 2]


def test_two_files_of_the_same_bytes(tmp_path: Path) -> None:
    files = written(tmp_path, [as_csv(GROWN)] * 2, ".csv")
    asked = settings_of(words(tmp_path, KINDS[0], *map(str, files)))
    with one_machine(tmp_path, NOW) as machine:
        assert_same(sparkless.plan(asked, files), machine.plan(asked, files))


# What is refused


def test_the_same_log_under_another_meaning(tmp_path: Path) -> None:
    """Other times would be other calls: the log is refused, unless --as-new says that it is meant."""
    path, receipts = tmp_path / "log.csv", Receipts()
    path.write_text(as_csv(GROWN).replace("Z,", ","))
    with one_machine(tmp_path, NOW) as machine:
        found = []
        for zone, more in (("UTC", ()), ("Asia/Tokyo", ()), ("Asia/Tokyo", ("--as-new",))):
            asked = settings_of(words(tmp_path, KINDS[0], "--timezone", zone, *more, str(path)))
            planned = _result(partial(machine.plan, asked, [path]))
            job = _result(partial(sparkless.plan, asked, [path], receipts))
            found.append(job)
            if isinstance(job, str) or isinstance(planned, str):
                assert job == planned
                continue
            assert_same(job, planned)
            receipts.take(job)
        assert [isinstance(job, str) for job in found] == [False, True, False]


@pytest.mark.parametrize("kind", ["bad times", "conflicts"])
def test_most_of_the_first_rows_are_bad(tmp_path: Path, kind: str) -> None:
    path, receipts = tmp_path / "log.csv", Receipts()
    rows_of = [row(at, "ada", note=str(at)) for at in range(20)]
    path.write_text(as_csv(rows_of))
    asked = settings_of(words(tmp_path, KINDS[0], str(path)))
    with one_machine(tmp_path, NOW) as machine:
        machine.plan(asked, [path])
        receipts.take(sparkless.plan(asked, [path], receipts))
        changed = [row(at, "ada", note="other") for at in range(20)]
        text = as_csv(changed)
        path.write_text(text.replace("2024", "never") if kind == "bad times" else text)
        planned = _result(partial(machine.plan, asked, [path]))
        assert isinstance(planned, str)
        assert _result(partial(sparkless.plan, asked, [path], receipts)) == planned


@pytest.mark.parametrize(
    ("toml", "flags", "message"),
    [
        ("", ("--overlap", "repeats"), "--overlap repeats"),
    ],
)
def test_settings_that_are_refused(tmp_path: Path, toml: str, flags: tuple[str, ...], message: str) -> None:
    """What one task alone cannot decide is refused before anything is planned."""
    path = tmp_path / "log.csv"
    path.write_text(as_csv(GROWN))
    kind = SETS._replace(toml=toml) if toml else SETS
    asked = settings_of(words(tmp_path, kind, *flags, str(path)))
    with pytest.raises(UsageError, match=message):
        sparkless.plan(asked, [path])


# Digests


@given(
    st.text(max_size=9),
    st.text(max_size=9),
    st.dictionaries(st.text(max_size=5), st.text(min_size=1, max_size=5)),
)
@few
def test_digests_of_a_ledger_become_those_of_receipts(who: str, name: str, values: dict[str, str]) -> None:
    """The digests under the secret are those of the ledger's digests, so that either can start the other."""
    secret, properties = b"a secret", tuple(values.items())
    bare, keyed = Fingerprints("t"), KeyedFingerprints("t", secret)
    call = Record("main", "user", who, who, name, 5, properties, "id 1")
    row_bare, row_keyed = bare.fingerprint_row(properties), keyed.fingerprint_row(properties)
    assert row_keyed == (key_digest(secret, row_bare.total), key_pairs(secret, row_bare.columns))
    before, after = bare.fingerprint_call(call, row_bare.total), keyed.fingerprint_call(call, row_keyed.total)
    known = KnownCall(before.person, 0, 0, *before[3:8], (Claim(1, True, before.total),), 1)
    same = KnownCall(after.person, 0, 0, *after[3:8], (Claim(1, True, after.total),), 1)
    assert key_known(secret, known) == same


# Real logs


@pytest.mark.parametrize("kind", RECEIPT_KINDS)
@pytest.mark.slow
def test_the_receipt_log(kind: str, tmp_path: Path) -> None:
    """In order of time and not, and with times cut to minutes, so that many calls meet in one second."""
    if not LOG.exists():
        pytest.skip("the log is not here")
    header, *found = csv.reader(io.StringIO(LOG.read_text(encoding="utf-8")))
    flags, toml, *_ = RECEIPT_KINDS[kind]
    known = Kind(kind, (*FLAGS, *flags), toml, KINDS[0].form)
    files = written(
        tmp_path,
        [text([header, *found[:1500]], "minute"), text([header, *found[1000:2500]], "minute")],
        ".csv",
    )
    asked = settings_of(words(tmp_path, known, "--overlap", "separate", *map(str, files)))
    with one_machine(tmp_path, NOW) as machine:
        assert_alike(sparkless.plan(asked, files), machine.plan(asked, files))


@pytest.mark.parametrize("flags", [(), ("--allow-alias",)])
def test_an_export_with_aliases(flags: tuple[str, ...], tmp_path: Path) -> None:
    """They are sent if they are allowed, and else reported."""
    log = tmp_path / "log.json"
    log.write_bytes((Path(__file__).parent / "data" / "exports" / "kissmetrics.json").read_bytes())
    asked = settings_of(["--to", "http://127.0.0.1:1", *flags, str(log)])
    with one_machine(tmp_path, NOW) as machine:
        job, planned = sparkless.plan(asked, [log]), machine.plan(asked, [log])
        assert_same(job, planned)
        assert job.outcomes["withheld"] == planned.tally.withheld == (0 if flags else 1)
        assert any(payload.startswith(b"/a") for _, payload in job.payloads) is bool(flags)


SAMPLES = Path(__file__).parent.parent / "samples"


@pytest.mark.parametrize("strategy", ["toggle", "property", "sites"])
@pytest.mark.parametrize("name", ["events.csv", "events.jsonl", "payments.csv", "upgrades.csv"])
def test_the_samples(name: str, strategy: str, tmp_path: Path) -> None:
    files = [SAMPLES / name]
    asked = settings_of(["--to", "http://127.0.0.1:1", "--strategy", strategy, str(files[0])])
    with one_machine(tmp_path, NOW) as machine:
        planned = _result(partial(machine.plan, asked, files))
        job = _result(partial(sparkless.plan, asked, files))
        if isinstance(planned, str) or isinstance(job, str):
            assert job == planned
        else:
            assert_same(job, planned)
