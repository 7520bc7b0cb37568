"""The formats of the files that Kissmetrics imports in bulk (W6): JSON, one object a line, and CSV.

A format turns calls into lines. The lines of a file have one *layout*: the kind of their calls, and the
columns of the header. JSON names each value in its line, so it needs neither.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from json.encoder import encode_basestring
from typing import ClassVar, NamedTuple

from km_cli.kissmetrics import fold_name
from km_cli.memory import Remembered
from km_cli.model import Alias, Properties, Record, Set, Wired


class Layout(NamedTuple):
    """The layout of a file: the kind of its calls, and the names of its property columns."""

    kind: str = ""
    columns: tuple[str, ...] = ()


class BulkFormat(ABC):
    """A format of bulk files."""

    ending: ClassVar[str]
    """How the names of its files end."""

    limits: Callable[[Wired], str] | None = None
    """Returns the reason why the format cannot hold a call, "" if it can. None: it holds every call."""

    @abstractmethod
    def layouts(self, calls: Sequence[Wired], begun: Iterable[Layout]) -> list[Layout]:
        """Return the layout for each call: one of those of the files that are `begun`, or a new one."""

    @abstractmethod
    def header(self, layout: Layout) -> bytes:
        """Return the bytes that a file begins with."""

    @abstractmethod
    def line(self, call: Wired, second: int, layout: Layout) -> bytes:
        """Return the line of a call. Its `second` is in UTC since 1970, also for an alias."""


_ONE = Layout()


class JsonLines(BulkFormat):
    """JSON, one object a line: `{"_p":…,"_n":…,"_t":…,NAME:VALUE…}`; an alias has `_p2`.

    All values are text: Kissmetrics reads "123" as a number by itself (D5), and 1.10 stays as it was written.
    """

    ending = ".json"

    def __init__(self) -> None:
        self._last: tuple[object, str] = (None, "")

    def layouts(self, calls: Sequence[Wired], begun: Iterable[Layout]) -> list[Layout]:  # noqa: ARG002
        """Return the same layout for all calls."""
        return [_ONE] * len(calls)

    def header(self, layout: Layout) -> bytes:  # noqa: ARG002 - others need it
        """Return no bytes."""
        return b""

    def line(self, call: Wired, second: int, layout: Layout) -> bytes:  # noqa: ARG002
        """Return the object of a call, in UTF-8."""
        text = encode_basestring
        if type(call) is Alias:
            return f'{{"_p":{text(call.identity)},"_p2":{text(call.other)},"_t":{second}}}\n'.encode()
        assert not isinstance(call, Alias)
        event = f'"_n":{text(call.event)},' if type(call) is Record else ""
        pairs = self._pairs(call.properties)
        return f'{{"_p":{text(call.identity)},{event}"_t":{second}{pairs}}}\n'.encode()

    def _pairs(self, properties: Properties) -> str:
        if self._last[0] is not properties:  # the calls of one row mostly share their properties
            text = encode_basestring
            pairs = [f",{text(name)}:{text(value)}" for name, value in properties]
            self._last = (properties, "".join(pairs))
        return self._last[1]


MOST_COLUMNS = 10
"""Property columns of a CSV file (csv-import)."""

_EVENTS, _PROPERTIES, _ALIASES = "events", "properties", "aliases"
_KINDS: dict[type, str] = {Record: _EVENTS, Set: _PROPERTIES, Alias: _ALIASES}
_FIXED = {
    _EVENTS: ("Identity", "Timestamp", "Event"),
    _PROPERTIES: ("Identity", "Timestamp"),
    _ALIASES: ("Identity", "Alias"),
}
"""The columns before those of properties, by kind. An alias needs no time."""

_MOST_SHAPES = 10_000
"""Layouts of calls that are remembered."""

_UNFIT = re.compile('["\r\n,]')
_CHARACTERS = {'"': "a double quotation mark", ",": "a comma", "\r": "a line break", "\n": "a line break"}
"""Kissmetrics' CSV import takes no double quotation marks, and without them no cell can hold the others."""


