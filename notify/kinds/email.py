"""The e-mail templates of one kind, compiled once when it is loaded; the first mail in a locale binds them to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from notify.errors import InvalidHeader
from notify.kinds import formats, locales, mjml, plaintext
from notify.kinds.declaration import ANY_LOCALE, Declaration, Header
from notify.kinds.environment import HTML, TEXT, Sandbox, environment
from notify.kinds.folder import EmailFiles
from notify.kinds.places import Place
from notify.kinds.program import Program, Render
from notify.kinds.sources import Template, flatten, read_pieces
from notify.kinds.tokens import Tokens, whole
from notify.kinds.translations import Shelf
from notify.passages import Passage

SOURCE_LOCALE = "en"  # the language that messages are written in, before any catalogue
FOOTING: Mapping[str, Any] = {
    "sender": {"organisation": "", "postal_address": ""},
    "unsubscribe_url": "",
    "preferences_url": "",
}
"""What a footer prints, where nothing is set."""
_LINE_BREAKS = frozenset("\r\n\0")
_Part = TypeVar("_Part")


class Rendered(NamedTuple):
    """One mail's words, its parts ready to be quoted. `locale` is the language they are in."""

    subject: str
    html_part: Passage
    text_part: Passage
    locale: str

    @property
    def html(self) -> str:
        """The HTML as one string."""
        return str(self.html_part)

    @property
    def text(self) -> str:
        """The text as one string."""
        return str(self.text_part)


@dataclass(frozen=True, slots=True)
class _Bound:
    """Everything of one locale, ready to call."""

    words: str
    direction: str
    subject: Render
    preheader: Render | None
    html: Render
    text: Render


