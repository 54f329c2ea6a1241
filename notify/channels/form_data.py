"""A form with files (multipart/form-data, RFC 7578) in bounded memory: cut as it comes, and taken apart as it was kept.

Small parts are kept whole, and of a large one its beginning. What is kept is such a form again.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser

from notify.errors import Unreadable

KEPT = 1024 * 1024 + 128 * 1024  # octets, until when all is kept: a megabyte of one part, and what stands around it
ALWAYS = 16 * 1024  # octets of each part after that
MOST_PARTS = 100
LONGEST_HEAD = 8 * 1024  # octets of a part
LONGEST_BOUNDARY = 70  # RFC 2046 §5.1.1


@dataclass(frozen=True, slots=True)
class FormPart:
    """A field or a file. `type` is empty where none was given."""

    name: str
    type: str
    content: bytes


class Cutting:
    """Takes the octets of a body piece by piece and keeps of each part what there is room for.

    A body without a boundary counts as one part.
    """

    def __init__(self, content_type: str) -> None:
        boundary = _boundary(content_type)
        self._delimiter = b"\r\n--" + boundary if boundary else b""
        self._kept = bytearray()
        self._room = KEPT  # of this part
        self._parts = 0
        self._tail = b""  # what may be the beginning of a delimiter

    def add(self, octets: bytes) -> None:
        """The next octets."""
        if not self._delimiter:
            self._keep(octets)
            return
        *whole, last = (self._tail + octets).split(self._delimiter)
        for piece in whole:
            self._keep(piece)
            self._begin()
        end = max(0, len(last) - len(self._delimiter) + 1)
        self._keep(last[:end])
        self._tail = last[end:]

    def kept(self) -> bytes:
        """What is left of the body after the last octets."""
        self._keep(self._tail)
        self._tail = b""
        return bytes(self._kept)

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            self._room = 0
            return
        self._kept += self._delimiter
        self._room = max(ALWAYS, KEPT - len(self._kept))

    def _keep(self, octets: bytes) -> None:
        self._kept += octets[: self._room]
        self._room = max(0, self._room - len(octets))


def read(content_type: str, body: bytes) -> list[FormPart]:
    """The named parts, in their order. Raises `Unreadable`."""
    boundary = _boundary(content_type)
    if not boundary:
        raise Unreadable("not_a_form", "the content type is not multipart/form-data with a boundary")
    chunks: list[bytes] = []
    delimiter = b"\r\n--" + boundary
    for chunk in (b"\r\n" + body).split(delimiter, MOST_PARTS)[1:]:
        line, _, rest = chunk.partition(b"\r\n")
        if line.strip() and not line.startswith(b"--") and chunks:
            chunks[-1] += delimiter + chunk  # a boundary inside that begins in the same way
        elif line.strip():
            break  # the end
        else:
            chunks.append(rest)
    found = [part for part in map(_part, chunks) if part.name]
    if not found:
        raise Unreadable("not_a_form", "the body has no named parts between its boundaries")
    return found


def _part(chunk: bytes) -> FormPart:
    head, _, content = (b"\r\n" + chunk).partition(b"\r\n\r\n")
    fields = BytesHeaderParser().parsebytes(head[2:LONGEST_HEAD])
    name = fields.get_param("name", "", "content-disposition")
    kind = fields.get_content_type() if "content-type" in fields else ""
    return FormPart(name if isinstance(name, str) else "", kind, content)


def _boundary(content_type: str) -> bytes:
    """Empty where the content type is another one or names none."""
    fields: Message = Message()
    fields["content-type"] = " ".join(content_type.split())
    boundary = fields.get_boundary("")
    if fields.get_content_type() != "multipart/form-data" or len(boundary) > LONGEST_BOUNDARY:
        return b""
    return boundary.encode("latin-1", "replace")
