"""What a text says besides figures: its content words, names, negations, limits and opposites (pure)."""

from __future__ import annotations

import re
from functools import cache, lru_cache

from rag.generation.quantities import MONTHS, NUMBER_WORDS, unit_code
from rag.generation.zh_words import zh_names, zh_words
from rag.index.tokenization import fold, tokenize

# fmt: off
# Limits ("no more than") are folded away before negations are looked for.
_LIMITS = [
    (re.compile(
        r"不(?:得|能|可|应|会)?(?:超过|多于|高于|大于|超出)|至多|最多|最高|上限为?|以内|\b(?:no|not) (?:more|longer|later|higher|greater|larger) than\b|\b(?:not|never) (?:to )?exceed(?:ing)?\b|\bat most\b|\bup to\b|\bmaximum\b|\bmax\b"
    ), " ≤ "),
    (re.compile(
        r"不(?:得|能|可|应|会)?(?:少于|低于|小于|足)|至少|最少|最低|起码|\b(?:no|not) (?:less|fewer|lower|earlier|shorter|smaller) than\b|\bat least\b|\bminimum\b"
    ), " ≥ "),
    (re.compile(
        r"超过|多于|高于|大于|\bmore than\b|\bexceed(?:s|ing)?\b|\babove\b|\bover(?= \d)"
    ), " ≥ "),
    (re.compile(
        r"少于|低于|小于|不足|\bless than\b|\bfewer than\b|\bbelow\b|\bunder(?= \d)"
    ), " ≤ "),
]
_NOT_NEGATIONS = re.compile(
    r"不仅|不但|不同|不锈钢|不断|不管|不论|无论|无线|非常|未来|特别|区别|级别|类别|个别|别的|分别|性别|识别|告别|无人机|无锡|不过|不少|没收|免费|莫名|否则|是否|能否|可否|不可抗力|不动产|not only|no later|no\.\s*\d|nothing but|whether or not"
)
_NEGATION = re.compile(
    r"\b(?:not|no|never|cannot|can't|won't|don't|doesn't|didn't|isn't|aren't|wasn't|weren't|hasn't|haven't|shouldn't|mustn't|needn't|"
    r"couldn't|wouldn't|n't|neither|nor|none|nobody|nothing|without|forbidden|prohibited|prohibits?|banned|refuses?|refused|excluded|"
    r"excluding|excludes?|lacks?|unable|ineligible|unpaid|exempt|fails?|failed)\b|不得|不能|不可|不准|不许|不会|不应|不再|不需|不予|不包括|不包含|无需|无须|"
    r"没有|并未|尚未|未曾|未能|禁止|严禁|切勿|请勿|不|没|未|无|勿|非(?=[\u4e00-\u9fff])"
)
_OPPOSITES = [tuple(pair.split("/")) for pair in (
    "before/after", "increase/decrease", "increas/decreas", "rise/fall", "earlier/later", "open/close",
    "include/exclude", "includ/exclud", "allow/forbid", "permit/prohibit", "first/last", "start/end",
    "minimum/maximum", "above/below", "paid/unpaid", "mandatori/option", "requir/option", "buy/sell", "accept/reject",
    "eligibl/inelig", "internal/extern", "intern/extern", "higher/lower", "之前/之后", "以前/以后", "增加/减少", "上升/下降", "提前/推迟",
    "包括/除外", "允许/禁止", "可以/禁止", "必须/可选", "必须/自愿", "同意/拒绝", "开始/结束", "最早/最晚", "内部/外部", "收入/支出", "高于/低于", "以上/以下",
)]
_STOP = """
    a an the of to in on at by for with from and or but is are was were be been being am do does did has have had
    will would can could may might must shall should it its this that these those there here he she they them his
    her their we our you your i me my as if than then so such each every any all some which who whom whose what
    when where why how also more most other into over under about per up down out not no nor only own same very
    just both few during until while because according source sources state stated states say says said mention
    mentioned document answer question provided follow follows 的 了 是 在 和 与 或 及 对 为 以 于 由 从 到 被 把 将 这 那 其 该 此 之 等 也
    都 就 而 但 并 且 如 若 则 所 者 中 上 下 内 外 一 个 根据 资料 提到 显示 问题 回答 应该 可以 需要 进行 以及 什么 多少 哪些 哪个 哪里 怎么 怎样 如何 为什么 是否 请问 几个
"""
STOPWORDS = frozenset(_STOP.split())
# fmt: on


@cache
def stop_terms() -> frozenset[str]:
    """Stop words as written and as the tokenizer stems them."""
    return STOPWORDS | {t for w in STOPWORDS if w.isascii() for t in tokenize(w)}


