"""`notify kinds preview`: a mail as its reader would see it, with nothing stored and nothing sent."""

from __future__ import annotations

import tempfile
import webbrowser
from pathlib import Path
from typing import Any

import click
from rich.panel import Panel

from notify import intake
from notify.cli import options, screen
from notify.cli.groups import example
from notify.cli.options import To, as_json, tenant
from notify.cli.wiring import opened_app
from notify.intake import Preview
from notify.kinds import locales

FORMATS = ("text", "html", "eml", "subject")
ENDINGS = {".html": "html", ".htm": "html", ".eml": "eml", ".txt": "text"}


@click.command(
    epilog=example(
        "notify kinds preview welcome --locale nl",
        "notify kinds preview job-completed --data @job.json --open",
        "notify kinds preview daily-progress --to user-42 --output mail.eml",
    )
)
@click.argument("kind")
@click.option("--to", type=options.recipient, metavar="KEY|JSON", help="For whom; default: a made-up person.")
@click.option(
    "--data", type=options.data, metavar="JSON|@FILE", help="What to fill it with; default: the kind's sample.json."
)
@click.option("--locale", help="In this locale instead of the recipient's.")
@click.option("--format", "form", type=click.Choice(FORMATS), help="Print or write only this part.")
@click.option("--output", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="Write it to a file.")
@click.option("--open", "browse", is_flag=True, help="Show the HTML in the browser.")
@tenant
@as_json
def preview(
    *,
    kind: str,
    to: To | None,
    data: dict[str, Any] | None,
    locale: str | None,
    form: str | None,
    output: Path | None,
    browse: bool,
    tenant: str | None,
    as_json: bool,
) -> None:
    """Show a mail of this kind: nothing is stored, nothing is sent."""
    form = form or _form_of(output)
    with opened_app() as app:
        mail = intake.preview(app, kind, to, data, locale=locale, tenant=tenant)
    if browse:
        _browse(mail)
    if output:
        output.write_bytes(_part(mail, form or "text"))
        click.echo(f"Wrote {output}.", err=True)
    elif as_json:
        screen.print_json({"subject": mail.subject, "text": mail.text, "html": mail.html, "locale": mail.locale})
    elif form:
        click.echo(_part(mail, form), nl=False)
    elif not browse:
        _show(mail, locale)


def _show(mail: Preview, wanted: str | None) -> None:
    title = screen.cell(mail.subject, "bold")
    text = screen.cell(mail.text.rstrip())
    out = screen.console()
    out.print(Panel(text, title=title, title_align="left", subtitle=mail.locale, padding=1, expand=False))
    if wanted and locales.normal(wanted) != mail.locale:
        out.print(f"There are no words in {locales.normal(wanted)}: this is {mail.locale}.")


def _form_of(output: Path | None) -> str | None:
    """What a file's name says it should hold."""
    if output is None:
        return None
    if output.suffix not in ENDINGS:
        raise click.UsageError(f"cannot tell from {output.name!r} what to write; give --format {'|'.join(FORMATS)}")
    return ENDINGS[output.suffix]


def _part(mail: Preview, form: str) -> bytes:
    parts = {"text": mail.text, "html": mail.html or "", "subject": f"{mail.subject}\n"}
    return mail.eml if form == "eml" else parts[form].encode()


def _browse(mail: Preview) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".html", prefix="notify-", encoding="utf-8", delete=False) as file:
        file.write(mail.html or "")
    click.echo(f"The mail lies in {file.name}", err=True)
    if not webbrowser.open(Path(file.name).as_uri()):
        click.echo("No browser could be started: open that file yourself.", err=True)
