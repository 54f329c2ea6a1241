"""The public face: what `import notify` offers, on this process's App."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, overload
from uuid import UUID

from notify import app as apps
from notify.app import App
from notify.audience import Everyone, Segment
from notify.audience.description import To
from notify.errors import NotFound
from notify.intake import cancelling, explanation, forecasting, planning, previews
from notify.intake.explanation import Explanation
from notify.intake.forecasting import Forecast
from notify.intake.previews import Preview
from notify.intake.request import Request
from notify.model import APPLICATION, Attachment, Local, Notification
from notify.settings import Settings, load
from notify.store.text import line

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def send(
    kind: str,
    to: To,
    data: Mapping[str, Any] | None = None,
    *,
    channels: Sequence[str] | None = None,
    key: str | None = None,
    at: datetime | Local | None = None,
    delay: timedelta | str | None = None,
    expires: timedelta | datetime | None = None,
    tenant: str | None = None,
    attachments: Sequence[Attachment] = (),
    session: Session | None = None,
    mode: str = "live",
    cancellation_key: str | None = None,
) -> Notification:
    """Notify one recipient. When this returns, the notification is stored and will reach a final state.

    `kind` names a folder of templates; `to` is the key of a known recipient, or a mapping that describes one
    (`{"key": "user-43", "email": "grace@example.org", "locale": "nl"}`); `data` fills the templates.

    `key` is an idempotency key, unique per tenant for ever: the same key with the same request returns the same
    Notification and sends nothing again; with another request it raises `IdempotencyConflict`. Only mode `live` uses
    up a key: a rehearsal neither takes it nor finds it taken. `at` is an aware datetime, or a time by the recipient's
    own clock: `at=notify.local("09:00")`; `delay` is a span from now instead, a timedelta or a text such as "2h".
    `expires` is the deadline, a timedelta counted from `at` (or now) or an aware datetime: what has not gone out by
    then dies as expired. Without it the kind's own `expires` counts. Notifications that share a `cancellation_key` can
    be cancelled together. With `session`, a SQLAlchemy Session on the same database, everything joins its
    transaction: no message for work that was rolled back. `mode` is `live`, `test` (marked, only to
    NOTIFY_TEST_RECIPIENTS) or `dry_run` (written as .eml, not sent).

    Raises a `RequestError` for what the caller can mend, `Unreachable` when the database does not answer. An
    unreachable broker is no error: the message waits in the database.
    """
    return send_many(
        kind,
        [to],
        data,
        channels=channels,
        key=key,
        at=at,
        delay=delay,
        expires=expires,
        tenant=tenant,
        attachments=attachments,
        session=session,
        mode=mode,
        cancellation_key=cancellation_key,
    )


def send_many(
    kind: str,
    to: Iterable[To] | Everyone | Segment,
    data: Mapping[str, Any] | None = None,
    *,
    channels: Sequence[str] | None = None,
    key: str | None = None,
    at: datetime | Local | None = None,
    delay: timedelta | str | None = None,
    expires: timedelta | datetime | None = None,
    tenant: str | None = None,
    attachments: Sequence[Attachment] = (),
    session: Session | None = None,
    mode: str = "live",
    cancellation_key: str | None = None,
) -> Notification:
    """Notify many recipients of the same event, in a handful of statements. Arguments and errors as for `send()`.

    A description may carry `data` of its own, laid over the shared one:
    `{"key": "user-42", "data": {"rows": 3}}`. One that cannot be used refuses the whole call: nothing is stored.

    `to=notify.everyone()` is everyone of the roster, `notify.everyone(tags=["beta"])` those with a tag,
    `notify.segment('attr.country = "NL"')` those in a segment, by its name or an expression. The call then returns at
    once, without messages: workers plan them, a slice at a time, and deliver while they plan.
    """
    if isinstance(to, str | Mapping) or not isinstance(to, Iterable | Everyone | Segment):
        raise TypeError(
            "send_many() takes an iterable of recipients, notify.everyone() or notify.segment(); for one call send()"
        )
    app = apps.current()
    request = Request.checked(
        app,
        kind,
        to,
        data,
        channels=channels,
        key=key,
        at=at,
        tenant=tenant,
        attachments=attachments,
        mode=mode,
        expires=expires,
        delay=delay,
        cancellation_key=cancellation_key,
    )
    return planning.plan(app, request, session)


def preview(
    kind: str,
    to: To | None = None,
    data: Mapping[str, Any] | None = None,
    *,
    locale: str | None = None,
    tenant: str | None = None,
) -> Preview:
    """Render a mail and store nothing. Without `data`, the kind's sample; without `to`, a made-up person."""
    return previews.preview(apps.current(), kind, to, data, locale=locale, tenant=tenant)


@overload
def explain(message_or_kind: UUID | str) -> Explanation: ...


@overload
def explain(
    message_or_kind: str,
    to: To,
    data: Mapping[str, Any] | None = None,
    *,
    channels: Sequence[str] | None = None,
    at: datetime | Local | None = None,
    delay: timedelta | str | None = None,
    expires: timedelta | datetime | None = None,
    tenant: str | None = None,
    mode: str = "live",
) -> Forecast: ...


def explain(
    message_or_kind: UUID | str, to: To | None = None, data: Mapping[str, Any] | None = None, **said: Any
) -> Explanation | Forecast:
    """What happened, or what would: in either case which rule decided it; `print()` it.

    `explain(message_id)` tells what became of a message. Raises `NotFound`.

    `explain("welcome", to="user-42")` tells, channel by channel, what `send()` with the same arguments would come to,
    with every rule that has a say; nothing is stored. Raises the `RequestError`s that `send()` would raise.
    """
    if to is not None:
        return forecasting.forecast(apps.current(), str(message_or_kind), to, data, **said)
    if not isinstance(message_or_kind, UUID | str):
        raise NotFound(f"{message_or_kind!r:.60} is no message id; `notify messages list` shows them")
    if data is not None or said:
        raise TypeError("explain() takes a message's id alone, or a kind with to=…")
    return explanation.explain(apps.current(), message_or_kind)


def cancel(
    id_or_key: UUID | str | None = None,
    *,
    cancellation_key: str | None = None,
    actor: str = APPLICATION,
    tenant: str | None = None,
) -> int:
    """Cancel what no worker has taken yet of a notification, named by id or key; returns how many messages.

    `cancellation_key="order-17"` instead names all notifications that were sent with it: any number, none too. A
    message that a worker is just taking either goes out or is cancelled. Raises `NotFound` for an id or key that nobody
    has. The audit says that `actor` did it.
    """
    app = apps.current()
    if (id_or_key is None) == (cancellation_key is None):
        raise TypeError("cancel() takes an id or a key, or cancellation_key=…")
    if cancellation_key is not None:
        shared = line("cancellation_key", cancellation_key, NotFound)
        return cancelling.cancel_all(app, shared, actor=actor, tenant=tenant)
    named = id_or_key if isinstance(id_or_key, UUID) else line("a notification's id or key", id_or_key, NotFound)
    return cancelling.cancel(app, named, actor=actor, tenant=tenant)


def configure(settings: Settings | None = None, **overrides: Any) -> App:
    """Use these settings in this process: a Settings object, or values over those of environment and `.env`.

    `notify.configure(database_url="postgresql+psycopg://…")`. Raises `InvalidSettings`.
    """
    return apps.configure(settings or load(**overrides))
