"""Follow-up questions made self-contained, and questions of several parts taken apart, by rules: no model is called."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.index.tokenization import tokenize
from rag.retrieval.stopwords import stop_tokens
from rag.types import Message

MAX_PARTS = 4
_FEW = 3  # content tokens of an English question that is too short to stand alone

# A question that opens like this, or points back with a pronoun, needs the turn before it.
_OPENS = re.compile(
    r"(and|but|or|so|also|then|what about|how about|what if|and if|same for|ok(ay)?[, ]|why( not)?\s*\?*$|how so|since when|until when"
    r"|really\s*\?|which one|any others?|anything else|who else|what else)\b",
    re.IGNORECASE,
)
_POINTS = re.compile(
    r"\b(it|its|they|them|their|theirs|this|that|these|those|he|she|his|her|him|there|the same|the former|the latter|such|one|ones"
    r"|instead|otherwise|above|mentioned)\b",
    re.IGNORECASE,
)
_POINTS_AT_NOUN = re.compile(
    r"\b(this|that|these|those|his|her|such|one|ones)\s+\w|\bthere\s+(is|are|was|were|be|a|an|any)\b", re.I
)
_OPENS_ZH = re.compile(
    r"(那|那么|那如果|如果是|换成|还有|另外|然后|再|而|但|但是|可是|为什么呢|为啥|真的吗|是吗|对于?它)"
)
_POINTS_ZH = re.compile(
    r"它|他们|她们|它们|这个|那个|这些|那些|该|此|其中|上述|前者|后者|同样|这里|那里|这样|那样|(?<![其])他(?!们)|她"
)
_ENDS_ZH = re.compile(r"呢\s*[？?]?\s*$")

_ASIDE = re.compile(r"[(（].*[)）]")  # "How much for a day? (Yunting)" asks one thing
_PART_ENDS = re.compile(r"(?<=[?？；;])\s*")
_JOINS = re.compile(
    r"[,，]?\s+(?:and|as well as|plus)\s+(?=(?:also\s+)?(?:what|who|whom|whose|when|where|why|which|how|is|are|do|does|can|may|must)\b)"
    r"|[,，]\s+and\s+(?=(?:its|their)\b)"
    r"|[，,、]\s*(?:以及|并且|同时|还有|另外|另)\s*|(?<=[^，,、])(?:以及)(?=[^，。？]{2,}(?:吗|什么|多少|哪|谁|怎|如何|几))",
    re.IGNORECASE,
)

# How to answer, said after the question: "If there is none, say so.", "Answer in one sentence.", 请用一句话回答。
_INSTRUCTS = re.compile(
    r"(?:please\s+)?(?:if\b[^?]*\b(?:state|say|explain|tell|mention|indicate|answer|reply)\b[^?]*"
    r"|(?:answer|reply|respond)\b[^?]*|(?:briefly\s+)?explain(?:\s+(?:why|briefly|your\s+\w+))?|be (?:brief|short|concise|precise))\s*[.!]?"
    r"|(?:如果?|若)[^？?]*(?:回答|作答|答复|说明|指出|解释)(?:理由|原因)?[。！!]?|请[^？?]{0,12}(?:回答|作答|答复)[。！!]?"
    r"|请(?:简要|简单)?(?:说明|解释)(?:理由|原因)?[。！!]?",
    re.IGNORECASE,
)
_SENTENCE_ENDS = re.compile(r"(?<=[?？!！。])\s*|(?<=\.)\s+")

# Several things asked for without being several questions: "the GDP of Macao and Hong Kong", "the date and place of the launch", "which cities".
_JOINED_ZH = frozenset(["和", "与", "及", "以及", "跟"])
_ASKING_ZH = re.compile(r"什么|多少|谁|哪|几[个天名次元家]|如何|怎")
_EACH_ZH = re.compile(r"分别|各自|哪些|[\u3400-\u9fff]、[\u3400-\u9fff]")
_EACH = re.compile(
    r"\b(?:both|respectively|each of)\b|\b\w+ and (?:the )?\w+ (?:of|for|in)\b|\b(?:what are|list|name) (?:the|all|two|three|four)\b",
    re.IGNORECASE,
)
_NAMES_JOINED = re.compile(r"\b[A-Z0-9][\w-]* and [A-Z0-9]")


def self_contained(question: str, history: Sequence[Message]) -> tuple[str, str]:
    """(what the turns before are about, the question): the first is empty when the question stands alone.

    The earlier part is the chain of user questions back to the last one that stood alone, oldest first.
    """
    earlier: list[str] = []
    current = question
    for turn in reversed([m.content for m in history if m.role == "user"]):
        if not is_follow_up(current):
            break
        earlier.insert(0, turn.strip())
        current = turn
    return " ".join(earlier[-3:]), question


def is_follow_up(question: str) -> bool:
    """Whether the question cannot be understood without the turn before it."""
    text = question.strip()
    if re.search(r"[\u3400-\u9fff]", text):
        content = [t for t in tokenize(text) if t not in stop_tokens()]
        short = len(re.findall(r"[\u3400-\u9fff]", text)) <= 6 and len(content) <= 4
        return bool(_OPENS_ZH.match(text) or _POINTS_ZH.search(text) or _ENDS_ZH.search(text) or short)
    if _OPENS.match(text):
        return True
    pointing = [m for m in _POINTS.finditer(text) if not _is_plain(text, m)]
    if pointing:
        return True
    # A part number or a name stands alone however short it is.
    names = re.findall(r"\b(?:[A-Z]{2,}|[A-Z]\w*\d|\w+-\d)\w*", text)
    words = [w for w in re.findall(r"[^\W\d_]+", text.lower()) if w not in _PLAIN_WORDS]
    return text.endswith("?") and not names and len(words) < _FEW - 1


_PLAIN_WORDS = frozenset(
    [
        "a",
        "an",
        "the",
        "of",
        "to",
        "in",
        "on",
        "for",
        "is",
        "are",
        "was",
        "were",
        "do",
        "does",
        "did",
        "can",
        "could",
        "may",
        "how",
        "what",
        "when",
        "where",
        "who",
        "why",
        "which",
        "many",
        "much",
        "long",
        "often",
    ]
)


def _is_plain(text: str, match: re.Match[str]) -> bool:
    """ "there are", "that employee" after its noun in the same question, "it is possible": the word points at nothing before."""
    rest = text[match.start() :]
    word = match.group().lower()
    if word in ("there", "one", "ones", "such", "above"):
        return bool(re.match(r"there\s+(is|are|was|were|be|a|an|any)\b", rest, re.I)) or word in (
            "one",
            "such",
            "above",
        )
    if word == "it":
        stated = re.match(r"it\s+(is|takes?|costs?)\b.*\bto\b", rest, re.I)
        asked = re.search(r"\b(is|does|will|would|can) it (possible|allowed|ok|necessary)\b", text, re.I)
        return bool(stated or asked)
    # "the form that employees sign", "when they travel": the antecedent stands earlier in the question itself.
    before = [w for w in re.findall(r"[^\W\d_]{3,}", text[: match.start()].lower()) if w not in _PLAIN_WORDS]
    return len(before) >= 2 and word in ("that", "they", "their", "them", "he", "she", "his", "her", "him", "its")


def without_instructions(question: str) -> str:
    """The question without what it says, after its question mark, about how to answer: nothing of that stands in a document."""
    sentences = [s for s in _SENTENCE_ENDS.split(question.strip()) if s]
    asked = next((at for at, s in enumerate(sentences) if s[-1] in "?？"), len(sentences))
    kept = [s for at, s in enumerate(sentences) if at <= asked or not _INSTRUCTS.fullmatch(s)]
    return question.strip() if len(kept) == len(sentences) else " ".join(kept)


def parts(question: str) -> tuple[str, ...]:
    """The questions in a question of several parts, at most `MAX_PARTS`; one that is all there is comes back alone."""
    found: list[str] = []
    for sentence in _PART_ENDS.split(without_instructions(question)):
        found += [p.strip(" ,，;；") for p in _JOINS.split(sentence) if p and p.strip(" ,，;；?？")]
    asked = [p for p in found if len(tokenize(p)) >= 2 and not _ASIDE.fullmatch(p)]
    return tuple(asked[:MAX_PARTS]) if len(asked) > 1 else (question,)


def asks_for_several(question: str) -> bool:
    """Whether the answer has more than one thing to say: a question of several parts, of one part about two things, or for a list."""
    question = without_instructions(question)
    if len(parts(question)) > 1 or _EACH.search(question) or _NAMES_JOINED.search(question):
        return True
    if len(_ASKING_ZH.findall(question)) > 1:
        return True
    # As words of their own: not those of 和平 and 参与.
    return bool(_EACH_ZH.search(question)) or not _JOINED_ZH.isdisjoint(tokenize(question))
