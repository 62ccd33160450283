"""The reading process: takes open files over a socket, reads them under limits, answers in JSON. Started by `ingest.sandbox`, never imported by it.

Before the first file it gives up what a hostile file could use: network (an own empty network namespace where the kernel allows it, and
no new sockets in any case), writing to the file system and to other processes (Landlock where the kernel has it, a file size limit of zero
in any case), starting programs, core dumps. Memory is limited for good, processor time anew for each file.
"""

from __future__ import annotations

import array
import ctypes
import json
import mimetypes
import os
import resource
import signal
import socket
import struct
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any, BinaryIO

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_PR_SET_NO_NEW_PRIVS, _PR_SET_DUMPABLE, _PR_SET_PDEATHSIG = 38, 4, 1
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
# Everything that changes a file system: write, remove, make, refer, truncate. Reading and executing (libraries) stay open to system folders below.
_FS_EXECUTE, _FS_WRITE, _FS_READ_FILE, _FS_READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_NET_BIND, _NET_CONNECT = 1, 2
_BLOCKED_EVENTS = frozenset(
    {
        "socket.__new__",
        "socket.connect",
        "socket.bind",
        "socket.getaddrinfo",
        "subprocess.Popen",
        "os.system",
        "os.exec",
        "os.posix_spawn",
        "os.fork",
        "os.forkpty",
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.mkdir",
        "os.link",
        "os.symlink",
        "os.truncate",
        "os.chmod",
        "os.chown",
        "shutil.rmtree",
        "shutil.move",
        "pty.spawn",
    }
)


def confine(memory: int) -> list[str]:
    """Gives up rights for good; `memory` in bytes. Comes back with the names of the walls that stand."""
    libc = ctypes.CDLL(None, use_errno=True)
    walls = ["limits", "audit"]
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if libc.unshare(_CLONE_NEWNET) == 0 or libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0:
        walls.append("network namespace")
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    if _landlock(libc):
        walls.append("landlock")
    for what, value in (
        (resource.RLIMIT_DATA, memory),  # private memory; mapped libraries and models are not it
        (resource.RLIMIT_AS, 3 * memory),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 64),
    ):
        resource.setrlimit(what, (value, value))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    sys.setrecursionlimit(2_000)
    sys.addaudithook(_audit)
    return walls


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if event in _BLOCKED_EVENTS:
        raise PermissionError(f"not allowed while reading a file: {event}")
    if (
        event == "open"
        and isinstance(args[2], int)
        and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        and args[0] != "/dev/null"
    ):
        raise PermissionError("not allowed while reading a file: writing")


def _landlock(libc: ctypes.CDLL) -> bool:
    """Read-only file system, and only the folders that Python and the system libraries lie in; no TCP. False where the kernel has none of it."""
    abi = libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)
    if abi < 1:
        return False
    handled = (1 << (13 if abi < 2 else 14 if abi < 3 else 15 if abi < 5 else 16)) - 1
    attributes = struct.pack("QQ", handled, (_NET_BIND | _NET_CONNECT) if abi >= 4 else 0)
    ruleset = libc.syscall(_LANDLOCK_CREATE, attributes, ctypes.c_size_t(16 if abi >= 4 else 8), 0)
    if ruleset < 0:
        return False
    # An editable install lies outside the prefixes: the package's own folder is readable too.
    folders = {
        sys.prefix,
        sys.base_prefix,
        sys.exec_prefix,
        str(Path(__file__).resolve().parent.parent),
        "/usr",
        "/lib",
        "/lib64",
        "/bin",
        "/etc/fonts",
        "/etc/ssl",
        "/etc/localtime",
        "/etc/ld.so.cache",
        "/proc/cpuinfo",
        "/proc/meminfo",
        "/proc/self",
        "/sys/devices/system",
        "/dev/null",
        "/dev/urandom",
        str(Path(sys.executable).resolve()),
        *(p for p in sys.path if p and Path(p).is_dir()),
    }
    for folder in sorted(folders):
        try:
            handle = os.open(folder, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        rights = _FS_READ_FILE | (_FS_WRITE if folder == "/dev/null" else 0)
        if Path(folder).is_dir():
            rights |= _FS_READ_DIR | _FS_EXECUTE
        libc.syscall(_LANDLOCK_ADD, ruleset, 1, struct.pack("=Qi", rights & handled, handle), 0)
        os.close(handle)
    done = libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0) == 0
    os.close(ruleset)
    return done


def serve(channel: socket.socket, limits: dict[str, int], ocr: str) -> None:
    """Reads or renders one file after the other until the channel closes."""
    while True:
        request, handle = _receive(channel)
        if request is None or handle is None:
            return
        _allow_seconds(request["cpu"])
        with os.fdopen(handle, "rb") as file:
            try:
                if request["task"] == "render":
                    _render(channel, file, request)
                else:
                    _read(channel, file, request, limits, ocr)
                _send(channel, {"done": True})
            except MemoryError:
                # Nothing of this process can be trusted to be small again: say so and end.
                os.write(channel.fileno(), _frame(b'{"failed": "needs more memory than allowed"}'))
                return
            except Exception as e:  # noqa: BLE001 - whatever a library throws at a hostile file is this file's reason, not a crash
                words = " ".join(str(e).split())[:160]
                _send(channel, {"failed": f"damaged or not what its name says ({type(e).__name__}: {words})"})


def _read(channel: socket.socket, file: BinaryIO, request: dict[str, Any], limits: dict[str, int], ocr: str) -> None:
    from ingest.parsed import Limits, Parsed
    from ingest.reading import Reading

    for found in Reading(Limits(**limits), ocr).read(request["name"], file, request["size"]):
        if isinstance(found, Parsed):
            _send(channel, {"document": found.to_json()})
        else:
            _send(channel, {"unread": [found.member, found.reason, found.skipped]})


def _render(channel: socket.socket, file: BinaryIO, request: dict[str, Any]) -> None:
    from ingest.page_picture import page_picture

    _send(channel, {"png": b64encode(page_picture(file.read(), request["page"], request["quote"])).decode()})


def _allow_seconds(seconds: int) -> None:
    """Processor seconds from now; SIGXCPU ends the process beyond."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + seconds + 1, resource.RLIM_INFINITY))


def _receive(channel: socket.socket) -> tuple[dict[str, Any] | None, int | None]:
    data, ancillary, _, _ = channel.recvmsg(65536, socket.CMSG_SPACE(4))
    handle = None
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            handles = array.array("i")
            handles.frombytes(content[: len(content) - len(content) % handles.itemsize])
            handle = handles[0]
    return (json.loads(data), handle) if data else (None, handle)


def _send(channel: socket.socket, message: dict[str, Any]) -> None:
    channel.sendall(_frame(json.dumps(message).encode("ascii")))


def _frame(data: bytes) -> bytes:
    return struct.pack("<Q", len(data)) + data


def main() -> None:
    """`sandbox_worker FD MEMORY LIMITS OCR`: the inherited socket, bytes of memory, limits as JSON, whether to use OCR."""
    handle, memory, limits, ocr = sys.argv[1:5]
    channel = socket.socket(fileno=int(handle))
    mimetypes.init(files=[])  # or openpyxl looks for the system's tables
    os.chdir("/")
    walls = confine(int(memory))
    _send(channel, {"ready": walls})
    serve(channel, json.loads(limits), ocr)


if __name__ == "__main__":
    main()
