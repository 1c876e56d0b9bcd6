-- The tables of the ledgers that earlier versions have made: a section for each version (PRAGMA user_version) that changed them. The
-- sections up to a version, one after the other, make its tables. Version 3 changed only the names of two fields in event_json. A
-- section is a copy, and is not changed when the program changes.
-- version 1
CREATE TABLE cursors(
  reader TEXT PRIMARY KEY,
  cursor TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE units(
  machine TEXT NOT NULL, manager TEXT NOT NULL, unit TEXT NOT NULL,
  state TEXT NOT NULL,
  PRIMARY KEY(machine, manager, unit)
) WITHOUT ROWID;
CREATE TABLE unit_events(
  machine TEXT NOT NULL, manager TEXT NOT NULL, unit TEXT NOT NULL,
  role TEXT NOT NULL,
  event_json TEXT NOT NULL, event_time INTEGER NOT NULL, event_monotonic INTEGER NOT NULL,
  PRIMARY KEY(machine, manager, unit, role)
) WITHOUT ROWID;
CREATE TABLE boots(machine TEXT PRIMARY KEY, boot TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE runs(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  event_id TEXT NOT NULL,
  hook TEXT NOT NULL,
  again INTEGER NOT NULL DEFAULT 0,
  unit TEXT NOT NULL,
  event TEXT NOT NULL,
  event_json TEXT NOT NULL,
  event_time INTEGER NOT NULL,
  event_monotonic INTEGER NOT NULL,
  manager TEXT NOT NULL,
  mode TEXT NOT NULL,
  owner TEXT NOT NULL,
  held INTEGER NOT NULL DEFAULT 0,
  state TEXT NOT NULL,
  attempt INTEGER NOT NULL DEFAULT 1,
  reason TEXT,
  created INTEGER NOT NULL,
  started INTEGER,
  ended INTEGER,
  exit_code TEXT,
  exit_status INTEGER,
  UNIQUE(event_id, hook, again)
);
CREATE INDEX runs_open ON runs(state) WHERE state IN ('pending', 'running', 'interrupted');
CREATE INDEX runs_by_hook ON runs(hook, id);
CREATE INDEX runs_held ON runs(unit) WHERE held;
CREATE TABLE attempts(
  run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
  attempt INTEGER NOT NULL,
  state TEXT NOT NULL,
  reason TEXT,
  started INTEGER NOT NULL,
  ended INTEGER,
  exit_code TEXT,
  exit_status INTEGER,
  container TEXT,
  PRIMARY KEY(run, attempt)
) WITHOUT ROWID;
CREATE INDEX attempts_contained ON attempts(run) WHERE container IS NOT NULL;
-- version 2
ALTER TABLE runs ADD COLUMN machine TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN turn TEXT;
ALTER TABLE runs ADD COLUMN due INTEGER;
ALTER TABLE runs ADD COLUMN wait TEXT;
ALTER TABLE runs ADD COLUMN settle_until INTEGER;
ALTER TABLE runs ADD COLUMN retries INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN cause INTEGER;
ALTER TABLE runs ADD COLUMN mends INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN parallel INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN open INTEGER NOT NULL DEFAULT 0;
DROP INDEX runs_open;
CREATE INDEX runs_open ON runs(owner, id) WHERE open;
CREATE INDEX runs_due ON runs(due) WHERE due IS NOT NULL;
CREATE INDEX runs_waiting ON runs(unit) WHERE wait IS NOT NULL;
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
-- version 3
-- version 4
ALTER TABLE runs ADD COLUMN wanted INTEGER NOT NULL DEFAULT 0;
CREATE INDEX runs_wanted ON runs(owner) WHERE wanted AND open;
-- version 5
ALTER TABLE runs ADD COLUMN due_time INTEGER;
CREATE TABLE rate_limits(
  hook TEXT NOT NULL, machine TEXT NOT NULL, units TEXT NOT NULL,
  start INTEGER NOT NULL, interval INTEGER NOT NULL, count INTEGER NOT NULL, waiting TEXT,
  PRIMARY KEY(hook, machine, units)
) WITHOUT ROWID;
CREATE TABLE dropped(
  until INTEGER NOT NULL, hook TEXT NOT NULL, reason TEXT NOT NULL, unit TEXT NOT NULL, count INTEGER NOT NULL,
  PRIMARY KEY(until, hook, reason, unit)
) WITHOUT ROWID;
