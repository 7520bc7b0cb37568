"""Bad identities, names, values and hostile cells: the rest of the table that make_bad.py begins."""

from __future__ import annotations

from tests.make_bad import AT, CYD, GOOD, HEADER, Bad, csv, did, jsonl, n, r, w, x


def _row(user: str = "cyd", account: str = "Acme", event: str = "In", plan: str = "pro") -> bytes:
    return f"{user},{account},{event},{AT + 30},{plan}\n".encode()


def _column(name: str) -> bytes:
    """Return a log with this name of a column in place of `plan`, which nothing else than one row has."""
    quoted = '"' + name.replace('"', '""') + '"'
    return f"user,account,event,timestamp,{quoted}\nada,Acme,In,{AT},pro\n".encode()


def _placed(name: str, code: str, *said: str) -> Bad:
    """W for the name of a column."""
    sent = did(**{name.replace(" ", "__"): "pro"})
    line = {"D4": _NAME_FOLDS, "invisible-name": _HIDDEN_NAME}.get(code, _SETS)
    file = "column-" + "".join(letter if letter.isalnum() else f"{ord(letter):x}" for letter in name) + ".csv"
    return Bad(line, file, _column(name), sent, (1, 0, 0), findings=((code, 1),), said=said)


_EMPTY = "empty id of one persona"
_NOBODY = "null, none, undefined, anonymous, guest, -, n/a, missing as an id"
_HIDDEN = "control, zero-width, variation or bidirectional characters, blanks of any script alone in an id"
_HIDDEN_NAME = "the same in an event or property name; two property names that differ in Unicode form alone"
_ONE_ID = "one id as user and as account (in one row)"
_NAME_FOLDS = "event or property name with a comma or colon; two names that fold to one"
_NAMES = "empty name, name over 255 characters"
_RESERVED = "property that starts with _, or is Customer ID or KM_…"
_SETS = "property that Kissmetrics sets itself (Referrer, …)"
_LONG = "value over 512 characters / over 8,192 bytes"
_ODD = "JSON or a currency sign in a value"
_TWO = "one property of one person with two values in one second"
_TERMINAL = "terminal escapes, rich markup in a value"
TWINS = ("caf\u00e9", "cafe\u0301")
NOBODIES = ("null", "None", "UNDEFINED", "anonymous", "guest", "-", "n/a", "missing")

