"""What the service remembers beside the documents: keys, jobs, feedback, content gaps and traces, in home/service.sqlite."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rag.errors import NotFound
from rag.storage.database import connect

_SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (id TEXT PRIMARY KEY, name TEXT NOT NULL, hash TEXT NOT NULL, groups TEXT NOT NULL,
  admin INTEGER NOT NULL, created TEXT NOT NULL, revoked TEXT) STRICT;
CREATE TABLE IF NOT EXISTS jobs (id TEXT PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL,
  owner TEXT NOT NULL, params TEXT NOT NULL, stage TEXT NOT NULL, done INTEGER NOT NULL, total INTEGER NOT NULL,
  created TEXT NOT NULL, updated TEXT NOT NULL, report TEXT, error TEXT) STRICT;
CREATE TABLE IF NOT EXISTS feedback (id TEXT PRIMARY KEY, created TEXT NOT NULL, key TEXT NOT NULL, collection TEXT NOT NULL,
  answer_id TEXT NOT NULL, rating TEXT NOT NULL, comment TEXT NOT NULL, question TEXT NOT NULL, answer TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS gaps (collection TEXT NOT NULL, question_key TEXT NOT NULL, question TEXT NOT NULL, reason TEXT NOT NULL,
  count INTEGER NOT NULL, first_seen TEXT NOT NULL, last_seen TEXT NOT NULL, PRIMARY KEY (collection, question_key)) STRICT;
CREATE TABLE IF NOT EXISTS traces (number INTEGER PRIMARY KEY, id TEXT NOT NULL, created TEXT NOT NULL, key TEXT NOT NULL,
  route TEXT NOT NULL, status TEXT NOT NULL, facts TEXT NOT NULL, stages TEXT NOT NULL) STRICT;
"""
_TRACES_KEPT = 10_000
_JOBS_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class Key:
    """Who may call. The secret itself is nowhere: only its SHA-256 (it has 256 random bits, so no salt or stretching)."""

    id: str
    name: str
    groups: frozenset[str]
    admin: bool
    created: str
    revoked: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A piece of work that outlives its request. `state`: queued, running, done, failed or cancelled."""

    id: str
    kind: str
    name: str
    state: str
    owner: str  # id of the key that asked for it
    params: Mapping[str, Any] = field(default_factory=dict)
    stage: str = ""
    done: int = 0
    total: int = 0
    created: str = ""
    updated: str = ""
    report: Mapping[str, Any] | None = None
    error: str | None = None

    @property
    def finished(self) -> bool:
        return self.state in ("done", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a reader thought of an answer."""

    id: str
    created: str
    key: str
    collection: str
    answer_id: str
    rating: str  # "up" or "down"
    comment: str
    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Gap:
    """A question that the documents did not answer well, and how often it was asked."""

    collection: str
    question: str
    reason: str  # "abstained" or "down"
    count: int
    first_seen: str
    last_seen: str


@dataclass(frozen=True, slots=True)
class Trace:
    """One answered request: facts without any text, and seconds per stage."""

    id: str
    created: str
    key: str
    route: str
    status: str
    facts: Mapping[str, Any]
    stages: Mapping[str, float]


