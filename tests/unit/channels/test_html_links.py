"""Links are replaced where they stand, and lead where they led; every other octet of the mail stays."""

from __future__ import annotations

from html import escape
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notify.channels.email.html_links import LONGEST_URL, address, replaced
from notify.passages import Fixed, Passage

HERE = "https://notify.example.org/c/token"


def found(*pieces: str) -> tuple[str, list[str]]:
    """The mail with its links replaced, and where they led."""
    urls: list[str] = []

    def through_us(url: str) -> str:
        urls.append(url)
        return f"{HERE}{len(urls)}"

    return str(replaced(Passage(pieces), through_us)), urls


@pytest.mark.parametrize(
    ("written", "leads_to"),
    [
        ("https://example.org/", "https://example.org/"),
        ("https://example.org/?a=1&amp;b=2#part", "https://example.org/?a=1&b=2#part"),
        ("https://example.org/?a=1&b=2", "https://example.org/?a=1&b=2"),
        ("https://example.org/?a=1&copy=2&not=3", "https://example.org/?a=1&copy=2&not=3"),
        ("https://example.org/?a=1&copy;b", "https://example.org/?a=1©b"),
        ("https://example.org/?a&copy", "https://example.org/?a©"),
        ("https://example.org/?a=1&notit=2", "https://example.org/?a=1&notit=2"),
        ("https://b&#252;cher.example/stra&szlig;e", "https://bücher.example/straße"),
        ("https://bücher.example/ü?q=ü#ü", "https://bücher.example/ü?q=ü#ü"),
        ("  https://example.org/a\n b ", "https://example.org/a b"),
        ("&#104;ttps://example.org/", "https://example.org/"),
        ("HTTPS://EXAMPLE.org/Path", "HTTPS://EXAMPLE.org/Path"),
        ("https://example.org/%7Ea/%2F?x=%20+%2B", "https://example.org/%7Ea/%2F?x=%20+%2B"),
        ("mailto:ada@example.org", None),
        ("tel:+3612345678", None),
        ("#part", None),
        ("", None),
        ("/relative", None),
        ("//example.org/", None),
        ("javascript:alert(1)", None),
        ("https://", None),
        ("https:///path", None),
        ("ftp://example.org/", None),
        ("https://example.org/" + "a" * LONGEST_URL, None),
        ("https://example.org/\ud800", None),
    ],
)
def test_an_address_is_read_as_a_browser_reads_it(written: str, leads_to: str | None) -> None:
    assert address(written) == leads_to


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('<a href="https://a.example">x</a>', f'<a href="{HERE}1">x</a>'),
        ("<A class=b HREF='https://a.example' id=c>x</A>", f"<A class=b HREF='{HERE}1' id=c>x</A>"),
        ("<a href=https://a.example/>x</a>", f"<a href={HERE}1>x</a>"),
        ("<a\n  href = 'https://a.example'\n>", f"<a\n  href = '{HERE}1'\n>"),
        ("<area href='https://a.example'/>", f"<area href='{HERE}1'/>"),
        ('<a title="a > b" href="https://a.example">', f'<a title="a > b" href="{HERE}1">'),
        ('<a href="https://a.example" href="https://b.example">', f'<a href="{HERE}1" href="https://b.example">'),
    ],
)
def test_a_link_is_replaced_however_it_is_written(before: str, after: str) -> None:
    assert found(before)[0] == after
    assert found(Fixed(before))[0] == after


@pytest.mark.parametrize(
    "markup",
    [
        '<link href="https://a.example"><img src="https://a.example">',
        '<abbr href="https://a.example">',
        '<a data-href="https://a.example" name=href>',
        '<!-- <a href="https://a.example"> -->',
        '<!--[if mso]><a href="https://a.example">x</a><![endif]-->',
        '<style>a::after { content: "<a href=https://a.example>" }</style>',
        '<title><a href="https://a.example"></title>',
        '<textarea><a href="https://a.example"></textarea>',
        '<a href="https://a.example"',
        '<a href="https://a.example>',
        'a < b <a href="mailto:ada@example.org"> <1 <',
        "<a href>x</a>",
    ],
)
def test_what_is_no_link_stays_as_it_is(markup: str) -> None:
    assert found(markup) == (markup, [])
    assert found(Fixed(markup)) == (markup, [])


