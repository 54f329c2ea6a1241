"""Waiting for an application's own transaction: its commit is ours, its rollback too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, scoped_session

from notify.errors import InvalidSession

WAITING = "notify.after_commit"


def resolve(session: object) -> Session:
    """The Session itself, also behind a `scoped_session`. Anything else is refused with `InvalidSession`."""
    if isinstance(session, scoped_session):
        session = session()
    if not isinstance(session, Session):
        raise InvalidSession(
            f"session must be a SQLAlchemy Session, not {type(session).__name__}; "
            "inside AsyncSession.run_sync() the function is given one"
        )
    return session


@contextmanager
def whole(connection: sa.Connection, session: Session | None) -> Iterator[None]:
    """In the application's own transaction, what is refused halfway leaves nothing behind for its commit."""
    if session is None:
        yield
        return
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite" and not driver.in_transaction:
        connection.exec_driver_sql("BEGIN")  # else the end of the savepoint would be a commit
    with connection.begin_nested():
        yield


def after_commit(session: Session, then: Callable[[], object]) -> None:
    """Call `then` once the session's present transaction is committed; never when it is rolled back."""
    if WAITING not in session.info:
        session.info[WAITING] = []
        sa.event.listen(session, "after_commit", _committed)
        sa.event.listen(session, "after_transaction_end", _ended)
    session.info[WAITING].append(then)


def _committed(session: Session) -> None:
    if session.get_nested_transaction() is not None:
        return  # a released savepoint is no commit
    waiting = session.info[WAITING][:]
    session.info[WAITING].clear()
    for then in waiting:
        then()


def _ended(session: Session, transaction: Any) -> None:
    if transaction.parent is None:
        session.info[WAITING].clear()