class Ledger:
    """The one writer of service.sqlite in this process; other processes may write too (`rag keys` while the service runs).

    Thread-safe. Every read asks the database, so a key revoked elsewhere is refused at the next request.
    """

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self._db = connect(home / "service.sqlite")
        self._db.script(_SCHEMA)
        # A second connection, so that a key is looked up without waiting for a write to reach the disk.
        self._reader = connect(home / "service.sqlite")

    # --- keys

    def create_key(self, name: str, groups: Sequence[str] = (), admin: bool = False) -> tuple[str, Key]:
        """The secret, shown once, and the key."""
        id_ = secrets.token_hex(6)
        secret = f"rag_{id_}_{secrets.token_urlsafe(32)}"
        key = Key(id_, name, frozenset(groups), admin, _now())
        self._write(
            "INSERT INTO keys VALUES (?,?,?,?,?,?,NULL)",
            (id_, name, _hash(secret), json.dumps(sorted(key.groups)), int(admin), key.created),
        )
        return secret, key

    def list_keys(self) -> list[Key]:
        """All keys, revoked ones included, oldest first."""
        return [_key(row) for row in self._read("SELECT * FROM keys ORDER BY created, id")]

    def guarded(self) -> bool:
        """Whether any key was ever made: then no request is served without one, also when all of them are revoked."""
        return bool(self._read("SELECT 1 FROM keys LIMIT 1"))

    def find_key(self, secret: str) -> Key | None:
        """The key of this secret, None when there is none or it is revoked. The comparison takes the same time either way."""
        parts = secret.split("_", 2)
        rows = (
            self._read("SELECT * FROM keys WHERE id = ?", (parts[1],)) if len(parts) == 3 and parts[0] == "rag" else []
        )
        stored = rows[0]["hash"] if rows else "0" * 64
        same = hmac.compare_digest(stored, _hash(secret))
        return _key(rows[0]) if same and rows and rows[0]["revoked"] is None else None

    def revoke_key(self, id_: str) -> Key:
        """The key, refused from now on. Raises NotFound."""
        if not self._write("UPDATE keys SET revoked = COALESCE(revoked, ?) WHERE id = ?", (_now(), id_)):
            raise NotFound(f"no key {id_}; `rag keys list` shows the ids")
        return _key(self._read("SELECT * FROM keys WHERE id = ?", (id_,))[0])

    # --- jobs

    def add_job(self, kind: str, name: str, owner: str, params: Mapping[str, Any]) -> Job:
        """A queued job; of the finished ones only the newest thousand are kept."""
        now = _now()
        job = Job(secrets.token_hex(8), kind, name, "queued", owner, dict(params), "queued", created=now, updated=now)
        self._write(
            "INSERT INTO jobs VALUES (?,?,?,?,?,?,?,?,?,?,?,NULL,NULL)",
            (job.id, kind, name, job.state, owner, json.dumps(params), job.stage, 0, 0, now, now),
        )
        self._write(
            "DELETE FROM jobs WHERE state IN ('done','failed','cancelled') AND id NOT IN "
            "(SELECT id FROM jobs ORDER BY created DESC LIMIT ?)",
            (_JOBS_KEPT,),
        )
        return job

    def set_job(self, id_: str, **changes: Any) -> None:
        """Writes state, stage, done, total, report or error of a job."""
        values = {k: json.dumps(v) if k == "report" and v is not None else v for k, v in changes.items()} | {
            "updated": _now()
        }
        columns = ", ".join(f"{name} = ?" for name in values)
        self._write(f"UPDATE jobs SET {columns} WHERE id = ?", (*values.values(), id_))

    def job(self, id_: str) -> Job:
        """Raises NotFound."""
        rows = self._read("SELECT * FROM jobs WHERE id = ?", (id_,))
        if not rows:
            raise NotFound(f"no job {id_[:80]}; GET /jobs lists them")
        return _job(rows[0])

    def jobs(self, limit: int = 100) -> list[Job]:
        """Newest first."""
        return [
            _job(row) for row in self._read("SELECT * FROM jobs ORDER BY created DESC, rowid DESC LIMIT ?", (limit,))
        ]

    def unfinished_jobs(self) -> list[Job]:
        """What a stopped service left to do, oldest first."""
        return [
            _job(row)
            for row in self._read("SELECT * FROM jobs WHERE state IN ('queued','running') ORDER BY created, rowid")
        ]

    # --- feedback and gaps

    def add_feedback(
        self, key: str, collection: str, answer_id: str, rating: str, comment: str, question: str, answer: str
    ) -> Feedback:
        """Keeps one judgement."""
        given = Feedback(secrets.token_hex(8), _now(), key, collection, answer_id, rating, comment, question, answer)
        self._write(
            "INSERT INTO feedback VALUES (?,?,?,?,?,?,?,?,?)",
            (given.id, given.created, key, collection, answer_id, rating, comment, question, answer),
        )
        return given

    def feedback(self, limit: int = 100) -> list[Feedback]:
        """Newest first."""
        rows = self._read("SELECT * FROM feedback ORDER BY created DESC, rowid DESC LIMIT ?", (limit,))
        return [Feedback(**dict(row)) for row in rows]

    def add_gap(self, collection: str, question: str, reason: str) -> None:
        """Counts a question that was not answered; questions that differ in case and spacing only are one."""
        now, words = _now(), " ".join(question.casefold().split())
        self._write(
            "INSERT INTO gaps VALUES (?,?,?,?,1,?,?) ON CONFLICT DO UPDATE SET "
            "count = count + 1, last_seen = excluded.last_seen, reason = excluded.reason",
            (collection, words, question, reason, now, now),
        )

    def gaps(self, limit: int = 100) -> list[Gap]:
        """Most asked first."""
        rows = self._read(
            "SELECT collection, question, reason, count, first_seen, last_seen FROM gaps "
            "ORDER BY count DESC, last_seen DESC LIMIT ?",
            (limit,),
        )
        return [Gap(**dict(row)) for row in rows]

    def close_gap(self, collection: str, question: str) -> None:
        """Forgets a gap that was filled. Raises NotFound."""
        if not self._write(
            "DELETE FROM gaps WHERE collection = ? AND question_key = ?",
            (collection, " ".join(question.casefold().split())),
        ):
            raise NotFound("no such gap; GET /gaps lists them")

    # --- traces

    def add_trace(self, trace: Trace) -> None:
        """Keeps the newest ten thousand."""
        self._write(
            "INSERT INTO traces (id, created, key, route, status, facts, stages) VALUES (?,?,?,?,?,?,?)",
            (
                trace.id,
                trace.created,
                trace.key,
                trace.route,
                trace.status,
                json.dumps(dict(trace.facts)),
                json.dumps(dict(trace.stages)),
            ),
        )
        self._write("DELETE FROM traces WHERE number <= (SELECT max(number) FROM traces) - ?", (_TRACES_KEPT,))

    def traces(self, limit: int = 100) -> list[Trace]:
        """Newest first."""
        return [
            Trace(
                row["id"],
                row["created"],
                row["key"],
                row["route"],
                row["status"],
                json.loads(row["facts"]),
                json.loads(row["stages"]),
            )
            for row in self._read("SELECT * FROM traces ORDER BY number DESC LIMIT ?", (limit,))
        ]

    def close(self) -> None:
        """Closes the file."""
        self._reader.close()
        self._db.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self, sql: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        return self._reader.records(sql, values)

    def _write(self, sql: str, values: Sequence[Any]) -> int:
        """Rows changed."""
        return self._db.run(sql, values)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _key(row: Mapping[str, Any]) -> Key:
    return Key(
        row["id"], row["name"], frozenset(json.loads(row["groups"])), bool(row["admin"]), row["created"], row["revoked"]
    )


def _job(row: Mapping[str, Any]) -> Job:
    values = dict(row)
    values["params"] = json.loads(values["params"])
    values["report"] = json.loads(values["report"]) if values["report"] else None
    return Job(**values)
