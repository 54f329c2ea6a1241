"""The settings as they are used: a value that nothing could work with is refused; and what follows from several."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from datetime import timedelta
from email.utils import parseaddr
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import field_validator, model_validator

from notify.settings import rules
from notify.settings.fields import DEVELOPMENT_SECRET, Environment, Fields

LONGEST_SOCKET_PATH = 100  # sun_path holds 108 bytes on Linux and 104 on macOS


class Settings(Fields):
    """Every setting, judged alone and together. Durations are in seconds."""

    @field_validator(
        "test_recipients", "old_secret_keys", "trusted_proxies", "hook_secrets", "sns_topics", mode="before"
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        return [part for part in re.split(r"[,\s]+", value) if part] if isinstance(value, str) else value

    @field_validator("email_providers", "alert_sinks", "mailboxes", mode="before")
    @classmethod
    def _split_urls(cls, value: Any) -> Any:
        """A comma among a URL's options belongs to it, unless another URL begins there."""
        return re.findall(r"[^\s,?]+(?:\?(?:[^\s,]|,(?!\s|,|$|\w+:))*)?", value) if isinstance(value, str) else value

    _unset = field_validator(
        *("database_url", "redis_url", "broker_url", "beat_schedule", "flower_basic_auth", "sentry_dsn"),
        *(
            "email_reply_to",
            "return_path",
            "email_domain",
            "public_url",
            "unsubscribe_url",
            "legacy_unsubscribe_secret",
        ),
        *("failpoints", "worker_memory_mb"),
        *("domain_rates", "recipient_rate", "tenant_rate", "phone_region", "organisation", "postal_address"),
        *(
            f"retention_{what}_days"
            for what in ("messages", "events", "dead", "changes", "hooks", "mails", "links", "audit")
        ),
        mode="before",
    )(rules.unless_blank)
    _redis = field_validator("redis_url")(rules.redis_url)
    _broker = field_validator("broker_url")(rules.broker_url)
    _providers = field_validator("email_providers")(rules.provider_urls)
    _mailboxes = field_validator("mailboxes")(rules.urls)
    _rates = field_validator("recipient_rate", "tenant_rate")(rules.one_rate)
    _shares = field_validator("guard_bounce", "guard_complaint")(rules.share)
    _by_domain = field_validator("domain_rates")(rules.rates_of_domains)
    _mailbox = field_validator("email_from", "email_reply_to")(rules.mailbox)
    _bounces = field_validator("return_path")(rules.return_path)
    _public = field_validator("public_url")(rules.public_url)
    _one_click = field_validator("unsubscribe_url")(rules.one_click_url)
    _domain = field_validator("email_domain")(rules.domain)
    _hooks = field_validator("hook_secrets")(rules.named_secrets)
    _topics = field_validator("sns_topics")(rules.topics)
    _addresses = field_validator("test_recipients")(rules.folded_addresses)
    _proxies = field_validator("trusted_proxies")(rules.networks)
    _region = field_validator("phone_region")(rules.phone_region)
    _zone = field_validator("default_timezone")(rules.time_zone)
    _login = field_validator("flower_basic_auth")(rules.user_and_password)

    @model_validator(mode="after")
    def _refuse_unsafe_production(self) -> Settings:
        if self.env is not Environment.PRODUCTION:
            return self
        secret = self.secret_key.get_secret_value()
        if secret == DEVELOPMENT_SECRET or len(secret) < 32:  # noqa: PLR2004 - 256 bits in hex halves
            raise ValueError(
                "NOTIFY_SECRET_KEY: production needs a secret of its own of at least 32 characters; "
                "make one with: python -c 'import secrets; print(secrets.token_urlsafe(48))'"
            )
        if any(old.get_secret_value() in (DEVELOPMENT_SECRET, secret) for old in self.old_secret_keys):
            raise ValueError(
                "NOTIFY_OLD_SECRET_KEYS: name secrets that were in use before; neither the development key, which "
                "anybody may know, nor the one in force"
            )
        if self.public_url is not None and not self.public_url.startswith("https:"):
            raise ValueError("NOTIFY_PUBLIC_URL: production wants https, for its links open what is a person's own")
        if self.debug:
            raise ValueError("NOTIFY_DEBUG: debug is refused in production; unset it")
        if self.failpoints is not None:
            raise ValueError("NOTIFY_FAILPOINTS: failpoints kill processes and are refused in production; unset it")
        if self.database.startswith("sqlite") and not self.allow_sqlite:
            raise ValueError(
                "NOTIFY_DATABASE_URL: production wants PostgreSQL (postgresql+psycopg://user:password@host/db); "
                "set NOTIFY_ALLOW_SQLITE=1 if one machine and one SQLite file are what you mean"
            )
        return self

    @property
    def secrets(self) -> tuple[str, ...]:
        """The secret key, which signs, and behind it the old ones, which are only recognised."""
        return tuple(key.get_secret_value() for key in (self.secret_key, *self.old_secret_keys))

    @property
    def database(self) -> str:
        """The SQLAlchemy URL in force, with its secret."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_dir.absolute() / 'notify.db'}"

    @property
    def socket(self) -> Path:
        """Where the embedded Valkey listens: in the data folder, or in the temporary one when that path is too long."""
        path = self.data_dir.absolute() / "valkey.sock"
        if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
            return path
        digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"notify-{digest}.sock"

    @property
    def redis(self) -> str:
        """The Redis URL in force, in redis-py's form, with its secret."""
        return self.redis_url.get_secret_value() if self.redis_url else f"unix://{self.socket}"

    @property
    def broker(self) -> str:
        """The broker URL in force, in kombu's form (`redis+socket://` for a Unix socket), with its secret."""
        url = self.broker_url.get_secret_value() if self.broker_url else self.redis
        return f"redis+socket://{url.removeprefix('unix://')}" if url.startswith("unix://") else url

    @property
    def dry_run_dir(self) -> Path:
        """Where dry runs write .eml files, a folder per notification."""
        return self.data_dir.absolute() / "dry-run"

    @property
    def unsubscribe_page(self) -> str | None:
        """What List-Unsubscribe names, without a token: the operator's endpoint, or our own page."""
        return self.unsubscribe_url or self.page("unsubscribe")

    def page(self, name: str) -> str | None:
        """The public address of a page of `notify web`; None without `public_url`."""
        return None if self.public_url is None else f"{self.public_url}/{name}"

    @property
    def sender(self) -> dict[str, str]:
        """What templates see as `sender`."""
        return {"organisation": self.organisation or "", "postal_address": self.postal_address or ""}

    @property
    def lease(self) -> timedelta:
        """`lease_seconds` as a duration."""
        return timedelta(seconds=self.lease_seconds)

    @property
    def message_id_domain(self) -> str:
        """The domain of Message-ID headers."""
        return self.email_domain or _bare(self.email_from).rpartition("@")[2]

    @property
    def sender_address(self) -> str:
        """The bare address of the From header."""
        return _bare(self.email_from)

    @property
    def bounce_address(self) -> str:
        """Where bounces go; `{token}` in it is the place of what names the message."""
        return self.return_path or self.sender_address


@lru_cache
def _bare(mailbox: str) -> str:
    """The address alone; asked for every message."""
    return parseaddr(mailbox)[1]
