"""What Alembic runs: the scripts on the connection it is given, or as SQL for the dialect that is asked for."""

from alembic import context

given = context.config.attributes

# A transaction is the caller's: it also holds the lock against a second migration.
if context.is_offline_mode():
    context.configure(dialect_name=given["dialect"], literal_binds=True, transactional_ddl=given["dialect"] != "sqlite")
    with context.begin_transaction():
        context.run_migrations()
else:
    context.configure(connection=given["connection"], transactional_ddl=False)
    context.run_migrations()