@lru_cache(maxsize=8192)
def content_terms(text: str) -> tuple[str, ...]:
    """Content words of folded text in order: English stems, Chinese words of two characters or more; no stop words, no bare
    numbers."""
    stop = stop_terms()
    terms: list[str] = []
    for run in _SCRIPT_RUN.findall(text):
        if _HAN_START.match(run):
            terms += [w for w in zh_words(run) if len(w) > 1 and w not in stop and not _ZH_NUMERAL.fullmatch(w)]
        else:
            terms += [
                t
                for t in tokenize(run)
                if len(t) > 1 and t not in stop and not _NUMBER_WORD.fullmatch(t) and not _BARE_NUMBER.fullmatch(t)
            ]
    return tuple(terms)


_HAN_START = re.compile(r"[\u3400-\u9fff]")
_SCRIPT_RUN = re.compile(r"[\u3400-\u9fff]+|[^\u3400-\u9fff]+")
_ZH_NUMERAL = re.compile(r"[零〇一二两三四五六七八九十百千万亿]+")
_NUMBER_WORD = re.compile(rf"(?:(?:{'|'.join(NUMBER_WORDS)}|twenti|thirti|forti|fifti|sixti|seventi|eighti|nineti)-?)+")
_BARE_NUMBER = re.compile(r"[\d.,:%/-]+")


_EN_NAME = re.compile(r"\b[A-Z][\w'’&-]*(?:[ ](?:of|the|and|de|van|von|&)?[ ]?[A-Z][\w'’&-]*)*")


def names(raw: str) -> set[str]:
    """Folded names in a text that still has its capitals: people, places, products, acronyms."""
    found: set[str] = set()
    for match in _EN_NAME.finditer(raw):
        for word in _named(match.group().split(), starts=_starts_sentence(raw, match.start())):
            low = re.sub(r"['’]s$", "", word).lower().strip("-&'’")
            if len(low) > 1 and low not in STOPWORDS and low not in _NO_NAMES and not unit_code(low):
                found.add(low)
    return found | set(_zh_names(fold(raw)))


def _starts_sentence(raw: str, at: int) -> bool:
    before = raw[:at].rstrip()
    return not before or before[-1] in '.!?:;。！？：；\n*•-(（"“'


def _named(words: list[str], starts: bool) -> list[str]:
    """Of words with capitals those that name something: the first word of a sentence has one anyway."""
    if not starts:
        return words
    if len(words) == 1:
        return words if words[0].isupper() and len(words[0]) > 1 else []
    return words[1:] if words[0].lower() in _COMMON_STARTS else words


_COMMON_STARTS = frozenset(STOPWORDS | {"full-time", "part-time", "employees", "staff", "yes"})
_NO_NAMES = frozenset(MONTHS) | {"yes", "ok", "mr", "mrs", "ms", "dr", "i", "english", "chinese"}


def _zh_names(text: str) -> list[str]:
    if not re.search(r"[\u4e00-\u9fff]", text):
        return []
    return zh_names(text)


def polarity(text: str) -> tuple[set[str], set[str]]:
    """Content words right after a negation, and the others."""
    negated: set[str] = set()
    plain: set[str] = set()
    text = _hide_false_negations(text)
    for clause in re.split(r"[,;:.!?，；：。！？、\n]+|\bbut\b|但是?|\bunless\b|\bexcept\b", text):
        at = 0
        inside = False
        for match in [*_NEGATION.finditer(clause), None]:
            piece = clause[at : match.start() if match else len(clause)]
            words = list(dict.fromkeys(content_terms(piece)))
            if inside:
                scope = set(words[: 3 if _HAN_START.search(piece) else 2])
                negated |= scope
                plain |= set(words) - scope
            else:
                plain |= set(words)
            if match is None:
                break
            at, inside = match.end(), True
    return negated, plain


def negations(text: str) -> int:
    """How many negations a folded text has; limits ("no more than") and words that only look like one do not count."""
    limited, _ = take_limits(text)
    return len(_NEGATION.findall(_hide_false_negations(limited)))


def clause_texts(text: str) -> list[str]:
    """The clauses of a folded text, cut at commas and stops; numbers such as 2,150 stay whole."""
    return [c for c in re.split(r"(?<!\d)[,:.](?!\d)|(?<=\d)[,:.](?!\d)|[;!?，；：。！？、\n]+", text) if c.strip()]


def _hide_false_negations(text: str) -> str:
    return _NOT_NEGATIONS.sub(lambda m: " " if not m.group().isascii() else " also ", text)


def take_limits(text: str) -> tuple[str, frozenset[str]]:
    """The text with "at most", 不超过 and the like replaced by ≤ and ≥, and which of the two there are."""
    limits: set[str] = set()
    for pattern, sign in _LIMITS:
        text, n = pattern.subn(sign, text)
        if n:
            limits.add(sign.strip())
    return text, frozenset(limits)


def opposite(word_set: frozenset[str], others: frozenset[str]) -> str | None:
    """A word of the first set whose opposite stands in the second instead of it, or None."""
    for one, other in _OPPOSITES:
        for x, y in ((one, other), (other, one)):
            if x in word_set and x not in others and y in others and y not in word_set:
                return x
    return None
