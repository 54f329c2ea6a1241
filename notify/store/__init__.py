"""All SQL: tables, queries per aggregate, migrations. Functions take a connection; a transaction is the caller's."""

from sqlalchemy import Connection

from notify.store.engine import Store, explained, open_store

__all__ = ["Connection", "Store", "explained", "open_store"]
