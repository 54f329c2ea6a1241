"""Settings: where a value comes from, what is refused, and that no secret is ever shown."""

from __future__ import annotations

import dataclasses
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pydantic
import pytest

from notify.channels.email import letter
from notify.errors import InvalidSettings
from notify.model import Mode
from notify.settings import DEVELOPMENT_SECRET, Settings, load, redact, sources, time_zones

SECRET = "s3cr3t-that-is-long-enough-for-production"
PRODUCTION = {
    "NOTIFY_ENV": "production",
    "NOTIFY_SECRET_KEY": SECRET,
    "NOTIFY_DATABASE_URL": "postgresql+psycopg://notify:hunter2@db.example.org/notify",
}


@dataclasses.dataclass
class Places:
    """Where settings are written: the environment, and a file."""

    monkeypatch: pytest.MonkeyPatch
    file: Path

    def environment(self, **values: str) -> None:
        for name, value in values.items():
            self.monkeypatch.setenv(name, value)

    def write(self, *lines: str) -> None:
        self.file.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def load(self) -> Settings:
        return load(self.file)

    def refusal(self) -> str:
        with pytest.raises(InvalidSettings) as refused:
            self.load()
        return str(refused.value)


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Places:
    return Places(monkeypatch, tmp_path / "settings.env")


# where a value comes from


def test_without_anything_written_the_defaults_hold(places: Places) -> None:
    settings = places.load()
    assert settings.web_port == 8025
    assert settings.database == f"sqlite:///{Path.cwd() / '.notify' / 'notify.db'}"


def test_the_file_beats_the_default(places: Places) -> None:
    places.write("NOTIFY_WEB_PORT=9001")
    assert places.load().web_port == 9001


def test_the_environment_beats_the_file(places: Places) -> None:
    places.write("NOTIFY_WEB_PORT=9001")
    places.environment(NOTIFY_WEB_PORT="9002")
    assert places.load().web_port == 9002


def test_what_the_caller_says_beats_everything(places: Places) -> None:
    places.environment(NOTIFY_WEB_PORT="9002")
    assert load(places.file, web_port=9003).web_port == 9003


def test_sources_tell_where_each_value_came_from(places: Places) -> None:
    places.write("NOTIFY_WEB_PORT=9001", "NOTIFY_WEB_HOST=0.0.0.0")
    places.environment(NOTIFY_WEB_PORT="9002")
    told = sources(places.file)
    assert set(told) == set(Settings.model_fields)
    assert (told["web_port"], told["web_host"], told["debug"]) == ("environment", str(places.file), "default")


def test_names_in_the_environment_ignore_case(places: Places) -> None:
    places.environment(notify_web_port="9002")
    assert places.load().web_port == 9002
    assert sources(places.file)["web_port"] == "environment"


def test_settings_cannot_be_changed_once_read(places: Places) -> None:
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        places.load().web_port = 1  # type: ignore[misc]


# what is refused


def test_an_unknown_name_in_the_environment_is_refused_with_the_nearest_right_one(places: Places) -> None:
    places.environment(NOTIFY_EMAIL_PROVIDER="smtp://mx.example.org")
    assert "NOTIFY_EMAIL_PROVIDER is not a setting; did you mean 'NOTIFY_EMAIL_PROVIDERS'?" in places.refusal()


def test_an_unknown_name_in_the_file_is_refused_too(places: Places) -> None:
    places.write("NOTIFY_WEBPORT=1")
    assert "NOTIFY_WEBPORT is not a setting; did you mean 'NOTIFY_WEB_PORT'?" in places.refusal()


def test_an_unknown_override_is_refused(places: Places) -> None:
    with pytest.raises(InvalidSettings, match="webport is not a setting; did you mean 'web_port'"):
        load(places.file, webport=1)


def test_names_of_others_in_the_file_are_none_of_our_business(places: Places) -> None:
    places.write("DJANGO_DEBUG=1", "export NOTIFY_WEB_PORT=9001")
    assert places.load().web_port == 9001


def test_every_wrong_value_is_named_by_its_variable(places: Places) -> None:
    places.environment(NOTIFY_WEB_PORT="99999", NOTIFY_LOG_LEVEL="LOUD", NOTIFY_BATCH_SIZE="501")
    said = places.refusal()
    assert [line.partition(":")[0] for line in said.splitlines()] == [
        "NOTIFY_BATCH_SIZE",
        "NOTIFY_WEB_PORT",
        "NOTIFY_LOG_LEVEL",
    ]