def test_what_outlook_is_told_to_pass_over_is_a_link_for_all_others() -> None:
    assert found('<!--[if !mso]><!--><a href="https://a.example"><!--<![endif]-->')[1] == ["https://a.example"]


def test_the_pixel_stands_at_the_end_of_the_body_and_once() -> None:
    html = "<html><body><p>x</p></body><!-- </body> --></html>"
    marked = str(replaced(Passage((Fixed(html),)), lambda url: None, "<img>"))
    assert marked == html.replace("</p></body>", "</p><img></body>")
    assert str(replaced(Passage(("no body",)), lambda url: None, "<img>")) == "no body<img>"


def test_constants_of_the_template_stay_quoted() -> None:
    long = Fixed("<p>" + "words\n" * 50 + "<a href='")
    pieces = replaced(Passage((long, "https://a.example/?q=1", Fixed("'>x</a>" + "more\n" * 50))), lambda url: HERE)
    assert str(pieces).count(HERE) == 1
    assert [type(piece) is Fixed for piece in pieces.pieces if len(piece) > 100] == [True, True]


MARKUP = st.sampled_from(
    [
        *('<a href="', "<a href='", "<a href=", "<a", " href", "=", '"', "'", ">", "</a>", "/", "<", "<!--", "-->"),
        *("<!", "-", "!", "<style>", "</style", "<title>", "</title>", "<body>", "</body>", "<area ", "class=x "),
        *(
            "https://a.example/?a=1&amp;b=2",
            "http://b.example",
            "mailto:a@b.example",
            "&lt;",
            "&copy=1",
            " ",
            "\n",
            "x",
        ),
    ]
)
PIECES = st.lists(st.lists(MARKUP, max_size=6).map("".join) | st.text(max_size=8), max_size=12)


@given(PIECES)
def test_links_that_stay_leave_every_octet(texts: list[str]) -> None:
    for pieces in (texts, [Fixed(text) for text in texts]):
        assert str(replaced(Passage(pieces), lambda url: None)) == "".join(texts)


@given(PIECES, st.lists(st.booleans(), min_size=12, max_size=12))
def test_where_a_mail_is_cut_into_pieces_changes_nothing(texts: list[str], constant: list[bool]) -> None:
    pieces = [Fixed(text) if fixed else text for text, fixed in zip(texts, constant, strict=False)]
    assert found(*pieces) == found("".join(texts))


class Outline(HTMLParser):
    """What another parser sees: tags with their attributes, and text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=False)
        self.seen: list[object] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.seen.append(data)


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=20)
URLS = st.builds(
    "https://{}.example/{}?{}#{}".format,
    st.sampled_from(["a", "bücher", "xn--bcher-kva"]),
    *[st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Z"]), max_size=12)] * 3,
)


@given(st.lists(st.tuples(WORDS, WORDS, URLS), max_size=5))
def test_text_and_other_attributes_stay_and_each_link_leads_where_it_led(parts: list[tuple[str, str, str]]) -> None:
    html = "".join(
        f'<p>{escape(a)}<a title="{escape(b)}" href="{escape(url)}">{escape(b)}</a></p>' for a, b, url in parts
    )
    marked, urls = found(html)
    assert urls == [url for _, _, url in parts]
    before, after = Outline(html).seen, Outline(marked).seen
    numbers = iter(range(1, len(parts) + 1))
    expected = [
        ("a", [one[1][0], ("href", f"{HERE}{next(numbers)}")]) if isinstance(one, tuple) and one[0] == "a" else one
        for one in before
    ]
    assert after == expected
