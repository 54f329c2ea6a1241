"""Every sentence of the preference centre has its translation in every language of the pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from notify.kinds.translations import Shelf
from notify.web import shell

_SAID = re.compile(r"""(?:\b_|\bwords)\(\s*(["'])(.+?)\1""")


def sentences() -> Iterator[str]:
    """What the page and the code behind it say."""
    files: list[Path] = [
        *sorted((shell.FOLDER / "pages").glob("preferences*.html")),
        *sorted((shell.FOLDER / "preference_centre").glob("*.py")),
    ]
    for file in files:
        for found in _SAID.finditer(file.read_text(encoding="utf-8")):
            yield found[2]


@pytest.mark.parametrize("locale", ["cs", "fr", "nl"])
def test_every_sentence_is_translated(locale: str) -> None:
    shelf = Shelf([shell.FOLDER], "en")
    said = set(sentences())
    assert len(said) > 90
    assert [one for one in sorted(said) if not shelf.has(one, locale)] == []
