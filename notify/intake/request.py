"""What a call of send() asks for, checked as far as that goes without the database."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from notify.app import App
from notify.audience import Described, describe
from notify.audience.description import To, storable
from notify.errors import InvalidAttachment, InvalidData, InvalidRecipient, did_you_mean
from notify.kinds import CompiledKind
from notify.model import Attachment, Channel, Mode
from notify.settings import Environment

LONGEST_KEY = 255
_CONTENT_TYPE = re.compile(r"[a-zA-Z0-9!#$&^_.+-]+/[a-zA-Z0-9!#$&^_.+-]+\Z")  # RFC 2045 §5.1, without parameters
_CONTENT_ID = re.compile(r"[a-zA-Z0-9_.@-]+\Z")


@dataclass(frozen=True, slots=True)
class Request:
    """A checked call: who, what, when. `data` is in the kind's JSON form."""

    kind: CompiledKind
    recipients: tuple[Described, ...]
    data: Mapping[str, Any]
    channels: tuple[Channel, ...]
    mode: Mode
    key: str | None
    at: datetime | None
    tenant: str | None
    attachments: tuple[Attachment, ...]

    @classmethod
    def checked(
        cls,
        app: App,
        kind: str,
        to: Iterable[To],
        data: Mapping[str, Any] | None,
        *,
        channels: Sequence[str] | None,
        key: str | None,
        at: datetime | None,
        tenant: str | None,
        attachments: Sequence[Attachment],
        mode: str,
    ) -> Request:
        """Check everything that needs no database; raises a `RequestError` that names what is wrong."""
        compiled = app.kinds.get(kind)
        development = app.settings.env is Environment.DEVELOPMENT
        described = _distinct(describe(one, allow_test=development) for one in to)
        shared = dict(data or {})
        recipients = tuple(_with_valid_data(compiled, one, shared) for one in described)
        everyone_brings_data = bool(recipients) and all(one.data is not None for one in recipients)
        return cls(
            kind=compiled,
            recipients=recipients,
            data={} if everyone_brings_data else _json(kind, compiled.validate(shared)),
            channels=_channels(compiled, channels),
            mode=_mode(mode),
            key=_key(key),
            at=_moment(at),
            tenant=tenant,
            attachments=_attachments(tuple(attachments), app.settings.max_attachment_bytes),
        )

    @property
    def digest(self) -> str:
        """A hash of all that makes this request what it is: the same key may only come with the same digest."""
        said = {
            "kind": self.kind.facts.name,
            "data": self.data,
            "channels": self.channels,
            "at": self.at,
            "mode": self.mode,
            "recipients": [[one.key, one.data, _said(one)] for one in self.recipients],
            "attachments": [
                [file.name, file.content_type, file.inline, hashlib.sha256(file.content).hexdigest()]
                for file in self.attachments
            ],
        }
        return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


def _said(one: Described) -> list[Any] | None:
    change = one.change
    if change is None:
        return None
    return [change.locale, change.timezone, change.attributes, change.tags, change.addresses]


def _distinct(described: Iterable[Described]) -> list[Described]:
    by_key: dict[str, Described] = {}
    for one in described:
        if by_key.setdefault(one.key, one) != one:
            raise InvalidRecipient(f"recipient {one.key!r} is described twice, and differently; describe it once")
    return list(by_key.values())


def _with_valid_data(kind: CompiledKind, one: Described, shared: Mapping[str, Any]) -> Described:
    if one.change is not None:
        kind.validate_recipient(one.change.attributes)
    if one.data is None:
        return one
    try:
        merged = _json(kind.facts.name, kind.validate({**shared, **one.data}))
    except InvalidData as error:
        raise InvalidData(f"recipient {one.key!r}: {error}") from None
    return Described(one.key, one.change, merged)


def _json(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    storable(f"{kind}: data", data)
    return data


def _channels(kind: CompiledKind, wanted: Sequence[str] | None) -> tuple[Channel, ...]:
    if wanted is None:
        return kind.facts.channels
    if isinstance(wanted, str):
        raise InvalidData(f"channels is a list: channels=[{wanted!r}]")
    if not wanted:
        raise InvalidData("channels is empty: leave it out to use all of the kind's channels")
    for channel in wanted:
        if channel not in kind.facts.channels:
            raise InvalidData(
                f"{kind.facts.name} is not made for channel {channel!r}, only for {', '.join(kind.facts.channels)}"
            )
    return tuple(dict.fromkeys(Channel(channel) for channel in wanted))


def _mode(mode: str) -> Mode:
    try:
        return Mode(mode)
    except ValueError:
        raise InvalidData(f"unknown mode {mode!r}{did_you_mean(mode, Mode)} It is one of {', '.join(Mode)}.") from None


def _key(key: str | None) -> str | None:
    if key is None:
        return None
    if not isinstance(key, str) or not key.strip() or len(key) > LONGEST_KEY or "\x00" in key:
        raise InvalidData(f"key must be a text of 1 to {LONGEST_KEY} characters, not {key!r:.60}")
    return key


def _moment(at: datetime | None) -> datetime | None:
    if at is None:
        return None
    if not isinstance(at, datetime) or at.tzinfo is None:
        raise InvalidData(f"at must be a datetime with a time zone, such as datetime.now(UTC), not {at!r:.60}")
    return at.astimezone(UTC)


def _attachments(files: tuple[Attachment, ...], limit: int) -> tuple[Attachment, ...]:
    for file in files:
        if not isinstance(file, Attachment):
            raise InvalidAttachment(f"attachments are notify.Attachment(name, content), not {type(file).__name__}")
        if not file.name or any(ord(letter) < ord(" ") or letter in '/\\"' for letter in file.name):
            raise InvalidAttachment(f"attachment {file.name!r}: the name must be a plain file name")
        if not _CONTENT_TYPE.match(file.content_type):
            raise InvalidAttachment(
                f"attachment {file.name!r}: {file.content_type!r} is no content type like 'text/csv'"
            )
        if file.inline is not None and not _CONTENT_ID.match(file.inline):
            raise InvalidAttachment(
                f"attachment {file.name!r}: inline must be a content id like 'logo', not {file.inline!r}"
            )
    size = sum(len(file.content) for file in files)
    if size > limit:
        raise InvalidAttachment(
            f"attachments of {size:,} bytes are over the limit of {limit:,} (NOTIFY_MAX_ATTACHMENT_BYTES); "
            "send a link instead"
        )
    return files
