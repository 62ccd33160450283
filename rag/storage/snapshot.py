"""One generation of a collection, to search and read. Immutable and thread-safe; stays whole while others write."""

from __future__ import annotations

import json
import zlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.errors import CorruptCollection, NotFound
from rag.index import filters
from rag.index.keyword import KeywordScorer
from rag.index.ranking import EMPTY, Ranking, best
from rag.protocols import Vectors
from rag.storage.card import Card
from rag.storage.database import Database
from rag.storage.segments import Segment
from rag.storage.state import State
from rag.types import Block, Chunk, Document, Page

_AT_ONCE = 500  # parameters of one query
_ALLOWED_KEPT = 64  # allowed sets remembered for each snapshot
_Key = tuple[frozenset[str] | None, str]


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """A document without its text."""

    document: str
    title: str
    path: str
    root: str
    groups: frozenset[str]
    chunks: int
    content_hash: str
    language: str
    type: str
    date: str | None
    author: str | None
    superseded_by: str | None
    version: int


class Allowed:
    """The chunks that one search may look at: alive, visible to the caller, matching the filter. One mask a segment."""

    def __init__(self, segments: Sequence[Segment], versions: NDArray[np.bool_]) -> None:
        """`versions` (highest version + 1,) which versions' chunks are allowed."""
        self._segments = segments
        self.masks = tuple(versions[s.versions] for s in segments)
        self.count = int(sum(np.count_nonzero(m) for m in self.masks))
        self._vectors: dict[tuple[int, str], NDArray[np.bool_] | None] = {}
        self._keyword: KeywordScorer | None = None
        self._lock = Lock()

    def contains(self, ids: Sequence[int] | NDArray[np.int64]) -> NDArray[np.bool_]:
        """(n,) whether each chunk id is in the set."""
        wanted = np.asarray(ids, np.int64)
        found = np.zeros(len(wanted), bool)
        for segment, mask in zip(self._segments, self.masks, strict=True):
            at, here = segment.find(wanted)
            found |= here & mask[at]
        return found

    def keyword(self) -> KeywordScorer:
        """BM25 over this set, made once."""
        with self._lock:
            if self._keyword is None:
                segments = self._segments
                self._keyword = KeywordScorer([s.postings for s in segments], [s.ids for s in segments], self.masks)
            return self._keyword

    def vectors(self, number: int, field: str) -> NDArray[np.bool_] | None:
        """Which vectors of a field in segment `number` are allowed; None = all."""
        with self._lock:
            if (number, field) not in self._vectors:
                mask = self.masks[number][self._segments[number].fields[field].rows]
                self._vectors[number, field] = None if mask.all() else mask
            return self._vectors[number, field]


