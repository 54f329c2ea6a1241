"""One folder of an IMAP server (RFC 9051): nothing is marked by reading, and every failure is said in words.

No octet of a mail beyond its first megabyte crosses the wire; nothing waits longer than its time-out.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event
from typing import Any

from imapclient import SEEN, IMAPClient, SocketTimeout
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError

from notify.errors import UnreachableMailbox
from notify.feedback.mailboxes.login import log_in
from notify.feedback.mailboxes.problems import failed, named
from notify.feedback.mailboxes.url import ImapMailbox

FIRST_MEGABYTE = 2**20  # octets
LOOK_SECONDS = 1.0  # how long a wait goes on after `stop`
_PART = f"BODY.PEEK[]<0.{FIRST_MEGABYTE}>"
_NOT_NOW = re.compile(r"\[(?:UNAVAILABLE|SERVERBUG|INUSE)\]", re.IGNORECASE)
_LOST = (IMAPClientAbortError, OSError, EOFError)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder as it was when it was selected. Without `uid_next` the server does not tell."""

    uid_validity: int
    uid_next: int | None
    mails: int


@dataclass(frozen=True, slots=True)
class Size:
    """What is known of a mail before its body is asked for: the octets of the whole, and when it came."""

    octets: int
    received_at: datetime | None


class Refused(Exception):
    """The server said no to one command; the connection is still good."""


class Session:
    """A connection, logged in. Every method raises `UnreachableMailbox`."""

    def __init__(self, box: ImapMailbox, client: IMAPClient) -> None:
        self._box = box
        self._client = client

    def select(self, *, read_only: bool) -> Folder:
        """Open the folder, or look at it anew."""
        with self._words(f"the folder {self._box.folder} cannot be opened", "look at the folder's name in its URL"):
            found = self._client.select_folder(self._box.folder, readonly=read_only)
        validity = found.get(b"UIDVALIDITY")
        if not validity:
            raise failed(self._box, "the server gives its mails no lasting numbers (UIDVALIDITY)", "use another server")
        return Folder(int(validity), found.get(b"UIDNEXT"), int(found.get(b"EXISTS", 0)))

    def uids(self, first: int, last: int | None) -> list[int]:
        """The UIDs from `first` to `last`, or to the end, in their order."""
        with self._words("its mails cannot be listed"):
            found = self._client.search(["UID", f"{first}:{'*' if last is None else last}"])
        return sorted(one for one in found if one >= first)  # `*` is the last mail, even before `first`

    def sizes(self, uids: Sequence[int]) -> dict[int, Size]:
        """The sizes of these mails; without octets where the server does not say, and of those that are gone."""
        with self._words("the sizes of its mails cannot be read"):
            found = self._client.fetch(uids, ["RFC822.SIZE", "INTERNALDATE"])
        known = {uid: found.get(uid, {}) for uid in uids}  # it may tell of others, too: RFC 9051 §7.5.2
        return {uid: Size(int(one.get(b"RFC822.SIZE", 0)), _moment(one)) for uid, one in known.items()}

    def bodies(self, uids: Sequence[int]) -> tuple[dict[int, bytes], list[int]]:
        """The first megabyte of those of these that are still there, and the UIDs of those that it does not give.

        Raises `UnreachableMailbox` when it gives none of them, or says that it cannot just now (RFC 9051 §7.1).
        """
        read = self._given(uids)
        for uid in [uid for uid in uids if uid not in read]:  # one that it cannot give must not keep back the others
            read |= self._given([uid])
        refused = self._still_there([uid for uid in uids if uid not in read])
        if refused and not read:
            what = f"it gives none of the mails that it lists, UID {refused[0]} to {refused[-1]}"
            raise failed(self._box, what, "look at the server's log; should they be damaged, move them elsewhere")
        return read, refused

    def _given(self, uids: Sequence[int]) -> dict[int, bytes]:
        """The bodies that the server gives when it is asked for these at once."""
        try:
            with self._words("its mails cannot be read"), _refusable():
                found = self._client.fetch(uids, [_PART])
        except Refused:
            return {}
        bodies = {uid: found.get(uid, {}) for uid in uids}
        parts = {uid: one.get(b"BODY[]<0>", one.get(b"BODY[]")) for uid, one in bodies.items()}
        return {uid: bytes(part) for uid, part in parts.items() if part is not None}

    def _still_there(self, uids: Sequence[int]) -> list[int]:
        if not uids:
            return []
        with self._words("its mails cannot be listed"):
            return sorted(set(uids) & set(self._client.search(["UID", ",".join(map(str, uids))])))

    def settle(self, uids: Sequence[int]) -> None:
        """Mark or move mails that are stored, as the mailbox is set up. Harmless for those that are gone."""
        if not uids:
            return
        with self._words("its mails cannot be marked as seen" if self._box.done == "flag" else "mails cannot be moved"):
            if not self._box.keep_unseen:
                self._client.add_flags(uids, [SEEN], silent=True)
            if self._box.done == "move":
                self._move(uids)

    def _move(self, uids: Sequence[int]) -> None:
        target = self._box.target
        if not self._client.folder_exists(target):
            self._client.create_folder(target)
        if self._client.has_capability("MOVE"):
            self._client.move(uids, target)
            return
        self._client.copy(uids, target)
        self._client.delete_messages(uids, silent=True)
        if self._client.has_capability("UIDPLUS"):  # else only all that is deleted could be expunged, also by others
            self._client.uid_expunge(uids)

    @property
    def can_idle(self) -> bool:
        """Whether the server tells of new mails by itself (RFC 2177)."""
        with self._words("it does not say what it can do"):
            return bool(self._client.has_capability("IDLE"))

    def wait(self, stop: Event, seconds: float) -> None:
        """Wait until the server tells of something, `stop` is set or `seconds` are over."""
        until = time.monotonic() + seconds
        with self._words("the wait for new mails ended"):
            self._client.idle()
            while not stop.is_set() and time.monotonic() < until:
                asked = time.monotonic()
                told = self._client.idle_check(timeout=LOOK_SECONDS)
                news = any(one[:2] != (b"OK", b"Still here") for one in told)
                if news or (not told and time.monotonic() - asked < LOOK_SECONDS / 2):  # or the line is lost
                    break
            self._client.idle_done()

    @contextmanager
    def _words(
        self, what: str, step: str = "look at the server's log; notify bounces scan tries again"
    ) -> Iterator[None]:
        with named(self._box, what, step):
            yield


