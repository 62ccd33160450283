"""Runs RGB through the service's own answering and through the plain prompt, on the same documents."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from tqdm import tqdm

from eval.robustness import Case, correct, documents_at, read_cases
from eval.robustness_arms import Probe, Say, plain, rag
from eval.statistics import compare, holm, interval
from rag.errors import UsageError
from rag.generation.refusal import DEFAULT_THRESHOLD
from rag.settings import Settings

FALSE_REFUSALS = 0.1  # the share of answerable questions that a fitted threshold may refuse


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


def measure(wanted: Wanted, settings: Settings) -> dict[str, Any]:
    """Asks everything, both ways; writes report.json and answers.jsonl. A run that was interrupted goes on."""
    from rag.generation.generators import open_generator

    cases = read_cases(wanted.dataset, wanted.limit)
    probes = _probes(cases, wanted)
    generator = open_generator(settings)
    wanted.out.mkdir(parents=True, exist_ok=True)
    try:
        arms = {"rag": rag(generator, settings, wanted.seed), "plain": plain(generator, wanted.seed)}
        said = _ask(probes, arms, wanted, generator.name)
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


def _ask(
    probes: Sequence[Probe], arms: Mapping[str, Say], wanted: Wanted, model: str
) -> dict[tuple[str, str], dict[str, Any]]:
    """(arm, probe key) -> {"text", "refused", "confidence"}; kept line by line, so that a run can be gone on with."""
    file = wanted.out / "answers.jsonl"
    # With a limit the documents that fill up are other ones.
    identity = json.dumps(
        {"model": model, "seed": wanted.seed, "documents": wanted.documents, "limit": wanted.limit, "form": 2}
    )
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
            row = {"arm": arm, "key": probe.key, **asdict(arms[arm](probe))}
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
            for name, value in _values(probe, str(row["text"]), _refused(row, DEFAULT_THRESHOLD)).items():
                of.setdefault(name, []).append(value)
    comparisons = [(m, compare(values["rag"][m], values["plain"][m], wanted.seed)) for m in values["rag"]]
    corrected = holm([c.p for _, c in comparisons])
    runs = {arm: {m: asdict(interval(v, wanted.seed)) for m, v in of.items()} for arm, of in values.items()}
    fitted = _with_fitted_thresholds(probes, {key: row for (arm, key), row in said.items() if arm == "rag"})
    runs["rag, fitted threshold"] = {m: asdict(interval(v, wanted.seed)) for m, v in fitted.items()}
    return {
        "what": "robustness",
        "model": model,
        "seed": wanted.seed,
        "documents": wanted.documents,
        "threshold": DEFAULT_THRESHOLD,
        "runs": runs,
        "comparisons": [
            {"measure": m, **asdict(c), "p_corrected": p} for (m, c), p in zip(comparisons, corrected, strict=True)
        ],
    }


def _refused(row: Mapping[str, Any], threshold: float) -> bool:
    """Whether an answer is refused: by its arm, or because it is less sure than the threshold."""
    sure = row.get("confidence")
    return bool(row["refused"]) or (sure is not None and float(sure) < threshold)


def _with_fitted_thresholds(probes: Sequence[Probe], said: Mapping[str, Mapping[str, Any]]) -> dict[str, list[float]]:
    """Accuracy and refusals of each half of a language's questions at the highest threshold that refuses at most FALSE_REFUSALS of the
    answerable questions of the other half: what `rag calibrate` gives a collection, without a look at what is measured."""
    found: dict[str, list[float]] = {}
    for lang in sorted({p.case.lang for p in probes}):
        tried = [p for p in probes if p.case.lang == lang and p.measure.startswith(("accuracy", "refused"))]
        names = sorted({p.case.id for p in tried})
        for side in (0, 1):
            half = set(names[side::2])
            sure = [_sureness(said[p.key]) for p in tried if p.case.id not in half and p.measure.startswith("accuracy")]
            threshold = sorted(sure)[int(FALSE_REFUSALS * len(sure))] if sure else DEFAULT_THRESHOLD
            for p in tried:
                if p.case.id in half:
                    row = said[p.key]
                    for name, value in _values(p, str(row["text"]), _refused(row, threshold)).items():
                        found.setdefault(name, []).append(value)
    return found


def _sureness(row: Mapping[str, Any]) -> float:
    return 0.0 if row["refused"] else float(row["confidence"])


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