MAILBOXES = [
    "ada@example.org",
    "<ada@example.org>",
    "Ada <ada@example.org>",
    "  Ada   Lovelace <ada@lab.internal.example.org>  ",
    '"Lovelace, Ada" <ada@example.org>',
    '"Ada \\"the first\\"" <ada+notify@example.org>',
    "Ada Łovelace <ada@exämple.org>",
    "adä@example.org",
    "no-reply@localhost.localdomain",
]
NO_MAILBOXES = [
    "nobody",
    "Ada <ada>",
    "Ada <ada@example.org>\nBcc: eve@example.net",
    "Ada <ada@example.org> eve",
    "Ada <ada@example.org>, Eve <eve@example.org>",
    "Ada <ada@@example.org>",
    "Ada ada@example.org",
    "ada@exa mple.org",
    "ada@example..org",
    "Ada <a,da@example.org>",
    "<>",
]


@pytest.mark.parametrize("setting", ["email_from", "email_reply_to"])
@pytest.mark.parametrize("text", NO_MAILBOXES)
def test_a_sender_that_is_no_address_is_refused(places: Places, setting: str, text: str) -> None:
    with pytest.raises(InvalidSettings, match=f"NOTIFY_{setting.upper()}: write it like"):
        load(places.file, **{setting: text})


@pytest.mark.parametrize("setting", ["email_from", "email_reply_to"])
@pytest.mark.parametrize("text", MAILBOXES)
def test_a_sender_that_is_accepted_can_be_written_into_a_mail(places: Places, setting: str, text: str) -> None:
    composed = letter.envelope(
        load(places.file, **{setting: text}),
        message_id=UUID(int=0),
        address="eve@example.org",
        name=None,
        subject="x",
        html=None,
        text="x",
        date=datetime(2026, 5, 1, tzinfo=UTC),
        mode=Mode.LIVE,
    )
    assert b"@" in composed.content.partition(b"\r\nTo:")[0]


