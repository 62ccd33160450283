"""Names of files and folders, in one place."""

from __future__ import annotations

COLLECTIONS = "collections"  # in the home: one folder a collection
UPLOADS = "uploads"  # in the home: files named by the SHA-256 of their content

DATABASE = "store.sqlite"  # in a collection: the only truth
HEAD = "head.json"  # how far the database has come, kept beside it
SEGMENTS = "segments"
WRITER_LOCK = "writer.lock"
COMPACT_LOCK = "compact.lock"
COMMIT_LOCK = "commit.lock"
