"""gettext catalogues read from `locales/<locale>/LC_MESSAGES/messages.po` and compiled in memory.

Earlier folders shadow later ones message by message; a locale falls back to its parent, then to the default.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from gettext import NullTranslations
from io import BytesIO
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po
from babel.support import Translations
from markupsafe import Markup, escape

from notify.kinds import locales
from notify.kinds.places import Fault, Place

_FILE = Path("LC_MESSAGES", "messages.po")
_REMEMBERED = 4096  # more than the templates have messages
_PLACEHOLDER = re.compile(r"%\((\w+)\)")


@dataclass(frozen=True, slots=True)
class Book:
    """One .po file; `folder` is the templates folder it belongs to."""

    folder: Path
    path: Path
    locale: str
    catalog: Catalog = field(repr=False)

    def has(self, message: str) -> bool:
        """Whether `message` is translated, in every plural form, and not fuzzy."""
        entry = self.catalog.get(message)
        if entry is None or entry.fuzzy:
            return False
        return all(entry.string) if isinstance(entry.string, list | tuple) else bool(entry.string)

    def spoiled(self) -> Iterator[tuple[int | None, str]]:
        """Line and text of each translation that uses a placeholder its message does not have."""
        for entry in self.catalog:
            sources = entry.id if isinstance(entry.id, list | tuple) else [entry.id]
            known = {name for source in sources for name in _PLACEHOLDER.findall(source)}
            strings = entry.string if isinstance(entry.string, list | tuple) else [entry.string]
            for name in {name for text in strings for name in _PLACEHOLDER.findall(text or "")} - known:
                if entry.id:
                    yield entry.lineno, f"%({name})s is not in the message {sources[0]!r}"


class Shelf:
    """Every catalogue of a list of folders."""

    def __init__(self, folders: Sequence[Path], default_locale: str) -> None:
        self.books = tuple(book for folder in folders for book in _books(folder))
        self._default = default_locale

    @property
    def locales(self) -> frozenset[str]:
        """The locales that have a catalogue."""
        return frozenset(book.locale for book in self.books)

    def has(self, message: str, locale: str) -> bool:
        """Whether one of the catalogues of exactly this locale translates `message`."""
        return any(book.has(message) for book in self.books if book.locale == locale)

    def functions(self, locale: str, *, html: bool) -> Mapping[str, Callable[..., str]]:
        """`_`, `gettext` and `ngettext` for templates; in HTML, placeholders are escaped."""
        catalogue: NullTranslations = NullTranslations()
        wanted = [*locales.chain(locale), *locales.chain(self._default)]
        for book in reversed([book for tag in wanted for book in self.books if book.locale == tag]):
            nearer = _compiled(book)
            nearer.add_fallback(catalogue)
            catalogue = nearer
        singular = lru_cache(maxsize=_REMEMBERED)(catalogue.gettext)
        plural = lru_cache(maxsize=_REMEMBERED)(catalogue.ngettext)
        fill = _filled_html if html else str.__mod__

        bare = lru_cache(maxsize=_REMEMBERED)(lambda message: fill(catalogue.gettext(message), {}))

        def gettext(message: str, /, **values: Any) -> str:
            return fill(singular(message), values) if values else bare(message)

        def ngettext(one: str, many: str, number: int, /, **values: Any) -> str:
            return fill(plural(one, many, number), {"num": number, **values})

        return {"_": gettext, "gettext": gettext, "ngettext": ngettext}


def _filled_html(text: str, values: Mapping[str, Any]) -> Markup:
    """`text` is markup; what fills it is escaped, but for numbers, which `%d` wants as they are."""
    safe = {name: value if type(value) in (int, float) else escape(value) for name, value in values.items()}
    return Markup(text % safe)  # noqa: S704 - the catalogue's author is the template's, and values are escaped


def _books(folder: Path) -> Iterator[Book]:
    for path in sorted(folder.glob(f"locales/*/{_FILE}")):
        tag = locales.normal(path.relative_to(folder).parts[1])
        if tag is None:
            raise Fault(Place(path), "lies in a folder that is not named after a locale")
        try:
            with path.open("rb") as file:
                yield Book(folder, path, tag, read_po(file, locale=tag.replace("-", "_"), abort_invalid=True))
        except PoFileError as error:
            raise Fault(Place(path, error.lineno + 1), str(error)) from None  # Babel counts from 0
        except (ValueError, UnicodeDecodeError) as error:
            raise Fault(Place(path), str(error)) from None


def _compiled(book: Book) -> Translations:
    file = BytesIO()
    write_mo(file, book.catalog)
    file.seek(0)
    return Translations(file)
