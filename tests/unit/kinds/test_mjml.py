"""MJML with Jinja in it: compiled once, every tag in its place, every mistake with its line."""

from __future__ import annotations

import pytest

from notify.errors import InvalidData, InvalidKind
from tests.unit.kinds.conftest import MJML, Workshop


def mail(workshop: Workshop, body: str, data: str = "", given: dict[str, object] | None = None) -> str:
    workshop.kind(data=data, files={"email.mjml": MJML % body})
    return workshop.render(given).html


def test_mjml_becomes_html(workshop: Workshop) -> None:
    html = mail(workshop, "<mj-text>Hello<br>you</mj-text>")
    assert html.startswith("<!doctype html>")
    assert "Hello<br />you" in html
    assert "mj-text" not in html


def test_no_font_is_fetched_that_nobody_asked_for(workshop: Workshop) -> None:
    assert "fonts.googleapis.com" not in mail(workshop, "<mj-text>Hello</mj-text>")


def test_a_less_than_sign_inside_a_tag_is_fine(workshop: Workshop) -> None:
    body = "{% if rows < 3 %}<mj-text>few</mj-text>{% endif %}<mj-text>{{ 'less' if rows<3 else 'more' }}</mj-text>"
    assert "few" in mail(workshop, body, 'rows = "integer"', {"rows": 2})
    assert "few" not in mail(workshop, body, 'rows = "integer"', {"rows": 3})


def test_a_loop_in_a_table_repeats_its_rows(workshop: Workshop) -> None:
    body = "<mj-table><tr><th>n</th></tr>{% for n in names %}<tr><td>{{ n }}</td></tr>{% endfor %}</mj-table>"
    html = mail(workshop, body, 'names = { type = "list", items = "string" }', {"names": ["a", "<b>"]})
    assert "<tr><td>a</td></tr><tr><td>&lt;b&gt;</td></tr>" in html


@pytest.mark.parametrize(
    "shape",
    [
        "{% if show %}%s{% endif %}",
        "<mj-section>{% if show %}<mj-column><mj-text>%s</mj-text></mj-column>{% endif %}</mj-section>",
        "<mj-section><mj-column>{% if show %}<mj-text>%s</mj-text>{% endif %}</mj-column></mj-section>",
        "<mj-wrapper>{% if show %}<mj-section><mj-column><mj-text>%s</mj-text></mj-column></mj-section>{% endif %}"
        "</mj-wrapper>",
        "<mj-hero>{% if show %}<mj-text>%s</mj-text>{% endif %}</mj-hero>",
    ],
)
def test_a_condition_may_stand_between_elements(workshop: Workshop, shape: str) -> None:
    shape = shape.replace("%s", "<mj-raw>Hello</mj-raw>" if "mj-" not in shape else "Hello")
    workshop.kind(data='show = "boolean"', files={"email.mjml": f"<mjml><mj-body>{shape}</mj-body></mjml>"})
    shown, hidden = workshop.render({"show": True}), workshop.render({"show": False})
    assert "Hello" in shown.html
    assert "Hello" not in hidden.html
    assert ("Hello" in shown.text, "Hello" in hidden.text) == (True, False)
    assert shown.html.count("[if ") == shown.html.count("[endif]")
    assert hidden.html.count("[if ") == hidden.html.count("[endif]")


def test_attributes_are_filled_and_escaped(workshop: Workshop) -> None:
    body = '<mj-image src="{{ link }}" alt="{{ word }}" /><mj-button href="{{ link }}">Go</mj-button>'
    html = mail(
        workshop, body, 'link = "url"\nword = "string"', {"link": "https://example.org/?a=1&b=2", "word": '" onload="x'}
    )
    assert html.count('="https://example.org/?a=1&amp;b=2"') == 2
    assert 'alt="&#34; onload=&#34;x"' in html


def test_the_document_has_language_title_and_preheader(workshop: Workshop) -> None:
    head = (
        '<mjml lang="{{ locale }}" dir="{{ direction }}"><mj-head><mj-title>{{ subject }}</mj-title>'
        "<mj-preview>{{ preheader }}</mj-preview></mj-head>"
    )
    source = head + "<mj-body><mj-section><mj-column><mj-text>Hi</mj-text></mj-column></mj-section></mj-body></mjml>"
    workshop.kind(subject="S", email='preheader = "P"', files={"email.mjml": source, "email.ar.mjml": source})
    arabic = workshop.render(locale="ar")
    assert '<html lang="ar" dir="rtl"' in arabic.html
    assert "<title>S</title>" in arabic.html
    assert "P</div>" in arabic.html
    assert arabic.text == "Hi\n"


