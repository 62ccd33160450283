"""Traces leave the machine only when an address is set, and then without text."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from api.telemetry import Exporter, OtlpExporter
from rag.settings import Settings
from tests.api.toy import Live, add, wait


@pytest.fixture
def collector() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    got: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", got
    server.shutdown()
    server.server_close()


def test_nothing_is_sent_unless_an_address_is_set() -> None:
    assert type(Exporter.of(Settings())) is Exporter
    assert type(Exporter.of(Settings(otlp_endpoint="http://127.0.0.1:9"))) is OtlpExporter


def test_an_answer_is_a_span_with_a_child_a_stage_and_no_text(
    home: Path, collector: tuple[str, list[tuple[str, bytes]]]
) -> None:
    address, got = collector
    add(home, {"clock.md": "The zanzibar clock was built in 1874."})
    with Live(home, otlp_endpoint=address) as live:
        live.client.post("/ask", json={"question": "zanzibar clock"})
        wait(lambda: bool(live.client.get("/traces").json()["traces"]))
    assert {path for path, _ in got} == {"/v1/traces"}
    sent = b"".join(body for _, body in got)
    for name in (b"/ask", b"retrieve", b"first_token", b"generate", b"answered"):
        assert name in sent
    assert b"zanzibar" not in sent
    assert b"1874" not in sent
