"""The embedded generator with the windows that a parity check needs: the rendered prompt, its tokens, the next token's odds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rag.generation.embedded_chat import EmbeddedGenerator


class ServedModel(EmbeddedGenerator):
    """A GGUF model, with or without an adapter, as the arms are served."""

    def render(self, messages: Sequence[dict[str, str]]) -> str:
        """The prompt text as llama.cpp renders it."""
        text: str = self._post("/apply-template", {"messages": list(messages)})["prompt"]
        return text

    def token_ids(self, text: str) -> list[int]:
        """Token ids of a rendered prompt."""
        body = {"content": text, "add_special": False, "parse_special": True}
        return [int(t) for t in self._post("/tokenize", body)["tokens"]]

    def next_logprobs(self, prompt: Sequence[int], top: int = 40) -> dict[int, float]:
        """Token id -> log-probability of the likeliest next tokens after these ids; empty where the likeliest token is half
        a character, for which the server reports nothing."""
        body = {
            "prompt": list(prompt),
            "n_predict": 1,
            "temperature": 0.0,
            "n_probs": top,
            "cache_prompt": True,
            "samplers": ["temperature"],
        }
        steps = self._post("/completion", body).get("completion_probabilities") or []
        return {int(t["id"]): float(t["logprob"]) for t in steps[0]["top_logprobs"]} if steps else {}

    def greedy(self, prompt: Sequence[int], count: int) -> list[int]:
        """At most `count` greedily chosen tokens after these ids, the end of turn left out."""
        body: dict[str, Any] = {
            "prompt": list(prompt),
            "n_predict": count,
            "temperature": 0.0,
            "cache_prompt": True,
            "return_tokens": True,
        }
        return [int(t) for t in self._post("/completion", body)["tokens"]]
