"""Documents over HTTP: taken in by a job, searched, looked at, removed."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from reportlab.pdfgen.canvas import Canvas

from rag.storage.ledger import Ledger
from tests.api.toy import Live, add, wait


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with Live(tmp_path_factory.mktemp("home")) as started:
        yield started


def upload(live: Live, name: str, data: bytes, **form: str) -> dict[str, Any]:
    answer = live.client.post("/documents", files={"file": (name, data)}, data=form)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/jobs/{answer.json()['job']}"
    return ended(live, answer.json()["job"])


def ended(live: Live, job: str) -> dict[str, Any]:
    wait(lambda: live.client.get(f"/jobs/{job}").json()["state"] in ("done", "failed", "cancelled"), 60)
    found: dict[str, Any] = live.client.get(f"/jobs/{job}").json()
    return found


def search(live: Live, question: str) -> list[dict[str, Any]]:
    hits: list[dict[str, Any]] = live.client.post("/search", json={"question": question}).json()["hits"]
    return hits


def pdf(*pages: str) -> bytes:
    out = io.BytesIO()
    canvas = Canvas(out)
    for text in pages:
        canvas.drawString(72, 720, text)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def test_an_upload_is_searched_and_a_deletion_is_gone_at_once(live: Live) -> None:
    assert live.client.get("/documents").json() == {"documents": [], "total": 0}
    job = upload(live, "note.md", b"# Note\n\nThe tower clock was built in 1874.\n")
    assert job["state"] == "done"
    assert job["report"]["added"] == 1
    hit = search(live, "tower clock")[0]
    assert "1874" in hit["text"]
    assert [d["path"] for d in live.client.get("/documents").json()["documents"]] == ["note.md"]
    assert live.client.delete(f"/documents/{hit['document']}").json()["removed"] == hit["document"]
    assert search(live, "tower clock") == []
    assert live.client.delete(f"/documents/{hit['document']}").status_code == 404


def test_the_same_name_replaces_and_the_same_bytes_are_no_news(live: Live) -> None:
    upload(live, "price.md", b"# Price\n\nThe zeppelin costs 90 crowns.\n")
    assert upload(live, "price.md", b"# Price\n\nThe zeppelin costs 95 crowns.\n")["report"]["updated"] == 1
    assert upload(live, "price.md", b"# Price\n\nThe zeppelin costs 95 crowns.\n")["report"]["unchanged"] == 1
    assert [("95" in h["text"], "90" in h["text"]) for h in search(live, "zeppelin")] == [(True, False)]


def test_an_upload_has_the_groups_it_was_given(live: Live) -> None:
    upload(live, "pay.md", b"# Pay\n\nThe yodel bonus is 7 crowns.\n", groups="hr, board")
    found = next(d for d in live.client.get("/documents").json()["documents"] if d["path"] == "pay.md")
    assert found["groups"] == ["board", "hr"]
    assert live.client.post("/search", json={"question": "yodel", "groups": ["eng"]}).json()["hits"] == []


def test_an_upload_goes_into_the_collection_it_names(live: Live) -> None:
    upload(live, "moon.md", b"# Moon\n\nThe moon base is called Selene.\n", collection="space")
    assert search(live, "Selene moon base") == []
    assert live.client.post("/search", json={"question": "Selene", "collection": "space"}).json()["hits"]
    assert {c["name"] for c in live.client.get("/collections").json()["collections"]} == {"default", "space"}
    assert live.client.delete("/collections/space").status_code == 204
    assert live.client.post("/search", json={"question": "Selene", "collection": "space"}).status_code == 404


def test_what_cannot_be_read_is_said_in_the_job(live: Live) -> None:
    job = upload(live, "broken.pdf", b"%PDF-1.7 and nothing else")
    assert job["state"] == "failed"
    assert job["error"]
    assert "Traceback" not in json.dumps(job)


def test_a_page_is_shown_with_its_quote_highlighted(live: Live) -> None:
    upload(live, "manual.pdf", pdf("The first page.", "The pump pressure is 42 bar at most."))
    hit = search(live, "pump pressure")[0]
    facts = live.client.get(f"/documents/{hit['document']}").json()
    assert facts["picture"]
    assert [p["number"] for p in facts["pages"]] == [1, 2]
    span = {"start": hit["span"][0], "end": hit["span"][1]}
    marked = live.client.get(f"/documents/{hit['document']}/pages/2", params=span)
    plain = live.client.get(f"/documents/{hit['document']}/pages/2")
    assert marked.headers["content-type"] == "image/png"
    assert coloured(marked.content) > 200
    assert coloured(plain.content) == 0
    assert live.client.get(f"/documents/{hit['document']}/pages/3").status_code == 404


def coloured(png: bytes) -> int:
    """Pixels that are neither white, grey nor black."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    return sum(1 for r, g, b in picture.get_flattened_data() if max(r, g, b) - min(r, g, b) > 60)


