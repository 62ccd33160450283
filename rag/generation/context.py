"""Which words of the hits the model reads: the sentences that matter, within a budget of tokens (pure).

On two cores the wait is the prompt (about 70 tokens/s at 1.5B), so a hit is cut to the sentences that the question is about,
with their neighbours, instead of being stuffed in whole.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rag.generation.prompting import PromptSource
from rag.generation.sentences import sentence_spans
from rag.generation.token_estimate import estimate_tokens
from rag.index.tokenization import tokenize
from rag.types import Hit, Span

MAX_SOURCES = 5
_SHARES = (0.42, 0.24, 0.15, 0.11, 0.08)  # of the budget, by rank; what a source leaves goes to the next ones


@dataclass(frozen=True, slots=True)
class Context:
    """What is shown to the model, and of which hits."""

    hits: tuple[Hit, ...]  # numbered from 1 in this order
    sources: tuple[PromptSource, ...]
    tokens: int  # estimated


def source_budget(model_bytes: int, threads: int, wide_vectors: bool) -> int:
    """Tokens of sources that are read in about 3.5 s by a model of this size on this many cores (`wide_vectors`: AVX512).

    Measured: 69 tokens/s at 1.1 GB on 2 cores with AVX512, about half with AVX2 only.
    """
    speed = threads * (38 if wide_vectors else 19) / max(model_bytes / 1e9, 0.1)
    return int(min(max(3.5 * speed, 200), 900))


def select(question: str, hits: Sequence[Hit], budget: int) -> Context:
    """The best hits, cut to their best sentences, in at most `budget` tokens (at least one sentence of the first hit)."""
    chosen = _worth_reading(hits)
    if not chosen:
        return Context((), (), 0)
    split = [sentence_spans(h.chunk.text) or [(0, len(h.chunk.text))] for h in chosen]
    words = [[tokenize(h.chunk.text[a:b]) for a, b in spans] for h, spans in zip(chosen, split, strict=True)]
    weights = term_weights(question, [t for sentences in words for t in sentences])
    kept: list[Hit] = []
    sources: list[PromptSource] = []
    left, carried = budget, 0.0
    for i, hit in enumerate(chosen):
        heading = _heading(hit)
        allowance = min(left, int(budget * _SHARES[i] + carried)) - estimate_tokens(heading) - 4
        spans = _choose(hit.chunk.text, split[i], words[i], weights, allowance, must=not kept)
        if not spans:
            carried += budget * _SHARES[i]
            continue
        text = _joined(hit.chunk.text, spans)
        spent = estimate_tokens(text) + estimate_tokens(heading) + 4
        carried = max(0.0, carried + budget * _SHARES[i] - spent)
        left -= spent
        kept.append(hit)
        sources.append(PromptSource(len(kept), heading, text))
        if left <= 24:
            break
    return Context(tuple(kept), tuple(sources), budget - left)


def term_weights(question: str, sentences: Sequence[Sequence[str]]) -> dict[str, float]:
    """Weight of each question term: its inverse frequency over the sentences (BM25's idf, Robertson and Zaragoza 2009)."""
    n = max(len(sentences), 1)
    seen = Counter(t for sentence in sentences for t in set(sentence))
    terms = set(tokenize(question))
    return {t: math.log(1 + (n - seen[t] + 0.5) / (seen[t] + 0.5)) * (0.5 if _weak(t) else 1.0) for t in terms}


def _weak(term: str) -> bool:
    return term.isascii() and len(term) <= 3 and term.isalpha()


def _worth_reading(hits: Sequence[Hit]) -> list[Hit]:
    """The first hits, without repeats of the same text."""
    seen: set[str] = set()
    found: list[Hit] = []
    for hit in hits:
        key = "".join(hit.chunk.text.split())
        if key and key not in seen:
            seen.add(key)
            found.append(hit)
    return found[:MAX_SOURCES]


def _heading(hit: Hit) -> str:
    context = hit.chunk.context or hit.title
    dated = f" ({hit.date[:10]})" if hit.date and hit.date[:4] not in context else ""
    return (context if len(context) <= 120 else context[:119] + "…") + dated


def _choose(
    text: str,
    spans: Sequence[Span],
    words: Sequence[Sequence[str]],
    weights: Mapping[str, float],
    allowance: int,
    must: bool,
) -> list[int]:
    """Indices of the sentences to show, in order; empty when not even one fits."""
    costs = [estimate_tokens(text[a:b]) for a, b in spans]
    if sum(costs) <= allowance:
        return list(range(len(spans)))
    own = [sum(weights.get(t, 0.0) for t in set(w)) / (1 + 0.12 * math.log1p(len(w))) for w in words]
    # An answer often stands beside the sentence that names the subject.
    near = [
        own[i] + 0.4 * max(own[i - 1] if i else 0.0, own[i + 1] if i + 1 < len(own) else 0.0) for i in range(len(own))
    ]
    chosen: list[int] = []
    left = allowance
    for i in sorted(range(len(spans)), key=lambda i: (-near[i], i)):
        if costs[i] <= left:
            chosen.append(i)
            left -= costs[i]
    if not chosen and must:
        chosen = [max(range(len(spans)), key=lambda i: (near[i], -i))]
    return sorted(chosen)


def _joined(text: str, chosen: Sequence[int] | list[int]) -> str:
    spans = sentence_spans(text) or [(0, len(text))]
    out = ""
    for position, i in enumerate(chosen):
        a, b = spans[i]
        if position:
            previous = spans[chosen[position - 1]]
            gap = text[previous[1] : a] if chosen[position - 1] == i - 1 else " … "
            out += "\n" if "\n" in gap else " " if gap.isspace() else gap
        out += text[a:b]
    return out
