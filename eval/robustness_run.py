"""Runs RGB through the service's own answering and through the plain prompt, on the same documents."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from tqdm import tqdm

from eval.arms import generated
from eval.given import status_of
from eval.golden import GoldenQuestion
from eval.plain_chain import PROMPT, TOKENS
from eval.robustness import Case, correct, documents_at, read_cases
from eval.statistics import compare, holm, interval
from rag.errors import UsageError
from rag.generation.answering import GroundedAnswerer
from rag.generation.answering import answer as drained
from rag.protocols import Generator
from rag.settings import Settings
from rag.types import AskRequest, Chunk, Hit, Message, SearchRequest, SearchResult


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be measured."""

    dataset: Path
    noise: tuple[float, ...]
    documents: int
    limit: int | None
    seed: int
    out: Path
    parallel: int = 1

    def __post_init__(self) -> None:
        if not self.noise or any(not 0 <= x <= 1 for x in self.noise):
            raise UsageError("noise rates lie between 0 and 1")
        if min(self.documents, self.parallel, 1 if self.limit is None else self.limit) < 1:
            raise UsageError("--documents, --parallel and --limit are at least 1")


@dataclass(frozen=True, slots=True)
class Probe:
    """One question over given documents, and the measure that its answer counts for."""

    key: str
    measure: str
    case: Case
    documents: tuple[str, ...]


Say = Callable[[Probe], tuple[str, bool]]  # -> (text, refused)


def measure(wanted: Wanted, settings: Settings) -> dict[str, Any]:
    """Asks everything, both ways; writes report.json and answers.jsonl. A run that was interrupted goes on."""
    from rag.generation.generators import open_generator

    cases = read_cases(wanted.dataset, wanted.limit)
    probes = _probes(cases, wanted)
    generator = open_generator(settings)
    wanted.out.mkdir(parents=True, exist_ok=True)
    try:
        said = _ask(probes, {"rag": _rag(generator, settings, wanted.seed), "plain": _plain(generator, wanted.seed)}, wanted,
                    generator.name)  # fmt: skip
    finally:
        generator.close()
    found = _report(probes, said, wanted, generator.name)
    (wanted.out / "report.json").write_text(json.dumps(found, ensure_ascii=False, indent=1), encoding="utf-8")
    return found


def _probes(cases: Sequence[Case], wanted: Wanted) -> list[Probe]:
    """Every case under every condition."""
    probes: list[Probe] = []

    def add(case: Case, measure: str, documents: Sequence[str]) -> None:
        probes.append(Probe(f"{case.id}|{measure}", measure, case, tuple(documents)))

    refined = {c.lang for c in cases if c.part == "refine"}
    for case in cases:
        others = [
            d for c in cases if c.lang == case.lang and c.part == case.part and c is not case for d in c.negative[:2]
        ]
        # Where the set has no file for noise, the true documents of its counterfactual questions serve.
        if case.part == "refine" or (case.part == "fact" and case.lang not in refined):
            for noise in wanted.noise:
                add(case, f"accuracy at noise {noise:g}, {case.lang}",
                    documents_at(case, noise, wanted.documents, wanted.seed, others))  # fmt: skip
            add(
                case,
                f"refused without an answer, {case.lang}",
                documents_at(case, 1.0, wanted.documents, wanted.seed, others),
            )
        if case.part == "int":
            for noise in [n for n in wanted.noise if n <= 0.4] or [0.0]:
                add(case, f"integration at noise {noise:g}, {case.lang}",
                    documents_at(case, noise, wanted.documents, wanted.seed, others))  # fmt: skip
        if case.positive_wrong:
            add(case, f"false documents, {case.lang}", case.positive_wrong[: wanted.documents])
    return probes


def _rag(generator: Generator, settings: Settings, seed: int) -> Say:
    """The service's answering over given documents."""

    def say(probe: Probe) -> tuple[str, bool]:
        hits = tuple(_hit(n, text, probe.case.lang) for n, text in enumerate(probe.documents, 1))
        answerer = GroundedAnswerer(_NoSettings(), _Given(hits), generator, settings)
        given = drained(answerer, AskRequest(SearchRequest(probe.case.question), seed=seed))
        return given.text, given.status == "abstained"

    return say


def _plain(generator: Generator, seed: int) -> Say:
    """The plain prompt with the same documents stuffed in."""

    def say(probe: Probe) -> tuple[str, bool]:
        prompt = PROMPT.format(context="\n\n".join(probe.documents), question=probe.case.question)
        question = GoldenQuestion(probe.key, probe.case.question)
        text = generated("plain", question, generator, [Message("user", prompt)], TOKENS, seed).text
        return text, status_of(text) == "abstained"

    return say