def test_the_text_of_a_document_is_given_in_pieces(live: Live) -> None:
    upload(live, "long.md", ("# Long\n\n" + "word " * 20_000).encode())
    id_ = next(d["document"] for d in live.client.get("/documents").json()["documents"] if d["path"] == "long.md")
    whole = live.client.get(f"/documents/{id_}").json()["characters"]
    first = live.client.get(f"/documents/{id_}/text").json()
    assert (first["start"], first["end"], first["characters"]) == (0, 20_000, whole)
    assert first["headings"][0] == [1, 0, 4]
    last = live.client.get(f"/documents/{id_}/text", params={"start": whole - 5, "end": whole + 99}).json()
    assert (last["start"], last["end"]) == (whole - 5, whole)
    assert live.client.get(f"/documents/{id_}/text", params={"start": 10**9}).json()["text"] == ""


def test_progress_comes_as_events(live: Live) -> None:
    answer = live.client.post("/documents", files={"file": ("events.md", b"# Events\n\nText of the events.\n")})
    states = []
    with live.client.stream("GET", f"/jobs/{answer.json()['job']}/events") as response:
        for line in response.iter_lines():
            if line.startswith("data: "):
                states.append(json.loads(line[6:])["state"])
    assert states[-1] == "done"


def test_a_job_that_waits_can_be_cancelled(live: Live) -> None:
    with live.service.jobs.writing:  # the worker is held up by the first, the second waits
        first = live.client.post("/documents", files={"file": ("one.md", b"# One\n\nFirst unicorn.\n")}).json()["job"]
        second = live.client.post("/documents", files={"file": ("two.md", b"# Two\n\nSecond unicorn.\n")}).json()["job"]
        live.client.post(f"/jobs/{second}/cancel")
    assert ended(live, first)["state"] == "done"
    assert ended(live, second)["state"] == "cancelled"
    assert [h["path"] for h in search(live, "unicorn")] == ["one.md"]


def test_nothing_of_an_upload_is_left_behind(live: Live) -> None:
    wait(lambda: not list((live.service.settings.home / "incoming").iterdir()))


def test_a_job_that_a_stop_cut_off_is_taken_up_again(home: Path) -> None:
    add(home, {"a.md": "Something."})
    incoming = home / "incoming"
    incoming.mkdir()
    (incoming / "abc").write_bytes(b"# Left\n\nThe walrus was left over.\n")
    with Ledger(home) as ledger:
        job = ledger.add_job("upload", "left.md", "open", {"file": "abc", "collection": "default", "groups": None})
        ledger.set_job(job.id, state="running")
    with Live(home) as live:
        assert ended(live, job.id)["state"] == "done"
        assert search(live, "walrus")


def test_a_deletion_waits_for_the_upload_before_it(live: Live) -> None:
    upload(live, "gone.md", b"# Gone\n\nThe dodo is gone.\n")
    id_ = search(live, "dodo")[0]["document"]
    with live.service.jobs.writing:
        connection = live.raw("DELETE", f"/documents/{id_}")
        time.sleep(0.2)
        assert search(live, "dodo")
    with connection:
        connection.settimeout(10)
        assert b"200" in connection.recv(100)
    assert search(live, "dodo") == []