def test_there_is_no_from_without_an_address(places: Places) -> None:
    places.environment(NOTIFY_EMAIL_FROM="")
    assert places.refusal().startswith("NOTIFY_EMAIL_FROM: write it like")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("EMAIL_PROVIDERS", "", "is empty; write a provider's URL, such as smtp://"),
        ("EMAIL_PROVIDERS", " , ", "is empty; write a provider's URL, such as smtp://"),
        ("RECIPIENT_RATE", "10 a minute", "such as 14/s or 10/m"),
        ("TENANT_RATE", "0/s", "such as 14/s or 10/m"),
        ("DOMAIN_RATES", "gmail.com", "write domain=rate"),
        ("DOMAIN_RATES", "gmail.com=1/s,GMAIL.com=2/s", "gmail.com is given twice"),
        ("DOMAIN_RATES", "*=fast", "*: write a rate"),
        ("EMAIL_PROVIDERS", "smtp://u:hunter2,hunter2@mx.example.org", "as %2C"),
        ("EMAIL_DOMAIN", "a b", "must be a domain such as"),
        ("EMAIL_DOMAIN", "a@b.org", "must be a domain such as"),
        ("EMAIL_DOMAIN", "mail.example.org>", "must be a domain such as"),
        ("UNSUBSCRIBE_URL", "http://app.example.org/u", "write it like https://app.example.org/unsubscribe"),
        ("UNSUBSCRIBE_URL", "https://", "write it like https://"),
        ("UNSUBSCRIBE_URL", "https://[::1", "write it like https://"),
        ("UNSUBSCRIBE_URL", "https://app.example.org/u#here", "without a fragment"),
        ("UNSUBSCRIBE_URL", "https://app.example.org/a b", "write it like https://"),
        ("UNSUBSCRIBE_URL", "https://app.example.org/é", "write it like https://"),
        ("UNSUBSCRIBE_URL", "https://app.example.org/u>,<mailto:a@b.org", "write it like https://"),
        ("UNSUBSCRIBE_URL", "https://app.example.org/" + "u" * 500, "at most 500 characters"),
        ("PUBLIC_URL", "notify.example.org", "write it like https://notify.example.org"),
        ("PUBLIC_URL", "http://notify.example.org", "http only for this machine itself"),
        ("PUBLIC_URL", "https://notify.example.org?a=1", "without a query or fragment"),
        ("PUBLIC_URL", "https://u:p@notify.example.org", "write it like https://notify.example.org"),
        ("TEST_RECIPIENTS", "ada@example.org,ada", "'ada' is not an e-mail address"),
        ("REDIS_URL", "http://:hunter2@redis", "must begin with redis://"),
        ("REDIS_URL", "redis", "must begin with redis://"),
        ("REDIS_URL", "redis://u:hunter2/x@redis:6379", "host or port cannot be read"),
        ("REDIS_URL", "redis://[::1", "host or port cannot be read"),
        ("REDIS_URL", "redis://redis:99999", "host or port cannot be read"),
        ("REDIS_URL", "redis://redis/hunter2", "a database's number"),
        ("BROKER_URL", "rabbit", "must be a URL"),
        ("BROKER_URL", "amqp://u:hunter2/x@rabbit", "host or port cannot be read"),
        ("BROKER_URL", "redis://redis/hunter2", "a database's number"),
        ("LEASE_SECONDS", "1e300", "less than or equal to 3600"),
        ("LEASE_SECONDS", "inf", "less than or equal to 3600"),
        ("LEASE_SECONDS", "nan", "less than or equal to 3600"),
        ("LEASE_SECONDS", "0.5", "greater than or equal to 1"),
        ("REPUBLISH_SECONDS", "inf", "less than or equal to 86400"),
        ("RETRY_BASE_SECONDS", "inf", "less than or equal to 86400"),
        ("RETRY_CAP_SECONDS", "inf", "less than or equal to 604800"),
        ("RETRY_ATTEMPTS", "1001", "less than or equal to 1000"),
        ("STALE_SECONDS", "inf", "less than or equal to 86400"),
        ("WORKER_CONCURRENCY", "1000000", "less than or equal to 1000"),
        ("FLOWER_BASIC_AUTH", "hunter2", "write it like user:password"),
        ("FLOWER_BASIC_AUTH", ":hunter2", "write it like user:password"),
        ("FLOWER_BASIC_AUTH", "hunter2:", "write it like user:password"),
        ("DEFAULT_TIMEZONE", "Europe/Amsterdm", "did you mean 'Europe/Amsterdam'?"),
        ("DEFAULT_TIMEZONE", "localtime", "not an IANA time zone"),
    ],
)
def test_a_value_that_nothing_could_work_with_is_refused(places: Places, name: str, value: str, says: str) -> None:
    places.environment(**{f"NOTIFY_{name}": value})
    said = places.refusal()
    assert said.startswith(f"NOTIFY_{name}: ")
    assert says in said
    assert "hunter2" not in said
    assert said.count("\n") == 0


@pytest.mark.parametrize(
    "name",
    [
        *("database_url", "redis_url", "broker_url", "beat_schedule", "email_reply_to", "email_domain", "sentry_dsn"),
        *("unsubscribe_url", "public_url", "legacy_unsubscribe_secret"),
    ],
)
def test_an_empty_value_is_as_good_as_none(places: Places, name: str) -> None:
    places.environment(**{f"NOTIFY_{name.upper()}": " "})
    assert getattr(places.load(), name) is None


def test_the_names_of_time_zones_are_those_of_iana() -> None:
    assert {"UTC", "Europe/Amsterdam", "America/Argentina/Ushuaia", "US/Eastern"} <= time_zones()
    assert not {"localtime", "Factory", "posixrules", "posix/UTC", "right/UTC", "Europe"} & time_zones()


def test_secrets_of_before_follow_the_one_that_signs(places: Places) -> None:
    places.environment(NOTIFY_SECRET_KEY="new", NOTIFY_OLD_SECRET_KEYS="older, oldest")
    assert places.load().secrets == ("new", "older", "oldest")
    assert "older" not in repr(places.load())


def test_the_public_url_is_the_root_of_pages(places: Places) -> None:
    places.environment(NOTIFY_PUBLIC_URL="https://notify.example.org/mail/")
    assert places.load().page("verify") == "https://notify.example.org/mail/verify"
    assert places.load().unsubscribe_page == "https://notify.example.org/mail/unsubscribe"