class Csv(BulkFormat):
    """CSV with a header: `Identity, Timestamp, Event, Prop:NAME…`.

    Rows that only set properties must stand in files of their own, and so do aliases, which need no time.
    """

    ending = ".csv"

    def __init__(self) -> None:
        self.limits = self._unfit
        # The calls of one row mostly share their properties.
        self._shapes: tuple[object, tuple[Layout, Layout]] = (None, (_ONE, _ONE))
        self._by_names: Remembered[tuple[str, ...], tuple[Layout, Layout]] = Remembered(_MOST_SHAPES)
        self._cells: tuple[object, object, str] = (None, None, "")
        self._fitting: object = None

    def layouts(self, calls: Sequence[Wired], begun: Iterable[Layout]) -> list[Layout]:
        """Return the layouts of calls. Calls with new properties share a file as far as columns allow."""
        shapes = [self._shape(call) for call in calls]
        found, left = dict[Layout, Layout](), list[Layout]()
        begun = list(begun)
        for shape in dict.fromkeys(_changes(shapes)):
            fitting = next((layout for layout in begun if _holds(layout, shape)), None)
            if fitting is None:
                left.append(shape)
            else:
                found[shape] = fitting
        new = _packed(left)
        found.update((shape, next(layout for layout in new if _holds(layout, shape))) for shape in left)
        last, layout, layouts = None, _ONE, list[Layout]()
        for shape in shapes:
            if shape is not last:
                last, layout = shape, found[shape]
            layouts.append(layout)
        return layouts

    def _shape(self, call: Wired) -> Layout:
        """Return the smallest layout that holds a call. Most are one object, which is compared fast."""
        if type(call) is Alias:
            return Layout(_ALIASES)
        assert not isinstance(call, Alias)
        if self._shapes[0] is not call.properties:
            names = tuple([name for name, _ in call.properties])
            shapes = self._by_names.get(names) or self._by_names.remember(
                names, (Layout(_EVENTS, names), Layout(_PROPERTIES, names))
            )
            self._shapes = (call.properties, shapes)
        return self._shapes[1][type(call) is not Record]

    def header(self, layout: Layout) -> bytes:
        """Return the line with the names of the columns."""
        names = (*_FIXED[layout.kind], *(f"Prop:{name}" for name in layout.columns))
        return (",".join(names) + "\n").encode()

    def line(self, call: Wired, second: int, layout: Layout) -> bytes:
        """Return the cells of a call. No cell needs quotation marks, see `limits`."""
        if type(call) is Alias:
            return f"{call.identity},{call.other}\n".encode()
        assert not isinstance(call, Alias)
        if self._cells[0] is not call.properties or self._cells[1] is not layout:
            values = dict(call.properties)
            cells = "".join([f",{values.get(name, '')}" for name in layout.columns])
            self._cells = (call.properties, layout, cells)
        event = f",{call.event}" if type(call) is Record else ""
        return f"{call.identity},{second}{event}{self._cells[2]}\n".encode()

    def _unfit(self, call: Wired) -> str:
        """Return the reason why a file cannot hold a call, "" if it can."""
        if isinstance(call, Alias):
            return _unfit_text("the id", call.identity) or _unfit_text("the alias", call.other)
        if len(call.properties) > MOST_COLUMNS:
            return _too_many(call.properties)
        texts = [call.identity, call.event]
        if self._fitting is not call.properties:
            texts += [text for pair in call.properties for text in pair]
        if not _UNFIT.search("\0".join(texts)):
            self._fitting = call.properties
            return ""
        return (
            _unfit_text("the id", call.identity)
            or _unfit_text("the event", call.event)
            or next(filter(None, map(_unfit_pair, call.properties)), "")
        )


def _changes(shapes: Iterable[Layout]) -> Iterator[Layout]:
    """Yield each shape that is not the one before: few of them have to be compared in full."""
    last = None
    for shape in shapes:
        if shape is not last:
            last = shape
            yield shape


def _holds(layout: Layout, shape: Layout) -> bool:
    return layout.kind == shape.kind and set(shape.columns) <= set(layout.columns)


def _packed(shapes: Iterable[Layout]) -> list[Layout]:
    """Return as few layouts as a first fit finds that hold all shapes."""
    packed: list[Layout] = []
    for shape in shapes:
        for at, layout in enumerate(packed):
            if both := _joined(layout, shape):
                packed[at] = both
                break
        else:
            packed.append(shape)
    return packed


def _joined(one: Layout, other: Layout) -> Layout | None:
    """Return a layout that holds both, None if there is none.

    Names that differ by case only are one property (D4), and must not be two columns of a file.
    """
    columns = tuple(dict.fromkeys((*one.columns, *other.columns)))
    is_too_wide = len(columns) > MOST_COLUMNS
    if one.kind != other.kind or is_too_wide or len(set(map(fold_name, columns))) < len(columns):
        return None
    return Layout(one.kind, columns)


def _too_many(properties: Properties) -> str:
    number = len(properties)
    return f"it has {number} properties, and Kissmetrics' CSV files have {MOST_COLUMNS} columns for them"


def _unfit_pair(pair: tuple[str, str]) -> str:
    name, value = pair
    return _unfit_text("the property", name) or _unfit_text(f"the value of the property {name!r},", value)


def _unfit_text(label: str, text: str) -> str:
    if found := _UNFIT.search(text):
        return f"{label} {text!r} has {_CHARACTERS[found[0]]}, which Kissmetrics' CSV files cannot hold"
    return ""
