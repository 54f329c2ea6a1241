from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from notify.feedback.bounces import Kind, read
from notify.feedback.bounces.mail_files import MailFile, mails
from notify.feedback.bounces.mime import MAIL_LIMIT
from tests.unit.bounces.mails import THEM, block, plain, report

NOBODY = 65534
FROM = b"From MAILER-DAEMON Mon Mar  2 09:00:05 2026\n"


def read_from(*paths: Path) -> list[MailFile]:
    unread: list[OSError] = []
    found = list(mails(paths, unread.append))
    assert unread == []
    return found


def names(*paths: Path) -> list[str]:
    return [Path(one.name).name for one in read_from(*paths)]


def test_a_file_is_one_mail(tmp_path: Path) -> None:
    file = tmp_path / "bounce.eml"
    file.write_bytes(report(block()))

    (mail,) = read_from(file)

    assert (mail.name, mail.raw) == (str(file), report(block()))


def test_a_folder_is_read_in_the_order_of_names_with_what_lies_below(tmp_path: Path) -> None:
    for name in ("b.eml", "a.eml", "below/c.eml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(plain("x"))

    assert names(tmp_path) == ["a.eml", "b.eml", "c.eml"]


def test_a_maildir_is_read_without_what_is_being_delivered(tmp_path: Path) -> None:
    for name in ("cur/1:2,S", "new/2", "tmp/3"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(FROM + plain("x"))

    assert names(tmp_path) == ["1:2,S", "2"]


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_a_mailbox_file_is_taken_apart(tmp_path: Path, ending: bytes) -> None:
    file = tmp_path / "returned.mbox"
    content = b"\n".join(FROM + report(block(f"{name}@receiver.example")) for name in "abc")
    file.write_bytes(content.replace(b"\n", ending))

    found = read_from(file)

    assert [Path(one.name).name for one in found] == ["returned.mbox#1", "returned.mbox#2", "returned.mbox#3"]
    assert [read(one.raw).recipients[0].address[0] for one in found] == ["a", "b", "c"]


def test_a_sentence_that_begins_with_from_separates_nothing(tmp_path: Path) -> None:
    file = tmp_path / "mbox"
    file.write_bytes(
        FROM + plain(f"<{THEM}>: user unknown\n\nFrom now on it fails, since the year 2026\n\nFrom here 2026")
    )

    assert names(file) == ["mbox"]


def test_a_returned_mail_with_an_envelope_line_does_not_split_a_file_that_is_one_mail(tmp_path: Path) -> None:
    file = tmp_path / "bounce.eml"
    file.write_bytes(FROM + plain(f"<{THEM}>: user unknown\n\n") + FROM + plain("what was returned"))

    (mail,) = read_from(file)

    assert read(mail.raw).kind is Kind.BOUNCE


def test_no_more_of_a_mail_is_held_than_is_read(tmp_path: Path) -> None:
    alone, several = tmp_path / "bounce.eml", tmp_path / "mbox"
    big = report(block()) + b"padding of a line\n" * 300_000
    alone.write_bytes(big)
    several.write_bytes(FROM + big + b"\n" + FROM + plain("x"))

    found = read_from(alone, several)

    assert len(found) == 3
    assert all(len(one.raw) <= MAIL_LIMIT + 100 for one in found)
    assert read(found[0].raw) == read(found[1].raw)


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "link.eml").symlink_to("/etc/hostname")

    assert names(tmp_path) == []


def test_an_empty_file_is_a_mail_that_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty.eml").touch()

    (mail,) = read_from(tmp_path)

    assert read(mail.raw).kind is Kind.OTHER


def test_what_cannot_be_read_is_told_and_the_rest_of_its_folder_is_read(tmp_path: Path) -> None:
    pipe, last = tmp_path / "pipe", tmp_path / "z.eml"
    os.mkfifo(pipe)
    last.write_bytes(report(block()))
    unread: list[OSError] = []

    found = list(mails([pipe, tmp_path / "gone", last], unread.append))

    assert [Path(one.filename).name for one in unread] == ["pipe", "gone"]
    assert [Path(one.name).name for one in found] == ["z.eml"]


def test_a_file_that_nobody_may_read_keeps_no_other_of_its_folder_from_being_read() -> None:
    with TemporaryDirectory() as name, unprivileged(Path(name)):
        for file in ("1.eml", "2.eml", "3.eml"):
            Path(name, file).write_bytes(report(block()))
        Path(name, "2.eml").chmod(0)
        unread: list[OSError] = []

        found = list(mails([Path(name)], unread.append))

    assert [Path(one.filename).name for one in unread] == ["2.eml"]
    assert [Path(one.name).name for one in found] == ["1.eml", "3.eml"]


@contextmanager
def unprivileged(folder: Path) -> Iterator[None]:
    """As somebody whom permissions bind, where the tests are run by root."""
    was = os.geteuid()
    if was:
        yield
        return
    os.chown(folder, NOBODY, -1)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(was)


def test_pipes_and_sockets_in_a_folder_are_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket has a hundred characters at most
    os.mkfifo("pipe.eml")
    with socket.socket(socket.AF_UNIX) as nobody:
        nobody.bind("socket.eml")

        assert names(tmp_path) == []