@pytest.mark.parametrize("given", ["*", "proxy", "10.0.0.1/8"])
def test_a_trusted_proxy_is_an_address_or_a_network(places: Places, given: str) -> None:
    places.environment(NOTIFY_TRUSTED_PROXIES=f"10.0.0.0/8, {given}")
    assert f"NOTIFY_TRUSTED_PROXIES: '{given}' is no IP address and no network" in places.refusal()


# production


def test_production_accepts_settings_of_its_own(places: Places) -> None:
    places.environment(**PRODUCTION)
    assert places.load().secret_key.get_secret_value() == SECRET


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"NOTIFY_SECRET_KEY": DEVELOPMENT_SECRET}, "NOTIFY_SECRET_KEY"),
        ({"NOTIFY_SECRET_KEY": "x" * 31}, "NOTIFY_SECRET_KEY"),
        ({"NOTIFY_OLD_SECRET_KEYS": f"{'x' * 40},{DEVELOPMENT_SECRET}"}, "NOTIFY_OLD_SECRET_KEYS"),
        ({"NOTIFY_OLD_SECRET_KEYS": SECRET}, "NOTIFY_OLD_SECRET_KEYS"),
        ({"NOTIFY_PUBLIC_URL": "http://localhost:8025"}, "NOTIFY_PUBLIC_URL"),
        ({"NOTIFY_DEBUG": "1"}, "NOTIFY_DEBUG"),
        ({"NOTIFY_DATABASE_URL": "sqlite:////srv/notify.db"}, "NOTIFY_DATABASE_URL"),
    ],
    ids=[
        *("the development secret", "a short secret", "the development secret as an old one", "one secret as both"),
        *("links without TLS", "debug", "SQLite"),
    ],
)
def test_production_refuses(places: Places, change: dict[str, str], named: str) -> None:
    places.environment(**PRODUCTION | change)
    said = places.refusal()
    assert said.startswith(f"{named}: ")
    assert "xxx" not in said, "a secret stays one, even when it is refused"


def test_production_refuses_the_embedded_database_that_nobody_chose(places: Places) -> None:
    places.environment(NOTIFY_ENV="production", NOTIFY_SECRET_KEY=SECRET)
    assert "NOTIFY_ALLOW_SQLITE=1" in places.refusal()


def test_production_takes_sqlite_when_it_is_meant(places: Places) -> None:
    places.environment(NOTIFY_ENV="production", NOTIFY_SECRET_KEY=SECRET, NOTIFY_ALLOW_SQLITE="1")
    assert places.load().database.startswith("sqlite:///")


def test_development_needs_none_of_that(places: Places) -> None:
    places.environment(NOTIFY_DEBUG="1")
    assert places.load().debug


# secrets


def test_no_secret_is_in_the_settings_text(places: Places) -> None:
    settings = load(
        places.file,
        secret_key="hunter2-key",
        database_url="postgresql://u:hunter2@db/n",
        redis_url="redis://:hunter2@redis:6379/0",
        broker_url="amqp://u:hunter2@rabbit//",
        email_providers="smtp://u:hunter2@mx.example.org:587",
        flower_basic_auth="admin:hunter2",
        sentry_dsn="https://hunter2@sentry.example.org/1",
    )
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in str(settings)
    assert "hunter2" not in settings.model_dump_json()


