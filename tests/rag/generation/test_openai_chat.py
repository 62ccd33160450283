"""Our client of OpenAI-compatible servers."""

from __future__ import annotations

import json
import math
from threading import Event, Timer

import httpx
import pytest

from rag.errors import GeneratorBusy, GeneratorDown, GeneratorFailed, ModelMissing, PromptTooLong, StreamBroken
from rag.generation.openai_chat import OpenAIGenerator
from rag.types import GenerationEnd, Message, TextDelta

from .playback import playing, recorded, slow_server

ASK = [Message("user", "Name the capital of France in one word.")]


def _answering(status: int, body: object) -> OpenAIGenerator:
    def handle(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, json=body)

    return OpenAIGenerator("http://model.test/v1", "m", transport=lambda: httpx.MockTransport(handle))


def test_a_recorded_stream_gives_its_text() -> None:
    generator = OpenAIGenerator("http://model.test/v1", "qwen05", transport=playing(recorded("openai: chat, streamed")))
    events = list(generator.stream(ASK, max_tokens=16))
    assert events[0] == TextDelta("Paris")
    assert isinstance(events[-1], GenerationEnd) and events[-1].finish_reason == "stop"


def test_the_request_carries_key_limits_and_schema() -> None:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(503, json={"error": {"message": "loading"}})

    generator = OpenAIGenerator(
        "http://model.test/v1/", "m", key="secret", transport=lambda: httpx.MockTransport(handle)
    )
    with pytest.raises(GeneratorBusy):
        list(generator.stream(ASK, max_tokens=9, schema={"type": "object"}))
    body = json.loads(seen[0].content)
    assert str(seen[0].url) == "http://model.test/v1/chat/completions"
    assert seen[0].headers["authorization"] == "Bearer secret"
    assert body["max_tokens"] == 9 and body["response_format"]["json_schema"]["schema"] == {"type": "object"}


@pytest.mark.parametrize(
    ("status", "body", "error", "word"),
    [
        (404, {"error": {"message": "model 'nope' not found"}}, ModelMissing, "nope"),
        (401, {"error": {"message": "bad key"}}, GeneratorFailed, "RAG_GENERATOR_KEY"),
        (429, {"error": {"message": "slow down"}}, GeneratorBusy, "slow down"),
        (400, {"error": {"message": "maximum context length is 4096 tokens"}}, PromptTooLong, "4096"),
        (200, {"choices": []}, GeneratorFailed, "/v1"),  # not a stream of events
    ],
)
def test_refusals_are_typed(status: int, body: object, error: type[Exception], word: str) -> None:
    with pytest.raises(error, match=word):
        list(_answering(status, body).stream(ASK, max_tokens=8))


def test_a_stream_without_a_finish_reason_is_an_error() -> None:
    def handle(_: httpx.Request) -> httpx.Response:
        event = json.dumps({"choices": [{"delta": {"content": "Par"}, "finish_reason": None}]})
        return httpx.Response(200, content=f"data: {event}\n\n", headers={"content-type": "text/event-stream"})

    generator = OpenAIGenerator("http://model.test/v1", "m", transport=lambda: httpx.MockTransport(handle))
    with pytest.raises(StreamBroken):
        list(generator.stream(ASK, max_tokens=8))


def test_cancelling_closes_the_connection() -> None:
    def line(i: int) -> bytes:
        return (
            f"data: {json.dumps({'choices': [{'delta': {'content': f'w{i} '}, 'finish_reason': None}]})}\n\n".encode()
        )

    cancel = Event()
    with slow_server("/v1", line, 10.0) as (url, left):
        Timer(0.5, cancel.set).start()
        events = list(OpenAIGenerator(f"{url}/v1", "m").stream(ASK, max_tokens=300, cancel=cancel))
        assert events == [GenerationEnd("cancelled", 0, 0, 0)]
        assert left.wait(2)


def test_check_says_down_or_which_models_there_are() -> None:
    assert "no server answers" in OpenAIGenerator("http://127.0.0.1:9/v1", "m").check()[0]
    listed = playing(recorded("openai: models"))
    assert OpenAIGenerator("http://model.test/v1", "qwen05:latest", transport=listed).check() == []
    assert "qwen05:latest" in OpenAIGenerator("http://model.test/v1", "other", transport=listed).check()[0]
    with pytest.raises(GeneratorDown):
        list(OpenAIGenerator("http://127.0.0.1:9/v1", "m").stream(ASK, max_tokens=8))


@pytest.mark.parametrize("tells", [True, False])
def test_the_chance_of_a_first_word_is_told_where_the_server_tells(tells: bool) -> None:
    asked: list[dict[str, object]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content))
        likely = [{"token": "NOT", "logprob": math.log(0.25)}, {"token": " Par", "logprob": math.log(0.5)}]
        choice: dict[str, object] = {"delta": {"content": "Par"}, "finish_reason": None}
        if tells:
            choice["logprobs"] = {"content": [{"token": " Par", "logprob": -0.7, "top_logprobs": likely}]}
        lines = [{"choices": [choice]}, {"choices": [{"delta": {}, "finish_reason": "length"}]}]
        content = "".join(f"data: {json.dumps(x)}\n\n" for x in lines) + "data: [DONE]\n\n"
        return httpx.Response(200, content=content, headers={"content-type": "text/event-stream"})

    generator = OpenAIGenerator("http://model.test/v1", "m", transport=lambda: httpx.MockTransport(handle))
    for _ in range(2):
        chance = generator.chance(ASK, "NOT FOUND")
        assert chance == pytest.approx(0.25) if tells else chance is None
    assert len(asked) == (2 if tells else 1)  # a server that does not tell is not asked again
    assert asked[0]["logprobs"] is True and asked[0]["max_tokens"] == 1
