"""The tables of a collection.

A document has versions; a version has chunks; a version lives over one or more spans of generations ([added, removed), removed NULL =
still alive). Versions, texts and chunks never change once written, so an old generation is read from the very same rows. Who may see a
document, and what supersedes it, is not part of its history: it holds for every generation at once. Token codes belong to a content, not
to a chunk: equal chunks share them.
"""

from __future__ import annotations

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE generations (generation INTEGER PRIMARY KEY, time TEXT NOT NULL, note TEXT NOT NULL,
  documents INTEGER NOT NULL, chunks INTEGER NOT NULL);
CREATE TABLE documents (document TEXT PRIMARY KEY, groups TEXT NOT NULL, superseded_by TEXT) WITHOUT ROWID;
CREATE TABLE versions (version INTEGER PRIMARY KEY, document TEXT NOT NULL REFERENCES documents, title TEXT NOT NULL,
  path TEXT NOT NULL, root TEXT NOT NULL, content_hash TEXT NOT NULL, language TEXT NOT NULL, type TEXT NOT NULL,
  date TEXT, author TEXT, chunks INTEGER NOT NULL);
CREATE INDEX versions_document ON versions (document);
CREATE TABLE texts (version INTEGER PRIMARY KEY REFERENCES versions, text BLOB NOT NULL, pages TEXT NOT NULL, blocks TEXT NOT NULL);
CREATE TABLE lives (version INTEGER NOT NULL REFERENCES versions, added INTEGER NOT NULL, removed INTEGER,
  PRIMARY KEY (version, added)) WITHOUT ROWID;
CREATE INDEX lives_alive ON lives (version) WHERE removed IS NULL;
CREATE TABLE chunks (id INTEGER PRIMARY KEY, version INTEGER NOT NULL REFERENCES versions, start INTEGER NOT NULL,
  stop INTEGER NOT NULL, page INTEGER, heading TEXT NOT NULL, language TEXT NOT NULL, parent_start INTEGER NOT NULL,
  parent_stop INTEGER NOT NULL, content_hash TEXT NOT NULL, text TEXT NOT NULL);
CREATE INDEX chunks_version ON chunks (version);
CREATE INDEX chunks_hash ON chunks (content_hash);
CREATE TABLE token_codes (content_hash TEXT PRIMARY KEY, codes BLOB NOT NULL);
CREATE TABLE segments (name TEXT PRIMARY KEY, first INTEGER NOT NULL, rows INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE files (name TEXT PRIMARY KEY, segment TEXT NOT NULL REFERENCES segments, kind TEXT NOT NULL,
  bytes INTEGER NOT NULL, sha256 TEXT NOT NULL) WITHOUT ROWID;
"""
