"""From template to mail: escaping, the sandbox, what is missing, locales, dates and the text part."""

from __future__ import annotations

import re
from typing import Any

import pytest

from notify.errors import InvalidData, InvalidKind
from tests.unit.kinds.conftest import HTML, Workshop

PO = """msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"
"Plural-Forms: nplurals=3; plural=(n==1) ? 0 : (n>=2 && n<=4) ? 1 : 2;\\n"

msgid "Hello %(name)s"
msgstr "Ahoj %(name)s"

msgid "%(num)s day"
msgid_plural "%(num)s days"
msgstr[0] "%(num)s den"
msgstr[1] "%(num)s dny"
msgstr[2] "%(num)s dnů"
"""


def body(html: str) -> str:
    found = re.search(r"<body[^>]*>(.*)</body>", html, re.DOTALL)
    assert found is not None
    return found[1]


def test_html_is_escaped_and_text_is_not(workshop: Workshop) -> None:
    workshop.kind(data='name = "string"', subject="{{ name }}", files={"email.html": HTML % "<p>{{ name }}</p>"})
    mail = workshop.render({"name": "<b> & 'co'"})
    assert body(mail.html) == "<p>&lt;b&gt; &amp; &#39;co&#39;</p>"
    assert mail.subject == "<b> & 'co'"
    assert mail.text == "<b> & 'co'\n"


def test_what_fills_a_message_is_escaped(workshop: Workshop) -> None:
    workshop.kind(data='name = "string"', files={"email.html": HTML % '<p>{{ _("Hello %(n)s", n=name) }}</p>'})
    mail = workshop.render({"name": "<script>"})
    assert body(mail.html) == "<p>Hello &lt;script&gt;</p>"
    assert mail.text == "Hello <script>\n"


@pytest.mark.parametrize(
    "escape",
    [
        "{{ ''.__class__ }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ recipient.__init__.__globals__ }}",
        "{{ _.__globals__ }}",
        "{{ ''|attr('__class__') }}",
        "{{ recipient.update({'a': 1}) }}",
        "{{ '%s'.__format__ }}",
        "{{ '{0.__class__}'.format('') }}",
        "{{ range(10000000)|length }}",
    ],
)
def test_a_template_cannot_leave_the_sandbox(workshop: Workshop, escape: str) -> None:
    workshop.kind(files={"email.html": "<p>\n" + escape + "</p>"})
    with pytest.raises((InvalidKind, InvalidData), match=r"email\.html:2: "):
        workshop.render()


def test_a_missing_attribute_is_false_in_a_test(workshop: Workshop) -> None:
    words = '{{ recipient.name or "there" }}{% if recipient.company %} of {{ recipient.company }}{% endif %}'
    workshop.kind(files={"email.html": HTML % words})
    assert body(workshop.render().html) == "there"
    assert body(workshop.render(recipient={"name": "Ada", "company": "ACME"}).html) == "Ada of ACME"


@pytest.mark.parametrize(
    "use", ["{{ %s }}", "{{ _('%%(a)s', a=%s) }}", "{%% for a in %s %%}{%% endfor %%}", "{{ %s|date }}"]
)
def test_a_missing_attribute_that_is_printed_names_file_and_line(workshop: Workshop, use: str) -> None:
    workshop.kind(files={"email.html": "<p>one\n\ntwo</p>\n" + use % "recipient.compny"})
    with pytest.raises(InvalidData, match=r"email\.html:4: recipient\.compny is missing and has no default"):
        workshop.render(recipient={"company": "ACME"})


def test_a_null_attribute_counts_as_missing(workshop: Workshop) -> None:
    workshop.kind(files={"email.html": HTML % '{{ recipient.name or "there" }}'})
    assert body(workshop.render(recipient={"name": None}).html) == "there"


def test_any_other_error_of_a_template_names_file_and_line(workshop: Workshop) -> None:
    workshop.kind(data='rows = "integer"', files={"email.html": "<p>\n{{ 1 / rows }}</p>"})
    with pytest.raises(InvalidKind, match=r"email\.html:2: ZeroDivisionError"):
        workshop.render({"rows": 0})


def test_a_filter_says_what_it_needs(workshop: Workshop) -> None:
    workshop.kind(data='day = "string"', files={"email.html": "{{ day|date }}"})
    with pytest.raises(InvalidKind, match=r"email\.html:1: TypeError: needs a date, not str"):
        workshop.render({"day": "today"})


def test_an_undeclared_variable_is_found_when_the_kind_is_loaded(workshop: Workshop) -> None:
    workshop.kind(data='rows = "integer"', files={"email.html": "<p>\n\n{% if true %}{{ rwos }}{% endif %}</p>"})
    with pytest.raises(InvalidKind) as caught:
        workshop.load()
    complaint = "x/email.html:3: 'rwos' is not declared in kind.toml [data]; did you mean 'rows'?"
    assert str(caught.value).endswith(complaint)


