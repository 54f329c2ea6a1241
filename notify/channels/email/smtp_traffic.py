"""One thread hands over letters on as many lines as are sensible: each is tried once, or named as tried.

The order on each line: read every answer to what was written, report it, and when the caller asks for more `begin()`
the next letter, take the one after it, ask `may_go_on()`, and write the body of the one with the commands of the other.
"""

from __future__ import annotations

import itertools
import selectors
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress

from notify.channels.email.smtp_dialogue import Dialogue, Letter
from notify.channels.email.smtp_gauge import Gauge
from notify.channels.email.smtp_line import Line
from notify.channels.email.smtp_pool import Landing, Pool
from notify.channels.email.smtp_wire import commands
from notify.channels.provider import Envelope, Outcome, Watch
from notify.errors import DeliveryError

Proposal = tuple[Letter, bytes, bytes]
"""A letter with the MAIL and RCPT that suit one line."""


class _Talk:
    """A line at work, and what is said on it."""

    __slots__ = ("deadline", "dialogue", "kept", "line", "number", "used", "writing")

    def __init__(self, line: Line, number: int) -> None:
        self.line = line
        self.number = number
        self.dialogue = Dialogue(line.offers)
        self.deadline = 0.0
        self.writing = False  # waits for room to write, too
        self.kept = line.kept_since is not None  # it may have been dead before we came
        self.used = False  # a body was begun on it


