"""Why a wrong answer of the `rag` arm is wrong: the first step at which the gold was lost, found by swapping steps for perfect ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from eval.given import Given
from eval.golden import GoldenQuestion
from eval.passages import HOLDS, find_document, gold_chunks, holds
from rag.protocols import Retriever
from rag.types import SearchRequest

if TYPE_CHECKING:
    from rag.storage.snapshot import Snapshot

# In the order of the way from file to answer.
STEPS_ZH = {
    "not in corpus": "语料中没有",
    "lost in parsing": "解析时丢失",
    "lost in chunking": "分块时丢失",
    "dense": "向量检索",
    "keyword": "关键词检索",
    "fusion": "融合排序",
    "rerank": "重排",
    "context cut": "上下文截断",
    "refused wrongly": "误拒答",
    "ignored by the model": "模型未采用",
    "answered what nothing answers": "无答案却作答",
}
STEPS = tuple(STEPS_ZH)
DEEP = 100  # hits looked at to see where the gold went


def attribute(
    q: GoldenQuestion,
    g: Given,
    snapshot: Snapshot,
    retriever: Retriever,
    k: int,
    oracle_correct: bool | None = None,
) -> str:
    """The step that lost a wrong answer `g` to `q`. `oracle_correct`: whether the model answered it given the gold passages
    (None when that arm did not run)."""
    if not q.answerable:
        return "answered what nothing answers"
    documents = [find_document(snapshot, d) for d in q.documents]
    if not documents or any(d is None for d in documents):
        return "not in corpus"
    ids = {q.documents[i]: d for i, d in enumerate(documents) if d is not None}
    for span in q.spans:
        document = ids.get(span.document)
        if document is not None and holds(snapshot.document(document).text, span.quote) < HOLDS:
            return "lost in parsing"
    gold = gold_chunks(snapshot, q)
    for span in q.spans:
        if not any(holds(c.text, span.quote) >= HOLDS for c in gold):
            return "lost in chunking"
    lost = _lost_in_search({c.id for c in gold}, q, retriever, k)
    if lost:
        return lost
    if any(not any(_same(d, p) for p in g.offered) for d in q.documents):
        return "context cut"
    if g.status == "abstained":
        return "refused wrongly" if oracle_correct is not False else "ignored by the model"
    return "ignored by the model"


def _lost_in_search(gold: set[int], q: GoldenQuestion, retriever: Retriever, k: int) -> str:
    """The stage of the search that lost a gold chunk, "" when the answer's hits have them all or enough of them."""
    hits = retriever.search(SearchRequest(q.question, k=DEEP, explain=True)).hits
    rank = {h.chunk.id: n for n, h in enumerate(hits, 1)}
    documents_above = {h.chunk.document for h in hits[:k]}
    for chunk in gold:
        if rank.get(chunk, DEEP + 1) <= k:
            continue
        found = next((h for h in hits if h.chunk.id == chunk), None)
        if found is None:
            dense = retriever.search(SearchRequest(q.question, k=DEEP, mode="dense", rerank=False)).hits
            keyword = retriever.search(SearchRequest(q.question, k=DEEP, mode="keyword", rerank=False)).hits
            in_dense = any(h.chunk.id == chunk for h in dense)
            in_keyword = any(h.chunk.id == chunk for h in keyword)
            if in_dense and in_keyword:
                return "fusion"
            return "keyword" if in_dense else "dense"
        if found.chunk.document in documents_above:
            continue  # another chunk of the same document was offered: what it says decides
        fused = found.stages.get("fusion")
        return "rerank" if fused is not None and fused.rank <= k else "fusion"
    return ""


def _same(document: str, path: str) -> bool:
    return path == document or path.endswith(f"/{document}") or document.endswith(f"/{path}")


def count(steps: Mapping[str, str] | Sequence[str]) -> dict[str, int]:
    """Step -> how many answers it lost, in the order of the way."""
    values = list(steps.values()) if isinstance(steps, Mapping) else list(steps)
    return {s: values.count(s) for s in STEPS if s in values}
