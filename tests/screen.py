"""As much of a terminal as line editing needs: what a person sees after a program has written bytes."""

from __future__ import annotations

import re

_PIECE = re.compile(r"\x1b\[[?>]?([0-9;]*)([A-Za-z@])|\x1b.|[\x00-\x1f]|.", re.DOTALL)


class Screen:
    """Rows without end at the bottom, `columns` wide; the cursor waits behind a full row, as xterm's does."""

    def __init__(self, columns: int = 80) -> None:
        self.columns = columns
        self.rows = [""]
        self.row = self.column = 0
        self._rest = ""

    def feed(self, text: str) -> None:
        text = self._rest + text
        cut = re.search(r"\x1b(\[[?>0-9;]*)?$", text)
        self._rest = cut.group() if cut else ""
        for piece in _PIECE.finditer(text[: len(text) - len(self._rest)]):
            if piece.group(2):
                self._control(piece.group(2), int(piece.group(1) or 0) if piece.group(1).isdigit() else 0)
            elif piece.group() >= " ":
                self._write(piece.group())
            else:
                self._move(piece.group())

    def lines(self) -> list[str]:
        """Every row that is not empty."""
        return [row.rstrip() for row in self.rows if row.strip()]

    def _write(self, char: str) -> None:
        if self.column == self.columns:
            self._move("\r")
            self._move("\n")
        row = self.rows[self.row].ljust(self.column)
        self.rows[self.row] = row[: self.column] + char + row[self.column + 1 :]
        self.column += 1

    def _move(self, char: str) -> None:
        if char == "\r":
            self.column = 0
        elif char == "\b":
            self.column = max(0, min(self.column, self.columns - 1) - 1)
        elif char == "\n":
            self.row += 1
            if self.row == len(self.rows):
                self.rows.append("")

    def _control(self, letter: str, number: int) -> None:
        count = max(1, number)
        row = self.rows[self.row].ljust(self.column)
        match letter:
            case "A":
                self.row = max(0, self.row - count)
            case "C":
                self.column = min(self.columns - 1, self.column + count)
            case "D":
                self.column = max(0, self.column - count)
            case "K":
                self.rows[self.row] = row[: self.column]
            case "J":
                self.rows[self.row :] = [row[: self.column]]
            case "P":
                self.rows[self.row] = row[: self.column] + row[self.column + count :]
            case "@":
                self.rows[self.row] = row[: self.column] + " " * count + row[self.column :]
            case _:
                pass
