"""What a `kind.toml` declares, checked to the last key: an unknown one is refused with the nearest right one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from notify.errors import did_you_mean
from notify.kinds import locales, patience, tracking
from notify.kinds.places import Fault, Place
from notify.kinds.toml import Toml
from notify.kinds.values import MAY_BE_EMPTY, TYPES, Field, normal_form
from notify.model import Channel, Lane, OnDoubt, OnQuiet, Retry
from notify.rates import Rate

DELIVERED = (Channel.EMAIL,)  # the channels that have templates in this version
ANY_LOCALE = ""
"""Stands for the locale of what is written for nobody in particular: it serves whoever has no variant."""

LINKS = ("unsubscribe_url", "preferences_url")
"""Links of the recipient's own: missing where there are no pages to link to."""

RESERVED = (
    *("recipient", "locale", "timezone", "direction", "subject", "preheader"),
    *("sender", "transactional", *LINKS),
)
"""Names that every template may use; [data] may not declare them."""

NOT_YET = {"digest": "digests", "downgrade": "in-app channel", "in_app": "in-app channel"}
"""What else may become of a message in quiet hours, once there is something to put it in."""

_FUNCTIONS = ("_", "gettext", "ngettext")
_TOP = (
    *("title", "category", "channels", "lane", "on_doubt", "critical", "unsubscribe", "read_receipts", "keep_replies"),
    *("required", "transactional", "consent", "onboarding", "quiet"),
    *("expires", "recipient_rate", "retry", "tracking", "data", *DELIVERED),
)
_SPEC = ("type", "default", "items", "fields")
_HEADERS = ("subject", "preheader")
_Word = TypeVar("_Word", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Header:
    """One line of an e-mail's [email] table: template source and where it stands."""

    source: str
    place: Place


@dataclass(frozen=True, slots=True)
class Declaration:
    """A kind's own facts.

    `headers[name][locale]` are the subject and preheader templates; those directly under [email] serve `ANY_LOCALE`.
    """

    title: str
    category: str
    channels: tuple[Channel, ...]
    lane: Lane
    on_doubt: OnDoubt
    critical: bool
    unsubscribe: bool
    read_receipts: bool
    keep_replies: bool | None
    retry: Mapping[Channel, Retry]
    expires: timedelta | None
    recipient_rate: Rate | None
    required: bool
    transactional: bool
    consent: bool
    onboarding: bool
    quiet: OnQuiet
    tracking: tracking.Asked
    data: Mapping[str, Field]
    headers: Mapping[str, Mapping[str, Header]]


def read(path: Path) -> Declaration:
    """Parse and check one kind.toml; raises InvalidKind naming file and line."""
    return _Reader(Toml(path)).declaration()


class _Reader:
    """Turns the parsed table into a Declaration, and finds the line of what it complains about."""

    def __init__(self, toml: Toml) -> None:
        self._toml = toml

    def declaration(self) -> Declaration:
        toml = self._toml
        toml.refuse_unknown(toml.table, _TOP, "")
        channels = tuple(self._channel(word) for word in toml.required("channels", list))
        if not channels:
            raise self._fault("channels", "", "channels is empty; name at least one, such as email")
        return Declaration(
            title=toml.required("title", str),
            category=toml.required("category", str),
            channels=channels,
            lane=self._word(Lane, "lane", Lane.NORMAL),
            on_doubt=self._word(OnDoubt, "on_doubt", OnDoubt.RESEND),
            critical=toml.optional("critical", bool, False),
            unsubscribe=toml.optional("unsubscribe", bool, False),
            read_receipts=toml.optional("read_receipts", bool, False),
            keep_replies=toml.optional("keep_replies", bool, False) if "keep_replies" in toml.table else None,
            retry=patience.retries(toml, channels),
            expires=patience.expires(toml),
            recipient_rate=patience.recipient_rate(toml),
            required=toml.optional("required", bool, False),
            transactional=toml.optional("transactional", bool, False),
            consent=toml.optional("consent", bool, False),
            onboarding=toml.optional("onboarding", bool, False),
            quiet=self._quiet(),
            tracking=tracking.asked(toml),
            data=self._data(toml.optional("data", dict, {})),
            headers=self._headers(toml.required("email", dict)),
        )

    def _data(self, table: Mapping[str, Any]) -> Mapping[str, Field]:
        for name in table:
            if name in RESERVED or name in _FUNCTIONS:
                raise self._fault(name, "data", f"{name} is set by notify and cannot be declared in [data]")
        return self._fields(table, "data")

    def _fields(self, table: Mapping[str, Any], section: str) -> dict[str, Field]:
        fields = {}
        for name, spec in table.items():
            if not name.isidentifier():
                raise self._fault(name, section, f"{name!r} cannot be used in a template; use letters, digits and _")
            fields[name] = self._field(spec, name, section)
        return fields

    def _field(self, spec: Any, name: str, section: str) -> Field:
        if isinstance(spec, str):
            spec = {"type": spec}
        if not isinstance(spec, dict) or "type" not in spec:
            raise self._fault(name, section, f"{name} needs a type: one of {', '.join(TYPES)}")
        self._toml.refuse_unknown(spec, _SPEC, section, within=name)
        if spec["type"] not in TYPES:
            near = did_you_mean(str(spec["type"]), TYPES) or f"; use one of {', '.join(TYPES)}"
            raise self._fault(name, section, f"{name}: {spec['type']!r} is not a type{near}")
        for part, owner in (("items", "list"), ("fields", "object")):
            if part in spec and spec["type"] != owner:
                raise self._fault(name, section, f"{name}: only a type {owner} has {part}")
        field = Field(
            type=spec["type"],
            required="default" not in spec,
            fields=self._fields(spec["fields"], section) if "fields" in spec else None,
            items=self._items(spec["items"], name, section) if "items" in spec else None,
        )
        return self._with_default(field, spec["default"], name, section) if "default" in spec else field

    def _items(self, spec: Any, name: str, section: str) -> Field:
        """`items` is a type, a full description of one, or a table of the fields of an object."""
        described = isinstance(spec, str) or (isinstance(spec, dict) and "type" in spec and set(spec) <= set(_SPEC))
        if described or not isinstance(spec, dict):
            return self._field(spec, name, section)
        return Field(type="object", fields=self._fields(spec, section))

    def _with_default(self, field: Field, default: Any, name: str, section: str) -> Field:
        if default == "" and field.type in MAY_BE_EMPTY:
            return Field(field.type, False, "")
        normal, complaints = normal_form({name: field}, {name: default})
        if complaints:
            raise self._fault(name, section, f"default: {complaints[0]}")
        return Field(field.type, False, normal[name], field.fields, field.items)

    def _headers(self, table: Mapping[str, Any]) -> Mapping[str, Mapping[str, Header]]:
        headers: dict[str, dict[str, Header]] = {name: {} for name in _HEADERS}
        for key, value in table.items():
            if key in _HEADERS:
                headers[key][ANY_LOCALE] = self._header(key, value, "email")
                continue
            locale = locales.normal(key) if isinstance(value, dict) else None
            if locale is None:
                known = (
                    did_you_mean(key, _HEADERS) or "; [email] holds subject, preheader and tables such as [email.nl]"
                )
                raise self._fault(key, "email", f"{key} is neither a key of [email] nor a locale{known}")
            self._toml.refuse_unknown(value, _HEADERS, f"email.{key}")
            for name, source in value.items():
                headers[name].setdefault(locale, self._header(name, source, f"email.{key}"))
        if ANY_LOCALE not in headers["subject"]:
            raise self._fault("email", "", "[email] has no subject")
        return headers

    def _header(self, key: str, source: Any, section: str) -> Header:
        if not isinstance(source, str) or not source.strip():
            raise self._fault(key, section, f"{key} must be a line of text")
        return Header(source, self._toml.place(key, section))

    def _channel(self, word: Any) -> Channel:
        names = [channel.value for channel in Channel]
        if word not in names:
            raise self._fault("channels", "", f"{word!r} is not a channel{did_you_mean(str(word), names)}")
        if word not in DELIVERED:
            raise self._fault("channels", "", f"this version delivers only e-mail, not {word}")
        return Channel(word)

    def _word(self, words: type[_Word], key: str, default: _Word) -> _Word:
        given = self._toml.table.get(key, default.value)
        known = [word.value for word in words]
        if given not in known:
            near = did_you_mean(str(given), known) or f"; use one of {', '.join(known)}"
            raise self._fault(key, "", f"{key} cannot be {given!r}{near}")
        return words(given)

    def _quiet(self) -> OnQuiet:
        if missing := NOT_YET.get(str(self._toml.table.get("quiet"))):
            known = ", ".join(word.value for word in OnQuiet)
            raise self._fault("quiet", "", f"quiet: this version has no {missing} to put it in; use one of {known}")
        return self._word(OnQuiet, "quiet", OnQuiet.HOLD)

    def _fault(self, key: str, section: str, text: str) -> Fault:
        return self._toml.fault(key, section, text)
