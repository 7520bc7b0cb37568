"""A terminal's screen: what a person sees after all that a program wrote, its cursor movements included."""

from __future__ import annotations

import re
import unicodedata

_SEQUENCE = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])")
_PIECE = re.compile(r"\x1b\[[?\d;]*[A-Za-z]|[\s\S]")


def columns_of(letter: str) -> int:
    """Return the columns that a character takes."""
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


class Screen:
    """Lines of so many columns, without end below. It knows the sequences that km-cli and rich write."""

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._lines: list[list[str]] = [[]]
        self._row = self._column = 0

    def feed(self, text: str) -> None:
        """Take what a program wrote. Raises ValueError for a sequence that this screen does not know."""
        for piece in _PIECE.findall(text):
            if found := _SEQUENCE.fullmatch(piece):
                self._do(found[1], found[2])
            elif piece == "\r":
                self._column = 0
            elif piece == "\n":
                self._down()
            else:
                self._put(piece)

    def _do(self, numbers: str, letter: str) -> None:
        if letter == "m" or numbers in ("?25l", "?25h", "?25"):
            return
        if letter == "A":
            self._row = max(0, self._row - int(numbers or 1))
        elif letter == "K":
            line = self._lines[self._row]
            if numbers == "2":
                line.clear()
            elif numbers in ("", "0"):
                del line[self._column :]
            else:
                raise ValueError(numbers)
        else:
            raise ValueError(f"{numbers}{letter}")

    def _down(self) -> None:
        self._row += 1
        while len(self._lines) <= self._row:
            self._lines.append([])

    def _put(self, letter: str) -> None:
        width = columns_of(letter)
        if self._columns and self._column + width > self._columns:
            self._down()
            self._column = 0
        line = self._lines[self._row]
        line.extend(" " * (self._column + width - len(line)))
        line[self._column] = letter
        line[self._column + 1 : self._column + width] = [""] * (width - 1)
        self._column += width

    @property
    def text(self) -> str:
        """The lines, without blanks at their ends and without empty lines at the end."""
        return "\n".join("".join(line).rstrip() for line in self._lines).rstrip("\n") + "\n"
