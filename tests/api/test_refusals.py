"""What the service will not take, and the one shape in which it says so."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.api.toy import Live, add

KEYS = {"message", "type", "code", "param", "details"}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    home = tmp_path_factory.mktemp("home")
    add(home, {"clock.md": "The tower clock was built in 1874."})
    with Live(home, max_body=1) as started:
        yield started


def multipart(data: bytes, name: str = "note.md") -> dict[str, object]:
    return {"files": {"file": (name, data, "text/markdown")}}


@pytest.mark.parametrize(
    ("method", "path", "sent", "status"),
    [
        ("GET", "/nothing", {}, 404),
        ("GET", "/documents/absent", {}, 404),
        ("GET", "/jobs/absent", {}, 404),
        ("GET", "/documents?collection=absent", {}, 404),
        ("PUT", "/search", {}, 405),
        ("GET", "/mcp", {}, 405),
        ("POST", "/search", {"content": b"{nope"}, 422),  # without a content type it is no JSON at all
        ("POST", "/search", {"content": b"{nope", "headers": {"Content-Type": "application/json"}}, 400),
        ("POST", "/search", {"content": b"\xff\xfe", "headers": {"Content-Type": "application/json"}}, 400),
        ("POST", "/search", {"content": b"[" * 100_000, "headers": {"Content-Type": "application/json"}}, 400),
        ("POST", "/search", {"json": {}}, 422),
        ("POST", "/search", {"json": []}, 422),
        ("POST", "/search", {"json": {"question": 5}}, 422),
        ("POST", "/search", {"json": {"question": " \n"}}, 422),
        ("POST", "/search", {"json": {"question": "x", "k": -1}}, 422),
        ("POST", "/search", {"json": {"question": "x", "k": 10**6}}, 422),
        ("POST", "/search", {"json": {"question": "x", "questoin": 1}}, 422),
        ("POST", "/search", {"json": {"question": "a" * 8001}}, 422),
        ("POST", "/search", {"json": {"question": "a" * 2_000_000}}, 413),
        ("POST", "/search", {"json": {"question": "x", "filter": "nonsense"}}, 400),
        ("POST", "/search", {"json": {"question": "x", "as_of": 99}}, 404),
        ("POST", "/search", {"content": b'{"question": "\\ud800"}', "headers": {"Content-Type": "application/json"}}, 422),
        ("POST", "/v1/chat/completions", {"json": {"messages": "x"}}, 422),
        ("POST", "/v1/chat/completions", {"json": {"messages": [{"role": "system", "content": "x"}]}}, 422),
        ("POST", "/v1/chat/completions", {"json": {"messages": [{"role": "user", "content": "x"}], "n": 2}}, 422),
        ("POST", "/documents", {"json": {}}, 422),
        ("POST", "/documents", multipart(b"x" * 2_000_000), 413),
        ("POST", "/documents", multipart(b"x", ".."), 422),
        ("DELETE", "/documents/absent", {}, 404),
        ("DELETE", "/collections/absent", {}, 404),
        ("POST", "/collections", {"json": {"name": "../up"}}, 422),
        ("POST", "/collections", {"json": {"name": "default"}}, 409),
        ("GET", "/report", {}, 404),
    ],
)  # fmt: skip
def test_every_refusal_has_the_one_shape(
    live: Live, method: str, path: str, sent: dict[str, object], status: int
) -> None:
    answer = live.client.request(method, path, **sent)  # type: ignore[arg-type]
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == KEYS
    assert "Traceback" not in answer.text


def test_a_body_announced_too_large_is_refused_unread(live: Live) -> None:
    with live.raw("POST", "/search", headers={"Content-Length": "60000000"}) as connection:
        connection.settimeout(1)
        assert b"413" in connection.recv(1000)


def test_a_body_that_turns_out_too_large_is_refused(live: Live) -> None:
    for path in ("/search", "/documents"):

        def parts() -> Iterator[bytes]:
            yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.md"\r\n\r\n'
            for _ in range(40):
                yield b"x" * 100_000

        answer = live.client.post(path, content=parts(), headers={"Content-Type": "multipart/form-data; boundary=b"})
        assert answer.status_code == 413, (path, answer.text)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example:8600"}, 421),
        ({"Host": ""}, 421),
        ({"Host": "localhost:1"}, 200),
        ({"Host": "[::1]:1"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "localhost:8600", "Origin": "http://localhost:8600"}, 200),
        ({"Host": "localhost:8600", "Origin": "http://localhost:3000"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200),
    ],
)
def test_foreign_hosts_and_foreign_pages_are_refused(live: Live, headers: dict[str, str], status: int) -> None:
    answer = live.client.get("/documents", headers=headers)
    assert answer.status_code == status
    assert "access-control-allow-origin" not in answer.headers


def test_every_response_carries_the_policy(live: Live) -> None:
    for path in ("/", "/docs", "/static/app.js", "/documents", "/nothing"):
        headers = live.client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"


def test_a_bug_is_said_without_its_text(live: Live, caplog: pytest.LogCaptureFixture) -> None:
    live.script.error = RuntimeError("secret document text")  # type: ignore[assignment]
    try:
        answer = live.client.post("/ask", json={"question": "tower clock"})
    finally:
        live.script.error = None
    assert answer.status_code == 500
    assert set(answer.json()["error"]) == KEYS
    assert "secret" not in answer.text


def test_the_interface_document_declares_what_is_returned(live: Live) -> None:
    document = json.loads(live.client.get("/openapi.json").text)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            declared = set(operation["responses"])
            assert declared & {"200", "201", "202", "204"}, (method, path)
            if path not in ("/healthz", "/readyz"):
                assert operation["security"], (method, path)
                assert {"401", "422", "429"} <= declared, (method, path)
