"""`notify recipients`: the people who are notified."""

from __future__ import annotations

import click

from notify.cli.groups import Group, example
from notify.cli.privacy import erase, export_person
from notify.cli.recipient_edits import add, set_
from notify.cli.recipient_lists import history, list_, show
from notify.cli.rosters import export, import_
from notify.cli.verification import verify


@click.group(cls=Group, epilog=example("notify recipients list --tag pilot", "notify recipients show user-42"))
def recipients() -> None:
    """List, show, add, change, import and export the people who are notified."""


for _command in (list_, show, add, set_, history, verify, import_, export, erase, export_person):
    recipients.add_command(_command)
