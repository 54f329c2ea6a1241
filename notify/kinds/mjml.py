"""MJML compiled to HTML once per template, with its Jinja hidden: nothing of MJML is left to do when a mail is sent."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

from mjml import mjml2html

from notify.kinds.markup import CONTAINERS, Reader, Spot
from notify.kinds.places import Fault, Place
from notify.kinds.sources import Form, Piece
from notify.kinds.tokens import Tokens

_POSITION = re.compile(r" in root template(?: at position (\d+):\d+\s*)?$")


def to_html(pieces: Sequence[Piece], tokens: Tokens, origin: Place) -> str:
    """The HTML of flattened MJML, Jinja still hidden behind `tokens`. Raises InvalidKind naming file and line."""
    reader = Reader()
    chunks: list[str] = []
    prologue: list[str] = []
    for piece in pieces:
        if piece.form is Form.MARKUP:
            reader.read(piece.text, piece.place)
            chunks.append(piece.text)
        elif reader.spot is Spot.OUTSIDE:
            prologue.append(tokens.hide(piece))
            chunks.append("")
        else:
            chunks.append(_hidden(piece, reader, tokens))
    reader.close()
    return "".join(prologue) + _compile(chunks, pieces, origin)


def _hidden(piece: Piece, reader: Reader, tokens: Tokens) -> str:
    """A word where text may stand; between elements, the word in an mj-raw, which MJML lets through."""
    if reader.spot in (Spot.CONTENT, Spot.VALUE, Spot.COMMENT):
        return tokens.hide(piece)
    if reader.spot is Spot.TAG:
        raise Fault(piece.place, "Jinja inside an MJML tag must stand within the quotes of an attribute")
    if reader.element in CONTAINERS:
        return f"<mj-raw>{tokens.hide(piece)}</mj-raw>"
    raise Fault(
        piece.place,
        f"Jinja cannot stand between the children of <{reader.element}>: MJML would move it; put it inside or around",
    )


def _compile(chunks: Sequence[str], pieces: Sequence[Piece], origin: Place) -> str:
    try:
        return str(mjml2html("".join(chunks), fonts={}))  # no font is fetched that the author did not ask for
    except ValueError as error:
        position = _POSITION.search(str(error))
        place = _place_of(int(position[1]), chunks, pieces) if position and position[1] else origin
        raise Fault(place, f"MJML: {_POSITION.sub('', str(error))}") from None


def _place_of(position: int, chunks: Sequence[str], pieces: Sequence[Piece]) -> Place:
    """Where byte `position` of the joined chunks was written."""
    starts = [0]
    for chunk in chunks:
        starts.append(starts[-1] + len(chunk.encode()))
    index = min(bisect_right(starts, position) - 1, len(pieces) - 1)
    before = chunks[index].encode()[: position - starts[index]] if pieces[index].form is Form.MARKUP else b""
    place = pieces[index].place
    return Place(place.file, (place.line or 1) + before.count(b"\n"))
