"""Words of Chinese text, and which of them name places, people and organisations, by jieba's part-of-speech tags."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

_TAGS = frozenset({"ns", "nr", "nt", "nrt", "nrfg"})
# What the dictionary calls a name and documents mean as a word.
_NOT_NAMES = frozenset(
    [
        "高铁",
        "明文",
        "安全",
        "平安",
        "和平",
        "长安",
        "小时",
        "经理",
        "主管",
        "总监",
        "项目",
        "系统",
        "单价",
        "双方",
        "万元",
        "千瓦",
        "白天",
        "高峰",
        "周末",
        "宝宝",
        "明确",
        "方可",
        "任何",
        "马上",
        "安排",
        "温度",
        "国内",
        "国外",
        "境外",
        "全国",
        "本国",
        "外国",
    ]
)


@lru_cache(maxsize=4096)
def zh_names(text: str) -> list[str]:
    """Names of two characters or more, in order. `text` is folded (simplified, half width)."""
    return [word for word, tag in _tagger().tag(text) if tag in _TAGS and len(word) > 1 and word not in _NOT_NAMES]


def zh_words(text: str) -> list[str]:
    """Words of a Chinese run, in order, every character in exactly one."""
    return list(_tagger().cut(text))


@cache
def _tagger() -> Any:
    import rjieba

    return rjieba.Jieba()
