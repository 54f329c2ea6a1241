"""The links of an HTML mail are replaced where they stand; every other octet of it stays as it is.

A link is the `href` of an `<a>` or `<area>` that begins with http:// or https://. What stands in comments, titles,
styles and scripts is none, as a browser reads it (WHATWG HTML §13.2.5). A mail comes in pieces (see `Passage`): what a
template's constants hold is found once, and only tags that values are part of are read for each mail.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from html import escape, unescape
from html.entities import html5
from typing import NamedTuple

from notify.passages import Fixed, Passage

LONGEST_URL = 4096
"""Characters of a link; a longer one is left as it is."""

Replace = Callable[[str], str | None]
"""From the address that a link leads to, to what is to stand in its place; None: it stays."""

_BLANK = "\t\n\f\r "
_OPENS = re.compile(r"<(?:[A-Za-z!?/]|\Z)")
_COMMENT = re.compile(r"<!--(?:-?>|.*?--!?>)", re.DOTALL)
_NAME = re.compile(rf"[^{_BLANK}/>]*")
_GAP = re.compile(rf"[{_BLANK}/]*")
_ATTRIBUTE = re.compile(rf"=?[^{_BLANK}/>=]*")
_EQUALS = re.compile(rf"[{_BLANK}]*=[{_BLANK}]*")
_UNQUOTED = re.compile(rf"[^{_BLANK}>]*")
_RAW = frozenset({"title", "textarea", "style", "script", "xmp", "iframe", "noembed", "noframes"})
_CHARACTER = re.compile(r"&(?:#[0-9]+;?|#[xX][0-9A-Fa-f]+;?|[A-Za-z][A-Za-z0-9]*;?)")
_WEB = re.compile(r"https?://[^/?#\\]", re.IGNORECASE)
_AROUND = "".join(map(chr, range(33)))  # C0 controls and the space: a browser takes them off an address
_WITHIN = str.maketrans("", "", "\t\n\r")


class _Construct(NamedTuple):
    """A tag, a comment, or an element whose content is no markup: where it ends, and where its link stands."""

    end: int
    name: str = ""
    href: tuple[int, int] | None = None


class Link(NamedTuple):
    """A link as it is written, and the address it leads to."""

    written: str
    url: str


class _End(NamedTuple):
    """Where the body ends."""


_Part = str | Link | _End


def replaced(html: Passage, replace: Replace, last: str = "") -> Passage:
    """The same mail, its links as `replace` wants them, and the markup `last` at the end of its body."""
    body = _Body(replace, last)
    for piece in html.pieces:
        body.add(piece)
    return Passage(body.ended(), html.tidy)


class _Body:
    """A mail as it comes out, piece by piece."""

    def __init__(self, replace: Replace, last: str) -> None:
        self._replace = replace
        self._last = last
        self._out: list[str] = []
        self._open: list[str] = []  # the pieces of a construct that has not ended yet

    def add(self, piece: str) -> None:
        """The next piece."""
        rest = self._closed(piece) if self._open else piece
        if rest is None:
            return
        if type(rest) is not Fixed and "<" not in rest:
            self._out.append(rest)
            return
        parts, tail = _fixed_parts(rest) if type(rest) is Fixed else _parts(rest)
        self._put(parts)
        if tail:
            self._open.append(tail)

    def ended(self) -> list[str]:
        """All of it, once every piece was added."""
        self._out += self._open
        self._end()
        return self._out

    def _closed(self, piece: str) -> str | None:
        """What a piece holds behind the end of the open construct; None where that goes on."""
        before = sum(map(len, self._open))
        text = "".join((*self._open, piece))
        found = _construct(text, 0)
        if found is None:
            self._open.append(piece)
            return None
        if found.href is None and found.name != "/body" and found.end >= before:  # as it was quoted
            head, rest = _cut(piece, found.end - before)
            self._out += (*self._open, head)
        else:
            self._put(_of_construct(text, 0, found))
            rest = _cut(piece, found.end - before)[1] if found.end >= before else text[found.end :]
        self._open = []
        return rest

    def _put(self, parts: Iterable[_Part]) -> None:
        for part in parts:
            if isinstance(part, Link):
                new = self._replace(part.url)
                self._out.append(part.written if new is None else escape(new))
            elif isinstance(part, _End):
                self._end()
            else:
                self._out.append(part)

    def _end(self) -> None:
        """What is to stand at the end of the body stands at its first end."""
        if self._last:
            self._out.append(self._last)
        self._last = ""


def _cut(piece: str, at: int) -> tuple[str, str]:
    return _fixed_cut(piece, at) if type(piece) is Fixed else (piece[:at], piece[at:])


@lru_cache(maxsize=4096)
def _fixed_cut(piece: Fixed, at: int) -> tuple[Fixed, Fixed]:
    return Fixed(piece[:at]), Fixed(piece[at:])


@lru_cache(maxsize=4096)
def _fixed_parts(text: Fixed) -> tuple[tuple[_Part, ...], str]:
    """The same for a template's constant, cut into constants."""
    parts, tail = _parts(text)
    return tuple(Fixed(part) if isinstance(part, str) else part for part in parts), Fixed(tail) if tail else ""


