"""The certificate of a listener: new files are used from the next connection on, and broken ones never are."""

from __future__ import annotations

import ssl
from pathlib import Path

from notify.errors import InvalidSettings
from notify.feedback.mailboxes.url import Listening
from notify.telemetry import emit

Stamp = tuple[tuple[int, int, int], ...]
"""What changes when a file is written or replaced."""


def read_certificate(cert: Path, key: Path | None) -> ssl.SSLContext:
    """To serve TLS with this chain and key, both in PEM form; without `key` it stands in `cert`, too.

    Raises `OSError` or `ValueError`; nobody is asked for a passphrase.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key, password="")
    return context


def why_unreadable(error: Exception) -> str:
    """What is wrong with the files, in words."""
    reason = getattr(error, "reason", None) or ""
    if reason == "KEY_VALUES_MISMATCH":
        return "certificate and key do not belong together"
    if isinstance(error, ssl.SSLError) or not isinstance(error, OSError):
        return "must be files in PEM form: a certificate with its chain, and a key without passphrase"
    return f"certificate or key cannot be read: {error.strerror or 'it failed'}"


def certificate_of(place: Listening) -> Certificate | None:
    """That with which it offers STARTTLS, if it does. Raises `InvalidSettings` when its files cannot be used."""
    if place.cert is None:
        return None
    try:
        return Certificate(place.cert, place.key, place.name)
    except (OSError, ValueError) as error:
        raise InvalidSettings(
            f"NOTIFY_MAILBOXES: option 'cert' of {place.name}: {why_unreadable(error)}\n"
            "Next: look at the files of ?cert= and ?key=, and at their rights."
        ) from None


class Certificate:
    """A certificate that is read again when its files change. Raises what `read_certificate` does."""

    def __init__(self, cert: Path, key: Path | None, listener: str) -> None:
        self._cert = cert
        self._key = key
        self._listener = listener
        self._stamp = self._stamped()
        self._context = read_certificate(cert, key)

    def context(self) -> ssl.SSLContext:
        """That of the files as they are now; of those that cannot be read, of the ones before."""
        stamp = self._stamped()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._context = read_certificate(self._cert, self._key)
            except (OSError, ValueError) as error:
                emit("listener.certificate_unread", listener=self._listener, error=why_unreadable(error))
        return self._context

    def _stamped(self) -> Stamp:
        return tuple(_stamp(path) for path in (self._cert, self._key) if path is not None)


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0, 0
    return found.st_mtime_ns, found.st_size, found.st_ino
