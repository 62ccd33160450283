"""Quantities, dates and identifiers in a text, in a form that can be compared (pure).

Chinese and English alike: numerals (四百八十, 4.2 million, 5千) become values, units and currencies one code each, months their
number. Texts come in folded (rag.index.tokenization.fold): simplified, half width, lower case.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


def _codes(lines: str) -> dict[str, str]:
    """Lines of "code: names" to name -> code."""
    return {
        name: code.strip()
        for line in lines.strip().splitlines()
        for code, names in [line.split(":")]
        for name in names.split()
    }


_UNITS = _codes("""
    %: % percent per-cent pct 百分之 百分点 个百分点
    CNY: 元 块 人民币 rmb cny yuan ¥ ￥ 元人民币
    USD: 美元 美金 usd dollar dollars $ us$
    EUR: 欧元 eur euro euros €
    GBP: 英镑 gbp pound pounds £
    JPY: 日元 jpy yen
    NOK: 克朗 挪威克朗 nok kroner krone kr
    HKD: 港元 港币 hkd
    second: 秒 second seconds sec secs s
    minute: 分钟 minute minutes min mins
    hour: 小时 个小时 hour hours hr hrs h
    day: 天 日 day days 个工作日 工作日 自然日 日历日
    week: 周 星期 个星期 week weeks
    month: 个月 月 month months
    quarter: 季度 个季度 quarter quarters
    year: 年 year years 周年
    mm: 毫米 mm millimetre millimetres millimeter millimeters
    cm: 厘米 cm
    m: 米 m metre metres meter meters
    km: 公里 千米 km kilometre kilometres kilometer kilometers
    g: 克 g gram grams
    kg: 公斤 千克 kg kilogram kilograms
    t: 吨 tonne tonnes ton tons
    l: 升 l litre litres liter liters
    ml: 毫升 ml
    W: 瓦 w watt watts
    kW: 千瓦 kw
    V: 伏 v volt volts 伏特
    A: 安 amp amps 安培
    bar: bar 巴
    C: 摄氏度 °c ℃ 度 degrees celsius
    B: 字节 byte bytes
    KB: kb
    MB: mb 兆
    GB: gb
    TB: tb
    person: 人 名 位 people persons employees staff 名员工 位员工
    floor: 层 楼 floor floors
    times: 次 倍 times
    piece: 台 件 套 支 张 pieces units
""")
_COUNTERS = frozenset(
    "个种项条家所座间辆艘份册篇首部本只头匹颗枚片根场届章节"
)  # say that things are counted, not which
COUNTS = _COUNTERS | {unit[0] for unit in _UNITS if "\u4e00" <= unit[0] <= "\u9fff"}  # how a Chinese unit may begin
_CURRENCY_BEFORE = _codes("""
    USD: $ us$ usd
    EUR: € eur
    GBP: £ gbp
    CNY: ¥ rmb cny
    NOK: nok
    HKD: hk$
