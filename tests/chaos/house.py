"""One whole installation out of real processes, with what a scenario does to it and what a check asks of it."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import notify
from notify.app import App, open_app, using
from notify.errors import Unreachable
from notify.settings import Settings, load
from notify.store import Store, open_store, schema
from tests.chaos import evidence
from tests.chaos.checker import Finding, check
from tests.chaos.recovery import Kill
from tests.chaos.services import ROOT, PostgreSQL, Smtp, Valkey
from tests.chaos.shifted import FILE
from tests.chaos.sockets import connections
from tests.chaos.supervisor import Supervisor
from tests.kinds import make_kind
from tests.processes import environment, until
from tests.proxy import Proxy

PORTION = 500  # recipients of one call of send_many()
RETRY_SECONDS = 0.2
LONGEST_STANDSTILL = 100.0  # without a single mail


class House:
    """PostgreSQL or SQLite, Valkey, an SMTP server, workers and beats; made by `Stage.house()`."""

    def __init__(
        self, folder: Path, stack: ExitStack, database: str, through: Iterable[str], values: Mapping[str, Any]
    ) -> None:
        self.folder = folder
        self.finding = Finding()  # once it was checked
        self.kills: list[Kill] = []
        self.outages: list[datetime] = []
        self.acknowledged: dict[UUID, int] = {}
        self.may_die: set[str] = set()
        self.postponed = 0  # acknowledged, and not to arrive before somebody lets the time pass
        self.smtp = Smtp(folder)
        stack.callback(self.smtp.stop)
        self.valkey = Valkey(folder)
        stack.callback(self.valkey.stop)
        self.postgresql = PostgreSQL(folder) if database == "postgresql" else None
        if self.postgresql is not None:
            stack.callback(self.postgresql.stop)
        ports = {"smtp": self.smtp.port, "redis": self.valkey.port}
        if self.postgresql is not None:
            ports["database"] = self.postgresql.port
        self.proxies = {name: stack.enter_context(Proxy(("127.0.0.1", ports[name]))) for name in through}
        ports |= {name: proxy.port for name, proxy in self.proxies.items()}
        self.smtp_port = ports["smtp"]
        direct = self.postgresql.url if self.postgresql else f"sqlite:///{folder / 'notify.db'}"
        self.store: Store = open_store(direct)  # for looking on: never through a proxy
        stack.callback(self.store.close)
        if self.postgresql is None:
            schema.upgrade(self.store)
        self.templates = folder / "templates"
        self.templates.mkdir()
        make_kind(self.templates)
        self.values: dict[str, Any] = {
            "database_url": self.postgresql.through(ports["database"]) if self.postgresql else direct,
            "redis_url": f"redis://127.0.0.1:{ports['redis']}/0",
            "email_providers": "smtp://127.0.0.1:{smtp}?tls=none",
            "data_dir": folder / "data",
            "templates_dir": self.templates,
            "retry_base_seconds": 1.0,
            **values,
        }
        self.values["email_providers"] = self.values["email_providers"].format(smtp=ports["smtp"])
        self.settings: Settings = load(env_file=None, **self.values)
        self.app: App = open_app(self.settings)
        stack.callback(self.app.close)
        stack.enter_context(using(self.app))
        self.supervisor = Supervisor(folder)
        stack.callback(self.supervisor.stop)

    # who works

    def worker(self, name: str, *options: str, first: Mapping[str, str] | None = None, **how: Any) -> None:
        """`notify worker …`; `first` is environment of its first life only. For `how` see `_start`."""
        self._start(name, ["worker", *options], first, **how)

    def beat(self, name: str = "beat", **how: Any) -> None:
        """`notify beat`. For `how` see `_start`."""
        self._start(name, ["beat"], **how)

    def workers_alive(self, *names: str) -> None:
        """Return once these workers' present lives have said that they live."""
        pids = {self.supervisor.pid(name) for name in names}
        until(lambda: pids <= evidence.pids_alive(self.store), 60, f"{', '.join(names)} alive")

    def kill(self, *names: str) -> None:
        """kill -9 of all of these at one moment, having noted what they held."""
        self.stop(*names)
        for name in names:
            self.supervisor.kill(name)

    def stop(self, *names: str) -> None:
        """SIGSTOP of all of these, noting what they hold."""
        for name in names:
            self.supervisor.freeze(name)
        pids = [self.supervisor.pid(name) for name in names]
        in_hand, held = evidence.held_by(self.store, pids)
        # a batch may be held whose last answer has come and whose line is closed: a dead worker cannot tell
        cut = max(in_hand, sum(connections(pid, self.smtp_port) for pid in pids))
        self.kills.append(Kill(datetime.now(UTC), len(names), held, cut))

    def outage(self) -> None:
        """Note that a service goes away now."""
        self.outages.append(datetime.now(UTC))

    # what is sent

    def send(self, count: int, *, key: str, kind: str = "hello", described: bool = True, **more: Any) -> None:
        """Ask for `count` messages, again under the same key until it is acknowledged."""
        people = [f"u{number}" for number in range(count)]
        to = [{"key": one, "email": f"{one}@example.org"} for one in people] if described else people
        while True:
            try:
                sent = notify.send_many(kind, to, key=key, **more)
                break
            except Unreachable:
                time.sleep(RETRY_SECONDS)
        self.acknowledged[sent.id] = count

    @contextmanager
    def feeding(self, total: int, *, ahead: int = 5_000, kind: str = "hello") -> Iterator[Feed]:
        """Send `total` messages meanwhile, never more than `ahead` of what arrived; at the end all are accepted."""
        feed = Feed(self, total, ahead, kind)
        feed.start()
        try:
            yield feed
        finally:
            feed.finish()

    def arrived(self) -> int:
        """How many mails the SMTP server took so far."""
        return self.smtp.arrivals.read()

    def expected(self) -> int:
        """How many mails should have arrived by now, were everything well."""
        return sum(self.acknowledged.values()) - self.postponed

    def wait_for_all(self) -> None:
        """Return when whatever is not postponed has arrived."""
        self.wait_for_arrivals(self.expected() - self.arrived())

    def wait_for_arrivals(self, more: int, feed: Feed | None = None) -> None:
        """Return after `more` further mails, or when everything that was asked for has arrived."""
        last, moved = self.arrived(), time.monotonic()
        target = last + more
        while (here := self.arrived()) < target:
            if feed is not None and not feed.is_alive() and here >= self.expected():
                return
            if here != last:
                last, moved = here, time.monotonic()
            assert time.monotonic() - moved < LONGEST_STANDSTILL, f"nothing arrives: {self.folder}"
            time.sleep(0.02)

    # the end

    def drain(self, seconds: float) -> None:
        """Return once no batch is left."""
        until(lambda: evidence.drained(self.store), seconds, f"drained: {self.folder}", every=0.2)

    def check(self) -> Finding:
        """Compare what was acknowledged, what arrived and what the database says."""
        self.arrived()
        return check(self.acknowledged, evidence.rows(self.store), self.smtp.arrivals.taken, self.may_die)

    def doubt_bound(self) -> int:
        """How many hand-overs can have been cut."""
        return sum(kill.cut for kill in self.kills)

    def _start(
        self,
        name: str,
        command: list[str],
        first: Mapping[str, str] | None = None,
        *,
        module: str = "notify.cli",
        clock: Path | None = None,
    ) -> None:
        """`module` is what runs the command: the one of `tests.chaos.shifted` goes by the file `clock`."""
        env = {
            **environment(),
            **{f"NOTIFY_{key.upper()}": str(value) for key, value in self.values.items()},
            **({} if clock is None else {FILE: str(clock)}),
            "PYTHONPATH": str(ROOT),
        }
        self.supervisor.start(name, [sys.executable, "-m", module, *command], env, first)


class Feed(threading.Thread):
    """Plans portion after portion, while little enough waits."""

    def __init__(self, house: House, total: int, ahead: int, kind: str) -> None:
        super().__init__(name="feed", daemon=True)
        self._house = house
        self._left = total
        self._ahead = ahead
        self._kind = kind
        self._error: BaseException | None = None

    def run(self) -> None:
        house = self._house
        described, number = 0, 0
        try:
            while self._left:
                count = min(PORTION, self._left)
                house.send(count, key=f"feed-{self._kind}-{number}", kind=self._kind, described=described < count)
                described, number, self._left = max(described, count), number + 1, self._left - count
                while self._left and house.expected() - house.arrived() > self._ahead:
                    time.sleep(0.05)
        except BaseException as error:  # told where it is waited for
            self._error = error

    def finish(self) -> None:
        """Return once everything is acknowledged."""
        self.join()
        if self._error is not None:
            raise self._error
