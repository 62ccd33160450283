"""Which kinds a question belongs to: its own, its language, and where its facts stand to what was trained. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eval.golden import GoldenQuestion

ORDER = (
    "all", "fact", "number", "multi-document", "cross-lingual", "changed", "changed after training", "unanswerable",
    "in-training fact", "held-out fact", "style", "zh", "en",
)  # fmt: skip


def kinds_of(
    q: GoldenQuestion, trained: Mapping[str, str] | None = None, current: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """The kinds of one question. `trained`: path -> content hash of the documents the adapter learned from (None without an
    adapter); `current`: the same of the collection now."""
    found = ["all", q.kind, "zh" if q.lang == "zh" else "en", *q.tags]
    if trained is not None and q.answerable and q.documents:
        learned = [d for d in q.documents if d in trained]
        changed = current is not None and any(trained[d] and current.get(d, trained[d]) != trained[d] for d in learned)
        if changed:
            found.append("changed after training")
        else:
            found.append("in-training fact" if len(learned) == len(q.documents) else "held-out fact")
    return tuple(dict.fromkeys(found))


def by_kind(tags: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Question id -> kinds, turned round: kind -> question ids, in the order of the report."""
    found: dict[str, list[str]] = {}
    for question, kinds in tags.items():
        for kind in kinds:
            found.setdefault(kind, []).append(question)
    known = [k for k in ORDER if k in found]
    return {k: found[k] for k in [*known, *sorted(set(found) - set(known))]}
