"""What an answer leaves out of a question of several parts, said in a source's own words.

Asked two things at once a small model often answers the first and stops ("L6-DR3 [3]" for a part number and its price). The codes that it gave
are then what to search with for the rest, and the sentence that tells it is quoted: true by construction, and without a further model call.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rag.generation.citations import resolve, without_citations
from rag.generation.context import ranked
from rag.generation.facts import facts
from rag.generation.output_safety import safe_text
from rag.generation.prompting import prompt_language
from rag.generation.quoting import YES_OR_NO_IN, wanted_kind
from rag.generation.relevance import Relevance
from rag.index.language import detect
from rag.protocols import Retriever
from rag.retrieval.rewriting import parts
from rag.types import Answer, Hit, SearchRequest, Sentence, Span

WORTH = 0.3  # least score of a sentence that speaks of a part
LOOKED_AT = 6  # sentences, best first
FOREIGN = 0.8  # what the score of a sentence in another language than the question counts
SHORT = 60  # characters of an answer that tell what the rest is about

_CODE = re.compile(r"\b(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[A-Za-z0-9][\w-]+\b")
_PRICE = re.compile(r"\b(?:costs?|price[sd]?|fees?)\b|价格|费用|单价", re.IGNORECASE)
_ASKS_YES_OR_NO = re.compile(
    r"^(?:(?:and|so|also) )?(?:can|may|must|is|are|do|does|did|was|were|will|would|should|has|have)\b|吗\W*$|是否|能否|可否",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A part of a question that an answer says nothing to."""

    part: str
    kind: str  # of the fact that it asks for: "quantity", "date" or "yes or no"
    query: str  # what to search with: the part, and what it is about
    words: str  # what a sentence is held against: the part, and the codes that the answer gives


def completed(
    answer: Answer, request: SearchRequest, retriever: Retriever, relevance: Relevance | None = None
) -> Answer:
    """The answer, followed by a quoted and cited sentence for each part of the question that it leaves out, as far as one is found;
    sources that were not among its own come behind them. Raises what the retriever raises."""
    for left in left_out(request.question, answer.text):
        search = replace(request, question=left.query, history=(), as_of=answer.generation)
        found = {h.chunk.id: h for h in (*retriever.search(search).hits, *answer.hits)}
        told = telling(left, request.question, answer, tuple(found.values()), relevance)
        if told is not None:
            answer = _with_quote(answer, left, *told)
    return answer


def left_out(question: str, answer: str) -> list[LeftOut]:
    """The parts that ask for a figure, a date or a yes or no of which the answer has too few; none of a question of one part."""
    asked = parts(question)
    if len(asked) < 2:
        return []
    bare = without_citations(answer)
    codes = [c for c in dict.fromkeys(_CODE.findall(bare)) if c.lower() not in question.lower()]
    to_give: dict[str, int] = {}
    found = []
    for part in asked:
        kind = _kind(part)
        if not kind:
            continue
        if to_give.setdefault(kind, len(_given(kind, bare, question))) > 0:
            to_give[kind] -= 1
            continue
        own = part.rstrip("?？ ")
        about = codes or [*(p.rstrip("?？ ") for p in asked if p != part), bare[:SHORT]]
        found.append(LeftOut(own, kind, " ".join([own, *about]), " ".join([own, *codes])))
    return found


def telling(
    left: LeftOut, question: str, answer: Answer, hits: Sequence[Hit], relevance: Relevance | None
) -> tuple[Hit, Span] | None:
    """The sentence of the hits that says what was left out; None where none speaks of it."""
    bare = without_citations(answer.text)
    known, figures = set(_given(left.kind, bare, question)), set(_given("quantity", bare, question))
    language = detect(question)

    def worth(at: tuple[int, Span, float]) -> float:
        return at[2] * (1.0 if hits[at[0]].chunk.language == language else FOREIGN)

    for h, span, score in sorted(ranked(left.words, hits, relevance)[:LOOKED_AT], key=worth, reverse=True):
        text = hits[h].chunk.text[slice(*span)]
        if score < WORTH:
            continue
        if left.kind == "yes or no" and figures & set(_given("quantity", text, question)):
            continue  # it tells the part that was answered
        if set(_given(left.kind, text, question)) - known:
            return hits[h], span
    return None


def _kind(part: str) -> str:
    """What a part asks for; "" for what cannot be counted in an answer (names, reasons)."""
    if _ASKS_YES_OR_NO.search(part.strip()):
        return "yes or no"
    kind = wanted_kind(part) or ("quantity" if _PRICE.search(part) else "")
    return kind if kind != "name" else ""


def _given(kind: str, text: str, question: str) -> list[object]:
    """The facts of a kind that a text has beyond the question."""
    said, asked = facts(text), facts(question)
    if kind == "quantity":
        return [q.value for q in said.quantities if all(q.value != a.value for a in asked.quantities)]
    if kind == "date":
        return [d for d in said.dates if d not in asked.dates]
    return [kind] if YES_OR_NO_IN.search(text) else []


def _with_quote(answer: Answer, left: LeftOut, hit: Hit, span: Span) -> Answer:
    """The answer with one more sentence: the part and the quote."""
    hits, citations = answer.hits, answer.citations
    n = next((c.n for c in citations if c.chunk == hit.chunk.id and c.quote == hit.chunk.text[slice(*span)]), None)
    if n is None:
        cited = {c.n for c in citations}  # a source is quoted with one sentence: a second one has a number of its own
        free = (i for i, h in enumerate(hits, 1) if i not in cited and h.chunk.id == hit.chunk.id)
        n = next(free, len(hits) + 1)
        hits = hits if n <= len(hits) else (*hits, hit)
        citations = (*citations, *resolve((n,), hits, {n: span}))
    quote = safe_text(" ".join(hit.chunk.text[slice(*span)].split())).strip("| ")
    part = safe_text(left.part[:1].upper() + left.part[1:])
    mark = "{part}：“{quote}”[{n}]" if prompt_language(left.part) == "zh" else "{part}: “{quote}” [{n}]"
    text = mark.format(part=part, quote=quote, n=n)
    start = len(answer.text) + 1
    sentence = Sentence(text, "supported", (n,), (start, start + len(text)))
    return replace(
        answer,
        text=f"{answer.text}\n{text}",
        sentences=(*answer.sentences, sentence),
        citations=citations,
        hits=hits,
    )
