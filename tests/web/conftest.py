"""A real browser for the tests of pages, and somebody who is asked to agree to a newsletter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import notify
from notify.app import App, using
from notify.intake import confirmations
from notify.model import Consent
from tests.browser import browser
from tests.kinds import make_kind
from tests.web.people import ADA, BY, WORDING

__all__ = ["browser"]


@pytest.fixture
def asking(app: App, make_app: Callable[..., App], templates: Path) -> Iterator[App]:
    """An App with a newsletter that asks for consent, and pages to link to."""
    folder = make_kind(templates, "news", toml="unsubscribe = true\nconsent = true")
    toml = (folder / "kind.toml").read_text().replace('category = "test"', 'category = "newsletter"')
    (folder / "kind.toml").write_text(toml)
    (templates / "categories.toml").write_text('[newsletter]\ntitle = "Our newsletter"\n')
    opened = make_app(app.settings, public_url="https://notify.example.org")
    with using(opened):
        yield opened


@pytest.fixture
def asked(asking: App) -> Consent:
    """What a Dutch reader was asked."""
    notify.send("news", to={**ADA, "locale": "nl"})
    return confirmations.ask_consent(asking, "ada", "newsletter", wording=WORDING, source="form", by=BY)
