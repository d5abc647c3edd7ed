"""Alembic's entry: runs inside the transaction that ``storage.index.database.upgrade`` opened."""

from alembic import context

from bidwitness.storage.index.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    transactional_ddl=False,
)
context.run_migrations()
