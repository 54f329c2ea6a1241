"""The URLs of NOTIFY_MAILBOXES: what each says, what is wrong with one, and that none tells its password."""

from __future__ import annotations

from pathlib import Path

import pytest

from notify.channels.oauth import TokenUrl
from notify.errors import InvalidSettings
from notify.feedback.mailboxes import (
    ImapMailbox,
    Listening,
    chosen,
    configured,
    imap_mailboxes,
    listeners,
    look_at_files,
)
from notify.feedback.mailboxes.listener import recipients
from notify.feedback.mailboxes.tokens import FromCommand, FromUrl
from notify.settings import Settings, load
from tests.certificates import write_certificates
from tests.unit.cli.running import install, notify_cli

SECRET = "hunter2"


def settings(*urls: str, **more: object) -> Settings:
    return load(env_file=None, mailboxes=",".join(urls), **more)


def read(url: str) -> ImapMailbox:
    (found,) = imap_mailboxes(settings(url))
    return found


def test_a_url_says_host_folder_and_what_becomes_of_mails() -> None:
    box = read(
        "imaps://bounces%40example.org:p%40ss@imap.example.org/Returned%20mail/2026?done=move:Done%20ones&poll=5"
    )
    assert (box.host, box.port, box.tls) == ("imap.example.org", 993, "implicit")
    assert (box.user, box.password) == ("bounces@example.org", "p@ss")
    assert (box.folder, box.done, box.target, box.poll) == ("Returned mail/2026", "move", "Done ones", 5)


def test_without_options_it_is_the_inbox_over_tls_and_mails_are_marked_as_seen() -> None:
    box = read(f"imap://u:{SECRET}@imap.example.org")
    assert (box.port, box.tls, box.folder, box.done, box.touches) == (143, "starttls", "INBOX", "flag", True)


@pytest.mark.parametrize("option", ["done=nothing", "keep_unseen=yes", "done=flag&keep_unseen=yes"])
def test_a_mailbox_may_be_left_as_it_is(option: str) -> None:
    assert not read(f"imaps://u:{SECRET}@imap.example.org?{option}").touches


