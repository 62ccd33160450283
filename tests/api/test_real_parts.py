"""The service with nothing scripted: real embedders, the real retriever, a small real model."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import openai
import pytest

from rag.settings import Settings
from rag.wiring import Services
from tests.api.toy import Live, wait
from tests.conftest import MODELS

pytestmark = pytest.mark.slow
NOTES = {
    "leave.md": "# Annual leave\n\nEvery full-time employee has 23 days of annual leave a year.\n",
    "travel.md": "# Travel\n\nHotels in Oslo cost at most 2,150 kroner a night.\n",
    "年假.md": "# 年假\n\n全职员工每年有 23 天年假，结转不超过 5 天。\n",
}
QUESTION = "How many days of annual leave does a full-time employee have?"


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    home = tmp_path_factory.mktemp("home")

    def real(settings: Settings) -> Services:
        return Services(settings.with_changes(models=MODELS))

    with Live(home, make=real, generator="embedded:smollm2-135m-instruct", threads=2) as started:
        for name, text in NOTES.items():
            job = started.client.post("/documents", files={"file": (name, text.encode())}).json()["job"]
            wait(lambda job=job: started.client.get(f"/jobs/{job}").json()["state"] == "done", 120)  # type: ignore[misc]
        yield started


def test_it_is_ready_and_names_its_model(live: Live) -> None:
    assert live.client.get("/readyz").json()["status"] == "ready"
    assert live.client.get("/v1/models").json()["data"][0]["id"] == "smollm2-135m-instruct"


def test_search_crosses_languages(live: Live) -> None:
    hits = live.client.post("/search", json={"question": "年假有几天"}).json()["hits"]
    assert {h["path"] for h in hits[:2]} == {"年假.md", "leave.md"}


def test_an_answer_cites_what_stands_in_the_document(live: Live) -> None:
    answer = live.client.post("/ask", json={"question": QUESTION}).json()
    assert answer["status"] in ("answered", "abstained")
    for citation in answer["citations"]:
        start, end = citation["span"]
        piece = live.client.get(f"/documents/{citation['document']}/text", params={"start": start, "end": end}).json()
        assert piece["text"] == citation["quote"]


def test_the_openai_client_streams_it(live: Live) -> None:
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key="none", max_retries=0) as client:
        chunks = list(
            client.chat.completions.create(
                model="any",
                messages=[{"role": "user", "content": QUESTION}],
                stream=True,
                stream_options={"include_usage": True},
            )
        )
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert chunks[-1].usage is not None
    assert hasattr(chunks[-1], "citations")


@pytest.mark.parametrize("after", [0.0, 0.5])
def test_a_client_that_leaves_frees_the_model(live: Live, after: float) -> None:
    wait(lambda: live.service.admission.running == 0, 60)
    body = json.dumps({"question": QUESTION, "stream": True, "max_tokens": 2000, "temperature": 2.0}).encode()
    with live.raw("POST", "/ask", body):
        wait(lambda: live.service.admission.running == 1)
        time.sleep(after)
    assert (
        wait(lambda: live.service.admission.running == 0) < 4
    )  # 2 s for the model; the rest is for a busy test machine
