"""What a stored payload says, read without trust: of the right type, storable in any database, and bounded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parseaddr
from typing import Any
from uuid import UUID

from notify.channels.hook import Payload
from notify.errors import Unreadable
from notify.model import Event
from notify.model.text import storable

LONGEST_TEXT = 4000  # characters of a value that are kept
_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")


def tree(payload: Payload) -> Any:
    """The JSON value that the body is. Raises `Unreadable`."""
    try:
        return json.loads(payload.body)
    except (ValueError, RecursionError):
        raise Unreadable("not_json", "the body is no JSON text in UTF-8") from None


class Facts:
    """A JSON object, asked by name. What is missing or null is None or empty; of the wrong type, `Unreadable`."""

    def __init__(self, value: Any, where: str = "the body") -> None:
        if not isinstance(value, dict):
            raise Unreadable("wrong_type", f"{where} is no object")
        self._value = value
        self._where = where

    def __contains__(self, name: str) -> bool:
        return self._value.get(name) is not None

    def text(self, name: str) -> str | None:
        """A text, or a number as one; None when it is missing or empty."""
        value = self._value.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self._wrong(name, "text")
        return storable(str(value), LONGEST_TEXT)

    def required(self, name: str) -> str:
        """A text that must be there."""
        found = self.text(name)
        if found is None:
            raise self._wrong(name, "text, and needed")
        return found

    def within(self, name: str) -> Facts:
        """The object of that name; an empty one when it is missing."""
        value = self._value.get(name)
        return Facts({} if value is None else value, f"{name} of {self._where}")

    def each(self, name: str) -> Iterator[Facts]:
        """The objects of a list."""
        for value in self.items(name):
            yield Facts(value, f"an entry of {name}")

    def items(self, name: str) -> list[Any]:
        """A list; an empty one when it is missing."""
        value = self._value.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self._wrong(name, "list")
        return value

    def truth(self, name: str) -> bool:
        """Whether it is true."""
        return self._value.get(name) is True

    def moment(self, name: str, otherwise: datetime | None = None) -> datetime:
        """A time in ISO 8601, or in seconds since 1970; `otherwise` where there is none."""
        value = self._value.get(name)
        if value is None and otherwise is not None:
            return otherwise
        try:
            if isinstance(value, str):
                read = datetime.fromisoformat(value)
                return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
            if isinstance(value, int | float) and not isinstance(value, bool):
                return datetime.fromtimestamp(value, UTC)
        except (ValueError, OverflowError, OSError):
            pass
        raise self._wrong(name, "time")

    def known(self, *names: str) -> dict[str, str]:
        """Those of these texts that are there, by name: what is worth keeping of an event beside its columns.

        Never the client's address or the name of its program: those say more of a person than what they did.
        """
        found = {name: self.text(name) for name in names}
        return {name: text for name, text in found.items() if text is not None}

    def _wrong(self, name: str, wanted: str) -> Unreadable:
        return Unreadable("wrong_type", f"{name} of {self._where} is no {wanted}")


def require_named(event: Event) -> Event:
    """The event, if it names its message or an address. Raises `Unreadable`: it could be nobody's."""
    if not (event.message_id or event.header_id or event.provider_message_id or event.address):
        raise Unreadable("wrong_type", "names neither a message nor an address")
    return event


def message_id(text: str | None) -> UUID | None:
    """The id of a message of ours that a tag holds; None for anything else."""
    try:
        return UUID(text or "")
    except ValueError:
        return None


def status_in(text: str | None) -> str | None:
    """The enhanced status code (RFC 3463) that a diagnostic names, if any."""
    found = _STATUS.search(text or "")
    return found[1] if found else None


def address_in(mailbox: str | None) -> str | None:
    """The bare address of `Name <address>` or `address`."""
    return storable(parseaddr(mailbox)[1], LONGEST_TEXT) or None if mailbox else None
