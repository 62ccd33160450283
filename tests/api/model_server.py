"""A server that speaks Ollama's chat protocol and can be told, while it runs, how to fail. Also a program of its own, for load tests:

python -m tests.api.model_server PORT SECONDS_PER_WORD WORDS
"""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "test:latest"
_MADE = "2026-01-01T00:00:00Z"
_TEMPLATE = "{{ range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n"


class ModelServer:
    """`fault` is one of None, "silent", "500", "busy", "garbage", "cut", "error line", "missing"."""

    def __init__(
        self,
        port: int = 0,
        seconds: float = 0.0,
        words: tuple[str, ...] = ("The", "clock", "was", "built", "in", "1874", "[1]."),
    ) -> None:
        self.fault: str | None = None
        self.seconds = seconds
        self.words = words
        self.active = 0
        self.most_active = 0
        self.asked = 0
        self.aborted = 0
        self.lock = threading.Lock()
        self._stop = threading.Event()
        self._server = _Server(("127.0.0.1", port), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> ModelServer:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()

    def serve_forever(self) -> None:
        self._server.serve_forever()

    def sleep(self, seconds: float) -> None:
        self._stop.wait(seconds)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error here."""


def _handler(server: ModelServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def reply(self, status: int, body: Any, kind: str = "application/json") -> None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            details = {"family": "qwen2", "parameter_size": "0.5B", "quantization_level": "Q4_K_M"}
            if self.path == "/api/tags":
                models = [] if server.fault == "missing" else [MODEL]
                self.reply(
                    200,
                    {
                        "models": [
                            {"name": m, "model": m, "size": 1, "digest": "0", "modified_at": _MADE, "details": details}
                            for m in models
                        ]
                    },
                )
            elif self.path == "/api/version":
                self.reply(200, {"version": "0.24.0"})
            else:
                self.reply(200, b"Ollama is running", "text/plain")

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
            if server.fault == "missing":
                self.reply(404, {"error": f"model '{body.get('model')}' not found"})
            elif self.path == "/api/show":
                details = {"family": "qwen2", "parameter_size": "0.5B", "quantization_level": "Q4_K_M"}
                self.reply(
                    200,
                    {
                        "modelfile": "",
                        "parameters": "",
                        "template": _TEMPLATE,
                        "details": details,
                        "model_info": {"general.architecture": "qwen2", "qwen2.context_length": 32768},
                        "capabilities": ["completion"],
                    },
                )
            elif server.fault == "500":
                self.reply(500, {"error": "llama runner process has terminated: exit status 2"})
            elif server.fault == "busy":
                self.reply(503, {"error": "server busy, please try again. maximum pending requests exceeded"})
            elif server.fault == "garbage":
                self.reply(200, b"<html>proxy error</html>", "text/html")
            else:
                self.chat(body)

        def chat(self, body: dict[str, Any]) -> None:
            with server.lock:
                server.asked += 1
                server.active += 1
                server.most_active = max(server.most_active, server.active)
            try:
                self.send_response(200)
                self.send_header("Content-Type", "application/x-ndjson")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.words(body)
                self.wfile.write(b"0\r\n\r\n")
            except OSError:
                server.aborted += 1
            finally:
                with server.lock:
                    server.active -= 1

        def words(self, body: dict[str, Any]) -> None:
            if server.fault == "silent":
                while server.fault == "silent" and not server._stop.is_set():
                    server.sleep(0.05)
                    self.wfile.flush()
                return
            limit = (body.get("options") or {}).get("num_predict") or len(server.words)
            for i, word in enumerate(server.words[:limit]):
                if i == 3 and server.fault == "cut":
                    self.close_connection = True
                    raise OSError("cut")
                if i == 3 and server.fault == "error line":
                    self.line({"error": "an error was encountered while running the model: unexpected EOF"})
                    return
                server.sleep(server.seconds)
                self.line(
                    {
                        "model": MODEL,
                        "created_at": _MADE,
                        "message": {"role": "assistant", "content": word if i == 0 else f" {word}"},
                        "done": False,
                    }
                )
            self.line(
                {
                    "model": MODEL,
                    "created_at": _MADE,
                    "message": {"role": "assistant", "content": ""},
                    "done": True,
                    "done_reason": "stop",
                    "prompt_eval_count": 50,
                    "eval_count": len(server.words),
                    "prompt_eval_duration": 1,
                    "eval_duration": 1,
                    "total_duration": 2,
                    "load_duration": 0,
                }
            )

        def line(self, value: dict[str, Any]) -> None:
            data = json.dumps(value).encode() + b"\n"
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()

    return Handler


if __name__ == "__main__":
    port, seconds, count = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    ModelServer(port, seconds, tuple(["word"] * count)).serve_forever()
