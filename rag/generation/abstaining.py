"""What is said instead of an answer: that the documents do not say, and what was found nearest (pure)."""

from __future__ import annotations

from collections.abc import Sequence

from rag.generation.citations import resolve
from rag.generation.output_safety import safe_text
from rag.generation.prompting import prompt_language
from rag.generation.quoting import best_quote
from rag.generation.sentences import sentence_spans
from rag.types import Citation, Hit

_ABSTAINED = {
    "en": ("The documents do not answer this question.", " The nearest passage found is in “{title}” [1]: “{quote}”"),
    "zh": ("文档中没有这个问题的答案。", "最接近的内容见《{title}》[1]：“{quote}”"),
}


def abstention(question: str, hits: Sequence[Hit]) -> tuple[str, tuple[Citation, ...]]:
    """The text of a refusal and the citation of what is nearest, where anything was found."""
    text, nearest = _ABSTAINED[prompt_language(question)]
    if not hits:
        return text, ()
    quote = best_quote(question, hits[:1])
    span = quote.span if quote else (sentence_spans(hits[0].chunk.text) or [(0, 200)])[0]
    shown = safe_text(hits[0].chunk.text[slice(*span)])
    return text + nearest.format(title=safe_text(hits[0].title), quote=shown), resolve((1,), hits, {1: span})
