"""Zip packages opened with care: sizes, ratios, entry counts and names are checked before and while unpacking."""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import PurePosixPath
from typing import IO, BinaryIO

from ingest.parsed import Limits, Unreadable

_RATIO_FROM = 10 << 20  # bytes unpacked before a high ratio means anything


def open_zip(file: BinaryIO, limits: Limits) -> zipfile.ZipFile:
    """The package, after what it declares was checked. Raises Unreadable for what is no zip, has too many entries, or unpacks to too much."""
    file.seek(0)
    try:
        package = zipfile.ZipFile(file)
    except (
        zipfile.BadZipFile,
        ValueError,
        NotImplementedError,
        struct.error,
        OSError,
        EOFError,
        UnicodeDecodeError,
    ) as e:
        raise Unreadable(f"not a readable zip package ({str(e)[:100] or type(e).__name__})") from e
    entries = package.infolist()
    if len(entries) > limits.entries:
        raise Unreadable(f"{len(entries):,} entries, more than the {limits.entries:,} allowed")
    total = sum(e.file_size for e in entries)
    packed = sum(e.compress_size for e in entries)
    if total > limits.bytes:
        raise Unreadable(f"unpacks to {total >> 20:,} MiB, more than the {limits.bytes >> 20:,} allowed")
    if total > _RATIO_FROM and total > limits.ratio * max(1, packed):
        raise Unreadable(f"decompression bomb: {total >> 20:,} MiB from {packed >> 10:,} KiB")
    return package


def read_entry(package: zipfile.ZipFile, entry: zipfile.ZipInfo, limit: int) -> bytes:
    """The bytes of one entry, at most `limit`. Raises Unreadable for encrypted, damaged and lying entries."""
    if entry.flag_bits & 0x1:
        raise Unreadable("encrypted: it needs a password")
    try:
        with package.open(entry) as stream:
            return _bounded(stream, limit)
    except (
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        RuntimeError,
        EOFError,
        ValueError,
        struct.error,
        OSError,
    ) as e:
        raise Unreadable(f"damaged entry ({str(e)[:100] or type(e).__name__})") from e


def safe_name(entry: zipfile.ZipInfo) -> str:
    """The entry's path with "/" between parts, its encoding mended. Raises Unreadable for a path that leads outside."""
    name = entry.filename
    if not entry.flag_bits & 0x800:  # names without the UTF-8 flag come as cp437; Chinese tools write GBK or UTF-8
        try:
            raw = name.encode("cp437")
            name = raw.decode("ascii")
        except UnicodeEncodeError:
            pass
        except UnicodeDecodeError:
            for encoding in ("utf-8", "gb18030"):
                try:
                    name = raw.decode(encoding)
                    break
                except UnicodeDecodeError:
                    continue
    name = name.replace("\\", "/")
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts or (parts and ":" in parts[0]) or not parts:
        raise Unreadable("its path leads outside the archive")
    return "/".join(parts)


def _bounded(stream: IO[bytes], limit: int) -> bytes:
    data = stream.read(limit + 1)
    if len(data) > limit:
        raise Unreadable(f"unpacks to more than {limit >> 20:,} MiB")
    return data
