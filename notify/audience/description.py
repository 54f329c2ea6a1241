"""What a caller says of a recipient, checked: a key, or a mapping with a key and what is known of the person."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError

from notify.channels.email.address import parse
from notify.errors import InvalidAddress, InvalidData, InvalidRecipient, did_you_mean
from notify.model import Channel
from notify.store.recipients import Change

FIELDS = ("key", "email", "name", "locale", "timezone", "attributes", "tags", "data")
RESERVED = frozenset({"key", "locale", "timezone", "address", "tags"})  # templates know these by the same names
LONGEST_KEY = 255
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

To = str | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Described:
    """A recipient as described: its key, what is to be changed of it, and its own part of the data."""

    key: str
    change: Change | None = None
    data: Mapping[str, Any] | None = None


def describe(to: To, *, allow_test: bool = False) -> Described:
    """Check one `to`.

    A string is the key of a recipient that exists. A mapping has a `key` and any of `email`, `name`, `locale`,
    `timezone`, `attributes`, `tags` (kept for next time), and `data` (for this message only). Raises
    `InvalidRecipient` or `InvalidAddress`. `allow_test` permits addresses under `.test` (RFC 2606).
    """
    if isinstance(to, str):
        return Described(_key(to))
    if not isinstance(to, Mapping):
        raise InvalidRecipient(f"a recipient is a key or a mapping with a key, not {type(to).__name__}")
    unknown = [field for field in to if field not in FIELDS]
    if unknown:
        raise InvalidRecipient(
            f"recipient {to.get('key')!r}: unknown field {unknown[0]!r}{did_you_mean(str(unknown[0]), FIELDS)}"
            " Free fields go into attributes={…}."
        )
    key = _key(to.get("key"))
    data = to.get("data")
    if data is not None and not isinstance(data, Mapping):
        raise InvalidRecipient(f"recipient {key!r}: data must be a mapping, not {type(data).__name__}")
    if not set(to) - {"key", "data"}:
        return Described(key, data=data)
    return Described(key, _change(key, to, allow_test), data)


def _change(key: str, to: Mapping[str, Any], allow_test: bool) -> Change:
    addresses = {}
    if to.get("email") is not None:
        try:
            addresses[Channel.EMAIL] = parse(to["email"], allow_test=allow_test)
        except InvalidAddress as error:
            raise InvalidAddress(f"recipient {key!r}: {error}") from None
    return Change(
        key=key,
        locale=None if to.get("locale") is None else locale(key, to["locale"]),
        timezone=None if to.get("timezone") is None else timezone(key, to["timezone"]),
        attributes=_attributes(key, to),
        tags=None if to.get("tags") is None else tuple(str(tag) for tag in to["tags"]),
        addresses=addresses,
    )


def _attributes(key: str, to: Mapping[str, Any]) -> dict[str, Any]:
    given = to.get("attributes") or {}
    if not isinstance(given, Mapping):
        raise InvalidRecipient(f"recipient {key!r}: attributes must be a mapping, not {type(given).__name__}")
    reserved = sorted(RESERVED & set(given))
    if reserved:
        raise InvalidRecipient(
            f"recipient {key!r}: attribute {reserved[0]!r} is a field of its own; give it beside key"
        )
    attributes = dict(given)
    if to.get("name") is not None:
        attributes["name"] = to["name"]
    storable(f"recipient {key!r}: attributes", attributes)
    name = attributes.get("name", "")
    if not isinstance(name, str) or _CONTROL.search(name):
        raise InvalidRecipient(f"recipient {key!r}: name must be one line of text: it stands in the To header")
    return attributes


def _key(key: Any) -> str:
    if not isinstance(key, str) or not key.strip():
        raise InvalidRecipient(
            f"a recipient needs a key: the name your application knows it by, such as 'user-42'; got {key!r:.40}"
        )
    if len(key) > LONGEST_KEY or _CONTROL.search(key):
        raise InvalidRecipient(
            f"recipient key {key[:40]!r}: at most {LONGEST_KEY} characters, none of them control characters"
        )
    return key


def storable(what: str, value: Any) -> None:
    """Raise `InvalidData` unless `value` can be stored as JSON in every database we know."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        text.encode()
    except (TypeError, ValueError) as error:  # a lone surrogate is a ValueError, too
        raise InvalidData(f"{what} cannot be stored as JSON: {error}") from None
    if "\\u0000" in text:
        raise InvalidData(f"{what}: there is a NUL character in it; remove it")


def locale(key: str, name: Any) -> str:
    """A locale's name as BCP 47 writes it (`nl-BE`); `InvalidRecipient` when there is none such."""
    try:
        return str(Locale.parse(str(name).replace("-", "_"))).replace("_", "-")
    except (UnknownLocaleError, ValueError):
        raise InvalidRecipient(
            f"recipient {key!r}: unknown locale {str(name)[:40]!r}; write it like 'nl' or 'nl-BE'"
        ) from None


def timezone(key: str, name: Any) -> str:
    """An IANA time zone's name; `InvalidRecipient` when there is none such."""
    try:
        return ZoneInfo(str(name)).key
    except (LookupError, ValueError, OSError):
        raise InvalidRecipient(
            f"recipient {key!r}: unknown time zone {str(name)[:40]!r}; write it like 'Europe/Amsterdam'"
        ) from None