def test_an_undeclared_variable_in_a_subject_names_its_line(workshop: Workshop) -> None:
    workshop.kind(subject="{{ titel }}", data='title = "string"')
    with pytest.raises(InvalidKind, match=r"kind\.toml:8: 'titel' is not declared"):
        workshop.load()


def test_a_loop_variable_needs_no_declaration(workshop: Workshop) -> None:
    words = "{% for each in names %}{{ loop.index }}{{ each }}{% set last = each %}{% endfor %}"
    workshop.kind(data='names = { type = "list", items = "string" }', files={"email.html": HTML % words})
    assert body(workshop.render({"names": ["a", "b"]}).html) == "1a2b"


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("<p>\n{% if %}</p>", r"email\.html:2: "),
        ("<p>\n{{ 'a' }</p>", r"email\.html:2: "),
        ("<p>\n{{ 3|numbr }}</p>", r"email\.html:2: no filter named 'numbr'; did you mean 'number'"),
        ("<p>\n{% if true %}</p>", r"email\.html:2: "),
        ("\n{% from 'a' import b %}", r"email\.html:2: from is not supported"),
    ],
)
def test_a_syntax_error_names_file_and_line(workshop: Workshop, source: str, complaint: str) -> None:
    workshop.kind(files={"email.html": source})
    with pytest.raises(InvalidKind, match=complaint):
        workshop.load()


def test_an_item_named_like_a_method_is_the_item(workshop: Workshop) -> None:
    workshop.kind(data='order = { type = "object", fields = { items = "integer" } }', subject="{{ order.items }}")
    assert workshop.render({"order": {"items": 3}}).subject == "3"


def test_whitespace_around_the_subject_is_stripped(workshop: Workshop) -> None:
    workshop.kind(subject="  {{ ' Hi ' }} ")
    assert workshop.render().subject == "Hi"


def test_subject_and_preheader_are_there_for_the_body(workshop: Workshop) -> None:
    workshop.kind(subject="A & B", email='preheader = "Soon"', files={"email.html": HTML % "{{ preheader }}"})
    mail = workshop.render()
    assert "<title>A &amp; B</title>" in mail.html
    assert body(mail.html) == "Soon"


@pytest.mark.parametrize(
    ("locale", "subject"), [("nl-BE", "nl"), ("nl_BE", "nl"), ("nl", "nl"), ("de", "any"), (None, "any")]
)
def test_a_subject_falls_back_from_region_to_language_to_default(
    workshop: Workshop, locale: str | None, subject: str
) -> None:
    workshop.kind(subject="any", email='[email.nl]\nsubject = "nl"')
    assert workshop.render(locale=locale).subject == subject


@pytest.mark.parametrize(
    ("locale", "expected"),
    [("nl_BE", ("nl-BE", "nl-BE")), ("nl-NL", ("nl", "nl")), ("fr", ("any", "en")), ("no such", ("any", "en"))],
)
def test_a_template_falls_back_from_region_to_language_to_default(
    workshop: Workshop, locale: str, expected: tuple[str, str]
) -> None:
    workshop.kind(
        files={f"email{tag}.html": HTML % tag.strip(".") for tag in (".nl", ".nl-BE")} | {"email.html": HTML % "any"}
    )
    mail = workshop.render(locale=locale)
    assert (body(mail.html), mail.locale) == expected


def test_a_catalogue_translates_with_the_plural_forms_of_its_language(workshop: Workshop) -> None:
    words = '{{ _("Hello %(name)s", name=recipient.name) }}: {{ ngettext("%(num)s day", "%(num)s days", days) }}'
    workshop.kind(data='days = "integer"', subject=words)
    workshop.write({"locales/cs/LC_MESSAGES/messages.po": PO})
    said = [workshop.render({"days": n}, {"name": "Ada"}, locale="cs-CZ").subject for n in (1, 3, 5)]
    assert said == ["Ahoj Ada: 1 den", "Ahoj Ada: 3 dny", "Ahoj Ada: 5 dnů"]
    assert workshop.render({"days": 1}, {"name": "Ada"}, locale="de").subject == "Hello Ada: 1 day"


def test_trans_blocks_are_translated_in_loops_too(workshop: Workshop) -> None:
    block = "{% trans name=name %}Hello {{ name }}{% endtrans %}"
    words = "{% for name in names %}" + block + ";{{ _('Hello %(name)s', name=name) }} {% endfor %}"
    workshop.kind(data='names = { type = "list", items = "string" }', subject=words)
    workshop.write({"locales/cs/LC_MESSAGES/messages.po": PO})
    assert workshop.render({"names": ["<A>"]}, locale="cs").subject == "Ahoj <A>;Ahoj <A>"


def test_a_kind_without_words_in_a_language_is_wholly_in_the_default(workshop: Workshop) -> None:
    workshop.kind(data='day = "date"', subject="Done on {{ day|date('long') }}")
    workshop.write({"locales/cs/LC_MESSAGES/messages.po": PO})
    mail = workshop.render({"day": "2026-03-29"}, locale="cs")
    assert mail.subject == "Done on March 29, 2026"
    assert mail.locale == "en"


