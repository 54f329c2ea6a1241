"""Of a reply the writer's own words are kept, and what it quotes is left out where that is plain."""

from __future__ import annotations

import pytest

from notify.feedback import replies
from notify.feedback.bounces import mime

PLAIN = "Content-Type: text/plain; charset=utf-8\n\n"


def words(mail: str) -> str:
    return replies.words(mime.parse(mail.encode()))


@pytest.mark.parametrize(
    "rest",
    [
        "On Mon, 2 Mar 2026 at 09:00, Notify <notify@example.org> wrote:\n> Hello\n>\n> Bye\n",
        "On Mon, 2 Mar 2026 at 09:00, Notify\n<notify@example.org> wrote:\n\n> Hello\n",
        "Am 02.03.2026 um 09:00 schrieb Notify:\n> Hello\n",
        "-----Original Message-----\nFrom: Notify\nSent: Monday\n\nHello\n",
        "________________________________\nFrom: Notify <notify@example.org>\nSent: Monday\n\nHello\n",
        "From: Notify <notify@example.org>\nSent: Monday\nTo: Ada\nSubject: Hello\n\nHello\n",
        "> Hello\n> Bye\n",
        "-- \nAda Lovelace\n> Hello\n",
    ],
)
def test_what_follows_the_words_is_left_out(rest: str) -> None:
    assert words(f"{PLAIN}Yes, at noon.\n\n{rest}") == "Yes, at noon."


@pytest.mark.parametrize(
    "text",
    [
        "> Shall we?\nYes.\n> When?\nAt noon.",
        "On Monday, he wrote:\n> Hello\n\nand I disagree.",
        "From: the beginning\nI liked it.",
        "> all that there is",
        "____________________\nYes.",
    ],
)
def test_what_is_not_plain_stays_whole(text: str) -> None:
    assert words(f"{PLAIN}{text}\n") == text


def test_the_plain_text_is_taken_rather_than_html_and_never_a_file() -> None:
    parts = [
        "Content-Type: text/plain\nContent-Disposition: attachment\n\nA file.",
        "Content-Type: text/html\n\n<p>In <b>HTML</b>.</p>",
        "Content-Type: text/plain\n\nIn plain.",
    ]
    mixed = "Content-Type: multipart/mixed; boundary=b\n\n"
    assert words(mixed + "".join(f"--b\n{one}\n" for one in parts) + "--b--\n") == "In plain."
    assert words(mixed + "".join(f"--b\n{one}\n" for one in parts[:2]) + "--b--\n") == "In HTML."
    assert words(mixed + f"--b\n{parts[0]}\n--b--\n") == ""


def test_only_so_many_words_are_kept_and_none_that_no_database_stores() -> None:
    assert words(PLAIN + "a\0b") == "a\ufffdb"
    assert len(words(PLAIN + "word " * 20_000)) <= replies.LONGEST