""")
_SCALES = {
    "million": 1e6,
    "billion": 1e9,
    "thousand": 1e3,
    "hundred": 1e2,
    "trillion": 1e12,
    "m": 1e6,
    "bn": 1e9,
    "k": 1e3,
}
_SCALES |= {"十": 10, "百": 1e2, "千": 1e3, "万": 1e4, "亿": 1e8, "百万": 1e6, "千万": 1e7, "万亿": 1e12, "十万": 1e5}
_SMALL = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety hundred"
NUMBER_WORDS = {word: float(i) for i, word in enumerate(_SMALL.split(" "))}
NUMBER_WORDS |= {word: 10.0 * i for i, word in enumerate(_TENS.split(" "), 2)} | {"dozen": 12.0, "half": 0.5}
_MONTH_LIST = "january february march april may june july august september october november december"
MONTHS = {month: i for i, month in enumerate(_MONTH_LIST.split(" "), 1)}
MONTHS |= {month[:3]: i for month, i in MONTHS.items()} | {"sept": 9}
_ZH_DIGITS = (
    {c: i for i, c in enumerate("零一二三四五六七八九")}
    | {c: i for i, c in enumerate("零壹贰叁肆伍陆柒捌玖")}
    | {"〇": 0, "两": 2}
)
_ZH_SCALES = {"十": 10, "百": 100, "千": 1000, "万": 10_000, "亿": 100_000_000, "拾": 10, "佰": 100, "仟": 1000}

_MONTH_NAMES = "|".join(sorted(MONTHS, key=len, reverse=True))
_DATES = [
    re.compile(r"(?P<y>(?:19|20)\d\d)\s*年(?:\s*(?P<m>\d{1,2})\s*月(?:\s*(?P<d>\d{1,2})\s*[日号])?)?"),
    re.compile(r"(?P<m>\d{1,2})\s*月\s*(?P<d>\d{1,2})\s*[日号]"),
    re.compile(r"(?<![\d年])(?P<m>\d{1,2})\s*月(?!\s*[内\d])(?=[份初底中末上下起前后之至到，。、\s]|$)"),
    re.compile(r"\b(?P<y>(?:19|20)\d\d)[-/.](?P<m>\d{1,2})(?:[-/.](?P<d>\d{1,2}))?\b"),
    re.compile(
        rf"\b(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<mn>{_MONTH_NAMES})\b\.?(?:,?\s+(?P<y>(?:19|20)\d\d))?"
    ),
    re.compile(
        rf"\b(?P<mn>{_MONTH_NAMES})\.?\s+(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\b(?!\d)(?:,?\s+(?P<y>(?:19|20)\d\d))?"
    ),
    re.compile(rf"\b(?P<mn>{_MONTH_NAMES})\.?,?\s+(?:of\s+)?(?P<y>(?:19|20)\d\d)\b"),
    re.compile(r"\b(?P<mn>january|february|april|june|july|august|september|october|november|december)\b"),
]
_TIME = re.compile(r"\b([01]?\d|2[0-4])[:：]([0-5]\d)\b")
_IDENTIFIER = re.compile(
    r"(?=[a-z0-9\-_/.]*\d)(?=[a-z0-9\-_/.]*[a-z])[a-z0-9]+(?:[-_/.][a-z0-9]+)*|\b[a-z]+(?:-[a-z]+)*-\d+\b"
)
_NUMBER = re.compile(
    r"(?P<cur>us\$|hk\$|[$€£¥￥]|\b(?:usd|eur|gbp|rmb|cny|nok)\s)?\s?"
    r"(?P<n>\d{1,3}(?:[,，]\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
    r"\s?(?P<scale>million|billion|thousand|trillion|hundred|bn\b|万亿|百万|千万|十万|[十百千万亿](?!瓦|克|米))?"
    r"\s?-?(?P<unit>%|‰|[a-z°℃€$£]+|[\u4e00-\u9fff]{1,4})?"
)
_ZH_NUMBER = re.compile(
    r"百分之(?P<pct>[零〇一二三四五六七八九十百两]+)|(?P<n>[零〇一二两三四五六七八九十百千万亿壹贰叁肆伍陆柒捌玖拾佰仟]{1,12})(?P<unit>[\u4e00-\u9fff]{1,3})?"
)
_EN_NUMBER = re.compile(
    rf"\b(?P<n>{'|'.join(NUMBER_WORDS)})(?:-(?P<n2>one|two|three|four|five|six|seven|eight|nine))?\b\s?(?P<scale>hundred|thousand|million|billion)?\s?-?(?P<unit>[a-z]+)?"
)


_AFTER = re.compile(
    r"(?P<scale>\s?(?:million|billion|thousand|万亿|百万|千万|[万亿]))?(?:\s?(?P<sign>[%‰℃°€])|\s(?P<word>[A-Za-z]+)|\s?(?P<han>[\u4e00-\u9fff]{1,4}))?"
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value and its unit's code; "" when it has none that is known."""

    value: float
    unit: str
    shown: str


@dataclass(frozen=True, slots=True)
class Date:
    """A date as far as it is given: a part that is not given is 0."""

    year: int
    month: int
    day: int
    shown: str


def take_dates(text: str) -> tuple[str, list[Date]]:
    """The text without its dates, and the dates."""
    found: list[Date] = []

    def take(match: re.Match[str]) -> str:
        groups = match.groupdict()
        month = MONTHS[groups["mn"]] if groups.get("mn") else int(groups.get("m") or 0)
        day = int(groups.get("d") or 0)
        if month > 12 or day > 31:
            return match.group()
        found.append(Date(int(groups.get("y") or 0), month, day, match.group().strip()))
        return " ; "

    for pattern in _DATES:
        text = pattern.sub(take, text)
    return text, found


