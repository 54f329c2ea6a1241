"""Waiting for an application's own transaction: its commit is ours, its rollback too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session


def after_commit(session: Session, then: Callable[[], object]) -> None:
    """Call `then` once the session's present transaction is committed; never when it is rolled back."""

    def committed(_session: Session) -> None:
        if session.get_nested_transaction() is None:  # a released savepoint is no commit
            forget()
            then()

    def ended(_session: Session, transaction: Any) -> None:
        if transaction.parent is None:
            forget()

    def forget() -> None:
        for name, listener in (("after_commit", committed), ("after_transaction_end", ended)):
            if sa.event.contains(session, name, listener):
                sa.event.remove(session, name, listener)

    sa.event.listen(session, "after_commit", committed)
    sa.event.listen(session, "after_transaction_end", ended)
