"""Which words of the hits the model reads: the sentences that matter, within a budget of tokens (pure).

On two cores the wait is the prompt (about 70 tokens/s at 1.5B), so a hit is cut to the sentences that the question is about,
with their neighbours, instead of being stuffed in whole.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from rag.generation.prompting import PromptSource, prompt_language
from rag.generation.quoting import has_the_kind_asked_for
from rag.generation.relevance import Relevance
from rag.generation.sentences import sentence_spans
from rag.generation.token_estimate import estimate_tokens
from rag.generation.translation import in_both, likely_elsewhere
from rag.index.tokenization import tokenize
from rag.types import Hit, Span

MAX_SOURCES = 10
# Chosen on 360 questions of xquad (en, zh) and cmrc2018 by how often a gold answer stands in what is shown: 0.94 - 0.97 in 180
# estimated tokens, against 0.75 - 0.82 when every source gets a share by its rank; RANK_DECAY and FOREIGN on those and the golden questions.
RANK_DECAY = 0.85  # a sentence of the next hit counts this much less
NEIGHBOUR = 0.3  # what the sentence beside a good one gets of its score: answers stand beside the sentence that names the subject
FOREIGN = 0.1  # for every sentence of a hit in another language than the question
MEANING = 0.25  # for a deviation of a sentence's nearness to the question above that of the others
COMPARED = 40  # sentences whose nearness is looked up, best first by their words
# Sentences that an earlier prompt must hold to be shown again: those with this share of the best one's score, at most so many. On 120 pairs of
# questions about one paragraph of xquad (en, zh) as many answers are shown as without showing anything again, and half of the prompts are all cached.
CORE_SHARE, CORE_MOST = 0.8, 4
RIGHT_KIND = 0.1  # for a sentence with the kind of fact that is asked for (a figure, a date, a name)
# Sentences below this share of the best one's score are not worth the wait. On 600 questions of xquad (en, zh) and cmrc2018 and the golden ones, a
# budget of 420 tokens with it shows as many answers as 210 tokens filled to the brim, and its median is 126 to 200 tokens.
WORTH = 0.4
ROW_WORTH = 0.7  # of the best row's score in the same chunk: among rows that are shown for nothing a small model reads the wrong line
SHORT = 300  # tokens: what is no longer than this is shown whole, for there is little to gain by cutting
# Times the budget for one question about several things, whose sentences stand apart. On 57 such questions of RGB everything that they ask for is shown
# of 0.53 as for any other question, 0.75 with the budget filled, 0.90 with this one. For questions of several parts it brings nothing (18 and 16 of 28 right).
SEVERAL = 1.43
MOST = 900  # tokens of sources, however fast the machine
WORTH_BUDGET = 420  # tokens that WORTH was chosen for; who reads more in the same time is shown more

# Sections that say what held once, and questions that may ask for it.
_HISTORY = re.compile(
    r"历史(?:规定|版本|记录|沿革)|修订(?:记录|历史)|变更记录|旧(?:版|规定)|(?:change|version|revision) history|superseded|(?:previous|former|earlier|old) "
    r"(?:rules?|versions?|editions?|polic|terms|prices)",
    re.IGNORECASE,
)
_ASKS_FOR_HISTORY = re.compile(
    r"历史|以前|之前|过去|原来|原先|旧|曾|当时|当初|去年|修订|变更|(?:19|20)\d\d|\b(?:previous|former|histor|earlier|before|until|used to|was|were|did|old|change|last year)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Context:
    """What is shown to the model, and of which hits."""

    hits: tuple[Hit, ...]  # numbered from 1 in this order
    sources: tuple[PromptSource, ...]
    tokens: int  # estimated
    core: tuple[
        tuple[str, str], ...
    ] = ()  # document and text of the best sentences: what the question cannot do without


NOTHING = Context((), (), 0)


def source_budget(model_bytes: int, threads: int, wide_vectors: bool) -> int:
    """The most tokens of sources for a model of this size on this many cores (`wide_vectors`: AVX512): about 6 s of reading, which
    a question of one part seldom takes.

    Measured: 69 tokens/s at 1.1 GB on 2 cores with AVX512, about half with AVX2 only.
    """
    speed = threads * (38 if wide_vectors else 19) / max(model_bytes / 1e9, 0.1)
    return int(min(max(6.2 * speed, 360), MOST))


def select(
    question: str,
    hits: Sequence[Hit],
    budget: int,
    relevance: Relevance | None = None,
    *,
    several: bool = False,
    translated: Mapping[str, str] = MappingProxyType({}),
) -> Context:
    """The best sentences of the best hits, in the order of hits and text, in at most `budget` tokens (at least one sentence).

    Where the scores tell, only what stands out is taken. They do not where `several` things are asked for, each with sentences of its
    own, nor where the answer is likely to stand in another language: then the whole budget is used. Hits of at most SHORT tokens in
    all are not cut, tables apart. `translated` has the question in
    other languages: hits in them are held against that.
    """
    chosen = _worth_reading(question, hits)
    if not chosen:
        return NOTHING
    spans = [_sentences(h) for h in chosen]
    costs = [[estimate_tokens(h.chunk.text[a:b]) for a, b in of] for h, of in zip(chosen, spans, strict=True)]
    companions = [_companions(h.chunk.text, of) for h, of in zip(chosen, spans, strict=True)]
    headings = [estimate_tokens(_heading(h)) + 4 for h in chosen]
    order = _telling_rows(_best_first(question, translated, chosen, spans, relevance), chosen, spans)
    if not (several or translated or likely_elsewhere(question, chosen)[0]):
        order = _standing_out(order, min(WORTH, WORTH * WORTH_BUDGET / budget))
    whole = sum(map(sum, costs)) + sum(headings)
    tables = any(_is_row(h.chunk.text, s) for h, of in zip(chosen, spans, strict=True) for s in of)
    taken: dict[int, list[int]] = {}
    left = budget
    if whole <= min(SHORT, budget) and not tables:
        taken, left = {hit: list(range(len(of))) for hit, of in enumerate(spans)}, budget - whole
    for hit, sentence, _ in order:
        shown = taken.get(hit, [])
        group = [i for i in (sentence, *companions[hit][sentence]) if i not in shown]
        cost = sum(costs[hit][i] for i in group) + (0 if hit in taken else headings[hit])
        if group and (cost <= left or not taken):
            taken[hit] = shown + group
            left -= cost
    kept = sorted(taken)
    sources = tuple(
        PromptSource(n, _heading(chosen[hit]), _joined(chosen[hit].chunk.text, spans[hit], sorted(taken[hit])))
        for n, hit in enumerate(kept, 1)
    )
    core = [(h, i) for h, i, _ in _standing_out(order, CORE_SHARE)[:CORE_MOST] if i in taken.get(h, ())]
    texts = [(chosen[h].chunk.document, chosen[h].chunk.text[slice(*spans[h][i])]) for h, i in core]
    return Context(tuple(chosen[hit] for hit in kept), sources, budget - left, tuple(texts))


def ranked(
    question: str,
    hits: Sequence[Hit],
    relevance: Relevance | None = None,
    translated: Mapping[str, str] = MappingProxyType({}),
) -> list[tuple[int, Span, float]]:
    """(index of the hit, sentence, score) of all sentences that have to do with the question, best first."""
    spans = [_sentences(h) for h in hits]
    order = _best_first(question, translated, hits, spans, relevance) if hits else []
    return [(h, spans[h][i], score) for h, i, score in order]


def tokens_of(sources: Iterable[PromptSource]) -> int:
    """Estimated tokens of sources in a prompt, with their headings and numbers."""
    return sum(estimate_tokens(s.text) + estimate_tokens(s.heading) + 4 for s in sources)


def growing(hits: Sequence[Hit], budget: int, step: int) -> Iterator[Context]:
    """The hits uncut, for reading ahead in pieces: contexts in at most `budget` tokens, each of which begins as the one before it and is
    longer by at most `step` tokens or one sentence."""
    given, last = 0, NOTHING
    for context in _beginnings(hits):
        if context.tokens > budget:
            break
        if context.tokens - given > step and last.tokens > given:
            yield last
            given = last.tokens
        last = context
    if last.tokens > given:
        yield last


def _beginnings(hits: Sequence[Hit]) -> Iterator[Context]:
    """The hits up to each of their sentences."""
    sources: tuple[PromptSource, ...] = ()
    tokens = 0
    for n, hit in enumerate(hits, 1):
        text, heading, before = hit.chunk.text, _heading(hit), sources
        spans = sentence_spans(text)
        tokens += estimate_tokens(heading) + 4
        for a, b in spans:
            tokens += estimate_tokens(text[a:b])
            sources = (*before, PromptSource(n, heading, text[spans[0][0] : b]))
            yield Context(tuple(hits[:n]), sources, tokens)


def _best_first(
    question: str,
    translated: Mapping[str, str],
    hits: Sequence[Hit],
    spans: Sequence[Sequence[Span]],
    relevance: Relevance | None,
) -> list[tuple[int, int, float]]:
    """(hit, sentence, score) of all that have anything to do with what the hit is asked, best first; ties keep the order of the hits."""
    # In its own language as well, where the question was translated into it: a small model loses names.
    asked = [in_both(translated.get(h.chunk.language, ""), question) for h in hits]
    language = prompt_language(question)
    foreign = [h.chunk.language not in translated and prompt_language(h.chunk.text) != language for h in hits]
    scores = _by_words(asked, foreign, hits, spans)
    if relevance is not None:
        best = sorted(scores, key=lambda at: (-scores[at] * RANK_DECAY ** at[0], at))[:COMPARED]
        for wanted in dict.fromkeys(asked):
            of = [(h, i) for h, i in best if asked[h] == wanted]
            near = relevance(wanted, [(hits[h], hits[h].chunk.text[slice(*spans[h][i])]) for h, i in of])
            for at, deviations in zip(of, near, strict=True):
                scores[at] += MEANING * max(float(deviations), 0.0)
    found = [(h, i, score * RANK_DECAY**h) for (h, i), score in scores.items() if score > 0]
    return sorted(found or [(0, i, 0.0) for i in range(len(spans[0]))], key=lambda at: (-at[2], at))


def _telling_rows(
    order: Sequence[tuple[int, int, float]], hits: Sequence[Hit], spans: Sequence[Sequence[Span]]
) -> list[tuple[int, int, float]]:
    """Without the rows of a table that say much less to the question than another one of its rows."""
    best: dict[int, float] = {}
    return [
        (h, i, score)
        for h, i, score in order
        if not _is_row(hits[h].chunk.text, spans[h][i]) or score >= ROW_WORTH * best.setdefault(h, score)
    ]


def _standing_out(order: Sequence[tuple[int, int, float]], worth: float) -> list[tuple[int, int, float]]:
    """The sentences with at least the share `worth` of the best one's score."""
    return [at for at in order if at[2] >= worth * order[0][2]]


