"""What one mail costs in CPU time: rendering and composing, for each kind that ships and for the benchmark's own.

`python -m benchmarks.compose --json` ends with one JSON line, a list of kinds. The yardstick is the same mail built
with the standard library's EmailMessage from the same rendered parts.
"""

from __future__ import annotations

import email.policy
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

import click
from rich.console import Console
from uuid_utils.compat import uuid7

from benchmarks import newsletter, product, report
from benchmarks.services import temporary_folder
from notify.app import shipped
from notify.audience import links
from notify.channels.email import letter
from notify.kinds import Catalogue, CompiledKind
from notify.kinds.email import Rendered
from notify.model import Channel, Lane, Mode, Recipient
from notify.settings import Settings, load

ADDRESS = "ada.lovelace@example.com"
ROUNDS = 5


def measure(repeats: int = 500) -> list[dict[str, Any]]:
    """Each kind's cost in µs: the best of five rounds of `repeats` mails to as many people."""
    with temporary_folder() as folder:
        own = newsletter.write_kind(folder, Lane.BULK)
        catalogue = Catalogue([folder, shipped("templates")])
        settings = load(env_file=None, unsubscribe_url=product.UNSUBSCRIBE_URL)
        return [_kind(catalogue.get(name), settings, repeats) for name in [*shipped_kinds(), own]]


def shipped_kinds() -> list[str]:
    """The names of the kinds that travel with notify."""
    return Catalogue([shipped("templates")]).names()


def _kind(kind: CompiledKind, settings: Settings, repeats: int) -> dict[str, Any]:
    data = kind.typed(kind.validate(kind.sample))
    people = [
        Recipient(uuid7(), f"reader-{n}", attributes={"name": f"Reader {n}", **kind.sample_recipient})
        for n in range(repeats)
    ]
    now = datetime.now(UTC)
    rendered: list[Rendered] = []
    own: list[dict[str, str]] = []
    sizes: list[int] = []

    def render() -> None:
        own[:] = [links.of_mail(settings, kind, person.id, person.id, now) for person in people]
        rendered[:] = [
            kind.render(
                Channel.EMAIL,
                {**data, **theirs, "recipient": person.template_facts(ADDRESS)},
                locale="en",
                timezone="Europe/Amsterdam",
            )
            for person, theirs in zip(people, own, strict=True)
        ]

    def compose() -> None:
        sizes[:] = [
            len(
                letter.envelope(
                    settings,
                    message_id=person.id,
                    address=ADDRESS,
                    name=person.attributes["name"],
                    subject=words.subject,
                    html=words.html_part,
                    text=words.text_part,
                    date=now,
                    mode=Mode.LIVE,
                    unsubscribe_url=theirs.get("unsubscribe_url") if kind.facts.unsubscribe else None,
                ).content
            )
            for person, words, theirs in zip(people, rendered, own, strict=True)
        ]

    render_us, compose_us = _best(render, repeats), _best(compose, repeats)
    few = rendered[: max(1, repeats // 10)]  # a tenth is enough of what takes ten times as long
    standard_us = _best(lambda: [_standard(words) for words in few], len(few))
    return {
        "kind": kind.facts.name,
        "bytes": sum(sizes) // len(sizes),
        "render_us": render_us,
        "compose_us": compose_us,
        "both_us": round(render_us + compose_us, 1),
        "standard_us": standard_us,
    }


def _standard(words: Rendered) -> bytes:
    mail = EmailMessage(policy=email.policy.SMTP)
    mail["From"], mail["To"], mail["Subject"] = "News <news@example.org>", ADDRESS, words.subject
    mail.set_content(words.text)
    mail.add_alternative(words.html, subtype="html")
    return mail.as_bytes()


def _best(work: Callable[[], object], count: int) -> float:
    """µs of CPU time for one of `count`, in the best of the rounds: what disturbs only ever adds."""
    times = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return round(min(times) / count * 1e6, 1)


@click.command(help=__doc__)
@click.option("--repeats", type=click.IntRange(min=10), default=500, show_default=True, help="Mails per round.")
@click.option("--json", "as_json", is_flag=True, help="End with one JSON line.")
def main(repeats: int, as_json: bool) -> None:
    """The command."""
    found = measure(repeats)
    if as_json:
        click.echo(json.dumps(found))
    else:
        Console().print(report.compose(found))


if __name__ == "__main__":
    main()
