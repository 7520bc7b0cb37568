"""Draws the charts of a comparison as static SVG.

Altair describes a chart and checks the description; vl-convert draws it without a browser. Both are well
kept, and their SVG has its text as text, which can be searched. The drawing is cleaned all the same: only
elements and attributes that draw something are left.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

import altair
import vl_convert

_SVG = "http://www.w3.org/2000/svg"
_ELEMENTS = frozenset({"svg", "g", "path", "rect", "line", "text", "tspan", "defs", "clipPath", "circle"})
_ATTRIBUTES = frozenset(
    {
        *("d", "x", "y", "x1", "x2", "y1", "y2", "dx", "dy", "cx", "cy", "r", "width", "height", "viewBox"),
        *("transform", "fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "fill-opacity"),
        *("stroke-opacity", "text-anchor", "font-family", "font-size", "font-weight", "clip-path", "id"),
    }
)
_LOCAL = re.compile(r"url\(#[\w-]+\)")

COLOURS = ("#3578b9", "#b8631b", "#4d8a57", "#8d62a8")
"""Each has a contrast of three to one or more with the page, in its light and in its dark colours."""

Rows = Sequence[dict[str, Any]]


def bars(rows: Rows, *, title: str, label: str, is_share: bool = False) -> str:
    """Return a chart of bars, one for each row: its `name`, `group`, `value`, and `text` at its end.

    Bars of one name stand together, in the colour of their group. `label` describes the axis, `title` the
    chart, for those who cannot see it.
    """
    names = list(dict.fromkeys(row["name"] for row in rows))
    groups = list(dict.fromkeys(row["group"] for row in rows))
    axis = altair.Axis(
        title=label, titleFontSize=13, labelFontSize=12, tickCount=5, format="%" if is_share else "~s"
    )
    base = altair.Chart(altair.InlineData(values=list(rows))).encode(
        y=altair.Y(
            "name:N", sort=names, title=None, axis=altair.Axis(labelLimit=190, labelFontSize=13, ticks=False)
        ),
        x=altair.X("value:Q", axis=axis, scale=altair.Scale(domainMin=0, nice=True)),
    )
    if len(groups) > 1:
        base = base.encode(yOffset=altair.YOffset("group:N", sort=groups))
    colour = altair.Color(
        "group:N",
        sort=groups,
        scale=altair.Scale(domain=groups, range=list(COLOURS)[: len(groups)]),
        legend=altair.Legend(title=None, orient="top", labelFontSize=13) if len(groups) > 1 else None,
    )
    # The reader's font may be wider than the one that the chart was measured with.
    spare = 4 + 2 * min(30, max(len(str(name)) for name in names))
    drawn = base.mark_bar(cornerRadiusEnd=2).encode(color=colour)
    texts = base.mark_text(align="left", dx=4, fontSize=12).encode(text="text:N")
    chart = altair.layer(drawn, texts).properties(
        width=360, height=altair.Step(20 if len(groups) > 1 else 28), background="transparent"
    )
    chart = chart.configure(
        aria=False, font="sans-serif", padding={"left": spare, "top": 4, "right": 60, "bottom": 4}
    ).configure_view(stroke=None)
    drawing = vl_convert.vegalite_to_svg(chart.to_dict(), allowed_base_urls=[])
    return cleaned(drawing, title)


def cleaned(drawing: str, title: str) -> str:
    """Return an SVG with nothing but what draws, a title, and the role of an image."""
    ElementTree.register_namespace("", _SVG)
    root = ElementTree.fromstring(drawing)
    _clean(root)
    if "viewBox" not in root.attrib:
        root.set("viewBox", f"0 0 {root.get('width', '0')} {root.get('height', '0')}")
    root.set("role", "img")
    root.set("aria-label", title)
    return ElementTree.tostring(root, encoding="unicode")


def _clean(element: ElementTree.Element) -> None:
    for name in list(element.attrib):
        value = element.attrib[name]
        is_elsewhere = "url(" in value and not _LOCAL.fullmatch(value)
        if name not in _ATTRIBUTES or is_elsewhere:
            del element.attrib[name]
    for child in list(element):
        if child.tag.removeprefix(f"{{{_SVG}}}") in _ELEMENTS:
            _clean(child)
        else:
            element.remove(child)
