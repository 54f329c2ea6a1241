"""Which dead letters may be replayed, and why the others are passed over."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from uuid import UUID

from notify.app import App
from notify.errors import RequestError
from notify.model import Lane, MessageState, Replay
from notify.store.gathering import Queue
from notify.store.replays import Candidate


class Sieve:
    """A slice by what becomes of each: messages by channel and lane, tasks, and what is passed over, by reason."""

    def __init__(self, app: App, job: Replay, found: Sequence[Candidate]) -> None:
        self.messages: dict[Queue, list[UUID]] = defaultdict(list)
        self.tasks: list[UUID] = []
        self.done: list[UUID] = []
        self.passed_over: Counter[str] = Counter()
        self._app = app
        self._job = job
        self._lanes: dict[str, Lane | None] = {}
        for one in found:
            self._sort(one)

    @property
    def would_go(self) -> int:
        """How many are not passed over."""
        return len(self.tasks) + sum(map(len, self.messages.values()))

    def _sort(self, one: Candidate) -> None:
        if one.message_id is None:
            self.tasks.append(one.id)
            return
        lane = self._lane(one.kind)
        no = self._why_not(one)
        if no is None and (lane is None or one.channel is None):
            no = "kind_unusable"
        if no is not None:
            self.passed_over[no] += 1
            return
        assert lane is not None
        assert one.channel is not None
        self.messages[Queue(one.channel, lane, self._job.as_was)].append(one.message_id)
        self.done.append(one.id)

    def _why_not(self, one: Candidate) -> str | None:
        if one.state is not MessageState.DEAD:
            return "not_dead"
        if one.expires_at is not None and one.expires_at <= self._app.clock.now():
            return "expired"
        if one.possibly_sent and not self._job.possibly_sent:
            return "possibly_sent"
        if self._job.as_was and not one.kept:
            return "no_kept_mail"
        return None

    def _lane(self, kind: str | None) -> Lane | None:
        """None when the kind cannot be used: its messages would die again."""
        name = kind or ""
        if name not in self._lanes:
            try:
                self._lanes[name] = self._app.kinds.get(name).facts.lane
            except RequestError:
                self._lanes[name] = None
        return self._lanes[name]
