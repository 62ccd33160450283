"""Untrusted files read in child processes: bounded memory, processor and wall-clock time and output, no network, no writing.

A `Sandbox` is one child at a time, used for several files and replaced after a crash or a limit. The child gets the open file, not its
path, and answers in JSON frames; nothing is ever unpickled. `SandboxPool` runs a few of them.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import stat
import struct
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from ingest.parsed import Limits, Parsed, Unread

_REUSE = 200  # files read by one child before a fresh one takes over
_FRAME = 256 << 20  # bytes of one answer
_START_SECONDS = 60.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Budget:
    """What reading one file may take."""

    memory: int = 1 << 30  # bytes of private memory of the child
    seconds: float = 120.0  # wall clock; processor time is allowed as much
    limits: Limits = field(default_factory=Limits)
    ocr: str = "auto"


@dataclass(frozen=True, slots=True)
class FileResult:
    """All that came of one file."""

    documents: tuple[Parsed, ...] = ()
    unread: tuple[Unread, ...] = ()
    seconds: float = 0.0


class Sandbox:
    """One reading process. Not thread-safe; close it when done."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._used = 0
        self.walls: tuple[str, ...] = ()

    def read(self, path: Path, name: str | None = None) -> FileResult:
        """What is in the file at `path`. Whatever it does to the child ends as a reason in `unread`; raises nothing for bad files."""
        started = time.monotonic()
        try:
            with _opened(path) as (handle, size):
                documents, unread = self._read(handle, name or path.name, size)
        except Refused as e:
            return FileResult(unread=(Unread("", str(e), skipped=e.skipped),))
        return FileResult(tuple(documents), tuple(unread), time.monotonic() - started)

    def render(self, path: Path, page: int, quote: str) -> bytes:
        """A page of the PDF at `path` as PNG, `quote` marked in it. Raises Refused with the reason when there is none."""
        with _opened(path) as (handle, _):
            request = {"task": "render", "page": page, "quote": quote[:20_000], "cpu": int(self.budget.seconds)}
            for message in self._exchange(handle, request):
                if "png" in message:
                    return b64decode(message["png"], validate=True)
                raise Refused(str(message.get("failed", "it cannot be shown")))
        raise Refused("it cannot be shown")

    def kill(self) -> None:
        """Ends the child from another thread; a `read` that waits for it comes back with that as its reason."""
        if (process := self._process) is not None:
            process.kill()

    def close(self) -> None:
        """Ends the child."""
        if self._channel is not None:
            self._channel.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._channel = None

    def _read(self, handle: int, name: str, size: int) -> tuple[list[Parsed], list[Unread]]:
        limit = self.budget.limits.bytes
        if size > limit:
            return [], [Unread("", f"{size >> 20:,} MiB, more than the {limit >> 20:,} allowed")]
        documents: list[Parsed] = []
        unread: list[Unread] = []
        request = {
            "task": "read",
            "name": name.encode("utf-8", "replace").decode(),
            "size": size,
            "cpu": int(self.budget.seconds),
        }
        try:
            for message in self._exchange(handle, request):
                if "document" in message:
                    documents.append(Parsed.from_json(message["document"]))
                elif "unread" in message:
                    member, reason, skipped = message["unread"]
                    unread.append(Unread(str(member), str(reason)[:300], bool(skipped)))
                elif "failed" in message:
                    unread.append(Unread("", str(message["failed"])[:300]))
                else:
                    raise ValueError("unknown message")
        except (ValueError, KeyError, TypeError) as e:
            self.close()
            unread.append(Unread("", f"the reading process answered nonsense ({type(e).__name__})"))
        return documents, unread

    def _exchange(self, handle: int, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The child's messages about one file. A child that ends, hangs or talks too much is replaced, and the last message is why."""
        channel = self._ready()
        deadline = time.monotonic() + self.budget.seconds
        self._used += 1
        total = 0
        try:
            socket.send_fds(channel, [json.dumps(request).encode("ascii")], [handle])
            while True:
                message, length = self._frame(channel, deadline)
                total += length
                if total > 2 * _FRAME:
                    raise _ChildLost("gives more text than allowed")
                if "done" in message:
                    return
                yield message
                if "failed" in message:
                    if "memory" in str(message["failed"]):
                        self.close()
                    return
        except _ChildLost as e:
            reason = str(e) or self._cause()
            self.close()
            yield {"failed": reason}
        except OSError as e:
            self.close()
            yield {"failed": f"the reading process broke off ({e.strerror})"}

    def _ready(self) -> socket.socket:
        if self._process is not None and (self._used >= _REUSE or self._process.poll() is not None):
            self.close()
        if self._channel is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            arguments = [
                str(theirs.fileno()),
                str(self.budget.memory),
                json.dumps(asdict(self.budget.limits)),
                self.budget.ocr,
            ]
            environment = {
                "PATH": "/usr/bin:/bin",
                "LANG": "C.UTF-8",
                "OMP_NUM_THREADS": "1",
                "OPENBLAS_NUM_THREADS": "1",
                "MALLOC_ARENA_MAX": "2",
            }
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-m", "ingest.sandbox_worker", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=environment,
                close_fds=True,
            )
            theirs.close()
            self._channel, self._used = ours, 0
            try:
                message, _ = self._frame(ours, time.monotonic() + _START_SECONDS)
            except _ChildLost as e:
                cause = str(e) or self._cause()
                self.close()
                raise RuntimeError(f"the reading process did not start ({cause})") from e
            self.walls = tuple(message.get("ready", ()))
        return self._channel

    def _frame(self, channel: socket.socket, deadline: float) -> tuple[dict[str, Any], int]:
        (length,) = struct.unpack("<Q", self._receive(channel, 8, deadline))
        if length > _FRAME:
            raise _ChildLost("gives more text than allowed")
        message = json.loads(self._receive(channel, length, deadline))
        if not isinstance(message, dict):
            raise ValueError("not an object")
        return message, length

    def _receive(self, channel: socket.socket, count: int, deadline: float) -> bytes:
        data = bytearray()
        while len(data) < count:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([channel], [], [], left)[0]:
                raise _ChildLost(f"not read within {self.budget.seconds:g} seconds")
            part = channel.recv(min(1 << 20, count - len(data)))
            if not part:
                raise _ChildLost("")
            data += part
        return bytes(data)

    def _cause(self) -> str:
        """Why the child ended, in words."""
        if self._process is None:
            return "the reading process ended"
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return "the reading process stopped answering"
        if code == -signal.SIGXCPU:
            return f"needs more than {self.budget.seconds:g} seconds of processor time"
        if code in (-signal.SIGKILL, -signal.SIGABRT, -signal.SIGTRAP):
            return "needs more memory than allowed, or crashed its reader"
        return f"crashed its reader ({signal.Signals(-code).name if code < 0 else f'exit {code}'})"


