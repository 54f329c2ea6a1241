"""What a passage's pieces become on the wire is what the whole text becomes, wherever its constants end."""

from __future__ import annotations

import re
from binascii import a2b_qp

from hypothesis import example, given
from hypothesis import strategies as st

from notify.passages import Fixed, Passage, tidy

# Short runs of what matters to quoting and to blank lines, and now and then a line that is too long for one.
texts = st.one_of(
    st.text(st.characters(), max_size=40),
    st.text(st.sampled_from("\n\n\n\r\0 \t.=a\N{NO-BREAK SPACE}\x85é🎉\ud83d\ude00"), max_size=200),
    st.builds(
        lambda unit, times: unit * times, st.sampled_from([".", "=", "word ", "é", "🎉", "x"]), st.integers(1, 90)
    ),
)
drawn = st.lists(st.tuples(st.booleans(), texts), max_size=12)


def made(pieces: list[tuple[bool, str]]) -> list[str]:
    return [Fixed(text) if fixed else text for fixed, text in pieces]


def on_the_wire(text: str) -> bytes:
    """The straightforward way: the whole text, one replacement after the other."""
    text = re.sub(r"\r\n|\r", "\n", text)
    text = text if text.endswith("\n") else text + "\n"
    return re.sub("[\0\ud800-\udfff]", "\ufffd", text).replace("\n", "\r\n").encode()


def assert_quoted(octets: bytes) -> None:
    assert octets.isascii()
    assert octets.endswith(b"\r\n")
    assert octets.count(b"\r\n") == octets.count(b"\n") == octets.count(b"\r")
    lines = octets.split(b"\r\n")
    assert max(map(len, lines)) <= 76
    assert not any(line.startswith(b".") or line.endswith((b" ", b"\t")) for line in lines)
    assert re.fullmatch(rb"(?:[\t\r\n !-<>-~]|=[0-9A-F]{2}|=\r\n)*", octets)


@given(drawn)
@example([(False, "a\r"), (True, "\nb\n.\n")])
@example([(True, "." * 160), (False, "\r"), (True, "\n" + "." * 160)])
@example([(False, "=" * 25), (True, "x" * 80)])
@example([(False, "a\n"), (True, " " * 80)])
@example([(True, "x" * 80), (False, ""), (True, "x" * 80 + "\n\n\ny")])
def test_any_pieces_read_back_as_their_whole_text(pieces: list[tuple[bool, str]]) -> None:
    octets = Passage(made(pieces)).octets()
    assert_quoted(octets)
    assert a2b_qp(octets) == on_the_wire("".join(text for _, text in pieces))


@given(drawn)
@example([(True, "a\n"), (False, ""), (True, "\n \n"), (False, "\N{NO-BREAK SPACE}"), (True, "\nb\n\n\n")])
@example([(False, " a\n\n\n\nb "), (True, "\n\n \n\nc"), (False, "\x85")])
def test_any_tidy_pieces_read_back_as_their_tidy_text(pieces: list[tuple[bool, str]]) -> None:
    passage = Passage(made(pieces), tidy=True)
    text = tidy("".join(text for _, text in pieces)) + "\n"
    assert str(passage) == text
    assert_quoted(passage.octets())
    assert a2b_qp(passage.octets()) == on_the_wire(text)


@given(texts)
def test_a_value_that_reads_like_a_constant_changes_no_octet_of_the_text(text: str) -> None:
    pieces = ["<", text, ">", Fixed(text), text]
    assert a2b_qp(Passage(pieces).octets()) == on_the_wire(f"<{text}>{text}{text}")


def test_words_between_values_are_quoted_once() -> None:
    lines = "".join(f"Line {n} = {n}\n" for n in range(50))
    constant = Fixed(f"!\n{lines}Bye ")
    assert (constant.head, constant.tail) == ("!\n", "Bye ")
    assert constant.lines == lines.replace("=", "=3D").replace("\n", "\r\n").encode()
    assert Passage(["Hello ", constant, "Ada"]).octets() == b"Hello !\r\n" + constant.lines + b"Bye Ada\r\n"


def test_a_long_line_is_quoted_but_for_its_end() -> None:
    constant = Fixed("é" * 200)
    assert constant.head == ""
    assert len(constant.tail.encode()) * 3 < 76
    octets = Passage(["Ada ", constant, " Bob"]).octets()
    assert octets.startswith(b"Ada =\r\n" + constant.lines)
