"""What is left of a suppressed address when its person was erased: enough to know it again, and nothing to read.

A tombstone is `hmac:` and the HMAC-SHA256 of channel and folded address, in hex, under a key that is derived from
`NOTIFY_SECRET_KEY` and serves nothing else. Those made under an old secret are known again for as long as
`NOTIFY_OLD_SECRET_KEYS` names it.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from functools import lru_cache

from notify.model import Channel

PREFIX = "hmac:"
_PURPOSE = b"notify suppression tombstone 1"
_WRITTEN = re.compile(r"hmac:[0-9a-f]{64}")


def of(secret: str, channel: Channel, folded: str) -> str:
    """The tombstone of a folded address."""
    made = _keyed(secret).copy()  # a third quicker than a new one
    made.update(f"{channel}\0{folded}".encode())
    return PREFIX + made.hexdigest()


def all_of(secrets: Sequence[str], channel: Channel, folded: str) -> list[str]:
    """Every tombstone that an address may have; `secrets` are the present one and those before it."""
    return [of(secret, channel, folded) for secret in secrets]


def is_one(address: str) -> bool:
    """Whether this stands in the place of an address. No address of any channel looks like it."""
    return _WRITTEN.fullmatch(address) is not None


@lru_cache(maxsize=16)
def _keyed(secret: str) -> hmac.HMAC:
    return hmac.new(hmac.digest(secret.encode(), _PURPOSE, "sha256"), digestmod="sha256")
