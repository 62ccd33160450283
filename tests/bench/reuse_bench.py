#!/usr/bin/env python3
"""How much of a second question's sources the model has read before, without a model: what reading ahead is worth.

    python -m tests.bench.reuse_bench [--data ../shared/data] [--sets xquad_en,xquad_zh] [--ahead=-1,0,200,800] [--work DIR]

Articles become files and are ingested. Of each, a question is asked (what it cites is taken to be the passage with its answer), and
then another one, about the same paragraph or about the next one of the article. Printed are, by tokens read ahead in between: new source
tokens of the second question, the share of second questions with none, the share whose gold answer stands in what is shown, and tokens
shown; -1 is a second question asked as if it were the first. What the service does, but for the model's own words.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from pathlib import Path
from statistics import mean, median
from typing import Any

from ingest.indexing import IngestOptions, ingest
from rag.generation import context as reading
from rag.generation.answering import READ_AHEAD_STEP, to_read_ahead
from rag.generation.prompt_memory import PromptMemory
from rag.retrieval.rewriting import parts
from rag.settings import Settings
from rag.types import Hit, SearchRequest
from rag.wiring import Services
from tests.bench.answers_bench import article_files, documents_of, questions_on

BUDGET = 420


@dataclass(frozen=True, slots=True)
class Pair:
    """Two questions about one article, one after the other."""

    first: dict[str, Any]
    second: dict[str, Any]


def asked(folder: Path) -> dict[str, list[Pair]]:
    """Pairs by what the second question is about."""
    of = questions_on(folder)
    out: dict[str, list[Pair]] = defaultdict(list)
    for documents in documents_of(folder).values():
        for here, following in pairwise(documents[1:]):
            if len(of[here]) >= 2:
                out["same paragraph"].append(Pair(of[here][0], of[here][-1]))
            if of[here] and of[following]:
                out["next paragraph"].append(Pair(of[here][0], of[following][0]))
    return out


def read(services: Services, question: str, memory: PromptMemory) -> tuple[reading.Context, tuple[Hit, ...]]:
    """What is shown for a question, and the hits."""
    hits = services.retriever().search(SearchRequest(question)).hits
    several = len(parts(question)) > 1

    def cut(*, by_words: bool = False) -> reading.Context:
        return reading.select(question, hits, BUDGET, None if by_words else services.relevance(), several=several)

    return memory.chosen(cut, hits, BUDGET, words_tell=not several), hits


def new_tokens(shown: reading.Context, before: reading.Context) -> int:
    """Tokens of the sources behind the longest beginning that an earlier prompt shares."""
    for i, (source, old) in enumerate(zip_longest(shown.sources, before.sources)):
        if source is None or source == old:
            continue
        whole = old is None or not old.text.startswith(source.text)
        rest = shown.sources[i if whole else i + 1 :]
        return reading.tokens_of(rest)
    return 0


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--data", type=Path, default=Path("../shared/data"))
    ap.add_argument("--sets", default="xquad_en,xquad_zh")
    ap.add_argument("--ahead", default="-1,0,200,800")
    ap.add_argument("--n", type=int, default=60)
    ap.add_argument("--work", type=Path)
    args = ap.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        for name in args.sets.split(","):
            folder, work = args.data / name, (args.work or Path(temporary)) / name
            docs = work / "docs"
            with Services(Settings.load(home=work / "home", generator="embedded"), lasting=True) as services:
                if not docs.exists():
                    docs.mkdir(parents=True)
                    for title, text in article_files(folder).items():
                        (docs / f"{title.replace('/', '_')}.txt").write_text(text, encoding="utf-8")
                    services.collection(create=True)
                    ingest([docs], services, IngestOptions())
                for kind, pairs in asked(folder).items():
                    step = max(len(pairs) // args.n, 1)
                    for ahead in map(int, args.ahead.split(",")):
                        rows = [pair(services, p, ahead) for p in pairs[::step][: args.n]]
                        new, shown, tokens = zip(*rows, strict=True)
                        line = {"set": name, "second question": kind, "read ahead": ahead, "n": len(rows)}
                        line |= {"new tokens, median": median(new), "mean": round(mean(new))}
                        line |= {"none new": round(mean(n == 0 for n in new), 3), "answer shown": round(mean(shown), 3)}
                        print(json.dumps(line | {"tokens shown, median": median(tokens)}), flush=True)


def pair(services: Services, of: Pair, ahead: int) -> tuple[int, bool, int]:
    """New tokens of the second question, whether its answer is shown, and the tokens shown."""
    shown, found = read(services, of.first["query"], PromptMemory())
    cited = [h for h in shown.hits if any(_bare(a) in _bare(h.chunk.text) for a in of.first["answers"])]
    passages = to_read_ahead(cited[:1] or shown.hits[:1], found)
    before = [shown, *reading.growing(passages, ahead, READ_AHEAD_STEP)] if ahead >= 0 else []
    memory = PromptMemory()
    for context in before:
        memory.remember(context)
    then, _ = read(services, of.second["query"], memory)
    new = min((new_tokens(then, b) for b in before), default=then.tokens)
    return new, any(_bare(a) in _bare(s.text) for a in of.second["answers"] for s in then.sources), then.tokens


def _bare(text: str) -> str:
    return "".join(text.split())


if __name__ == "__main__":
    main()
