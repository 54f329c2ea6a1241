"""What a caller says of a recipient, checked: a key, or a mapping with a key and what is known of the person."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from babel.localedata import locale_identifiers

from notify.channels.email.address import parse
from notify.channels.sms import number
from notify.errors import InvalidAddress, InvalidRecipient, RequestError, did_you_mean
from notify.kinds import locales
from notify.kinds.values import Misfit, json_form
from notify.model import ERASED_KEY, Address, Channel
from notify.settings import time_zones
from notify.store.recipients import Change
from notify.store.text import is_line, line

FIELDS = ("key", "email", "phone", "name", "locale", "timezone", "attributes", "tags", "data")
REACHED: Mapping[str, Channel] = {"email": Channel.EMAIL, "phone": Channel.SMS}
RESERVED = frozenset({"key", "locale", "timezone", "address", "tags"})  # templates know these by the same names
_FIELDS = frozenset(FIELDS)
_NO_CHANGE = frozenset({"key", "data"})
_LOCALE = re.compile(r"[A-Za-z0-9_.@-]{2,100}")

To = str | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Described:
    """A recipient as described: its key, what is to be changed of it, and its own part of the data.

    `address`, which no caller of send() can give, is written to instead of the primary one of its channel.
    """

    key: str
    change: Change | None = None
    data: Mapping[str, Any] | None = None
    address: Address | None = None


def describe(to: To, *, allow_test: bool = False, region: str | None = None) -> Described:
    """Check one `to`.

    A string is the key of a recipient that exists. A mapping has a `key` and any of `email`, `phone`, `name`, `locale`,
    `timezone`, `attributes`, `tags` (kept for next time), and `data` (for this message only). Attributes are JSON
    values; dates among them become text. Raises `InvalidRecipient` or `InvalidAddress`. `allow_test` permits addresses
    under `.test` (RFC 2606); `region` is the country of phone numbers that name none.
    """
    if isinstance(to, str):
        return Described(_key(to))
    if not isinstance(to, Mapping):
        raise InvalidRecipient(f"a recipient is a key or a mapping with a key, not {type(to).__name__}")
    if not _FIELDS.issuperset(to):
        unknown = [field for field in to if field not in FIELDS]
        raise InvalidRecipient(
            f"recipient {to.get('key')!r:.60}: unknown field {unknown[0]!r}{did_you_mean(str(unknown[0]), FIELDS)}"
            " Free fields go into attributes={…}."
        )
    key = _key(to.get("key"))
    data = to.get("data")
    if data is not None and not isinstance(data, Mapping):
        raise InvalidRecipient(f"recipient {key!r}: data must be a mapping, not {type(data).__name__}")
    if _NO_CHANGE.issuperset(to):
        return Described(key, data=data)
    return Described(key, _change(key, to, allow_test, region), data)


def reachable(key: str, channel: Channel, value: Any, *, allow_test: bool, region: str | None) -> str:
    """The normal form of an address of a channel. Raises `InvalidAddress`."""
    try:
        if channel is Channel.EMAIL:
            parsed = _parse if isinstance(value, str) else parse  # what is no text may not be hashable either
            return parsed(value, allow_test=allow_test)
        if channel is Channel.SMS:
            return number.parse(value, region=region)
        return line("an address", value, InvalidAddress)
    except InvalidAddress as error:
        raise InvalidAddress(f"recipient {key!r}: {error}") from None


def _change(key: str, to: Mapping[str, Any], allow_test: bool, region: str | None) -> Change:
    addresses = {
        channel: reachable(key, channel, to[field], allow_test=allow_test, region=region)
        for field, channel in REACHED.items()
        if to.get(field) is not None
    }
    return Change(
        key=key,
        locale=None if to.get("locale") is None else locale(f"recipient {key!r}", to["locale"], InvalidRecipient),
        timezone=None if to.get("timezone") is None else timezone(key, to["timezone"]),
        attributes=_attributes(key, to),
        tags=None if to.get("tags") is None else _tags(key, to["tags"]),
        addresses=addresses,
    )


def _attributes(key: str, to: Mapping[str, Any]) -> dict[str, Any]:
    given = to.get("attributes") or {}
    if not isinstance(given, Mapping):
        raise InvalidRecipient(f"recipient {key!r}: attributes must be a mapping, not {type(given).__name__}")
    if not RESERVED.isdisjoint(given):
        reserved = min(RESERVED.intersection(given))
        raise InvalidRecipient(f"recipient {key!r}: attribute {reserved!r} is a field of its own; give it beside key")
    for name in given:
        if not (isinstance(name, str) and _is_line(name)):
            line(f"recipient {key!r}: an attribute's name", name, InvalidRecipient)
    attributes = dict(given)
    if to.get("name") is not None:
        attributes["name"] = to["name"]
    name = attributes.get("name", "")
    if not isinstance(name, str) or (name.strip() and not is_line(name)):  # it stands in the To header
        line(f"recipient {key!r}: name", name, InvalidRecipient)
    elif name and not name.strip():
        attributes["name"] = ""
    return {name: _attribute(key, name, value) for name, value in attributes.items()}


def _attribute(key: str, name: str, value: Any) -> Any:
    try:
        return json_form(value)
    except Misfit as misfit:
        raise InvalidRecipient(f"recipient {key!r}: attribute {name!r} {misfit}") from None


def _tags(key: str, given: Any) -> tuple[str, ...]:
    if not isinstance(given, list | tuple):
        raise InvalidRecipient(f"recipient {key!r}: tags is a list, such as ['vip'], not {type(given).__name__}")
    for tag in given:
        if not (isinstance(tag, str) and _is_line(tag)):
            line(f"recipient {key!r}: a tag", tag, InvalidRecipient)
    return tuple(given)


def _key(key: Any) -> str:
    if not isinstance(key, str) or not key.strip():
        raise InvalidRecipient(
            f"a recipient needs a key: the name your application knows it by, such as 'user-42'; got {key!r:.40}"
        )
    if key.startswith(ERASED_KEY):
        raise InvalidRecipient(f"a key that begins with {ERASED_KEY!r} is of a person who was erased: nobody has it")
    return line("a recipient's key", key, InvalidRecipient)


def locale(what: str, name: Any, error: type[RequestError]) -> str:
    """A locale's name as BCP 47 writes it (`nl-BE`); raises `error`, which names `what`, when there is none such."""
    known = locales.normal(name) if isinstance(name, str) and _LOCALE.fullmatch(name) else None
    if known is None:
        shown = str(name)[:40]
        raise error(f"{what}: unknown locale {shown!r}{_near(shown, _locales)} Write it like 'nl' or 'nl-BE'.")
    return known


def timezone(key: str, name: Any) -> str:
    """An IANA time zone's name; `InvalidRecipient` when there is none such."""
    if not isinstance(name, str) or name not in time_zones():
        shown = str(name)[:40]
        raise InvalidRecipient(
            f"recipient {key!r}: unknown time zone {shown!r}{_near(shown, time_zones)} "
            "Write it like 'Europe/Amsterdam'."
        )
    return name


_parse = lru_cache(maxsize=1024)(parse)  # the same people are written to again and again
_is_line = lru_cache(maxsize=1024)(is_line)  # a roster has the same tags and attributes in every row


@lru_cache(maxsize=256)  # a roster may hold one mistake in every row
def _near(name: str, known: Callable[[], Collection[str]]) -> str:
    return did_you_mean(name, known()) or "."


@cache
def _locales() -> list[str]:
    return [identifier.replace("_", "-") for identifier in locale_identifiers()]