@contextmanager
def opened(box: ImapMailbox) -> Iterator[Session]:
    """Connect, secure, log in; take leave at the end. Raises `UnreachableMailbox`."""
    client = _connected(box)
    try:
        log_in(box, client)
        yield Session(box, client)
        with suppress(IMAPClientError, *_LOST):
            client.logout()
    finally:  # after a failure without leave: the line may be dead, and would be waited for
        _hang_up(client)


def _hang_up(client: IMAPClient) -> None:
    with suppress(IMAPClientError, *_LOST):
        client.shutdown()


def trusted(box: ImapMailbox) -> ssl.SSLContext:
    """Whom it trusts. Raises `UnreachableMailbox` when the file of `?ca=` cannot be used."""
    try:
        return box.trust
    except ssl.SSLError:
        why = "holds no certificates in PEM form"
    except (OSError, ValueError) as error:
        why = f"cannot be read: {getattr(error, 'strerror', None) or 'it failed'}"
    raise failed(box, f"its file of ?ca= {why}", "look at its path and rights")


def _connected(box: ImapMailbox) -> IMAPClient:
    trust = None if box.tls == "none" else trusted(box)
    with named(box, "cannot be reached", "look at host and port in its URL, and the way there"):
        client = IMAPClient(
            box.host,
            box.port,
            ssl=box.tls == "implicit",
            ssl_context=trust if box.tls == "implicit" else None,
            timeout=SocketTimeout(box.connect_timeout, box.timeout),
        )
    client.normalise_times = False  # moments stay aware
    try:
        if box.tls == "starttls":
            with named(box, "STARTTLS failed", "look at its certificate; ?tls=none only on a network that you trust"):
                client.starttls(trust)
    except UnreachableMailbox:
        _hang_up(client)
        raise
    return client


@contextmanager
def _refusable() -> Iterator[None]:
    try:
        yield
    except IMAPClientAbortError:
        raise
    except IMAPClientError as error:
        if _NOT_NOW.search(str(error)):
            raise
        raise Refused from error


def _moment(found: Mapping[bytes, Any]) -> datetime | None:
    at = found.get(b"INTERNALDATE")
    return at.astimezone(UTC) if isinstance(at, datetime) else None
