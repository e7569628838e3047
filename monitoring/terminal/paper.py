"""Lines under labels, wrapped at the width of a terminal. Whatever comes from elsewhere (names,
labels, reasons, sentences) is put into :class:`rich.text.Text`, never into markup, and without
control characters: nobody but us paints the operator's terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from monitoring.printable import shown
from monitoring.terminal.columns import FAINT, NARROW, fitted
from monitoring.terminal.figures import Glyphs

_LABEL: Final = 10  # cells before a sentence


@dataclass(frozen=True, slots=True)
class Paper:
    """``width`` columns of a terminal."""

    console: Console
    glyphs: Glyphs
    width: int

    def say(self, style: str, text: str, indent: int = 0) -> list[Text]:
        return self._wrapped(Text(shown(text), style=style), indent, "")

    def paragraph(self, label: str, text: Text) -> list[Text]:
        return self._wrapped(text, 4, label)

    def _wrapped(self, text: Text, indent: int, label: str) -> list[Text]:
        """Under a label; on a narrow terminal behind it."""
        space = self._space(indent, label)
        found = text.wrap(self.console, max(8, self.width - space), overflow="fold", no_wrap=False)
        return [
            self._labelled(label if number == 0 else "", indent, space, line)
            for number, line in enumerate(found)
        ]

    def flow(self, label: str, chunks: Iterable[Text], indent: int = 4) -> Iterator[Text]:
        """Chunks beside one another, and on the next line where there is no room."""
        space = self._space(indent, label)
        line, first = Text(), True
        for chunk in chunks:
            if line.cell_len and space + line.cell_len + 3 + chunk.cell_len > self.width:
                yield self._labelled(label if first else "", indent, space, line)
                line, first = Text(), False
            if line.cell_len:
                line.append("   ")
            if space + chunk.cell_len > self.width:
                *full, chunk = chunk.wrap(self.console, max(8, self.width - space))
                for one in full:
                    yield self._labelled(label if first else "", indent, space, one)
                    first = False
            line.append_text(chunk)
        if line.cell_len:
            yield self._labelled(label if first else "", indent, space, line)

    def _space(self, indent: int, label: str) -> int:
        if not label:
            return indent
        return indent + _LABEL if self.width >= NARROW else 2 + max(cell_len(label) + 1, 5)

    def _labelled(self, label: str, indent: int, space: int, line: Text) -> Text:
        start = min(indent, space) if self.width >= NARROW else min(2, space)
        text = Text(" " * start)
        text.append(self.cut(label, max(0, space - start - 1)), style=FAINT)
        text.append(" " * (space - text.cell_len))
        return text.append_text(line)

    def cut(self, text: str, width: int) -> str:
        return fitted(text, width, self.glyphs) if cell_len(text) > width else text
