"""Runs migrations on the connection that `notify.store.schema` hands over."""

from alembic import context

from notify.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True)
context.run_migrations()
