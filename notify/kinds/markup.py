"""Where in MJML a spot lies: inside which element, a tag, an attribute value or a comment; every tag is one MJML has.

The MJML compiler ignores unknown tags and reports mistakes without a line; this reader comes first and names both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from notify.errors import did_you_mean
from notify.kinds.places import Fault, Place

CONTENT = frozenset(
    {
        "mj-accordion-text",
        "mj-accordion-title",
        "mj-button",
        "mj-navbar-link",
        "mj-preview",
        "mj-raw",
        "mj-social-element",
        "mj-style",
        "mj-table",
        "mj-text",
        "mj-title",
    }
)
"""Elements that hold text or HTML (MJML calls them ending tags)."""

CONTAINERS = frozenset({"mj-body", "mj-column", "mj-group", "mj-hero", "mj-section", "mj-wrapper"})
"""Elements between whose children mj-raw may stand."""

_OTHERS = frozenset(
    {
        "mjml",
        "mj-accordion",
        "mj-accordion-element",
        "mj-all",
        "mj-attributes",
        "mj-breakpoint",
        "mj-carousel",
        "mj-carousel-image",
        "mj-class",
        "mj-divider",
        "mj-font",
        "mj-head",
        "mj-image",
        "mj-navbar",
        "mj-social",
        "mj-spacer",
    }
)
TAGS = CONTENT | CONTAINERS | _OTHERS

_TAG = re.compile(r"<(?P<close>/?)(?P<name>[A-Za-z][\w:-]*)")
_TAG_STOP = re.compile(r"""["'>]""")


class Spot(Enum):
    """What surrounds the end of the markup read so far."""

    OUTSIDE = auto()  # before or after the document
    STRUCTURE = auto()  # between MJML elements
    CONTENT = auto()  # text or HTML
    TAG = auto()  # inside a tag, outside its attribute values
    VALUE = auto()
    COMMENT = auto()


@dataclass(slots=True)
class _Open:
    name: str
    place: Place


class Reader:
    """Reads MJML in chunks. `spot` and `element` describe where the next chunk begins."""

    def __init__(self) -> None:
        self._elements: list[_Open] = []
        self._tag: _Open | None = None
        self._closing = False
        self._quote = ""
        self._comment = False

    @property
    def element(self) -> str:
        """The innermost open MJML element."""
        return self._elements[-1].name if self._elements else ""

    @property
    def spot(self) -> Spot:
        """What surrounds the end of what was read."""
        if self._comment:
            return Spot.COMMENT
        if self._quote:
            return Spot.VALUE
        if self._tag is not None:
            return Spot.TAG
        if not self._elements:
            return Spot.OUTSIDE
        return Spot.CONTENT if self.element in CONTENT else Spot.STRUCTURE

    def read(self, text: str, place: Place) -> None:
        """Take in the next chunk, which begins at `place`. Raises InvalidKind for what is not MJML."""
        at = 0
        while at < len(text):
            if self._comment:
                at = self._until(text, at, "-->")
                self._comment = at < 0
            elif self._quote:
                at = self._until(text, at, self._quote)
                self._quote = self._quote if at < 0 else ""
            elif self._tag is not None:
                at = self._in_tag(text, at)
            else:
                at = self._in_text(text, at, place)
            if at < 0:
                return

    def close(self) -> None:
        """The document ends here: nothing may be open."""
        if self._elements:
            element = self._elements[-1]
            raise Fault(element.place, f"<{element.name}> is not closed")

    @staticmethod
    def _until(text: str, at: int, end: str) -> int:
        found = text.find(end, at)
        return -1 if found < 0 else found + len(end)

    def _in_tag(self, text: str, at: int) -> int:
        stop = _TAG_STOP.search(text, at)
        if stop is None:
            return -1
        if stop[0] == ">":
            self._finish_tag(selfclosing=text[stop.start() - 1 : stop.start()] == "/")
        else:
            self._quote = stop[0]
        return stop.end()

    def _finish_tag(self, *, selfclosing: bool) -> None:
        assert self._tag is not None
        if not _is_mjml(self._tag.name):
            pass
        elif self._closing:
            self._elements.pop()
        elif not selfclosing:
            self._elements.append(self._tag)
        self._tag = None

    def _in_text(self, text: str, at: int, place: Place) -> int:
        start = text.find("<", at)
        if start < 0:
            return -1
        if text.startswith("<!--", start):
            self._comment = True
            return start + 4
        here = Place(place.file, (place.line or 1) + text.count("\n", 0, start))
        tag = _TAG.match(text, start)
        if tag is None:
            if text.startswith("<!", start):  # <!doctype>, <![CDATA[
                return self._until(text, start, ">")
            raise Fault(here, "a bare '<' in MJML; write &lt;")
        self._begin_tag(tag["name"], here, closing=bool(tag["close"]))
        return tag.end()

    def _begin_tag(self, name: str, place: Place, *, closing: bool) -> None:
        if _is_mjml(name):
            if name == "mj-include":
                raise Fault(place, '<mj-include> is not supported; use {% include "file" %}')
            if name not in TAGS:
                raise Fault(place, f"<{name}> is not an MJML tag{did_you_mean(name, TAGS)}")
            if not closing and self.element in CONTENT:
                raise Fault(place, f"<{name}> cannot stand in <{self.element}>, which holds text or HTML")
            if closing and name != self.element:
                inside = f" inside <{self.element}>" if self.element else ""
                raise Fault(place, f"</{name}>{inside} closes nothing")
        elif self._elements and self.element not in CONTENT and not closing:
            raise Fault(place, f"<{name}> cannot stand in <{self.element}>; put it in <mj-text> or <mj-raw>")
        self._tag, self._closing = _Open(name, place), closing


def _is_mjml(name: str) -> bool:
    return name == "mjml" or name.startswith("mj-")
