"""What is wrong with a rendered mail, whatever its template looks like."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import urlsplit

from notify.kinds.email import Rendered

LARGEST_HTML = 102_000  # octets; Gmail clips what is longer
LONGEST_SUBJECT = 150
_SCHEMES = ("http", "https", "mailto", "cid")
_LEFTOVER = re.compile(r"\{\{|\{%|\{#[^}\n]*#\}|\\u\{")
_UNKNOWN_LANGUAGE = ("", "und")


def complaints(mail: Rendered) -> Iterator[str]:
    """One line per mistake."""
    if not mail.subject:
        yield "the subject is empty"
    if len(mail.subject) > LONGEST_SUBJECT:
        yield f"the subject has {len(mail.subject)} characters; mail programs show at most {LONGEST_SUBJECT}"
    if not mail.text.strip():
        yield "the text part is empty"
    if (size := len(mail.html.encode())) > LARGEST_HTML:
        yield f"the HTML has {size:,} bytes; Gmail clips what is over {LARGEST_HTML:,}"
    for part, text in (("subject", mail.subject), ("HTML", mail.html), ("text part", mail.text)):
        if found := _LEFTOVER.search(text):
            yield f"the {part} holds a leftover {found[0]!r}"
    reader = _Reader()
    reader.feed(mail.html)
    reader.close()
    yield from reader.complaints
    if not reader.title.strip():
        yield "the HTML has no <title>; screen readers announce it"
    if reader.language in _UNKNOWN_LANGUAGE:
        yield 'the HTML has no language; write <html lang="{{ locale }}"> or <mjml lang="{{ locale }}">'


class _Reader(HTMLParser):
    """Collects what a mail's HTML says about itself."""

    def __init__(self) -> None:
        super().__init__()
        self.title = ""
        self.language = ""
        self.complaints: list[str] = []
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self._in_title = tag == "title"
        if tag == "html":
            self.language = attributes.get("lang") or ""
        if tag == "img" and "alt" not in attributes:
            self.complaints.append(f"an image has no alt text: {attributes.get('src')}")
        for name in ("href", "src"):
            if name in attributes:
                self._check_link(attributes[name] or "")

    def handle_endtag(self, tag: str) -> None:
        self._in_title = self._in_title and tag != "title"

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data

    def _check_link(self, url: str) -> None:
        if url.startswith("#"):
            return
        scheme = urlsplit("".join(url.split())).scheme.lower()
        if scheme not in _SCHEMES:
            self.complaints.append(f"a link may begin with {', '.join(_SCHEMES)}, not {url[:60]!r}")
