"""Mail header lines: any text becomes folded 7-bit octets that read back as the same text, and never a second header.

Lines end with CRLF and stay within 78 columns where their words allow it (RFC 5322 §2.1.1). Lone surrogates,
which no encoding can carry, become U+FFFD.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Callable, Iterator
from functools import lru_cache
from urllib.parse import quote

from notify.channels.email.address import ascii_form
from notify.errors import InvalidAddress, InvalidHeader

FOLD_AT = 78
LONGEST_LINE = 998
LONGEST_URL = 900
WORD_SPACE = 76 - len(" =?utf-8?q??=")  # RFC 2047 §2: a line that holds an encoded word has at most 76 columns
PARAMETER_SPACE = (FOLD_AT - len(" filename*99*=;"), FOLD_AT - len(" filename*0*=utf-8'';"))

_FORBIDDEN = re.compile(r"[\r\n\0]")
_URL = re.compile(rf"[!#-;=?-~]{{1,{LONGEST_URL}}}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_FIELD_NAME = re.compile(r"[!-9;-~]{1,70}")
_WORD = re.compile(r"(?<! ) (?! )")  # a run of spaces stays within one word, so that no folded line is blank
_ATOMS = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(?: [\w!#$%&'*+/=?^`{|}~-]+)*", re.ASCII)
_MAILBOX = re.compile(r'\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<name>[^<"]*?))\s*<(?P<address>[^<>]*)>\s*', re.DOTALL)
_ATOM = r'[^\s\0-\x20\x7f\ud800-\udfff<>()\[\],;:"\\@]+'
_ADDRESS = re.compile(f"{_ATOM}@{_ATOM}")
_PLAIN_FILE_NAME = re.compile(r"[A-Za-z0-9!#$&+,.=@^_{}~()-](?:[A-Za-z0-9 !#$&+,.=@^_{}~()-]{0,48}[A-Za-z0-9)_-])?")


def without_surrogates(text: str) -> str:
    """`text` as it can be encoded: lone surrogates become U+FFFD."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def text_header(name: str, value: str) -> bytes:
    """One unstructured header such as Subject. Raises `InvalidHeader`."""
    return _unstructured(name, value, FOLD_AT)


def extra_header(name: str, value: str) -> bytes:
    """One header by name and value; ASCII values keep their words, for those of List-Unsubscribe are URLs.

    Raises `InvalidHeader`.
    """
    if not _FIELD_NAME.fullmatch(name):
        raise InvalidHeader(f"{name!r} is not a header name (RFC 5322 §2.2)")
    return _unstructured(name, value, LONGEST_LINE)


def url_header(name: str, url: str) -> bytes:
    """One header that holds one URL, on one line (RFC 2369 §2). Raises `InvalidHeader`."""
    if not _URL.fullmatch(url):
        raise InvalidHeader(f"header {name}: {url[:80]!r} is not a URL of at most {LONGEST_URL} ASCII characters")
    return f"{name}: <{url}>\r\n".encode("ascii")


@lru_cache(maxsize=256)
def mailbox_header(name: str, mailbox: str) -> bytes:
    """One header that holds `Name <address>` or a bare address. Raises `InvalidHeader` or `InvalidAddress`."""
    _guard(name, mailbox)
    parts = _MAILBOX.fullmatch(mailbox)
    if parts is None:
        return address_header(name, "", mailbox.strip())
    display = re.sub(r"\\(.)", r"\1", parts["quoted"]) if parts["quoted"] is not None else parts["name"]
    return address_header(name, display, parts["address"])


def address_header(name: str, display: str, address: str) -> bytes:
    """One header that holds one address, with a display name, stripped, unless that is blank.

    Only an address whose part before the @ is beyond ASCII makes the line more than 7-bit (RFC 6532 §3.2).
    Raises `InvalidHeader` or `InvalidAddress`.
    """
    _guard(name, display)
    _guard(name, address)
    if not _ADDRESS.fullmatch(address):
        raise InvalidAddress(f"header {name}: {address!r} is not an e-mail address")
    if address.isascii() and len(name) + len(display) + len(address) + 5 <= FOLD_AT and _ATOMS.fullmatch(display):
        return f"{name}: {display} <{address}>\r\n".encode("ascii")
    address, display = ascii_form(address), display.strip()
    if not display:
        return f"{name}: {address}\r\n".encode()
    phrase = _phrase(display, len(name) + 2)
    last_line = f"{name}: {phrase}".rpartition("\r\n")[2]
    separator = " " if len(last_line) + len(address) + 3 <= FOLD_AT else "\r\n "
    return f"{name}: {phrase}{separator}<{address}>\r\n".encode()


