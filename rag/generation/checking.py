"""A draft against its sources: what counts as said, citations repaired, a verdict for every sentence (pure but for `similarity`)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rag.generation.citations import cited_numbers, with_citations, without_citations
from rag.generation.evidence import Evidence, Finding, Similarity, check
from rag.generation.json_answers import leaves
from rag.generation.prompting import is_refusal, prompt_language
from rag.generation.quoting import YES_OR_NO, as_listed, best_quote, says_nothing_new, with_unit
from rag.generation.refusal import question_aim
from rag.generation.sentences import sentence_spans
from rag.generation.to_the_point import to_the_point
from rag.index.tokenization import fold
from rag.types import Hit, Sentence, Span, Verdict


@dataclass(frozen=True, slots=True)
class Checked:
    """A text whose citations are those that support it."""

    text: str
    sentences: tuple[Sentence, ...]
    quotes: Mapping[int, Span]  # source -> the span of its chunk that it is quoted with

    def share(self, verdict: Verdict) -> float:
        """Share of the sentences with this verdict, 0..1."""
        return sum(s.verdict == verdict for s in self.sentences) / max(len(self.sentences), 1)

    def without_unsupported(self) -> Checked:
        """The sentences that are not unsupported, as a text of their own, with their spans in it."""
        chinese = prompt_language(self.text) == "zh"
        out, moved = "", []
        for s in self.sentences:
            if s.verdict == "unsupported":
                continue
            gap = "" if not out or chinese else " "
            start = len(out) + len(gap)
            out += gap + s.text
            moved.append(replace(s, span=(start, start + len(s.text))))
        return Checked(out, tuple(moved), self.quotes)

    def without_question(self, question: str) -> Checked:
        """One sentence without the question around it (`to_the_point`). It has been checked whole: its end alone stands in more places."""
        if len(self.sentences) != 1:
            return self
        bare = without_citations(self.text)
        core = to_the_point(bare, question)
        if core == bare:
            return self
        text = with_citations(core, cited_numbers(self.text))
        return Checked(text, (replace(self.sentences[0], text=text, span=(0, len(text))),), self.quotes)


def said(question: str, text: str, hits: Sequence[Hit]) -> str | None:
    """The model's answer, numbers and lists as a source has them, a bare yes or no with the sentence it rests on; the sentence of a source
    where the model gave no words of its own; None for a refusal."""
    bare = without_citations(text)
    named = next((n for n in cited_numbers(text) if n <= len(hits)), None)
    if cited_numbers(text) and not any(c.isalnum() for c in bare):
        quote = best_quote(question, hits, only=named)
        return quote.cited if quote else None
    if YES_OR_NO.fullmatch(bare):
        quote = best_quote(question, hits, only=named)
        mark = "：" if prompt_language(question) == "zh" else ": "
        return f"{bare.strip(' .。')}{mark}{quote.cited}" if quote else text
    if is_refusal(bare):
        return None
    if says_nothing_new(bare, question):
        quote = best_quote(question, hits)
        return quote.cited if quote and quote.coverage >= 0.5 else text
    cited = [hits[n - 1] for n in cited_numbers(text) if 0 < n <= len(hits)]
    whole = as_listed(with_unit(bare, cited or hits, question), cited or hits)
    return text if whole == bare else with_citations(whole, cited_numbers(text))


def check_text(question: str, text: str, hits: Sequence[Hit], similarity: Similarity | None) -> Checked:
    """The text with repaired citations and a verdict for each of its sentences."""
    sources = evidence_of(hits)
    out, at = "", 0
    found: list[Sentence] = []
    quotes: dict[int, Span] = {}
    for start, end in sentence_spans(text):
        out += text[at:start]
        at = end
        raw = text[start:end]
        verdict, numbers, reason, findings = check(
            raw, cited_numbers(raw), sources, question=question, similarity=similarity
        )
        mended = with_citations(raw, numbers)
        found.append(Sentence(mended, verdict, numbers, (len(out), len(out) + len(mended)), reason))
        out += mended
        for n in numbers:
            quotes.setdefault(n, _quoted(question, without_citations(raw), findings.get(n), hits[n - 1]))
    return Checked(out + _without_marks(text[at:]), tuple(found), quotes)


def check_json(question: str, text: str, hits: Sequence[Hit], similarity: Similarity | None) -> Checked | None:
    """A JSON text with a verdict for each of its strings and numbers; None when all of them are refusals. Raises ValueError
    when it is not JSON."""
    values = list(leaves(json.loads(text)))
    if all(is_refusal(v) for v in values):
        return None
    sources = evidence_of(hits)
    found: list[Sentence] = []
    quotes: dict[int, Span] = {}
    for value in values:
        verdict, numbers, reason, findings = check(
            value, cited_numbers(value), sources, question=question, similarity=similarity
        )
        start = max(text.find(json.dumps(value, ensure_ascii=False)[1:-1]), 0)
        found.append(Sentence(value, verdict, numbers, (start, start + len(value)), reason))
        for n in numbers:
            quotes.setdefault(n, _quoted(question, value, findings.get(n), hits[n - 1]))
    return Checked(text, tuple(found), quotes)


def evidence_of(hits: Sequence[Hit]) -> list[Evidence]:
    """Hits as sources that sentences are held against, numbered from 1."""
    return [Evidence(n, h.chunk.text, h.chunk.context or h.title) for n, h in enumerate(hits, 1)]


def _quoted(question: str, claim: str, finding: Finding | None, hit: Hit) -> Span:
    """Where the source says it. A few words may stand in several sentences: the one that speaks most of the question is quoted."""
    text = hit.chunk.text
    words = fold(claim).strip(" .。")
    holding = [s for s in sentence_spans(text) if words and words in fold(text[slice(*s)])]
    if holding:
        return max(holding, key=lambda s: (question_aim(question, hit, s), -s[0]))
    return finding.span if finding is not None and finding.span[1] > finding.span[0] else (0, len(text))


def _without_marks(text: str) -> str:
    return text if not cited_numbers(text) else without_citations(text)
