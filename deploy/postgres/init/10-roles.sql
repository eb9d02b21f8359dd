-- Who may do what in the store. Run once in the store's database by its superuser, before the first migration:
--   psql -d paperless -f 10-roles.sql        (the official image does so by itself from /docker-entrypoint-initdb.d)
-- The roles have no password yet, so nobody can log in with one: ALTER ROLE scoring_writer PASSWORD '…'.

-- python -m services.scoring.store.migrate: owns the tables, alone may change their shape.
CREATE ROLE scoring_owner LOGIN;
-- python -m services.scoring and python -m services.scoring.store.retention: rows, no shapes.
CREATE ROLE scoring_writer LOGIN;
-- python -m services.scoring.api: reads, and nothing else.
CREATE ROLE scoring_reader LOGIN;
ALTER ROLE scoring_reader SET default_transaction_read_only = on;

DO $$
BEGIN
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO scoring_owner, scoring_writer, scoring_reader', current_database());
END
$$;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO scoring_owner;
GRANT USAGE ON SCHEMA public TO scoring_writer, scoring_reader;

-- Every table that a migration will ever create.
ALTER DEFAULT PRIVILEGES FOR ROLE scoring_owner IN SCHEMA public
  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO scoring_writer;
ALTER DEFAULT PRIVILEGES FOR ROLE scoring_owner IN SCHEMA public
  GRANT SELECT ON TABLES TO scoring_reader;
