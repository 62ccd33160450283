"""The real Ollama generator and the real answerer against a server that fails in every way: a typed error soon, and recovery soon."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rag.generation.answering import GroundedAnswerer
from rag.generation.generators import open_generator
from rag.protocols import Generator
from rag.settings import Settings
from rag.wiring import Services
from tests.api.model_server import ModelServer
from tests.api.toy import Live, ToyServices, add, wait

ASK = {"question": "When was the tower clock built?"}


class OllamaServices(ToyServices):
    """The model through the real client, search without embedders."""

    def generator(self) -> Generator:  # type: ignore[override]
        return Services.generator(self)

    def answerer(self, name: str | None = None, generator: Any = None) -> GroundedAnswerer:  # type: ignore[override]
        return GroundedAnswerer(
            self.collection(name), self.retriever(name), generator or self.generator(), self.settings
        )


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    with ModelServer() as started:
        yield started


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, model: ModelServer) -> Iterator[Live]:
    home = tmp_path_factory.mktemp("home")
    add(home, {"clock.md": "The tower clock was built in 1874."})
    with Live(home, make=OllamaServices, generator="ollama:test", generator_timeout=1.0) as started:
        yield started


@pytest.fixture(autouse=True)
def address(clean_environment: None, model: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client reads where its server is whenever it talks to it."""
    monkeypatch.setenv("OLLAMA_HOST", model.url)


def recover(live: Live, model: ModelServer) -> float:
    model.fault = None
    return wait(lambda: live.client.post("/ask", json=ASK).status_code == 200, 15)


def test_all_is_well_at_first(live: Live, model: ModelServer) -> None:
    recover(live, model)
    answer = live.client.post("/ask", json=ASK).json()
    assert answer["answer"].startswith("1874")
    assert answer["citations"][0]["document"] == "clock"
    wait(lambda: live.client.get("/readyz").json()["status"] == "ready")


@pytest.mark.parametrize(
    ("fault", "types"),
    [
        ("silent", {"generator_timeout"}),
        ("500", {"generator_failed", "generator_out_of_memory", "stream_broken"}),
        ("busy", {"generator_busy"}),
        ("garbage", {"generator_failed", "stream_broken"}),
        ("cut", {"stream_broken"}),
        ("error line", {"stream_broken", "generator_failed"}),
        ("missing", {"model_missing"}),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_fault_is_a_typed_error_and_passes(
    live: Live, model: ModelServer, fault: str, types: set[str], stream: bool
) -> None:
    recover(live, model)
    model.fault = fault
    begun = time.monotonic()
    answer = live.client.post(
        "/v1/chat/completions", json={"messages": [{"role": "user", "content": ASK["question"]}], "stream": stream}
    )
    # A second without a token is how silence is detected here; everything else is known at once.
    assert time.monotonic() - begun < 3 + (1 if fault == "silent" else 0)
    if answer.status_code == 200:
        assert stream, "a failure is no answer"
        assert any(f'"type": "{t}"' in answer.text for t in types), answer.text[-500:]
        assert "[DONE]" not in answer.text
    else:
        assert answer.json()["error"]["type"] in types, answer.text
        assert answer.json()["error"]["details"]["search"]["hits"]
    assert recover(live, model) < 15
    wait(lambda: live.service.admission.running == 0)


def test_search_and_health_do_not_need_the_model(live: Live, model: ModelServer) -> None:
    recover(live, model)
    model.fault = "500"
    for _ in range(5):
        assert live.client.post("/ask", json=ASK).status_code in (502, 503)
    assert live.client.post("/search", json=ASK).json()["hits"]
    assert live.client.get("/healthz").status_code == 200
    recover(live, model)


def test_a_server_that_is_gone_makes_the_service_degraded_not_dead(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(home, {"clock.md": "The tower clock was built in 1874."})
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    with Live(home, make=OllamaServices, generator="ollama:test") as live:
        ready = live.client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        assert any("Ollama does not answer" in line for line in live.client.get("/status").json()["answers"])
        answer = live.client.post("/ask", json=ASK)
        assert answer.status_code == 503
        assert answer.json()["error"]["type"] == "generator_down"
        assert answer.json()["error"]["details"]["search"]["hits"][0]["document"] == "clock"


def test_the_generator_of_the_settings_is_the_one_that_is_asked() -> None:
    made = open_generator(Settings(generator="ollama:test"))
    assert made.name == "test"
    made.close()
