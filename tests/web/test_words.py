"""Every word of the pages is there in every language of theirs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.extract import extract_python
from jinja2 import Environment
from jinja2.ext import extract_from_ast

from notify.kinds.translations import Shelf
from notify.web import languages, shell

PAGES = sorted((shell.FOLDER / "pages").glob("*.html"))
CODE = sorted(shell.FOLDER.rglob("*.py"))
SHELF = Shelf([shell.FOLDER], languages.SOURCE)


def messages(page: Path) -> Iterator[str]:
    for _, _, found in extract_from_ast(Environment().parse(page.read_text(encoding="utf-8")), ("_", "ngettext")):
        text = found[0] if isinstance(found, tuple) else found
        if text:
            yield text


def phrases(module: Path) -> set[str]:
    """What the code gives a page to print."""
    with module.open("rb") as file:
        found = list(extract_python(file, {"_": None, "words": None}, (), {}))
    texts = (words if isinstance(words, str) else next(iter(words or ()), None) for _, _, words, _ in found)
    return {text for text in texts if text}


@pytest.mark.parametrize("language", ["nl", "fr", "cs"])
def test_what_the_code_says_is_translated_whole(language: str) -> None:
    said = {words for module in CODE for words in phrases(module)}
    assert said
    assert [words for words in sorted(said) if not SHELF.has(words, language)] == []


@pytest.mark.parametrize("language", ["nl", "fr", "cs"])
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_translated_whole(page: Path, language: str) -> None:
    assert [message for message in messages(page) if not SHELF.has(message, language)] == []


def test_a_translation_says_nothing_that_its_message_does_not() -> None:
    assert [fault for book in SHELF.books for fault in book.spoiled()] == []


def test_nothing_is_translated_that_no_page_says() -> None:
    said = {message for page in PAGES for message in messages(page)}
    said.update(words for module in CODE for words in phrases(module))
    unsaid = {entry.id for book in SHELF.books for entry in book.catalog if entry.id} - said
    assert unsaid == set()


@pytest.mark.parametrize(
    ("own", "accept", "chosen"),
    [
        ("nl-BE", "fr", "nl"),
        (None, "fr;q=0.2, cs;q=0.9", "cs"),
        (None, "nl;q=0, fr;q=0.1", "fr"),
        (None, "de", "en"),
        (None, "en-GB, nl", "en"),
        ("xx", "", "en"),
        (None, "nl" * 1000, "en"),
    ],
)
def test_the_best_known_language_is_chosen(own: str | None, accept: str, chosen: str) -> None:
    assert languages.choose(own, accept, "en", {"nl", "fr", "cs"}) == chosen