class _Given:
    """A retriever that finds what it was given."""

    def __init__(self, hits: tuple[Hit, ...]) -> None:
        self._hits = hits

    def search(self, request: SearchRequest) -> SearchResult:
        return SearchResult(self._hits, 0, 0.0, request.question)


class _NoSettings:
    """A collection without calibration: these documents are of no collection."""

    def get_setting(self, key: str) -> None:
        return None


def _hit(n: int, text: str, lang: str) -> Hit:
    chunk = Chunk(n, f"document-{n}", text, (0, len(text)), language=lang)
    return Hit(chunk, 1.0 / n, n, "", f"document-{n}")


def _ask(
    probes: Sequence[Probe], arms: Mapping[str, Say], wanted: Wanted, model: str
) -> dict[tuple[str, str], dict[str, Any]]:
    """(arm, probe key) -> {"text", "refused"}; kept line by line, so that a run can be gone on with."""
    file = wanted.out / "answers.jsonl"
    identity = json.dumps({"model": model, "seed": wanted.seed, "documents": wanted.documents})
    run = wanted.out / "run.json"
    done: dict[tuple[str, str], dict[str, Any]] = {}
    lock = Lock()
    if run.is_file() and run.read_text(encoding="utf-8") == identity and file.is_file():
        for line in file.read_text(encoding="utf-8").split("\n")[:-1]:
            row = json.loads(line)
            done[row["arm"], row["key"]] = row
    else:
        file.unlink(missing_ok=True)
        run.write_text(identity, encoding="utf-8")
    with (
        file.open("a", encoding="utf-8") as out,
        tqdm(total=len(probes) * len(arms), desc="robustness", file=sys.stderr) as bar,
        ThreadPoolExecutor(wanted.parallel) as pool,
    ):

        def ask(arm: str, probe: Probe) -> None:
            text, refused = arms[arm](probe)
            row = {"arm": arm, "key": probe.key, "text": text, "refused": refused}
            with lock:
                done[arm, probe.key] = row
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
                out.flush()
                bar.update()

        # Alternating, so that both arms meet the same machine.
        missing = [(arm, probe) for probe in probes for arm in arms if (arm, probe.key) not in done]
        bar.update(len(probes) * len(arms) - len(missing))
        for asked in [pool.submit(ask, *one) for one in missing]:
            asked.result()
    return done


def _report(
    probes: Sequence[Probe], said: Mapping[tuple[str, str], Mapping[str, Any]], wanted: Wanted, model: str
) -> dict[str, Any]:
    """Measures per arm with intervals, and the paired differences."""
    values: dict[str, dict[str, list[float]]] = {"rag": {}, "plain": {}}
    for probe in probes:
        for arm, of in values.items():
            row = said[arm, probe.key]
            for name, value in _values(probe, str(row["text"]), bool(row["refused"])).items():
                of.setdefault(name, []).append(value)
    comparisons = [(m, compare(values["rag"][m], values["plain"][m], wanted.seed)) for m in values["rag"]]
    corrected = holm([c.p for _, c in comparisons])
    return {
        "what": "robustness",
        "model": model,
        "seed": wanted.seed,
        "documents": wanted.documents,
        "runs": {arm: {m: asdict(interval(v, wanted.seed)) for m, v in of.items()} for arm, of in values.items()},
        "comparisons": [
            {"measure": m, **asdict(c), "p_corrected": p} for (m, c), p in zip(comparisons, corrected, strict=True)
        ],
    }


def _values(probe: Probe, text: str, refused: bool) -> dict[str, float]:
    """What one answer counts for: the paper's accuracy, rejection rate, and for false documents whether the true answer is
    said (correction) or the false one repeated."""
    right = float(not refused and correct(probe.case, text))
    if probe.measure.startswith("refused"):
        return {probe.measure: float(refused)}
    if probe.measure.startswith("false documents"):
        from eval.text_metrics import states

        repeated = float(not refused and states(text, probe.case.false_answer))
        return {f"{probe.measure}: true answer": right, f"{probe.measure}: false answer repeated": repeated}
    found = {probe.measure: right}
    if probe.measure.startswith("accuracy"):
        found[f"wrongly refused{probe.measure.removeprefix('accuracy')}"] = float(refused)
    return found
