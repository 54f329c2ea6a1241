"""Whatever a template says and whatever fills it, the mail says what plain Jinja would have written."""

from __future__ import annotations

import email
import email.policy
import re
from datetime import UTC, datetime
from email.message import EmailMessage, MIMEPart
from pathlib import Path
from uuid import UUID

import jinja2
import pytest
from babel import Locale
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from notify.channels.email import letter
from notify.errors import InvalidKind
from notify.kinds.environment import HTML as HTML_ENDING
from notify.kinds.environment import TEXT as TEXT_ENDING
from notify.kinds.environment import environment
from notify.kinds.places import Place
from notify.kinds.program import Program
from notify.kinds.sources import read_pieces
from notify.kinds.tokens import whole
from notify.kinds.translations import Shelf
from notify.model import Attachment, Mode
from notify.passages import Fixed, Passage, tidy
from notify.settings import load
from tests.unit.kinds.conftest import Workshop

SETTINGS = load(env_file=None)
ORIGIN = Place(Path("x"))
SANDBOXES = {
    ending: environment(Shelf([], "en"), "en", Locale("en"), html=ending == HTML_ENDING)
    for ending in (HTML_ENDING, TEXT_ENDING)
}
NAMES = ("one", "two", "many", "kept", "twice")

words = st.text(st.characters(exclude_characters="{}%#\0", exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    ["\n", "\n\n\n", "<b>", "</b>\n", "&amp;", ".", "\n.\n", " \n", "x" * 90, "=" * 30, "é" * 40, "a line\nanother\n"]
)
values = st.text(st.characters(), max_size=30) | words


def statement(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Source made of smaller source."""
    return st.one_of(
        st.lists(inner, max_size=4).map("".join),
        inner.map(lambda body: f"{{% if one %}}{body}{{% else %}}-{{% endif %}}"),
        inner.map(lambda body: f"{{% for two in many %}}{body}{{% endfor %}}"),
        inner.map(lambda body: f"{{% set kept %}}{body}{{% endset %}}[{{{{ kept }}}}]"),
        inner.map(lambda body: f"{{% filter upper %}}{body}{{% endfilter %}}"),
        inner.map(lambda body: f"{{% macro twice() %}}{body}{{% endmacro %}}{{{{ twice() }}}}{{{{ twice() }}}}"),
    )


leaves = words | st.sampled_from([f"{{{{ {name} }}}}" for name in ("one", "two", "'<i>'", "one|safe", "many|join")])
sources = st.recursive(leaves, statement, max_leaves=12)
contexts = st.fixed_dictionaries({"one": values, "two": values, "many": st.lists(values, max_size=3)})


def printed(source: str, context: dict[str, object], ending: str) -> list[str]:
    program = Program(whole(read_pieces(source, ORIGIN), ORIGIN), SANDBOXES[ending], set(NAMES), ending=ending)
    return program.bind(SANDBOXES[ending], {})(context)


def plainly(source: str, context: dict[str, object], *, escape: bool) -> str:
    return jinja2.Environment(autoescape=escape, keep_trailing_newline=True).from_string(source).render(context)


def received(text: str) -> str:
    text = re.sub(r"\r\n|\r", "\n", text)
    text = text if text.endswith("\n") else text + "\n"
    return re.sub("[\0\ud800-\udfff]", "\ufffd", text).replace("\n", "\r\n")


def decoded(part: MIMEPart) -> str:
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode()


@given(sources, sources, contexts)
def test_any_template_reads_back_as_plain_jinja_writes_it(html: str, text: str, context: dict[str, object]) -> None:
    html_part = Passage(printed(html, context, HTML_ENDING))
    text_part = Passage(printed(text, context, TEXT_ENDING), tidy=True)
    expected = plainly(html, context, escape=True), tidy(plainly(text, context, escape=False)) + "\n"
    assert (str(html_part), str(text_part)) == expected
    content = letter.envelope(
        SETTINGS,
        message_id=UUID(int=1),
        address="ada@example.org",
        name="Ada",
        subject="Hello",
        html=html_part,
        text=text_part,
        date=datetime(2026, 3, 1, tzinfo=UTC),
        mode=Mode.LIVE,
        attachments=[Attachment("a.csv", b"a,b\n", "text/csv")],
    ).content
    assert content.isascii()
    assert max(map(len, content.split(b"\r\n"))) <= 78
    mail = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(mail, EmailMessage)
    parts = mail.get_body(("html",)), mail.get_body(("plain",))
    assert tuple(decoded(part) for part in parts if part) == tuple(received(each) for each in expected)
    assert [part.get_payload(decode=True) for part in mail.iter_attachments()] == [b"a,b\n"]


def test_a_value_is_never_a_constant_even_when_it_reads_like_one(workshop: Workshop) -> None:
    workshop.kind(data='word = "string"', files={"email.html": "<b>{{ word }}<b>{{ word|safe }}"})
    part = workshop.render({"word": "<b>"}).html_part
    assert [(type(piece), str(piece)) for piece in part.pieces] == [
        (Fixed, "<b>"),
        (Markup, "&lt;b&gt;"),
        (Fixed, "<b>"),
        (Markup, "<b>"),
    ]


def test_words_without_placeholders_are_part_of_the_template_in_each_language(workshop: Workshop) -> None:
    body = "<p>{{ _('Hello') }}, {% trans %}you{% endtrans %} in {{ locale }} "
    body += "{{ 'rtl' if direction == 'rtl' else 'ltr' }}</p>"
    workshop.kind(files={"email.html": body})
    po = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\nmsgid "Hello"\nmsgstr "Dag <i>"\n'
    workshop.write({"locales/nl/LC_MESSAGES/messages.po": po})
    for locale, said in (("en", "<p>Hello, you in en ltr</p>"), ("nl", "<p>Dag <i>, you in nl ltr</p>")):
        part = workshop.render(locale=locale).html_part
        assert {type(piece) for piece in part.pieces} == {Fixed}
        assert str(part) == said


def test_a_name_that_the_template_sets_itself_is_a_value(workshop: Workshop) -> None:
    workshop.kind(files={"email.html": "{% for locale in ['a', 'b'] %}{{ locale }}{% endfor %}"})
    assert workshop.render().html == "ab"


def test_a_translation_that_cannot_be_printed_names_its_line(workshop: Workshop) -> None:
    workshop.kind(files={"email.html": "<p>\n{{ _('100 %') }}</p>"})
    with pytest.raises(InvalidKind, match=r"email\.html:2: "):
        workshop.render()
