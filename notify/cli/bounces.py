"""`notify bounces`: what comes back to a return path, read and told; and what nobody knew the message of."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from notify.cli import REFUSED, screen
from notify.cli.groups import Group, example
from notify.cli.mailboxes import listen, mailboxes, scan
from notify.cli.unmatched import unmatched
from notify.feedback.bounces import Report, read
from notify.feedback.bounces.mail_files import mails


@click.group(cls=Group, epilog=example("notify bounces scan", "notify bounces read ~/Maildir --json"))
def bounces() -> None:
    """Read what comes back as mails: from mailboxes, from files, as it is delivered."""


for _command in (scan, mailboxes, listen, unmatched):
    bounces.add_command(_command)


@bounces.command("read", epilog=example("notify bounces read bounce.eml", "notify bounces read returned.mbox --json"))
@click.argument("paths", type=click.Path(exists=True, path_type=Path), nargs=-1, required=True, metavar="PATH...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on each line, and nothing else.")
@click.pass_context
def read_(ctx: click.Context, /, *, paths: tuple[Path, ...], as_json: bool) -> None:
    """Tell what mails say: who bounced and why, who complained, who is away. Nothing is stored.

    A path is a file, a folder, a mailbox file or a Maildir. Exit code 1 when a file could not be read.
    """
    unread: list[OSError] = []
    found = ((mail.name, read(mail.raw)) for mail in mails(paths, unread.append))
    if as_json:
        for name, report in found:
            click.echo(json.dumps(_as_json(name, report), ensure_ascii=False))
    else:
        _show(found)
    for problem in unread:
        click.echo(f"Not read: {click.format_filename(problem.filename or '')}: {problem.strerror}", err=True)
    if unread:
        ctx.exit(REFUSED)


def _as_json(name: str, report: Report) -> dict[str, Any]:
    return {
        "file": name,
        "kind": report.kind,
        "recipients": [
            {"address": one.address, "verdict": one.verdict, "status": one.status, "diagnostic": one.diagnostic}
            for one in report.recipients
        ],
    }


def _show(found: Iterator[tuple[str, Report]]) -> None:
    """Each mail as it is read: there may be more of them than fit into memory."""
    out = screen.console()
    kinds: Counter[str] = Counter()
    for name, report in found:
        kinds[report.kind] += 1
        out.print(screen.cell(f"{name}: {report.kind.replace('_', ' ')}"))
        for one in report.recipients:
            said = (one.address, one.verdict, one.status, one.diagnostic)
            out.print(screen.cell(f"  {'  '.join(part for part in said if part)}"))
    told = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
    out.print(screen.cell(f"{sum(kinds.values()):,} mails: {told or 'none'}.", "dim"))