def _by_words(
    asked: Sequence[str], foreign: Sequence[bool], hits: Sequence[Hit], spans: Sequence[Sequence[Span]]
) -> dict[tuple[int, int], float]:
    """(hit, sentence) -> what its words, its neighbours and its kind of facts say for it."""
    words = [[set(tokenize(h.chunk.text[a:b])) for a, b in of] for h, of in zip(hits, spans, strict=True)]
    every = [w for of in words for w in of]
    weights = {question: term_weights(question, every) for question in dict.fromkeys(asked)}
    scores: dict[tuple[int, int], float] = {}
    for h, of in enumerate(words):
        weight = weights[asked[h]]
        total = max(sum(weight.values()), 1e-9)
        # Words cannot tell across languages: the rank of the hit does, and the meaning.
        instead = FOREIGN if foreign[h] else 0.0
        own = [sum(weight.get(t, 0.0) for t in w) / (1 + 0.12 * math.log1p(len(w))) for w in of]
        for i, (a, b) in enumerate(spans[h]):
            near = max(own[i - 1] if i else 0.0, own[i + 1] if i + 1 < len(own) else 0.0)
            kind = RIGHT_KIND if has_the_kind_asked_for(hits[h].chunk.text[a:b], asked[h]) else 0.0
            scores[h, i] = (own[i] + NEIGHBOUR * near) / total + kind + instead
    return scores


