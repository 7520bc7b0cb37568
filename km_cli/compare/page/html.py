"""Small parts of the page: texts of the log, tables, and charts with their tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

_CONTROLS = {
    code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if code not in (0x09, 0x0A, 0x0D)
}


def shown(text: str) -> str:
    """Return a text of the log as HTML. Its control characters are written out."""
    return f"<bdi>{escape(visible(text))}</bdi>"


def visible(text: str) -> str:
    """Return text whose control characters, and halves of characters, are written out."""
    return text.translate(_CONTROLS).encode(errors="backslashreplace").decode()


def table(caption: str, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose cells are HTML; the first cell of a row is its heading."""
    head = "".join(f'<th scope="col">{title}</th>' for title in titles)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>'
        for row in rows
    )
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(_plain(caption))}"><table>'
        f"<caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _plain(caption: str) -> str:
    """Return a caption without its elements."""
    return caption.replace("<bdi>", "").replace("</bdi>", "")


def pair(chart: str, beside: str) -> Iterator[str]:
    """Yield a chart with its table beside it, or below it if the page is narrow."""
    yield '<div class="pair">'
    yield f"<figure>{chart}</figure>"
    yield beside
    yield "</div>"
