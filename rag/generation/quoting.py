"""The sentence of the sources that answers a question, word for word: what is said when a small model says nothing (pure).

Small models sometimes name a source without words ("[1]") or repeat the question as a statement. A quote is then the better answer,
because it is true by construction. It does not speak for a model that refused: in 5 of 9 such cases nothing was there to find.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag.generation.facts import Facts, facts
from rag.generation.prompting import prompt_language
from rag.generation.quantities import COUNTS, NUMBER_WORDS, unit_after, zh_numerals
from rag.generation.sentences import sentence_spans
from rag.generation.wording import content_terms
from rag.index.tokenization import fold
from rag.types import Hit, Span

YES_OR_NO = re.compile(
    r"\W*(?:(?:yes|no)\b|是的?|不是|否|可以|不可以|不行|能|不能|会|不会|不|有|没有)\W*", re.IGNORECASE
)
# Words of a sentence that allow, ask for or deny something.
YES_OR_NO_IN = re.compile(
    r"\b(?:yes|no|not|never|none|cannot|can|may|must|allowed|forbidden|required)\b|n't\b|[不未没无非须能]|可以|允许|必须|是的",
    re.IGNORECASE,
)
_BARE_NUMBER = re.compile(r"^[\s\"“「*(（]{0,2}(\d[\d,，.]*\d|\d)\s?([\u4e00-\u9fff]{0,2})[.。]?$")
_ZH_FIGURES = "零〇一二两三四五六七八九十百千万亿\\d"
_BETWEEN_ITEMS = re.compile(r"\s*(?:[、;；]|[,，](?!\d))\s*(?:and\b|or\b|以及|和|及|与)?\s*")
_JOINS_ITEMS = r"\s*[,，、;；]?\s*(?:and\b|or\b|as well as\b|以及|和|及|与|或)?\s*(?:the\b|an?\b)?\s*"
# Of several question words the first one asks; a later "when" joins ("who ruled when ..."), a later "who" belongs to a noun ("what did the man who ...").
_FIRST = r"^(?:(?!\b(?:what|which|why|how|who\w*|where|when)\b).)*"
_WHEN = (
    r"\bwhen (?:is|are|was|were|do|does|did|has|have|had|will|would|can|could|shall|should|must|may|might)\b|\bwhen\W*$|"
    + _FIRST
    + r"\bwhen\b(?!.*,)"
)
_WANTS = [
    ("quantity", re.compile(r"\bhow (?:many|much|long|old|far|often|high|large|big)\b|\bwhat (?:percentage|share|number|amount)\b|多少|几[个天年月次人名台元小]|多[大长久高重远]|百分之几")),
    ("date", re.compile(_WHEN + r"|\b(?:what|which) (?:year|date|day|month|time)\b|" + _FIRST + r"\bwhat(?:'s| is| was| are| were) (?:the|its|his|her|their|our|my|your) (?:[\w'-]+ ){0,3}dates?\b(?! format)|什么时候|何时|哪[一]?[年天月日]|几[月号点]|什么时间|截止(?:日期|时间)")),
    ("name", re.compile(_FIRST + r"\b(?:who(?:m|se)?|where)\b|\b(?:what|which) (?:city|country|person|team|town)\b|\b(?:last|full) name\b|谁|哪位|哪里|哪座|哪个(?:城市|国家|部门|人)|在哪")),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Quote:
    """A sentence of a source and how much of the question it speaks of."""

    n: int
    span: Span  # in the chunk's text
    text: str
    coverage: float  # 0..1 of the question's words; names, numbers and identifiers weigh threefold
    fits: bool  # holds a fact of the kind that is asked for, and every name and figure of the question

    @property
    def cited(self) -> str:
        """The sentence as an answer."""
        return f"{self.text} [{self.n}]"


def best_quote(question: str, hits: Sequence[Hit], only: int | None = None) -> Quote | None:
    """The sentence that speaks most of the question; `only` looks at one source, which is taken to answer: there a fact of the kind that is
    asked for comes before words of the question. None when no source is in its language."""
    asked = facts(question)
    weights = question_weights(question, asked)
    kind = wanted_kind(question)
    best: tuple[tuple[bool, bool, float], Quote] | None = None
    for n, hit in enumerate(hits, 1):
        if (only is not None and n != only) or prompt_language(hit.chunk.text) != prompt_language(question):
            continue
        around = fold(hit.chunk.context or hit.title)
        around_terms = set(content_terms(around))
        for a, b in sentence_spans(hit.chunk.text):
            text = hit.chunk.text[a:b]
            folded = fold(text)
            terms = set(content_terms(folded)) | around_terms
            found = {t for t in weights if t in terms or t in folded or t in around}
            coverage = sum(weights[t] for t in found) / max(sum(weights.values()), 1e-9)
            said = facts(text)
            hard = (asked.names | asked.identifiers) <= {t for t in asked.names | asked.identifiers if t in folded.replace("-", "") or t in folded or t in around.replace("-", "") or t in around}  # fmt: skip
            # A cut-off beginning ("... has got the role of") names everyone but who did it.
            answers = _has(kind, said, asked) and (kind != "name" or not text[:1].islower())
            fits = hard and answers and all(any(q.value == w.value for w in said.quantities) for q in asked.quantities if q.unit)  # fmt: skip
            rank = (fits, answers and only is not None, coverage)
            if best is None or rank > best[0]:
                best = rank, Quote(n, (a, b), text, coverage, fits)
    return best and best[1]


def with_unit(answer: str, hits: Sequence[Hit], question: str) -> str:
    """A number that was copied without its unit, with it, or written in figures where the sources have a word, as the sentence has it that
    speaks most of the question; any other answer as it is. `answer` has no citations."""
    bare = _BARE_NUMBER.match(answer.strip())
    if bare is None:
        return answer
    number, unit = bare.group(1), bare.group(2)
    in_figures = re.compile(rf"(?<![\d.,]){re.escape(number)}(?![\d.,]*\d)" + (rf"\s?{unit}" if unit else ""))
    standing = (
        in_figures
        if any(in_figures.search(h.chunk.text) for h in hits)
        else _in_words(number, unit, prompt_language(question))
    )
    weights = question_weights(question, facts(question))
    best: tuple[float, str] = (-1.0, number)
    for hit in hits:
        for a, b in sentence_spans(hit.chunk.text):
            sentence = hit.chunk.text[a:b]
            found = standing.search(sentence)
            if found is None:
                continue
            terms = set(content_terms(fold(sentence)))
            said = sum(w for t, w in weights.items() if t in terms)
            if said > best[0]:
                best = (said, found.group() + ("" if unit else unit_after(sentence[found.end() :])))
    return best[1] if best[0] >= 0 else answer


def _in_words(number: str, unit: str, language: str) -> re.Pattern[str]:
    """A figure written as a word of the answer's language, in Chinese with its unit ("四次": 四 alone stands in other words)."""
    value = int(number) if number.isdigit() and len(number) < 3 else -1
    if language == "zh":
        words = zh_numerals(value) if value >= 0 else []
        counted = rf"\s?{unit}" if unit else rf"(?=\s?[{''.join(sorted(COUNTS))}])"
        return re.compile(rf"(?<![{_ZH_FIGURES}第])(?:{'|'.join(words) or '(?!)'}){counted}")
    words = [word for word, meant in NUMBER_WORDS.items() if meant == value and not unit]
    return re.compile(rf"(?<![\w-])(?:{'|'.join(words) or '(?!)'})(?![\w-])", re.IGNORECASE)


