"""Files under the paths that were asked for: walked without following links, hidden and ignored ones left out."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pathspec import GitIgnoreSpec

IGNORE_FILE = ".ragignore"
# What programs leave behind; nobody means these.
_LITTER = frozenset(
    {
        "thumbs.db",
        "desktop.ini",
        "ehthumbs.db",
        "icon\r",
        "__pycache__",
        "node_modules",
        "$recycle.bin",
        "system volume information",
    }
)
_MAX_DEPTH = 100


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that may be a document."""

    root: str  # absolute folder that it belongs to
    path: str  # relative to the root, "/" between parts
    file: Path
    size: int  # bytes
    modified: int  # nanoseconds since 1970
    changed: int  # nanoseconds, of the inode: cannot be set back by a copying program


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file that is not read, and why."""

    root: str
    path: str
    reason: str


def owner(file: Path, roots: Iterable[str]) -> str | None:
    """The deepest of `roots` that contains `file`, None when none does."""
    parents = {str(p) for p in (file, *file.parents)}
    return max((r for r in roots if r in parents), key=len, default=None)


def walk(start: Path, roots: Sequence[str]) -> Iterator[FoundFile | LeftOut]:
    """Every file at or below `start` (absolute), in a stable order. Links are never followed; unreadable folders are listed.

    `.ragignore` files (gitignore syntax) hold for their folder and everything below it, up to the root.
    """
    known = set(roots)
    root = owner(start if start.is_dir() else start.parent, known) or str(start if start.is_dir() else start.parent)
    specs = _specs_above(start if start.is_dir() else start.parent, Path(root))
    if start.is_dir():
        yield from _walk_folder(start, root, known, specs, 0)
    elif (found := _look(start, root, specs)) is not None:
        yield found


_Specs = tuple[tuple[Path, GitIgnoreSpec], ...]


def _walk_folder(folder: Path, root: str, roots: set[str], specs: _Specs, depth: int) -> Iterator[FoundFile | LeftOut]:
    if str(folder) in roots:  # a registered root inside another: its files are its own
        root = str(folder)
    if depth > _MAX_DEPTH:
        yield LeftOut(root, _relative(folder, root), "folders nested too deeply")
        return
    specs += _spec_of(folder)
    try:
        with os.scandir(folder) as entries:
            names = sorted(entries, key=lambda e: e.name)
    except OSError as e:
        yield LeftOut(root, _relative(folder, root), f"cannot be opened ({e.strerror})")
        return
    for entry in names:
        path = folder / entry.name
        if entry.name.startswith(".") or entry.name.lower() in _LITTER:
            continue
        if entry.is_dir(follow_symlinks=False):
            if not _ignored(path, specs, folder=True):
                yield from _walk_folder(path, root, roots, specs, depth + 1)
        elif (found := _look(path, root, specs)) is not None:
            yield found


def _look(path: Path, root: str, specs: _Specs) -> FoundFile | LeftOut | None:
    relative = _relative(path, root)
    if path.name.startswith("~$") or path.name.endswith("~"):
        return None
    if _ignored(path, specs, folder=False):
        return LeftOut(root, relative, f"ignored by {IGNORE_FILE}")
    try:
        facts = path.lstat()
    except OSError as e:
        return LeftOut(root, relative, f"cannot be opened ({e.strerror})")
    if stat.S_ISLNK(facts.st_mode):
        return LeftOut(root, relative, "a link; links are not followed")
    if not stat.S_ISREG(facts.st_mode):
        return LeftOut(root, relative, "not a regular file")
    return FoundFile(root, relative, path, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)


def _relative(path: Path, root: str) -> str:
    from ingest.identity import printable

    return printable(PurePosixPath(path.relative_to(root)).as_posix())


def _spec_of(folder: Path) -> _Specs:
    file = folder / IGNORE_FILE
    if not file.is_file() or file.is_symlink():
        return ()
    return ((folder, GitIgnoreSpec.from_lines(file.read_text(encoding="utf-8", errors="replace").splitlines())),)


def _specs_above(folder: Path, root: Path) -> _Specs:
    """The ignore files between the root and `folder`, `folder` itself left out."""
    specs: _Specs = ()
    for parent in reversed(folder.parents):
        if parent == root or root in parent.parents:
            specs += _spec_of(parent)
    return specs


def _ignored(path: Path, specs: _Specs, *, folder: bool) -> bool:
    """Whether the last ignore file that says something about the path says to leave it out."""
    verdict = False
    for base, spec in specs:
        said = spec.check_file(path.relative_to(base).as_posix() + ("/" if folder else "")).include
        if said is not None:
            verdict = said
    return verdict
