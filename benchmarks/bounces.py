"""What reading a mail that came back costs, and how right it is on a corpus of your own.

`python -m benchmarks.bounces --json` ends with one JSON line: mails per second of CPU time for mails of several forms,
made here. `python -m benchmarks.bounces CORPUS` reads a folder with a file `labels.jsonl`, a line for each mail:

    {"file": "1.eml", "kind": "bounce", "standard": true, "recipients": [{"address": "a@b.example", "verdict": "hard"}]}

and prints what docs/bounces.md shows: kinds, recipients found, and the confusion matrix of the verdicts. A label may
leave out `standard`, `recipients`, or an `address`; `kind` may be `ordinary` for whatever must never be a bounce.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from benchmarks import report
from notify.feedback.bounces import Report, Verdict, read
from notify.feedback.bounces.mime import MAIL_LIMIT

ROUNDS = 5
LABELS = "labels.jsonl"
FAILED = ("bounce", "delay")
RETURNED = """Received: from app.sender.example by mx.sender.example; Mon, 2 Mar 2026 09:00:00 +0000
Message-ID: <0198c5f2@sender.example>
From: News <news@sender.example>
To: Ada <ada@receiver.example>
Subject: March
"""
HEAD = "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example\nTo: news@sender.example\nMIME-Version: 1.0\n"
WORDS = """I'm sorry to have to inform you that your message could not be delivered.

<ada@receiver.example>: host mx.receiver.example[192.0.2.1] said: 550 5.1.1
    <ada@receiver.example>: Recipient address rejected: User unknown in virtual mailbox table
"""
STATUS = """Reporting-MTA: dns; mx.sender.example

Final-Recipient: rfc822; ada@receiver.example
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 User unknown
"""


def measure(repeats: int = 300) -> list[dict[str, Any]]:
    """Mails per second of one core for each form: the best of five rounds of `repeats` mails."""
    return [_measured(form, raw, repeats) for form, raw in forms().items()]


def forms() -> dict[str, bytes]:
    """A mail of each form."""
    style = "<style>p { font-family: Segoe UI, sans-serif; color: #333 }</style>" * 20
    html = f"<html>{style}<body><p>Delivery has failed to these recipients:</p><p>ada@receiver.example</p>{'<hr>' * 50}"
    html += "<p>The mailbox is full and cannot accept messages now.</p></body></html>"
    letter = "Dear all, here is what we did in March.\n" * 400
    return {
        "a delivery report": _parts(("text/plain", WORDS), ("message/delivery-status", STATUS)),
        "a bounce in prose": f"{HEAD}Subject: failure notice\n\n{WORDS}\n--- Below is a copy\n\n{RETURNED}".encode(),
        "a bounce in HTML": _parts(("text/html", html)),
        "a complaint": _parts(("text/plain", "A report."), ("message/feedback-report", "Feedback-Type: abuse\n")),
        "a letter of 16 KB": f"From: grace@receiver.example\nSubject: Re: March\n\n{letter}".encode(),
        "a letter of 50 MB": f"From: grace@receiver.example\nSubject: Re: March\n\n{letter}".encode() * 3200,
    }


def _parts(*parts: tuple[str, str]) -> bytes:
    body = "".join(f"--=_b\nContent-Type: {kind}\n\n{text}\n" for kind, text in (*parts, ("message/rfc822", RETURNED)))
    fields = 'Subject: Undeliverable: March\nContent-Type: multipart/report; boundary="=_b"\n'
    return f"{HEAD}{fields}\n{body}--=_b--\n".encode()


def _measured(form: str, raw: bytes, repeats: int) -> dict[str, Any]:
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(repeats):
            found = read(raw)
        best = min(best, time.process_time() - began)
    return {"form": form, "bytes": len(raw), "kind": found.kind, "rate": repeats / best}


def judge(corpus: Path) -> dict[str, Any]:
    """How right the reader is about a labelled corpus; see the module's docstring for its shape."""
    kinds: Counter[tuple[str, str]] = Counter()
    verdicts: Counter[tuple[str, str]] = Counter()
    recipients: Counter[tuple[str, bool]] = Counter()
    for label in _labels(corpus):
        with (corpus / label["file"]).open("rb") as file:
            found = read(file.read(MAIL_LIMIT))
        kinds[label["kind"], found.kind] += 1
        if label["kind"] in FAILED and "standard" in label:
            recipients["standard" if label["standard"] else "prose", _right(label, found)] += 1
        for number, wanted in enumerate(label.get("recipients", ())):
            if label["kind"] in FAILED and wanted.get("verdict"):
                got = found.recipients[number].verdict if number < len(found.recipients) else "missing"
                verdicts[wanted["verdict"], got] += 1
    return {"kinds": kinds, "recipients": recipients, "verdicts": verdicts}


def _labels(corpus: Path) -> Iterator[dict[str, Any]]:
    for line in (corpus / LABELS).read_text(encoding="utf-8").splitlines():
        yield json.loads(line)


def _right(label: dict[str, Any], found: Report) -> bool:
    """Whether it was recognised, with as many recipients as there are, and the right ones where they are known."""
    wanted = label.get("recipients", ())
    if found.kind not in FAILED or not found.recipients:
        return False
    if wanted and len(wanted) != len(found.recipients):
        return False
    known = {one["address"].lower() for one in wanted if one.get("address")}
    return known <= {one.address.lower() for one in found.recipients}


def matrix(title: str, counted: Counter[tuple[str, str]]) -> Table:
    """What was labelled, by row, and what was read, by column."""
    columns = sorted({got for _, got in counted}, key=_order)
    table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for name in ("labelled", *columns):
        table.add_column(name, justify="left" if name == "labelled" else "right")
    for wanted in sorted({wanted for wanted, _ in counted}, key=_order):
        table.add_row(wanted, *(f"{counted[wanted, got]:,}" for got in columns))
    return table


def _order(name: str) -> tuple[int, str]:
    known = list(Verdict)
    return (known.index(Verdict(name)) if name in known else len(known), name)


@click.command(help=__doc__)
@click.argument("corpus", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="End with one JSON line.")
def main(corpus: Path | None, as_json: bool) -> None:
    """The command."""
    console = Console()
    if corpus is None:
        figures = measure()
        console.print(report.bounces(figures))
        if as_json:
            click.echo(json.dumps(figures))
        return
    found = judge(corpus)
    console.print(matrix("Kinds", found["kinds"]))
    console.print(matrix("Verdicts", found["verdicts"]))
    for form in ("standard", "prose"):
        right, wrong = found["recipients"][form, True], found["recipients"][form, False]
        console.print(f"{form}: {right:,} of {right + wrong:,} with the right recipients")


if __name__ == "__main__":
    main()
