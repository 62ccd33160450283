"""Streams, the queue as a client sees it, and clients that leave."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from rag.errors import GeneratorDown, GeneratorTimeout, ModelMissing, StreamBroken
from tests.api.toy import Live, Script, add, wait

CHAT = {"messages": [{"role": "user", "content": "tower clock"}]}
ASK = {"question": "tower clock"}


def start(home: Path, script: Script | None = None, **settings: Any) -> Live:
    add(home, {"clock.md": "The tower clock was built in 1874."})
    return Live(home, script, **settings)


def events(response: httpx.Response) -> list[tuple[str, Any]]:
    found = []
    for block in response.text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(":"))
        if "data" in lines:
            found.append(
                (lines.get("event", ""), lines["data"] if lines["data"] == "[DONE]" else json.loads(lines["data"]))
            )
    return found


def test_ask_streams_sources_then_words_then_the_answer(home: Path) -> None:
    with start(home) as live:
        got = events(live.client.post("/ask", json={**ASK, "stream": True}))
        assert [name for name, _ in got] == ["sources", *["delta"] * 5, "done"]
        assert got[0][1]["hits"][0]["document"] == "clock"
        assert "".join(data["text"] for name, data in got if name == "delta") == got[-1][1]["answer"]


def test_words_come_as_they_are_written(home: Path) -> None:
    with start(home, Script(words=["one", "two", "three", "four"], seconds=0.3)) as live:
        begun, times = time.monotonic(), []
        with live.client.stream("POST", "/ask", json={**ASK, "stream": True}) as response:
            for line in response.iter_lines():
                if line == "event: delta":
                    times.append(time.monotonic() - begun)
        assert times[0] < 0.8
        assert times[-1] - times[0] > 0.7


def test_an_answer_that_is_not_streamed_by_the_model_is_still_said(home: Path) -> None:
    with start(home, Script(words=())) as live:
        got = events(live.client.post("/v1/chat/completions", json={**CHAT, "stream": True}))
        assert got[-1] == ("", "[DONE]")


def test_who_waits_is_told_the_place_in_the_queue(home: Path) -> None:
    with start(home, Script(words=["w"] * 25, seconds=0.1), queue=2) as live:
        first = threading.Thread(target=live.client.post, args=("/ask",), kwargs={"json": ASK})
        first.start()
        wait(lambda: live.script.active == 1)
        got = events(live.client.post("/ask", json={**ASK, "stream": True}))
        first.join()
        assert got[0][0] == "queue"
        assert got[0][1]["position"] == 1
        assert got[0][1]["seconds"] > 0
        assert got[-1][0] == "done"


def test_openai_streams_tell_the_queue_in_comments(home: Path) -> None:
    with start(home, Script(words=["w"] * 25, seconds=0.1)) as live:
        first = threading.Thread(target=live.client.post, args=("/ask",), kwargs={"json": ASK})
        first.start()
        wait(lambda: live.script.active == 1)
        text = live.client.post("/v1/chat/completions", json={**CHAT, "stream": True}).text
        first.join()
        assert ": in the queue: position 1" in text


def test_beyond_the_queue_the_refusal_is_quick_and_says_when_to_come_again(home: Path) -> None:
    with start(home, Script(words=["w"] * 40, seconds=0.1), queue=1) as live:
        codes: list[tuple[int, float, str | None]] = []

        def one() -> None:
            begun = time.monotonic()
            answer = httpx.post(f"{live.url}/ask", json=ASK, timeout=60)
            codes.append((answer.status_code, time.monotonic() - begun, answer.headers.get("retry-after")))

        threads = [threading.Thread(target=one) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(c for c, _, _ in codes) == [200, 200, *[429] * 6]
        assert all(seconds < 3 and int(again or 0) >= 1 for code, seconds, again in codes if code == 429)
        assert live.script.most_active == 1


@pytest.mark.parametrize("path", ["/ask", "/v1/chat/completions"])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("moment", ["reading the prompt", "writing", "waiting"])
def test_a_client_that_leaves_stops_the_work(home: Path, path: str, stream: bool, moment: str) -> None:
    script = Script(words=["word"] * 600, seconds=0.1, prefill=60 if moment == "reading the prompt" else 0)
    body = json.dumps({**(ASK if path == "/ask" else CHAT), "stream": stream}).encode()
    with start(home, script) as live:
        if moment == "waiting":
            blocker = live.raw("POST", "/ask", json.dumps(ASK).encode())
            wait(lambda: live.script.active == 1)
            connection = live.raw("POST", path, body)
            wait(lambda: live.service.admission.waiting >= 1)
            before = live.service.admission.waiting
            connection.close()
            assert wait(lambda: live.service.admission.waiting < before, 5) < 2
            blocker.close()
            return
        connection = live.raw("POST", path, body)
        wait(lambda: live.script.active == 1)
        time.sleep(0.3)
        connection.close()
        assert wait(lambda: live.script.active == 0, 5) < 2
        wait(lambda: live.service.admission.running == 0)


@pytest.mark.parametrize(
    ("error", "status", "type_"),
    [
        (GeneratorDown("no server"), 503, "generator_down"),
        (GeneratorTimeout("no token"), 504, "generator_timeout"),
        (ModelMissing("no such model"), 502, "model_missing"),
        (StreamBroken("cut"), 502, "stream_broken"),
    ],
)
def test_a_model_that_fails_is_said_as_what_it_is_with_the_passages(
    home: Path, error: Any, status: int, type_: str
) -> None:
    with start(home, Script(error=error)) as live:
        for stream in (False, True):
            answer = live.client.post("/ask", json={**ASK, "stream": stream})
            assert answer.status_code == status
            assert answer.json()["error"]["type"] == type_
            assert answer.json()["error"]["details"]["search"]["hits"][0]["document"] == "clock"


def test_a_model_that_fails_in_the_middle_ends_the_stream_with_an_error(home: Path) -> None:
    with start(home, Script(error=StreamBroken("cut"), words_before_error=2)) as live:
        got = events(live.client.post("/ask", json={**ASK, "stream": True}))
        assert [name for name, _ in got] == ["sources", "delta", "delta", "error"]
        assert got[-1][1]["error"]["type"] == "stream_broken"


def test_the_breaker_turns_away_at_once_and_search_goes_on(home: Path) -> None:
    with start(home, Script(error=GeneratorDown("no server"))) as live:
        for _ in range(3):
            live.client.post("/ask", json=ASK)
        asked = len(live.script.asked)
        answer = live.client.post("/ask", json=ASK)
        assert answer.status_code == 503
        assert answer.json()["error"]["type"] == "breaker_open"
        assert answer.json()["error"]["details"]["search"]["hits"]
        assert int(answer.headers["retry-after"]) >= 1
        assert len(live.script.asked) == asked, "the model was asked while the breaker was open"
        assert live.client.post("/search", json=ASK).status_code == 200
        live.script.error = None
        assert wait(lambda: live.client.post("/ask", json=ASK).status_code == 200, 15) < 15


def test_a_stop_lets_the_answer_under_way_finish(home: Path) -> None:
    with start(home, Script(words=["w"] * 10, seconds=0.1)) as live:
        got: list[httpx.Response] = []
        asking = threading.Thread(target=lambda: got.append(live.client.post("/ask", json=ASK)))
        asking.start()
        wait(lambda: live.script.active == 1)
        live._server.should_exit = True
        asking.join(10)
        assert got[0].status_code == 200


def test_an_unanswered_question_becomes_a_gap_and_so_does_a_bad_judgement(home: Path) -> None:
    with start(home) as live:
        live.client.post("/ask", json={"question": "zebra"})
        live.client.post("/feedback", json={"rating": "down", "question": "tower clock", "comment": "old"})
        live.client.post("/feedback", json={"rating": "up", "question": "fine"})
        wait(lambda: len(live.client.get("/gaps").json()["gaps"]) == 2)
        assert {(g["question"], g["reason"]) for g in live.client.get("/gaps").json()["gaps"]} == {
            ("zebra", "abstained"),
            ("tower clock", "down"),
        }
        assert [f["rating"] for f in live.client.get("/feedback").json()["feedback"]] == ["up", "down"]
        gone = live.client.delete("/gaps", params={"collection": "default", "question": "zebra"})
        assert gone.status_code == 204


def test_traces_and_metrics_hold_numbers_and_no_text(home: Path) -> None:
    with start(home) as live:
        live.client.post("/ask", json={"question": "tower clock zanzibar"})
        wait(lambda: bool(live.client.get("/traces").json()["traces"]))
        trace = live.client.get("/traces").json()["traces"][0]
        assert {"queue", "retrieve", "first_token", "generate", "total"} <= set(trace["stages"])
        metrics = live.client.get("/metrics").text
        assert 'rag_answers_total{status="answered"} 1.0' in metrics
        assert 'rag_requests_total{method="POST",route="/ask",status="200"} 1.0' in metrics
        assert "zanzibar" not in json.dumps(trace) + metrics
