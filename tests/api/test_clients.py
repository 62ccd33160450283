"""Other people's clients against a live service: OpenAI's, the Model Context Protocol's, LangChain's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from rag.errors import GeneratorDown
from rag.integrations.langchain import RagChat, RagRetriever, ServiceRefused
from tests.api.toy import Live, Script, add, make_key, wait

QUESTION = [{"role": "user", "content": "When was the tower clock built?"}]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    home = tmp_path_factory.mktemp("home")
    add(home, {"clock.md": "The tower clock was built in 1874.", "bell.md": "The bell was cast in 1790."})
    add(home, {"vault.md": "The vault of the tower opens at noon."}, ["board"])
    key = make_key(home, "staff")
    with Live(home) as started:
        started.key = key  # type: ignore[attr-defined]
        yield started


@pytest.fixture
def client(live: Live) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key=live.key, max_retries=0) as made:  # type: ignore[attr-defined]
        yield made


def test_openai_client_asks(client: openai.OpenAI) -> None:
    model = client.models.list().data[0].id
    done = client.chat.completions.create(model=model, messages=QUESTION)  # type: ignore[arg-type]
    assert done.choices[0].message.content == "The answer stands here [1]."
    assert done.choices[0].finish_reason == "stop"
    assert done.usage is not None
    assert (done.usage.prompt_tokens, done.usage.completion_tokens, done.usage.total_tokens) == (100, 5, 105)
    citations: Any = done.citations  # type: ignore[attr-defined]
    assert citations[0]["quote"] == "The tower clock was built in 1874."


def test_openai_client_streams_and_finds_the_citations_in_the_last_chunk(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="any",
        messages=QUESTION,
        stream=True,
        stream_options={"include_usage": True},  # type: ignore[arg-type]
    )
    chunks: list[Any] = list(stream)
    said = [c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content]
    assert said == ["The", " answer", " stands", " here", " [1]."]
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage.total_tokens == 105
    assert chunks[-1].citations[0]["document"] == "clock"
    assert all(c.id == chunks[0].id for c in chunks)


def test_openai_client_raises_its_own_errors(live: Live, client: openai.OpenAI) -> None:
    with pytest.raises(openai.UnprocessableEntityError):
        client.chat.completions.create(model="any", messages=[])
    stranger = openai.OpenAI(base_url=f"{live.url}/v1", api_key="wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError), stranger:
        stranger.models.list()


def test_openai_client_raises_when_the_model_fails_in_the_middle(live: Live, client: openai.OpenAI) -> None:
    live.script.error, live.script.words_before_error = GeneratorDown("the model has gone"), 2
    try:
        with pytest.raises(openai.APIError, match="has gone"):
            list(client.chat.completions.create(model="any", messages=QUESTION, stream=True))  # type: ignore[call-overload]
    finally:
        live.script.error, live.script.words_before_error = None, 0


def test_history_is_handed_on_and_the_last_user_message_is_the_question(live: Live, client: openai.OpenAI) -> None:
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "When was the bell cast?"},
        {"role": "assistant", "content": "In 1790."},
        {"role": "user", "content": [{"type": "text", "text": "And the tower clock?"}]},
    ]
    client.chat.completions.create(model="any", messages=turns, max_tokens=99_999, temperature=0.5, seed=7)  # type: ignore[arg-type]
    asked = live.script.asked[-1]
    assert asked.search.question == "And the tower clock?"
    assert [(m.role, m.content) for m in asked.search.history] == [
        ("system", "Be brief."),
        ("user", "When was the bell cast?"),
        ("assistant", "In 1790."),
    ]
    assert (asked.max_tokens, asked.temperature, asked.seed) == (2048, 0.5, 7)


def test_mcp_client_searches_asks_and_reads_what_its_key_may_see(live: Live) -> None:
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client
    from mcp.shared._httpx_utils import create_mcp_http_client

    async def talk() -> tuple[set[str], str, str, str, bool]:
        headers = {"Authorization": f"Bearer {live.key}"}  # type: ignore[attr-defined]
        async with (
            create_mcp_http_client(headers=headers) as http,
            Client(streamable_http_client(f"{live.url}/mcp", http_client=http)) as session,
        ):
            tools = {t.name for t in (await session.list_tools()).tools}
            found = await session.call_tool("search", {"question": "tower"})
            answer = await session.call_tool("ask", {"question": "When was the tower clock built?"})
            text = await session.call_tool("read_document", {"document": "clock"})
            hidden = await session.call_tool("read_document", {"document": "vault"})
            first = [r.content[0].text for r in (found, answer, text)]  # type: ignore[union-attr]
            return tools, first[0], first[1], first[2], bool(hidden.is_error)

    tools, found, answer, text, refused = asyncio.run(talk())
    assert {"search", "ask", "read_document", "list_documents"} == tools
    assert "1874" in found
    assert "noon" not in found
    assert json.loads(answer)["citations"][0]["document"] == "clock"
    assert json.loads(text)["text"] == "The tower clock was built in 1874."
    assert refused


def test_langchain_retriever_finds_documents(live: Live) -> None:
    retriever = RagRetriever(url=live.url, key=live.key, k=3)  # type: ignore[attr-defined]
    found = retriever.invoke("tower clock")
    assert found[0].page_content == "The tower clock was built in 1874."
    assert (found[0].metadata["document"], found[0].metadata["path"]) == ("clock", "clock.md")


def test_langchain_chat_answers_in_a_chain(live: Live) -> None:
    from langchain_core.output_parsers import StrOutputParser
    from langchain_core.prompts import ChatPromptTemplate

    chat = RagChat(url=live.url, key=live.key)  # type: ignore[attr-defined]
    chain = (
        ChatPromptTemplate.from_messages([("system", "ignored"), ("human", "{question}")]) | chat | StrOutputParser()
    )
    assert chain.invoke({"question": "When was the tower clock built?"}) == "The answer stands here [1]."
    message = chat.invoke("When was the tower clock built?")
    assert message.response_metadata["citations"][0]["quote"] == "The tower clock was built in 1874."
    assert message.usage_metadata is not None
    assert message.usage_metadata["total_tokens"] == 105


def test_langchain_chat_streams(live: Live) -> None:
    chat = RagChat(url=live.url, key=live.key)  # type: ignore[attr-defined]
    chunks = list(chat.stream("When was the tower clock built?"))
    assert "".join(str(c.content) for c in chunks) == "The answer stands here [1]."
    assert len([c for c in chunks if c.content]) == 5
    assert next(c for c in chunks if c.response_metadata.get("citations"))


def test_langchain_objects_say_what_the_service_said(live: Live) -> None:
    with pytest.raises(ServiceRefused, match="key is missing, unknown or revoked"):
        RagRetriever(url=live.url, key="wrong").invoke("x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="either the url"):
        RagChat()


def test_an_mcp_client_that_leaves_stops_the_model(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("mcp")
    add(home, {"clock.md": "The tower clock was built in 1874."})
    with Live(home, Script(words=["word"] * 600, seconds=0.1)) as live:
        call = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": "ask", "arguments": {"question": "clock"}},
        }
        connection = live.raw(
            "POST", "/mcp", json.dumps(call).encode(), {"Accept": "application/json, text/event-stream"}
        )
        wait(lambda: live.script.active == 1)
        connection.close()
        assert wait(lambda: live.script.active == 0) < 2
