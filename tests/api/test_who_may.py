"""Every route for every kind of caller, generated from the application's own list of routes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.auth import RateLimit
from rag.errors import Busy
from rag.storage.ledger import Ledger
from tests.api.toy import Live, add, make_key

OPEN = {("GET", "/healthz"), ("GET", "/readyz")}
# What a key that is not an admin's may call; everything else is the admin's.
READERS = {
    ("POST", "/search"), ("POST", "/ask"), ("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("GET", "/documents"),
    ("GET", "/documents/{document}"), ("GET", "/documents/{document}/text"), ("GET", "/documents/{document}/pages/{page}"),
    ("GET", "/collections"), ("GET", "/jobs"), ("GET", "/jobs/{job}"), ("GET", "/jobs/{job}/events"), ("POST", "/jobs/{job}/cancel"),
    ("POST", "/feedback"), ("GET", "/report"), ("GET", "/metrics"), ("GET", "/me"), ("POST", "/mcp"),
}  # fmt: skip
BODIES = {
    "/search": {"question": "bonus"},
    "/ask": {"question": "bonus"},
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "bonus"}]},
    "/feedback": {"rating": "up"},
    "/mcp": {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "search", "arguments": {"question": "bonus"}},
    },
}
SECRET, OTHER = "ZQ-914-000", "KX-55-12"


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    home = tmp_path_factory.mktemp("home")
    add(home, {"pay.md": f"The bonus pool is {SECRET} crowns."}, ["hr"])
    add(home, {"firmware.md": f"The bonus firmware is build {OTHER}."}, ["eng"])
    report = home / "reports" / "one"  # its examples quote documents of both
    report.mkdir(parents=True)
    (report / "report.json").write_text(
        json.dumps({"arms": {}, "failures": {"examples": [{"said": f"{SECRET} {OTHER}"}]}})
    )
    (report / "report.html").write_text(f"{SECRET} {OTHER}")
    keys = {"hr": make_key(home, "hr"), "eng": make_key(home, "eng"), "admin": make_key(home, admin=True)}
    keys["revoked"] = make_key(home, "hr")
    with Ledger(home) as ledger:
        ledger.revoke_key(keys["revoked"].split("_")[1])
    with Live(home) as started:
        started.keys = keys  # type: ignore[attr-defined]
        yield started


def routes(live: Live) -> list[tuple[str, str]]:
    paths = live.app.openapi()["paths"]
    return [(m.upper(), p) for p, operations in paths.items() for m in operations] + [("POST", "/mcp")]


def ask(live: Live, method: str, path: str, key: str | None, document: str = "pay") -> httpx.Response:
    filled = re.sub(r"\{document\}", document, path).replace("{page}", "1")
    filled = re.sub(r"\{[^}]+\}", "nothing", filled)
    headers = {"Accept": "application/json, text/event-stream"} | ({"Authorization": f"Bearer {key}"} if key else {})
    body = BODIES.get(path) if method == "POST" else None
    return live.client.request(
        method, filled, headers=headers, json=body if body is not None or method != "POST" else {}
    )


def test_every_route_refuses_who_has_no_valid_key(live: Live) -> None:
    good = live.keys["hr"]  # type: ignore[attr-defined]
    bad = {
        "none": None,
        "bad": "nonsense",
        "almost": good[:-1] + ("a" if good[-1] != "a" else "b"),
        "revoked": live.keys["revoked"],
    }  # type: ignore[attr-defined]
    for method, path in routes(live):
        for kind, key in bad.items():
            status = ask(live, method, path, key).status_code
            assert status == (200 if (method, path) in OPEN else 401), (method, path, kind)


def test_unknown_addresses_need_a_key_too(live: Live) -> None:
    assert live.client.get("/nothing").status_code == 401


def test_what_is_not_for_readers_is_for_admins_alone(live: Live) -> None:
    for method, path in routes(live):
        if (method, path) in OPEN:
            continue
        reader = ask(live, method, path, live.keys["eng"]).status_code  # type: ignore[attr-defined]
        assert (reader == 403) == ((method, path) not in READERS), (method, path, reader)


def test_an_admin_is_refused_nowhere(live: Live) -> None:
    for method, path in routes(live):
        status = ask(live, method, path, live.keys["admin"], document="absent").status_code  # type: ignore[attr-defined]
        assert status not in (401, 403), (method, path, status)
        assert status < 500, (method, path, status)


def test_no_route_shows_a_key_what_another_group_may_see(live: Live) -> None:
    for method, path in routes(live):
        for key, mine, other in (("hr", SECRET, OTHER), ("eng", OTHER, SECRET)):
            for document in ("pay", "firmware"):
                answer = ask(live, method, path, live.keys[key], document)  # type: ignore[attr-defined]
                assert other not in answer.text, (method, path, key, document)
                if path in ("/search", "/ask", "/mcp"):
                    assert mine in answer.text, (method, path, key)
    for request in live.script.asked:
        assert request.search.groups is None or len(request.search.groups & {"hr", "eng"}) < 2


def test_a_document_of_another_group_looks_like_no_document(live: Live) -> None:
    hidden = ask(live, "GET", "/documents/{document}", live.keys["eng"], "pay")  # type: ignore[attr-defined]
    absent = ask(live, "GET", "/documents/{document}", live.keys["eng"], "nope")  # type: ignore[attr-defined]
    assert hidden.status_code == absent.status_code == 404
    assert hidden.text.replace("pay", "nope") == absent.text


def test_a_request_can_narrow_its_groups_and_never_widen_them(live: Live) -> None:
    with live.with_key(live.keys["hr"]) as client:  # type: ignore[attr-defined]
        wide = client.post("/search", json={"question": "bonus", "groups": ["hr", "eng", "public"]}).text
        assert SECRET in wide
        assert OTHER not in wide
        assert client.post("/search", json={"question": "bonus", "groups": ["eng"]}).json()["hits"] == []


def test_a_revoked_key_is_refused_at_the_next_request(live: Live) -> None:
    home = live.service.settings.home
    key = make_key(home, "hr")
    with live.with_key(key) as client:
        assert client.get("/me").status_code == 200
        with Ledger(home) as elsewhere:
            elsewhere.revoke_key(key.split("_")[1])
        assert client.get("/me").status_code == 401


def test_without_any_key_loopback_is_open_and_the_first_key_closes_it(tmp_path: Path) -> None:
    with Live(tmp_path) as live:
        assert live.client.get("/me").json() == {"name": "operator", "admin": True, "groups": None, "open": True}
        key = make_key(tmp_path, "hr")
        assert live.client.get("/me").status_code == 401
        with live.with_key(key) as client:
            assert client.get("/me").json() == {
                "name": "test",
                "admin": False,
                "groups": ["hr", "public"],
                "open": False,
            }


def test_a_key_may_make_so_many_requests_a_minute() -> None:
    limit = RateLimit(60)
    for _ in range(60):
        limit.take("a", now=0)
    with pytest.raises(Busy) as refused:
        limit.take("a", now=0)
    assert refused.value.retry_after == pytest.approx(1)
    limit.take("b", now=0)
    limit.take("a", now=1)


def test_the_rate_limit_is_said_over_http(tmp_path: Path) -> None:
    with Live(tmp_path, rate_limit=2) as live:
        answers = [live.client.get("/me") for _ in range(3)]
        assert [a.status_code for a in answers] == [200, 200, 429]
        assert int(answers[2].headers["Retry-After"]) >= 1
        assert live.client.get("/healthz").status_code == 200
