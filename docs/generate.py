"""Writes settings.md, commands.md and segments.md of the reference; `--check` only tells what is stale."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args, get_origin

import click
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from notify.audience.segments.fields import FIELDS
from notify.cli import cli
from notify.cli.env_file import variable, written
from notify.settings import Settings

REFERENCE = Path(__file__).parent / "reference"
PREFORMATTED = "\b"  # click's mark for a paragraph whose lines stay as they are
GENERATED = "<!-- Written by docs/generate.py from the code. Change that, and run it again. -->\n\n"
SETTINGS = """\
# Settings

The environment beats `.env`, and `.env` beats the default. An unknown `NOTIFY_` name is refused with the nearest right
one. Durations are in seconds; lists are separated by commas. `notify config` shows what is in force and where each
value came from, `notify config --check` whether it can be used.

"""
COMMANDS = """\
# Commands

Every listing has `--json`: one JSON document on standard output and nothing else; of recipients, a line for each.
Errors go to standard error, with the next step. Tracebacks are shown with `NOTIFY_DEBUG=1` only. Every command has
`--help`.

"""
SEGMENTS = """\
# Fields of segments

What a condition of a [segment](../segments.md) can ask about. `is set` can be asked of every field.

"""
TYPES: dict[object, str] = {
    bool: "`true` or `false`",
    int: "whole number",
    float: "number",
    str: "text",
    Path: "path",
    SecretStr: "secret",
}
BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def settings() -> str:
    """A table with a row for each setting, in the order of the code."""
    rows = [("Name", "Type", "Default", "Meaning"), ("---",) * 4]
    rows += [
        (f"**{variable(name)}**", _type(field), _default(field), field.description or "")
        for name, field in Settings.model_fields.items()
    ]
    return GENERATED + SETTINGS + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def commands() -> str:
    """A section for each command: how it is called, what it does, its arguments and options, an example."""
    root = click.Context(cli, info_name="notify", **cli.context_settings)
    return GENERATED + COMMANDS + "\n".join(_section(context) for context in walk(root))


def segments() -> str:
    """A row for each field of the language of segments and each type that it can be compared with."""
    rows = [("Field", "Compared with a", "By", "Meaning"), ("---",) * 4]
    rows += [
        (f"`{name}`", given, " ".join(f"`{one}`" for one in operators), field.meaning if first else "")
        for name, field in FIELDS.items()
        for first, (given, operators) in zip((True, *(False,) * 9), field.operators.items(), strict=False)
    ]
    return GENERATED + SEGMENTS + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def walk(context: click.Context) -> Iterator[click.Context]:
    """A command, then the commands below it."""
    yield context
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            command = context.command.get_command(context, name)
            assert command is not None
            yield from walk(click.Context(command, info_name=name, parent=context, **command.context_settings))


def _type(field: FieldInfo) -> str:
    names = ("pattern", *BOUNDS)
    rules = {name: getattr(rule, name) for rule in field.metadata for name in names if hasattr(rule, name)}
    if words := re.fullmatch(r"\^\(([\w|]+)\)\$", rules.get("pattern") or ""):
        return " or ".join(f"`{word}`" for word in words[1].split("|"))
    bounds = [f"{sign} {rules[name]:,}" for name, sign in BOUNDS.items() if rules.get(name) is not None]
    return f"{_words(field.annotation)} {', '.join(bounds)}".rstrip()


def _words(annotation: Any) -> str:
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return " or ".join(f"`{word}`" for word in annotation)
    inner = [part for part in get_args(annotation) if part not in (Ellipsis, type(None))]
    if get_origin(annotation) in (tuple, frozenset):
        return f"list of {_words(inner[0])}s"
    return _words(inner[0]) if inner else TYPES[annotation]


def _default(field: FieldInfo) -> str:
    if isinstance(field.default, SecretStr):
        return "one for development"
    text = written(field.default)
    return f"`{text}`" if text else "unset"


def _section(context: click.Context) -> str:
    command = context.command
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    parts = [f"## {context.command_path}\n", f"```text\n{usage}\n```\n", *_prose(command.help or "")]
    records = [record for param in command.params if (record := param.get_help_record(context)) and record[1]]
    if records:
        parts.append(
            "".join(_wrapped(f"- `{name}`: {meaning.replace('  [', ' [')}", "  ") for name, meaning in records)
        )
    return "\n".join([*parts, *_prose(command.epilog or "")])


def _prose(text: str) -> Iterator[str]:
    """Click's help as Markdown; a preformatted paragraph is a heading and a block of code."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if not paragraph.startswith(PREFORMATTED):
            yield _wrapped(" ".join(paragraph.split()))
            continue
        title, _, body = paragraph.removeprefix(PREFORMATTED).strip("\n").partition("\n")
        language, prompt = ("console", "$ ") if title.startswith("Example") else ("text", "")
        lines = "".join(f"{prompt}{line}\n" for line in inspect.cleandoc(body).splitlines())
        yield f"{title.strip()}\n\n```{language}\n{lines}```\n"


def _wrapped(text: str, indent: str = "") -> str:
    """The text in lines of 120 characters at most; a longer word has a line of its own."""
    lines = textwrap.wrap(text, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines) + "\n"


PAGES = {"settings.md": settings, "commands.md": commands, "segments.md": segments}


@click.command(help=__doc__)
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 when a page is out of date.")
@click.pass_context
def main(ctx: click.Context, check: bool) -> None:
    """The command."""
    for name, page in PAGES.items():
        path = REFERENCE / name
        text = page()
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        if check:
            click.echo(f"{path} is out of date\nNext: python docs/generate.py", err=True)
            ctx.exit(1)
        path.write_text(text, encoding="utf-8")
        click.echo(f"Wrote {path}")


if __name__ == "__main__":
    main()
