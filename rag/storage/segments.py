"""Immutable segment files: the searchable form of a run of chunks. Never written twice, verified by SHA-256 when opened.

`<segment>.rows` holds named arrays: chunk ids and versions, the postings, and which rows each vector field covers. `<segment>.<field>.flat`
is that field's faiss index; `.coarse` its 8-bit copy, for segments large enough to need one.
"""

from __future__ import annotations

import hashlib
import json
import mmap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.errors import CorruptCollection
from rag.index import postings as posting_lists
from rag.index.postings import Postings
from rag.index.vector import VectorIndex, coarse_bytes, flat_bytes
from rag.protocols import Vectors
from rag.storage.files import Bytes, Disk, Written

MAX_ROWS = 262_144  # of a merged segment: bounds the memory and time of a merge
COARSE_FROM = 32_768  # rows from which a segment carries the 8-bit copy
_MAGIC = b"RAGSEG1\n"
_ALIGN = 64


@dataclass(frozen=True)
class FileRow:
    """A file that the database names. `kind`: "rows", "flat:<field>", "coarse:<field>"."""

    name: str
    kind: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class SegmentRow:
    """A segment that the database names."""

    name: str
    first: int  # smallest chunk id
    rows: int
    files: tuple[FileRow, ...]


@dataclass(frozen=True, eq=False)
class Segment:
    """An open segment. Its arrays are mapped from the files and stay valid after the files are unlinked."""

    row: SegmentRow
    ids: NDArray[np.int64]  # (n,) ascending chunk ids
    versions: NDArray[np.int32]  # (n,) version of each
    postings: Postings
    fields: Mapping[str, VectorIndex]

    def find(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Row of each id, and whether it is here at all."""
        at = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
        return at, self.ids[at] == ids


def write(
    disk: Disk,
    folder: Path,
    name: str,
    ids: NDArray[np.int64],
    versions: NDArray[np.int32],
    postings: Postings,
    fields: Mapping[str, tuple[NDArray[np.int32], Vectors]],
) -> SegmentRow:
    """Writes the files of a segment; they are durable, and garbage until a committed row names them."""
    arrays: dict[str, NDArray[np.generic]] = {"ids": ids, "versions": versions, **postings.arrays()}
    files: list[FileRow] = []
    for number, (field, (rows, vectors)) in enumerate(sorted(fields.items())):
        arrays[f"field.{field}"] = rows
        files.append(
            _file(f"flat:{field}", disk.write_file(folder / f"{name}.{number}.flat", [flat_bytes(vectors).data]))
        )
        if len(vectors) >= COARSE_FROM:
            coarse = coarse_bytes(vectors)
            files.append(_file(f"coarse:{field}", disk.write_file(folder / f"{name}.{number}.coarse", [coarse.data])))
    files.append(_file("rows", disk.write_file(folder / f"{name}.rows", _packed(arrays))))
    disk.sync_folder(folder)
    return SegmentRow(name, int(ids[0]), len(ids), tuple(files))


def open_segment(folder: Path, row: SegmentRow) -> Segment:
    """The segment, verified. Raises CorruptCollection for a file that is missing or not what was committed."""
    for file in row.files:
        check_file(folder, file)
    by_kind = {file.kind: file for file in row.files}
    arrays = _unpacked(folder / by_kind["rows"].name)
    fields = {}
    for key, value in arrays.items():
        if key.startswith("field."):
            field = key.removeprefix("field.")
            coarse = by_kind.get(f"coarse:{field}")
            fields[field] = VectorIndex(
                value.view(np.int32),
                folder / by_kind[f"flat:{field}"].name,
                folder / coarse.name if coarse else None,
            )
    lists = Postings(**{name: arrays[name] for name in ("terms", "starts", "rows", "counts", "lengths")})  # type: ignore[arg-type]
    ids = arrays["ids"].view(np.int64)
    if len(ids) != row.rows or len(lists.lengths) != row.rows:
        raise CorruptCollection(f"{row.name}: {len(ids)} rows where {row.rows} belong; restore a backup")
    return Segment(row, ids, arrays["versions"].view(np.int32), lists, fields)


def check_file(folder: Path, file: FileRow) -> None:
    """Raises CorruptCollection unless the file is there with the size and digest that were committed."""
    path = folder / file.name
    try:
        with path.open("rb") as f:
            digest = hashlib.file_digest(f, "sha256").hexdigest()
            size = f.tell()
    except FileNotFoundError as e:
        raise _missing(path) from e
    if size != file.bytes:
        raise CorruptCollection(f"{path}: {size} bytes where {file.bytes} belong; restore the collection from a backup")
    if digest != file.sha256:
        raise CorruptCollection(f"{path}: damaged, its digest does not match; restore the collection from a backup")


def _missing(path: Path) -> CorruptCollection:
    return CorruptCollection(f"{path}: missing; restore the collection from a backup")


def merge(
    disk: Disk, folder: Path, name: str, segments: Sequence[Segment], keep: Sequence[NDArray[np.bool_]]
) -> SegmentRow:
    """One segment of the kept rows of several neighbours. At least one row must be kept."""
    ids = np.concatenate([s.ids[k] for s, k in zip(segments, keep, strict=True)])
    versions = np.concatenate([s.versions[k] for s, k in zip(segments, keep, strict=True)])
    postings = posting_lists.merge([s.postings for s in segments], keep)
    bases = np.cumsum([0, *(int(k.sum()) for k in keep)])
    fields: dict[str, tuple[NDArray[np.int32], Vectors]] = {}
    for field in sorted({f for s in segments for f in s.fields}):
        rows, vectors = [], []
        for segment, kept, base in zip(segments, keep, bases, strict=False):
            index = segment.fields.get(field)
            if index is not None:
                alive = kept[index.rows]
                rows.append((np.cumsum(kept) - 1 + base)[index.rows[alive]].astype(np.int32))
                vectors.append(index.vectors[alive])
        if sum(len(r) for r in rows):
            fields[field] = (np.concatenate(rows), np.concatenate(vectors))
    return write(disk, folder, name, ids, versions, postings, fields)


def _file(kind: str, written: Written) -> FileRow:
    return FileRow(written.name, kind, written.bytes, written.sha256)


def _packed(arrays: Mapping[str, NDArray[np.generic]]) -> Iterator[Bytes]:
    """Magic, length of the header, header (name -> dtype, length, offset), then the arrays, each aligned."""
    offset = 0
    entries = {}
    for name, array in arrays.items():
        entries[name] = {"dtype": array.dtype.str, "length": len(array), "offset": offset}
        offset += -(-array.nbytes // _ALIGN) * _ALIGN
    header = json.dumps(entries).encode()
    header += b" " * (-(len(_MAGIC) + 8 + len(header)) % _ALIGN)
    yield _MAGIC + len(header).to_bytes(8, "little") + header
    for array in arrays.values():
        if array.nbytes:
            yield np.ascontiguousarray(array).view(np.uint8).data
        yield b"\0" * (-array.nbytes % _ALIGN)


def _unpacked(path: Path) -> dict[str, NDArray[np.generic]]:
    """The arrays, read-only, mapped."""
    try:
        with path.open("rb") as f:
            data = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError as e:  # removed by another process since it was checked
        raise _missing(path) from e
    if data[: len(_MAGIC)] != _MAGIC:
        raise CorruptCollection(f"{path}: not a segment of this format; restore the collection from a backup")
    start = len(_MAGIC) + 8
    length = int.from_bytes(data[len(_MAGIC) : start], "little")
    entries = json.loads(data[start : start + length])
    return {
        name: np.frombuffer(data, np.dtype(e["dtype"]), e["length"], start + length + e["offset"])
        if e["length"]
        else np.empty(0, np.dtype(e["dtype"]))
        for name, e in entries.items()
    }
