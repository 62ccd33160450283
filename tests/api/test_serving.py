"""The command `rag serve` as a process: what it refuses to do, how it stops, what it writes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.serving import CannotServe, bind, is_loopback
from rag.cli import main
from tests.api.model_server import ModelServer
from tests.api.toy import add

RAG = Path(sys.executable).with_name("rag")


@contextmanager
def serving(home: Path, model: ModelServer, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {**os.environ, "RAG_HOME": str(home), "RAG_GENERATOR": "ollama:test", "OLLAMA_HOST": model.url}
    with log.open("wb") as out:
        process = subprocess.Popen([RAG, "serve", "--port", str(port)], env=env, stdout=out, stderr=out)
        try:
            url = f"http://127.0.0.1:{port}"
            for _ in range(600):
                assert process.poll() is None, log.read_text()
                try:
                    if httpx.get(f"{url}/readyz").status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                time.sleep(0.1)
            yield process, url
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


@pytest.mark.slow
def test_a_stop_finishes_the_answer_and_ends_within_seconds(home: Path, tmp_path: Path) -> None:
    add(home, {"clock.md": "The tower clock was built in 1874."})
    log = tmp_path / "log"
    with ModelServer(seconds=0.3) as model, serving(home, model, log) as (process, url):
        got: list[httpx.Response] = []
        body = {"question": "When was the tower clock built?"}
        asking = threading.Thread(target=lambda: got.append(httpx.post(f"{url}/ask", json=body, timeout=30)))
        asking.start()
        while not model.active:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        asking.join(20)
        assert got[0].json()["answer"].startswith("1874")
        assert process.wait(15) in (0, -signal.SIGTERM)
    text = log.read_text()
    assert "Traceback" not in text
    events = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert {"warm", "answer", "request", "stopping"} <= {e["event"] for e in events}
    assert "tower" not in text, "a question was logged"
    assert "1874" not in text, "a document was logged"


@pytest.mark.slow
def test_a_stop_cuts_off_what_would_take_too_long(home: Path, tmp_path: Path) -> None:
    add(home, {"clock.md": "The tower clock was built in 1874."})
    with (
        ModelServer(seconds=0.5, words=("word",) * 200) as model,
        serving(home, model, tmp_path / "log") as (process, url),
    ):
        body = {"question": "When was the tower clock built?", "stream": True}
        asking = threading.Thread(target=lambda: httpx.post(f"{url}/ask", json=body, timeout=60))
        asking.start()
        while not model.active:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(18) in (0, -signal.SIGTERM)
        asking.join(5)


def refused(capsys: pytest.CaptureFixture[str], *arguments: Any) -> str:
    assert main(["serve", *map(str, arguments)]) == 1
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    return line


def test_a_port_in_use_is_said_in_one_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"port {port} on 127.0.0.1 is in use" in refused(capsys, "--home", home, "--port", port)
    assert not home.exists(), "a refused start makes nothing"


def test_beyond_loopback_a_key_is_needed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "rag keys create" in refused(capsys, "--home", home, "--host", "0.0.0.0", "--port", 0)
    main(["keys", "create", "--home", str(home), "--json"])
    made = json.loads(capsys.readouterr().out)
    main(["keys", "revoke", "--home", str(home), made["id"]])
    capsys.readouterr()
    assert "no key" in refused(capsys, "--home", home, "--host", "0.0.0.0", "--port", 0)


def test_an_address_that_is_not_ours_is_said() -> None:
    with pytest.raises(CannotServe, match=r"300\.0\.0\.1: no address of this machine"):
        bind("300.0.0.1", 0)
    with pytest.raises(CannotServe, match=r"port 8 on 203\.0\.113\.7 cannot be used"):
        bind("203.0.113.7", 8)


def test_answers_do_not_wait_for_nagle() -> None:
    with bind("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.proto == socket.IPPROTO_TCP


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("example.org", False),
    ],
)
def test_what_is_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_keys_are_made_listed_and_revoked(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: str) -> Any:
        assert main(["keys", *arguments, "--home", str(home), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    assert run("list") == {"keys": []}
    made = run("create", "--name", "reader", "--groups", "hr, board")
    assert made["key"].startswith(f"rag_{made['id']}_")
    listed = run("list")["keys"]
    assert [(k["id"], k["name"], k["groups"], k["admin"], k["revoked"]) for k in listed] == [
        (made["id"], "reader", ["board", "hr"], False, None)
    ]
    run("revoke", made["id"])
    assert run("list")["keys"][0]["revoked"]
    assert main(["keys", "revoke", "nobody", "--home", str(home)]) == 1
    assert main(["keys", "create", "--admin", "--groups", "hr", "--home", str(home)]) == 2
