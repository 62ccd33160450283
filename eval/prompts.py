"""The prompts of the arms that see no documents, the same in training and in comparison, and the words of a refusal."""

from __future__ import annotations

import re

CLOSED_BOOK = {
    "en": "Answer the question in a few words. If you do not know, say: I don't know.",
    "zh": "用一句短话回答问题。如果不知道，就说：我不知道。",
}
REFUSAL = {"en": "I don't know.", "zh": "我不知道。"}
NOT_IN_DOCUMENTS = {"en": "The documents do not say.", "zh": "文件中没有提到。"}

_REFUSES = re.compile(
    r"\b(?:i\s+(?:do\s+not|don['’]?t)\s+(?:know|have)|i(?:['’]m|\s+am)\s+not\s+(?:sure|aware|able)|(?:can\s?not|can['’]t|unable\s+to)\s+"
    r"(?:answer|determine|find|provide)|not\s+(?:mentioned|stated|specified|provided|available|in\s+the\s+documents)|"
    r"(?:documents?|sources?|context)\s+(?:do(?:es)?\s+not|don['’]?t|doesn['’]?t)\s+(?:say|mention|contain|state|specify|provide)|"
    r"no\s+information|i['’]m\s+sorry)\b"
    r"|不知道|不清楚|无法(?:回答|确定|提供|得知|找到)|没有(?:提到|提及|说明|相关|找到|给出)|未(?:提到|提及|说明|找到)|不能(?:回答|确定)|抱歉",
    re.IGNORECASE,
)


def refuses(text: str) -> bool:
    """Whether a text without a status says that it does not know. An empty text says nothing, and counts as a refusal."""
    return not text.strip() or bool(_REFUSES.search(text))


def closed_book(question: str, lang: str, context: str = "") -> list[dict[str, str]]:
    """Chat messages (role, content) for a question without retrieval; `context` is what the question itself came with."""
    asked = f"{context}\n\n{question}" if context else question
    return [{"role": "system", "content": CLOSED_BOOK.get(lang, CLOSED_BOOK["en"])}, {"role": "user", "content": asked}]
