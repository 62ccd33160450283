"""Files -> collection: what is new is read, cut, embedded and committed in batches; what is unchanged costs a look at the file system."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from ingest.batches import Batches
from ingest.discovery import FoundFile, LeftOut, owner, walk
from ingest.documents import container_date, file_date, member_path, to_document
from ingest.file_records import READING, FileKey, FileRecord, FileRecords
from ingest.identity import document_id
from ingest.parsed import Limits, Unread
from ingest.planning import Plan, plan
from ingest.progress import Progress, Silent
from ingest.sandbox import Budget, FileResult, SandboxPool
from ingest.tally import Tally, red_pages
from rag.errors import NotFound, UsageError
from rag.settings import Settings
from rag.storage.collection import Collection
from rag.storage.writer import Writer
from rag.types import FailedFile, IngestReport
from rag.wiring import Services

PUBLIC = frozenset({"public"})
ROOTS = "ingest.roots"  # setting: absolute folders that paths are relative to


@dataclass(frozen=True)
class IngestOptions:
    """How to ingest."""

    groups: frozenset[str] | None = None  # None keeps those of known documents; new ones become public
    prune: bool = False  # remove documents whose files are gone
    dry_run: bool = False  # only say what would happen
    again: bool = False  # read unchanged files too


def ingest(
    paths: Sequence[Path],
    services: Services,
    options: IngestOptions | None = None,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> IngestReport:
    """Brings the collection up to date with the files at and below `paths`; what happened to each of them.

    A bad file never stops the run. Commits come in batches, so an interrupted run keeps what it reported and the next one goes on.
    Raises NotFound for a path that does not exist, CollectionLocked while another process writes, StorageFailed when the disk refuses.
    """
    options = options or IngestOptions()
    started = time.monotonic()
    starts = [_absolute(p) for p in paths]
    if not starts:
        raise UsageError("no path given; name the files or folders to ingest")
    if options.dry_run and not services.home.exists(services.settings.collection):
        return _Run(None, services, options, progress or Silent(), cancel).preview(starts, started)
    collection = services.collection(create=not options.dry_run)
    run = _Run(collection, services, options, progress or Silent(), cancel)
    return run.preview(starts, started) if options.dry_run else run.carry_out(starts, started)


def ingest_files(
    files: Sequence[FoundFile],
    services: Services,
    options: IngestOptions | None = None,
    progress: Progress | None = None,
) -> IngestReport:
    """Takes in these very files, wherever they lie, under the root and path that they name; nothing else is touched."""
    started = time.monotonic()
    run = _Run(services.collection(create=True), services, options or IngestOptions(), progress or Silent(), None)
    return run.take(files, started)


class _Run:
    """One run over one collection."""

    def __init__(
        self,
        collection: Collection | None,
        services: Services,
        options: IngestOptions,
        progress: Progress,
        cancel: threading.Event | None,
    ) -> None:
        self.collection = collection
        self.services = services
        self.options = options
        self.progress = progress
        self.cancel = cancel or threading.Event()
        self.tally = Tally()
        self.digests: dict[Path, str | None] = {}
        self.records = FileRecords(collection) if collection else None
        self.infos = {i.document: i for i in collection.snapshot().documents(None)} if collection else {}

    def preview(self, starts: Sequence[Path], started: float) -> IngestReport:
        """The report of a run that would happen now."""
        roots = self._roots(starts)
        steps = self._plan(starts, roots)
        for file in steps.read:
            (self.tally.added if (file.root, file.path) in steps.new else self.tally.updated).append(file.path)
        self.tally.moved = [(r.key[1], f.path) for r, f in steps.moved]
        if self.options.prune:
            self.tally.removed = [p for r in steps.gone for p in _documents(r)]
        self._keep(steps)
        return self.tally.report(0, time.monotonic() - started, self.collection.generation if self.collection else 0)

    def carry_out(self, starts: Sequence[Path], started: float) -> IngestReport:
        assert self.collection is not None
        with self.collection.writer() as writer:
            batches = self._begin(writer)
            roots = self._roots(starts)
            steps = self._plan(starts, roots)
            if roots != (self.collection.get_setting(ROOTS) or []):
                self.collection.set_setting(ROOTS, roots)
            self._keep(steps, batches)
            for record, file in steps.moved:
                self._move(record, file, batches)
            self._read(steps, batches)
            if self.options.prune and not self.cancel.is_set():
                for record in steps.gone:
                    self.tally.removed.extend(_documents(record))
                    batches.forget(record, [d for d, _ in record.documents.values() if d in self.infos])
            batches.finish()
            generation = self.collection.generation
        return self.tally.report(batches.embedded, time.monotonic() - started, generation)

    def take(self, files: Sequence[FoundFile], started: float) -> IngestReport:
        """Reads these files, known or not."""
        assert self.collection is not None
        with self.collection.writer() as writer:
            batches = self._begin(writer)
            assert self.records is not None
            changed = [f for f in files if not self._same_as_before(f)]
            known = [self.records.all[f.root, f.path] for f in files if f not in changed]
            self._keep(Plan(unchanged=tuple(known)), batches)
            self._read(Plan(read=tuple(changed)), batches)
            batches.finish()
            generation = self.collection.generation
        return self.tally.report(batches.embedded, time.monotonic() - started, generation)

    def _same_as_before(self, file: FoundFile) -> bool:
        record = self.records.all.get((file.root, file.path)) if self.records else None
        return (
            record is not None
            and self._valid(record)
            and bool(record.documents)
            and self._digest(file) == record.sha256
        )

    def _begin(self, writer: Writer) -> Batches:
        """State as of the lock, and the batches of this run."""
        collection = self.collection
        assert collection is not None
        self.infos = {i.document: i for i in collection.snapshot().documents(None)}
        self.records = FileRecords(collection)
        return Batches(collection, writer, lambda: self.services.fields(collection.name), self.records, self.progress)

    def _roots(self, starts: Sequence[Path]) -> list[str]:
        """The registered roots, and those that these paths add."""
        roots: list[str] = list(self.collection.get_setting(ROOTS) or []) if self.collection else []
        for start in starts:
            folder = start if start.is_dir() else start.parent
            if owner(folder, roots) is None:
                roots.append(str(folder))
        return roots

    def _plan(self, starts: Sequence[Path], roots: Sequence[str]) -> Plan:
        found: dict[FileKey, FoundFile] = {}
        left_out = 0
        home = str(self.services.settings.home)
        for start in starts:
            for entry in walk(start, roots):
                if isinstance(entry, LeftOut):
                    left_out += 1
                    self.tally.skipped.append(FailedFile(entry.path, entry.reason))
                elif not (str(entry.file) + "/").startswith(home + "/"):
                    found.setdefault((entry.root, entry.path), entry)
        records = self.records.all if self.records else {}
        covers = _covers(starts)
        if not found and not left_out and not any(map(covers, records)) and not any(s.is_file() for s in starts):
            raise NotFound(f"{starts[0]}: no files in it; put documents there or name another folder")
        return plan(
            list(found.values()), records, covers=covers, exists=lambda key: not key[0].startswith("/") or (Path(key[0]) / key[1]).exists(),
            digest=self._digest, valid=self._valid, again=self.options.again,
        )  # fmt: skip

    def _valid(self, record: FileRecord) -> bool:
        alive = self.infos
        return record.reading == READING and all(
            d in alive and alive[d].content_hash == h for d, h in record.documents.values()
        )

    def _digest(self, file: FoundFile) -> str | None:
        """SHA-256 hex of the bytes, once a run; None when the file cannot be read."""
        if file.file not in self.digests:
            try:
                handle = os.open(file.file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
                with os.fdopen(handle, "rb") as stream:
                    digest = sha256()
                    while part := stream.read(1 << 20):
                        digest.update(part)
                self.digests[file.file] = digest.hexdigest()
            except OSError:
                self.digests[file.file] = None
        return self.digests[file.file]

    def _keep(self, steps: Plan, batches: Batches | None = None) -> None:
        """Files that are as they were: their known failures are told again, their groups changed where that was asked."""
        for record in [*steps.unchanged, *(r for _, r in steps.touched)]:
            self.tally.unread(record.key[1], record.failed, record.skipped)
            for document, _ in record.documents.values():
                info = self.infos[document]
                if self.options.groups is not None and info.groups != self.options.groups:
                    self.tally.updated.append(info.path)
                    if batches:
                        batches.regroup(document, self.options.groups)
                else:
                    self.tally.unchanged += 1
        if batches:
            for file, record in steps.touched:
                batches.remember(replace(record, modified=file.modified, changed=file.changed, seen=time.time_ns()))

    def _move(self, record: FileRecord, file: FoundFile, batches: Batches) -> None:
        """The same bytes under another name: nothing is read or embedded again."""
        assert self.collection is not None
        snapshot = self.collection.snapshot()
        documents = {}
        for member, (old, content) in record.documents.items():
            before = snapshot.document(old)
            where = member_path(file.path, member)
            title = before.title
            if not member and title == _stem(record.key[1]):
                title = _stem(file.path)  # the title was only the file's name
            groups = self.options.groups or self.infos[old].groups
            after = replace(
                before,
                id=document_id(file.root, where),
                path=where,
                root=file.root,
                title=title,
                groups=groups,
                superseded_by=None,
            )
            batches.move(old, after)
            documents[member] = (after.id, content)
            self.tally.moved.append((member_path(record.key[1], member), where))
        batches.forget(record, [])
        batches.remember(FileRecord.of(file, record.sha256, documents, record.failed, record.skipped))
        self.tally.unread(file.path, record.failed, record.skipped)

    def _read(self, steps: Plan, batches: Batches) -> None:
        """Reads what is new or changed, a few files ahead of the embedding."""
        if not steps.read:
            return
        settings = self.services.settings
        self.progress.start(len(steps.read))
        with SandboxPool(budget(settings), workers(settings)) as pool:
            for file, result in pool.read_all(
                self._until_cancelled(steps.read), lambda f: f.file, lambda f: f.path.rsplit("/", 1)[-1]
            ):
                self._take(file, result, batches)
                self.progress.file(file.path, max(1, sum(len(d.pages) or 1 for d in result.documents)))

    def _until_cancelled(self, files: Sequence[FoundFile]) -> Iterator[FoundFile]:
        for file in files:
            if self.cancel.is_set():
                return
            yield file

    def _take(self, file: FoundFile, result: FileResult, batches: Batches) -> None:
        assert self.records is not None
        old = self.records.all.get((file.root, file.path))
        known = {d for d, _ in old.documents.values()} if old else set()
        documents: dict[str, tuple[str, str]] = {}
        fallback = container_date(result) or file_date(file)
        for parsed in result.documents:
            if parsed.member in documents:  # two members of one name: the first counts
                continue
            identity = document_id(file.root, member_path(file.path, parsed.member))
            info = self.infos.get(identity)
            groups = self.options.groups if self.options.groups is not None else info.groups if info else PUBLIC
            document = to_document(parsed, file.root, file.path, groups, fallback)
            documents[parsed.member] = (document.id, document.content_hash)
            self.tally.red.extend(red_pages(document))
            if info and info.content_hash == document.content_hash:
                if info.groups != groups:
                    batches.regroup(document.id, groups)
                    self.tally.updated.append(document.path)
                else:
                    self.tally.unchanged += 1
                continue
            self.tally.chunks += batches.put(document)
            (self.tally.updated if info else self.tally.added).append(document.path)
        failed, skipped = _split(result.unread)
        self.tally.unread(file.path, failed, skipped)
        gone = known - {d for d, _ in documents.values()}
        if failed and old:  # what cannot be read now stays as it was last read
            kept = {
                m: d
                for m, d in old.documents.items()
                if d[0] in gone and (not result.documents or any(m.startswith(f) for f, _ in failed))
            }
            documents |= kept
            gone -= {d for d, _ in kept.values()}
        for document_gone in sorted(gone & set(self.infos)):
            self.tally.removed.append(self.infos[document_gone].path)
            batches.remove(document_gone)
        batches.remember(FileRecord.of(file, self._digest(file) or "", documents, failed, skipped))


def budget(settings: Settings) -> Budget:
    """What reading one file may take, by the settings."""
    return Budget(
        settings.parse_memory << 20, settings.parse_seconds, Limits(bytes=settings.max_file << 20), settings.ocr
    )


def workers(settings: Settings) -> int:
    """Reading processes side by side."""
    return max(1, min(settings.threads or os.cpu_count() or 1, 4))


def _absolute(path: Path) -> Path:
    """Absolute, links in the folders above resolved, as the user meant them. Raises NotFound."""
    try:
        return path.expanduser().resolve(strict=True)
    except (FileNotFoundError, NotADirectoryError) as e:
        raise NotFound(f"{path}: no such file or folder") from e
    except (RuntimeError, OSError) as e:
        raise NotFound(f"{path}: cannot be opened ({e})") from e


def _covers(starts: Sequence[Path]) -> Callable[[FileKey], bool]:
    prefixes = [str(s) for s in starts]

    def covered(key: FileKey) -> bool:
        full = f"{key[0].rstrip('/')}/{key[1]}"
        return any(full == p or full.startswith(p.rstrip("/") + "/") for p in prefixes)

    return covered


def _documents(record: FileRecord) -> list[str]:
    return [member_path(record.key[1], m) for m in record.documents]


def _split(unread: Sequence[Unread]) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    return tuple((u.member, u.reason) for u in unread if not u.skipped), tuple(
        (u.member, u.reason) for u in unread if u.skipped
    )


def _stem(path: str) -> str:
    return path.rsplit("/", 1)[-1].rsplit(".", 1)[0]
