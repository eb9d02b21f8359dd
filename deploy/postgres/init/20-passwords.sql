-- The roles' passwords, from the files of those who log in with them. To take over changed ones:
--   docker compose exec postgres psql -U postgres -d paperless -f /docker-entrypoint-initdb.d/20-passwords.sql
\set password `cat /run/secrets/migrate/store_password`
ALTER ROLE scoring_owner PASSWORD :'password';
\set password `cat /run/secrets/scoring/store_password`
ALTER ROLE scoring_writer PASSWORD :'password';
\set password `cat /run/secrets/scoring-api/store_password`
ALTER ROLE scoring_reader PASSWORD :'password';
