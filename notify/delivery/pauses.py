"""Providers left alone until an operator resumes them, or their URL changes; every process knows within a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from types import MappingProxyType

from notify.app import App
from notify.channels import Configured
from notify.errors import Misconfigured
from notify.model import Pause
from notify.store import audit, batches, provider_pauses
from notify.store.tenants import DEFAULT_ID
from notify.telemetry import emit

KNOWN_SECONDS = 1.0
WORKER = "worker"
PAUSED = "provider_paused"
"""The reason of a batch whose providers are paused."""


def pause(app: App, name: str, *, actor: str, reason: str) -> bool:
    """An operator has this provider passed over, whatever becomes of its URL; False when one did so before.

    Raises `InvalidProvider` for a name that no provider has.
    """
    app.channels.named(name)
    now = app.clock.now()
    with app.store.begin() as connection:
        made = provider_pauses.add(connection, Pause(name, "", reason, None, actor, now))
        if made:
            detail = {"reason": reason}
            audit.write(
                connection, DEFAULT_ID, actor=actor, action="provider.paused", subject=name, detail=detail, at=now
            )
    if made:
        emit("provider.paused", provider=name, reason=reason, actor=actor)
    return made


def resume(app: App, name: str, *, actor: str) -> bool:
    """An operator lets this provider be used again; False when it was not paused.

    Batches that wait for it are due now. Raises `InvalidProvider` for a name that neither a provider nor a pause has.
    """
    now = app.clock.now()
    with app.store.begin() as connection:
        known = provider_pauses.find(connection, name)
        if known is None:
            app.channels.named(name)
            return False
        provider_pauses.remove(connection, name)
        batches.bring_forward(connection, PAUSED, now)
        detail = {"reason": known.reason, "since": known.paused_at.isoformat()}
        audit.write(connection, DEFAULT_ID, actor=actor, action="provider.resumed", subject=name, detail=detail, at=now)
    emit("provider.resumed", provider=name, cause="operator", actor=actor)
    return True


def pause_misconfigured(app: App, provider: Configured, error: Misconfigured) -> None:
    """It refuses credentials or sender: nobody asks it again before that is mended. Announced once."""
    told = Pause(provider.name, provider.digest, error.reason, error.response or None, WORKER, app.clock.now())
    with app.store.begin() as connection:
        made = provider_pauses.add(connection, told)
    if made:
        emit("provider.paused", provider=provider.name, reason=error.reason, response=error.response, actor=WORKER)


def in_force(app: App) -> list[Pause]:
    """The pauses that hold for the providers as they are configured here. One whose URL has changed since is ended."""
    with app.store.read() as connection:
        found = provider_pauses.listing(connection)
    ours = app.channels.every()
    void = [one for one in found if one.name in ours and one.digest not in ("", ours[one.name].digest)]
    for one in void:
        with app.store.begin() as connection:
            ended = provider_pauses.remove(connection, one.name, one.digest)
            if ended:
                batches.bring_forward(connection, PAUSED, app.clock.now())
        if ended:
            emit("provider.resumed", provider=one.name, cause="setting changed")
    return [one for one in found if one not in void]


class Pauses:
    """The pauses that hold for the providers as they are configured here; what one process knows."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._known: Mapping[str, Pause] = MappingProxyType({})
        self._until = 0.0

    def in_force(self) -> Mapping[str, Pause]:
        """By name, as they were a second ago at most. One whose URL has changed since is ended."""
        with self._lock:
            if time.monotonic() < self._until:
                return self._known
        known = MappingProxyType({one.name: one for one in in_force(self._app)})
        with self._lock:
            self._known, self._until = known, time.monotonic() + KNOWN_SECONDS
        return known

    def forget(self) -> None:
        """Look again at once: this process has just paused one."""
        with self._lock:
            self._until = 0.0
