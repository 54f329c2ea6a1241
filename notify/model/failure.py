"""What operators deal with: dead letters, what is sought among them, their replay, and pauses of providers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from notify.model.kind import Channel


class ErrorClass(StrEnum):
    """What a message or a task died of."""

    TRANSIENT = "transient"  # out of attempts
    REJECTED = "rejected"  # refused for good
    UNCERTAIN = "uncertain"  # out of attempts, and it may have been accepted
    UNRENDERABLE = "unrenderable"
    EXPIRED = "expired"  # its deadline was over
    POISON = "poison"  # its workers did not survive it
    TASK = "task"  # no message: a task that could not even run


class ReplayState(StrEnum):
    """Where a bulk replay of dead letters stands."""

    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Pause:
    """A provider that is passed over. `digest` is that of its URL at the time; empty: an operator paused it."""

    name: str
    digest: str
    reason: str
    response: str | None
    actor: str
    paused_at: datetime


@dataclass(frozen=True, slots=True)
class Death:
    """Why a message, or a task that could not run, was given up. `payload` is that of a task, as JSON."""

    tenant_id: UUID
    message_id: UUID | None
    error: ErrorClass
    reason: str
    detail: str | None
    at: datetime
    kind: str | None = None
    channel: Channel | None = None
    provider: str | None = None
    payload: str | None = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A death as it is stored. Those of one `fingerprint` have the same cause."""

    id: UUID
    fingerprint: str
    death: Death
    notification_id: UUID | None = None
    recipient: str | None = None
    address: str | None = None
    kept: bool = False
    """Whether the mail that was rendered last is kept, so that it can be sent as it was."""

    @property
    def shown_id(self) -> UUID:
        """The id by which operators name it: the message's, where there is one."""
        return self.death.message_id or self.id

    def as_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        death = self.death
        return {
            "id": str(self.shown_id),
            "message": str(death.message_id) if death.message_id else None,
            "notification": str(self.notification_id) if self.notification_id else None,
            "kind": death.kind,
            "channel": death.channel,
            "recipient": self.recipient,
            "address": self.address,
            "provider": death.provider,
            "error": death.error,
            "reason": death.reason,
            "detail": death.detail,
            "fingerprint": self.fingerprint,
            "died_at": death.at.isoformat(),
            "kept_mail": self.kept,
            "payload": death.payload,
        }


@dataclass(frozen=True, slots=True)
class KeptMail:
    """The mail of a message that died after it was rendered: the octets that were handed over."""

    message_id: UUID
    tenant_id: UUID
    sender: str
    subject: str
    template_version: str
    rendered_at: datetime
    content: bytes


@dataclass(frozen=True, slots=True)
class Filter:
    """Which messages or dead letters are meant: those for which everything that is given holds."""

    ids: tuple[UUID, ...] = ()
    kind: str | None = None
    channel: Channel | None = None
    error: ErrorClass | None = None
    reason: str | None = None
    provider: str | None = None
    notification_id: UUID | None = None
    fingerprint: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__dataclass_fields__)

    def as_json(self) -> dict[str, Any]:
        """What is given, as JSON values."""
        given = {name: value for name in self.__dataclass_fields__ if (value := getattr(self, name))}
        return {name: [str(one) for one in value] if name == "ids" else _text(value) for name, value in given.items()}

    @classmethod
    def of_json(cls, given: Mapping[str, Any]) -> Self:
        """The filter that `as_json` wrote."""
        readers: dict[str, Callable[[Any], Any]] = {
            "ids": lambda ids: tuple(map(UUID, ids)),
            "channel": Channel,
            "error": ErrorClass,
            "notification_id": UUID,
            "since": datetime.fromisoformat,
            "until": datetime.fromisoformat,
        }
        return cls(**{name: readers.get(name, str)(value) for name, value in given.items()})


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


@dataclass(frozen=True, slots=True)
class Replay:
    """A bulk replay: the dead letters of `filter` that were there when it began, in the order of their ids.

    All up to `cursor` are worked off, none behind `up_to` is meant. `passed_over` counts by reason.
    """

    id: UUID
    tenant_id: UUID
    actor: str
    filter: Filter
    as_was: bool
    possibly_sent: bool
    state: ReplayState
    cursor: UUID
    up_to: UUID
    total: int
    replayed: int
    passed_over: Mapping[str, int]
    created_at: datetime
    updated_at: datetime

    def as_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            "id": str(self.id),
            "state": self.state,
            "actor": self.actor,
            "filter": self.filter.as_json(),
            "as_was": self.as_was,
            "possibly_sent": self.possibly_sent,
            "total": self.total,
            "replayed": self.replayed,
            "passed_over": dict(self.passed_over),
            "created_at": self.created_at.isoformat(),
            "updated_at": self.updated_at.isoformat(),
        }
