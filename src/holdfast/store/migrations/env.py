"""What Alembic runs: it works on the connection, and in the transaction, that `upgrade` hands it."""

from __future__ import annotations

from alembic import context

from holdfast.store.tables import metadata

if hasattr(context, "config"):  # absent when someone only imports this file, such as pytest for doctests
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=metadata,
        render_as_batch=True,  # SQLite cannot alter most things in place
    )
    with context.begin_transaction():
        context.run_migrations()
