"""Nothing of a document reaches a caller without its groups: 20 overlapping groups, rights that change all the time, every way to a document.

The store's own ten thousand searches are in tests/rag/storage/test_rights.py; here it is search hits, citations, texts, page pictures, lists and errors.
"""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from reportlab.pdfgen.canvas import Canvas

from tests.api.toy import Live, make_key, wait

GROUPS = [f"g{i}" for i in range(20)]
ROUNDS, CHANGES, REQUESTS = 40, 8, 50


def secret(name: str) -> str:
    """Every document says whose it is, so that a leak is seen in the answer itself."""
    return f"secret of {name};"


def pdf(text: str) -> bytes:
    held = io.BytesIO()
    canvas = Canvas(held)
    canvas.drawString(72, 720, text)
    canvas.save()
    return held.getvalue()


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    with Live(tmp_path) as started:
        yield started


def fill(live: Live, rng: random.Random) -> dict[str, set[str]]:
    """Uploads 16 notes and 8 PDFs; document id -> its groups."""
    names = [f"n{i:02d}.md" for i in range(16)] + [f"p{i:02d}.pdf" for i in range(8)]
    jobs = []
    for name in names:
        text = f"common report, {secret(name)}"
        file = (name, pdf(text) if name.endswith(".pdf") else text.encode())
        form = {"groups": ",".join(rng.sample(GROUPS, rng.randint(1, 4)))}
        jobs.append(live.client.post("/documents", files={"file": file}, data=form).json()["job"])
    for job in jobs:
        wait(lambda job=job: live.client.get(f"/jobs/{job}").json()["state"] == "done", 120)  # type: ignore[misc]
    listed = live.client.get("/documents").json()["documents"]
    assert len(listed) == len(names)
    return {d["document"]: set(d["groups"]) for d in listed}


def everything_said(client: httpx.Client, rng: random.Random, document: str) -> httpx.Response:
    """One request of some kind, about `document` where it names one."""
    way = rng.randrange(7)
    if way == 0:
        return client.post("/search", json={"question": "common report", "k": 50, "explain": True, "why_not": document})
    if way == 1:
        return client.post("/ask", json={"question": "common report"})
    if way == 2:
        return client.post(
            "/v1/chat/completions", json={"messages": [{"role": "user", "content": "common report"}], "stream": True}
        )
    if way == 3:
        return client.get("/documents")
    return client.get(f"/documents/{document}" + ("", "/text", "/pages/1")[way - 4])


@pytest.mark.slow
def test_two_thousand_requests_over_twenty_groups_with_rights_that_change_leak_nothing(live: Live) -> None:
    rng = random.Random(11)
    rights = fill(live, rng)
    paths = {d["document"]: d["path"] for d in live.client.get("/documents").json()["documents"]}
    make_key(live.service.settings.home, admin=True)
    callers = [frozenset(rng.sample(GROUPS, rng.randint(1, 3))) for _ in range(12)]
    clients = {c: live.with_key(make_key(live.service.settings.home, *sorted(c))) for c in callers}
    leaked, seen, pictures, requests = [], 0, 0, 0
    for _ in range(ROUNDS):
        with live.services.collection().writer() as writer:
            for document in rng.sample(sorted(rights), CHANGES):
                rights[document] = set(rng.sample(GROUPS, rng.randint(1, 4)))
                writer.set_groups(document, frozenset(rights[document]))
            writer.commit()
        for _ in range(REQUESTS):
            who = rng.choice(callers)
            document = rng.choice(sorted(rights))
            answer = everything_said(clients[who], rng, document)
            requests += 1
            hidden = {d for d, groups in rights.items() if not groups & who}
            for other in hidden:
                if secret(paths[other]) in answer.text or (paths[other] in answer.text and other != document):
                    leaked.append((answer.request.url.path, other))
            if answer.request.url.path.startswith(f"/documents/{document}"):
                if document in hidden:
                    gone = answer.request.url.path.replace(document, "nothing")
                    absent = clients[who].get(gone)
                    assert (answer.status_code, answer.text.replace(document, "nothing")) == (404, absent.text)
                elif paths[document].endswith(".pdf") or "/pages/" not in answer.request.url.path:
                    assert answer.status_code == 200, answer.text
                    pictures += answer.headers["content-type"] == "image/png"
            seen += sum(secret(paths[d]) in answer.text for d in rights.keys() - hidden)
    for client in clients.values():
        client.close()
    assert leaked == []
    assert requests == ROUNDS * REQUESTS and seen > 1000 and pictures > 10
