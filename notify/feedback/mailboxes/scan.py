"""Mailboxes are read by UID checkpoint, each on its own; a mail is marked or moved after it is stored, never before.

Slice by slice, so that memory stays bounded and a scan that ends anywhere goes on there. What is stored and not yet
marked or moved is read again by the next scan, for that alone: its mails are known by their digest. Where marking or
moving fails, the reading goes on.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from redis import RedisError
from redis.exceptions import LockError

from notify import failpoints
from notify.app import App
from notify.errors import NotifyError, UnreachableMailbox
from notify.feedback.incoming import Mail, Taken, take
from notify.feedback.mailboxes.imap import FIRST_MEGABYTE, Folder, Session, Size, opened
from notify.feedback.mailboxes.problems import failed
from notify.feedback.mailboxes.url import ImapMailbox
from notify.model import Checkpoint
from notify.store import incoming, mailboxes
from notify.store.mailboxes import Standing
from notify.telemetry import emit

SLICE = 50  # mails
SLICE_OCTETS = 8 * 2**20
LISTED = 40_000
"""UIDs that are listed at once: a line of imaplib has a million octets at most."""
SIZED = 500  # mails whose sizes are asked for at once
LOCK_SECONDS = 300.0
REPORT = "report it with the line above; the other mailboxes are read"


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a scan of one mailbox brought: so many mails `read`, what became of them, and what went wrong.

    `busy`: somebody else reads it just now. `complete`: it was read to its end; with a `problem`, its mails are stored
    and could not be marked or moved.
    """

    mailbox: ImapMailbox
    read: int = 0
    new: int = 0
    kinds: Mapping[str, int] = field(default_factory=dict)
    states: Mapping[str, int] = field(default_factory=dict)
    effects: Mapping[str, int] = field(default_factory=dict)
    complete: bool = False
    busy: bool = False
    problem: UnreachableMailbox | None = None

    def plus(self, read: int, taken: Taken) -> Scanned:
        """The same after one more slice."""
        return replace(
            self,
            read=self.read + read,
            new=self.new + taken.new,
            kinds=_sum(self.kinds, taken.kinds),
            states=_sum(self.states, taken.states),
            effects=_sum(self.effects, taken.effects),
        )


Progress = Callable[[Scanned], None]
"""Is told after each slice how far the scan of a mailbox has come; from several threads."""


def scan(
    app: App,
    boxes: Sequence[ImapMailbox],
    *,
    seconds: float | None = None,
    stop: threading.Event | None = None,
    progress: Progress | None = None,
) -> list[Scanned]:
    """Read what is new in each of these, all at once, to their ends or for so many seconds.

    Raises `Unreachable` when the database is away, after all have ended: what was stored stays, and the next scan goes
    on there.
    """
    if not boxes:
        return []
    reading = Reading(app, until=None if seconds is None else time.monotonic() + seconds, stop=stop, progress=progress)
    with ThreadPoolExecutor(len(boxes), thread_name_prefix="mailbox") as threads:
        running = [threads.submit(reading.connect_and_read, box) for box in boxes]
    return [one.result() for one in running]


@dataclass(frozen=True, slots=True)
class Reading:
    """How long to read, and who is told."""

    app: App
    until: float | None = None
    stop: threading.Event | None = None
    progress: Progress | None = None

    def connect_and_read(self, box: ImapMailbox) -> Scanned:
        """Open a connection of its own and read what is new. Raises `Unreachable` when the database is away."""
        with _only_one(self.app, box) as prolong:
            if prolong is None:
                return Scanned(box, busy=True)
            standing = note_try(self.app, box)
            try:
                with opened(box) as session:
                    return self._read(box, session, standing, prolong)
            except UnreachableMailbox as error:
                problem = error
            except NotifyError:
                raise
            except Exception as error:  # the others' results are not to go with it
                problem = failed(box, f"it cannot be read, by a fault of notify: {type(error).__name__}", REPORT)
            note_failure(self.app, box, problem)
            return Scanned(box, problem=problem)

    def read(self, box: ImapMailbox, session: Session) -> Scanned:
        """Read what is new on this connection. Raises `UnreachableMailbox`, and `Unreachable` without the database."""
        with _only_one(self.app, box) as prolong:
            if prolong is None:
                return Scanned(box, busy=True)
            return self._read(box, session, note_try(self.app, box), prolong)

    def _read(self, box: ImapMailbox, session: Session, standing: Standing, prolong: Callable[[], None]) -> Scanned:
        folder = session.select(read_only=not box.touches)
        stored, settled = _after(box, standing, folder)
        scanned = Scanned(box, complete=True)
        if box.touches and settled < stored:
            scanned = self._go_through(scanned, session, folder, (settled, stored), prolong)
        if scanned.complete:
            scanned = self._go_through(scanned, session, folder, (stored, None), prolong)
        with self.app.store.begin() as connection:
            mailboxes.succeed(connection, box.name, self.app.clock.now())
        if scanned.problem is not None:
            note_failure(self.app, box, scanned.problem)
        if scanned.read:
            emit("mailbox.read", mailbox=box.place, mails=scanned.read, new=scanned.new, **scanned.states)
        return scanned

    def _go_through(
        self,
        scanned: Scanned,
        session: Session,
        folder: Folder,
        between: tuple[int, int | None],
        prolong: Callable[[], None],
    ) -> Scanned:
        """Read above the first of these UIDs up to the other; where it is known, only while they can be settled."""
        for sizes in _slices(session, folder, *between):
            mails, checkpoint = _mails(self.app, session, folder, sizes)
            scanned = self._slice(scanned, session, mails, checkpoint)
            if self.progress is not None:
                self.progress(scanned)
            if self._is_over():
                return replace(scanned, complete=False)
            if between[1] is not None and scanned.problem is not None:
                break
            prolong()
        return scanned

    def _slice(self, scanned: Scanned, session: Session, mails: Mapping[int, Mail], checkpoint: Checkpoint) -> Scanned:
        """Store, and note how far; then mark or move, and note that."""
        app, box = self.app, scanned.mailbox
        taken = take(app, box.name, list(mails.values()), replace(checkpoint, settled=not box.touches))
        given = {uid: one for uid, one in mails.items() if one.octets is not None}
        for one in mails.values():
            if one.octets is None:
                emit("mailbox.mail_unread", mailbox=box.place, place=one.place)
        scanned = scanned.plus(len(given), taken)
        if not box.touches or scanned.problem is not None:
            return scanned
        failpoints.reach("mailbox.taken")
        try:
            session.settle([uid for uid, one in given.items() if one.place not in taken.ignored])
        except UnreachableMailbox as error:
            return replace(scanned, problem=error)
        with app.store.begin() as connection:
            incoming.advance(connection, box.name, checkpoint, 0)
        return scanned

    def _is_over(self) -> bool:
        stopped = self.stop is not None and self.stop.is_set()
        return stopped or (self.until is not None and time.monotonic() >= self.until)


