"""The file of a refresh token: used by one process and thread at a time, and replaced as a whole."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TURN_SECONDS = 60.0
LOOK_SECONDS = 0.05


@contextmanager
def turn(file: Path, seconds: float = TURN_SECONDS) -> Iterator[None]:
    """Inside, nobody else who comes through here uses the token of this file.

    The lock is on a file beside it, for the file itself is replaced; it is free again when its process ends. Where it
    cannot be made, as in a folder that cannot be written to, the token cannot be replaced either: then there is none.
    Raises `TimeoutError` when the turn does not come within so many seconds, `OSError` where nothing can be locked.
    """
    number = _opened(file)
    if number is None:
        yield
        return
    try:
        _wait(number, time.monotonic() + seconds)
        try:
            yield
        finally:
            fcntl.flock(number, fcntl.LOCK_UN)  # a process that was forked meanwhile would keep it
    finally:
        os.close(number)


def _opened(file: Path) -> int | None:
    """The file that the lock is on; for who may read it only, that is enough where the file system allows it."""
    for way in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):
        with suppress(OSError, ValueError, RuntimeError):  # links that lead in a circle, and names that are none
            file = file.resolve()
            number = os.open(file.with_name(f".{file.name}.lock"), way | os.O_NOFOLLOW, 0o600)
            _belong_with(number, file)
            return number
    return None


def _wait(number: int, until: float) -> None:
    while True:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise TimeoutError from None
            time.sleep(LOOK_SECONDS)
        else:
            return


def replace(file: Path, token: str) -> None:
    """Whoever reads it meanwhile finds the one or the other, whole. Mode, owner and links stay. Raises `OSError`."""
    file = file.resolve()
    number, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(number, "w", encoding="ascii") as written:
            _belong_with(number, file)
            written.write(token)
            written.flush()
            os.fsync(number)
        Path(name).replace(file)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
    _keep(file.parent)


def _belong_with(number: int, file: Path) -> None:
    """Give an open file mode and owner of this one, as far as we may: whoever used the one needs the other."""
    with suppress(OSError):
        like, ours = file.stat(), os.fstat(number)
        for owner, group in ((-1, like.st_gid), (like.st_uid, -1)):
            if owner not in (-1, ours.st_uid) or group not in (-1, ours.st_gid):
                with suppress(OSError):
                    os.fchown(number, owner, group)
        os.fchmod(number, stat.S_IMODE(like.st_mode))


def _keep(folder: Path) -> None:
    """Without this a power cut may bring back the token that was withdrawn. Some file systems have no need of it."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
