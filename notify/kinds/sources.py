"""A template and all it inherits and includes, joined into one run of pieces, each knowing its file and line.

Jinja resolves `extends`, `block` and `include` while it renders; MJML has to be whole before that. So they are
resolved here, on the source: names are literal, and a mistake is found when the kind is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import takewhile
from pathlib import Path

from jinja2 import Environment, TemplateSyntaxError

from notify.errors import did_you_mean
from notify.kinds.places import Fault, Place

_LEXER = Environment(keep_trailing_newline=True)  # noqa: S701 - it only splits the source, and renders nothing
_NAMED_FILE = re.compile(r"""\s*(?:extends|include)\s*(["'])(?P<name>[^"']+)\1\s*$""")
_NAMED_BLOCK = re.compile(r"\s*block\s+(?P<name>\w+)(?:\s+scoped)?\s*$")
_SUPER = re.compile(r"\s*super\(\)\s*$")


class Form(Enum):
    """What a piece of source is."""

    MARKUP = auto()
    STATEMENT = auto()
    EXPRESSION = auto()


@dataclass(frozen=True, slots=True)
class Piece:
    """Markup as written, or the inside of a Jinja tag; `place` is where it begins."""

    form: Form
    text: str
    place: Place

    @property
    def keyword(self) -> str:
        """The first word of a statement: `if`, `endfor`; empty for anything else."""
        return self.text.split(maxsplit=1)[0] if self.form is Form.STATEMENT and self.text.strip() else ""


@dataclass(frozen=True, slots=True)
class _Block:
    name: str
    place: Place
    body: list[Piece | _Block] = field(default_factory=list)

    @property
    def keyword(self) -> str:
        return "block"


_Node = Piece | _Block


@dataclass(frozen=True, slots=True)
class Template:
    """Flattened source and the files it came from."""

    pieces: tuple[Piece, ...]
    files: frozenset[Path]


def flatten(path: Path, shelves: Sequence[Path], *, within: tuple[Path, ...] = ()) -> Template:
    """Read `path`; layouts and includes are looked up on `shelves`, first found wins. Raises InvalidKind."""
    lineage = list(_lineage(path, shelves, within))
    definitions: dict[str, list[_Block]] = {}
    for root in lineage:
        for block in _blocks(root.body):
            definitions.setdefault(block.name, []).append(block)
    joiner = _Joiner(definitions, shelves, (*within, path))
    for depth, root in enumerate(lineage[:-1], start=1):
        _refuse_lost(root.body, {block.name for parent in lineage[depth:] for block in _blocks(parent.body)})
        joiner.add(node for node in root.body if node.keyword == "set")
    joiner.add(lineage[-1].body)
    files = {root.place.file for root in lineage} | joiner.files
    return Template(tuple(joiner.pieces), frozenset(files))


def read_pieces(text: str, start: Place) -> Iterator[Piece]:
    """Split source that begins at `start`; comments go, whitespace control (`{%-`) is applied, `raw` is markup."""
    inner: list[str] = []
    begin = start

    def place(line: int) -> Place:
        return Place(start.file, (start.line or 1) + line - 1)

    try:
        for line, kind, value in _LEXER.lex(text):
            if kind == "data":
                yield Piece(Form.MARKUP, value, place(line))
            elif kind in ("block_begin", "variable_begin"):
                inner, begin = [], place(line)
            elif kind in ("block_end", "variable_end"):
                form = Form.STATEMENT if kind == "block_end" else Form.EXPRESSION
                yield Piece(form, "".join(inner), begin)
            elif kind not in ("raw_begin", "raw_end", "comment_begin", "comment", "comment_end"):
                inner.append(value)
    except TemplateSyntaxError as error:
        raise Fault(place(error.lineno), str(error.message)) from None


def _lineage(path: Path, shelves: Sequence[Path], within: tuple[Path, ...]) -> Iterator[_Block]:
    """The template, then what it extends, then what that extends."""
    seen = list(within)
    current: Path | None = path
    while current is not None:
        seen.append(current)
        root = _tree(current)
        yield root
        parents = [node for node in root.body if isinstance(node, Piece) and node.keyword == "extends"]
        if len(parents) > 1:
            raise Fault(parents[1].place, "a template extends one layout, not two")
        current = _find(parents[0], shelves, seen) if parents else None


def _tree(path: Path) -> _Block:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Fault(Place(path), f"is not UTF-8: {error}") from None
    root = _Block("", Place(path, 1))
    open_blocks = [root]
    for piece in read_pieces(text, root.place):
        if piece.keyword == "block":
            block = _Block(_named(_NAMED_BLOCK, piece, "{% block name %}"), piece.place)
            open_blocks[-1].body.append(block)
            open_blocks.append(block)
        elif piece.keyword == "endblock":
            if len(open_blocks) == 1:
                raise Fault(piece.place, "endblock without a block")
            open_blocks.pop()
        elif piece.keyword in ("import", "from"):
            raise Fault(piece.place, f"{piece.keyword} is not supported; use {{% include %}}")
        else:
            open_blocks[-1].body.append(piece)
    if len(open_blocks) > 1:
        raise Fault(open_blocks[-1].place, f"block {open_blocks[-1].name} is not closed")
    return root


def _blocks(nodes: Iterable[_Node]) -> Iterator[_Block]:
    for node in nodes:
        if isinstance(node, _Block):
            yield node
            yield from _blocks(node.body)


def _refuse_lost(child: Sequence[_Node], known: set[str]) -> None:
    """What stands in a child but in no block of its layout would never be seen."""
    for node in child:
        if isinstance(node, _Block):
            if node.name not in known:
                near = did_you_mean(node.name, known) or f"; it has {', '.join(sorted(known)) or 'none'}"
                raise Fault(node.place, f"the layout has no block '{node.name}'{near}")
        elif node.keyword not in ("extends", "set") and node.text.strip():
            raise Fault(_first_word(node), "stands outside every block, so the layout would drop it")


def _first_word(piece: Piece) -> Place:
    blank = "".join(takewhile(str.isspace, piece.text))
    return Place(piece.place.file, (piece.place.line or 1) + blank.count("\n"))


def _find(piece: Piece, shelves: Sequence[Path], seen: Sequence[Path]) -> Path:
    name = _named(_NAMED_FILE, piece, f'{{% {piece.keyword} "file" %}}')
    for shelf in shelves:
        path = shelf / name
        if path.is_file() and path.resolve().is_relative_to(shelf.resolve()):
            if path in seen:
                raise Fault(piece.place, f"{name} would contain itself")
            return path
    known = {path.name for shelf in shelves if shelf.is_dir() for path in shelf.iterdir() if path.is_file()}
    raise Fault(piece.place, f"no template '{name}' to {piece.keyword}{did_you_mean(name, known)}")


def _named(pattern: re.Pattern[str], piece: Piece, usage: str) -> str:
    match = pattern.match(piece.text)
    if match is None:
        raise Fault(piece.place, f"write it as {usage}, with a literal name")
    return match["name"]


class _Joiner:
    """Writes nodes out as pieces: a block as its most derived definition, an include as its file."""

    def __init__(self, definitions: dict[str, list[_Block]], shelves: Sequence[Path], within: tuple[Path, ...]) -> None:
        self.pieces: list[Piece] = []
        self.files: set[Path] = set()
        self._definitions = definitions
        self._shelves = shelves
        self._within = within

    def add(self, nodes: Iterable[_Node], block: str = "", depth: int = 0) -> None:
        for node in nodes:
            if isinstance(node, _Block):
                self._add_block(node.name, 0, node.place)
            elif node.keyword == "include":
                included = flatten(_find(node, self._shelves, self._within), self._shelves, within=self._within)
                self.pieces += included.pieces
                self.files |= included.files
            elif node.form is Form.EXPRESSION and _SUPER.match(node.text):
                self._add_block(block, depth + 1, node.place)
            else:
                self.pieces.append(node)

    def _add_block(self, name: str, depth: int, place: Place) -> None:
        definitions = self._definitions.get(name, [])
        if depth >= len(definitions):
            raise Fault(place, "super() stands where there is no block above")
        self.add(definitions[depth].body, name, depth)
