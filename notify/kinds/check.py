"""Proof that a kind works before anyone is written to: it loads, and its sample renders well in every locale."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from notify.errors import RequestError
from notify.kinds import footer, lint, toml
from notify.kinds.categories import Category
from notify.kinds.folder import SAMPLE
from notify.kinds.kind import CompiledKind
from notify.kinds.places import Fault, MissingValue
from notify.kinds.translations import Shelf

SAMPLE_RECIPIENT = {"key": "sample", "address": "ada@example.org", "name": "Ada Lovelace"}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something to mend. `kind` is empty for a file that all kinds share."""

    kind: str
    file: Path
    line: int | None
    text: str

    def __str__(self) -> str:
        spot = f"{self.file}:{self.line}" if self.line else str(self.file)
        return f"{spot}: {self.text}"


def check_kind(path: Path, get: Callable[[str], CompiledKind], shelf: Shelf) -> list[Problem]:
    """Load the kind in folder `path`, and render its sample in every locale it has words for."""
    try:
        kind = get(path.name)
    except RequestError as error:
        return [_problem(path, error)]
    problems = [Problem(path.name, path / toml.FILE, None, text) for text in footer.undeclared(kind.facts)]
    problems += _untranslated(kind, shelf)
    if not (path / SAMPLE).is_file():
        return [*problems, Problem(path.name, path / SAMPLE, None, "is missing: no proof that the kind renders")]
    try:
        data = kind.typed(kind.validate(kind.sample))
    except RequestError as error:
        return [*problems, Problem(path.name, path / SAMPLE, None, str(error))]
    for locale in sorted(kind.email.locales):
        problems += _check_rendering(kind, path, data, locale)
    return problems


def check_catalogues(shelf: Shelf) -> list[Problem]:
    """Translations that would fail when printed."""
    return [Problem("", book.path, line, text) for book in shelf.books for line, text in book.spoiled()]


def check_categories(described: Iterable[Category], shelf: Shelf) -> Iterator[Problem]:
    """Titles and descriptions that a catalogue beside categories.toml leaves out."""
    for category in described:
        place = category.place
        assert place is not None
        near = sorted({book.locale for book in shelf.books if place.file.is_relative_to(book.folder)})
        for text in filter(None, (category.title, category.description)):
            for locale in near:
                if not shelf.has(text, locale):
                    yield Problem("", place.file, place.line, f"not translated into {locale}: {text!r}")


def _check_rendering(kind: CompiledKind, path: Path, data: dict[str, Any], locale: str) -> Iterator[Problem]:
    recipient = {**SAMPLE_RECIPIENT, "locale": locale, "timezone": None, **kind.sample_recipient}
    for channel in kind.facts.channels:
        try:
            mail = kind.render(channel, {**data, **footer.SAMPLE, "recipient": recipient}, locale=locale, timezone=None)
        except RequestError as error:
            yield _problem(path, error, locale)
            continue
        lacking = () if kind.facts.transactional else footer.complaints(mail)
        for text in (*lint.complaints(mail), *lacking):
            yield Problem(kind.facts.name, path / SAMPLE, None, f"{channel} in {locale}: {text}")


def _untranslated(kind: CompiledKind, shelf: Shelf) -> Iterator[Problem]:
    """Messages that a catalogue beside the template leaves out."""
    seen: set[tuple[str, str]] = set()
    for place, message in kind.email.messages():
        near = {book.locale for book in shelf.books if place.file.is_relative_to(book.folder)}
        for locale in sorted(near):
            if not shelf.has(message, locale) and (message, locale) not in seen:
                seen.add((message, locale))
                yield Problem(kind.facts.name, place.file, place.line, f"not translated into {locale}: {message!r}")


def _problem(path: Path, error: RequestError, locale: str = "") -> Problem:
    prefix = f"in {locale}: " if locale else ""
    if isinstance(error, Fault | MissingValue):
        return Problem(path.name, error.place.file, error.place.line, prefix + error.text)
    return Problem(path.name, path, None, prefix + str(error))
