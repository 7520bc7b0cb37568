"""Bad files, each small and named after its fault, with the results that they must have.

`line` of a case is the line of bad-input.md that it stands for, in its words. `python -m tests.make_bad
FOLDER` writes them all for looking at. Identities, names and values are in make_bad_values.py.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path
from typing import NamedTuple

from tests.make_foreign import FOREIGN
from tests.support.packing import PACKS

AT = 1_704_067_200
"""2024-01-01T00:00:00Z, when nearly all of it happened."""


class Call(NamedTuple):
    """The calls that must arrive for one persona."""

    person: str
    event: str
    second: int
    properties: tuple[tuple[str, str], ...]


class Bad(NamedTuple):
    """One file and its end. `rows` are those sent, skipped and rejected; `reasons` lines by code."""

    line: str
    name: str
    content: bytes
    sent: tuple[Call, ...] = ()
    rows: tuple[int, int, int] = (0, 0, 0)
    exit: int = 0
    reasons: tuple[tuple[str, int], ...] = ()
    findings: tuple[tuple[str, int], ...] = ()
    said: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    normalised: tuple[tuple[str, int], ...] = ()

    def counting(self, **normalised: int) -> Bad:
        """Return the case with its counts of normalised forms; `_` in a word is a hyphen."""
        return self._replace(
            normalised=tuple((word.replace("_", "-"), count) for word, count in normalised.items())
        )


def did(who: str = "ada Acme", event: str = "In", at: int = AT, /, **properties: str) -> tuple[Call, ...]:
    """Return the calls of one row, one a persona; `__` in a name is a blank."""
    pairs = tuple(sorted((name.replace("__", " "), value) for name, value in properties.items()))
    return tuple(Call(person, event, at, pairs) for person in who.split())


HEADER = b"user,account,event,timestamp,plan\n"
FIRST = b"ada,Acme,In,1704067200,pro\n"
LAST = b"bob,Acme,Out,1704067260,free\n"
GOOD = (*did(plan="pro"), *did("bob Acme", "Out", AT + 60, plan="free"))
"""The calls of the good rows before and behind a bad one."""

JSON_FIRST = b'{"user":"ada","account":"Acme","event":"In","timestamp":1704067200,"plan":"pro"}\n'
JSON_LAST = b'{"user":"bob","account":"Acme","event":"Out","timestamp":1704067260,"plan":"free"}\n'


def csv(bad: bytes = b"") -> bytes:
    """Return a log whose third line is bad."""
    return HEADER + FIRST + bad + LAST


def jsonl(bad: bytes) -> bytes:
    """Return JSON lines whose second is bad: members, or a whole line if it ends with a line break."""
    if not bad.endswith(b"\n"):
        bad = b'{"user":"cyd","account":"Acme","event":"In","timestamp":1704067230,' + bad + b"}\n"
    return JSON_FIRST + bad + JSON_LAST


def n(line: str, name: str, content: bytes, *flags: str, sent: tuple[Call, ...] = GOOD, rows: int = 2) -> Bad:
    """N: normalised, and sent without a word."""
    return Bad(line, name, content, sent, (rows, 0, 0), flags=flags)


def w(
    line: str,
    name: str,
    content: bytes,
    code: str,
    *said: str,
    also: tuple[Call, ...],
    flags: str = "",
    times: int = 1,
) -> Bad:
    """W: sent, with findings of one code that say this."""
    sent, rows = (*GOOD, *also), 2 + (len(also) + 1) // 2
    found = ((code, times),)
    return Bad(line, name, content, sent, (rows, 0, 0), findings=found, said=said, flags=tuple(flags.split()))


def r(line: str, name: str, bad: bytes, code: str, *said: str, flags: str = "", times: int = 1) -> Bad:
    """R: rejected with this reason, between good rows that are sent."""
    content = jsonl(bad) if name.endswith(".jsonl") else csv(bad)
    first = 2 if name.endswith(".jsonl") else 3
    reasons = tuple((code, first + number) for number in range(times))
    words = (f"{times} row", "rejects-", "import it", *said)
    return Bad(line, name, content, GOOD, (2, 0, times), 65, reasons, (), words, tuple(flags.split()))


def x(line: str, name: str, content: bytes, *said: str, flags: str = "") -> Bad:
    """X: stops before anything is sent."""
    return Bad(line, name, content, exit=2, said=(name, *said), flags=tuple(flags.split()))


def timed(*times: str) -> bytes:
    """Return a log with rows at these times between good ones."""
    return csv(b"".join(b"cyd,Acme,In,%s,pro\n" % time.encode() for time in times))


CYD = did("cyd Acme", "In", AT + 30, plan="pro")
LONG = b"cyd,Acme,In,1704067230," + b"x" * (1 << 20) + b"\n"
REORDERED = b"plan,timestamp,event,account,user\npro,1704067200,In,Acme,ada\nfree,1704067260,Out,Acme,bob\n"
DEEP = b'"plan":' + b'{"a":' * 150 + b"1" + b"}" * 150
MANY = b"".join(b"u%d,,In,%d,\n" % (number, AT + number) for number in range(1100))

_MARKS = "UTF-8 byte order mark; CRLF, CR or mixed line ends; reordered columns; blank lines"
_FIELDS = (
    "too few or too many fields; a JSON line that is no object; duplicate keys in one object; NaN or "
    "Infinity; nesting too deep"
)
_HEADERS = "wrong delimiter (one column found), missing column, two headers alike, empty header name"
_INVALID = "invalid UTF-8; NUL; lone surrogate"

SHAPE = [
    n(_MARKS, "byte-order-mark.csv", b"\xef\xbb\xbf" + csv()).counting(byte_order_mark=1),
    n(_MARKS, "byte-order-mark.jsonl", b"\xef\xbb\xbf" + JSON_FIRST + JSON_LAST).counting(
      byte_order_mark=1),
    n(_MARKS, "crlf.csv", csv().replace(b"\n", b"\r\n")).counting(line_ends=1),
    n(_MARKS, "crlf.jsonl", JSON_FIRST.replace(b"\n", b"\r\n") + b"\n" + JSON_LAST).counting(line_ends=1,
      blank_lines=1),
    n(_MARKS, "cr.csv", csv().replace(b"\n", b"\r")).counting(line_ends=1),
    n(_MARKS, "mixed-ends.csv", HEADER.replace(b"\n", b"\r") + FIRST.replace(b"\n", b"\r\n") + LAST).counting(
      line_ends=1),
    n(_MARKS, "reordered.csv", REORDERED),
    n(_MARKS, "blank-lines.csv", b"\n\n" + csv(b"\n  \n\r\n") + b"\n").counting(blank_lines=6,
      line_ends=1),
    x("UTF-16/32", "utf-16.csv", csv().decode().encode("utf-16"), "UTF-16", "--encoding utf-16"),
    x("UTF-16/32", "utf-16-no-mark.csv", csv().decode().encode("utf-16-le"), "--encoding utf-16le"),
    x("UTF-16/32", "utf-32.csv", csv().decode().encode("utf-32"), "UTF-32", "--encoding utf-32"),
    x("UTF-32 without a mark", "utf-32-no-mark.csv", csv().decode().encode("utf-32-be"), "UTF-32BE",
      "--encoding utf-32be"),
    n("UTF-32 without a mark", "utf-32-said.csv", csv().decode().encode("utf-32-be"), "--encoding",
      "utf-32be"),
    x("zero bytes at the beginning", "zeros.csv", bytes(700) + csv(), "begins with zero bytes",
      "| tr -d '\\000' | km-cli import -"),
    x("zero bytes at the beginning", "zeros.jsonl", bytes(7) + JSON_FIRST, "begins with zero bytes",
      "| tr -d '\\000' | km-cli import -"),
    n("UTF-16/32", "utf-16-said.csv", csv().decode().encode("utf-16"), "--encoding", "utf-16"),
    r(_INVALID, "invalid-utf8.csv", b"c\xffd,Acme,In,1704067230,\n", "invalid-utf8", "not valid UTF-8",
      "import it again with --encoding"),
    r(_INVALID, "invalid-utf8.jsonl", b'"plan":"\xff"', "invalid-utf8", "not valid UTF-8"),
    r(_INVALID, "nul.csv", b"cyd,Acme,I\0n,1704067230,\n", "nul", "NUL byte"),
    r(_INVALID, "nul.jsonl", b'"plan":"\\u0000"', "bad-json", "NUL character"),
    r(_INVALID, "surrogate.csv", b"cyd,Acme,In,1704067230,\xed\xa0\x80\n", "invalid-utf8", "not valid UTF-8"),
    r(_INVALID, "surrogate.jsonl", b'"plan":"\\ud800"', "bad-json", "half of a surrogate pair"),
    r(_FIELDS, "too-few.csv", b"cyd,Acme,In,1704067230\n", "ragged-row", "too few fields: 4", "has 5"),
    r(_FIELDS, "too-many.csv", b"cyd,Acme,In,1704067230,,\n", "ragged-row", "too many fields: 6", "has 5"),
    r(_FIELDS, "no-object.jsonl", b'["ada"]\n"x"\nnull\n', "bad-json", "not a JSON object but", times=3),
    r(_FIELDS, "no-json.jsonl", b"{'user': 1}\n", "bad-json", "not JSON", "column 2"),
    r(_FIELDS, "duplicate-keys.jsonl", b'"plan":"a","plan":"b"', "bad-json", "'plan' occurs twice"),
    r(_FIELDS, "duplicate-inside.jsonl", b'"x":{"a":1,"a":2}', "bad-json", "occurs twice", flags="--flatten"),
    r(_FIELDS, "nan.jsonl", b'"plan":NaN', "bad-json", "NaN is not a number"),
    r(_FIELDS, "infinity.jsonl", b'"plan":-Infinity', "bad-json", "Infinity is not a number"),
    r(_FIELDS, "too-deep.jsonl", DEEP, "too-deep", "nested too deeply", flags="--flatten"),
    r("unclosed quote", "bad-quoting.csv", b'cyd,Acme,"In"x,1704067230,\n', "bad-quoting", "doubled"),
    x("unclosed quote", "unclosed.csv", csv(b'cyd,"Acme,In,1704067230,\n'), "line 3: a quotation mark",
      "by the end of the file", "correct line 3", "not sent twice"),
    x("unclosed quote", "unclosed-long.csv", csv(b'cyd,"Acme,In\n' + LAST * 40_000), "line 3",
      "before its record has 1 MiB"),
    x("unclosed quote", "unclosed-second.csv", csv(b'cyd,"Ac\n""me","I,\nn","1704067230,\n'), "line 5: a",
      "by the end of the file"),
    x("unclosed quote", "unclosed-header.csv", csv().replace(b"event", b'"event'), "line 1: a quotation mark",
      "by the end of the file"),
    Bad(
        "X: else there, and what was sent stands", "unclosed-late.csv", HEADER + MANY + b'cyd,"Acme\n',
        tuple(call for number in range(1100) for call in did(f"u{number}", "In", AT + number)), (1100, 0, 0),
        2,
        findings=(("no-account", 1100),), said=("line 1102", "by the end of the file", "not sent twice"),
    ).counting(empty_values=1100, parts_without_id=1100),
    n("quoted line breaks", "quoted-line-break.csv", csv(b'cyd,Acme,In,1704067230,"a\r\nb"\n'),
      sent=(*GOOD, *did("cyd Acme", "In", AT + 30, plan="a\r\nb")), rows=3),
    x(_HEADERS, "wrong-delimiter.csv", csv().replace(b",", b"^"), "only one column", "'user^account^event",
      "--delimiter"),
    x(_HEADERS, "missing-column.csv", csv().replace(b"timestamp", b"stamp"),
      "user, account, event, stamp, plan", "--timestamp"),
    x(_HEADERS, "missing-named.csv", csv(), "'pln'", "user, account, event", "'plan'?",
      flags="--property pln"),
    x(_HEADERS, "headers-alike.csv", csv().replace(b"plan", b"User"), "'user' and 'User'", "rename"),
    x(_HEADERS, "headers-alike-folded.csv", csv().replace(b"account", b"STRASSE").replace(b"plan",
      "Straße".encode()),
      "'STRASSE' and 'Straße'", "rename"),
    x(_HEADERS, "empty-header-name.csv", csv().replace(b"account", b" "), "column 2 has no name", "plan",
      "name every"),
    *(
        x(_HEADERS + " (a comment)", f"comment-{number}.csv", first + b"\n" + csv(), "looks like a comment",
          "tail -n +2 ", " | km-cli import -")
        for number, first in enumerate((b"# exported today", b"// exported", b"sep=;", b"sep=,", b"SEP=\t",
          b"#a, b, #a", b"\xef\xbb\xbf# marked"))
    ),
    x(_HEADERS + " (a comment)", "comment-late.csv", b"\n\n-- exported\n" + csv(), "line 3",
      "tail -n +4 "),
    x(_HEADERS + " (a comment)", "comment-packed.csv.gz", gzip.compress(b"#\n" + csv(), mtime=0),
      "gzip -dc ", " | tail -n +2 | km-cli import -"),
    x(_HEADERS + " (a comment)", "comment-columns.csv", b"# May 3, 2024\n" + csv(),
      "no column was recognised", "if it is a comment", "tail -n +2"),
    *(
        x("no header", f"no-header-{number}.csv", first + LAST, "line 1", "there is no header", shown,
          "each of the 5 columns", f"(echo {columns}; cat ", "| km-cli import -")
        for number, (first, columns, shown) in enumerate(
            (
                (FIRST, "user,account,event,...", "1704067200"),
                (b"a@x.example,Acme,In,now,\n", "user,account,event,...", "a@x.example"),
                (b"ada,,,2024-01-01T00:00:00Z,\n", "user,account,event,...", "2024-01-01T00"),
                (b"ada;;In;1/2/24 10:00 PM;5\n", "'user;account;event;...'", "1/2/24 10:00 PM"),
                (b'ada,Acme,In,"Jan 3, 2024 10:00",pro\n', "user,account,event,...", "Jan 3, 2024 10:00"),
                (b"ada,Acme,In,20240131,pro\n", "user,account,event,...", "20240131"),
            )
        )
    ),
    x("no header", "no-header.csv.gz", gzip.compress(FIRST + LAST, mtime=0), "there is no header",
      "gzip -dc ", "| km-cli import -"),
    Bad("a column may be called as a number", "number-column.csv", csv().replace(b"plan", b"2024", 1),
        (*did(**{"2024": "pro"}), *did("bob Acme", "Out", AT + 60, **{"2024": "free"})), (2, 0, 0)),
    x(_HEADERS + " (a delimiter at the end)", "delimiter-last.csv",
      csv().replace(b",", b";").replace(b"\n", b";\n"), "ends with a semicolon", "sed 's/;$//' ",
      "| km-cli import -"),
    x(_HEADERS + " (a delimiter at the end)", "delimiter-last-crlf.csv",
      csv().replace(b"\n", b",\r\n"), "ends with a comma", "| tr -d '\\r' | sed 's/,$//' | km-cli import -"),
    n(_HEADERS, "hash-column.csv", b"#" + csv(), "--user", "#user"),
    n("empty file, header only", "empty.csv", b"", sent=(), rows=0),
    n("empty file, header only", "empty.jsonl", b"\n", sent=(), rows=0),
    n("empty file, header only", "header-only.csv", HEADER, sent=(), rows=0),
    r("a record over 1 MiB", "long-record.csv", LONG, "record-too-long", "over 1 MiB"),
    r("a record over 1 MiB", "long-record.jsonl", b'"plan":"%s"' % (b"x" * (1 << 20)), "record-too-long",
      "over 1 MiB"),
    x("JSON array instead of JSON lines", "array.json.gz",
      gzip.compress(b"[" + JSON_FIRST + b"]", mtime=0),
      "gzip -dc ", "array.json.gz | jq -c '.[]' > lines.jsonl"),
    x("JSON array instead of JSON lines", "array.json", b"[" + JSON_FIRST + b"]", "jq -c '.[]'",
      "lines.jsonl"),
    r("nested JSON value in a property", "nested.jsonl", b'"plan":{"name":"pro"}', "nested",
      "'plan' is nested", "--flatten"),
    Bad("nested JSON value in a property: --flatten", "nested-flat.jsonl",
        jsonl(b'"plan":{"name":"pro","of":[1]}'),
        (*GOOD, *did("cyd Acme", "In", AT + 30, **{"plan.name": "pro", "plan.of.0": "1"})), (3, 0, 0),
        flags=("--flatten",)),
    Bad("gzip, zst that is cut short", "cut-short.csv.gz", gzip.compress(csv(), mtime=0)[:-4], GOOD,
        (2, 0, 0), 74,
        said=("cut-short.csv.gz", "cut short", f"{len(csv())} bytes")),
    Bad("gzip, zst that is cut short", "cut-short.csv.zst", PACKS["zst"](csv())[:-9], exit=74,
        said=("cut short", "bytes")),
    Bad("gzip, zst that is cut short (damaged from its start)", "damaged.csv.gz",
        gzip.compress(csv(), mtime=0)[:10] + b"\xff" * 40, exit=74,
        said=("damaged.csv.gz", "damaged", "after 0 bytes", "nothing in it can be read", "a whole copy")),
    n("last line without an end", "no-end.csv", csv()[:-1]),
    n("last line without an end", "no-end.jsonl", (JSON_FIRST + JSON_LAST)[:-1]),
    *(
        x("an archive, a document, a picture", name, content, what, cure)
        for name, (content, what, cure) in FOREIGN.items()
    ),
]  # fmt: skip

_WAYS = "seconds since 1970; ISO 8601 with offset or Z; RFC 2822"
_UNITS = "milli-, micro- or nanoseconds since 1970"
_NO_OFFSET = "no offset"
_NO_TIME = "missing, not a time, 0, 0000-00-00, negative, before 2009-01-01"
_ZONE = "--timezone Europe/Berlin"


def _no_time(name: str, text: str, *said: str, code: str = "time", flags: str = "") -> Bad:
    bad = f"cyd,Acme,In,{text},\n".encode()
    return r(_NO_TIME, name, bad, code, *said, flags=flags)


TIME = [
    *(
        n(_WAYS, f"time-{name}.csv", timed(text), sent=(*GOOD, *CYD), rows=3)
        for name, text in {
            "seconds": "1704067230", "z": "2024-01-01T00:00:30Z", "offset": "2024-01-01T01:00:30+01:00",
            "blank": "2024-01-01 00:00:30Z", "rfc-2822": '"Mon, 01 Jan 2024 01:00:30 +0100"',
        }.items()
    ),
    *(
        Bad(_UNITS, f"{name}.csv",
            HEADER + f"ada,Acme,In,{AT}{zeros},pro\nbob,Acme,Out,{AT + 60}{zeros},free\n".encode(),
            GOOD, (2, 0, 0), findings=(("time-unit", 1),), said=(name,))
        for name, zeros in {"milliseconds": "000", "microseconds": "000000",
        "nanoseconds": "000000000"}.items()
    ),
    x(_UNITS + ": mixed units in one column", "mixed-units.csv", timed("1704067230000"), "line 3",
      "milliseconds", "one unit"),
    Bad("fraction of a second: floored, kept for telling rows apart", "fractions.csv",
        timed("1704067230.25", "1704067230.75"),
        (*GOOD, *CYD, *did("cyd Acme", "In", AT + 31, plan="pro")), (4, 0, 0),
        findings=(("D1", 2), ("D1-alike", 2)),
        said=("sent in a later second",)).counting(fractions_floored=2),
    x(_NO_OFFSET, "no-offset.csv", timed("2024-01-01 01:00:30"), "line 3", "2024-01-01 01:00:30",
      "--timezone"),
    n(_NO_OFFSET, "no-offset-said.csv", timed("2024-01-01 01:00:30"), *_ZONE.split(), sent=(*GOOD, *CYD),
      rows=3),
    _no_time("never-existed.csv", "2024-03-31 02:30:00", "does not exist in Europe/Berlin", flags=_ZONE),
    _no_time("happened-twice.csv", "2024-10-27 02:30:00", "occurs twice", "--ambiguous", flags=_ZONE),
    *(
        n("local times that happen twice, with --ambiguous", f"twice-{name}.csv",
          timed("2024-10-27 02:30:00"),
          *_ZONE.split(), "--ambiguous", name, sent=(*GOOD, *did("cyd Acme", "In", at, plan="pro")), rows=3)
        for name, at in {"earlier": 1_729_989_000, "later": 1_729_992_600}.items()
    ),
    w(":60", "leap-second.csv", timed("2016-12-31T23:59:60Z"), "leap-second", ":60 is read as :59",
      also=did("cyd Acme", "In", 1_483_228_799, plan="pro")),
    x("03/04/2024 and the like", "day-or-month.csv", timed("03/04/2024"), "line 3", "'03/04/2024'",
      "--time-format"),
    n("03/04/2024 and the like", "day-or-month-said.csv", HEADER + b"ada,Acme,In,03/04/2024,\n",
      "--time-format", "%d/%m/%Y",
      "--timezone", "UTC", sent=did("ada Acme", "In", 1_712_102_400), rows=1).counting(empty_values=1),
    n("13/04/2024: one reading only", "day-first.csv", timed("13/04/2024 10:00Z", "04/04/2024 10:00Z"),
      sent=(*GOOD, *did("cyd Acme", "In", 1_713_002_400, plan="pro"),
      *did("cyd Acme", "In", 1_712_224_800, plan="pro")), rows=4),
    x("13/04/2024: one reading only", "day-first-and-either.csv",
      timed("13/04/2024 10:00Z", "03/04/2024 10:00Z"), "line 4",
      "'03/04/2024 10:00Z'", "'13/04/2024 10:00Z' before it the day comes first",
      "--time-format '%d/%m/%Y %H:%M%z'"),
    x("13/04/2024: one reading only", "two-orders.csv", timed("13/04/2024 10:00Z", "04/13/2024 10:00Z"),
      "line 4", "has the month first", "one order of day and month"),
    *(
        r("24:00:00, +25:00, 30 February", f"{name}.csv", f"cyd,Acme,In,{text},\n".encode(), "time", said)
        for name, text, said in (
            ("hour-24", "2024-01-01T24:00:00Z", "24:00: midnight is 00:00:00 of the next day"),
            ("offset-25", "2024-01-01T00:00:00+25:00", "has the offset +25:00, which no zone has"),
            ("30-february", "2024-02-30T00:00:00Z", "a day that does not exist: 30 February 2024"),
            ("30-february-slashed", "30/02/2024", "a day that does not exist: 30 February 2024"),
        )
    ),
    _no_time("no-time.csv", "", "it has no time"),
    _no_time("not-a-time.csv", "soon", "'soon'", "a form that km-cli does not know", "--time-format"),
    _no_time("zero.csv", "0", "'0' is zero or less", code="D6"),
    _no_time("zero-date.csv", "0000-00-00", "means no time", code="D6"),
    _no_time("negative.csv", "-1704067230", "zero or less", code="D6"),
    _no_time("before-2009.csv", "2008-12-31T23:59:59Z", "before 2009-01-01", code="D6"),
    _no_time("far-ahead.csv", "2099-01-01T00:00:00Z", "more than a day ahead"),
]  # fmt: skip


def main(folder: str) -> None:
    """Write them all."""
    from tests.make_bad_values import VALUES

    Path(folder).mkdir(parents=True, exist_ok=True)
    for bad in (*SHAPE, *TIME, *VALUES):
        Path(folder, bad.name).write_bytes(bad.content)


if __name__ == "__main__":
    main(*sys.argv[1:])