def term_weights(question: str, sentences: Sequence[Iterable[str]]) -> dict[str, float]:
    """Weight of each question term: its inverse frequency over the sentences (BM25's idf, Robertson and Zaragoza 2009)."""
    n = max(len(sentences), 1)
    seen = Counter(t for sentence in sentences for t in set(sentence))
    terms = set(tokenize(question))
    return {t: math.log(1 + (n - seen[t] + 0.5) / (seen[t] + 0.5)) * (0.5 if _weak(t) else 1.0) for t in terms}


def _weak(term: str) -> bool:
    return term.isascii() and len(term) <= 3 and term.isalpha()


def _sentences(hit: Hit) -> Sequence[Span]:
    return sentence_spans(hit.chunk.text) or [(0, len(hit.chunk.text))]


def _companions(text: str, spans: Sequence[Span]) -> list[tuple[int, ...]]:
    """For each sentence those that it says nothing without: the head of its table, the answer to the question that it asks."""
    out: list[tuple[int, ...]] = []
    head: int | None = None
    for i, (a, b) in enumerate(spans):
        if _is_row(text, (a, b)):
            if not i or not _is_row(text, spans[i - 1]):
                head = i if "| --" in text[a:b] else None  # the line of dashes belongs to the row before
            out.append((head,) if head is not None and head != i else ())
        else:
            answered = text[a:b].endswith(("?", "？")) and i + 1 < len(spans)
            out.append((i + 1,) if answered else ())
    return out


