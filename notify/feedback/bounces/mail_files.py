"""Finds the mails of files, folders, mailbox files and Maildirs, one at a time, and holds no more of one than is read.

A file whose name says that it is one mail (`.eml`, `.msg`, `.txt`) is one mail; any other that begins like a mailbox
file (RFC 4155) is taken apart where a line beginning with `From ` and ending in a year stands between a blank line and
a header field. Of a Maildir the folders `cur` and `new` are read. Links are not followed.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from notify.feedback.bounces.mime import MAIL_LIMIT

ONE_MAIL = frozenset({".eml", ".msg", ".txt", ".email"})
LINE_LIMIT = 64 * 1024

_SEPARATOR = re.compile(rb"^From \S+.{8,80}\d{4}(?: [+-]\d{4})?\r?\n?$")
_FIELD = re.compile(rb"^[!-9;-~]{1,80}:")


@dataclass(frozen=True, slots=True)
class MailFile:
    """A mail and where it stands: a path, with `#` and its number when the file holds several."""

    name: str
    raw: bytes


def mails(paths: Iterable[Path], unread: Callable[[OSError], None]) -> Iterator[MailFile]:
    """Every mail of the paths, in the order of their names. What cannot be read is told to `unread` and passed by."""
    for path in paths:
        for file in _files(path, unread):
            try:
                yield from _in(file)
            except OSError as error:
                unread(error)


def _files(path: Path, unread: Callable[[OSError], None]) -> Iterator[Path]:
    """The files of a path. Of what lies in a folder, links, pipes and sockets are no files."""
    if not path.is_dir():
        yield path
        return
    for folder, names, files in os.walk(path, onerror=unread):
        names.sort()
        if {"cur", "new", "tmp"} <= set(names):
            names.remove("tmp")  # what is being delivered is no mail yet
        for name in sorted(files):
            file = Path(folder, name)
            if file.is_file() and not file.is_symlink():
                yield file


def _in(file: Path) -> Iterator[MailFile]:
    if file.exists() and not file.is_file():
        raise OSError(errno.EINVAL, "neither a file nor a folder", str(file))  # a pipe would be waited for
    with file.open("rb") as stream:
        if file.suffix.lower() in ONE_MAIL or file.parent.name in ("cur", "new") or stream.read(5) != b"From ":
            stream.seek(0)
            yield MailFile(_name(file), stream.read(MAIL_LIMIT))
            return
        stream.seek(0)
        yield from _mailbox(file, stream)


def _mailbox(file: Path, stream: BinaryIO) -> Iterator[MailFile]:
    """The mails of a mailbox file. One that holds a single mail is named like a file that is one."""
    kept: bytes | None = None
    number = 0
    for raw in _apart(stream):
        if kept is not None:
            number += 1
            yield MailFile(f"{_name(file)}#{number}", kept)
        kept = raw
    if kept is not None:
        yield MailFile(f"{_name(file)}#{number + 1}" if number else _name(file), kept)


def _name(file: Path) -> str:
    """The path as text that can be written, whatever octets it is made of."""
    return os.fsencode(file).decode("utf-8", "replace")


def _apart(stream: BinaryIO) -> Iterator[bytes]:
    lines: list[bytes] = []
    size = 0
    blank = True
    separator: bytes | None = None  # a line that separates if a header field follows
    while line := stream.readline(LINE_LIMIT):
        if separator is not None:
            if _FIELD.match(line) and lines:
                yield b"".join(lines)
                lines, size = [], 0
            lines.append(separator)
            size += len(separator)
            separator = None
        if blank and _SEPARATOR.match(line):
            separator = line
            blank = False
            continue
        blank = not line.strip()
        if size < MAIL_LIMIT:
            lines.append(line)
            size += len(line)
    if separator is not None:
        lines.append(separator)
    if lines:
        yield b"".join(lines)
