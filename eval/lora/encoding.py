"""Examples to token ids and the mask of what is learned; batches in an order that the seed alone decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from eval.lora.base import end_of_turn, render
from eval.lora.examples import TEXT, Example
from eval.prompts import closed_book
from rag.generation.prompting import PromptSource, build

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED = -100  # label of a position that is not learned, as cross entropy has it


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids and labels of one example, of equal length; labels of the prompt are IGNORED."""

    ids: tuple[int, ...]
    labels: tuple[int, ...]


def encode(examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase, max_length: int) -> list[Encoded]:
    """Examples as the served model will see them: chat template, then answer, then end of turn. Plain text is learned whole
    and packed to `max_length` tokens; a prompt that is too long loses its beginning, never its answer."""
    end = end_of_turn(tokenizer)
    encoded: list[Encoded] = []
    packed: list[int] = []
    for e in examples:
        answer = [*_ids(tokenizer, e.output), end]
        if e.kind == TEXT:
            packed += answer
            continue
        prompt = _ids(tokenizer, render(tokenizer, messages_of(e)))
        answer = answer[:max_length]
        room = max_length - len(answer)
        prompt = prompt[-room:] if room else []
        encoded.append(Encoded((*prompt, *answer), (*([IGNORED] * len(prompt)), *answer)))
    for start in range(0, len(packed), max_length):
        piece = tuple(packed[start : start + max_length])
        if len(piece) > 1:
            encoded.append(Encoded(piece, piece))
    return encoded


def messages_of(example: Example) -> list[dict[str, str]]:
    """The chat that an example answers: the closed-book prompt, or the RAG prompt where it comes with sources."""
    if not example.sources:
        return closed_book(example.instruction, example.lang, example.input)
    sources = [PromptSource(n, heading, text) for n, (heading, text) in enumerate(example.sources, 1)]
    return [{"role": m.role, "content": m.content} for m in build(example.instruction, sources)]


def _ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False).input_ids)


def order(lengths: Sequence[int], batch: int, seed: int) -> Iterator[list[int]]:
    """Endless batches of positions, every epoch in a new seeded order; in windows of 16 batches examples of like length come
    together, so that little is padded."""
    n = len(lengths)
    epoch = 0
    while True:
        rng = np.random.default_rng([seed, epoch])
        positions = rng.permutation(n).tolist()
        batches: list[list[int]] = []
        for start in range(0, n, batch * 16):
            window = sorted(positions[start : start + batch * 16], key=lambda i: (lengths[i], i))
            batches += [window[i : i + batch] for i in range(0, len(window), batch)]
        for k in rng.permutation(len(batches)):
            yield batches[int(k)]
        epoch += 1
