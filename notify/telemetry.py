"""The only way anything is announced: `emit(event, **facts)`. Logs, metrics and traces subscribe to it.

Facts are ids, counts, states and reasons. Addresses and bodies have no place here; should one slip into a
text, the scrubber takes it out before any subscriber sees it.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any
from uuid import UUID

import sentry_sdk
import structlog
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.utils import BadDsn
from structlog.contextvars import bound_contextvars, get_contextvars

from notify.errors import InvalidSettings
from notify.settings import LogFormat, Settings, redact

Facts = Mapping[str, Any]
Subscriber = Callable[[str, Facts], None]

EVENTS: Mapping[str, int] = MappingProxyType(
    {
        "notification.planned": logging.INFO,
        "notification.repeated": logging.INFO,
        "notification.cancelled": logging.INFO,
        "fan_out.planned": logging.INFO,
        "fan_out.stuck": logging.WARNING,
        "batch.published": logging.DEBUG,
        "batch.unpublished": logging.WARNING,
        "batch.claimed": logging.DEBUG,
        "batch.recovered": logging.WARNING,
        "batch.settled": logging.INFO,
        "batch.lost": logging.WARNING,
        "lease.unrenewed": logging.WARNING,
        "limits.local": logging.WARNING,
        "batch.halved": logging.WARNING,
        "batch.handed_back": logging.WARNING,
        "batch.put_off": logging.DEBUG,
        "message.sent": logging.DEBUG,
        "message.skipped": logging.INFO,
        "message.deferred": logging.WARNING,
        "message.in_doubt": logging.WARNING,
        "message.dead": logging.ERROR,
        "dry_run.unwritable": logging.ERROR,
        "breaker.opened": logging.WARNING,
        "breaker.closed": logging.INFO,
        "provider.throttled": logging.WARNING,
        "provider.paused": logging.ERROR,
        "provider.resumed": logging.INFO,
        "alert.fired": logging.WARNING,
        "alert.cleared": logging.INFO,
        "alert.untold": logging.WARNING,
        "replay.begun": logging.INFO,
        "replay.done": logging.INFO,
        "replay.stuck": logging.WARNING,
        "dead_letters.discarded": logging.INFO,
        "doubt.settled": logging.INFO,
        "task.buried": logging.ERROR,
        "task.unburied": logging.ERROR,
        "recipients.imported": logging.INFO,
        "recipient.unsubscribed": logging.INFO,
        "recipient.unsubscribe_undone": logging.INFO,
        "preferences.changed": logging.INFO,
        "consent.changed": logging.INFO,
        "address.verified": logging.INFO,
        "web.failed": logging.ERROR,
        "web.link_not_sent": logging.WARNING,
        "retention.deleted": logging.INFO,
        "recipient.erased": logging.INFO,
        "suppression.added": logging.INFO,
        "suppression.removed": logging.INFO,
        "suppressions.imported": logging.INFO,
        "feedback.recorded": logging.INFO,
        "feedback.followed": logging.INFO,
        "feedback.failed": logging.ERROR,
        "mail.unmatched": logging.WARNING,
        "mail.rejected": logging.WARNING,
        "mail.failed": logging.ERROR,
        "mail.resolved": logging.INFO,
        "guard.held": logging.ERROR,
        "guard.ended": logging.INFO,
        "guard.failed": logging.ERROR,
        "hook.refused": logging.WARNING,
        "hook.confirmed": logging.INFO,
        "hook.rejected": logging.WARNING,
        "hook.failed": logging.ERROR,
        "mailbox.read": logging.INFO,
        "mailbox.failed": logging.WARNING,
        "mailbox.mail_unread": logging.WARNING,
        "mailbox.begun_anew": logging.WARNING,
        "mailbox.token_unkept": logging.ERROR,
        "listener.started": logging.INFO,
        "listener.refused": logging.WARNING,
        "listener.tls_failed": logging.INFO,
        "listener.stopped": logging.INFO,
        "listener.certificate_unread": logging.ERROR,
        "tracking.delayed": logging.WARNING,
        "tracking.failed": logging.ERROR,
        "tracking.lost": logging.WARNING,
        "kind.invalid": logging.WARNING,
        "worker.started": logging.INFO,
        "worker.recycled": logging.WARNING,
        "worker.stopped": logging.INFO,
        "worker.cut_short": logging.WARNING,
        "heartbeat.failed": logging.WARNING,
    }
)
"""Every event there is, with the level its log line has. `docs/reference/events.md` tells what each means."""

_LOGGER = logging.getLogger("notify")  # to ask for it takes a lock that all threads share
_ADDRESS = re.compile(r"[^\s<>\"'=:;,()\[\]]+(?:@|%40)[^\s<>\"';,()\[\]]+")
_PHONE = re.compile(r"(?<![\w+])\+[1-9]\d{6,14}(?!\w)")  # ITU-T E.164


def scrub(text: str) -> str:
    """`text` without e-mail addresses, phone numbers and credentials in URLs."""
    clean = _ADDRESS.sub("[address]", redact(text))
    return _PHONE.sub("[number]", clean) if "+" in clean else clean


def heard(event: str) -> bool:
    """Whether anybody listens for this event: what is emitted for each message may cost nothing unless so."""
    return len(_subscribers) > 1 or _LOGGER.isEnabledFor(EVENTS[event])


def emit(event: str, **facts: Any) -> None:
    """Announce `event` with its facts, joined by the ids bound with `bind()`. Unknown events are a bug: KeyError."""
    level = EVENTS[event]
    clean = scrub_tree({**get_contextvars(), **facts})
    for subscriber in _subscribers:
        subscriber(event, {**clean, "level": level})


@contextmanager
def bind(**ids: Any) -> Iterator[None]:
    """Join these ids to every event emitted inside the block: `with bind(batch=batch.id): …`."""
    with bound_contextvars(**{name: str(value) for name, value in ids.items()}):
        yield


@contextmanager
def subscribed(subscriber: Subscriber) -> Iterator[None]:
    """Hear every event inside the block, too."""
    _subscribers.append(subscriber)
    try:
        yield
    finally:
        _subscribers.remove(subscriber)


def _log(event: str, facts: Facts) -> None:
    shown = {name: value for name, value in facts.items() if name != "level"}
    _LOGGER.log(facts["level"], event, extra={"facts": shown})


_subscribers: list[Subscriber] = [_log]


def start(settings: Settings) -> None:
    """Write log lines to standard error, and errors to Sentry when a DSN is given.

    For processes of notify's own (workers, web, command line). Inside an application notify only logs to the
    standard library's logger `notify`, and leaves the handlers alone. Raises `InvalidSettings` for a DSN that is none.
    """
    lines: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _join_facts,
        structlog.processors.format_exc_info,
        _scrub_line,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer(default=str)
        if settings.log_format is LogFormat.JSON
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=lines, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    # at INFO: which dialect was found, each line of an SMTP or IMAP conversation, each URL with its secrets
    for chatty in ("alembic", "mail.log", "imapclient", "httpx2", "httpcore2"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    if settings.sentry_dsn:
        _report_errors(settings.sentry_dsn.get_secret_value(), settings.env)


def _report_errors(dsn: str, environment: str) -> None:
    try:
        sentry_sdk.init(
            dsn=dsn,
            environment=environment,
            include_local_variables=False,
            max_request_body_size="never",
            before_send=_scrub_event,
            before_breadcrumb=lambda crumb, _hint: scrub_tree(crumb),
            integrations=[LoggingIntegration(event_level=None)],  # else each dead letter's line were an event
        )
    except (BadDsn, ValueError):  # their texts may repeat the key
        raise InvalidSettings(
            "NOTIFY_SENTRY_DSN: is no DSN\nNext: copy it from the project's settings: https://key@host/1; or unset it."
        ) from None


def _join_facts(_logger: Any, _method: str, line: dict[str, Any]) -> dict[str, Any]:
    record = line.get("_record")
    return {**line, **getattr(record, "facts", {})}


def _scrub_line(_logger: Any, _method: str, line: dict[str, Any]) -> dict[str, Any]:
    return {name: scrub(value) if isinstance(value, str) else value for name, value in line.items()}


def scrub_tree(value: Any) -> Any:
    """Scrub every text in a tree of dicts and lists; ids become text."""
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, dict):
        return {name: scrub_tree(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [scrub_tree(item) for item in value]
    return value


def _scrub_event(event: Any, _hint: Any) -> Any:
    return scrub_tree(event)