class Traffic:
    """All lines of one `send_all`. `patience` is how many seconds a server may be silent when an answer is due."""

    def __init__(self, pool: Pool, patience: float, envelopes: Iterator[Envelope], watch: Watch) -> None:
        self._pool = pool
        self._patience = patience
        self._envelopes = envelopes
        self._watch = watch
        self._ended = False  # there are no more envelopes
        self._stopped = False  # nothing more may be begun
        self._letters: deque[Letter] = deque()  # taken, and on no line
        self._told: deque[Outcome] = deque()
        self._talks: dict[int, _Talk] = {}
        self._selector = selectors.DefaultSelector()
        self._patrol = 0.0  # before then no line is overdue
        self._gauge = Gauge(pool.sensible, enough=pool.enough)
        self._landing = Landing(pool)

    def run(self, first: Line | None) -> Iterator[Outcome]:
        """The outcomes as they come, beginning on this line. Every line is given back, in whatever state."""
        told = self._told
        try:
            ready = [] if first is None else [self._join(first)]
            while True:
                for talk in ready:
                    if talk.dialogue.outcomes:
                        told.extend(talk.dialogue.outcomes)
                        talk.dialogue.outcomes.clear()
                        if not (self._ended or self._landing.expected):
                            self._gauge.answered(len(self._talks))
                    while told:
                        yield told.popleft()
                    self._proceed(talk)
                while told:
                    yield told.popleft()
                self._staff()
                if not self._busy():
                    return
                ready = self._wait()
        finally:
            self._part()

    def _busy(self) -> bool:
        """Whether an answer is due, or a letter may yet find a line."""
        if any(not talk.dialogue.idle for talk in self._talks.values()):
            return True
        return bool(self._letters) and not self._stopped

    # What to do with a line on which no answer is due.

    def _proceed(self, talk: _Talk) -> None:
        dialogue = talk.dialogue
        if dialogue.over:
            self._lose(talk)
        elif dialogue.ahead is not None and self._stopped:
            self._dismiss(talk, sound=False)
        elif dialogue.open:
            self._begin(talk)
        else:
            if dialogue.ahead is None:
                self._propose(talk, self._take(talk))
            self._say(talk)
            if dialogue.idle and talk.line.carried >= self._pool.messages:
                self._dismiss(talk, sound=True)

    def _begin(self, talk: _Talk) -> None:
        assert talk.dialogue.ahead is not None
        self._watch.begin(talk.dialogue.ahead.envelope, talk.number)
        talk.line.carried += 1
        talk.used = True
        following = self._take(talk)
        if not self._watch.may_go_on():
            self._stopped = True
            self._dismiss(talk, sound=False)  # the server waits for a body that must not come
            return
        talk.dialogue.hand_over()
        self._propose(talk, following)
        self._say(talk)

    def _propose(self, talk: _Talk, proposal: Proposal | None) -> None:
        if proposal is not None:
            talk.dialogue.propose(*proposal)

    def _take(self, talk: _Talk) -> Proposal | None:
        """The next letter that can be announced on this line; those that cannot are refused."""
        while not self._stopped and talk.line.carried < self._pool.messages and (self._letters or self._fetch()):
            letter = self._letters.popleft()
            try:
                return letter, *commands(letter.envelope, talk.line.offers)
            except DeliveryError as error:
                self._told.append((letter.envelope, error))
        return None

    def _fetch(self) -> bool:
        """Take an envelope from the caller; whether there was one."""
        if self._ended or self._stopped:
            return False
        envelope = next(self._envelopes, None)
        if envelope is None:
            self._ended = True
            return False
        self._letters.append(Letter(envelope))
        return True

    def _lose(self, talk: _Talk) -> None:
        """The line is gone. A letter that was only announced on it goes to another, once.

        It stays untried at no cost when the line had carried others before it, or may have been dead for long.
        """
        self._dismiss(talk, sound=False)
        if talk.dialogue.stray is None:
            return
        letter, error = talk.dialogue.stray
        dead_before = talk.kept and not talk.used
        if not dead_before and (letter.astray or not talk.used):
            self._told.append((letter.envelope, error))
        else:
            letter.astray |= talk.used
            self._letters.appendleft(letter)

    # What travels on the lines.

    def _wait(self) -> list[_Talk]:
        """Wait until something came; returns the lines on which no answer is due any more."""
        ready = [talk for talk in self._talks.values() if talk.dialogue.over]
        if self._letters and not self._stopped:
            ready += [talk for talk in self._talks.values() if talk.dialogue.idle]
        if ready:
            return ready
        now = time.monotonic()
        events = self._selector.select(max(0.0, self._patrol - now))
        then = time.monotonic()
        self._gauge.looked(now, then)
        for key, _ in events:
            if key.data is None:
                ready += [self._join(line) for line in self._landed()]
            else:
                self._listen(key.data, then)
                if not key.data.dialogue.waiting:
                    ready.append(key.data)
        if then >= self._patrol:
            ready += self._overdue(now)
        return ready

    def _listen(self, talk: _Talk, now: float) -> None:
        dialogue = talk.dialogue
        talk.deadline = now + self._patience
        try:
            dialogue.hear(talk.line.receive())
        except OSError as error:
            dialogue.break_off(error)
        if dialogue.unwritten and not dialogue.over:
            self._write(talk)

    def _say(self, talk: _Talk) -> None:
        talk.dialogue.speak()
        if talk.dialogue.unwritten:
            talk.deadline = time.monotonic() + self._patience
            self._write(talk)

    def _write(self, talk: _Talk) -> None:
        dialogue, line = talk.dialogue, talk.line
        if line.encrypted:
            dialogue.exposed()
        try:
            while dialogue.unwritten and (count := line.send(dialogue.unwritten)):
                dialogue.wrote(count)
        except OSError as error:
            with suppress(OSError):
                dialogue.hear(line.receive())  # its last words may say why
            dialogue.break_off(error)
        if bool(dialogue.unwritten) is not talk.writing:
            talk.writing = not talk.writing
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if talk.writing else 0)
            self._selector.modify(line, events, talk)

    def _overdue(self, now: float) -> list[_Talk]:
        """Break off where the server was silent for too long; `now` is from before it was last listened to."""
        waiting = [talk for talk in self._talks.values() if talk.dialogue.waiting]
        overdue = [talk for talk in waiting if talk.deadline <= now]
        for talk in overdue:
            talk.dialogue.break_off(TimeoutError("timed out"))
        self._patrol = min((t.deadline for t in waiting if t.deadline > now), default=now + self._patience)
        return overdue

    # Which lines there are.

    def _staff(self) -> None:
        """Have as many lines as are sensible, but not more than letters. Raises when none is left, nor to be had."""
        missing = self._gauge.wanted - len(self._talks) - self._landing.expected
        if missing <= 0 or self._stopped:
            return
        if not self._talks and not self._landing.expected and (self._letters or self._fetch()):
            self._join(self._pool.borrow(self._patience))
            missing -= 1
        for _ in range(missing):
            if len(self._letters) <= self._landing.expected and not self._fetch():
                return
            if not self._landing.recruit(self._selector):
                self._gauge.wanted = max(1, len(self._talks) + self._landing.expected)
                return

    def _landed(self) -> list[Line]:
        """The lines that were dialled meanwhile."""
        lines, failed = self._landing.collect()
        if failed:
            self._gauge.wanted = max(1, len(self._talks) + len(lines) + self._landing.expected)
        return lines

    def _join(self, line: Line) -> _Talk:
        number = next(number for number in itertools.count() if number not in self._talks)
        talk = self._talks[number] = _Talk(line, number)
        self._selector.register(line, selectors.EVENT_READ, talk)
        self._gauge.restart()
        return talk

    def _dismiss(self, talk: _Talk, *, sound: bool) -> None:
        del self._talks[talk.number]
        self._selector.unregister(talk.line)
        self._pool.give_back(talk.line, sound=sound)

    def _part(self) -> None:
        for talk in list(self._talks.values()):
            self._dismiss(talk, sound=talk.dialogue.idle)
        self._landing.close()
        self._selector.close()
        self._pool.learn(self._gauge.sensible, enough=self._gauge.enough)
