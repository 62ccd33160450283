"""What the model is asked to confirm an answer: does the cited text say so? (pure)

A model of 1.5 billion parameters that has found no answer copies what looks like one, and is sure of it. Shown the few sentences that it cites, its
answer, and examples of texts that say it about something else, it sees more often than not that they do not say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rag.generation.prompting import disarmed, prompt_language
from rag.generation.sentences import sentence_spans
from rag.types import Hit, Message, Span

CONFIRMS = {"en": "yes", "zh": "是"}
PASSAGE, ANSWER = 300, 300  # characters shown of each cited passage, and of the answer
PASSAGES = 2
_SYSTEM = {
    "en": (
        "You check answers. You are shown a text, a question and a proposed answer. Reply yes only if the text itself says that this is the "
        "answer to exactly this question. Reply no if the text says it about something else (another year, event, person or role), or does "
        "not say it."
    ),
    "zh": (
        "你负责核对答案。给你一段文字、一个问题和一个答案。只有当文字本身写明这就是该问题的答案时才回答“是”。"
        "如果文字说的是别的（别的年份、事件、人物或职位），或者没有写明，就回答“否”。"
    ),
}
_CASE = {
    "en": "Text: {text}\nQuestion: {question}\nProposed answer: {answer}\nDoes the text say so?",
    "zh": "文字：{text}\n问题：{question}\n答案：{answer}\n文字写明了吗？",
}
# text, question, answer, whether the text says so
_EXAMPLES = {
    "en": (
        ("Bridges of Arden: The Aurora Bridge was finished in 1931 by the firm Hale & Sons and renewed in 1988.",
         "Who built the Aurora Bridge?", "Hale & Sons", "yes"),
        ("Mara Lind, who had lost the 2017 Open final in three sets, retired in 2020.",
         "Who won the Open in 2017?", "Mara Lind", "no"),
        ("Mar 4, 2022 ... The Z5 camera is cheaper than ever: our review of the best offers this spring.",
         "When was the Z5 camera released?", "Mar 4, 2022", "no"),
        ("Full-time staff get 31 days of leave a year; a day not taken can be carried over until March.",
         "How many days of leave does a full-time employee get?", "31 days", "yes"),
    ),
    "zh": (
        ("《雅顿的桥》：曙光桥由海勒公司于1931年建成，1988年翻修。", "曙光桥是谁建的？", "海勒公司", "是"),
        ("林玛在2017年公开赛决赛中三盘落败，2020年退役。", "2017年公开赛冠军是谁？", "林玛", "否"),
        ("2022年3月4日 讯：Z5相机价格再创新低，今春优惠一览。", "Z5相机是哪天发布的？", "2022年3月4日", "否"),
        ("全职员工每年有31天假期，未休的可保留到三月。", "全职员工每年有几天假？", "31天", "是"),
    ),
}  # fmt: skip


def asks_to_confirm(question: str, answer: str, hits: Sequence[Hit], quotes: Mapping[int, Span]) -> list[Message]:
    """What the model is asked; its reply begins with `CONFIRMS` of the question's language where the quoted places of `hits` (by source
    number, from 1) say that `answer`, without its citations, is the answer. All before the last message is always the same."""
    language = prompt_language(question)
    shown = [_passage(hits[n - 1], span) for n, span in quotes.items()][:PASSAGES]
    messages = [Message("system", _SYSTEM[language])]
    for text, asked, answered, says in _EXAMPLES[language]:
        messages += [
            Message("user", _CASE[language].format(text=text, question=asked, answer=answered)),
            Message("assistant", says),
        ]
    last = _CASE[language].format(
        text=disarmed("\n".join(shown)), question=disarmed(question), answer=disarmed(answer[:ANSWER])
    )
    return [*messages, Message("user", last)]


def _passage(hit: Hit, quote: Span) -> str:
    """The headings of a hit, and the quoted place with the sentences around it."""
    text = hit.chunk.text
    spans = sentence_spans(text)
    inside = [i for i, (start, end) in enumerate(spans) if start < quote[1] and end > quote[0]]
    first, last = (inside[0], inside[-1]) if inside else (0, len(spans) - 1)
    grown = True
    while grown:  # by a sentence after it and one before it in turn
        grown = False
        for before, after in ((0, 1), (1, 0)):
            a, b = first - before, last + after
            if a >= 0 and b < len(spans) and spans[b][1] - spans[a][0] <= PASSAGE:
                first, last, grown = a, b, True
    shown = text[spans[first][0] : spans[last][1]] if spans else text
    return f"{hit.chunk.context or hit.title}: {shown[: 2 * PASSAGE]}"
