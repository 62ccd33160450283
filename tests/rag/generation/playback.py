"""Servers for the generator tests: one plays back what a real Ollama 0.24 said, one speaks the OpenAI protocol."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

EXCHANGES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "data" / "ollama_0.24_exchanges.json").read_text(encoding="utf-8")
)


def recorded(name: str) -> dict[str, Any]:
    """The exchange of that name."""
    return next(e for e in EXCHANGES if e["name"] == name)


def as_response(exchange: dict[str, Any]) -> httpx.Response:
    """What the server sent then."""
    sent = exchange["response"]
    body = sent["body"]
    if isinstance(body, list):
        content = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in body)
    else:
        content = body if isinstance(body, str) else json.dumps(body)
    return httpx.Response(sent["status"], content=content.encode(), headers={"content-type": sent["content_type"]})


def playing(exchange: dict[str, Any], seen: list[Any] | None = None) -> Callable[[], httpx.AsyncBaseTransport]:
    """A transport that answers every request with this exchange."""

    def handle(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append(json.loads(request.content) if request.content else None)
        return as_response(exchange)

    return lambda: httpx.MockTransport(handle)


@contextmanager
def slow_server(path: str, line: Callable[[int], bytes], prefill: float) -> Iterator[tuple[str, threading.Event]]:
    """A server that is silent for `prefill` seconds, then sends a line every 0.1 s; the event is set when its client left."""
    left = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.connection.settimeout(0.1)
            for _ in range(int(prefill * 10)):
                try:
                    if self.connection.recv(1) == b"":
                        left.set()
                        return
                except TimeoutError:
                    continue
                except OSError:
                    left.set()
                    return
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream" if "v1" in path else "application/x-ndjson")
            self.end_headers()
            try:
                for i in range(300):
                    self.wfile.write(line(i))
                    self.wfile.flush()
                    if left.wait(0.1):
                        return
            except OSError:
                left.set()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", left
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
