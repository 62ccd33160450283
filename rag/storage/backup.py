"""A collection in one file, and back: a plain tar of a manifest, the database and the segment files, each with its SHA-256."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from uuid import uuid4

from rag.errors import Busy, CorruptCollection, StorageFailed, UsageError
from rag.storage import layout, sealed, state
from rag.storage.database import connect
from rag.storage.files import TEMPORARY, sha256_of
from rag.storage.locks import exclusive

if TYPE_CHECKING:
    from rag.storage.collection import Collection
    from rag.storage.home import Home

MANIFEST = "backup.json"
_FORMAT = 1
_WAIT = 600.0  # seconds for a compaction to end
_BLOCK = 1 << 20


def backup(collection: Collection, file: Path) -> int:
    """Writes `file` whole or not at all; its bytes. The newest generation and its history are in it.

    Raises StorageFailed, Busy when a compaction does not end.
    """
    until = time.monotonic() + _WAIT
    while True:
        # While the lock is held no compaction takes files away.
        with exclusive(collection.folder / layout.COMPACT_LOCK) as holder:
            if holder is None:
                return _write(collection, file)
        if time.monotonic() > until:
            raise Busy(f"collection {collection.name}: it is being compacted; try again later", retry_after=60.0)
        time.sleep(0.1)


def restore(file: Path, home: Home, name: str | None = None) -> Collection:
    """The collection of a backup, under its own name or another. Raises UsageError when that exists, CorruptCollection."""
    unfinished = home.folder / layout.COLLECTIONS / f".new-{uuid4().hex}"
    try:
        with tarfile.open(file, "r:") as tar:
            manifest = _manifest(tar, file)
            name = name or str(manifest["name"])
            if home.exists(name):
                raise UsageError(f"collection {name}: exists already; restore under another name with --collection")
            home.disk.make_folder(unfinished / layout.SEGMENTS)
            for entry in manifest["files"]:
                _extract(tar, entry, unfinished, home, file)
    except (tarfile.TarError, EOFError) as e:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise CorruptCollection(f"{file}: not a whole backup ({e}); use another one") from e
    except FileNotFoundError as e:
        raise UsageError(f"{file}: no such file") from e
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    mark = {key: manifest[key] for key in ("identity", "counter")}
    sealed.write(home.disk, unfinished / layout.HEAD, mark)
    home.disk.sync_folder(unfinished / layout.SEGMENTS)
    return home.adopt(unfinished, name)


def _write(collection: Collection, file: Path) -> int:
    with tempfile.TemporaryDirectory(dir=collection.folder, prefix="backup-", suffix=TEMPORARY) as folder:
        copy = Path(folder) / layout.DATABASE
        collection.database.copy_to(copy)
        with connect(copy, create=False) as db:
            files = [f for row in state.segment_rows(db) for f in row.files]
            facts = {key: db.value("SELECT value FROM meta WHERE key = ?", (key,)) for key in ("identity", "counter")}
            facts["generation"] = db.value("SELECT max(generation) FROM generations")
            db.checkpoint()
        entries = [{"name": layout.DATABASE, "bytes": copy.stat().st_size, "sha256": sha256_of(copy)}]
        entries += [{"name": f"{layout.SEGMENTS}/{f.name}", "bytes": f.bytes, "sha256": f.sha256} for f in files]
        manifest = {"format": _FORMAT, "name": collection.name, **facts, "files": entries}
        temporary = file.with_name(file.name + TEMPORARY)
        try:
            with temporary.open("wb") as out:
                with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
                    text = json.dumps(manifest).encode()
                    text = json.dumps({"sha256": hashlib.sha256(text).hexdigest(), "manifest": text.decode()}).encode()
                    tar.addfile(_member(MANIFEST, len(text)), io.BytesIO(text))
                    for entry in entries:
                        source = copy if entry["name"] == layout.DATABASE else collection.folder / str(entry["name"])
                        with source.open("rb") as f:
                            tar.addfile(_member(str(entry["name"]), int(str(entry["bytes"]))), f)
                out.flush()
                os.fsync(out.fileno())
            temporary.replace(file)
            collection.disk.sync_folder(file.absolute().parent)
        except OSError as e:
            temporary.unlink(missing_ok=True)
            raise StorageFailed(f"{file}: {e.strerror or e}; the backup was not written") from e
    return file.stat().st_size


def _member(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size
    info.mtime = int(time.time())
    return info


def _manifest(tar: tarfile.TarFile, file: Path) -> dict[str, Any]:
    member = tar.next()
    try:
        if member is None or member.name != MANIFEST:
            raise ValueError("no manifest")
        outer = json.loads(_stream(tar, member).read())
        text = str(outer["manifest"])
        if hashlib.sha256(text.encode()).hexdigest() != outer["sha256"]:
            raise ValueError("the manifest's digest does not match")
        manifest: dict[str, Any] = json.loads(text)
    except (ValueError, KeyError, TypeError) as e:
        raise CorruptCollection(f"{file}: not a backup of ours, or damaged ({e})") from e
    if manifest["format"] > _FORMAT:
        raise CorruptCollection(
            f"{file}: a backup of format {manifest['format']}, newer than this program; update ragbase"
        )
    return manifest


def _extract(tar: tarfile.TarFile, entry: dict[str, Any], folder: Path, home: Home, file: Path) -> None:
    """Writes one member. Names come from the manifest, which we wrote, but are held to our own two places all the same."""
    member = tar.next()
    path = folder / str(entry["name"])
    if member is None or member.name != entry["name"] or path.parent not in (folder, folder / layout.SEGMENTS):
        raise CorruptCollection(f"{file}: {entry['name']} is missing or out of place; use another backup")
    source = _stream(tar, member)
    written = home.disk.write_file(path, iter(lambda: source.read(_BLOCK), b""))
    if (written.bytes, written.sha256) != (entry["bytes"], entry["sha256"]):
        raise CorruptCollection(f"{file}: {entry['name']} in it is damaged; use another backup")


def _stream(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    source = tar.extractfile(member)
    if source is None:
        raise CorruptCollection(f"{member.name} in the backup is not a file; use another one")
    return source
