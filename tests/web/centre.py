"""The preference centre as a visitor sees it: the page parsed, its forms filled in and sent as a browser would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import httpx2
import sqlalchemy as sa

from notify.app import App
from notify.audience import links
from notify.store import tables

ADA: Mapping[str, Any] = {
    "key": "ada",
    "email": "ada@example.org",
    "locale": "en",
    "timezone": "Europe/Amsterdam",
    "attributes": {"name": "Ada"},
}


@dataclass
class Form:
    """One form: its section, the fields that would be sent with no button pressed, and the buttons' words."""

    fields: list[tuple[str, str]] = field(default_factory=list)
    boxes: dict[str, bool] = field(default_factory=dict)
    acts: list[str] = field(default_factory=list)
    disabled: int = 0

    def value(self, name: str) -> str:
        """The value of a field."""
        return dict(self.fields)[name]


class Seen(HTMLParser):
    """A page: forms by section and what is said on it. Several forms of one section are numbered."""

    def __init__(self, answer: httpx2.Response) -> None:
        super().__init__()
        self.status = answer.status_code
        self.html = answer.text
        self.forms: dict[str, Form] = {}
        self.marks: dict[str, str] = {}
        self._form: Form | None = None
        self._select = self._mark = ""
        self.feed(answer.text)

    def handle_starttag(self, tag: str, given: list[tuple[str, str | None]]) -> None:
        facts = {name: value or "" for name, value in given}
        self._mark = facts.get("role", "") if tag == "p" else "h1" if tag == "h1" else ""
        if tag == "form":
            self._form = Form()
        elif self._form is not None and tag == "input":
            self._input(self._form, facts)
        elif self._form is not None and tag == "button":
            self._form.acts.append(facts.get("value", ""))
        elif tag == "select":
            self._select = facts["name"]
        elif self._form is not None and tag == "option" and "selected" in facts:
            self._form.fields.append((self._select, facts["value"]))

    def _input(self, form: Form, facts: Mapping[str, str]) -> None:
        if facts.get("name") == "section":
            name = facts["value"]
            self.forms[name if name not in self.forms else f"{name} {len(self.forms)}"] = form
        if "disabled" in facts:
            form.disabled += 1
        elif facts.get("type") == "checkbox":
            form.boxes[facts["value"]] = "checked" in facts
        elif facts.get("type") != "radio" or "checked" in facts:
            form.fields.append((facts["name"], facts.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None

    def handle_data(self, data: str) -> None:
        if self._mark and data.strip():
            self.marks.setdefault(self._mark, data.strip())

    @property
    def said(self) -> str:
        """The confirmation."""
        return self.marks.get("status", "")

    @property
    def wrong(self) -> str:
        """The error."""
        return self.marks.get("alert", "")


@dataclass
class Tab:
    """A browser's tab on somebody's page."""

    client: httpx2.Client
    path: str
    seen: Seen = field(init=False)

    def __post_init__(self) -> None:
        self.reload()

    def reload(self) -> Seen:
        """Look again."""
        self.seen = Seen(self.client.get(self.path))
        return self.seen

    def send(
        self,
        form: str,
        act: str = "save",
        *,
        tick: Sequence[str] = (),
        untick: Sequence[str] = (),
        **changed: str,
    ) -> Seen:
        """Press a button of a form after changing these fields, and follow where it leads."""
        shown = self.seen.forms[form]
        fields = [(name, value) for name, value in shown.fields if name not in changed]
        on = [value for value, is_on in shown.boxes.items() if (is_on or value in tick) and value not in untick]
        sent = [*fields, *changed.items(), *(("on", value) for value in on), ("act", act)]
        content = urlencode(sent)
        self.seen = Seen(
            self.client.post(self.path, content=content, headers={"Content-Type": "application/x-www-form-urlencoded"})
        )
        return self.seen


def page_of(app: App, recipient_id: UUID, **kept: Any) -> str:
    """The path of somebody's page."""
    return f"/preferences?token={links.sign(app, 'preferences', recipient_id, **kept)}"


def history(app: App) -> list[tuple[str, Mapping[str, Any]]]:
    """Source and changes of every row of the history, in order."""
    table = tables.recipient_changes
    with app.store.read() as connection:
        return [(row.source, row.changes) for row in connection.execute(sa.select(table).order_by(table.c.id))]
