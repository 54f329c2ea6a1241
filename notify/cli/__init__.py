"""The command line. A command's code is imported when it runs, so that `notify --help` answers at once."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import click

from notify.cli.groups import CONTEXT, Entry, LazyGroup, example
from notify.errors import InvalidProvider, InvalidSettings, NotifyError, RequestError

DONE, REFUSED, UNHEALTHY, USAGE, INTERRUPTED = 0, 1, 2, 3, 130

COMMANDS = {
    "Notifications": {
        "send": Entry("notify.cli.send:send", "Notify one or many recipients."),
        "cancel": Entry("notify.cli.cancel:cancel", "Cancel what no worker has taken yet of a notification."),
        "messages": Entry("notify.cli.messages:messages", "List messages, and show what became of one."),
        "explain": Entry("notify.cli.explain:explain", "Tell what became of a message, or what would become of one."),
    },
    "When something failed": {
        "dead": Entry("notify.cli.dead:dead", "List, replay and discard what was given up."),
        "retries": Entry(
            "notify.cli.retries:retries", "List messages that wait for another try; try them now, or cancel them."
        ),
        "hooks": Entry("notify.cli.hooks:hooks", "List and show what webhooks posted; read again what was rejected."),
        "doubts": Entry("notify.cli.doubts:doubts", "List messages in doubt that are held, and settle them."),
        "guard": Entry("notify.cli.guard:guard", "Show what the reputation guard holds, and end a hold."),
        "bounces": Entry(
            "notify.cli.bounces:bounces",
            "Read what comes back as mails: from mailboxes, from files, as it is delivered.",
        ),
    },
    "Content and people": {
        "kinds": Entry("notify.cli.kinds:kinds", "List, check and preview the kinds of notification."),
        "recipients": Entry(
            "notify.cli.recipients:recipients",
            "List, show, add, change, import and export the people who are notified.",
        ),
        "preferences": Entry("notify.cli.preferences:preferences", "Show and set what recipients want, and when."),
        "consent": Entry("notify.cli.consents:consent", "Show, log and check what recipients agreed to."),
        "segments": Entry(
            "notify.cli.segments:segments",
            "Save conditions about recipients by name; count, show and explain who fulfils them.",
        ),
        "suppressions": Entry(
            "notify.cli.suppressions:suppressions", "List, add, remove, import and export addresses not to be used."
        ),
        "tracking": Entry("notify.cli.tracking:tracking", "Show how often mails were opened and their links followed."),
        "conversions": Entry(
            "notify.cli.conversions:conversions", "Record what recipients did after a click, and list it."
        ),
        "tenants": Entry("notify.cli.tenants:tenants", "Add and list tenants."),
    },
    "Installation": {
        "status": Entry("notify.cli.status:status", "Say whether everything moves, and what to do if not."),
        "doctor": Entry(
            "notify.cli.doctor:doctor",
            "Ask database, Redis, providers and mailboxes whether they answer, and log in.",
        ),
        "providers": Entry("notify.cli.providers:providers", "Show, check and test providers; pause and resume them."),
        "config": Entry("notify.cli.config:config", "Show every setting, its value and where it came from."),
        "audit": Entry("notify.cli.audit:audit", "List who did what."),
        "db": Entry("notify.cli.db:db", "Move the database schema up and down."),
    },
    "Processes": {
        "worker": Entry("notify.tasks.commands:worker", "Work: deliver batches, run ticks."),
        "beat": Entry("notify.tasks.commands:beat", "Tick: beat's timetable, as beat_schedule.py writes it down."),
        "web": Entry(
            "notify.web.commands:web", "Serve HTTP: health, readiness, and the pages that links in mails open."
        ),
        "flower": Entry("notify.tasks.commands:flower", "Watch: Flower, Celery's own console."),
    },
    "Development": {
        "demo": Entry("notify.dev.commands:demo", "Show the whole pipeline: 500 recipients, two kinds, caught mails."),
        "dev": Entry("notify.dev.commands:dev", "Run the same stack until Ctrl-C, for an application to send to."),
    },
}
"""Every command: its section of the help, its name, where its code lies, and its line of help."""

cli = LazyGroup(
    COMMANDS,
    name="notify",
    context_settings=CONTEXT,
    help="""Self-hosted notification infrastructure: nothing lost, nothing sent twice without being named.

    Settings come from NOTIFY_* variables and from .env; `notify config` shows them.

    \b
    Exit codes:
      0  done
      1  refused, or some items failed and are listed
      2  unhealthy: a service, the schema or a process needs an operator
      3  usage: a wrong option, setting or provider URL
    """,
    epilog=example('notify send welcome --to \'{"key": "user-43", "email": "grace@example.org"}\''),
)
cli = click.version_option(package_name="notify-celery", prog_name="notify")(cli)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and leave the process with its exit code."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; errors go to standard error, and the exit code comes back."""
    try:
        result = cli.main(arguments, prog_name="notify", standalone_mode=False)
    except click.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        return _usage(error)
    except Exception as error:
        return _failure(error)
    return result if isinstance(result, int) else DONE


def _usage(error: click.ClickException) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
    else:
        context = getattr(error, "ctx", None)
        _say(f"{error.format_message()}\nNext: {context.command_path if context else 'notify'} --help")
    return USAGE


def _failure(error: Exception) -> int:
    if _debug():
        traceback.print_exception(error)
    if not isinstance(error, NotifyError):
        _say(f"{type(error).__name__}: {error}\nNext: this is a defect; run again with NOTIFY_DEBUG=1 and report it.")
        return UNHEALTHY
    _say(str(error))
    if isinstance(error, InvalidSettings | InvalidProvider):
        return USAGE
    return REFUSED if isinstance(error, RequestError) else UNHEALTHY


def _say(text: str) -> None:
    click.secho("error: ", fg="red", bold=True, nl=False, err=True)
    click.echo(text, err=True)


def _debug() -> bool:
    """Whether tracebacks are wanted; the setting itself may be among what is wrong."""
    try:
        return bool(import_module("notify.settings").load().debug)
    except InvalidSettings:
        return os.environ.get("NOTIFY_DEBUG", "").lower() in ("1", "true", "yes", "on")
