"""All SQL: tables, queries per aggregate, migrations. Functions take a connection; a transaction is the caller's."""

from sqlalchemy import Connection

from notify.store.engine import Store, open_store

__all__ = ["Connection", "Store", "open_store"]