def _parts(text: str) -> tuple[tuple[_Part, ...], str]:
    """What follows a whole construct, with its links apart; and behind it the construct that does not end here."""
    parts: list[_Part] = []
    at = since = 0
    while opens := _OPENS.search(text, at):
        found = _construct(text, opens.start())
        if found is None:
            return _joined([*parts, text[since : opens.start()]]), text[opens.start() :]
        at = found.end
        if found.href is not None or found.name == "/body":
            parts += [text[since : opens.start()], *_of_construct(text, opens.start(), found)]
            since = at
    return _joined([*parts, text[since:]]), ""


def _joined(parts: list[_Part]) -> tuple[_Part, ...]:
    """Neighbouring texts as one, and no empty ones."""
    out: list[_Part] = []
    for part in parts:
        if isinstance(part, str) and out and isinstance(out[-1], str):
            out[-1] += part
        elif part != "":
            out.append(part)
    return tuple(out)


def _of_construct(text: str, start: int, found: _Construct) -> Iterator[_Part]:
    if found.name == "/body":
        yield _End()
    url = None if found.href is None else address(text[slice(*found.href)])
    if found.href is None or url is None:
        yield text[start : found.end]
        return
    yield text[start : found.href[0]]
    yield Link(text[slice(*found.href)], url)
    yield text[found.href[1] : found.end]


def _construct(text: str, start: int) -> _Construct | None:
    """What begins at this `<`; None when `text` does not hold its end."""
    second = text[start + 1 : start + 2]
    if second == "/":
        closes = text[start + 2 : start + 3]
        if not closes:
            return None
        if closes.isascii() and closes.isalpha():
            return _tag(text, start)
    elif second.isascii() and second.isalpha():
        return _tag(text, start)
    elif second not in ("!", "?"):
        return _Construct(start + 1) if second else None  # a `<` that opens nothing
    if "<!--".startswith(text[start : start + 4]):
        comment = _COMMENT.match(text, start)
        return _Construct(comment.end()) if comment else None
    end = text.find(">", start)
    return None if end < 0 else _Construct(end + 1)


def _tag(text: str, start: int) -> _Construct | None:
    at = _end_of(_NAME, text, start + 2)
    word = text[start + 1 : at].lower()
    href: tuple[int, int] | None = None
    seen = word not in ("a", "area")
    while True:
        at = _end_of(_GAP, text, at)
        if at == len(text):
            return None
        if text[at] == ">":
            return _whole(text, word, at + 1, href)
        begin, at = at, _end_of(_ATTRIBUTE, text, at)
        is_link = not seen and text[begin:at].lower() == "href"
        seen |= is_link  # a second one counts for nothing
        equals = _EQUALS.match(text, at)
        if equals is None:
            continue
        span = _value(text, equals.end())
        if span is None:
            return None
        href, at = (span[:2] if is_link else href), span[2]


def _value(text: str, at: int) -> tuple[int, int, int] | None:
    """Where an attribute's value begins and ends, and where it goes on behind it; None when it does not end here."""
    quote = text[at : at + 1]
    if not quote:
        return None
    if quote in "\"'":
        end = text.find(quote, at + 1)
        return None if end < 0 else (at + 1, end, end + 1)
    end = _end_of(_UNQUOTED, text, at)
    return at, end, end


def _whole(text: str, name: str, end: int, href: tuple[int, int] | None) -> _Construct | None:
    """A tag, with what it holds if that is no markup."""
    if name not in _RAW:
        return _Construct(end, name, href)
    closes = re.compile(rf"</{name}[{_BLANK}/>]", re.IGNORECASE).search(text, end)
    return None if closes is None else _Construct(closes.start(), name)


def _end_of(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    assert found is not None, "it matches the empty text, too"
    return found.end()


def address(written: str) -> str | None:
    """Where the value of a `href` leads; None for what is no link to the web, or too long to be kept.

    Character references are read as in attributes (WHATWG HTML §13.2.5.73): `&copy=1` is a parameter, not a sign.
    """
    url = _CHARACTER.sub(lambda found: _read(found, written), written).strip(_AROUND).translate(_WITHIN)
    fits = len(url) <= LONGEST_URL and _WEB.match(url) is not None
    return url if fits and "\0" not in url and not _has_halves(url) else None


def _read(found: re.Match[str], written: str) -> str:
    name = found[0][1:]
    if name.startswith("#"):
        return unescape(found[0])
    if name not in html5 or (not name.endswith(";") and written[found.end() : found.end() + 1] == "="):
        return found[0]
    return html5[name]


def _has_halves(url: str) -> bool:
    """Whether it holds half a character, which no octets stand for."""
    return any("\ud800" <= char <= "\udfff" for char in url)
