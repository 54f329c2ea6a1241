"""A message's own return path: it names the message, and nobody else can make one (variable envelope return path)."""

from __future__ import annotations

import re
from functools import lru_cache
from uuid import UUID

from notify import signing
from notify.model import fold
from notify.settings import Settings
from notify.settings.rules import TOKEN, TOKEN_LENGTH

_PURPOSE = b"return path"
_TOKEN = re.compile(rf"(?<![a-z0-9])[a-z2-7]{{{TOKEN_LENGTH}}}(?![a-z0-9])")


class ForgedToken(ValueError):
    """The address has the form of a return path of ours, and no secret of ours made it."""


def is_signed(settings: Settings) -> bool:
    """Whether each message has a return path of its own."""
    return bool(_split(settings.bounce_address)[1])


def return_path(settings: Settings, message_id: UUID) -> str:
    """Where bounces of this message go. The same message, the same address, on every try."""
    before, mark, after = _split(settings.bounce_address)
    if not mark:
        return before
    return f"{before}{signing.seal(settings.secrets[0], _PURPOSE, message_id.bytes)}{after}"


def message_of(settings: Settings, address: str) -> UUID | None:
    """The message that an address names; None where it is no return path with a token. Raises `ForgedToken`.

    Its case may have been lost on the way (RFC 5321 §2.4 forbids it, and it happens).
    """
    folded = address.lower()
    for found in _TOKEN.finditer(folded.rpartition("@")[0]):
        named = signing.unseal(settings.secrets, _PURPOSE, found[0])
        if named is not None:
            return UUID(bytes=named)
    before, mark, after = _split(settings.bounce_address.lower())
    if mark and folded.startswith(before) and folded.endswith(after) and len(folded) >= len(before) + len(after):
        raise ForgedToken(address)
    return None


def form(written: str) -> str:
    """A regular expression of what comes to an address, folded: with whatever in its token's place, or with any tag.

    A token that is all of a tag (RFC 5233) may be missing.
    """
    local, _, domain = fold(written).rpartition("@")
    before, mark, after = _split(local)
    if mark and not (before.endswith("+") and not after):
        name = rf"{re.escape(before)}[^@\s]*{re.escape(after)}"
    else:
        name = rf"{re.escape(before.partition('+')[0])}(?:\+[^@\s]*)?"
    return f"{name}@{re.escape(domain)}"


@lru_cache(maxsize=16)
def _split(template: str) -> tuple[str, str, str]:
    """What stands before the token, its mark, and what stands behind it; asked for every message."""
    return template.partition(TOKEN)