class EmailTemplates:
    """Raises InvalidKind, naming file and line, when any of the files is wrong."""

    def __init__(
        self,
        declaration: Declaration,
        files: EmailFiles,
        layouts: Sequence[Path],
        shelf: Shelf,
        *,
        default_locale: str,
        default_timezone: str,
    ) -> None:
        self.files: set[Path] = set()
        self._folder = files.markup[ANY_LOCALE].parent
        self._shelves = (*layouts, self._folder)
        self._shelf = shelf
        self._default_locale = default_locale
        self._default_timezone = default_timezone
        self._declared = declaration.data.keys()
        self._unless_given = {**FOOTING, "transactional": declaration.transactional}
        self._compilers = {ending: self._environment(default_locale, ending) for ending in (HTML, TEXT)}
        self._subjects = {tag: self._header(line) for tag, line in declaration.headers["subject"].items()}
        self._preheaders = {tag: self._header(line) for tag, line in declaration.headers["preheader"].items()}
        self._markup = {tag: self._from_markup(path) for tag, path in files.markup.items()}
        self._texts = {tag: self._from_text(path) for tag, path in files.text.items()}
        self._locales = self._available()
        self._bound: dict[str, _Bound] = {}

    def render(self, context: Mapping[str, Any], *, locale: str | None, timezone: str | None) -> Rendered:
        """See CompiledKind.render."""
        tag = locales.normal(locale) or self._default_locale
        bound = self._bound.get(tag) or self._bound.setdefault(tag, self._bind(tag))
        zone = formats.zone(timezone, self._default_timezone)
        variables = {
            **self._unless_given,
            **context,
            "recipient": {name: value for name, value in context["recipient"].items() if value is not None},
            "locale": bound.words,
            "direction": bound.direction,
            "timezone": str(zone),
            formats.ZONE: zone,
        }
        subject = "".join(bound.subject(variables)).strip()
        if not _LINE_BREAKS.isdisjoint(subject):
            raise InvalidHeader(f"{self._folder.name}: the subject holds CR, LF or NUL")
        variables["subject"] = subject
        variables["preheader"] = "".join(bound.preheader(variables)).strip() if bound.preheader else ""
        html, text = Passage(bound.html(variables)), Passage(bound.text(variables), tidy=True)
        return Rendered(subject, html, text, bound.words)

    @property
    def locales(self) -> frozenset[str]:
        """The locales this kind has words for."""
        return self._locales

    def subject_uses(self) -> tuple[frozenset[str], frozenset[str]]:
        """The names that any locale's subject prints, and the recipient's attributes."""
        uses = [program.uses() for program in self._subjects.values()]
        return frozenset().union(*(names for names, _ in uses)), frozenset().union(*(more for _, more in uses))

    def body_uses(self) -> frozenset[str]:
        """The names that any locale's body reads."""
        bodies = [program for pair in self._markup.values() for program in pair]
        return frozenset().union(*(program.uses()[0] for program in (*bodies, *self._texts.values())))

    def messages(self) -> Iterator[tuple[Place, str]]:
        """Every message to be translated, and where it is used."""
        htmls = [html for html, _ in self._markup.values()]
        for program in (*self._subjects.values(), *self._preheaders.values(), *htmls, *self._texts.values()):
            yield from program.messages()

    def _available(self) -> frozenset[str]:
        """The locales of variants, of subjects, and of catalogues that translate words of this folder."""
        own = {message for place, message in self.messages() if place.file.parent == self._folder}
        translated = {tag for tag in self._shelf.locales if any(self._shelf.has(message, tag) for message in own)}
        variants = {*self._markup, *self._texts, *self._subjects} - {ANY_LOCALE}
        return frozenset({self._default_locale, *variants, *translated, *({SOURCE_LOCALE} if own else ())})

    def _bind(self, tag: str) -> _Bound:
        words = next((near for near in locales.chain(tag) if near in self._locales), self._default_locale)
        form = tag if tag.partition("-")[0] == words.partition("-")[0] else words
        order = [*locales.chain(words), *locales.chain(self._default_locale), ANY_LOCALE]
        escaped, plain = (self._environment(words, ending, form) for ending in (HTML, TEXT))
        markup_at, (html, derived) = _nearest(self._markup, order)
        text = next((self._texts[near] for near in order[: markup_at + 1] if near in self._texts), derived)
        settled = {"locale": words, "direction": locales.parse(words).text_direction}
        return _Bound(
            words=words,
            direction=settled["direction"],
            subject=_nearest(self._subjects, order)[1].bind(plain, settled),
            preheader=_nearest(self._preheaders, order)[1].bind(plain, settled) if self._preheaders else None,
            html=html.bind(escaped, settled),
            text=text.bind(plain, settled),
        )

    def _environment(self, words: str, ending: str, form: str | None = None) -> Sandbox:
        return environment(self._shelf, words, locales.parse(form or words), html=ending == HTML)

    def _header(self, header: Header) -> Program:
        pieces = read_pieces(header.source, header.place)
        return Program(whole(pieces, header.place), self._compilers[TEXT], self._declared, ending=TEXT)

    def _from_markup(self, path: Path) -> tuple[Program, Program]:
        """The HTML of one template file, and the text derived from it."""
        template, origin = self._flatten(path), Place(path)
        tokens = Tokens(template.pieces)
        if path.suffix == ".mjml":
            html = mjml.to_html(template.pieces, tokens, origin)
        else:
            html = "".join(tokens.hide(piece) for piece in template.pieces)
        text = plaintext.from_html(html, tokens)
        return (
            Program(tokens.restore(html, origin), self._compilers[HTML], self._declared, ending=HTML),
            Program(tokens.restore(text, origin), self._compilers[TEXT], self._declared, ending=TEXT),
        )

    def _from_text(self, path: Path) -> Program:
        pieces = self._flatten(path).pieces
        tokens = Tokens(pieces)
        text = tokens.close_up("".join(tokens.hide(piece) for piece in pieces))
        return Program(tokens.restore(text, Place(path)), self._compilers[TEXT], self._declared, ending=TEXT)

    def _flatten(self, path: Path) -> Template:
        template = flatten(path, self._shelves)
        self.files |= template.files
        return template


def _nearest(parts: Mapping[str, _Part], order: Sequence[str]) -> tuple[int, _Part]:
    """The first of `order` that there is, and its position."""
    return next((at, parts[tag]) for at, tag in enumerate(order) if tag in parts)
