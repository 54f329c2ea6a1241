"""What the text of a setting may be. Each rule returns the value, or says in a ValueError what to write instead.

A secret is never repeated.
"""

from __future__ import annotations

import re
from email.utils import parseaddr
from functools import cache
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from email_validator import EmailNotValidError, validate_email
from phonenumbers import SUPPORTED_REGIONS
from pydantic import SecretStr

from notify.errors import did_you_mean
from notify.rates import domain_rates, rate, share_of

REDIS_SCHEMES = frozenset({"redis", "rediss", "unix"})
NOT_IANA = frozenset({"localtime", "posixrules", "Factory"})  # lie among the zone files, and differ from host to host
LONGEST_URL = 500  # with the token it stays within a header's line of 998 octets
TOKEN = "{token}"  # noqa: S105 - the mark of its place
TOKEN_LENGTH = 45
LONGEST_LOCAL, LONGEST_ADDRESS = 64, 254  # RFC 5321 §4.5.3.1.1, §4.5.3.1.3
_URL = re.compile(rf"[!$-;=?-Z\[\]_a-z~]{{1,{LONGEST_URL}}}")  # RFC 3986 §2, but "#"
_TOPIC = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_.-]{1,256}")
_MAILBOX = re.compile(r'\s*(?:(?:"(?:[^"\\]|\\.)*"\s*|[^<>"]*)<[^<>]*>|[^<>"\s]+)\s*')


@cache
def time_zones() -> frozenset[str]:
    """The IANA names of time zones that this installation knows."""
    return frozenset(available_timezones()) - NOT_IANA


def unless_blank(value: Any) -> Any:
    """None for an empty text: `NOTIFY_REDIS_URL=` says that there is none."""
    return None if isinstance(value, str) and not value.strip() else value


def redis_url(value: SecretStr | None) -> SecretStr | None:
    """The URL of a Redis."""
    if value is not None:
        url = value.get_secret_value()
        if "://" not in url or url.partition("://")[0] not in REDIS_SCHEMES:
            raise ValueError("must begin with redis://, rediss:// or unix://, like redis://:password@host:6379/0")
        _require_readable(url)
    return value


def broker_url(value: SecretStr | None) -> SecretStr | None:
    """The URL of a broker. Which schemes there are is known where brokers are opened."""
    if value is not None:
        url = value.get_secret_value()
        if "://" not in url:
            raise ValueError("must be a URL like redis://:password@host:6379/0 or amqp://user:password@host//")
        _require_readable(url)
    return value


