"""Each message becomes one `.eml` file, whole or not at all, with the octets that SMTP would transmit.

`eml:///folder`: for dry runs and for reading mails on a developer's machine.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from notify.channels.provider import Envelope, Outcome, Receipt, Watch, one_by_one
from notify.channels.url import ProviderUrl
from notify.errors import DeliveryError, Misconfigured, Transient
from notify.model import Channel

PASSING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.EINTR})
"""Failures that end by themselves or when room is made; all others are about the folder, and last."""


@dataclass(frozen=True, slots=True)
class EmlFolder:
    """Writes `<folder>/<message_id>.eml`; a message sent again replaces its own file."""

    name: ClassVar[str] = "eml"
    channel: ClassVar[Channel] = Channel.EMAIL
    folder: Path

    @classmethod
    def from_url(cls, url: ProviderUrl) -> Self:
        """`eml:///absolute/folder`. Raises `InvalidProvider`."""
        if url.host or url.user is not None or not url.path.strip("/"):
            raise url.wrong("folder", "must be absolute, with three slashes: eml:///folder")
        url.options({})
        return cls(Path(url.path))

    @contextmanager
    def open(self) -> Iterator[EmlFolder]:
        """Make the folder if need be. Raises `Misconfigured` or `Transient`."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _failure(error) from error
        yield self

    def close(self) -> None:
        """Nothing is kept open."""

    def send_all(self, envelopes: Iterator[Envelope], watch: Watch) -> Iterator[Outcome]:
        """Write one file for each. After `Misconfigured` or `Transient` no file was left behind."""
        return one_by_one(self._write, envelopes, watch)

    def _write(self, envelope: Envelope) -> Receipt:
        target = self.folder / f"{envelope.message_id}.eml"
        try:
            _write(target, envelope.content)
        except OSError as error:
            raise _failure(error) from error
        return Receipt(f"written to {target}")


def _write(target: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _failure(error: OSError) -> DeliveryError:
    kind = Transient if error.errno in PASSING else Misconfigured
    return kind("folder_unwritable", error.strerror or "")
