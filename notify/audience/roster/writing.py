"""Files that appear whole or not at all, for their owner alone to read, and in the place of no other unasked."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from notify.errors import OperatorError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def new_file(path: Path, *, force: bool) -> Iterator[TextIO]:
    """A file of text in UTF-8 that appears at `path` when the block ends well, and only if something was written.

    `OperatorError` when there is one already, unless `force`, and when it cannot be written.
    """
    if path.exists() and not force:
        raise _there(path)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "w", encoding="utf-8", newline="") as file:
            yield file
        if not part.stat().st_size:
            return
        if force:
            part.replace(path)
        else:
            os.link(part, path)
    except FileExistsError:
        raise _there(path) from None
    except OSError as error:
        if error.filename is None and error.errno not in _FULL:
            raise  # of another file than this one
        raise OperatorError(f"cannot write {path}: {error.strerror}\nNext: check the path, or free space.") from None
    finally:
        part.unlink(missing_ok=True)


def _there(path: Path) -> OperatorError:
    return OperatorError(f"{path} is there already\nNext: move it away, or write over it with --force.")
