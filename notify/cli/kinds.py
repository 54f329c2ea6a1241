"""`notify kinds`: what can be sent, what it needs, and proof that it renders."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from notify.app import App, shipped
from notify.cli import REFUSED, screen
from notify.cli.groups import Group, example
from notify.cli.options import as_json
from notify.cli.previews import preview
from notify.cli.wiring import opened_app
from notify.errors import InvalidKind
from notify.intake import footing
from notify.kinds import CompiledKind, Problem
from notify.kinds.declaration import read
from notify.kinds.toml import FILE
from notify.kinds.values import Field
from notify.model import Retry
from notify.settings import written


@click.group(cls=Group, epilog=example("notify kinds list", "notify kinds preview welcome --open"))
def kinds() -> None:
    """List, check and preview the kinds of notification."""


kinds.add_command(preview)


@kinds.command("list", epilog=example("notify kinds list", "notify kinds list --json"))
@as_json
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """List every kind. One that cannot be used is shown with its fault, and the exit code is 1."""
    with opened_app() as app:
        found = {name: _loaded(app, name) for name in app.kinds.names()}
    if as_json:
        screen.print_json([_json(name, kind) for name, kind in found.items()])
    else:
        _list(found)
    if any(isinstance(kind, InvalidKind) for kind in found.values()):
        ctx.exit(REFUSED)


@kinds.command(epilog=example("notify kinds show job-completed"))
@click.argument("kind")
@as_json
def show(kind: str, as_json: bool) -> None:
    """Show what a kind declares: its data, files, locales and version."""
    with opened_app() as app:
        compiled = app.kinds.get(kind)
        folder = _folder(app, kind)
    declared = read(folder / FILE).data
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    if as_json:
        fields = {name: _field_json(field) for name, field in declared.items()}
        screen.print_json({**_json(kind, compiled), "folder": str(folder), "files": files, "data": fields})
        return
    out, facts = screen.console(), compiled.facts
    out.print(screen.cell(f"{facts.name}: {facts.title}", "bold"))
    pairs = [
        ("category", facts.category),
        ("channels", ", ".join(facts.channels)),
        ("lane", facts.lane),
        ("on doubt", facts.on_doubt),
        ("critical", "yes" if facts.critical else "no"),
        ("unsubscribe", "yes" if facts.unsubscribe else "no"),
        ("expires", f"after {written(facts.expires)}" if facts.expires else None),
        ("recipient rate", facts.recipient_rate),
        *((f"retry {channel}", _retry_text(said)) for channel, said in facts.retry.items()),
        ("locales", ", ".join(sorted(compiled.email.locales))),
        ("version", facts.version),
        ("folder", folder),
        ("files", ", ".join(files)),
    ]
    out.print(screen.facts(pairs))
    if declared:
        out.print()
        out.print(screen.table(("Data", "Type", "Default"), list(_field_rows(declared)), whole=("Data",)))


@kinds.command(epilog=example("notify kinds check", "notify kinds check welcome"))
@click.argument("kind", required=False)
@as_json
@click.pass_context
def check(ctx: click.Context, kind: str | None, as_json: bool) -> None:
    """Prove that one kind or all load and render in every locale; each problem is listed with file and line."""
    with opened_app() as app:
        lacking = [one for one in footing.lacking(app) if kind in (None, one.kind)]
        problems = [*app.kinds.check(kind), *lacking]
        checked = [kind] if kind else app.kinds.names()
    if as_json:
        screen.print_json({"checked": checked, "problems": [_problem_json(problem) for problem in problems]})
    else:
        for problem in problems:
            click.echo(screen.plain(problem))
        click.echo(f"{', '.join(checked) or 'no kinds'}: {f'problems: {len(problems)}' if problems else 'no problems'}")
    if problems:
        ctx.exit(REFUSED)


def _loaded(app: App, name: str) -> CompiledKind | InvalidKind:
    try:
        return app.kinds.get(name)
    except InvalidKind as error:
        return error


def _list(found: Mapping[str, CompiledKind | InvalidKind]) -> None:
    rows: list[tuple[Any, ...]] = []
    for name, kind in found.items():
        if isinstance(kind, InvalidKind):
            rows.append((screen.cell(name, "red"), screen.cell(kind, "red"), "", "", "", ""))
            continue
        facts = kind.facts
        locales = ", ".join(sorted(kind.email.locales))
        rows.append((name, facts.title, facts.category, ", ".join(facts.channels), facts.lane, locales))
    columns = ("Kind", "Title", "Category", "Channels", "Lane", "Locales")
    screen.console().print(screen.table(columns, rows, whole=("Kind",)) if rows else "There are no kinds.")


def _json(name: str, kind: CompiledKind | InvalidKind) -> dict[str, Any]:
    if isinstance(kind, InvalidKind):
        return {"name": name, "error": str(kind)}
    facts = kind.facts
    return {
        "name": name,
        "title": facts.title,
        "category": facts.category,
        "channels": list(facts.channels),
        "lane": facts.lane,
        "on_doubt": facts.on_doubt,
        "critical": facts.critical,
        "unsubscribe": facts.unsubscribe,
        "expires_seconds": facts.expires.total_seconds() if facts.expires else None,
        "recipient_rate": str(facts.recipient_rate) if facts.recipient_rate else None,
        "retry": {channel: _retry_json(said) for channel, said in facts.retry.items()},
        "locales": sorted(kind.email.locales),
        "version": facts.version,
    }


def _retry_text(said: Retry) -> str:
    """What the kind says itself; the rest is up to the settings."""
    parts = [f"attempts: {said.attempts}"] if said.attempts else []
    parts += [f"first wait: {written(said.base)}"] if said.base else []
    parts += [f"longest wait: {written(said.cap)}"] if said.cap else []
    return ", ".join(parts)


def _retry_json(said: Retry) -> dict[str, Any]:
    return {
        "attempts": said.attempts,
        "first_wait_seconds": said.base.total_seconds() if said.base else None,
        "longest_wait_seconds": said.cap.total_seconds() if said.cap else None,
    }


def _problem_json(problem: Problem) -> dict[str, Any]:
    return {"kind": problem.kind, "file": str(problem.file), "line": problem.line, "text": problem.text}


def _folder(app: App, name: str) -> Path:
    """Where the kind lies: the user's own folder shadows what ships with notify."""
    own = app.settings.templates_dir / name
    return own if (own / FILE).is_file() else shipped("templates") / name


def _field_json(field: Field) -> dict[str, Any]:
    described: dict[str, Any] = {"type": field.type, "required": field.required}
    if not field.required:
        described["default"] = field.default
    if field.fields is not None:
        described["fields"] = {name: _field_json(part) for name, part in field.fields.items()}
    if field.items is not None:
        described["items"] = _field_json(field.items)
    return described


def _field_rows(fields: Mapping[str, Field], path: str = "") -> Iterator[tuple[str, str, Any]]:
    """A row for each declared value; the parts of objects and lists follow it, by their path."""
    for name, field in fields.items():
        default = screen.cell("required", "dim") if field.required else json.dumps(field.default, ensure_ascii=False)
        kind = f"list of {field.items.type}" if field.items is not None else field.type
        yield f"{path}{name}", kind, default
        inner, mark = (field.fields, "") if field.items is None else (field.items.fields, "[]")
        if inner:
            yield from _field_rows(inner, f"{path}{name}{mark}.")
