"""A provider URL gives a provider, or a sentence that helps and keeps its secrets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from notify.channels import Channels, Configured, provider_for
from notify.channels.email.eml import EmlFolder
from notify.channels.email.smtp import Smtp
from notify.channels.email.smtp_line import Security
from notify.channels.registry import PROVIDERS
from notify.errors import InvalidProvider
from notify.model import Channel
from notify.rates import Rate


def smtp(url: str) -> Smtp:
    provider = provider_for(url)
    assert isinstance(provider, Smtp)
    return provider


def test_importing_the_room_loads_no_client() -> None:
    code = "import sys, notify.channels; sys.exit(any(n in sys.modules for n in ('smtplib', 'ssl', 'email_validator')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("scheme", PROVIDERS)
def test_every_scheme_in_the_table_opens(scheme: str) -> None:
    urls = {"eml": "eml:///tmp/mails", "mailgun": "mailgun://key@example.org", "ses": "ses://?region=eu-west-1"}
    url = urls.get(scheme, f"{scheme}://localhost")
    assert provider_for(url).channel is Channel.EMAIL


def test_every_part_of_an_smtp_url_is_read() -> None:
    provider = smtp(
        "smtp://ada%40example.org:p%2Fw%3F%C3%A9@Mail.example.org:587?tls=starttls&timeout=7.5&helo=me.test"
    )
    assert (provider.host, provider.port, provider.timeout, provider.connect_timeout) == (
        "mail.example.org",
        587,
        7.5,
        10.0,
    )
    assert provider.credentials == ("ada@example.org", "p/w?é")
    assert provider.greeting == "me.test"
    assert smtp("smtp://[::1]:2525").host == "::1"
    assert (provider.connections, provider.messages) == (128, 1000)
    bounded = smtp("smtps://localhost?connections=2&messages=50")
    assert (bounded.connections, bounded.messages) == (2, 50)


def test_ports_default_to_those_of_the_protocol() -> None:
    assert [smtp(url).port for url in ("smtp://localhost", "smtps://localhost")] == [25, 465]


@pytest.mark.parametrize(
    ("url", "security"),
    [
        ("smtp://mail.example.org", Security.WHEN_OFFERED),
        ("smtp://u:p@mail.example.org", Security.REQUIRED),
        ("smtp://u:p@127.0.0.1", Security.WHEN_OFFERED),
        ("smtp://u:p@localhost", Security.WHEN_OFFERED),
        ("smtp://localhost?tls=starttls", Security.REQUIRED),
        ("smtp://u:p@mail.example.org?tls=none", Security.NONE),
        ("smtps://mail.example.org", Security.IMPLICIT),
    ],
)
def test_a_password_never_goes_to_another_machine_in_the_clear_unless_told(url: str, security: Security) -> None:
    assert smtp(url).security is security


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("localhost:25", "no scheme"),
        ("smpt://localhost", "did you mean 'smtp'"),
        ("carrier-pigeon://roof", "no scheme"),
        ("pigeon://roof", "known are smtp, smtps, ses, resend, sendgrid, mailgun, postmark, eml"),
        ("smtp://", "host: is missing"),
        ("smtp://localhost:http", "port: must be a number from 1 to 65535"),
        ("smtp://localhost:0", "port: must be a number"),
        ("smtp://localhost:70000", "port: must be a number"),
        ("smtp://localhost?timeuot=3", "did you mean 'timeout'"),
        ("smtp://localhost?verify=no", "known are: ca, connect_timeout, connections, helo, messages, timeout, tls"),
        ("smtps://localhost?tls=none", "'tls' is unknown"),
        ("smtp://localhost?tls=startls", "did you mean 'starttls'"),
        ("smtp://localhost?timeout=soon", "number of seconds"),
        ("smtp://localhost?timeout=-1", "number of seconds"),
        ("smtp://localhost?timeout=nan", "number of seconds"),
        ("smtp://localhost?timeout=1&timeout=2", "given twice"),
        ("smtp://localhost?connections=0", "whole number above 0"),
        ("smtp://localhost?messages=many", "whole number above 0"),
        ("smtp://localhost?timeout", "?name=value"),
        ("smtp://localhost?ca=/no/such/file", "does not exist"),
        ("smtp://localhost?helo=a%0d%0aQUIT", "host name"),
        ("smtp://localhost/inbox", "path"),
        ("smtp://user@localhost", "user and password are given together"),
        ("smtp://" + "a" * 64 + ".org", "host"),
        ("eml://folder", "three slashes"),
        ("eml:///", "three slashes"),
        ("eml:///folder?x=1", "'x' is unknown; known are: none"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_with_the_part_at_fault(url: str, complaint: str) -> None:
    with pytest.raises(InvalidProvider) as refusal:
        provider_for(url)
    assert complaint in str(refusal.value)


def test_a_file_without_certificates_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing of the kind")
    with pytest.raises(InvalidProvider, match="holds no certificates"):
        provider_for(f"smtp://localhost?ca={tmp_path / 'ca.pem'}")


@pytest.mark.parametrize("torn", "/?#@:[]%\\ \n")
@pytest.mark.parametrize("form", ["smtp://user:{0}@host:25", "smtps://{0}:x@host?timeot=1", "smtp://user:1{0}@host/x"])
def test_a_secret_never_shows_however_wrong_the_url_is(form: str, torn: str) -> None:
    url = form.format(f"s3cr3t{torn}s3cr3t")
    try:
        shown = repr(provider_for(url))
    except InvalidProvider as error:
        shown = str(error)
    assert "s3cr3t" not in shown


def test_channels_keep_the_order_of_failover() -> None:
    channels = Channels.from_urls(email=["smtp://first.example.org", "eml:///tmp/mails"], secret="s")
    first, second = channels.providers(Channel.EMAIL)
    assert isinstance(first.provider, Smtp)
    assert isinstance(second.provider, EmlFolder)
    assert channels.providers(Channel.SMS) == ()


def configured(url: str) -> Configured:
    [found] = Channels.from_urls(email=[url], secret="s").providers(Channel.EMAIL)
    return found


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("smtp://u:p@mx1.example.org:587", "smtp:mx1.example.org:587"),
        ("smtps://mx1.example.org", "smtps:mx1.example.org:465"),
        ("eml:///tmp/mails", "eml"),
        ("smtp://mx1.example.org?name=main", "main"),
    ],
)
def test_a_provider_is_called_by_its_place_or_by_its_name(url: str, name: str) -> None:
    assert configured(url).name == name


def test_every_provider_has_the_common_options_and_its_own() -> None:
    found = configured("smtp://localhost?rate=14/s&timeout=3&weight=3&name=main")
    assert (found.rate, found.weight, found.share, found.name) == (Rate(14, 1), 3, None, "main")
    assert isinstance(found.provider, Smtp)
    assert found.provider.timeout == 3
    assert [configured(f"eml:///tmp?share={text}").share for text in ("5%", "5%25", "2.5%")] == [0.05, 0.05, 0.025]


@pytest.mark.parametrize(
    ("urls", "complaint"),
    [
        (["smtp://localhost?wieght=3"], "did you mean 'weight'"),
        (["smtp://localhost?nmae=x"], "did you mean 'name'"),
        (["smtp://localhost?weight=0"], "option 'weight': must be a whole number from 1 to 1000"),
        (["smtp://localhost?share=5"], "option 'share': must be a percentage"),
        (["smtp://localhost?share=101%"], "option 'share': must be a percentage"),
        (["smtp://localhost?rate=fast"], "option 'rate': must be a number per s, m, h or d"),
        (["smtp://localhost?name=a b"], "option 'name': must be a plain name"),
        (["smtp://localhost?name=a&name=b"], "option 'name': is given twice"),
        (["smtp://localhost?weight=1&share=5%"], "exclude each other"),
        (["smtp://localhost", "smtp://u:p@localhost:25"], "two providers of email are called 'smtp:localhost:25'"),
        (["smtp://a?share=60%", "smtp://b?share=50%"], "more than 100 %"),
    ],
)
def test_common_options_are_refused_with_the_part_at_fault(urls: list[str], complaint: str) -> None:
    with pytest.raises(InvalidProvider) as refusal:
        Channels.from_urls(email=urls, secret="s")
    assert complaint in str(refusal.value)


def test_the_digest_tells_of_a_change_and_of_nothing_else() -> None:
    [one] = Channels.from_urls(email=["smtp://u:s3cr3t@localhost"], secret="k").providers(Channel.EMAIL)
    [other] = Channels.from_urls(email=["smtp://u:s3cr4t@localhost"], secret="k").providers(Channel.EMAIL)
    [elsewhere] = Channels.from_urls(email=["smtp://u:s3cr3t@localhost"], secret="l").providers(Channel.EMAIL)
    assert len({one.digest, other.digest, elsewhere.digest}) == 3
    assert "s3cr3t" not in repr(one)
    assert one.digest not in repr(one)


def test_a_provider_is_found_by_its_name_or_the_nearest_is_told() -> None:
    channels = Channels.from_urls(email=["smtp://localhost?name=main", "eml:///tmp"], secret="s")
    assert channels.named("main").name == "main"
    with pytest.raises(InvalidProvider, match="did you mean 'main'"):
        channels.named("mian")