def test_raw_jinja_stays_text(workshop: Workshop) -> None:
    assert "write {{ name }}" in mail(workshop, "<mj-text>write {% raw %}{{ name }}{% endraw %}</mj-text>")


def test_a_comment_leaves_nothing(workshop: Workshop) -> None:
    assert "secret" not in mail(workshop, "{# secret #}<mj-text>a{# secret\n #}b</mj-text>")


def test_a_layout_is_extended_and_its_blocks_are_filled(workshop: Workshop) -> None:
    layout = MJML % "<mj-text>{% block title %}none{% endblock %}</mj-text>{% block content %}{% endblock %}"
    child = """{% extends "base.mjml" %}
{% set word = "set" %}
{% block title %}before {{ super() }} after{% endblock %}
{% block content %}<mj-text>{{ word }} {% include "sign.mjml" %}</mj-text>{% endblock %}"""
    workshop.write({"_layouts/base.mjml": layout, "_layouts/sign.mjml": "Yours, {{ recipient.name or 'N' }}"})
    workshop.kind(files={"email.mjml": child})
    text = workshop.render().text
    assert text == "before none after\n\nset Yours, N\n"


def test_a_layout_may_extend_a_layout(workshop: Workshop) -> None:
    workshop.write(
        {
            "_layouts/root.mjml": MJML % "<mj-text>{% block a %}root{% endblock %}</mj-text>",
            "_layouts/middle.mjml": '{% extends "root.mjml" %}'
            "{% block a %}middle({{ super() }}, {% block b %}b{% endblock %}){% endblock %}",
        }
    )
    workshop.kind(files={"email.mjml": '{% extends "middle.mjml" %}{% block b %}leaf{% endblock %}'})
    assert workshop.render().text == "middle(root, leaf)\n"


def test_the_users_layout_shadows_the_shipped_one(workshop: Workshop, tmp_path: object) -> None:
    from notify.kinds import Catalogue
    from notify.model import Channel

    workshop.write({"_layouts/base.html": "theirs {% block c %}{% endblock %}"})
    workshop.kind(files={"email.html": '{% extends "base.html" %}{% block c %}x{% endblock %}'})
    ours = Workshop(workshop.folder.parent / "ours")
    ours.write({"_layouts/base.html": "ours {% block c %}{% endblock %}"})
    kind = Catalogue([ours.folder, workshop.folder]).get("x")
    assert kind.render(Channel.EMAIL, {"recipient": {}}, locale=None, timezone=None).html == "ours x"


