"""Tasks that cannot even run are told from those that can before they begin, and written down whole as dead letters."""

from __future__ import annotations

import base64
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from kombu.message import Message

from notify.app import App
from notify.broker import DELIVER
from notify.model import Death, ErrorClass
from notify.model.text import storable
from notify.store import dead_letters
from notify.store.tenants import DEFAULT_ID
from notify.telemetry import emit

LONGEST = 64 * 1024  # characters of a payload; a body beyond that is cut off, and cannot be sent again
KEPT_PROPERTIES = ("correlation_id", "reply_to", "delivery_mode")


@dataclass(frozen=True, slots=True)
class Complaint:
    """Why a task cannot run: a word for machines, and a sentence."""

    reason: str
    detail: str


def complaint(tasks: Mapping[str, Any], message: Message) -> Complaint | None:
    """What keeps this message's task from being called; None when nothing does, or when Celery itself will say so.

    Raises whatever a body raises that cannot be decoded.
    """
    name = message.headers.get("task")
    if name is None or name not in tasks:
        return None
    payload = message.payload
    given = (payload.get("args"), payload.get("kwargs")) if isinstance(payload, dict) else tuple(payload)[:2]
    try:
        args, kwargs = given
        _signature(tasks[name].run).bind(*args, **kwargs)
        if name == DELIVER:
            UUID(*args, **kwargs)
    except (TypeError, ValueError, AttributeError) as error:
        return Complaint("wrong_arguments", f"{name}: {error}")
    return None


@cache
def _signature(run: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(run)


def bury(app: App, message: Message, complaint: Complaint) -> bool:
    """Write a dead letter; False when it cannot be written, for whatever reason: the broker has to keep the message."""
    queue = storable(str(message.delivery_info.get("routing_key") or ""))
    try:
        death = Death(
            tenant_id=DEFAULT_ID,
            message_id=None,
            error=ErrorClass.TASK,
            reason=complaint.reason,
            detail=storable(f"{complaint.detail} (queue {queue})"),
            at=app.clock.now(),
            payload=_payload(message, queue),
        )
        with app.store.begin() as connection:
            dead_letters.bury(connection, [death])
    except Exception as error:  # any that got out would end the worker, and the next one, to which the message returns
        emit("task.unburied", reason=complaint.reason, queue=queue, error=storable(str(error)))
        return False
    emit("task.buried", reason=complaint.reason, queue=queue)
    return True


def _payload(message: Message, queue: str) -> str:
    body = message.body.encode("utf-8", "replace") if isinstance(message.body, str) else bytes(message.body or b"")
    encoded = base64.b64encode(body).decode()
    task = {
        "queue": queue,
        "headers": message.headers,
        "properties": {name: message.properties[name] for name in KEPT_PROPERTIES if name in message.properties},
        "content_type": message.content_type,
        "content_encoding": message.content_encoding,
        "body": encoded,
    }
    written = json.dumps(task, default=str)
    if len(written) <= LONGEST:
        return written
    room = LONGEST // 4 * 3 - len(written) + len(encoded)
    shorter = {**task, "body": base64.b64encode(body[: max(0, room)]).decode(), "cut": True}
    written = json.dumps(shorter, default=str)
    return written if len(written) <= LONGEST else json.dumps({"queue": queue, "cut": True})
