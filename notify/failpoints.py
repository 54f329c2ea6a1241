"""Places where a test makes a process die, hang or fail at one line. Without NOTIFY_FAILPOINTS they do nothing.

`provider.accepted=kill@37` kills this process when it comes by for the 37th time; `render[user-13]=hang:300` whenever
it renders for that recipient. Several are separated by commas. Production refuses the setting.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

from notify.errors import InvalidSettings, did_you_mean

PLACES = frozenset(
    {
        "plan.committed",  # stored, the bell not yet rung
        "relay.stamped",  # found to be due and stamped, the bell not yet rung
        "relay.published",
        "claim.committed",  # leased, nothing sent yet
        "render",  # about to render for one recipient
        "journal.entered",  # its hand-over begins
        "provider.accepted",  # the provider took it, nobody has noted that
        "message.passed_on",  # one provider refused it, which is written down, and the next was not asked yet
        "settle.begun",
        "settle.committed",  # the journal is not yet deleted
        "mailbox.taken",  # what mails say is stored, they are not marked or moved yet
    }
)


def _memory(_: float) -> None:
    raise MemoryError("a failpoint")


ACTIONS: Mapping[str, Callable[[float], None]] = MappingProxyType(
    {
        "kill": lambda _: os.kill(os.getpid(), signal.SIGKILL),
        "abort": lambda _: os.abort(),
        "stop": lambda _: os.kill(os.getpid(), signal.SIGSTOP),
        "hang": time.sleep,
        "memory": _memory,
    }
)
_FORM = re.compile(
    r"(?P<place>[\w.]+)(?:\[(?P<subject>[^\]]+)\])?=(?P<action>\w+)(?::(?P<seconds>\d+(?:\.\d+)?))?(?:@(?P<nth>[1-9]\d*))?"
)

_armed: dict[str, list[Callable[[str], None]]] = {}


def arm(text: str | None) -> None:
    """Put this process's failpoints in place of those before. Raises `InvalidSettings`."""
    armed: dict[str, list[Callable[[str], None]]] = {}
    for part in filter(None, (piece.strip() for piece in (text or "").split(","))):
        found = _FORM.fullmatch(part)
        if found is None or found["place"] not in PLACES or found["action"] not in ACTIONS:
            word = found["place"] if found and found["place"] not in PLACES else part
            near = did_you_mean(word, PLACES)
            raise InvalidSettings(f"NOTIFY_FAILPOINTS: cannot read {part!r}{near}; write it like settle.begun=kill@3")
        armed.setdefault(found["place"], []).append(
            _point(found["subject"], ACTIONS[found["action"]], float(found["seconds"] or 0), int(found["nth"] or 0))
        )
    _armed.clear()
    _armed.update(armed)


def reach(place: str, subject: str = "") -> None:
    """The process comes by this place. `subject` is whom it is about, where a failpoint can name one."""
    if _armed:
        for act in _armed.get(place, ()):
            act(subject)


def _point(subject: str | None, action: Callable[[float], None], seconds: float, nth: int) -> Callable[[str], None]:
    passed = itertools.count(1)  # its next() is atomic

    def act(at: str) -> None:
        if subject in (None, at) and nth in (0, next(passed)):
            action(seconds)

    return act
