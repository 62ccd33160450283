"""From settings to a listening service: refuses what would be unsafe, binds, serves, stops in order."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import socket
import sys
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from api.access_log import configure
from api.app import create_app
from rag.errors import RagError
from rag.settings import Settings
from rag.storage.ledger import Ledger
from rag.wiring import Services

log = logging.getLogger("ragbase.service")

FINISH_SECONDS = 10.0  # for answers under way when the service is asked to stop
CANCEL_SECONDS = 6.0  # after which they are told to stop
# Every read and write on a connection gives the interpreter away for a moment, and gets it back from a thread that computes only after
# this long (Python's own 5 ms, some ten times a request, made refusals wait for seconds when 200 clients came at once).
SWITCH_SECONDS = 0.0005


class CannotServe(RagError):
    """The address cannot be used, or must not be without a key."""


def serve(settings: Settings) -> int:
    """Serves until SIGTERM or Ctrl-C. Raises CannotServe before anything is loaded."""
    loopback = is_loopback(settings.host)
    if not loopback and not _has_key(settings):
        raise CannotServe(
            f"{settings.host} can be reached from other machines, and this home has no key: make one first with "
            "`rag keys create --admin`, or serve on 127.0.0.1"
        )
    listener = bind(settings.host, settings.port)
    with listener:
        configure(settings.log_level)
        app = create_app(Services(settings, lasting=True), open_allowed=loopback)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        sys.stderr.write(f"rag: http://{host}:{listener.getsockname()[1]} (page), /docs (interface); Ctrl-C stops\n")
        config = uvicorn.Config(app, **limits(settings), timeout_graceful_shutdown=int(FINISH_SECONDS))
        server = _Server(config, app)
        sys.setswitchinterval(SWITCH_SECONDS)
        server.run(sockets=[listener])
    return 0 if server.started else 1


def limits(settings: Settings) -> dict[str, Any]:
    """What the server below the application is told of connections; a longest question, all of four-byte characters, fits in an address."""
    return {
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "timeout_keep_alive": 15,
        # 4 bytes a character, 3 signs a byte, in a query and once more in a header; what stands beside it fits in 64 KiB
        "h11_max_incomplete_event_size": (64 << 10) + 2 * 12 * settings.max_question,
    }


class _Server(uvicorn.Server):
    """Tells the service that it stops as soon as the signal comes, so that streams end and answers under way can finish."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        service = self._app.state.service
        service.begin_stop()
        log.info("stopping", extra={"facts": {"signal": sig, "answers": len(service.runs)}})
        asyncio.get_running_loop().call_later(CANCEL_SECONDS, service.cancel_answers)
        super().handle_exit(sig, frame)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises CannotServe with the address in the message."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError) as e:
        raise CannotServe(f"{host}: no address of this machine ({e}); choose another --host") from e
    except OverflowError as e:
        raise CannotServe(f"port {port} is not between 0 and 65535") from e
    # Named TCP, not "the default": asyncio switches Nagle's delay (40 ms a response) off only where it reads that.
    listener = socket.socket(family, kind, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(1024)
    except OSError as e:
        listener.close()
        reason = "is in use by another program" if e.errno == errno.EADDRINUSE else f"cannot be used ({e.strerror})"
        raise CannotServe(f"port {port} on {host} {reason}; choose another with --port") from e
    return listener


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _has_key(settings: Settings) -> bool:
    """Whether there is a key that is not revoked; looks without making a home."""
    if not (settings.home / "service.sqlite").is_file():
        return False
    with Ledger(settings.home) as ledger:
        return any(key.revoked is None for key in ledger.list_keys())
