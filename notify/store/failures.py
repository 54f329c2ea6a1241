"""A failed statement as the operator is told of it: what was away, what lacks an upgrade, and what to do next."""

from __future__ import annotations

import sqlite3

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, OperationalError

from notify.errors import MigrationNeeded, Unreachable
from notify.settings import redact
from notify.store import pool

GIVEN_UP = frozenset({"40001", "40P01", "55P03", "57014", "25P03", "25006"})  # deadlock, time-outs, a standby
AWAY = ("08", "53", "57P")  # connection trouble, no resources, shutting down; a deadlock or a time-out is an answer
TOO_MUCH = ("22", "54")  # what cannot be computed, and limits of the program
UNDEFINED_TABLE, UNDEFINED_COLUMN = "42P01", "42703"  # PostgreSQL, appendix A: error codes


def crowded() -> Unreachable:
    """For who found every connection in use."""
    return Unreachable(
        f"No connection to the database came free within {pool.WAIT_SECONDS} s.\n"
        "Next: look for long transactions; raise NOTIFY_WORKER_CONCURRENCY, which sizes the pool."
    )


def given_up(error: DBAPIError) -> Unreachable | None:
    """For a transaction of our own, a deadlock or a time-out is no other than a database that was away: try again."""
    if sqlstate(error) not in GIVEN_UP:
        return None
    return Unreachable(
        f"The database gave a statement up: {str(error.orig).splitlines()[0]}\n"
        "Next: nothing, it is tried again; if it comes often, look for long transactions."
    )


def explained(error: DBAPIError, url: sa.URL) -> Exception:
    """The operator's error for a failed statement, or the error itself when it is no matter of operation."""
    shown = redact(url.render_as_string(hide_password=True))
    text = str(error.orig)
    code = sqlstate(error)  # PostgreSQL names tables in texts about other troubles, too
    if code == UNDEFINED_TABLE or "no such table" in text:
        return MigrationNeeded(f"The database {shown} lacks notify's tables.\nNext: notify db upgrade")
    if code == UNDEFINED_COLUMN or "no such column" in text or "has no column" in text:
        return MigrationNeeded(f"The database {shown} is at another version.\nNext: notify db upgrade")
    if code and not code.startswith(AWAY):
        return error
    away = isinstance(error, OperationalError | InterfaceError) or type(error) is DatabaseError  # a file that is none
    if not away or getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:
        return error
    return Unreachable(
        f"The database {shown} does not answer: {text.splitlines()[0]}\n"
        "Next: check that it runs and that NOTIFY_DATABASE_URL is right (notify config)."
    )


def refused(error: DBAPIError) -> bool:
    """Whether the database was there, and would not run a statement for what it says: too much, or values too large."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    return (sqlstate(error) or "").startswith(TOO_MUCH) or code in (
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_TOOBIG,
    )


def sqlstate(error: BaseException | None) -> str | None:
    """PostgreSQL's code for what went wrong; None for what is no error of a statement there."""
    code: str | None = getattr(getattr(error, "orig", None), "sqlstate", None)
    return code
