"""A line to the broker: nothing on it waits for ever, and each failure says what to do, without the password.

`Unreachable` is what time may mend, `InvalidSettings` what it will not.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from amqp.exceptions import MessageNacked
from kombu import Connection
from kombu.exceptions import KombuError

from notify.broker.instance import declared
from notify.broker.transport import AT_ONCE, is_rabbitmq, options
from notify.errors import InvalidSettings, Unreachable
from notify.settings import Settings

ANSWER_SECONDS = 10  # no single answer is waited for any longer
PROBE_SECONDS = 3
ACCESS_REFUSED, PRECONDITION_FAILED, NOT_ALLOWED = 403, 406, 530  # AMQP 0-9-1 §1.1


def reach(settings: Settings) -> None:
    """Ask the broker for a sign of life. `Unreachable` after seconds without one, `InvalidSettings` when it refuses."""
    with _asking(settings) as connection:
        connection.default_channel  # noqa: B018 - it is opened when it is asked for


def declare(settings: Settings) -> None:
    """See to it that RabbitMQ has every queue; Redis needs none. Raises what `reach` raises.

    `InvalidSettings` is for what no waiting would mend: a refused user, or a queue that is there as another kind.
    """
    if is_rabbitmq(settings.broker):
        with _asking(settings) as connection:
            for queue in declared(settings.broker).values():
                queue(connection.default_channel).declare()


def send_again(settings: Settings, payload: str) -> bool:
    """Publish a task as it was when it could not run; False when its payload was cut off. Raises what `reach` raises.

    `payload` is the JSON text of an object with `queue`, `headers`, `properties`, `content_type`, `content_encoding`
    and `body`, in base64.
    """
    task = json.loads(payload)
    if task.get("cut"):
        return False
    with _asking(settings) as connection, connection.Producer() as producer:
        producer.publish(
            base64.b64decode(task["body"]),
            exchange="",
            routing_key=task["queue"],
            headers=task["headers"],
            content_type=task["content_type"],
            content_encoding=task["content_encoding"],
            **task["properties"],
        )
    return True


@contextmanager
def _asking(settings: Settings) -> Iterator[Connection]:
    bounds = () if is_rabbitmq(settings.broker) else ("socket_timeout", "socket_connect_timeout")
    with line(settings.broker, **dict.fromkeys(bounds, PROBE_SECONDS)) as connection:
        connection.connect_timeout = PROBE_SECONDS
        try:
            yield connection
        except failures(connection) as error:
            for_good = _code(error) in (ACCESS_REFUSED, PRECONDITION_FAILED, NOT_ALLOWED)
            raise (InvalidSettings if for_good else Unreachable)(complaint(connection, error)) from error


def line(url: str, **bounds: float) -> Connection:
    """A line to write to and not to listen on, not opened yet. Raises `InvalidSettings` when none could lead there."""
    bounded = {"on_open": _bound_every_wait} if is_rabbitmq(url) else {"socket_timeout": ANSWER_SECONDS}
    try:
        connection = Connection(url, transport_options={**options(url), **AT_ONCE, **bounded, **bounds})
        connection.get_transport_cls()
    except (LookupError, ImportError, ValueError, TypeError):  # their texts may repeat a password
        raise InvalidSettings(
            f"NOTIFY_BROKER_URL: no broker is known for {url.partition('://')[0]}://, its library is not installed, "
            "or an option behind '?' is wrong\n"
            "Next: write it like redis://:password@host:6379/0 or amqp://user:password@host//"
        ) from None
    return connection


def _bound_every_wait(opened: Any) -> None:
    opened.sock.settimeout(ANSWER_SECONDS)


def failures(connection: Connection) -> tuple[type[BaseException], ...]:
    """What may be raised where something is written to this line."""
    return (*connection.connection_errors, *connection.channel_errors, KombuError, MessageNacked, OSError)


def _code(error: BaseException) -> int | None:
    return getattr(error, "code", None)


def complaint(connection: Connection, error: BaseException) -> str:
    """Which broker failed, how, and what to do next."""
    broker = connection.as_uri()
    if _code(error) == PRECONDITION_FAILED:
        return (
            f"The broker {broker} has a queue that is no quorum queue as notify wants it: {error}\n"
            "Next: stop the workers and delete it (rabbitmqctl delete_queue NAME), or give notify a virtual host of "
            "its own. Nothing is lost: the relay rings again."
        )
    if isinstance(error, MessageNacked):
        return (
            f"The broker {broker} took no bell: its queue refuses what is published.\n"
            "Next: ask it why (rabbitmqctl list_queues name state policy): a queue without a leader, or a policy that "
            "limits its length. Nothing is lost: the relay rings again."
        )
    if _code(error) in (ACCESS_REFUSED, NOT_ALLOWED):
        return (
            f"The broker {broker} refuses this user: {error}\n"
            "Next: check user, password and virtual host in NOTIFY_BROKER_URL, and the user's permissions there."
        )
    return (
        f"The broker {broker} does not answer: {error}\n"
        "Next: check that it runs and that NOTIFY_BROKER_URL is right (notify config)."
    )
