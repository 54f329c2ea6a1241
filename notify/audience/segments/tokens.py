"""An expression as words, texts, figures and signs, each with its place; what is none of these is refused there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from notify.errors import InvalidSegment
from notify.model.segment import Span

LONGEST = 4_000  # characters of an expression
SHOWN = 60  # characters of it on either side of a mistake
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_TOKEN = re.compile(
    r"""(?P<blank>[ \t\r\n]+)
      | (?P<text>"(?:[^"\\\r\n]|\\.)*"|'(?:[^'\\\r\n]|\\.)*')
      | (?P<word>[^\W\d]\w*(?:-\w+)*)
      | (?P<figure>-?\d[\w.-]*)
      | (?P<sign><=|>=|!=|[=<>(),.])""",
    re.VERBOSE,
)
_ESCAPED = re.compile(r"\\(.)")
_INSTEAD = {"&": "and", "|": "or", "!": "not", "“": '"', "”": '"', "‘": "'", "’": "'", "`": '"'}


class Sort(Enum):
    """What a token is."""

    WORD = auto()
    TEXT = auto()
    FIGURE = auto()
    SIGN = auto()
    END = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """One of them. `text` is what it says: of a word as it was written, of a text without its quotes."""

    sort: Sort
    text: str
    span: Span

    @property
    def word(self) -> str:
        """The word in small letters; empty when it is none. Signs count as words: `=`."""
        return self.text.lower() if self.sort in (Sort.WORD, Sort.SIGN) else ""


def tokens(expression: str) -> list[Token]:
    """The tokens of an expression, and an END. Raises `InvalidSegment`."""
    if not isinstance(expression, str):
        raise InvalidSegment(f"a segment is text, such as 'tags has \"pilot\"', not {type(expression).__name__}")
    if len(expression) > LONGEST:
        raise InvalidSegment(
            f"the segment has {len(expression):,} characters, more than {LONGEST:,}; "
            "give those recipients a tag, and ask for that"
        )
    if unprintable := _UNPRINTABLE.search(expression):
        place = Span(unprintable.start(), unprintable.end())
        raise mistake(expression, place, f"the character U+{ord(unprintable[0]):04X} cannot stand here; remove it")
    found, at = list[Token](), 0
    while at < len(expression):
        match = _TOKEN.match(expression, at)
        if match is None:
            raise _stranger(expression, at)
        at, sort = match.end(), match.lastgroup
        if sort != "blank":
            assert sort is not None
            text = _unquoted(expression, match) if sort == "text" else match[0]
            found.append(Token(Sort[sort.upper()], text, Span(*match.span())))
    return [*found, Token(Sort.END, "", Span(at, at))]


def mistake(expression: str, place: Span, what: str) -> InvalidSegment:
    """The error that shows where in the expression something is wrong: its line, and carets below that."""
    begins = expression.rfind("\n", 0, place.start) + 1
    text, column = expression[begins:].partition("\n")[0], place.start - begins
    first, last = max(0, column - SHOWN), min(len(text), column + SHOWN)
    part = re.sub(r"\s", " ", _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text[first:last]))
    excerpt = f"{'…' if first else ''}{part}{'…' if last < len(text) else ''}"
    carets = "^" * max(1, min(place.end - begins, last) - column)
    line = expression.count("\n", 0, place.start) + 1
    indent = " " * (column - first + bool(first))
    return InvalidSegment(f"segment, line {line}, column {column + 1}: {what}\n  {excerpt}\n  {indent}{carets}")


def _stranger(expression: str, at: int) -> InvalidSegment:
    sign = expression[at]
    if sign in "\"'":
        return mistake(expression, Span(at, at + 1), f"this text has no end on its line; close it with {sign}")
    instead = _INSTEAD.get(sign)
    remedy = f"write {instead} instead" if instead else "names, texts in quotes, numbers and dates may"
    return mistake(expression, Span(at, at + 1), f"{sign!r} cannot stand here; {remedy}")


def _unquoted(expression: str, match: re.Match[str]) -> str:
    inner = match[0][1:-1]
    for escaped in _ESCAPED.finditer(inner):
        if escaped[1] not in "\\\"'":
            at = match.start() + 1 + escaped.start()
            raise mistake(expression, Span(at, at + 2), "a backslash stands before a quote or a backslash only")
    return _ESCAPED.sub(r"\1", inner)


def shown(words: Sequence[str]) -> str:
    """Names in a sentence: `a, b or c`."""
    return " or ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)
