"""One process that delivers: its name, the batches in its hands, and one thread that keeps their leases alive."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from notify.app import App
from notify.delivery.lease import Lease
from notify.delivery.route import Routes
from notify.telemetry import emit

RENEWALS = 3  # per term of a lease


class Worker:
    """Names itself in leases. When `stopping` is set, it hands back what it has not begun.

    A lease is renewed as long as its batch makes progress: one whose message takes longer than `stuck_seconds` is left
    to run out, so that another worker goes on with it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.stopping = threading.Event()
        self._others = 0  # batches under way that are not having their last try
        self._alone = False
        self._room = threading.Condition()
        self._held: dict[Lease, App] = {}
        self._lock = threading.Lock()
        self._keeper: threading.Thread | None = None
        self._routes: Routes | None = None

    def routes(self, app: App) -> Routes:
        """What this process knows of the App's providers, kept from batch to batch."""
        with self._lock:
            if self._routes is None or self._routes.app is not app:
                self._routes = Routes(app)
            return self._routes

    @contextmanager
    def among_others(self) -> Iterator[None]:
        """Deliver a batch beside others. Waits while one has its last try: it might take the process down with it."""
        with self._room:
            self._room.wait_for(lambda: not self._alone)
            self._others += 1
        try:
            yield
        finally:
            with self._room:
                self._others -= 1
                self._room.notify_all()

    @contextmanager
    def alone(self, patience: float) -> Iterator[bool]:
        """Deliver a batch while no other is under way in this process; False when that cannot be in so many seconds."""
        with self._room:
            mine = self._room.wait_for(lambda: not self._alone, patience)
            if mine:
                self._alone = True
                mine = self._room.wait_for(lambda: not self._others, patience)
                self._alone = mine
                self._room.notify_all()
        try:
            yield mine
        finally:
            if mine:
                with self._room:
                    self._alone = False
                    self._room.notify_all()

    @contextmanager
    def holding(self, app: App, lease: Lease) -> Iterator[None]:
        """Keep this lease alive until the block ends."""
        with self._lock:
            self._held[lease] = app
            if self._keeper is None:
                self._keeper = threading.Thread(target=self._keep, name="leases", daemon=True)
                self._keeper.start()
        try:
            yield
        finally:
            with self._lock:
                del self._held[lease]

    def stuck(self) -> list[Lease]:
        """The leases in hand whose present message takes too long."""
        now = time.monotonic()
        return [lease for lease, app in self._in_hand() if now - lease.moved_at > app.settings.stuck_seconds]

    def _in_hand(self) -> list[tuple[Lease, App]]:
        with self._lock:
            return list(self._held.items())

    def _keep(self) -> None:
        """Renew until nothing is in hand any more; the next batch starts another thread."""
        while True:
            term = min((app.settings.lease_seconds for _, app in self._in_hand()), default=0.0)
            time.sleep(term / RENEWALS)
            with self._lock:
                if not self._held:
                    self._keeper = None
                    return
            stuck = self.stuck()
            for lease, app in self._in_hand():
                if lease not in stuck:
                    _renew(app, lease)


def _renew(app: App, lease: Lease) -> None:
    try:
        lease.renew(app)
    except Exception as error:  # the lease runs on by the clock; past it, held() says no. The others need this thread
        emit("lease.unrenewed", batch=lease.batch.id, error=str(error))