def provider_urls(value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    """One URL or more. Which schemes there are is known where providers are opened."""
    if not value:
        raise ValueError("is empty; write a provider's URL, such as smtp://user:password@host:587?tls=starttls")
    return urls(value)


def urls(value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    """URLs. Which schemes there are is known where they are opened."""
    if not all("://" in url.get_secret_value() for url in value[1:]):
        raise ValueError("a comma or space ends a URL; percent-encode them in user and password, as %2C and %20")
    return value


def one_rate(value: str | None) -> str | None:
    """A rate such as 10/m."""
    if value is not None:
        rate(value)
    return value


def share(value: str) -> str:
    """A share such as 0.1%."""
    share_of(value)
    return value


def rates_of_domains(value: str | None) -> str | None:
    """Rates by domain."""
    if value is not None:
        domain_rates(value)
    return value


def mailbox(value: str | None) -> str | None:
    """`Name <address>`, or a bare address, as a mail header can hold it."""
    if value is not None and (
        re.search(r"[\r\n\0]", value)
        or not _MAILBOX.fullmatch(value)
        or _normal(parseaddr(value)[1], anywhere=True) is None
    ):
        raise ValueError(f"write it like 'Name <address@example.org>', not {value!r}")
    return value


def return_path(value: str | None) -> str | None:
    """An address in ASCII, with the place of a token or without."""
    if value is None:
        return None
    whole = value.replace(TOKEN, "a" * TOKEN_LENGTH, 1)
    local = whole.rpartition("@")[0]
    if len(local) > LONGEST_LOCAL or len(whole) > LONGEST_ADDRESS:
        room = LONGEST_LOCAL - TOKEN_LENGTH
        raise ValueError(f"is too long: what stands beside {TOKEN} before the @ has at most {room} characters")
    if (
        not whole.isascii()
        or _normal(whole, anywhere=True) is None
        or TOKEN in whole
        or TOKEN in value.rpartition("@")[2]
    ):
        raise ValueError(
            f"write it like bounces+{TOKEN}@mail.example.org or bounces@mail.example.org, not {value!r:.80}"
        )
    return value


def one_click_url(value: str | None) -> str | None:
    """An https URL that a mail header can hold with a token behind it (RFC 8058 §3.1, RFC 3986 §2)."""
    if value is not None:
        try:
            parts = urlsplit(value)
            usable = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable or not _URL.fullmatch(value):
            raise ValueError(
                f"write it like https://app.example.org/unsubscribe, without a fragment and in at most "
                f"{LONGEST_URL} characters, not {value[:80]!r}"
            )
    return value


def public_url(value: str | None) -> str | None:
    """An https URL, or an http one of this machine, without query and fragment; a slash at its end is dropped."""
    if value is None:
        return None
    try:
        parts = urlsplit(value)
        here = parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1")
        usable = (parts.scheme == "https" or here) and bool(parts.hostname) and parts.port != 0 and not parts.username
    except ValueError:
        usable = False
    if not usable or not _URL.fullmatch(value) or "?" in value:
        raise ValueError(
            f"write it like https://notify.example.org, without a query or fragment, not {value[:80]!r} "
            "(http only for this machine itself)"
        )
    return value.rstrip("/")


def domain(value: str | None) -> str | None:
    """A domain that can stand behind the @ of a Message-ID."""
    if value is not None and _normal(f"x@{value}", anywhere=True) is None:
        raise ValueError(f"must be a domain such as mail.example.org, not {value!r}")
    return value


def named_secrets(value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    """`provider=secret`. Which providers there are is known where webhooks are read."""
    if not all(re.fullmatch(r"[a-z-]+=.+", one.get_secret_value(), re.DOTALL) for one in value):
        raise ValueError("write it like resend=whsec_…,mailgun=…; a comma or space ends a secret")
    return value


def topics(value: frozenset[str]) -> frozenset[str]:
    """ARNs of SNS topics."""
    wrong = next((one for one in sorted(value) if not _TOPIC.fullmatch(one)), None)
    if wrong is not None:
        raise ValueError(f"write it like arn:aws:sns:eu-west-1:123456789012:ses-events, not {wrong!r}")
    return value


def folded_addresses(value: frozenset[str]) -> frozenset[str]:
    """Addresses in the form in which they are compared."""
    known = {given: _normal(given, anywhere=False) for given in sorted(value)}
    wrong = next((given for given, address in known.items() if address is None), None)
    if wrong is not None:
        raise ValueError(f"{wrong!r} is not an e-mail address; write addresses, separated by commas")
    return frozenset(address.casefold() for address in known.values() if address)


def time_zone(value: str) -> str:
    """An IANA name."""
    if value not in time_zones():
        near = did_you_mean(value, time_zones()) or "."
        raise ValueError(f"{value!r} is not an IANA time zone{near} Write it like Europe/Amsterdam.")
    return value


def networks(value: tuple[str, ...]) -> tuple[str, ...]:
    """IP addresses, or networks in CIDR notation (RFC 4632 §3.1)."""
    for given in value:
        try:
            ip_network(given)
        except ValueError:
            raise ValueError(
                f"{given[:80]!r} is no IP address and no network; write it like 10.0.0.5 or 10.0.0.0/8 (the network's "
                "first address), separated by commas"
            ) from None
    return value


def phone_region(value: str | None) -> str | None:
    """A country's two letters (ISO 3166-1 alpha-2)."""
    if value is not None and value not in SUPPORTED_REGIONS:
        raise ValueError(f"{value!r} is no country{did_you_mean(value.upper(), SUPPORTED_REGIONS)}; write it like NL")
    return value


def user_and_password(value: SecretStr | None) -> SecretStr | None:
    """`user:password` (RFC 7617 §2)."""
    if value is not None and not re.fullmatch(r"[^:]+:.+", value.get_secret_value()):
        raise ValueError("write it like user:password")
    return value


def _require_readable(url: str) -> None:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - reading it is what checks it
    except ValueError:
        raise ValueError("host or port cannot be read; percent-encode '/', '?', '#' and '@' in a password") from None
    if parts.scheme in ("redis", "rediss") and not re.fullmatch(r"/?[0-9]*", parts.path):
        raise ValueError("what follows the host must be a database's number, like redis://host:6379/0")


def _normal(address: str, *, anywhere: bool) -> str | None:
    """The address in normal form; with `anywhere`, also one that only works on the network of an institution."""
    try:
        found = validate_email(
            address, check_deliverability=False, test_environment=True, globally_deliverable=not anywhere
        )
    except EmailNotValidError:
        return None
    return found.normalized
