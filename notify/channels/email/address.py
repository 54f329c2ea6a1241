"""An e-mail address in one normal form, or a sentence about what is wrong with it (RFC 5321 §4.1.2, RFC 6531 §3.3)."""

from __future__ import annotations

import re
from functools import lru_cache

import idna
from email_validator import EmailNotValidError, validate_email

from notify.errors import InvalidAddress

LONGEST_SHOWN = 80
_PLAIN = re.compile(r"([A-Za-z0-9_+-]{1,64}(?:\.[A-Za-z0-9_+-]{1,64})*)@([A-Za-z0-9.-]{1,80})")
_LONGEST_LOCAL = 64  # RFC 5321 §4.5.3.1.1


def parse(address: str, *, allow_test: bool) -> str:
    """The normal form: Unicode in NFC, the domain in lower case, the part before the @ as it was written.

    No DNS is asked. `allow_test` admits names under `.test` (RFC 2606 §2), for development. Raises `InvalidAddress`.
    """
    if not isinstance(address, str):
        raise InvalidAddress(f"an e-mail address must be text, not {type(address).__name__}")
    plain = _PLAIN.fullmatch(address)
    if plain and len(plain[1]) <= _LONGEST_LOCAL and (domain := _domain(plain[2], allow_test)):
        return f"{plain[1]}@{domain}"
    try:
        return validate_email(address, check_deliverability=False, test_environment=allow_test).normalized
    except EmailNotValidError as error:
        raise InvalidAddress(f"{_shown(address)} is not an e-mail address: {error}") from None


@lru_cache(maxsize=4096)
def _domain(domain: str, allow_test: bool) -> str | None:
    """The normal form of a domain, or None when there is something to say of it: a roster names few of them, often."""
    try:
        return validate_email(f"a@{domain}", check_deliverability=False, test_environment=allow_test).domain
    except EmailNotValidError:
        return None


def needs_smtputf8(address: str) -> bool:
    """Whether the part before the @ is beyond ASCII: only that needs a server with SMTPUTF8."""
    return not address.isascii() and not address.rpartition("@")[0].isascii()


def ascii_form(address: str) -> str:
    """The address with its domain as A-labels (RFC 5891 §4.4); the part before the @ is left as it is.

    Raises `InvalidAddress` when the domain has no such form.
    """
    local, at, domain = address.rpartition("@")
    if domain.isascii():
        return address
    try:
        return f"{local}{at}{idna.encode(domain, uts46=True).decode('ascii')}"
    except idna.IDNAError as error:
        raise InvalidAddress(f"{_shown(address)} is not an e-mail address: {error}") from None


def _shown(address: str) -> str:
    return repr(address if len(address) <= LONGEST_SHOWN else f"{address[:LONGEST_SHOWN]}…")