def as_listed(answer: str, hits: Sequence[Hit]) -> str:
    """A list as a source has it ("China, Japan and Korea" for "China, Japan, Korea"); any other answer, and a list that no source has, as it is.
    `answer` has no citations."""
    items = [item for item in _BETWEEN_ITEMS.split(answer.strip(" .。")) if item]
    if len(items) < 2 or any(answer.strip(" .。") in h.chunk.text for h in hits):
        return answer
    listed = re.compile(_JOINS_ITEMS.join(map(re.escape, items)), re.IGNORECASE)
    return next((found.group() for h in hits if (found := listed.search(h.chunk.text))), answer)


def gives_what_is_asked(answer: str, question: str) -> bool:
    """Whether the answer has a fact of the kind that the question asks for, and says more than the question."""
    said, asked = facts(answer), facts(question)
    denied = bool(said.negated - asked.negated)
    # A short answer begins with the name it gives ("Tallinn [1]"): put behind a word, its capital tells that it is one.
    kind = wanted_kind(question)
    named = facts(f"it is {answer}") if kind == "name" else said
    return denied or (not says_nothing_new(answer, question) and _has(kind, named, asked))


def has_the_kind_asked_for(sentence: str, question: str) -> bool:
    """Whether a question that asks for a figure, a date or a name meets one in the sentence; False for other questions."""
    kind = wanted_kind(question)
    return bool(kind) and _has(kind, facts(sentence), facts(question))


def wanted_kind(question: str) -> str:
    """The kind of fact that is asked for: "quantity", "date", "name", or "" where no word tells."""
    return next((name for name, pattern in _WANTS if pattern.search(fold(question))), "")


def question_weights(question: str, asked: Facts) -> dict[str, float]:
    """What a question asks about: its content words, and threefold its names and identifiers."""
    weights = dict.fromkeys(content_terms(fold(question)), 1.0)
    return weights | dict.fromkeys(asked.names, 3.0) | dict.fromkeys(asked.identifiers, 3.0)


def says_nothing_new(answer: str, question: str) -> bool:
    """Whether the answer only repeats words of the question (and is no yes or no)."""
    said, asked = facts(answer), facts(question)
    if said.quantities or said.dates or said.identifiers - asked.identifiers or said.negated:
        return False
    if YES_OR_NO.match(answer.strip()):
        return False
    return bool(said.terms) and said.terms <= asked.terms


def _has(kind: str, said: Facts, asked: Facts) -> bool:
    if kind == "quantity":
        return bool(said.quantities) or bool(said.dates)
    if kind == "date":
        return (
            bool(said.dates)
            or any(1000 <= q.value <= 2100 for q in said.quantities)
            or any(":" in i for i in said.identifiers)
        )
    if kind == "name":
        return bool(said.names - asked.names)
    return True