def test_dates_follow_the_region_even_when_words_fall_back_to_the_language(workshop: Workshop) -> None:
    workshop.kind(data='day = "date"', subject="{{ day|date('short') }}")
    day = {"day": "2026-03-09"}
    assert workshop.render(day, locale="en-GB").subject == "09/03/2026"
    assert workshop.render(day, locale="en").subject == "3/9/26"


@pytest.mark.parametrize(
    ("template", "timezone", "expected"),
    [
        ("{{ at|datetime }}", "Europe/Amsterdam", "29 mrt 2026 03:30:00"),
        ("{{ at|time }}", "Asia/Kolkata", "07:00"),
        ("{{ at|date }}", "America/St_Johns", "28 mrt 2026"),
        ("{{ at|time }}", "No/Where", "01:30"),
        ("{{ at|time }}", None, "01:30"),
        ("{{ at|date('day') }}", "UTC", "zo 29 mrt"),
        ("{{ 1234567.5|number }}", "UTC", "1.234.567,5"),
        ("{{ 0.256|percent }}", "UTC", "26%"),
        ("{{ 1234.5|currency('EUR') }}", "UTC", "€\N{NO-BREAK SPACE}1.234,50"),
        ("{{ locale }} {{ direction }} {{ timezone }}", "Europe/Prague", "nl ltr Europe/Prague"),
    ],
)
def test_filters_write_in_the_locale_and_time_zone_of_the_message(
    workshop: Workshop, template: str, timezone: str | None, expected: str
) -> None:
    workshop.kind(data='at = "datetime"', subject="x", email=f'[email.nl]\nsubject = "{template}"')
    said = workshop.render({"at": "2026-03-29T01:30:00+00:00"}, locale="nl", timezone=timezone).subject
    assert said.replace(", ", " ").replace(" om ", " ") == expected


def test_a_constant_is_formatted_in_each_locale(workshop: Workshop) -> None:
    workshop.kind(subject="{{ 1.5|number }}", files={"email.html": "", "email.nl.html": ""})
    kind = workshop.load()
    said = [kind.email.render({"recipient": {}}, locale=tag, timezone=None).subject for tag in ("en", "nl")]
    assert said == ["1.5", "1,5"]


def test_the_text_part_is_derived_from_the_html(workshop: Workshop) -> None:
    html = """<style>p { color: red }</style><div style="display:none">Preheader</div>
    <h1>Title</h1><p>Read <a href="{{ link }}">the report</a> or <a href="mailto:a@example.org">a@example.org</a>.</p>
    <p><a href="{{ link }}">Open</a></p>
    {% if rows > 1 %}<p>{{ rows }} rows</p>{% endif %}
    <ul>{% for name in names %}<li>{{ name }}</li>{% endfor %}</ul>
    <table>{% for name in names %}<tr><td>{{ loop.index }}</td><td>{{ name }}</td></tr>{% endfor %}</table>"""
    data = 'link = "url"\nrows = "integer"\nnames = { type = "list", items = "string" }'
    workshop.kind(data=data, files={"email.html": HTML % html})
    given: dict[str, Any] = {"link": "https://example.org/r", "rows": 2, "names": ["<one>", "two"]}
    assert workshop.render(given).text == (
        "Title\n\nRead [the report](https://example.org/r) or a@example.org.\n\n"
        "Open: https://example.org/r\n\n2 rows\n\n"
        "  * <one>\n  * two\n\n1 | <one>\n2 | two\n"
    )
    assert "rows" not in workshop.render({**given, "rows": 1}).text


def test_a_text_template_takes_the_place_of_the_derived_text(workshop: Workshop) -> None:
    text = "Dear {{ recipient.name }},\n{% if true %}\nYes & no.\n{% endif %}\nBye {% if true %}now{% endif %}\nX"
    workshop.kind(files={"email.html": HTML % "<p>Body</p>", "email.txt": text})
    assert workshop.render(recipient={"name": "<Ada>"}).text == "Dear <Ada>,\nYes & no.\nBye now\nX\n"


def test_a_nearer_html_variant_wins_over_a_farther_text_template(workshop: Workshop) -> None:
    files = {"email.html": HTML % "any", "email.txt": "any text", "email.nl.html": HTML % "Nederlands"}
    workshop.kind(files=files)
    assert workshop.render(locale="nl").text == "Nederlands\n"
    assert workshop.render(locale="en").text == "any text\n"
    workshop.write({"x/email.nl.txt": "tekst"})
    assert workshop.render(locale="nl").text == "tekst\n"


def test_many_threads_share_one_kind(workshop: Workshop) -> None:
    from concurrent.futures import ThreadPoolExecutor

    workshop.kind(data='n = "integer"', subject="{{ n|number }}", email='[email.nl]\nsubject = "nl {{ n|number }}"')
    catalogue = workshop.catalogue

    def subject(n: int) -> str:
        kind = catalogue.get("x")
        return kind.email.render({"n": n, "recipient": {}}, locale=("en", "nl")[n % 2], timezone=None).subject

    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(subject, range(200)))
    assert said == [f"nl {n}" if n % 2 else str(n) for n in range(200)]
