"""What an arm said to a question, and what each such answer scores. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from eval.golden import GoldenQuestion
from eval.prompts import refuses
from eval.text_metrics import chrf, exact_match, f1, fact_recall, rouge_l, states
from rag.types import Answer


@dataclass(frozen=True, slots=True)
class Given:
    """One answer of one arm. Seconds and tokens as the arm measured them."""

    arm: str
    question: str  # GoldenQuestion.id
    text: str
    status: Literal["answered", "abstained"]
    cited: tuple[str, ...] = ()  # paths of the cited documents, one per citation
    offered: tuple[str, ...] = ()  # paths of the sources the model was given, in order
    verdicts: tuple[str, ...] = ()  # of its sentences
    retrieve: float = 0.0
    first_token: float = 0.0
    total: float = 0.0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    finish_reason: str = "stop"
    memory_mb: float = 0.0  # of the whole process when it answered
    quotes: tuple[str, ...] = field(default=())

    def record(self) -> dict[str, Any]:
        """As JSON: a line of answers.jsonl."""
        return asdict(self)


def given_from(record: Mapping[str, Any]) -> Given:
    """A line of answers.jsonl, read."""
    values: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in record.items() if k in Given.__dataclass_fields__
    }
    return Given(**values)


def from_answer(arm: str, question: GoldenQuestion, answer: Answer, memory_mb: float) -> Given:
    """An answer of the service."""
    t = answer.timings
    return Given(
        arm,
        question.id,
        answer.text,
        answer.status,
        cited=tuple(c.path for c in answer.citations) if answer.status == "answered" else (),
        offered=tuple(h.path for h in answer.hits),
        verdicts=tuple(s.verdict for s in answer.sentences),
        retrieve=t.retrieve,
        first_token=t.first_token,
        total=t.total,
        prompt_tokens=t.prompt_tokens,
        answer_tokens=t.answer_tokens,
        finish_reason=answer.finish_reason,
        memory_mb=memory_mb,
        quotes=tuple(c.quote for c in answer.citations) if answer.status == "answered" else (),
    )


def status_of(text: str) -> Literal["answered", "abstained"]:
    """The status of a text from an arm that has none of its own."""
    return "abstained" if refuses(text) else "answered"


def scores(q: GoldenQuestion, g: Given) -> dict[str, float]:
    """Metric -> value of one answer, 0..1 but for times, tokens and memory. A question that nothing answers scores 1 when
    refused and 0 otherwise, as in SQuAD 2.0 (Rajpurkar et al. 2018); a refusal of an answerable question scores 0. `outdated`: says
    what was right once and not what is right now."""
    refused = g.status == "abstained"
    found: dict[str, float] = {"refused": float(refused)}
    if not q.answerable:
        found |= {name: float(refused) for name in ("correct", "exact_match", "f1", "rouge_l", "chrf")}
    elif refused:
        found |= dict.fromkeys(("correct", "exact_match", "f1", "rouge_l", "chrf", "fact_recall"), 0.0)
    else:
        recall = fact_recall(g.text, q.facts)
        found |= {
            "correct": float(recall == 1.0),
            "exact_match": exact_match(g.text, q.reference),
            "f1": f1(g.text, q.reference),
            "rouge_l": rouge_l(g.text, q.reference),
            "chrf": chrf(g.text, q.reference),
            "fact_recall": recall,
        }
    if q.outdated:
        found["outdated"] = float(not refused and not found["correct"] and any(states(g.text, o) for o in q.outdated))
    if g.verdicts:
        found["sentence_support"] = sum(v == "supported" for v in g.verdicts) / len(g.verdicts)
    return found | {
        "latency": g.total,
        "first_token": g.first_token,
        "prompt_tokens": float(g.prompt_tokens),
        "answer_tokens": float(g.answer_tokens),
        "memory_mb": g.memory_mb,
    }


def ratios(q: GoldenQuestion, g: Given) -> dict[str, tuple[float, float]]:
    """Metric -> (part, whole) of measures that are ratios over all questions: precision and recall of refusals and citations.

    A citation is right when it is to a gold document; a gold document is found when it is cited.
    """
    refused, nothing = g.status == "abstained", not q.answerable
    found = {
        "refusal_precision": (float(refused and nothing), float(refused)),
        "refusal_recall": (float(refused and nothing), float(nothing)),
    }
    if g.offered:
        cited, gold = set(g.cited), set(q.documents)
        found["citation_precision"] = (float(sum(_is_gold(c, gold) for c in cited)), float(len(cited)))
        if not nothing and gold:
            found["citation_recall"] = (
                float(sum(any(_is_gold(c, {d}) for c in cited) for d in gold)),
                float(len(gold)),
            )
    return found


def _is_gold(path: str, gold: set[str]) -> bool:
    """Whether a cited path is one of the gold documents. Gold paths are relative to the corpus, a cited one to its root, which
    may be a folder above or below; so they are the same when one ends with the other."""
    return any(path == d or path.endswith(f"/{d}") or d.endswith(f"/{path}") for d in gold)
