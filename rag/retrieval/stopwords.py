"""Words that say nothing about what is searched for. They stay in the index; a question is asked without them."""

from __future__ import annotations

from functools import cache

from rag.index.tokenization import tokenize

# Question words and function words. "not" and numbers stay out of the list: they carry meaning in rules.
_ENGLISH = """
a about after again all also am an and any are as at be been before being both but by can could did do does doing done during each
few for from further had has have having he her here hers him his how i if in into is it its itself just may me might mine more
most must my of off on once only or other our ours out over own shall she should so some such than that the their theirs them
themselves then there these they this those through to too under until up upon us very was we were what when where which while
who whom whose why will with would you your yours
"""
_CHINESE = """
的 了 和 是 在 有 与 及 或 吗 呢 啊 吧 么 什么 怎么 怎样 如何 哪 哪些 哪个 哪里 谁 多少 为什么 被 把 对 从 到 于 以 之 其 也 都 就 而 并 这
那 我 你 他 她 它 我们 你们 他们 请问 一下
"""


@cache
def stop_tokens() -> frozenset[str]:
    """The tokens of the stop words, as the tokenizer makes them."""
    return frozenset(t for word in (*_ENGLISH.split(), *_CHINESE.split()) for t in tokenize(word))