def _is_row(text: str, span: Span) -> bool:
    """Whether a sentence is a row of a table."""
    return text[span[0]] == "|"


def _worth_reading(question: str, hits: Sequence[Hit]) -> list[Hit]:
    """The first hits, without repeats of the same text; sections on what held once come last, unless they are asked for."""
    seen: set[str] = set()
    found: list[Hit] = []
    for hit in hits:
        key = "".join(hit.chunk.text.split())
        if key and key not in seen:
            seen.add(key)
            found.append(hit)
    found = found[:MAX_SOURCES]
    if _ASKS_FOR_HISTORY.search(question):
        return found
    return sorted(found, key=lambda h: _HISTORY.search(h.chunk.context) is not None)


def _heading(hit: Hit) -> str:
    context = hit.chunk.context or hit.title
    dated = f" ({hit.date[:10]})" if hit.date and hit.date[:4] not in context else ""
    return (context if len(context) <= 120 else context[:119] + "…") + dated


def _joined(text: str, spans: Sequence[Span], chosen: Sequence[int]) -> str:
    """The chosen sentences; " … " where some between them are left out."""
    out = ""
    for position, i in enumerate(chosen):
        a, b = spans[i]
        if position:
            previous = spans[chosen[position - 1]]
            rows = _is_row(text, previous) and _is_row(text, (a, b))
            gap = text[previous[1] : a] if chosen[position - 1] == i - 1 else "\n" if rows else " … "
            out += "\n" if "\n" in gap else " " if gap.isspace() else gap
        out += text[a:b]
    return out
