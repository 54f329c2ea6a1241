"""What stands in a Redis list and is no message reaches the worker all the same: as one that cannot be decoded.

Anything that writes to the same Redis can put octets into a queue. kombu takes an entry off its list before it parses
it: what does not parse would be gone, and the worker with it.
"""

from __future__ import annotations

import base64
import functools
import json
import uuid
from typing import Any

from kombu.transport import redis
from redis.connection import Connection

PRIORITY = redis.Channel.sep.encode()
"""What parts a queue's name from the priority of one of its lists."""
GARBAGE = "application/octet-stream"
"""The content type of what was no message: nothing that a worker accepts."""


class _Client(redis.PrefixedStrictRedis):
    """kombu's, which looks at what it takes off a list."""

    def parse_response(self, connection: Connection, command_name: str, **options: Any) -> Any:
        answer = super().parse_response(connection, command_name, **options)
        if command_name != "BRPOP" or not answer:
            return answer
        queue, entry = answer
        return queue, entry if _is_message(entry) else _wrapped(queue, entry)


class Channel(redis.Channel):
    """kombu's, with the client above."""

    def _get_client(self) -> Any:
        return functools.partial(_Client, global_keyprefix=self.global_keyprefix)


class Transport(redis.Transport):
    """kombu's, with the channel above."""

    Channel = Channel


def _is_message(entry: bytes) -> bool:
    """Whether kombu can make a message of it."""
    try:
        said = json.loads(entry)
        body, properties = said["body"], said["properties"]
        if properties.get("body_encoding") == "base64":
            base64.b64decode(body, validate=True)
        elif properties.get("body_encoding") not in (None, "utf-8"):
            return False
        return (
            isinstance(body, str)
            and isinstance(properties["delivery_tag"], str)
            and isinstance(properties["delivery_info"], dict)
            and isinstance(said["headers"], dict)
            and not said["headers"].get("compression")  # we compress nothing
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return False


def _wrapped(queue: bytes, entry: bytes) -> bytes:
    """The octets as the body of a message, as kombu would have written it."""
    name = queue.partition(PRIORITY)[0].decode()
    properties = {
        "delivery_tag": str(uuid.uuid4()),
        "delivery_info": {"exchange": "", "routing_key": name},
        "delivery_mode": 2,
        "body_encoding": "base64",
    }
    body = base64.b64encode(entry).decode()
    message = {"body": body, "content-type": GARBAGE, "content-encoding": "binary", "headers": {}}
    return json.dumps({**message, "properties": properties}).encode()