def take_identifiers(text: str) -> tuple[str, list[str]]:
    """The text without its part numbers, codes and times of day, and those, without hyphens."""
    found = []
    for match in _TIME.finditer(text):
        found.append(f"{int(match.group(1))}:{match.group(2)}")
    text = _TIME.sub(" ; ", text)

    def take(match: re.Match[str]) -> str:
        word = match.group()
        parts = re.fullmatch(r"(\d+(?:\.\d+)?)-?([a-z°]+)", word)
        if parts and (parts.group(2) in _UNITS or parts.group(2) in ("k", "m", "bn", "st", "nd", "rd", "th")):
            return f"{parts.group(1)} {parts.group(2)}"
        found.append(re.sub(r"[-_/.]", "", word))
        return " ; "

    return _IDENTIFIER.sub(take, text), found


def quantities(text: str) -> list[Quantity]:
    """Every number of a text that has no dates and identifiers any more, as a value with a unit."""
    found: list[Quantity] = []

    def number(match: re.Match[str]) -> str:
        value = float(re.sub("[,，]", "", match.group("n")))
        scale, unit = match.group("scale") or "", (match.group("unit") or "").strip()
        value *= _SCALES.get(scale, 1)
        if not scale and unit in ("m", "bn", "k") and match.group("cur"):
            value, unit = value * _SCALES[unit], ""
        code = _CURRENCY_BEFORE.get((match.group("cur") or "").strip()) or unit_code(unit)
        found.append(Quantity(value, code, match.group().strip()))
        return " ; "

    text = _NUMBER.sub(number, text)
    for match in _ZH_NUMBER.finditer(text):
        if match.group("pct"):
            found.append(Quantity(_zh_value(match.group("pct")), "%", match.group()))
            continue
        digits, unit = match.group("n"), match.group("unit") or ""
        code = unit_code(unit)
        # A single numeral without a known unit is usually part of a word (一般, 三亚, 万科).
        if code or (len(digits) >= 2 and not re.fullmatch(r"[千万百亿十]+", digits)) or unit[:1] in "个条章项种间":
            if digits in ("一",) and not code:
                continue
            found.append(Quantity(_zh_value(digits), code, match.group()))
    for match in _EN_NUMBER.finditer(text):
        value = NUMBER_WORDS[match.group("n")] + NUMBER_WORDS.get(match.group("n2") or "", 0.0)
        code = unit_code(match.group("unit") or "")
        if match.group("n") == "one" and not code:
            continue
        found.append(Quantity(value * _SCALES.get(match.group("scale") or "", 1), code, match.group().strip()))
    return found


def unit_after(text: str) -> str:
    """The scale and the unit with which `text`, what stands behind a number, begins, as they are written; "" when there is none."""
    match = _AFTER.match(text)
    if match is None:
        return ""
    end = match.end("scale") if match.group("scale") else 0
    word, han = match.group("word"), match.group("han") or ""
    if match.group("sign") or (word and word.lower() in _UNITS):
        end = match.end()
    known = next((n for n in range(len(han), 0, -1) if han[:n] in _UNITS), 1 if han[:1] in _COUNTERS else 0)
    return text[: match.start("han") + known] if known else text[:end]


def zh_numerals(value: int) -> list[str]:
    """How a whole number below 100 is written in Chinese: 2 is 二 or 两, 20 is 二十."""
    digits = "零一二三四五六七八九"
    tens, ones = divmod(value, 10)
    written = (digits[tens] if tens > 1 else "") + ("十" if tens else "") + (digits[ones] if ones or not tens else "")
    return [written, "两"] if value == 2 else [written]


def unit_code(unit: str) -> str:
    """The code of a unit written after a number, "" when it is not known. Chinese units are the longest known beginning."""
    if unit in _UNITS:
        return _UNITS[unit]
    for length in range(min(len(unit), 4), 0, -1):
        if not unit[:1].isascii() and unit[:length] in _UNITS:
            return _UNITS[unit[:length]]
    return ""


def _zh_value(digits: str) -> float:
    if all(c in _ZH_DIGITS for c in digits):
        return float("".join(str(_ZH_DIGITS[c]) for c in digits))
    total, section, number = 0, 0, 0
    for c in digits:
        if c in _ZH_DIGITS:
            number = _ZH_DIGITS[c]
        else:
            scale = _ZH_SCALES[c]
            if scale >= 10_000:
                total = (total + section + number) * scale
                section = 0
            else:
                section += (number or 1) * scale
            number = 0
    return float(total + section + number)