def disposition_header(disposition: str, file_name: str) -> bytes:
    """Content-Disposition with any file name (RFC 2183, RFC 2231 §3 and §4). Raises `InvalidHeader`."""
    _guard("Content-Disposition", file_name)
    start = f"Content-Disposition: {disposition};\r\n filename"
    if _PLAIN_FILE_NAME.fullmatch(file_name):
        return f'{start}="{file_name}"\r\n'.encode("ascii")
    pieces = [quote(piece, safe="") for piece in _cut(without_surrogates(file_name), _quoted_size, *PARAMETER_SPACE)]
    if len(pieces) == 1:
        return f"{start}*=utf-8''{pieces[0]}\r\n".encode("ascii")
    pieces[0] = f"utf-8''{pieces[0]}"
    sections = ";\r\n filename".join([f"*{number}*={piece}" for number, piece in enumerate(pieces)])
    return f"{start}{sections}\r\n".encode("ascii")


def _guard(name: str, value: str) -> None:
    if _FORBIDDEN.search(value):
        raise InvalidHeader(f"header {name}: CR, LF and NUL are refused, for they could begin another header")


def _unstructured(name: str, value: str, longest: int) -> bytes:
    _guard(name, value)
    if value.isascii() and value.isprintable() and "=?" not in value and value == value.strip():
        if len(name) + 2 + len(value) <= FOLD_AT:
            return f"{name}: {value}\r\n".encode("ascii")
        lines = list(_folded(name, value))
        if max(map(len, lines)) <= longest:
            return "\r\n".join([*lines, ""]).encode("ascii")
    return f"{name}: {_encoded_words(value, len(name) + 2)}\r\n".encode("ascii")


def _folded(name: str, value: str) -> Iterator[str]:
    first, *words = _WORD.split(value)
    line = f"{name}: {first}"
    for word in words:
        if len(line) + 1 + len(word) > FOLD_AT:
            yield line
            line = ""
        line = f"{line} {word}"
    yield line


def _phrase(display: str, used: int) -> str:
    if display.isascii() and display.isprintable() and "=?" not in display:
        quoted = display.replace("\\", "\\\\").replace('"', '\\"')
        phrase = display if _ATOMS.fullmatch(display) else f'"{quoted}"'
        if used + len(phrase) <= FOLD_AT:
            return phrase
    return _encoded_words(display, used)


def _encoded_words(text: str, used: int) -> str:
    """RFC 2047 words, the first of them for a line on which `used` columns are taken; Q or B, whichever is shorter."""
    text = without_surrogates(text)
    octets = len(text.encode())
    if _word_size(text) <= -(-octets // 3) * 4:
        pieces = _cut(text, _word_size, WORD_SPACE, WORD_SPACE - used)
        return "\r\n ".join([f"=?utf-8?q?{_q(piece)}?=" for piece in pieces])
    pieces = _cut(text, _octets, WORD_SPACE // 4 * 3, (WORD_SPACE - used) // 4 * 3)
    return "\r\n ".join([f"=?utf-8?b?{_b(piece)}?=" for piece in pieces])


def _cut(text: str, size: Callable[[str], int], room: int, first: int) -> Iterator[str]:
    """Pieces of at most `room` by `size`, of at most `first` the first of them; no character is cut in two."""
    if size(text) <= first:
        yield text
        return
    start, left = 0, first
    for end, char in enumerate(text):
        left -= size(char)
        if left < 0 and end > start:
            yield text[start:end]
            start, left = end, room - size(char)
    yield text[start:]


def _octets(text: str) -> int:
    return len(text.encode())


def _b(text: str) -> str:
    return b2a_base64(text.encode(), newline=False).decode("ascii")


def _q(text: str) -> str:
    """RFC 2047 §4.2 with the alphabet of §5 (3), which is also allowed in display names."""
    quoted = quote(text, safe="!*+-/").replace("_", "=5F").replace(".", "=2E").replace("~", "=7E")
    return quoted.replace("%20", "_").replace("%", "=")


def _word_size(text: str) -> int:
    return len(_q(text))


def _quoted_size(text: str) -> int:
    return len(quote(text, safe=""))
