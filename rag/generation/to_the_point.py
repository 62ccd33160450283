"""An answer without the question around it (pure).

Small models repeat the question: "Ford's plants will close in October 2016", asked when, is "October 2016". What is left out at the two ends of one
short sentence are words that the question has itself, and words that only join; so nothing is said that the model did not say, and nothing is lost
that was not known: "about" and "not" stay, unless the question says them too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rag.generation.prompting import prompt_language
from rag.generation.quantities import NUMBER_WORDS
from rag.generation.quoting import has_the_kind_asked_for, wanted_kind
from rag.generation.sentences import sentence_spans
from rag.generation.wording import content_terms
from rag.generation.zh_words import zh_words
from rag.index.tokenization import fold, tokenize
from rag.retrieval.rewriting import asks_for_several

LONGEST = {"en": 12, "zh": 20}  # words, characters: what is longer than that explains, and is a sentence
ENOUGH = {"en": 4, "zh": 3}  # words that repeat the question even without one that joins
_ASKS = re.compile(r"\b(?:who|whom|whose|which|what|when|where|how)\b|什么|谁|哪|何|多少|几|怎|啥", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+(?:[-'’.,&:/–][^\W_]+)*")
# fmt: off
_VERBS = frozenset(["is", "are", "was", "were", "be", "been", "being", "will", "would", "can", "does", "did", "do", "has", "have", "had",
                    "是", "为", "在", "位于", "有"])
_LINKS = _VERBS | {"that", "in", "on", "at", "by", "as", "for", "with", "to", "there", "called", "named", "于", "由", "以", "被", "叫", "叫做", "称为", "指", "指的是"}
_JOINING = _LINKS | {"a", "an", "the", "this", "it", "its", "their", "his", "her", "they", "he", "she", "of", "and", "的", "了", "其", "该"}
_DANGLING = _JOINING | {"while", "when", "where", "which", "who", "but", "or", "because", "so", "also", "而", "并", "且", "和", "与", "及", "或"}
# What stands beside these belongs together: "Court of Justice", "at least", "第22".
_GLUE = frozenset(["of", "and", "&", "de", "del", "der", "la", "le", "van", "von", "di", "da", "least", "most", "第"])
_COPULAS = frozenset(["is", "are", "was", "were", "will", "can", "是"])
# fmt: on
_UNIT_SIGN = re.compile(r"\s?[%‰℃°]")
_COUNTED = re.compile(r"[\d零〇一二两三四五六七八九十百千万亿]$|[个种位名次条项家所座]$")
_CHOICE = re.compile(r"\bor\b|还是|或", re.IGNORECASE)  # the answer is in the question
_APART = ",，;；:：、。！？!?"  # what else stands beside a word belongs to it: -20, 5 %, €12, C++, "quoted"
_PAIRS = ("()", "（）", "《》", "「」", "“”", "【】")


@dataclass(frozen=True, slots=True)
class _Word:
    start: int
    end: int
    folded: str
    known: bool  # from the question, or joining
    named: bool  # has a capital


def to_the_point(answer: str, question: str) -> str:
    """`answer`, which has no citations, without the question's words at its ends; as it is where it is no single short sentence, where the question
    asks for several things, for a choice or for a yes or no, and where what is left would be no whole phrase."""
    asks = _ASKS.search(question) and not _CHOICE.search(question) and not asks_for_several(question)
    if not asks or len(sentence_spans(answer)) != 1:
        return answer
    text = answer.strip().rstrip(".。")
    language = prompt_language(answer)
    words = (_zh if language == "zh" else _en)(text, question)
    new = [i for i, w in enumerate(words) if not w.known]
    if not any(_tells(words[i]) for i in new):
        return answer
    first, last = _whole_phrase(text, words, new[0], new[-1])
    if not _repeats(words[:first], ENOUGH[language]):
        first = 0
    if not _repeats(words[last + 1 :], ENOUGH[language] - 1) or (first == 0 and _says_it(words[: last + 1])):
        last = len(words) - 1
    # "fixed-term contracts *is* 30 days": what was left out was a part of the subject.
    broken = first > 0 and any(w.folded in _COPULAS for w in words[first : last + 1])
    if broken or (first, last) == (0, len(words) - 1):
        return answer
    core = _cut(text, words[first].start if first else 0, words[last].end if last < len(words) - 1 else len(text))
    size = last - first + 1 if language == "en" else len(core)
    # A figure or a date that is asked for is not in every core: "was built" is none of when.
    answers = wanted_kind(question) not in ("quantity", "date") or has_the_kind_asked_for(core, question)
    return core if core and answers and size <= LONGEST[language] and _balanced(core) else answer


def _repeats(left_out: Sequence[_Word], enough: int) -> bool:
    """Whether words are a phrase that repeats the question, and not just what the new words belong to ("the mid-Cambrian *period*")."""
    asked = sum(w.folded not in _JOINING for w in left_out)
    return asked > 0 and (any(w.folded in _LINKS for w in left_out) or len(left_out) >= enough)


def _says_it(words: Sequence[_Word]) -> bool:
    """Whether a beginning that nothing was left out of is a statement, which cannot lose its end."""
    return any(w.folded in _VERBS or (w.known and w.folded not in _JOINING and not w.named) for w in words)


def _whole_phrase(text: str, words: Sequence[_Word], first: int, last: int) -> tuple[int, int]:
    """The new words with what belongs to them: the rest of a name, the unit of a figure, the noun that a word describes."""

    def beside(a: int, b: int) -> bool:
        return not text[words[a].end : words[b].start].strip(" ")

    def belong(a: int, b: int) -> bool:
        name = words[a].named and words[b].named
        return beside(a, b) and (name or words[a].folded in _GLUE or words[b].folded in _GLUE)

    while first > 0 and belong(first - 1, first):
        first -= 1
    end = last
    if end + 1 < len(words) and _COUNTED.search(words[end].folded) and beside(end, end + 1):
        end += words[end + 1].folded not in _JOINING
    while end + 1 < len(words) and belong(end, end + 1):
        end += 1
    # "Oxyacetylene *welding* was demonstrated": what stands before the verb is its subject.
    subject = end
    while subject + 1 < len(words) and words[subject + 1].folded not in _JOINING and beside(subject, subject + 1):
        subject += 1
    if subject + 1 < len(words) and words[subject + 1].folded in _VERBS:
        end = subject
    while end > first and words[end].folded in _DANGLING:
        end -= 1
    return first, end


def _cut(text: str, start: int, end: int) -> str:
    def belongs(at: int) -> bool:
        return not (text[at].isspace() or text[at].isalnum() or text[at] in _APART)

    while start > 0 and belongs(start - 1):
        start -= 1
    if sign := _UNIT_SIGN.match(text, end):
        end = sign.end()
    while end < len(text) and belongs(end):
        end += 1
    return text[start:end].strip(" " + _APART)


def _tells(word: _Word) -> bool:
    """Whether a word can be what was asked for: not "than", "not", "if"."""
    named = word.named and word.start > 0
    return (
        named
        or any(c.isdigit() for c in word.folded)
        or word.folded in NUMBER_WORDS
        or bool(content_terms(word.folded))
    )


def _balanced(text: str) -> bool:
    return all(text.count(p[0]) == text.count(p[1]) for p in _PAIRS) and text.count('"') % 2 == 0


def _en(text: str, question: str) -> list[_Word]:
    asked = set(tokenize(question))
    return _words(text, [(m.start(), m.group()) for m in _WORD.finditer(text)], lambda w: set(tokenize(w)) <= asked)


def _zh(text: str, question: str) -> list[_Word]:
    pieces, at = [], 0
    for piece in zh_words(text):
        at = text.index(piece, at)
        if any(c.isalnum() for c in piece):
            pieces.append((at, piece))
        at += len(piece)
    asked, whole = set(zh_words(fold(question))), fold(question)
    return _words(text, pieces, lambda w: fold(w) in asked or (len(w) > 1 and fold(w) in whole))


def _words(text: str, pieces: Sequence[tuple[int, str]], asked: Callable[[str], bool]) -> list[_Word]:
    found = []
    for start, piece in pieces:
        folded = fold(piece)
        known = folded in _JOINING or asked(piece)
        found.append(_Word(start, start + len(piece), folded, known, piece[0].isupper()))
    return found
