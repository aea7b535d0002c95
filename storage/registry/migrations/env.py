"""What Alembic runs: it is handed a connection by `storage.registry.engine` and never opens one."""

from alembic import context

from storage.registry.models import Base


def _run() -> None:
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=Base.metadata,
        render_as_batch=True,  # SQLite can't alter a column in place
    )
    with context.begin_transaction():
        context.run_migrations()


_run()
