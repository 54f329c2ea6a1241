"""Waiting for an application's own transaction: its commit is ours, its rollback too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

WAITING = "notify.after_commit"


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
    waiting, session.info[WAITING] = session.info[WAITING], []
    for then in waiting:
        then()


def _ended(session: Session, transaction: Any) -> None:
    if transaction.parent is None:
        session.info[WAITING].clear()