VALUES = [
    n("blank around an id", "blank-around.csv", csv(_row("  cyd\t", "\u00a0Acme ")), sent=(*GOOD, *CYD),
      rows=3).counting(blanks_around_ids=2),
    n("blank around an id", "blank-around-again.csv",
      csv(_row(" cyd") + _row(" cyd", event="Out")), rows=4,
      sent=(*GOOD, *CYD, *did("cyd Acme", "Out", AT + 30, plan="pro"))).counting(blanks_around_ids=2),
    r("blank around an id (of a row that is not sent)", "blank-around-bad.csv", _row(" cyd", event=""),
      "no-event"),
    w(_EMPTY, "no-user.csv", csv(_row("")), "no-user", "the row names no user",
      also=CYD[1:]).counting(parts_without_id=1),
    w(_EMPTY, "no-account.csv", csv(_row("cyd", " ")), "no-account", "the row names no account",
      also=CYD[:1]).counting(parts_without_id=1),
    w(_EMPTY, "null-account.jsonl", jsonl(b'"plan":"pro"').replace(b'"cyd","account":"Acme"',
      b'"cyd","account":null'),
      "no-account", "the row names no account", also=CYD[:1]).counting(parts_without_id=1),
    r(_EMPTY + "; all empty: R", "nobody.csv", _row("", " "), "no-identity", "no user and no account"),
    *(
        r(_NOBODY, f"nobody-{number}.csv", _row(who), "I1", f"{who!r} is a placeholder",
          f"--allow-id {who!r}")
        for number, who in enumerate(NOBODIES)
    ),
    r(_NOBODY, "placeholder-account.csv", _row("cyd", "N/A"), "I1", "'N/A'", "--allow-id"),
    n(_NOBODY, "placeholder-allowed.csv", csv(_row("guest")), "--allow-id", "guest",
      sent=(*GOOD, *did("guest Acme", "In", AT + 30, plan="pro")), rows=3),
    r("id over 255 characters", "id-256.csv", _row("é" * 256), "D4-long", "256 characters, over 255"),
    n("id over 255 characters", "id-255.csv", csv(_row("é" * 255)),
      sent=(*GOOD, *did("é" * 255 + " Acme", "In", AT + 30, plan="pro")), rows=3),
    *(
        r(_HIDDEN, f"hidden-{ord(letter):04x}.csv", _row(f'"c{letter}d"'), "invisible-character",
          f"U+{ord(letter):04X} {name}) at 2: take it out")
        for letter, name in {"\n": "CONTROL CHARACTER", "\x07": "CONTROL CHARACTER",
          "\x85": "CONTROL CHARACTER", "\u034f": "COMBINING GRAPHEME JOINER", "\u200b": "ZERO WIDTH SPACE",
          "\u202e": "RIGHT-TO-LEFT OVERRIDE", "\u2066": "LEFT-TO-RIGHT ISOLATE", "\u3164": "HANGUL FILLER",
          "\ufeff": "ZERO WIDTH NO-BREAK SPACE", "\U000e0041": "TAG LATIN CAPITAL LETTER A",
          "\ufe0e": "VARIATION SELECTOR-15", "\U000e0100": "VARIATION SELECTOR-17"}.items()
    ),
    r(_HIDDEN, "hidden-emoji.csv", _row("cyd \u2764\ufe0f"), "invisible-character",
      "U+FE0F VARIATION SELECTOR-16) at 6: take it out"),
    n(_HIDDEN, "emoji.csv", csv(_row("cyd\u2764")),
      sent=(*GOOD, *did("cyd\u2764 Acme", "In", AT + 30, plan="pro")),
      rows=3),
    *(
        r(_HIDDEN, f"blank-{ord(blank):04x}.csv", _row(blank * 2), "invisible-character", name)
        for blank, name in {"\u2800": "nothing but blanks (BRAILLE PATTERN BLANK)", "\u3164": "HANGUL FILLER",
          "\u1680": "nothing but blanks (OGHAM SPACE MARK)", "\u3000": "(IDEOGRAPHIC SPACE)",
          "\u00a0": "(NO-BREAK SPACE)", "\u115f": "HANGUL CHOSEONG FILLER",
          "\u180e": "MONGOLIAN VOWEL SEPARATOR", "\U0001d159": "(MUSICAL SYMBOL NULL NOTEHEAD)"}.items()
    ),
    n(_HIDDEN, "braille.csv", csv(_row("\u2801\u2800\u2801")),
      sent=(*GOOD, *did("\u2801\u2800\u2801 Acme", "In", AT + 30, plan="pro")), rows=3),
    *(
        w(_HIDDEN_NAME, f"hidden-event-{number}.csv", csv(_row(event=f'"{name}"')), "invisible-name", said,
          also=did("cyd Acme", name, AT + 30, plan="pro"))
        for number, (name, said) in enumerate({"I\nn": "(U+000A CONTROL CHARACTER) at 2",
          "In\u200b": "(U+200B ZERO WIDTH SPACE) at 3", "\u202eIn": "RIGHT-TO-LEFT OVERRIDE) at 1",
          "In\u2764\ufe0f": "VARIATION SELECTOR-16) at 4", "\u2800": "nothing but blanks"}.items())
    ),
    _placed("pl\u200ban", "invisible-name", "the property", "ZERO WIDTH SPACE) at 3"),
    _placed("pl\nan", "invisible-name", "the property", "CONTROL CHARACTER) at 3"),
    Bad(_HIDDEN_NAME, "twins.csv",
        f"user,account,event,timestamp,{','.join(TWINS)}\nada,Acme,In,{AT},1,2\n".encode(),
        did(**dict(zip(TWINS, "12", strict=True))), (1, 0, 0), findings=(("alike-names", 1),),
        said=("only in Unicode form",)),
    r(_ONE_ID, "one-id-twice.csv", _row("Acme"), "I2", "'Acme' is user and account at once"),
    w(_NAME_FOLDS, "event-colon.csv", csv(_row(event="In: twice")), "D4", "'In: twice'", "'In  twice'",
      also=did("cyd Acme", "In: twice", AT + 30, plan="pro")),
    w(_NAME_FOLDS, "event-comma.csv", csv(_row(event='"In, twice"')), "D4", "'In, twice'", "'In  twice'",
      also=did("cyd Acme", "In, twice", AT + 30, plan="pro")),
    _placed("plan:name", "D4", "the property 'plan:name'", "'plan name'"),
    w(_NAME_FOLDS, "names-fold.csv", csv(_row(event="IN")), "D4", "'IN'", "'In'",
      also=did("cyd Acme", "IN", AT + 30, plan="pro")),
    r(_NAMES, "no-event.csv", _row(event=" "), "no-event", "no event name"),
    r(_NAMES, "long-event.csv", _row(event="e" * 256), "D4-long", "256 characters"),
    r(_NAMES, "no-property-name.jsonl", b'"":"x"', "no-property-name", "empty name"),
    r(_NAMES, "long-property.jsonl", b'"%s":"x"' % (b"p" * 256), "D4-long", "256 characters"),
    x(_NAMES, "long-column.csv", _column("p" * 256), "256 characters", "shorter"),
    *(
        x(_RESERVED, f"reserved-{number}.csv", _column(name), repr(name), "--exclude-property")
        for number, name in enumerate(("_x", "Customer ID", "KM_Gender"))
    ),
    *(
        r(_RESERVED, f"reserved-{number}.jsonl", f'"{name}":"x"'.encode(), "reserved", repr(name),
          "--exclude-property")
        for number, name in enumerate(("_t", "customer id", "KM_Gender"))
    ),
    _placed("Referrer", "set-by-kissmetrics", "sets the property 'Referrer' itself"),
    w(_LONG, "value-513.csv", csv(_row(plan="é" * 513)), "D5-long", "513 characters",
      also=did("cyd Acme", "In", AT + 30, plan="é" * 513)),
    r(_LONG, "value-8194.csv", _row(plan="é" * 4097), "D5-bytes", "8,192 bytes"),
    w(_ODD, "json-in-value.csv", csv(_row(plan='"{""a"": 1}"')), "D5", "'plan' is JSON",
      also=did("cyd Acme", "In", AT + 30, plan='{"a": 1}')),
    w(_ODD, "currency.csv", csv(_row(plan="$49.00")), "D5", "'plan' has a currency sign", "'$49.00'",
      also=did("cyd Acme", "In", AT + 30, plan="$49.00")),
    n("empty or null value", "empty-value.csv", csv(_row(plan="")),
      sent=(*GOOD, *did("cyd Acme", "In", AT + 30)), rows=3).counting(empty_values=1),
    n("empty or null value", "null-value.jsonl", jsonl(b'"plan":null'),
      sent=(*GOOD, *did("cyd Acme", "In", AT + 30)), rows=3).counting(empty_values=1),
    n("empty or null value (one that is not there is none)", "absent-value.jsonl", jsonl(b'"x":""'),
      "--property", "plan", "--property", "x",
      sent=(*GOOD, *did("cyd Acme", "In", AT + 30)), rows=3).counting(empty_values=1),
    Bad(_TWO, "two-values.csv", HEADER + f"ada,Acme,In,{AT},pro\nada,Acme,Out,{AT},free\n".encode(),
        (*did(plan="pro"), *did("ada Acme", "Out", AT + 1, plan="free")), (2, 0, 0), findings=(("D2", 2),),
        said=("a later second",)),
    Bad(_TWO + ": else W", "two-values-no-room.csv",
        HEADER + f"ada,Acme,In,{AT},pro\nada,Acme,Out,{AT},free\n".encode(),
        (*did(plan="pro"), *did("ada Acme", "Out", plan="free")), (2, 0, 0), findings=(("D2-lost", 2),),
        said=("keeps one of them",), flags=("--spread", "0")),
    n("numbers in JSON", "numbers.jsonl",
      jsonl(b'"a":1.50,"b":-0,"c":1e400,"d":12345678901234567890123,"e":true'),
      sent=(*GOOD, *did("cyd Acme", "In", AT + 30, a="1.50", b="-0", c="1e400", d="12345678901234567890123",
      e="true")),
      rows=3),
    r(_TERMINAL, "escapes.csv", _row("\x1b]0;owned\x07\x1b[2J"), "invisible-character", "U+001B"),
    w(_TERMINAL, "markup.csv", csv(_row(event="[red]In:[/red]\x1b[31m")), "D4", "[red]In:[/red]\\x1b[31m",
      also=did("cyd Acme", "[red]In:[/red]\x1b[31m", AT + 30, plan="pro"))._replace(
      findings=(("D4", 1), ("invisible-name", 1))),
    n("a cell that begins with = + - @", "formula.csv", csv(_row(plan="=1+1")),
      sent=(*GOOD, *did("cyd Acme", "In", AT + 30, plan="=1+1")), rows=3),
    n("HTML in a value", "html.csv", csv(_row(plan="<script>")),
      sent=(*GOOD, *did("cyd Acme", "In", AT + 30, plan="<script>")), rows=3),
]  # fmt: skip
