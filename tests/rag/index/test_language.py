"""`detect` tells the main language by script."""

from __future__ import annotations

import pytest

from rag.index.language import detect


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The annual leave policy", "en"),
        ("员工年假政策", "zh"),
        ("PX-77 的保修期是多久？", "zh"),
        ("什么是 VPN", "zh"),
        ("What does 年假 mean in the policy?", "en"),
        ("カタカナとひらがなの文章", "ja"),
        ("日本語の文章です", "ja"),
        ("한국어 문장입니다", "ko"),
        ("Правила отпуска", "ru"),
        ("12345 !?", "en"),
        ("", "en"),
    ],
)
def test_main_language(text: str, language: str) -> None:
    assert detect(text) == language
