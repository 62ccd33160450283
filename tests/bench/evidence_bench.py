#!/usr/bin/env python3
"""How many altered sentences the evidence check flags, and how many true ones.

    python tests/bench/evidence_bench.py [--data ../shared/data] [--n 400] [--seed 7] [--show 5]

True sentences are sentences of public documents (handbooks, laws, encyclopedia paragraphs; Chinese and English), as they are and
reworded by script; altered ones have one number, date, name or negation changed, or cite another source. Only the cited source
counts (no repair). Half of the documents were used while the check was written (`--half dev`); figures are of the other half.
"""

from __future__ import annotations

import argparse
import calendar
import gzip
import json
import random
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from rag.generation.evidence import Evidence, check
from rag.generation.facts import facts
from rag.generation.sentences import sentence_spans

SETS = ("handbook", "xquad_en", "handbook_zh", "xquad_zh", "cmrc2018")


def corpus(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Id, title and text of each document."""
    file = folder / "corpus.jsonl"
    zipped = Path(f"{file}.gz")
    with gzip.open(zipped, "rt", encoding="utf-8") if zipped.exists() else file.open(encoding="utf-8") as lines:
        for line in lines:
            d = json.loads(line)
            yield d["id"], d.get("title", ""), d["text"]


def sentences_of(text: str) -> list[str]:
    """Whole sentences of readable length; no headings, tables or markup."""
    found = [text[a:b] for a, b in sentence_spans(text)]
    return [s for s in found if 25 <= len(s) * (2 if re.search(r"[\u4e00-\u9fff]", s) else 1) <= 260 and re.search(r"[.。]$", s) and not re.search(r"[|`*_#\[\]<>{}]", s)]  # fmt: skip


def reworded(sentence: str, rng: random.Random) -> str:
    """The same said slightly differently: an opening added, or a leading clause moved to the end."""
    chinese = bool(re.search(r"[\u4e00-\u9fff]", sentence))
    kind = rng.randrange(3)
    if kind == 0:
        return ("根据资料，" if chinese else "According to the document, ") + sentence
    parts = re.split(r"，" if chinese else r", ", sentence[:-1], maxsplit=1)
    if kind == 1 and len(parts) == 2 and len(parts[1]) > 8:
        return parts[1] + ("，" if chinese else ", ") + parts[0] + sentence[-1]
    if len(parts) == 2 and len(parts[1]) > 12:
        return parts[1] + sentence[-1]  # the second half alone
    return sentence


def alter_number(s: str, rng: random.Random, _: list[str]) -> str | None:
    spots = [
        m
        for m in re.finditer(r"(?<![\w.\-/])\d[\d,]*(?:\.\d+)?(?![\w\-/]|[,.]\d)", s)
        if m.group() not in s[: m.start()]
    ]
    spots = [m for m in spots if not re.match(r"\s*(?:年|月|日|January|February|March|April|May|June|July|August|Sept|Oct|Nov|Dec)", s[m.end() :]) and not re.search(r"(?:年|月|January|February|March|April|May|June|July|August|September|October|November|December)\s*$", s[: m.start()])]  # fmt: skip
    if not spots:
        return None
    m = rng.choice(spots)
    digits = list(m.group())
    at = rng.choice([i for i, c in enumerate(digits) if c.isdigit()])
    digits[at] = rng.choice([c for c in "123456789" if c != digits[at]])
    return s[: m.start()] + "".join(digits) + s[m.end() :]


_MONTHS = list(calendar.month_name)[1:]


def alter_date(s: str, rng: random.Random, _: list[str]) -> str | None:
    spots = list(re.finditer(rf"\b(?:{'|'.join(_MONTHS)})\b(?=\s+\d)|(?<=\d )(?:{'|'.join(_MONTHS)})\b|(?:19|20)\d\d(?=年)|\d{{1,2}}(?=月\d)|(?<=\b(?:in|In) )(?:1[5-9]|20)\d\d\b", s))  # fmt: skip
    spots = [m for m in spots if s.count(m.group()) == 1]
    if not spots:
        return None
    m = rng.choice(spots)
    if m.group() in _MONTHS:
        new = rng.choice([x for x in _MONTHS if x != m.group()])
    else:
        value = int(m.group())
        new = str(value + rng.choice([-7, -3, 2, 5, 11])) if value > 12 else str(value % 12 + 1)
    return s[: m.start()] + new + s[m.end() :]


def alter_negation(s: str, rng: random.Random, _: list[str]) -> str | None:
    for pattern, new in [
        (r"\b(is|are|was|were|can|may|must|should|will|does|do|did|has|have) not\b", r"\1"),
        (r"\bcannot\b", "can"),
        (r"\b(don't|doesn't|didn't)\s", ""),
        (r"不得|不能|不可", "可以"),
        (r"没有", "有"),
        (r"\b(is|are|was|were|can|may|must|should|will|would|could)\b (?!not\b|be not)", r"\1 not "),
        (r"应当", "不应当"),
        (r"可以", "不得"),
        (r"(?<!不)(是|有|能|会)(?!否|关|效|限|着)", r"不\1"),
    ]:
        spots = list(re.finditer(pattern, s))
        if len(spots) >= 1:
            m = rng.choice(spots)
            return s[: m.start()] + m.expand(new) + s[m.end() :]
    return None


def alter_entity(s: str, rng: random.Random, strangers: list[str]) -> str | None:
    from rag.generation.wording import names

    own = sorted(names(s))
    spots = [m for n in own for m in re.finditer(re.escape(n), s, re.IGNORECASE) if n.isalpha()]
    spots = [m for m in spots if len(re.findall(re.escape(m.group()), s, re.IGNORECASE)) == 1 and (m.group()[0].isupper() or not m.group().isascii())]  # fmt: skip
    fitting = [x for x in strangers if x.isascii() == (spots[0].group().isascii() if spots else True) and x.lower() not in s.lower()]  # fmt: skip
    if not spots or not fitting:
        return None
    m = rng.choice(spots)
    new = rng.choice(fitting)
    return s[: m.start()] + (new.capitalize() if m.group()[0].isupper() else new) + s[m.end() :]


ALTERATIONS = {"number": alter_number, "date": alter_date, "negation": alter_negation, "entity": alter_entity}


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--data", type=Path, default=Path("../shared/data"))
    ap.add_argument("--n", type=int, default=400, help="sentences of each set")
    ap.add_argument("--seed", type=int, default=7)
    ap.add_argument("--half", choices=["dev", "test"], default="test")
    ap.add_argument("--show", type=int, default=0, help="mistakes of each kind to print")
    args = ap.parse_args()
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    mistakes: dict[str, list[str]] = defaultdict(list)
    for name in SETS:
        rng = random.Random(args.seed)
        documents = [d for i, d in enumerate(corpus(args.data / name)) if (i % 2 == 1) == (args.half == "test")]
        rng.shuffle(documents)
        strangers = sorted({n for _, _, t in documents[:150] for s in sentences_of(t)[:3] for n in facts(s).names if n.isalpha() and len(n) > 1})  # fmt: skip
        done = 0
        for at, (_, title, text) in enumerate(documents):
            text = text[:1500]  # a chunk's length
            own = sentences_of(text)
            if not own or done >= args.n:
                continue
            source = Evidence(1, text, title)
            other = Evidence(1, documents[at - 1][2][:1500], documents[at - 1][1])
            for sentence in rng.sample(own, min(2, len(own))):
                done += 1
                trials = [("true", sentence, source), ("true, reworded", reworded(sentence, rng), source), ("wrong source", sentence, other)]  # fmt: skip
                trials += [
                    (kind, altered, source)
                    for kind, f in ALTERATIONS.items()
                    if (altered := f(sentence, rng, strangers))
                ]
                for kind, said, held in trials:
                    if kind == "wrong source" and said[:-1] in held.text:
                        continue
                    verdict, _, reason, _ = check(f"{said[:-1]} [1]{said[-1]}", [1], [held], repair=False)
                    flagged = verdict != "supported"
                    language = "zh" if name in ("handbook_zh", "xquad_zh", "cmrc2018") else "en"
                    for key in (f"{kind} ({language})", kind):
                        counts[key][0] += flagged
                        counts[key][1] += 1
                    if flagged == kind.startswith("true") and len(mistakes[kind + language]) < args.show:
                        mistakes[kind + language].append(f"  {kind} {verdict} {reason} | {said}")
    for kind in sorted(counts):
        flagged, n = counts[kind]
        low, high = wilson(flagged, n)
        print(f"{kind:24} flagged {flagged / n:6.1%} [{low:.1%}, {high:.1%}] n={n}")
    altered = [(k, v) for k, v in counts.items() if "true" not in k and "(" not in k]
    flagged, n = sum(v[0] for _, v in altered), sum(v[1] for _, v in altered)
    low, high = wilson(flagged, n)
    print(f"{'all altered':24} flagged {flagged / n:6.1%} [{low:.1%}, {high:.1%}] n={n}")
    for lines in mistakes.values():
        print("\n".join(lines))


def wilson(hits: int, n: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    if n == 0:
        return 0.0, 1.0
    z, p = 1.96, hits / n
    middle, half = p + z * z / (2 * n), z * ((p * (1 - p) + z * z / (4 * n)) / n) ** 0.5
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


if __name__ == "__main__":
    main()