def note_try(app: App, box: ImapMailbox) -> Standing:
    """Write down that it is tried; returns how it stands."""
    with app.store.begin() as connection:
        return mailboxes.begin(connection, box.name, app.clock.now())


def note_failure(app: App, box: ImapMailbox, error: UnreachableMailbox) -> None:
    """Write down why it could not be read."""
    emit("mailbox.failed", mailbox=box.place, error=error.problem)
    with app.store.begin() as connection:
        mailboxes.fail(connection, box.name, error.problem)


def _after(box: ImapMailbox, standing: Standing, folder: Folder) -> tuple[int, int]:
    """The UIDs up to which it was read, and settled; 0 where its numbers began anew: RFC 9051 §2.3.1.1."""
    if standing.uid_validity == folder.uid_validity:
        return standing.last_uid, standing.settled_uid
    if standing.uid_validity is not None:
        emit("mailbox.begun_anew", mailbox=box.place)
    return 0, 0


def _slices(session: Session, folder: Folder, after: int, last: int | None) -> Iterator[dict[int, Size]]:
    """What is to be read together: some mails, with their sizes."""
    for listed in _listed(session, folder, after, last):
        rest = iter(listed)
        while some := list(islice(rest, SIZED)):
            slice_: dict[int, Size] = {}
            octets = 0
            for uid, size in sorted(session.sizes(some).items()):
                read = min(size.octets or FIRST_MEGABYTE, FIRST_MEGABYTE)
                if slice_ and (len(slice_) >= SLICE or octets + read > SLICE_OCTETS):
                    yield slice_
                    slice_, octets = {}, 0
                slice_[uid] = size
                octets += read
            if slice_:
                yield slice_


def _listed(session: Session, folder: Folder, after: int, last: int | None) -> Iterator[list[int]]:
    """The UIDs above `after` up to `last`, so many at once."""
    if not folder.mails:
        return
    if folder.mails <= LISTED or folder.uid_next is None:
        yield session.uids(after + 1, last)
        return
    end = folder.uid_next if last is None else last + 1
    for first in range(after + 1, end, LISTED):
        yield session.uids(first, min(first + LISTED, end) - 1)


def _mails(app: App, session: Session, folder: Folder, sizes: Mapping[int, Size]) -> tuple[dict[int, Mail], Checkpoint]:
    """Read these; those that are gone are left out."""
    bodies, refused = session.bodies(list(sizes))
    now = app.clock.now()
    mails = {
        uid: Mail(
            octets=bodies.get(uid),
            size=max(sizes[uid].octets, len(bodies.get(uid, b""))),
            received_at=min(sizes[uid].received_at or now, now),
            place=f"{folder.uid_validity}:{uid}",
        )
        for uid in sorted([*bodies, *refused])
    }
    return mails, Checkpoint(folder.uid_validity, max(sizes))


@contextmanager
def _only_one(app: App, box: ImapMailbox) -> Iterator[Callable[[], None] | None]:
    """Inside nobody else reads this mailbox, as far as Redis knows: two would do no harm, and everything twice.

    Gives what prolongs that; None when somebody else does.
    """
    name = hashlib.sha256(box.name.encode()).hexdigest()[:16]  # it holds an address, and Redis is to hold none
    lock = app.redis.lock(f"notify:mailbox:{name}", timeout=LOCK_SECONDS, blocking=False)
    try:
        mine = lock.acquire()
    except RedisError:
        yield lambda: None
        return
    if not mine:
        yield None
        return

    def prolong() -> None:
        with suppress(RedisError, LockError):
            lock.reacquire()

    try:
        yield prolong
    finally:
        with suppress(RedisError, LockError):
            lock.release()


def _sum(before: Mapping[str, int], more: Mapping[Any, int]) -> dict[str, int]:
    return dict(Counter(before) + Counter({str(name): count for name, count in more.items()}))