class Snapshot:
    """What a search works on: from exactly one generation, with the groups of when it was taken."""

    def __init__(
        self, db: Database, card: Card, state: State, segments: Sequence[Segment], *, exact_vectors: int, threads: int
    ) -> None:
        self._db = db
        self.card = card
        self.state = state
        self._segments = tuple(segments)
        self._exact = sum(len(s.ids) for s in segments) <= exact_vectors
        self._threads = threads
        self._allowed: OrderedDict[_Key, Allowed] = OrderedDict()
        self._infos: list[DocumentInfo] | None = None
        self._lock = Lock()

    @property
    def generation(self) -> int:
        return self.state.generation

    def allowed(self, groups: frozenset[str] | None, filter: str = "") -> Allowed:
        """The set for a caller; "public" documents are visible to every caller that has a group, None is the operator.

        Raises UsageError for a filter that cannot be read.
        """
        key = (groups, filter.strip())
        with self._lock:
            if key in self._allowed:
                self._allowed.move_to_end(key)
                return self._allowed[key]
        versions = self.state.visible(groups)
        wanted = filters.parse(filter)
        if wanted.clauses:
            versions = versions.copy()
            for info in self._all_infos():
                if versions[info.version] and not wanted.matches(info):
                    versions[info.version] = False
        allowed = Allowed(self._segments, versions)
        with self._lock:
            self._allowed[key] = allowed
            while len(self._allowed) > _ALLOWED_KEPT:
                self._allowed.popitem(last=False)
        return allowed

    def keyword(self, tokens: Mapping[str, float] | Sequence[str], allowed: Allowed, k: int) -> Ranking:
        """BM25 over the allowed chunks; a mapping weighs each token. Never returns score 0."""
        return allowed.keyword().search(tokens, k)

    def keyword_scores(
        self, tokens: Mapping[str, float] | Sequence[str], allowed: Allowed, ids: Sequence[int]
    ) -> NDArray[np.float32]:
        """(n,) BM25 score of each of these chunks, 0 where nothing matches or the chunk is not allowed."""
        return allowed.keyword().scores(tokens, np.asarray(ids, np.int64))

    def document_frequency(self, token: str, allowed: Allowed) -> int:
        """Allowed chunks that hold the token."""
        return allowed.keyword().document_frequency(token)

    def dense(self, field: str, vector: Vectors, allowed: Allowed, k: int) -> Ranking:
        """The allowed chunks nearest to `vector` (dim,) in this field, by inner product. Raises KeyError, ValueError."""
        wanted = self.card.field(field).dim
        vector = np.ascontiguousarray(vector, np.float32)
        if vector.shape != (wanted,):
            raise ValueError(f"field {field}: a vector of shape {vector.shape} where ({wanted},) belongs")
        ids, scores = [], []
        for number, segment in enumerate(self._segments):
            index = segment.fields.get(field)
            if index is not None:
                mask = allowed.vectors(number, field)
                at, score = index.search(vector, mask, k, exact=self._exact, threads=self._threads)
                ids.append(segment.ids[index.rows[at]])
                scores.append(score)
        return best(np.concatenate(ids), np.concatenate(scores), k) if ids else EMPTY

    def chunks(self, ids: Sequence[int] | NDArray[np.int64]) -> list[Chunk]:
        """The chunks in the order of `ids`. Raises NotFound for an id that does not exist."""
        wanted = [int(i) for i in ids]
        found: dict[int, Chunk] = {}
        for start in range(0, len(wanted), _AT_ONCE):
            part = wanted[start : start + _AT_ONCE]
            for chunk in self._chunk_rows(f"c.id IN ({', '.join('?' * len(part))})", part):
                found[chunk.id] = chunk
        missing = [i for i in wanted if i not in found]
        if missing:
            raise NotFound(f"chunk {missing[0]}: not in this collection; it may have been compacted away")
        return [found[i] for i in wanted]

    def vectors(self, field: str, ids: Sequence[int] | NDArray[np.int64]) -> Vectors:
        """(n, dim) the stored vectors; a row of NaN where the field does not hold the chunk."""
        wanted = np.asarray(ids, np.int64)
        found = np.full((len(wanted), self.card.field(field).dim), np.nan, np.float32)
        for segment in self._segments:
            index = segment.fields.get(field)
            if index is None or not len(index.rows):
                continue
            row, here = segment.find(wanted)
            at = np.minimum(np.searchsorted(index.rows, row), len(index.rows) - 1)
            here &= index.rows[at] == row
            found[here] = index.vectors[at[here]]
        return found

    def token_codes(self, hashes: Sequence[str]) -> dict[str, bytes]:
        """Content hash of a chunk -> the token codes kept for it, for those that have any."""
        found: dict[str, bytes] = {}
        for start in range(0, len(hashes), _AT_ONCE):
            part = hashes[start : start + _AT_ONCE]
            wanted = ", ".join("?" * len(part))
            found |= dict(
                self._db.rows(f"SELECT content_hash, codes FROM token_codes WHERE content_hash IN ({wanted})", part)
            )
        return found

    def document(self, document: str, groups: frozenset[str] | None = None) -> Document:
        """The document with its text. Raises NotFound when it is not there, or not for these groups: no telling which."""
        version = self.state.documents.get(document, -1)
        if not self.state.may_see(version, groups):
            raise NotFound(f"document {document}: not in this collection; `rag documents list` shows what is")
        info = self._info_rows("v.version = ?", [version])[0]
        row = self._db.row("SELECT text, pages, blocks FROM texts WHERE version = ?", (version,))
        if row is None:
            raise CorruptCollection(f"document {document}: its text is missing; restore the collection from a backup")
        return Document(
            id=info.document,
            title=info.title,
            text=zlib.decompress(row[0]).decode("utf-8", "surrogatepass"),
            path=info.path,
            root=info.root,
            content_hash=info.content_hash,
            pages=tuple(Page(**{**p, "span": tuple(p["span"])}) for p in json.loads(row[1])),
            blocks=tuple(Block(kind, (a, b), level) for kind, a, b, level in json.loads(row[2])),
            groups=info.groups,
            language=info.language,
            type=info.type,
            date=info.date,
            author=info.author,
            superseded_by=info.superseded_by,
        )

    def documents(self, groups: frozenset[str] | None = None) -> list[DocumentInfo]:
        """The documents that a caller of these groups may see, by path."""
        return [i for i in self._all_infos() if self.state.may_see(i.version, groups)]

    def info(self, documents: Sequence[str]) -> list[DocumentInfo]:
        """The facts of these documents, in their order. Raises NotFound."""
        versions = [self.state.documents.get(d, -1) for d in documents]
        found: dict[int, DocumentInfo] = {}
        for start in range(0, len(versions), _AT_ONCE):
            part = versions[start : start + _AT_ONCE]
            for info in self._info_rows(f"v.version IN ({', '.join('?' * len(part))})", part):
                found[info.version] = info
        for document, version in zip(documents, versions, strict=True):
            if version not in found:
                raise NotFound(f"document {document}: not in this collection; `rag documents list` shows what is")
        return [found[v] for v in versions]

    def find(self, name: str, groups: frozenset[str] | None = None) -> str | None:
        """The id of the one visible document with this id, path, file name or title; None when there is none or several."""
        if self.state.may_see(self.state.documents.get(name, -1), groups):
            return name
        infos = self.documents(groups)
        for matches in (
            [i.document for i in infos if i.path == name],
            [i.document for i in infos if f"{i.root}/{i.path}" == name],
            [i.document for i in infos if PurePosixPath(i.path).name == name],
            [i.document for i in infos if i.title.casefold() == name.casefold()],
        ):
            if matches:
                return matches[0] if len(matches) == 1 else None
        return None

    def document_chunks(self, document: str, groups: frozenset[str] | None = None) -> list[Chunk]:
        """The chunks of a document, in the order of its text. Raises NotFound."""
        version = self.state.documents.get(document, -1)
        if not self.state.may_see(version, groups):
            raise NotFound(f"document {document}: not in this collection; `rag documents list` shows what is")
        return self._chunk_rows("c.version = ? ORDER BY c.id", [version])

    def _chunk_rows(self, where: str, params: Sequence[Any]) -> list[Chunk]:
        rows = self._db.rows(
            "SELECT c.id, v.document, c.text, c.start, c.stop, c.page, c.heading, c.language, v.title, c.parent_start,"
            f" c.parent_stop, c.content_hash FROM chunks c JOIN versions v ON v.version = c.version WHERE {where}",
            params,
        )
        return [
            Chunk(
                id=r[0],
                document=r[1],
                text=r[2],
                span=(r[3], r[4]),
                page=r[5],
                heading=tuple(json.loads(r[6])),
                language=r[7],
                title=r[8],
                parent=(r[9], r[10]),
                content_hash=r[11],
            )
            for r in rows
        ]

    def _info_rows(self, where: str, params: Sequence[Any] = ()) -> list[DocumentInfo]:
        state = self.state
        return [
            DocumentInfo(
                document=r[1],
                title=r[2],
                path=r[3],
                root=r[4],
                groups=state.group_sets[state.rights[r[0]]],
                chunks=r[5],
                content_hash=r[6],
                language=r[7],
                type=r[8],
                date=r[9],
                author=r[10],
                superseded_by=r[11],
                version=r[0],
            )
            for r in self._db.rows(
                "SELECT v.version, v.document, v.title, v.path, v.root, v.chunks, v.content_hash, v.language, v.type,"
                " v.date, v.author, d.superseded_by FROM versions v JOIN documents d ON d.document = v.document"
                f" WHERE {where}",
                params,
            )
            if 0 <= r[0] < len(state.alive) and state.alive[r[0]]
        ]

    def _all_infos(self) -> list[DocumentInfo]:
        with self._lock:
            infos = self._infos
        if infos is None:
            infos = sorted(self._info_rows("1"), key=lambda i: (i.path, i.root, i.document))
            with self._lock:
                self._infos = infos
        return infos
