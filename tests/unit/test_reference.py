"""The generated reference is what the code says, and every example of the guide for template authors works."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest
from babel.messages.frontend import CommandLineInterface

from notify.app import shipped
from notify.cli import cli
from notify.kinds import Catalogue, CompiledKind, Rendered
from notify.kinds.check import SAMPLE_RECIPIENT
from notify.kinds.declaration import _TOP, RESERVED
from notify.kinds.markup import CONTAINERS, CONTENT
from notify.kinds.values import TYPES
from notify.model import Channel
from notify.settings import PREFIX, Settings
from notify.testing import capture
from tests.unit.cli.running import install, notify_cli
from tests.unit.test_docs import plain, rows

DOCS = Path(__file__).parents[2] / "docs"
GENERATOR = DOCS / "generate.py"
GUIDE = DOCS / "kinds.md"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    found = importlib.util.spec_from_file_location("generate", GENERATOR)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


# the reference


def test_the_reference_is_up_to_date() -> None:
    ran = subprocess.run([sys.executable, str(GENERATOR), "--check"], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("stale", ["settings.md", "commands.md"])
def test_a_page_that_is_out_of_date_is_named_and_left_alone(
    generator: ModuleType,
    stale: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(generator, "REFERENCE", tmp_path)
    generator.main([], standalone_mode=False)
    assert generator.main(["--check"], standalone_mode=False) is None
    (tmp_path / stale).write_text("old", encoding="utf-8")
    assert generator.main(["--check"], standalone_mode=False) == 1
    assert str(tmp_path / stale) in capsys.readouterr().err
    assert (tmp_path / stale).read_text(encoding="utf-8") == "old"


def test_every_setting_has_a_row_with_its_type_default_and_meaning() -> None:
    table = {plain(name): cells for name, *cells in rows(DOCS / "reference" / "settings.md")}
    assert list(table) == [PREFIX + name.upper() for name in Settings.model_fields]
    assert [name for name, cells in table.items() if not all(cells)] == []
    assert table["NOTIFY_BATCH_SIZE"][:2] == ["whole number ≥ 1, ≤ 500", "`500`"]


def test_no_secret_stands_in_the_reference() -> None:
    text = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
    assert Settings.model_fields["secret_key"].default.get_secret_value() not in text


def commands(command: click.Command, path: str = "notify") -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands(below, f"{path} {name}")


COMMANDS = dict(commands(cli))


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_has_a_section_with_its_options_and_an_example(path: str) -> None:
    text = (DOCS / "reference" / "commands.md").read_text(encoding="utf-8")
    section = re.search(rf"^## {path}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert section
    assert re.search(r"^Example:\n\n```console\n\$ .*notify ", section[1], re.MULTILINE)
    options = [param for param in COMMANDS[path].params if isinstance(param, click.Option)]
    assert [option.name for option in options if max(option.opts, key=len) not in section[1]] == []


def test_the_exit_codes_stand_in_the_reference() -> None:
    text = (DOCS / "reference" / "commands.md").read_text(encoding="utf-8")
    assert re.findall(r"^(\d)  \w+", text, re.MULTILINE) == ["0", "1", "2", "3"]


# the decisions


def test_every_dependency_has_a_row_that_says_why() -> None:
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    names = {re.split(r"[<>=;]", one)[0].strip() for one in wanted} - {"notify-celery[docs,test]"}
    parts = ("## Libraries at run time", "## Libraries for tests", "## Libraries for development")
    assert {cells[0] for part in parts for cells in rows(DOCS / "decisions.md", part)} == names


# the guide for template authors


BLOCKS = re.findall(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', GUIDE.read_text(encoding="utf-8"), re.M | re.S)
FILES = {title: body for language, title, body in BLOCKS if title and language != "text"}
RENDERED = {title: body for language, title, body in BLOCKS if title and language == "text"}
CONSOLE = [
    line.removeprefix("$ ") for language, _, body in BLOCKS if language == "console" for line in body.splitlines()
]
KINDS = sorted({Path(name).parent.name for name in FILES if name.endswith("kind.toml")})


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with every file of the guide; the test stands in it."""
    for name, body in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body, encoding="utf-8")
    install(monkeypatch, tmp_path)
    return tmp_path


def catalogue(house: Path) -> Catalogue:
    return Catalogue([house / "templates", shipped("templates")])


def rendered(kind: CompiledKind, locale: str) -> Rendered:
    data = kind.typed(kind.validate(kind.sample))
    recipient = {**SAMPLE_RECIPIENT, **kind.sample_recipient}
    return kind.render(Channel.EMAIL, {**data, "recipient": recipient}, locale=locale, timezone=None)


def even(text: str) -> str:
    """CLDR separates with narrow and unbreakable spaces, which nobody sees on a page."""
    return re.sub("[\u00a0\u202f]", " ", text)


