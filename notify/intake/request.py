"""What a call of send() asks for, checked as far as that goes without the database."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from notify.app import App
from notify.audience import Described, Everyone, Segment, describe
from notify.audience.description import To
from notify.channels.email.bodies import CONTENT_ID, CONTENT_TYPE
from notify.errors import (
    InvalidAttachment,
    InvalidData,
    InvalidDeadline,
    InvalidRecipient,
    UnknownKind,
    did_you_mean,
)
from notify.intake import footing, when
from notify.kinds import CompiledKind
from notify.model import Attachment, Channel, Local, Mode
from notify.policy import wall_clock
from notify.settings import Environment
from notify.store.text import line

_PATH_SIGNS = re.compile(r'[/\\"]')


@dataclass(frozen=True, slots=True)
class Request:
    """A checked call: who, what, when. `data` is in the kind's JSON form; `delay` is what `at` was made of, if it was.

    With a `selection` the recipients are not named here, and are planned later, by `fan_out`.
    """

    kind: CompiledKind
    recipients: tuple[Described, ...]
    data: Mapping[str, Any]
    channels: tuple[Channel, ...]
    mode: Mode
    key: str | None
    at: when.At | None
    tenant: str | None
    attachments: tuple[Attachment, ...]
    selection: Everyone | Segment | None = None
    expires: timedelta | datetime | None = None
    delay: timedelta | None = None
    cancellation_key: str | None = None

    @classmethod
    def checked(
        cls,
        app: App,
        kind: str,
        to: Iterable[To] | Everyone | Segment,
        data: Mapping[str, Any] | None,
        *,
        channels: Iterable[str] | None,
        key: str | None,
        at: when.At | None,
        tenant: str | None,
        attachments: Iterable[Attachment],
        mode: str,
        expires: timedelta | datetime | None = None,
        delay: timedelta | str | None = None,
        cancellation_key: str | None = None,
    ) -> Request:
        """Check everything that needs no database; raises a `RequestError` that names what is wrong.

        `InvalidSettings` in production, for a kind that lacks the sender's postal address or a way to leave it.
        """
        compiled = named_kind(app, kind)
        footing.require(app, compiled)
        development = app.settings.env is Environment.DEVELOPMENT
        selection, named = (to, ()) if isinstance(to, Everyone | Segment) else (None, to)
        region = app.settings.phone_region
        described = _distinct(describe(one, allow_test=development, region=region) for one in named)
        shared = _shared(compiled, data)
        recipients = tuple(_with_valid_data(compiled, one, shared) for one in described)
        everyone_brings_data = bool(recipients) and all(one.data is not None for one in recipients)
        moment, span = when.planned(at, delay, app.clock.now())
        return cls(
            kind=compiled,
            recipients=recipients,
            data={} if everyone_brings_data else compiled.validate(shared),
            channels=_channels(compiled, channels),
            mode=_mode(mode),
            key=_key("key", key),
            at=moment,
            tenant=tenant,
            attachments=_attachments(attachments, app.settings.max_attachment_bytes),
            selection=selection,
            expires=when.expires(expires, moment),
            delay=span,
            cancellation_key=_key("cancellation_key", cancellation_key),
        )

    @property
    def digest(self) -> str:
        """A hash of all that makes this request what it is: the same key may only come with the same digest.

        The order of the recipients and of the channels is no part of it.
        """
        said: dict[str, Any] = {
            "kind": self.kind.facts.name,
            "data": self.data,
            "channels": sorted(self.channels),
            "at": f"in {self.delay}" if self.delay is not None else self.at,
            "mode": self.mode,
            "recipients": [[one.key, one.data, _said(one)] for one in sorted(self.recipients, key=_by_key)],
            "attachments": [
                [file.name, file.content_type, file.inline, hashlib.sha256(file.content).hexdigest()]
                for file in self.attachments
            ],
        }
        if isinstance(self.selection, Segment):
            said["segment"] = self.selection.wanted
        elif self.selection is not None:
            said["everyone"] = list(self.selection.tags)
        if self.expires is not None:
            said["expires"] = self.expires
        if self.cancellation_key is not None:
            said["cancellation_key"] = self.cancellation_key
        return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()

    def deadline(self, now: datetime) -> datetime | None:
        """When its messages are worth nothing any more: as was said, or as the kind says.

        A span counts from the time that they should go out; by recipients' own clocks, from when that is over
        everywhere. Raises `InvalidDeadline` for one that no calendar holds.
        """
        said = self.kind.facts.expires if self.expires is None else self.expires
        if not isinstance(said, timedelta):
            return said
        try:
            at = wall_clock.latest(self.at) if isinstance(self.at, Local) else self.at
            return max(at or now, now) + said
        except OverflowError:
            raise InvalidDeadline(f"{said} after {self.at} is beyond the year 9999") from None


def named_kind(app: App, name: str) -> CompiledKind:
    """The kind of this name. Raises `UnknownKind` or `InvalidKind`."""
    if not isinstance(name, str):
        raise UnknownKind(f"kind is the name of a folder of templates, such as 'welcome', not {type(name).__name__}")
    return app.kinds.get(name)


def _by_key(one: Described) -> str:
    return one.key


def _shared(kind: CompiledKind, data: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if data is not None and not isinstance(data, Mapping):
        raise InvalidData(f"{kind.facts.name}: data must be an object, not {type(data).__name__}")
    return data or {}


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
        merged = kind.validate({**shared, **one.data})
    except InvalidData as error:
        raise InvalidData(f"recipient {one.key!r}: {error}") from None
    return Described(one.key, one.change, merged)


def _channels(kind: CompiledKind, wanted: Iterable[str] | None) -> tuple[Channel, ...]:
    if wanted is None:
        return kind.facts.channels
    if isinstance(wanted, str) or not isinstance(wanted, Iterable):
        raise InvalidData(f"channels is a list, such as channels=['email'], not {wanted!r:.60}")
    named = tuple(wanted)
    if not named:
        raise InvalidData("channels is empty: leave it out to use all of the kind's channels")
    for channel in named:
        if channel not in kind.facts.channels:
            raise InvalidData(
                f"{kind.facts.name} is not made for channel {channel!r}, only for {', '.join(kind.facts.channels)}"
            )
    return tuple(dict.fromkeys(Channel(channel) for channel in named))


def _mode(mode: str) -> Mode:
    try:
        return Mode(mode)
    except ValueError:
        near = did_you_mean(mode, Mode) or "."
        raise InvalidData(f"unknown mode {mode!r:.60}{near} It is one of {', '.join(Mode)}.") from None


def _key(what: str, key: str | None) -> str | None:
    return None if key is None else line(what, key, InvalidData)


def _attachments(given: Iterable[Attachment], limit: int) -> tuple[Attachment, ...]:
    if not isinstance(given, Iterable):
        raise InvalidAttachment("attachments is a list: attachments=[notify.Attachment(name, content)]")
    files = tuple(given)
    for file in files:
        _require_usable(file)
    size = sum(len(file.content) for file in files)
    if size > limit:
        raise InvalidAttachment(
            f"attachments of {size:,} bytes are over the limit of {limit:,} (NOTIFY_MAX_ATTACHMENT_BYTES); "
            "send a link instead"
        )
    return files


def _require_usable(file: Attachment) -> None:
    if not isinstance(file, Attachment):
        raise InvalidAttachment(f"attachments are notify.Attachment(name, content), not {type(file).__name__}")
    if _PATH_SIGNS.search(line("an attachment's name", file.name, InvalidAttachment)):
        raise InvalidAttachment(f'attachment {file.name!r}: the name must be a plain file name, without / \\ and "')
    what = f"attachment {file.name!r}"
    if not isinstance(file.content, bytes):
        raise InvalidAttachment(f"{what}: content must be bytes, not {type(file.content).__name__}; encode text first")
    if not isinstance(file.content_type, str) or not CONTENT_TYPE.fullmatch(file.content_type):
        raise InvalidAttachment(f"{what}: {file.content_type!r:.60} is no content type like 'text/csv'")
    if file.inline is not None and not (isinstance(file.inline, str) and CONTENT_ID.fullmatch(file.inline)):
        raise InvalidAttachment(f"{what}: inline must be a content id like 'logo', not {file.inline!r:.60}")
