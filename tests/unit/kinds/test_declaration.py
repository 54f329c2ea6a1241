"""kind.toml: what it may hold, and how a mistake in it is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from notify.errors import InvalidKind, InvalidSettings, UnknownKind
from notify.kinds import Catalogue
from notify.model import Channel, Lane, OnDoubt
from tests.unit.kinds.conftest import Workshop


def test_facts_are_those_of_kind_toml_and_their_defaults(workshop: Workshop) -> None:
    workshop.kind()
    facts = workshop.load().facts
    assert (facts.name, facts.title, facts.category, facts.channels) == ("x", "X", "test", (Channel.EMAIL,))
    assert (facts.lane, facts.on_doubt) == (Lane.NORMAL, OnDoubt.RESEND)
    assert (facts.critical, facts.unsubscribe) == (False, False)
    assert (facts.read_receipts, facts.keep_replies) == (False, None)


def test_facts_can_be_set(workshop: Workshop) -> None:
    workshop.kind(toml='lane = "critical"\non_doubt = "hold"\ncritical = true\nunsubscribe = true')
    facts = workshop.load().facts
    assert (facts.lane, facts.on_doubt) == (Lane.CRITICAL, OnDoubt.HOLD)
    assert (facts.critical, facts.unsubscribe) == (True, True)


@pytest.mark.parametrize("said", [True, False])
def test_a_kind_may_ask_for_receipts_and_say_whether_replies_are_kept(workshop: Workshop, said: bool) -> None:
    workshop.kind(toml=f"read_receipts = true\nkeep_replies = {str(said).lower()}")
    facts = workshop.load().facts
    assert (facts.read_receipts, facts.keep_replies) == (True, said)


@pytest.mark.parametrize(
    ("toml", "complaint"),
    [
        ('titel = "X"', "kind.toml:4: titel is not a key of kind.toml; did you mean 'title'?"),
        ('lane = "bulky"', "kind.toml:4: lane cannot be 'bulky'; did you mean 'bulk'?"),
        ('on_doubt = "never"', "kind.toml:4: on_doubt cannot be 'never'; use one of resend, hold"),
        ('quiet = "digest"', "kind.toml:4: quiet: this version has no digests to put it in; use one of hold, drop"),
        ('quiet = "downgrade"', "kind.toml:4: quiet: this version has no in-app channel to put it in; use one of"),
        ('quiet = "later"', "kind.toml:4: quiet cannot be 'later'; use one of hold, drop, send"),
        ("critical = 1", "kind.toml:4: critical must be a boolean, not int"),
        ("read_receipts = 1", "kind.toml:4: read_receipts must be a boolean, not int"),
        ('unsubscribe = "yes"', "kind.toml:4: unsubscribe must be a boolean, not str"),
        ("lane = ", "kind.toml:4: Invalid value (at line 4"),
    ],
)
def test_a_wrong_key_is_named_with_its_line(workshop: Workshop, toml: str, complaint: str) -> None:
    workshop.kind(toml=toml)
    with pytest.raises(InvalidKind) as caught:
        workshop.load()
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ('rows = "integr"', "kind.toml:6: rows: 'integr' is not a type; did you mean 'integer'?"),
        ("rows = 3", "kind.toml:6: rows needs a type"),
        (
            'rows = { type = "integer", defalt = 3 }',
            "kind.toml:6: defalt is not a key of rows; did you mean 'default'?",
        ),
        ('rows = { type = "integer", default = "three" }', "kind.toml:6: default: rows must be an integer, not str"),
        ('rows = { type = "integer", items = "string" }', "kind.toml:6: rows: only a type list has items"),
        (
            'days = { type = "list", items = { on = "dat" } }',
            "kind.toml:6: on: 'dat' is not a type; did you mean 'date'?",
        ),
        ('recipient = "string"', "kind.toml:6: recipient is set by notify"),
        ('"job id" = "string"', "kind.toml:6: 'job id' cannot be used in a template"),
    ],
)
def test_a_wrong_data_declaration_is_named_with_its_line(workshop: Workshop, data: str, complaint: str) -> None:
    workshop.kind(data=data)
    with pytest.raises(InvalidKind) as caught:
        workshop.load()
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("email", "complaint"),
    [
        ('subjet = "Hi"', "kind.toml:9: subjet is neither a key of [email] nor a locale; did you mean 'subject'?"),
        ('[email.klingon]\nsubject = "Hi"', "kind.toml:9: klingon is neither"),
        ('[email.nl]\nsubjet = "Hi"', "kind.toml:10: subjet is not a key of [email.nl]; did you mean 'subject'?"),
        ("[email.nl]\nsubject = 3", "kind.toml:10: subject must be a line of text"),
    ],
)
def test_a_wrong_email_table_is_named_with_its_line(workshop: Workshop, email: str, complaint: str) -> None:
    workshop.kind(email=email)
    with pytest.raises(InvalidKind) as caught:
        workshop.load()
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("channels", "complaint"),
    [
        ('["sms"]', "this version delivers only e-mail, not sms"),
        ('["e-mail"]', "'e-mail' is not a channel; did you mean 'email'?"),
        ("[]", "channels is empty"),
    ],
)
def test_only_email_is_a_channel_yet(workshop: Workshop, channels: str, complaint: str) -> None:
    workshop.kind()
    path = workshop.folder / "x" / "kind.toml"
    path.write_text(path.read_text().replace('["email"]', channels))
    with pytest.raises(InvalidKind, match=r"kind\.toml:3") as caught:
        workshop.load()
    assert complaint in str(caught.value)


@pytest.mark.parametrize("key", ["title", "category", "channels"])
def test_title_category_and_channels_are_required(workshop: Workshop, key: str) -> None:
    workshop.kind()
    path = workshop.folder / "x" / "kind.toml"
    path.write_text("\n".join(line for line in path.read_text().splitlines() if not line.startswith(key)))
    with pytest.raises(InvalidKind, match=f"{key} is missing"):
        workshop.load()


def test_a_folder_without_kind_toml_is_no_kind(workshop: Workshop) -> None:
    workshop.kind()
    workshop.write({"drafts/email.html": "", "_layouts/base.html": ""})
    assert workshop.catalogue.names() == ["x"]


def test_an_unknown_kind_is_refused_with_the_nearest_name(workshop: Workshop) -> None:
    workshop.write({"welcome/kind.toml": ""})
    with pytest.raises(UnknownKind, match="there is no kind 'welcom'; did you mean 'welcome'"):
        workshop.catalogue.get("welcom")


@pytest.mark.parametrize("name", ["../x", "", ".", "_layouts", "x/../x"])
def test_a_name_cannot_reach_outside_the_folder(workshop: Workshop, name: str) -> None:
    workshop.kind()
    with pytest.raises(UnknownKind):
        workshop.catalogue.get(name)


def test_an_earlier_folder_shadows_a_later_one(workshop: Workshop, tmp_path: Path) -> None:
    workshop.kind(subject="Theirs")
    ours = Workshop(tmp_path / "ours")
    ours.kind(subject="Ours")
    workshop.write({"y/kind.toml": ""})
    catalogue = Catalogue([ours.folder, workshop.folder])
    rendered = catalogue.get("x").render(Channel.EMAIL, {"recipient": {}}, locale=None, timezone=None)
    assert catalogue.names() == ["x", "y"]
    assert rendered.subject == "Ours"


def test_a_kind_is_compiled_once(workshop: Workshop) -> None:
    workshop.kind()
    catalogue = workshop.catalogue
    assert catalogue.get("x") is catalogue.get("x")


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({}, "has neither email.mjml nor email.html"),
        ({"email.htm": ""}, "email.htm: is not the name of a template; did you mean 'email.html'?"),
        ({"email.html": "", "email.xx-yy-zz.html": ""}, "'xx-yy-zz' is not a locale"),
        ({"email.html": "", "email.mjml": ""}, "email.html is there, too: keep one of them"),
    ],
)
def test_template_files_have_fixed_names(workshop: Workshop, files: dict[str, str], complaint: str) -> None:
    workshop.kind(files=files)
    with pytest.raises(InvalidKind) as caught:
        workshop.load()
    assert complaint in str(caught.value)


def test_the_version_changes_with_the_kind_its_layout_and_the_catalogues(workshop: Workshop) -> None:
    workshop.kind(files={"email.html": '{% extends "base.html" %}'})
    workshop.write({"_layouts/base.html": "<p>a</p>", "_layouts/other.html": "<p>a</p>"})
    versions = [workshop.load().facts.version]
    workshop.write({"_layouts/other.html": "<p>b</p>"})
    assert workshop.load().facts.version == versions[0]
    for change in (
        {"_layouts/base.html": "<p>b</p>"},
        {"x/sample.json": "{}"},
        {"locales/nl/LC_MESSAGES/messages.po": ""},
    ):
        workshop.write(change)
        versions.append(workshop.load().facts.version)
    assert len(set(versions)) == 4


def test_the_version_does_not_depend_on_where_the_folder_lies(workshop: Workshop, tmp_path: Path) -> None:
    workshop.kind()
    elsewhere = Workshop(tmp_path / "elsewhere")
    elsewhere.kind()
    assert workshop.load().facts.version == elsewhere.load().facts.version


def test_defaults_of_the_catalogue_are_checked(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="NOTIFY_DEFAULT_LOCALE"):
        Catalogue([tmp_path], default_locale="klingon")
    with pytest.raises(InvalidSettings, match="NOTIFY_DEFAULT_TIMEZONE"):
        Catalogue([tmp_path], default_timezone="Europe/Atlantis")
