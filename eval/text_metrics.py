"""How near a text comes to a reference: exact match, F1, ROUGE-L, chrF, stated facts. Chinese and English alike.

Tokens are those of the CMRC 2018 evaluation (one Chinese character, or one word or number of anything else), after NFKC,
case folding and removal of punctuation and of English articles; so one set of formulas serves both languages.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

_CITATION = re.compile(r"\s*\[\d+(?:\s*[,，、]\s*\d+)*\]|【\d+】")
_THOUSANDS = re.compile(r"(?<=\d)[,，](?=\d{3}(?!\d))")
_TOKEN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\u3040-\u30ff]|\d+(?:\.\d+)?|[^\W\d_]+|[%‰°€$£¥]")
_ARTICLES = frozenset({"a", "an", "the"})


def tokens(text: str) -> list[str]:
    """Comparable tokens of a text; citation marks such as [1] are not part of what it says."""
    folded = unicodedata.normalize("NFKC", _CITATION.sub(" ", text)).casefold()
    folded = _THOUSANDS.sub("", folded)
    # Chinese inside a word-like run is matched first, so the rest of the pattern sees Latin, Greek, ... words only.
    spaced = re.sub(r"([\u3400-\u9fff\uf900-\ufaff\u3040-\u30ff])", r" \1 ", folded)
    return [t for t in _TOKEN.findall(spaced) if t not in _ARTICLES]


def exact_match(text: str, references: Sequence[str]) -> float:
    """1.0 when the tokens are those of any reference, else 0.0."""
    said = tokens(text)
    return float(any(said == tokens(r) for r in references))


def f1(text: str, references: Sequence[str]) -> float:
    """Token F1 against the nearest reference (Rajpurkar et al. 2016, section 5), 0..1."""
    return max((_f1(tokens(text), tokens(r)) for r in references), default=0.0)


def _f1(said: Sequence[str], wanted: Sequence[str]) -> float:
    if not said or not wanted:
        return float(list(said) == list(wanted))
    common = sum((Counter(said) & Counter(wanted)).values())
    return 2 * common / (len(said) + len(wanted)) if common else 0.0


def rouge_l(text: str, references: Sequence[str]) -> float:
    """ROUGE-L F-measure (Lin 2004, section 3.1, beta = 1) against the nearest reference, 0..1."""
    said = tokens(text)
    best = 0.0
    for reference in references:
        wanted = tokens(reference)
        if said and wanted:
            best = max(best, 2 * _common_subsequence(said, wanted) / (len(said) + len(wanted)))
    return best


def _common_subsequence(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(b) + 1)
    for x in a:
        diagonal = 0
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], diagonal + 1 if x == y else max(row[j], row[j - 1])
    return row[-1]


def chrf(text: str, references: Sequence[str]) -> float:
    """chrF2 (Popović 2015) by sacrebleu, scaled to 0..1: the nearest reference counts."""
    if not text.strip() or not references:
        return 0.0
    from sacrebleu.metrics.chrf import CHRF

    metric = CHRF()
    clean = _CITATION.sub("", text)
    return max(metric.sentence_score(clean, [r]).score / 100 for r in references)


def states(text: str, wording: str) -> bool:
    """Whether the text contains the wording as a run of whole tokens: "23 days" is in "You get 23 days.", "3" is not."""
    said, wanted = tokens(text), tokens(wording)
    if not wanted:
        return False
    width = len(wanted)
    return any(said[i : i + width] == wanted for i in range(len(said) - width + 1))


def fact_recall(text: str, facts: Sequence[Sequence[str]]) -> float:
    """Share of the facts of which the text states at least one wording, 0..1; 0.0 without facts."""
    if not facts:
        return 0.0
    return sum(any(states(text, wording) for wording in fact) for fact in facts) / len(facts)
