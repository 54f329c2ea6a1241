"""Jinja hidden from the tools that would mangle it, and put back with the file and line of every tag.

MJML and the text converter see a plain word where a tag stood. Put back, each tag begins on a line of its own
(inside its delimiters, where a line break changes nothing), so that an error's line names the tag.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from notify.kinds.places import Place
from notify.kinds.sources import Form, Piece

_DELIMITER = re.compile(r"\{[{%#]|\{\Z")


@dataclass(frozen=True, slots=True)
class Source:
    """Jinja source ready to compile. `places` maps its lines to where they were written."""

    text: str
    places: Mapping[int, Place]
    pieces: Mapping[int, Piece]
    origin: Place

    def place(self, line: int | None) -> Place:
        """Where line `line` of `text` was written; the file alone where that is unknown."""
        return self.places.get(line or 0, Place(self.origin.file))


class Tokens:
    """Words that stand for Jinja tags. Statements and expressions can be told apart."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self._prefix = "zj"
        markup = "".join(piece.text for piece in pieces)
        while self._prefix in markup:
            self._prefix += "q"
        self._pieces: list[Piece] = []
        self._token = re.compile(rf"{self._prefix}(?P<number>\d+)[se]z")
        self._statement = rf"{self._prefix}\d+sz"
        self._alone = re.compile(rf"^[ \t]*((?:{self._statement}[ \t]*)+)(?:\n|\Z)", re.MULTILINE)

    def hide(self, piece: Piece) -> str:
        """The word for a Jinja tag; markup stays itself."""
        if piece.form is Form.MARKUP:
            return piece.text
        self._pieces.append(piece)
        return f"{self._prefix}{len(self._pieces) - 1}{'s' if piece.form is Form.STATEMENT else 'e'}z"

    def statements(self, text: str) -> str:
        """The statements in `text`, without what stands between them."""
        return "".join(re.findall(self._statement, text))

    def close_up(self, text: str) -> str:
        """`text` without the line breaks of lines that hold nothing but statements."""
        return self._alone.sub(lambda match: match[1].replace(" ", ""), text)

    def written(self, text: str) -> str:
        """`text` with the inside of each tag in its place: equal for equal source."""
        return self._token.sub(lambda match: self._pieces[int(match["number"])].text.strip(), text)

    def restore(self, text: str, origin: Place) -> Source:
        """Jinja source with every tag back in its place; other text that looks like Jinja stays text."""
        out: list[str] = []
        places: dict[int, Place] = {}
        pieces: dict[int, Piece] = {}
        line, end = 1, 0
        for match in self._token.finditer(text):
            markup = _inert(text[end : match.start()])
            piece = self._pieces[int(match["number"])]
            opening, closing = ("{%", "%}") if piece.form is Form.STATEMENT else ("{{", "}}")
            out += [markup, opening, "\n", piece.text, closing]
            line += markup.count("\n") + 1
            for offset in range(piece.text.count("\n") + 1):
                places[line + offset] = Place(piece.place.file, (piece.place.line or 1) + offset)
                pieces[line + offset] = piece
            line += piece.text.count("\n")
            end = match.end()
        out.append(_inert(text[end:]))
        return Source("".join(out), places, pieces, origin)


def whole(pieces: Iterable[Piece], origin: Place) -> Source:
    """Source that needs no tool in between: hidden and put back at once."""
    pieces = list(pieces)
    tokens = Tokens(pieces)
    return tokens.restore("".join(tokens.hide(piece) for piece in pieces), origin)


def _inert(markup: str) -> str:
    """Markup that Jinja prints as it stands, even with a brace just before a tag."""
    return _DELIMITER.sub(lambda match: f"{{{{ {match[0]!r} }}}}", markup)
