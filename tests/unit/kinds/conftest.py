"""A folder of kinds that tests write into."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from notify.kinds import Catalogue, CompiledKind, Rendered
from notify.model import Channel

HTML = "<html lang='{{ locale }}'><head><title>{{ subject }}</title></head><body>%s</body></html>"
MJML = "<mjml><mj-body><mj-section><mj-column>%s</mj-column></mj-section></mj-body></mjml>"


@dataclass
class Workshop:
    """Writes files and loads them afresh."""

    folder: Path
    default_locale: str = "en"

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def kind(
        self,
        *,
        data: str = "",
        subject: str = "Subject",
        email: str = "",
        toml: str = "transactional = true",
        files: Mapping[str, str] | None = None,
        sample: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the kind `x`: an HTML mail with this body, unless `files` brings its own."""
        declared = f'title = "X"\ncategory = "test"\nchannels = ["email"]\n{toml}\n[data]\n{data}\n[email]\n'
        given = {"email.html": HTML % "<p>Body</p>"} if files is None else files
        self.write({f"x/{name}": text for name, text in given.items()})
        self.write({"x/kind.toml": f"{declared}subject = {json.dumps(subject)}\n{email}\n"})
        if sample is not None:
            self.write({"x/sample.json": json.dumps(sample)})

    @property
    def catalogue(self) -> Catalogue:
        return Catalogue([self.folder], default_locale=self.default_locale)

    def load(self) -> CompiledKind:
        return self.catalogue.get("x")

    def render(
        self,
        data: Mapping[str, Any] | None = None,
        recipient: Mapping[str, Any] | None = None,
        *,
        locale: str | None = "en",
        timezone: str | None = "UTC",
    ) -> Rendered:
        kind = self.load()
        context = {**kind.typed(kind.validate(data or {})), "recipient": dict(recipient or {})}
        return kind.render(Channel.EMAIL, context, locale=locale, timezone=timezone)


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path / "templates")