def test_the_guide_has_kinds_with_all_they_need() -> None:
    assert KINDS == ["disk-full", "invoice-paid", "outage", "sign-in-code"]
    assert all(f"templates/{kind}/sample.json" in FILES for kind in KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_the_guide_has_no_problems(house: Path, kind: str) -> None:
    assert catalogue(house).check(kind) == []


def test_the_catalogue_of_the_guide_has_no_problems(house: Path) -> None:
    assert [problem for problem in catalogue(house).check() if problem.kind in ("", *KINDS)] == []


@pytest.mark.parametrize("title", RENDERED)
def test_what_the_guide_says_comes_out_comes_out(house: Path, title: str) -> None:
    kind, _, locale = title.partition(" in ")
    mail = rendered(catalogue(house).get(kind), locale)
    assert even(f"{mail.subject}\n\n{mail.text}") == RENDERED[title]


def test_the_guide_tells_of_every_key_every_type_and_every_name() -> None:
    assert {plain(key).strip("[]") for key, *_ in rows(GUIDE, "with its line and the nearest right one:")} == set(_TOP)
    assert [plain(word) for word, *_ in rows(GUIDE, "## Data")] == list(TYPES)
    text = GUIDE.read_text(encoding="utf-8")
    assert [name for name in RESERVED if f"`{name}`" not in text] == []
    assert [tag for tag in CONTENT | CONTAINERS if f"`{tag}`" not in text] == []


def test_the_filters_write_what_the_guide_says(house: Path) -> None:
    table = rows(GUIDE, "and the reader's time zone is UTC:")
    lines = "\n".join(f"{{{{ {plain(value)}|{plain(name)} }}}}" for name, value, *_ in table)
    for variant in ("email.txt", "email.nl.txt"):
        (house / "templates" / "outage" / variant).write_text(lines, encoding="utf-8")
    outage = catalogue(house).get("outage")
    for column, locale in enumerate(("en", "nl"), start=2):
        assert even(rendered(outage, locale).text).splitlines() == [row[column] for row in table]


@pytest.mark.parametrize(("snippet", "complaint"), rows(GUIDE, "nothing is stored:"))
def test_a_mistake_is_answered_with_the_complaint_of_the_guide(house: Path, snippet: str, complaint: str) -> None:
    source = f'{{% extends "base.mjml" %}}\n{{% block content %}}\n{plain(snippet)}\n{{% endblock %}}\n'
    (house / "templates" / "invoice-paid" / "email.mjml").write_text(source, encoding="utf-8")
    problems = catalogue(house).check("invoice-paid")
    assert problems
    for problem in problems:
        assert plain(complaint) in problem.text
        assert (problem.file.name, problem.line) == ("email.mjml", 3)


def test_the_python_of_the_guide_runs(house: Path) -> None:
    [program] = [body for language, _, body in BLOCKS if language == "python"]
    exec(compile(program, str(GUIDE), "exec"), {})


def test_the_python_of_the_overview_sends_one_welcome(house: Path) -> None:
    [program] = re.findall(r"^```python\n(.*?)^```$", (DOCS / "index.md").read_text(encoding="utf-8"), re.M | re.S)
    with capture() as outbox:
        exec(compile(program, "index.md", "exec"), {})
        outbox.assert_sent("welcome", to="user-42")


@pytest.mark.parametrize("command", [line for line in CONSOLE if line.startswith("notify ")])
def test_the_commands_of_the_guide_run(house: Path, command: str) -> None:
    ran = notify_cli(*shlex.split(command)[1:])
    assert (ran.code, ran.err) == (0, "")


def test_pybabel_finds_every_message_and_keeps_what_is_translated(house: Path) -> None:
    steps = [shlex.split(line) for line in CONSOLE if line.startswith("pybabel ")]
    assert [step[1] for step in steps] == ["extract", "init", "update"]
    catalogue_file = house / "templates" / "locales" / "nl" / "LC_MESSAGES" / "messages.po"
    for step in steps:
        german = ["--locale=de"] if step[1] == "init" else []  # the page's Dutch one is there already
        CommandLineInterface().run([*step, *german])  # type: ignore[no-untyped-call]
    found = set(re.findall(r'^msgid "(.+)"$', (house / "messages.pot").read_text(encoding="utf-8"), re.MULTILINE))
    assert found == set(
        re.findall(r'^msgid "(.+)"$', FILES["templates/locales/nl/LC_MESSAGES/messages.po"], re.MULTILINE)
    )
    assert "Bekijk de factuur" in catalogue_file.read_text(encoding="utf-8")
    assert (house / "templates" / "locales" / "de" / "LC_MESSAGES" / "messages.po").is_file()
