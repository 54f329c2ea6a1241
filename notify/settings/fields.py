"""The settings themselves: name, type, default, bounds and meaning of each."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "NOTIFY_"
DEVELOPMENT_SECRET = "insecure-development-key"  # noqa: S105 - refused in production
HOUR, DAY = 3600, 86400  # in seconds


class Environment(StrEnum):
    """Where this process runs; production refuses unsafe defaults."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class LogFormat(StrEnum):
    """How log lines are written to standard error."""

    CONSOLE = "console"
    JSON = "json"


class Fields(BaseSettings):
    """Each field is read from `NOTIFY_<FIELD>`. Durations are in seconds."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    env: Environment = Field(Environment.DEVELOPMENT, description="`development` or `production`.")
    debug: bool = Field(False, description="Show tracebacks on the command line. Refused in production.")
    secret_key: SecretStr = Field(
        SecretStr(DEVELOPMENT_SECRET), description="Signs links and tokens; at least 32 characters in production."
    )
    old_secret_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        description="Secret keys of before, separated by commas: what they signed stays good, nothing new is signed "
        "with them.",
    )
    data_dir: Path = Field(
        Path(".notify"), description="Folder of the embedded database and broker, and of .eml files from dry runs."
    )
    database_url: SecretStr | None = Field(
        None,
        description="SQLAlchemy URL, e.g. postgresql+psycopg://user:password@host/db; unset: SQLite in the data dir.",
    )
    allow_sqlite: bool = Field(False, description="Permit SQLite in production.")
    redis_url: SecretStr | None = Field(
        None, description="Redis for journal and limits, e.g. redis://host:6379/0; unset: the embedded Valkey's socket."
    )
    broker_url: SecretStr | None = Field(None, description="Celery broker; unset: the same as the Redis URL.")
    templates_dir: Path = Field(
        Path("templates"), description="Folder of your kinds; those that ship with notify stay available."
    )
    beat_schedule: Path | None = Field(
        None, description="Timetable file for beat; unset: the one that ships with notify."
    )
    email_providers: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (SecretStr("smtp://127.0.0.1:1025"),),
        description="E-mail provider URLs, separated by commas: a later one carries what those before it cannot.",
    )
    domain_rates: str | None = Field(
        None, description="Most mails to a receiving domain, such as gmail.com=20/s,*=50/s; unset: no bound."
    )
    recipient_rate: str | None = Field(
        None, description="Most messages of one kind to one recipient, such as 10/m: more are delayed; unset: no bound."
    )
    tenant_rate: str | None = Field(None, description="Most messages of one tenant, such as 200/s; unset: no bound.")
    breaker_seconds: float = Field(
        30.0, gt=0, le=HOUR, description="A provider that fails is left alone so long, and longer when it fails again."
    )
    alert_sinks: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="URLs that alerts go to besides the log: mailto:, slack://, pagerduty://, https://."
    )
    alert_queue_seconds: float = Field(
        300.0, gt=0, le=DAY, description="Alert when work that is due waits longer than this."
    )
    alert_dead: int = Field(100, ge=1, description="Alert when so many messages died within a quarter of an hour.")
    soft_bounces: float = Field(
        3.0,
        gt=0,
        le=1000,
        description="An address with so many soft bounces rests for 30 days; each counts half after two weeks.",
    )
    guard_bounce: str = Field("5%", description="A mailout pauses when more than this share of what was sent bounces.")
    guard_complaint: str = Field("0.1%", description="A mailout pauses when more than this share brings complaints.")
    guard_least: int = Field(
        200, ge=1, description="No rate of bounces or complaints is judged by fewer sent messages than this."
    )
    email_from: str = Field("Notify <notify@example.org>", description="The From of every mail: `Name <address>`.")
    email_reply_to: str | None = Field(None, description="The Reply-To of every mail.")
    return_path: str | None = Field(
        None,
        description="Where bounces go, e.g. bounces+{token}@mail.example.org: a signed token in the place of `{token}` "
        "names the message. Unset: the address of the From.",
    )
    keep_replies: bool = Field(
        False, description="Keep the words of replies to mails, unless the kind has its own `keep_replies`."
    )
    email_domain: str | None = Field(None, description="Domain of Message-IDs; unset: the domain of the From address.")
    public_url: str | None = Field(
        None,
        description="Where the world reaches `notify web`, e.g. https://notify.example.org: the root of the links to "
        "its pages.",
    )
    organisation: str | None = Field(None, description="Who sends: stands in the footer of what is not transactional.")
    postal_address: str | None = Field(
        None,
        description="Postal address in the footer of what is not transactional; the CAN-SPAM Act demands it, and "
        "production sends no such kind without it.",
    )
    unsubscribe_url: str | None = Field(
        None,
        description="Address of an endpoint of your own for List-Unsubscribe (https); kinds with `unsubscribe = true` "
        "name it, with a signed token. Unset: the page of `notify web`, where there is a public URL.",
    )
    legacy_unsubscribe_secret: SecretStr | None = Field(
        None, description="UNSUBSCRIBE_SECRET of AmazonSender: the links in the mails that it sent go on working."
    )
    hook_secrets: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        description="Secrets of webhooks as provider=secret, separated by commas; of one provider as many as are in "
        "force. A provider without one is not listened to.",
    )
    sns_topics: Annotated[frozenset[str], NoDecode] = Field(
        frozenset(),
        description="ARNs of the Amazon SNS topics that may post events of SES, separated by commas; unset: none.",
    )
    mailboxes: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        description="Where mails come back to: URLs of mailboxes that are read (imaps://user:password@host/INBOX) and "
        "of addresses that are listened on (smtpd://host:port, lmtp://host:port), separated by commas.",
    )
    mailbox_stale_seconds: float = Field(
        DAY, gt=0, le=366 * DAY, description="Alert when the last success of a mailbox is longer ago than this."
    )
    test_recipients: Annotated[frozenset[str], NoDecode] = Field(
        frozenset(), description="Addresses that mode `test` may write to, separated by commas."
    )
    require_verified: bool = Field(
        False, description="Send nothing but onboarding kinds to addresses that were never verified."
    )
    confirmation_seconds: float = Field(
        7 * DAY, ge=60, le=366 * DAY, description="How long the link of a confirmation works."
    )
    default_locale: str = Field("en", description="Locale of templates without a variant for the recipient's locale.")
    default_timezone: str = Field("UTC", description="Time zone of recipients who named none (IANA name).")
    phone_region: str | None = Field(
        None, description="Country of phone numbers without a country's code, such as NL (ISO 3166-1); unset: refused."
    )
    max_attachment_bytes: int = Field(10_000_000, gt=0, description="Largest sum of one notification's attachments.")
    batch_size: int = Field(500, ge=1, le=500, description="Messages a worker leases at once.")
    lease_seconds: float = Field(
        30.0, ge=1, le=HOUR, description="How long a worker may stay silent before its batch is taken over."
    )
    republish_seconds: float = Field(
        60.0, ge=1, le=DAY, description="A published batch that nobody claims is published again after this."
    )
    retry_attempts: int = Field(15, ge=1, le=1000, description="Tries before a message is dead.")
    retry_base_seconds: float = Field(
        30.0, gt=0, le=DAY, description="First retry waits up to this; each later one up to twice as long."
    )
    retry_cap_seconds: float = Field(
        3600.0, gt=0, le=7 * DAY, description="No retry waits longer, unless the provider asks for it."
    )
    worker_concurrency: int = Field(
        4,
        ge=1,
        le=1000,
        description="Threads per worker process; every process may open twice as many database connections, and two.",
    )
    stuck_seconds: float = Field(
        120.0,
        gt=0,
        le=DAY,
        description="A worker that one message keeps longer gives its batch up, and stops to be started again.",
    )
    worker_memory_mb: int | None = Field(
        None,
        ge=64,
        description="A worker that holds more memory (MiB) stops as on SIGTERM, to be started again; unset: no bound.",
    )
    stale_seconds: float = Field(
        60.0, gt=0, le=DAY, description="`notify status` calls beat, workers or due work stale after this."
    )
    retention_messages_days: int | None = Field(
        None, ge=1, description="Messages that are done go after so many days, with their attempts; unset: never."
    )
    retention_events_days: int | None = Field(
        None,
        ge=1,
        description="What providers reported goes after so many days, with what followed: consequences, conversions, "
        "and what the guard held; unset: never.",
    )
    retention_dead_days: int | None = Field(
        None, ge=1, description="Dead letters go after so many days, with their mails; unset: never."
    )
    retention_changes_days: int | None = Field(
        None, ge=1, description="The history of recipients goes after so many days; unset: never."
    )
    retention_hooks_days: int | None = Field(
        30, ge=1, description="What webhooks posted goes after so many days, once it is read or rejected; unset: never."
    )
    retention_mails_days: int | None = Field(
        90, ge=1, description="What is kept of mails that came back goes after so many days; unset: never."
    )
    retention_links_days: int | None = Field(
        730,
        ge=7,
        description="Where a link of a tracked mail leads is kept so many days after the last mail with it: until then "
        "it works; unset: for ever.",
    )
    conversion_days: int = Field(
        7, ge=1, le=366, description="A conversion belongs to the last click of its recipient, if that is no older."
    )
    retention_audit_days: int | None = Field(None, ge=1, description="The audit goes after so many days; unset: never.")
    web_host: str = Field("127.0.0.1", description="Address that `notify web` listens on.")
    web_port: int = Field(8025, ge=1, le=65535, description="Port that `notify web` listens on.")
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        ("127.0.0.1", "::1"),
        description="Addresses or networks of the reverse proxies in front of `notify web`, separated by commas: the "
        "client's address is taken from their X-Forwarded-For, and from nobody else's.",
    )
    flower_port: int = Field(5555, ge=1, le=65535, description="Port that `notify flower` listens on.")
    flower_basic_auth: SecretStr | None = Field(None, description="`user:password` for Flower; required in production.")
    log_format: LogFormat = Field(LogFormat.CONSOLE, description="`console` or `json`.")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least level that is logged.")
    sentry_dsn: SecretStr | None = Field(None, description="Sentry project; errors are sent there without addresses.")
    failpoints: str | None = Field(
        None, description="For tests: where a process dies, hangs or fails. Refused in production."
    )
