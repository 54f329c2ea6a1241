"""How each kind of broker is spoken to: options of a line to it, and what is said when nobody hears."""

from __future__ import annotations

from typing import Any

from kombu.transport import TRANSPORT_ALIASES

TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), "notify.broker.redis_queue:Transport"))

REDIS_TRANSPORT = {
    "visibility_timeout": 300,
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
    "unacked_mutex_expire": 60,
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 10,
    "global_keyprefix": "notify:",
}

AT_ONCE = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
"""A bell that nobody hears must not keep send() waiting: the relay rings again."""

RABBITMQ = frozenset({"amqp", "amqps", "pyamqp"})
RABBITMQ_TRANSPORT = {"confirm_publish": True}


def is_rabbitmq(url: str) -> bool:
    """Whether this URL leads to RabbitMQ."""
    return url.partition("://")[0] in RABBITMQ


def options(url: str) -> dict[str, Any]:
    """What kombu is told of any line to this broker."""
    if not url.startswith("redis"):
        return dict(RABBITMQ_TRANSPORT) if is_rabbitmq(url) else {}
    tcp_only = {"socket_keepalive"} if url.startswith("redis+socket") else set()
    return {name: value for name, value in REDIS_TRANSPORT.items() if name not in tcp_only}