def test_the_name_has_no_password_and_no_options() -> None:
    box = read(f"imaps://u%40x.org:{SECRET}@imap.example.org:1993/In?done=nothing")
    assert box.name == "imaps://u%40x.org@imap.example.org:1993/In"
    assert SECRET not in repr(box)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("imapss://u:hunter2@h", "unknown scheme 'imapss'; did you mean 'imaps'?"),
        ("hunter2", "no scheme"),
        ("imaps://u:hunter2@", "host: is missing"),
        ("imaps://h/INBOX", "user and password are needed"),
        ("imaps://u:hunter2@h:x", "port: must be a number"),
        ("imaps://u:hunter2@h?done=flog", "must be flag, move:FOLDER or nothing; did you mean 'flag'?"),
        ("imaps://u:hunter2@h?done=move:", "must be flag, move:FOLDER or nothing; did you mean 'move'?"),
        ("imaps://u:hunter2@h/Done?done=move:Done", "moves mails to where they are"),
        ("imaps://u:hunter2@h?dome=flag", "'dome' is unknown; did you mean 'done'?"),
        ("imaps://u:hunter2@h?tls=none", "'tls' is unknown"),
        ("imap://u:hunter2@h?tls=startls", "must be one of starttls, none; did you mean 'starttls'?"),
        ("imaps://u:hunter2@h?keep_unseen=maybe", "must be one of yes, no"),
        ("imaps://u:hunter2@h?timeout=0", "must be a number of seconds above 0"),
        ("imaps://u:hunter2@h?ca=%00", "'ca': names no file"),
        ("imaps://u:hunter2#@h", "percent-encode"),
        ("imaps://u@h?auth=oauth", "must be one of password, xoauth2"),
        ("imaps://u@h?auth=xoauth2", "where the token comes from is missing; one of token_url, token_file, token_c"),
        ("imaps://u:hunter2@h?auth=xoauth2&token_command=t", "password: is not expected with ?auth=xoauth2"),
        ("imaps://u:hunter2@h?token_command=t", "'token_command': is for ?auth=xoauth2"),
        ("imaps://u@h?auth=xoauth2&token_comand=t", "did you mean 'token_command'"),
        ("imaps://u@h?auth=xoauth2&token_command=t%20'", "must be a command line"),
        ("imaps://u@h?auth=xoauth2&token_command=t&client_secret=hunter2", "'client_secret': is for token_url"),
        ("imaps://u@h?auth=xoauth2&token_command=t&token_url=https://a.example/t", "are more than one"),
        ("imaps://u@h?auth=xoauth2&token_url=http://a.example/t&client_id=i", "must be like https://"),
        ("imaps://u@h?auth=xoauth2&token_url=https://a.example/t", "'client_id': is missing"),
        ("imaps://u@h?auth=xoauth2&token_url=https://a.example/t&client_id=i&client_secret=hunter2", "needs refresh_"),
        ("imaps://u@h?auth=xoauth2&token_url=https://a.example/t&client_id=i&refresh_token=hunter2+x", "written %2B"),
        ("imaps://?auth=xoauth2&token_command=t", "host: is missing"),
        ("imaps://h?auth=xoauth2&token_command=t", "user and password are needed"),
        ("smtpd://0.0.0.0", "port: is missing"),
        ("lmtp://u:hunter2@127.0.0.1:24", "is not expected"),
        ("smtpd://0.0.0.0:25?require_tls=yes", "'require_tls': needs a certificate, ?cert=FILE"),
        ("smtpd://0.0.0.0:25?key=pyproject.toml", "'key': needs a certificate, ?cert=FILE"),
        ("smtpd://0.0.0.0:25?sise=3", "'sise' is unknown; did you mean 'size'?"),
    ],
)
def test_what_cannot_be_used_is_named_with_what_was_meant(url: str, said: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        configured(settings(url))
    assert said in str(caught.value)
    assert "NOTIFY_MAILBOXES" in str(caught.value)
    assert SECRET not in str(caught.value)


BY_TOKEN = "imaps://u@h?auth=xoauth2"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            f"imaps://u:{SECRET}@h?ca=/nowhere/ca.pem",
            "mailbox h:993/INBOX: its file of ?ca= cannot be read: No such file",
        ),
        (f"{BY_TOKEN}&token_file=/nowhere/token", "mailbox h:993/INBOX: its token file token cannot be read: No such"),
        (
            f"{BY_TOKEN}&token_url=https://a.example/t&client_id=i&refresh_token_file=/nowhere/refresh",
            "mailbox h:993/INBOX: its refresh token file refresh cannot be read: No such file",
        ),
        (
            "smtpd://0.0.0.0:25?cert=/nowhere/c.pem",
            "'cert' of smtpd://0.0.0.0:25: certificate or key cannot be read:",
        ),
    ],
)
def test_a_file_that_is_away_is_named_to_who_looks_at_it_and_to_nobody_else(
    url: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [place] = configured(settings(url))
    with pytest.raises(InvalidSettings) as caught:
        look_at_files(place)
    assert str(caught.value).startswith("NOTIFY_MAILBOXES: ")
    assert said in str(caught.value)
    assert "\nNext: look at " in str(caught.value)
    install(monkeypatch, tmp_path, mailboxes=url)
    checked = notify_cli("config", "--check")
    assert (checked.code, said in checked.err) == (3, True)
    assert notify_cli("config").code == 0


def test_an_authority_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(InvalidSettings, match="holds no certificates"):
        look_at_files(read(f"imaps://u:{SECRET}@h?ca={tmp_path / 'ca.pem'}"))


def test_a_mailbox_is_named_once() -> None:
    with pytest.raises(InvalidSettings, match="h:993/INBOX is named twice"):
        configured(settings(f"imaps://u:{SECRET}@h", "imaps://u:other@h/INBOX?done=nothing"))


def test_a_certificate_of_a_listener_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    write_certificates(tmp_path)
    (tmp_path / "none.pem").write_text("no certificate")
    (tmp_path / "other").mkdir()
    write_certificates(tmp_path / "other")
    url, server = "smtpd://0.0.0.0:25?cert=", tmp_path / "server.pem"
    [good] = listeners(settings(f"{url}{server}&key={server}"))
    look_at_files(good)
    assert good.key == server
    for query, said in (
        (f"{tmp_path / 'none.pem'}", "option 'cert' of smtpd://0.0.0.0:25: must be files in PEM form"),
        (
            f"{server}&key={tmp_path / 'other' / 'server.pem'}",
            "certificate and key do not belong together",
        ),
    ):
        [place] = listeners(settings(url + query))
        with pytest.raises(InvalidSettings, match=said):
            look_at_files(place)


def test_mailboxes_and_listeners_are_told_apart() -> None:
    both = settings(f"imaps://u:{SECRET}@h", "smtpd://0.0.0.0:2525?connections=3&size=1000", "lmtp://[::1]:24")
    assert [one.name for one in imap_mailboxes(both)] == ["imaps://u@h:993/INBOX"]
    assert listeners(both) == (
        Listening("smtpd", "0.0.0.0", 2525, size=1000, connections=3),
        Listening("lmtp", "::1", 24),
    )
    assert listeners(both)[1].name == "lmtp://[::1]:24"


def test_a_mail_server_beside_a_listener_may_take_all_its_connections() -> None:
    places = listeners(settings("smtpd://0.0.0.0:25", "lmtp://[::1]:24?connections=30", "lmtp://[::1]:25?per_host=3"))
    assert [one.of_one_host for one in places] == [10, 30, 3]


def test_one_is_chosen_by_its_name_or_its_place() -> None:
    boxes = imap_mailboxes(settings(f"imaps://u:{SECRET}@h", f"imaps://v:{SECRET}@h/Other"))
    assert chosen(boxes, None) == boxes
    assert chosen(boxes, "imaps://u@h:993/INBOX") == boxes[:1]
    assert chosen(boxes, "h:993/Other") == boxes[1:]
    with pytest.raises(InvalidSettings, match="did you mean 'h:993/Other'"):
        chosen(boxes, "h:993/Othre")
    with pytest.raises(InvalidSettings, match=r"names no mailbox to read\nNext: add one, like imaps://"):
        chosen((), None)


TOKEN_URL = "https://login.example.org/o/token/"


def test_a_token_comes_from_where_the_url_says() -> None:
    at = "imaps://u%40x.org@imap.example.org?auth=xoauth2"
    box = read(f"{at}&token_url={TOKEN_URL}&client_id=i&client_secret={SECRET}&refresh_token=1//r&timeout=5")
    assert box.tokens == FromUrl(TokenUrl(TOKEN_URL, "i", SECRET, timeout=5), "1//r")
    assert read(f"{at}&token_command=get%20--for%20'x%20y'").tokens == FromCommand(("get", "--for", "x y"), 30)
    assert (box.name, box.user, box.password) == ("imaps://u%40x.org@imap.example.org:993/INBOX", "u@x.org", "")
    assert SECRET not in repr(box) + repr(box.tokens)


def test_no_command_shows_what_tokens_are_made_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of = f"token_url={TOKEN_URL}&client_id=i&client_secret={SECRET}1&refresh_token={SECRET}2"
    install(monkeypatch, tmp_path, mailboxes=f"imaps://u@imap.example.org/INBOX?auth=xoauth2&{of}")
    for arguments in (["config"], ["config", "--json"], ["config", "--check"], ["bounces", "mailboxes"]):
        ran = notify_cli(*arguments)
        assert SECRET not in ran.out + ran.err


def test_no_command_shows_the_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, tmp_path, mailboxes=f"imaps://u:{SECRET}@imap.example.org/INBOX,imapss://u:{SECRET}@h")
    for arguments in (["config"], ["config", "--json"], ["config", "--check"], ["bounces", "mailboxes"]):
        ran = notify_cli(*arguments)
        assert SECRET not in ran.out + ran.err
    assert "imaps://u:***@imap.example.org" in notify_cli("config", "--json").out
    refused = notify_cli("config", "--check")
    assert refused.code == 3
    assert "unknown scheme 'imapss'; did you mean 'imaps'?" in refused.err


@pytest.mark.parametrize(
    "address",
    [
        "bounces@mail.example.org",
        "BOUNCES@Mail.Example.Org",
        "news@example.org",
        "news+x7@example.org",
        "help@example.org",
    ],
)
def test_a_listener_takes_mail_for_what_we_write_as(address: str) -> None:
    ours = recipients(ours_are())
    assert ours.fullmatch(address.lower())


@pytest.mark.parametrize(
    "address",
    [
        "ada@example.org",
        "bounces@example.com",
        "xbounces@mail.example.org",
        "news@example.org.evil.example",
        "news",
        "",
    ],
)
def test_a_listener_takes_mail_for_nobody_else(address: str) -> None:
    assert not recipients(ours_are()).fullmatch(address)


def ours_are() -> Settings:
    path = "bounces+{token}@mail.example.org"
    return load(
        env_file=None, email_from="News <news@example.org>", email_reply_to="help@example.org", return_path=path
    )
