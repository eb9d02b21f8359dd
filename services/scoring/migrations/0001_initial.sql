-- Types are those that SQLite and PostgreSQL share; the two words with a dollar sign are filled in for each engine.
CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
);

CREATE TABLE pattern (
  id $identity,
  text TEXT NOT NULL UNIQUE
);

-- One row per application with its current outcome. Times are epoch seconds; content_hash is 64-bit, read as signed.
CREATE TABLE outcome (
  application_id TEXT PRIMARY KEY,
  partition INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  submission TEXT NOT NULL,
  conflict INTEGER NOT NULL,
  month TEXT NOT NULL,
  province TEXT NOT NULL,
  procedure TEXT NOT NULL,
  channel TEXT NOT NULL,
  pattern_id BIGINT NOT NULL,
  submitted_at BIGINT NOT NULL,
  due_at BIGINT NOT NULL,
  decided_at BIGINT NOT NULL,
  presumed INTEGER NOT NULL,
  assisted INTEGER NOT NULL,
  on_time INTEGER NOT NULL,
  minutes BIGINT NOT NULL,
  content_hash BIGINT NOT NULL
) $clustered;

CREATE TABLE cell (
  month TEXT NOT NULL,
  province TEXT NOT NULL,
  procedure TEXT NOT NULL,
  channel TEXT NOT NULL,
  pattern_id BIGINT NOT NULL,
  n BIGINT NOT NULL,
  presumed BIGINT NOT NULL,
  assisted BIGINT NOT NULL,
  on_time BIGINT NOT NULL,
  minutes BIGINT NOT NULL,
  PRIMARY KEY (month, province, procedure, channel, pattern_id)
) $clustered;

CREATE TABLE consumer_offset (
  topic TEXT NOT NULL,
  partition INTEGER NOT NULL,
  next_offset BIGINT NOT NULL,
  PRIMARY KEY (topic, partition)
);

-- hash_sum is modulo 2**64, read as signed.
CREATE TABLE fingerprint (
  partition INTEGER PRIMARY KEY,
  applications BIGINT NOT NULL,
  hash_sum BIGINT NOT NULL
);

CREATE TABLE counter (
  partition INTEGER NOT NULL,
  name TEXT NOT NULL,
  value BIGINT NOT NULL,
  PRIMARY KEY (partition, name)
);
