"""`check()`: the proof that a kind works before anyone is written to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from notify.errors import UnknownKind
from notify.kinds import Catalogue, CompiledKind, Rendered
from notify.model import Channel
from tests.unit.kinds.conftest import HTML, Workshop
from tests.unit.kinds.test_rendering import PO

SHIPPED = Path(__file__).parents[3] / "templates"
NAMES = [
    *("confirm-subscription", "daily-progress", "job-completed", "job-failed"),
    *("preference-link", "preference-test", "verify-address", "welcome"),
]
LOCALES = ["en", "nl", "fr", "cs"]


def complaints(workshop: Workshop) -> str:
    return "\n".join(map(str, workshop.catalogue.check()))


def test_a_sound_kind_has_no_problems(workshop: Workshop) -> None:
    workshop.kind(sample={})
    assert workshop.catalogue.check() == workshop.catalogue.check("x") == []


def test_a_kind_without_a_sample_is_a_problem(workshop: Workshop) -> None:
    workshop.kind()
    assert "sample.json: is missing" in complaints(workshop)


def test_a_broken_kind_is_one_problem_with_file_and_line(workshop: Workshop) -> None:
    workshop.kind(files={"email.html": "\n{{ rwos }}"}, sample={})
    (problem,) = workshop.catalogue.check()
    assert (problem.kind, problem.file.name, problem.line) == ("x", "email.html", 2)
    assert "'rwos' is not declared" in problem.text


def test_a_sample_that_does_not_fit_is_a_problem(workshop: Workshop) -> None:
    workshop.kind(data='rows = "integer"', sample={"rows": "three"})
    assert "rows must be an integer" in complaints(workshop)


def test_a_sample_that_is_no_json_names_its_line(workshop: Workshop) -> None:
    workshop.kind()
    workshop.write({"x/sample.json": "{\n,}"})
    (problem,) = workshop.catalogue.check()
    assert (problem.file.name, problem.line) == ("sample.json", 2)


def test_a_sample_may_describe_its_recipient(workshop: Workshop) -> None:
    files = {"email.html": HTML % "{{ recipient.company }}"}
    workshop.kind(files=files, sample={})
    assert "email.html:1: in en: recipient.company is missing" in complaints(workshop)
    workshop.kind(files=files, sample={"recipient": {"company": "ACME"}})
    assert complaints(workshop) == ""
    assert workshop.load().sample == {}


def test_a_variant_is_rendered_too(workshop: Workshop) -> None:
    workshop.kind(files={"email.html": HTML % "fine", "email.nl.html": HTML % "{{ recipient.company }}"}, sample={})
    assert "email.nl.html:1: in nl: recipient.company is missing" in complaints(workshop)


def test_a_message_that_a_catalogue_leaves_out_is_a_problem(workshop: Workshop) -> None:
    workshop.kind(subject="{{ _('Hello %(name)s', name='A') }} {{ _('New') }}", sample={})
    workshop.write({"locales/cs/LC_MESSAGES/messages.po": PO})
    assert complaints(workshop).endswith("kind.toml:8: not translated into cs: 'New'")


def test_a_translation_with_a_foreign_placeholder_is_a_problem(workshop: Workshop) -> None:
    workshop.write({"locales/cs/LC_MESSAGES/messages.po": PO.replace("Ahoj %(name)s", "Ahoj %(jméno)s")})
    assert "messages.po:6: %(jméno)s is not in the message 'Hello %(name)s'" in complaints(workshop)


def test_a_broken_catalogue_is_a_problem(workshop: Workshop) -> None:
    workshop.kind(sample={})
    workshop.write({"locales/cs/LC_MESSAGES/messages.po": "garbage\n"})
    assert "messages.po:1: Unknown or misformatted keyword" in complaints(workshop)


def test_checking_an_unknown_kind_is_refused(workshop: Workshop) -> None:
    with pytest.raises(UnknownKind):
        workshop.catalogue.check("x")


@pytest.mark.parametrize(
    ("html", "complaint"),
    [
        ("<html lang='en'><body>x</body></html>", "no <title>"),
        ("<html><title>x</title><body>x</body></html>", "no language"),
        (HTML % "x<img src='cid:logo'>", "an image has no alt text: cid:logo"),
        (HTML % "x<a href='javascript:alert(1)'>y</a>", "a link may begin with http, https, mailto, cid"),
        (HTML % "x<a href=' java\nscript:alert(1)'>y</a>", "a link may begin with"),
        (HTML % "x<a href='/relative'>y</a>", "not '/relative'"),
        (HTML % "x<img alt='' src='data:image/png;base64,AA'>", "not 'data:image/png"),
        (HTML % "{% raw %}{{ name }}{% endraw %}", "the HTML holds a leftover '{{'"),
        (HTML % ("x" * 103_000), "Gmail clips what is over 102,000"),
        (HTML % "<img src='cid:a' alt=''>", "the text part is empty"),
    ],
)
def test_the_output_is_linted(workshop: Workshop, html: str, complaint: str) -> None:
    workshop.kind(files={"email.html": html}, sample={})
    assert complaint in complaints(workshop)


@pytest.mark.parametrize(
    ("subject", "complaint"), [("{{ '' }}", "the subject is empty"), ("x" * 151, "the subject has 151 characters")]
)
def test_the_subject_is_linted(workshop: Workshop, subject: str, complaint: str) -> None:
    workshop.kind(subject=subject, sample={})
    assert complaint in complaints(workshop)


@pytest.fixture(scope="module")
def shipped() -> Catalogue:
    return Catalogue([SHIPPED])


def rendered(kind: CompiledKind, locale: str, name: str | None = "Ada", **changes: object) -> Rendered:
    data = kind.typed(kind.validate({**kind.sample, **changes}))
    recipient = {"key": "u", "address": "ada@example.org", "name": name}
    return kind.render(Channel.EMAIL, {**data, "recipient": recipient}, locale=locale, timezone="Europe/Amsterdam")


def test_the_shipped_kinds_have_no_problems(shipped: Catalogue) -> None:
    assert shipped.names() == NAMES
    assert shipped.check() == []


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_kind_speaks_each_language(shipped: Catalogue, name: str, locale: str) -> None:
    mail = rendered(shipped.get(name), locale)
    assert mail.locale == locale
    assert f'<html lang="{locale}" dir="ltr"' in mail.html
    assert "prefers-color-scheme: dark" in mail.html
    if locale != "en":
        assert mail.text.splitlines()[2:] != rendered(shipped.get(name), "en").text.splitlines()[2:]


@pytest.mark.parametrize("locale", LOCALES)
def test_a_greeting_without_a_name_is_neutral(shipped: Catalogue, locale: str) -> None:
    greeting = {"en": "Hello,", "nl": "Hallo,", "fr": "Bonjour,", "cs": "Dobrý den,"}[locale]
    assert f"\n{greeting}\n" in rendered(shipped.get("welcome"), locale, name=None).text
    assert "Ada,\n" in rendered(shipped.get("welcome"), locale).text


@pytest.mark.parametrize(
    ("locale", "said"),
    [
        ("nl", ["1 rij is mislukt", "2 rijen zijn mislukt", "5 rijen zijn mislukt"]),
        ("fr", ["1 ligne a échoué", "2 lignes ont échoué", "5 lignes ont échoué"]),
        ("cs", ["1 řádek selhal", "2 řádky selhaly", "5 řádků selhalo"]),
    ],
)
def test_failed_rows_are_counted_in_the_right_plural(shipped: Catalogue, locale: str, said: list[str]) -> None:
    for failed, words in zip((1, 2, 5), said, strict=True):
        assert f"{words}." in rendered(shipped.get("job-completed"), locale, failed=failed).text


def test_an_attachment_is_mentioned_only_when_there_is_one(shipped: Catalogue) -> None:
    kind = shipped.get("job-completed")
    assert "attached as a CSV file: results.csv" in rendered(kind, "en").text
    assert "CSV" not in rendered(kind, "en", attachment="").text


def test_a_job_needs_no_more_than_its_id_and_rows(shipped: Catalogue) -> None:
    kind = shipped.get("job-completed")
    data = kind.typed(kind.validate({"job_id": "j1", "rows": 1200}))
    mail = kind.render(Channel.EMAIL, {**data, "recipient": {"address": "a@example.org"}}, locale="en", timezone=None)
    assert mail.subject == "j1 is done"
    assert "Successful" not in mail.text


def test_a_jobs_error_is_shown_as_it_is(shipped: Catalogue) -> None:
    mail = rendered(shipped.get("job-failed"), "en", error="<b>no</b> {{ x }}\n  at line 3")
    assert "&lt;b&gt;no&lt;/b&gt; {{ x }}\n  at line 3" in mail.html
    assert "<b>no</b> {{ x }}\n  at line 3" in mail.text


@pytest.mark.parametrize(
    ("active", "on_track", "said"),
    [
        (7, True, ("Your progress: 7 of 10 active days", "On track", "3 more active days and you are there")),
        (9, True, ("Your progress: 9 of 10 active days", "On track", "1 more active day and you are there")),
        (3, False, ("Action needed: 3 of 10 active days", "Action needed", "You still need 7 active days")),
        (10, False, ("Your progress: 10 of 10 active days", "Goal reached", "You have reached the goal")),
        (12, True, ("Your progress: 12 of 10 active days", "Goal reached", "You have reached the goal")),
    ],
)
def test_daily_progress_says_how_the_participant_stands(
    shipped: Catalogue, active: int, on_track: bool, said: tuple[str, str, str]
) -> None:
    mail = rendered(shipped.get("daily-progress"), "en", active_days=active, on_track=on_track)
    subject, status, words = said
    assert mail.subject == subject
    assert f"\n{status}\n" in mail.text
    assert words in mail.text
    assert re.search(r"(?<![\w-])-\d", mail.text) is None


def test_daily_progress_lists_its_days(shipped: Catalogue) -> None:
    mail = rendered(shipped.get("daily-progress"), "nl")
    assert "Dag | Feed geopend | Reacties | Actief\ndi 24 mrt | 4 | 7 | ja\n" in mail.text
    assert mail.html.count("<tr><td>") >= 6


# what is not transactional needs a footer

FOOTER = "<p>{{ sender.postal_address }} <a href='{{ unsubscribe_url }}'>Leave</a></p>"


def test_a_kind_that_is_not_transactional_needs_an_address_and_a_way_out(workshop: Workshop) -> None:
    workshop.kind(toml="", sample={})
    said = complaints(workshop)
    for part in ("the HTML lacks", "the text part lacks", "{{ sender.postal_address }} and {{ unsubscribe_url }}"):
        assert part in said
    assert "transactional = true" in said


@pytest.mark.parametrize(
    ("toml", "remedy"),
    [
        ("", "write unsubscribe = true in kind.toml"),
        ("unsubscribe = true\nrequired = true", "nobody can leave what is required"),
    ],
)
def test_a_kind_that_is_not_transactional_and_cannot_be_left_is_a_problem(
    workshop: Workshop, toml: str, remedy: str
) -> None:
    workshop.kind(toml=toml, files={"email.html": HTML % FOOTER}, sample={})
    assert remedy in complaints(workshop)
    workshop.kind(toml=f"{toml}\ntransactional = true", files={"email.html": HTML % FOOTER}, sample={})
    assert complaints(workshop) == ""


def test_a_footer_in_both_parts_will_do(workshop: Workshop) -> None:
    workshop.kind(toml="unsubscribe = true", files={"email.html": HTML % FOOTER}, sample={})
    assert complaints(workshop) == ""


def test_a_text_part_of_its_own_needs_the_footer_too(workshop: Workshop) -> None:
    text = "{{ sender.postal_address }}"
    workshop.kind(toml="unsubscribe = true", files={"email.html": HTML % FOOTER, "email.txt": text}, sample={})
    assert "email in en: the text part lacks {{ unsubscribe_url }}" in complaints(workshop)
    assert "the HTML lacks" not in complaints(workshop)


def test_only_the_progress_mail_of_those_that_ship_is_not_transactional() -> None:
    shipped = Catalogue([SHIPPED])
    assert [name for name in NAMES if not shipped.get(name).facts.transactional] == ["daily-progress"]