def test_no_secret_is_in_a_refusal(places: Places) -> None:
    places.environment(**PRODUCTION | {"NOTIFY_SECRET_KEY": "hunter2", "NOTIFY_EMAIL_PROVIDERS": "smtp://u:hunter2@mx"})
    assert "hunter2" not in places.refusal()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("smtp://user:hunter2@mx.example.org:587?tls=starttls", "smtp://user:***@mx.example.org:587?tls=starttls"),
        ("redis://:hunter2@redis:6379/0", "redis://:***@redis:6379/0"),
        ("rediss://default:hunter2@redis:6379/0", "rediss://default:***@redis:6379/0"),
        ("https://hunter2@sentry.example.org/1", "https://***@sentry.example.org/1"),
        ("postgresql+psycopg://u:hunter2@[2001:db8::1]:5432/n", "postgresql+psycopg://u:***@[2001:db8::1]:5432/n"),
        ("postgresql://db/n?user=u&password=hunter2", "postgresql://db/n?user=u&password=***"),
        ("smtp://user:hunt%40er2@mx", "smtp://user:***@mx"),
        ("smtp://user:@mx", "smtp://user:***@mx"),
        ("redis://r/0?pwd=hunter2&ssl_password=hunter2", "redis://r/0?pwd=***&ssl_password=***"),
        ("smtp://127.0.0.1:1025", "smtp://127.0.0.1:1025"),
        ("sqlite:////srv/notify.db", "sqlite:////srv/notify.db"),
        ("unix:///run/valkey.sock", "unix:///run/valkey.sock"),
        ("redis+socket:///run/valkey.sock", "redis+socket:///run/valkey.sock"),
        ("", ""),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert redact(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        "smtp://user:p@hunter2@mx.example.org",
        "postgresql://u:p/hunter2@db/n",
        "redis://:hunter2@one:1/0;redis://:hunter2@two:2/0",
        "smtp://u:p?a=hunter2@h",
        "resnd://re_hunter2",
        "sendgird://SG.hunter2",
        "pagerdty://hunter2",
        "slak://hooks.slack.com/services/T/B/hunter2",
        "htps://ops.example.org/hook/hunter2",
        "slack://hooks.slack.com/services/T/B/hunter2",
        "resend://hunter2?timeout=3,smtp://u:hunter2@mx",
    ],
)
def test_a_password_that_nobody_quoted_is_not_shown_either(url: str) -> None:
    assert "hunter2" not in redact(url)


# forms


@pytest.mark.parametrize("written", ["a@x.org,b@x.org", "a@x.org b@x.org", " a@x.org ,\n b@x.org, "])
def test_lists_are_separated_by_commas_or_spaces(places: Places, written: str) -> None:
    places.environment(NOTIFY_TEST_RECIPIENTS=written)
    assert places.load().test_recipients == {"a@x.org", "b@x.org"}


def test_a_provider_may_be_followed_by_a_comma(places: Places) -> None:
    places.environment(NOTIFY_EMAIL_PROVIDERS=" smtp://one,\n")
    assert [url.get_secret_value() for url in places.load().email_providers] == ["smtp://one"]


def test_test_recipients_are_compared_without_case(places: Places) -> None:
    places.environment(NOTIFY_TEST_RECIPIENTS="Ada@Example.org,eve@example.net,ada@example.org")
    assert places.load().test_recipients == {"ada@example.org", "eve@example.net"}


def test_the_socket_lies_in_the_data_folder(places: Places, tmp_path: Path) -> None:
    assert load(places.file, data_dir=Path("/srv/notify")).socket == Path("/srv/notify/valkey.sock")


def test_a_socket_path_that_no_system_takes_falls_back_to_the_temporary_folder(places: Places) -> None:
    deep, other = (load(places.file, data_dir=Path("/srv") / (letter * 120)).socket for letter in "ab")
    assert deep.parent == Path(tempfile.gettempdir())
    assert len(str(deep)) <= 100
    assert deep == load(places.file, data_dir=Path("/srv") / ("a" * 120)).socket, "the same folder, the same socket"
    assert deep != other, "another folder, another socket"


def test_the_embedded_valkey_is_named_in_each_clients_own_form(places: Places) -> None:
    settings = load(places.file, data_dir=Path("/srv/notify"))
    assert settings.redis == "unix:///srv/notify/valkey.sock"
    assert settings.broker == "redis+socket:///srv/notify/valkey.sock"


def test_the_broker_is_the_redis_unless_it_is_named(places: Places) -> None:
    assert load(places.file, redis_url="redis://r/1").broker == "redis://r/1"
    assert load(places.file, redis_url="redis://r/1", broker_url="amqp://rabbit//").broker == "amqp://rabbit//"


def test_message_ids_are_of_the_senders_domain_unless_another_is_named(places: Places) -> None:
    sender = "Lab <lab@uni.example.org>"
    assert load(places.file, email_from=sender).message_id_domain == "uni.example.org"
    assert load(places.file, email_from=sender, email_domain="id.example.org").message_id_domain == "id.example.org"


def test_a_lease_is_a_duration(places: Places) -> None:
    assert load(places.file, lease_seconds=1.5).lease == timedelta(seconds=1.5)


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_each_setting_says_what_it_is(name: str) -> None:
    described = Settings.model_fields[name].description
    assert described
    assert described.endswith(".")