@pytest.mark.parametrize(
    ("child", "complaint"),
    [
        ('{% extends "bas.mjml" %}', "email.mjml:1: no template 'bas.mjml' to extends; did you mean 'base.mjml'?"),
        ('{% extends "../secret.mjml" %}', "no template '../secret.mjml'"),
        ("{% extends name %}", "email.mjml:1: write it as"),
        (
            '{% extends "base.mjml" %}\n{% block contnt %}{% endblock %}',
            "email.mjml:2: the layout has no block 'contnt'; did you mean 'content'?",
        ),
        ('{% extends "base.mjml" %}\n\n<mj-text>lost</mj-text>', "email.mjml:3: stands outside every block"),
        ('{% extends "base.mjml" %}\n{% block content %}', "email.mjml:2: block content is not closed"),
        ('{% extends "base.mjml" %}{% endblock %}', "email.mjml:1: endblock without a block"),
        (
            '{% extends "base.mjml" %}\n{% block content %}{% include "me.mjml" %}{% endblock %}',
            "me.mjml:1: me.mjml would contain itself",
        ),
        (
            '{% extends "base.mjml" %}{% block content %}{{ super() }}{{ super() }}\n{{ rwos }}{% endblock %}',
            "email.mjml:2: 'rwos'",
        ),
        ('{% extends "broken.mjml" %}', "broken.mjml:3: 'rwos' is not declared"),
        ('{% extends "self.mjml" %}', "self.mjml:1: self.mjml would contain itself"),
    ],
)
def test_a_mistake_in_inheritance_names_file_and_line(workshop: Workshop, child: str, complaint: str) -> None:
    workshop.write(
        {
            "_layouts/base.mjml": MJML % "{% block content %}{% endblock %}",
            "secret.mjml": MJML % "",
            "_layouts/me.mjml": '{% include "me.mjml" %}',
            "_layouts/self.mjml": '{% extends "self.mjml" %}',
            "_layouts/broken.mjml": MJML % "\n\n<mj-text>{{ rwos }}</mj-text>",
        }
    )
    workshop.kind(files={"email.mjml": child})
    with pytest.raises(InvalidKind) as caught:
        workshop.load()
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("\n<mj-txet>Hi</mj-txet>", "email.mjml:2: <mj-txet> is not an MJML tag; did you mean 'mj-text'?"),
        ("\n<mj-text>a < b</mj-text>", "email.mjml:2: a bare '<' in MJML; write &lt;"),
        ("\n<mj-text>Hi</mj-button>", "email.mjml:2: </mj-button> inside <mj-text> closes nothing"),
        ("\n<mj-text>Hi", "email.mjml:2: </mj-column> inside <mj-text> closes nothing"),
        ("\n<p>Hi</p>", "email.mjml:2: <p> cannot stand in <mj-column>; put it in <mj-text> or <mj-raw>"),
        ("<mj-text>\n<mj-button>x</mj-button></mj-text>", "email.mjml:2: <mj-button> cannot stand in <mj-text>"),
        ('\n<mj-include path="x" />', "email.mjml:2: <mj-include> is not supported"),
        ("\n<mj-text {{ locale }}>Hi</mj-text>", "email.mjml:2: Jinja inside an MJML tag must stand within the quotes"),
        (
            "<mj-navbar>\n{% if true %}{% endif %}</mj-navbar>",
            "email.mjml:2: Jinja cannot stand between the children of <mj-navbar>",
        ),
        ("\n<mj-text><p>a<p>b</mj-text>", "email.mjml: MJML: unexpected end of stream"),
    ],
)
def test_a_mistake_in_mjml_names_file_and_line(workshop: Workshop, body: str, complaint: str) -> None:
    workshop.kind(files={"email.mjml": MJML % body})
    with pytest.raises(InvalidKind) as caught:
        workshop.load()
    assert complaint in str(caught.value)


def test_an_unclosed_document_is_refused(workshop: Workshop) -> None:
    workshop.kind(files={"email.mjml": "<mjml>\n<mj-body>"})
    with pytest.raises(InvalidKind, match=r"email\.mjml:2: <mj-body> is not closed"):
        workshop.load()


def test_jinja_in_the_head_is_refused_where_mjml_would_move_it(workshop: Workshop) -> None:
    workshop.kind(files={"email.mjml": "<mjml><mj-head>\n{% if true %}{% endif %}</mj-head><mj-body></mj-body></mjml>"})
    with pytest.raises(InvalidKind, match=r"email\.mjml:2: Jinja cannot stand between the children of <mj-head>"):
        workshop.load()


def test_an_error_while_rendering_names_the_line_of_the_mjml(workshop: Workshop) -> None:
    workshop.kind(files={"email.mjml": MJML % "\n<mj-text>a\n{{ recipient.a or 'a' }}\n{{ recipient.b }}</mj-text>"})
    with pytest.raises(InvalidData, match=r"email\.mjml:4: recipient\.b is missing"):
        workshop.render()


def test_an_error_in_a_layout_names_the_layout(workshop: Workshop) -> None:
    workshop.write({"_layouts/base.mjml": MJML % "\n\n<mj-text>{{ recipient.company }}</mj-text>"})
    workshop.kind(files={"email.mjml": '{% extends "base.mjml" %}'})
    with pytest.raises(InvalidData, match=r"_layouts/base\.mjml:3: recipient\.company is missing"):
        workshop.render()


def test_a_brace_before_a_tag_stays_a_brace(workshop: Workshop) -> None:
    assert "a{b" in mail(workshop, "<mj-text>a{\n{%- if true %}b{% endif %}</mj-text>")
