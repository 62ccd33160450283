"""Whether the sources say what a sentence says, without a model call (pure but for the optional similarity).

A sentence is held against every window of one to three neighbouring sentences of a source. First the hard facts: quantities
with their units, dates, identifiers, names, limits and negations must stand in the window. Then the words: how many of the
sentence's content words the window has; where that leaves doubt (a paraphrase, another language) the similarity of embeddings
decides. Hard facts are never overruled by similarity.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rag.generation.citations import without_citations
from rag.generation.facts import Facts, facts
from rag.generation.prompting import prompt_language
from rag.generation.quantities import Date, Quantity, unit_code
from rag.generation.sentences import clauses, sentence_spans
from rag.generation.wording import clause_texts, content_terms, negations, opposite
from rag.index.tokenization import fold
from rag.types import Span, Verdict

# Cosines of a sentence with each of some texts. Used for doubtful wording only.
Similarity = Callable[[str, Sequence[str]], Sequence[float]]

ENOUGH_WORDS = 0.6  # share of content words found: supported
SOME_WORDS = 0.34  # below it: unsupported, unless the similarity says otherwise
# Cosines of e5. A sentence and its translation: 0.83 or more for 90 % of 60 sentences (xquad, Chinese against English), at most 0.79 for
# 95 % of the best sentences of another paragraph.
ALIKE, SAME_LANGUAGE_ALIKE = 0.83, 0.88
_WIDEST = 3  # sentences of a window


@dataclass(frozen=True, slots=True)
class Evidence:
    """A source as it is held against a sentence."""

    n: int  # its citation number
    text: str  # of the chunk
    context: str = ""  # title and heading path: they may name the subject


@dataclass(frozen=True, slots=True)
class Finding:
    """How well one source supports one sentence."""

    verdict: Verdict
    n: int  # of the source; 0 when there is none
    span: Span  # of the window in the source's text
    reason: str
    score: float  # to compare sources: higher supports better
    coverage: float = 0.0  # share of the sentence's content words in the window


def check(
    sentence: str,
    cited: Sequence[int],
    sources: Sequence[Evidence],
    *,
    question: str = "",
    similarity: Similarity | None = None,
    repair: bool = True,
) -> tuple[Verdict, tuple[int, ...], str, dict[int, Finding]]:
    """Verdict of a sentence, the numbers that support it, the reason when it is not supported, and the finding of each number.

    With `repair` a number that does not support the sentence is replaced by one that does, where there is one; without it only
    the cited sources count.
    """
    findings = {s.n: against(sentence, s, question, similarity) for s in sources}
    good = sorted((f for f in findings.values() if f.verdict == "supported"), key=lambda f: (-f.score, f.n))
    kept = [n for n in dict.fromkeys(cited) if n in findings and findings[n].verdict == "supported"]
    if kept:
        return "supported", tuple(kept), "", findings
    if repair and good:
        return "supported", (good[0].n,), "", findings
    valid = [n for n in dict.fromkeys(cited) if n in findings]
    if len(valid) > 1 or (repair and len(sources) > 1):
        together = _in_parts(sentence, [s for s in sources if repair or s.n in valid], question, similarity)
        if together:
            numbers, spans = together
            return "supported", numbers, "", findings | spans
    order = sorted(
        (findings[n] for n in valid) if valid else (findings.values() if repair else ()),
        key=lambda f: (_RANK[f.verdict], f.score),
        reverse=True,
    )
    if not order:
        return "unsupported", (), "no source is cited", findings
    best = order[0]
    if repair and best.verdict != "partly":
        partly = [f for f in findings.values() if f.verdict == "partly"]
        if partly:
            best = max(partly, key=lambda f: f.score)
    numbers = tuple(valid) if valid and best.n in valid else ((best.n,) if best.verdict == "partly" else tuple(valid))
    return best.verdict, numbers, best.reason, findings


_RANK = {"supported": 2, "partly": 1, "unsupported": 0}


def against(sentence: str, source: Evidence, question: str = "", similarity: Similarity | None = None) -> Finding:
    """How well this one source supports the sentence: its best window."""
    claim = facts(sentence)
    spans = sentence_spans(source.text)
    around = facts(source.context)
    best: Finding | None = None
    nearest: Finding | None = None  # the single sentence with most of the words, whether or not it agrees
    for size in range(1, _WIDEST + 1):
        for start in range(len(spans) - size + 1):
            span = (spans[start][0], spans[start + size - 1][1])
            found = _hold(sentence, claim, source, span, around, question)
            found = replace(found, score=found.score - 0.02 * (size - 1))
            if size == 1 and (nearest is None or found.coverage > nearest.coverage):
                nearest = found
            if best is None or (_RANK[found.verdict], found.score) > (_RANK[best.verdict], best.score):
                best = found
    if best is None or nearest is None:
        return Finding("unsupported", source.n, (0, 0), f"[{source.n}] has no sentence", 0.0)
    if best.verdict == "partly" and nearest.verdict == "unsupported" and nearest.coverage >= ENOUGH_WORDS:
        return nearest  # what speaks of the same thing says something else
    if similarity is not None and best.verdict != "supported" and best.reason.startswith(_WORDING):
        best = _by_similarity(sentence, source, spans, best, claim, around, similarity)
    return best


_WORDING = "the wording"


def _hold(sentence: str, claim: Facts, source: Evidence, span: Span, around: Facts, question: str) -> Finding:
    text = source.text[span[0] : span[1]]
    window = facts(text)
    cross = prompt_language(sentence) != prompt_language(text)
    problem = _hard_problem(claim, window, around, source, sentence, text, cross)
    coverage = _coverage(claim, window, around, question)
    matched = len(claim.quantities) + len(claim.dates) + len(claim.identifiers)
    score = coverage + (0.1 * min(matched, 3) if problem is None else -0.5)
    if problem is not None:
        return Finding("unsupported", source.n, span, problem, score, coverage)
    if coverage >= ENOUGH_WORDS or (not claim.terms and matched):
        return Finding("supported", source.n, span, "", score, coverage)
    if cross and matched:
        return Finding(
            "partly", source.n, span, f"{_WORDING} is in another language than [{source.n}]", score, coverage
        )
    verdict: Verdict = "partly" if coverage >= SOME_WORDS else "unsupported"
    missing = sorted(claim.terms - window.terms - around.terms)[:4]
    return Finding(
        verdict, source.n, span, f"{_WORDING} is not that of [{source.n}]: {', '.join(missing)}", score, coverage
    )


def _hard_problem(
    claim: Facts, window: Facts, around: Facts, source: Evidence, sentence: str, text: str, cross: bool
) -> str | None:
    """What the sentence says and the window does not, or None. In another language names and negations cannot be compared."""
    for q in claim.quantities:
        if (
            not any(_same_quantity(q, w) for w in window.quantities)
            and not _in_dates(q, window.dates)
            and not (not q.unit and any(_same_quantity(q, w) for w in around.quantities))
        ):
            return f"“{q.shown}” is not in [{source.n}]"
    for d in claim.dates:
        if not any(_same_date(d, w) for w in (*window.dates, *around.dates)) and not (
            d.year and not d.month and any(q.value == d.year for q in (*window.quantities, *around.quantities))
        ):
            return f"“{d.shown}” is not in [{source.n}]"
    squeezed = (
        fold(source.text + " " + source.context).replace("-", "").replace("_", "").replace("/", "").replace(".", "")
    )
    for i in sorted(claim.identifiers):
        if i not in window.identifiers and i not in around.identifiers and i not in squeezed:
            return f"“{i}” is not in [{source.n}]"
    whole = fold(source.text + " " + source.context)
    for name in sorted(claim.names):
        if cross and not name.isascii():
            continue
        if cross and name.isascii() and not _latin(whole):
            continue
        if name not in whole and not _similar_name(name, whole):
            return f"“{name}” is not in [{source.n}]"
    if cross:
        return None
    if misplaced := _misplaced(claim, text, around):
        return f"“{misplaced}” is not said of this in [{source.n}]"
    flipped = (claim.plain - claim.negated) & (window.negated - window.plain)
    if flipped:
        return f"[{source.n}] says the opposite about “{min(flipped, key=len)}”"
    denied = claim.negated - claim.plain
    asserted = denied & (window.plain - window.negated)
    if asserted and not denied & (window.negated - window.plain):
        return f"[{source.n}] does not deny “{min(asserted, key=len)}”"
    if _denied_clause(sentence, text):
        return f"[{source.n}] says it the other way round"
    if claim.limits and window.limits and not claim.limits & window.limits:
        return f"[{source.n}] gives the other limit"
    word = opposite(claim.terms, window.terms)
    if word:
        return f"[{source.n}] says the opposite of “{word}”"
    return None


def _misplaced(claim: Facts, text: str, around: Facts) -> str | None:
    """A name of the claim when each sentence with one of its figures speaks of somebody else instead."""
    names = {n for n in claim.names if n not in around.names}
    if not names:
        return None
    sentences = [(fold(text[a:b]), facts(text[a:b])) for a, b in sentence_spans(text)]
    figures: list[Quantity | Date] = [*claim.quantities, *claim.dates]
    for figure in figures:
        holders = [(words, f) for words, f in sentences if _has_figure(f, figure)]
        if holders and all(
            any(n not in words for n in names) and (f.names - claim.names - around.names) for words, f in holders
        ):
            return min(n for words, _ in holders for n in names if n not in words)
    return None


def _denied_clause(sentence: str, text: str) -> bool:
    """Whether a clause of the sentence stands in the text in nearly the same words, but with one negation more or less."""
    theirs = [(c, set(content_terms(c)), negations(c)) for c in clause_texts(fold(text))]
    for clause in clause_texts(fold(without_citations(sentence))):
        words = set(content_terms(clause))
        if not words or not theirs:
            continue
        like = max(theirs, key=lambda t: len(words & t[1]) / max(len(words | t[1]), 1))
        shared = len(words & like[1])
        if shared < max(2 if len(words) > 1 else 1, 0.75 * len(words)) or shared < 0.5 * len(like[1]):
            continue
        same = [n for _, terms, n in theirs if words <= terms or terms == like[1]]
        if all((negations(clause) - n) % 2 for n in same or [like[2]]):
            return True
    return False


def _has_figure(f: Facts, figure: Quantity | Date) -> bool:
    if isinstance(figure, Quantity):
        return any(_same_quantity(figure, w) for w in f.quantities)
    return any(_same_date(figure, w) for w in f.dates)


def _coverage(claim: Facts, window: Facts, around: Facts, question: str) -> float:
    """Share of the sentence's content words in the window, or in the title and headings. Words that only repeat the question
    count half: they are no evidence, and their absence is no contradiction."""
    if not claim.terms:
        return 0.0
    asked = set(content_terms(fold(question))) if question else set()
    found = total = 0.0
    shown = " ".join(q.shown for q in claim.quantities)
    for term in claim.terms:
        if term in shown and unit_code(term):
            continue  # the unit of a figure that is compared by itself
        weight = 0.5 if term in asked else 1.0
        total += weight
        if term in window.terms or term in around.terms or _part_of(term, window.terms):
            found += weight
    return found / total if total else 1.0


def _part_of(term: str, terms: frozenset[str]) -> bool:
    """Chinese words are cut differently in different sentences: 住宿费 is found by 住宿."""
    if term.isascii():
        return False
    return any(not t.isascii() and (t in term or term in t) for t in terms)


def _same_quantity(q: Quantity, w: Quantity) -> bool:
    return abs(q.value - w.value) <= 1e-9 * max(abs(q.value), 1.0) and (q.unit == w.unit or not q.unit or not w.unit)


def _in_dates(q: Quantity, dates: Sequence[Date]) -> bool:
    return not q.unit and any(q.value in (d.year, d.month, d.day) for d in dates)


def _same_date(d: Date, w: Date) -> bool:
    return all(a == b for a, b in ((d.year, w.year), (d.month, w.month), (d.day, w.day)) if a and b) and (
        (not d.day or bool(w.day)) and (not d.month or bool(w.month)) and (not d.year or bool(w.year) or bool(d.month))
    )


def _latin(text: str) -> bool:
    return sum("a" <= c <= "z" for c in text) > 10


def _similar_name(name: str, text: str) -> bool:
    """Plural, possessive and hyphenated forms of a name."""
    bare = name.replace("-", " ")
    return bare in text or (name.endswith("s") and name[:-1] in text) or all(p in text for p in bare.split())


def _by_similarity(
    sentence: str,
    source: Evidence,
    spans: Sequence[Span],
    best: Finding,
    claim: Facts,
    around: Facts,
    similarity: Similarity,
) -> Finding:
    texts = [source.text[a:b] for a, b in spans]
    cosines = similarity(sentence, texts)
    at = max(range(len(texts)), key=lambda i: cosines[i])
    cross = prompt_language(sentence) != prompt_language(texts[at])
    if _hard_problem(claim, facts(texts[at]), around, source, sentence, texts[at], cross) is not None:
        return best
    needed = ALIKE if cross else SAME_LANGUAGE_ALIKE
    if cosines[at] >= needed and (cross or best.verdict == "partly"):
        return Finding("supported", source.n, spans[at], "", cosines[at] * 0.6)
    if cosines[at] >= needed:
        return Finding("partly", source.n, spans[at], best.reason, cosines[at] * 0.4)
    return best


def _in_parts(
    sentence: str, sources: Sequence[Evidence], question: str, similarity: Similarity | None
) -> tuple[tuple[int, ...], dict[int, Finding]] | None:
    """A sentence that joins several sources: each clause with something to prove must be supported by one of them."""
    parts = [p for p in clauses(sentence) if (f := facts(p)).terms or f.quantities or f.dates]
    if len(parts) < 2:
        return None
    found: dict[int, Finding] = {}
    for part in parts:
        good = [x for s in sources if (x := against(part, s, question, similarity)).verdict == "supported"]
        if not good:
            return None
        best = max(good, key=lambda f: (f.score, -f.n))
        found.setdefault(best.n, best)
    return (tuple(sorted(found)), found) if len(found) > 1 else None