class Refused(Exception):
    """This file cannot be given to the child, or not be shown; the message is the reason."""

    def __init__(self, reason: str, *, skipped: bool = False) -> None:
        super().__init__(reason)
        self.skipped = skipped


@contextmanager
def _opened(path: Path) -> Iterator[tuple[int, int]]:
    """Descriptor and size of a regular file. Raises Refused.

    O_NOFOLLOW: a link that was put there after the walk is not followed out of the root. O_NONBLOCK: a pipe does not hang us.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as e:
        raise Refused(f"cannot be opened ({e.strerror})") from e
    try:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            raise Refused("not a regular file", skipped=True)
        yield handle, facts.st_size
    finally:
        os.close(handle)


class _ChildLost(Exception):
    """The child is of no more use; the message says why, "" = look at how it ended."""


class SandboxPool:
    """A few reading processes side by side; use as a context manager."""

    def __init__(self, budget: Budget, workers: int) -> None:
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="reading")
        self._idle: SimpleQueue[Sandbox] = SimpleQueue()
        self._all = [Sandbox(budget) for _ in range(workers)]
        self._ahead = 4 * workers
        for sandbox in self._all:
            self._idle.put(sandbox)

    def __enter__(self) -> SandboxPool:
        return self

    def __exit__(self, *_: object) -> None:
        for sandbox in self._all:
            sandbox.kill()  # whoever leaves early does not wait for a file that is being read
        self._threads.shutdown(wait=True, cancel_futures=True)
        for sandbox in self._all:
            sandbox.close()

    def read_all(
        self, items: Iterable[T], path: Callable[[T], Path], name: Callable[[T], str] | None = None
    ) -> Iterator[tuple[T, FileResult]]:
        """The result of every item, in their order, a few files read ahead. `name` = what the file is called, where its path does not say."""
        waiting: list[tuple[T, Future[FileResult]]] = []
        for item in items:
            waiting.append((item, self._threads.submit(self._read, path(item), name(item) if name else None)))
            if len(waiting) > self._ahead:
                first, result = waiting.pop(0)
                yield first, result.result()
        for item, result in waiting:
            yield item, result.result()

    def _read(self, path: Path, name: str | None) -> FileResult:
        sandbox = self._idle.get()
        try:
            return sandbox.read(path, name)
        finally:
            self._idle.put(sandbox)
