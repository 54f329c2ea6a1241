"""A kind ready for use: its data is checked before it is stored, and rendering parses nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from notify.errors import InvalidData, InvalidHeader, InvalidKind
from notify.kinds import values
from notify.kinds.declaration import LINKS
from notify.kinds.email import EmailTemplates, Rendered
from notify.kinds.values import Field
from notify.model import Channel, Kind

_LINE_BREAK = re.compile(r"[\r\n\0]")
_ANY = "*"


@dataclass(frozen=True, slots=True)
class HeaderFields:
    """What the subject prints: names of [data], and attributes of the recipient (`*` means any)."""

    data: frozenset[str]
    recipient: frozenset[str]


class CompiledKind:
    """`facts` is what kind.toml declares; `sample` the data of sample.json, `sample_recipient` its recipient.

    `links` are those of `LINKS` that a mail of it needs: what its templates read, and what its headers name.
    """

    def __init__(
        self,
        facts: Kind,
        fields: Mapping[str, Field],
        email: EmailTemplates,
        *,
        sample: dict[str, Any],
        sample_recipient: dict[str, Any],
    ) -> None:
        self.facts = facts
        self.email = email
        self.sample = sample
        self.sample_recipient = sample_recipient
        self._fields = fields
        names, attributes = email.subject_uses()
        headers = {LINKS[0]} if facts.unsubscribe else frozenset()
        unfit = {LINKS[0]} if facts.required else frozenset()
        self.links = (email.body_uses() & frozenset(LINKS) | headers) - unfit
        self.header_fields = HeaderFields(names & fields.keys(), attributes)

    def validate(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """`data` as it is stored: checked, defaults filled in, dates and times as ISO 8601 text (times in UTC).

        Raises InvalidData with every complaint, or InvalidHeader for CR, LF or NUL in what the subject prints.
        """
        if not isinstance(data, Mapping):
            raise InvalidData(f"{self.facts.name}: data must be an object, not {type(data).__name__}")
        for name in sorted(self.header_fields.data):
            self._refuse_line_breaks(data.get(name), name)
        normal, complaints = values.normal_form(self._fields, data)
        if complaints:
            raise InvalidData(f"{self.facts.name}: " + "; ".join(complaints))
        return normal

    def validate_recipient(self, attributes: Mapping[str, Any]) -> None:
        """Raises InvalidHeader for CR, LF or NUL in an attribute that the subject prints."""
        wanted = self.header_fields.recipient
        for name, value in attributes.items():
            if name in wanted or _ANY in wanted:
                self._refuse_line_breaks(value, f"recipient.{name}")

    def typed(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """Stored data with its dates as objects: what `render` takes. Once per notification."""
        return values.typed(self._fields, stored)

    def render(
        self, channel: Channel, context: Mapping[str, Any], *, locale: str | None, timezone: str | None
    ) -> Rendered:
        """One recipient's mail. `context` is typed data, and `recipient` as a dict.

        Raises InvalidData for a value that is printed but missing, InvalidKind for any other error of the
        template (both name file and line), InvalidHeader for a subject that holds CR, LF or NUL.
        """
        if channel not in self.facts.channels:
            raise InvalidKind(f"{self.facts.name} has no template for {channel}")
        return self.email.render(context, locale=locale, timezone=timezone)

    def _refuse_line_breaks(self, value: Any, path: str) -> None:
        for text in _texts(value):
            if _LINE_BREAK.search(text):
                raise InvalidHeader(f"{self.facts.name}: {path} is part of the subject and holds CR, LF or NUL")


def _texts(value: Any, depth: int = 0) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth < values.MAXIMUM_DEPTH and isinstance(value, Mapping | list | tuple):  # deeper data is refused as such
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(part, depth + 1)
