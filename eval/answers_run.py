"""A comparison from start to end: questions, arms, answers (kept as they come), report files."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from eval.answers_about import about, has_collection
from eval.answers_html import html
from eval.answers_report import report
from eval.answers_tables import markdown, table_csv
from eval.arms import NAMES, NEEDS_ADAPTER, NEEDS_NO_DOCUMENTS, Arm, make_arm, settings_changes
from eval.attribution import attribute
from eval.given import Given, given_from, scores
from eval.golden import GoldenQuestion, fingerprint, read_questions, sample
from eval.kinds import kinds_of
from eval.verdicts import METRIC
from rag.errors import RagError, UsageError
from rag.settings import Settings
from rag.wiring import Services

if TYPE_CHECKING:
    from eval.lora.exported import Export
    from rag.protocols import Generator

ANSWERS = "answers.jsonl"
EARLIER = "answers.earlier.jsonl"
RUN = "run.json"


class TrainedOnQuestions(RagError):
    """What is to be reported on was trained on."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be compared."""

    questions: Path
    arms: tuple[str, ...]
    out: Path
    model: str | None = None
    lora: Path | None = None
    limit: int | None = None
    seed: int = 0
    split: str | None = None
    groups: frozenset[str] | None = None
    judge: bool = False
    parallel: int = 1
    command: str = ""

    def __post_init__(self) -> None:
        for arm in self.arms:
            if arm not in NAMES and not settings_changes(arm):
                raise UsageError(f"arm {arm!r}: unknown; there are {', '.join(NAMES)} and rag:KNOB=VALUE")
        if len(set(self.arms)) < len(self.arms):
            raise UsageError("an arm stands there twice")
        if min(self.parallel, 1 if self.limit is None else self.limit) < 1:
            raise UsageError("--limit and --parallel must be at least 1")
        if any(a in NEEDS_ADAPTER for a in self.arms) and self.lora is None:
            raise UsageError("the arms lora and lora+rag need an adapter: give --lora EXPORT_DIR")


Load = Callable[..., Settings]  # settings with some knobs changed


def compare_arms(wanted: Wanted, load: Load) -> dict[str, Any]:
    """Runs every arm on the same questions and writes report.json, .html, .csv, .md and answers.jsonl into `out`; gives the
    report. Answers that an interrupted run of the same comparison left there are kept.

    Raises TrainedOnQuestions, ParityFailed, PermissionDenied, UsageError.
    """
    everything = _read(wanted)
    settings = load(**({"generator": _generator_name(wanted.model)} if wanted.model else {}))
    export: Export | None = None
    notes: list[str] = []
    if wanted.lora is not None:
        export, everything, notes = _adapter(wanted, everything, settings)
    questions = sample(everything, wanted.limit, wanted.seed)
    with Services(settings) as services:
        if any(a not in NEEDS_NO_DOCUMENTS for a in wanted.arms):
            services.collection()  # fails now, with its own message, rather than after the first arm
        given = _answers(wanted, questions, services, load, export)
        current = _current(services)
        tags = {q.id: kinds_of(q, export.documents if export else None, current) for q in questions}
        attributed = _attributed(questions, given, services)
        facts = about(wanted.arms, wanted.command, questions, services, export, notes)
        if wanted.judge:
            from eval.judging import judged

            facts["judge"] = judged(questions, given, services.generator(), wanted.seed)
    found = report(questions, given, tags, wanted.seed, attributed=attributed, about=facts)
    write(found, wanted.out)
    return found


def write(found: Mapping[str, Any], out: Path) -> None:
    """The report's files; report.json last, so that its presence means that the others are there."""
    (out / "report.html").write_text(html(found), encoding="utf-8")
    (out / "report.csv").write_text(table_csv(found), encoding="utf-8")
    (out / "report.md").write_text(markdown(found), encoding="utf-8")
    (out / "report.json").write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _read(wanted: Wanted) -> list[GoldenQuestion]:
    found = read_questions(wanted.questions)
    if wanted.split is not None:
        found = [q for q in found if q.split == wanted.split]
        if not found:
            raise UsageError(f"{wanted.questions}: no question says split: {wanted.split}")
    return found


def _adapter(
    wanted: Wanted, everything: list[GoldenQuestion], settings: Settings
) -> tuple[Export, list[GoldenQuestion], list[str]]:
    """The adapter, the questions that it was not trained on, and what the report must say about that."""
    from eval.lora.base import find_base
    from eval.lora.exported import read_export, require_base, require_permission
    from eval.lora.leaks import find_leaks
    from eval.lora.parity_run import require_parity

    assert wanted.lora is not None
    export = read_export(wanted.lora)
    require_permission(export, wanted.groups)
    leaks = {leak.question for leak in find_leaks(everything, export.trained())}
    left = [q for q in everything if q.id not in leaks]
    if not left:
        raise TrainedOnQuestions(
            f"{wanted.questions}: the adapter in {wanted.lora} was trained on these very questions, so nothing can be reported on "
            "them; give other questions, such as the test.json of its data set"
        )
    base = find_base(_base_name(settings.generator), Path(settings.models))
    require_base(export, base)
    require_parity(export, settings)
    notes = []
    if leaks:
        notes.append(
            f"{len(leaks)} of {len(everything)} questions were left out because the adapter was trained on them. / "
            f"{len(everything)} 个问题中有 {len(leaks)} 个用于训练，未参与评测。"
        )
    return export, left, notes


def _base_name(generator: str) -> str:
    """The model behind the embedded generator, the only one that serves adapter files."""
    from rag.generation.generators import DEFAULT_MODEL

    kind, _, rest = generator.partition(":")
    if kind == "embedded" or kind == "auto":
        return rest or DEFAULT_MODEL
    raise UsageError(f"{generator}: adapters are compared on the embedded generator; give --model NAME of the catalog")


def _generator_name(model: str) -> str:
    return model if model.partition(":")[0] in ("auto", "embedded", "ollama", "openai") else f"embedded:{model}"


def _answers(
    wanted: Wanted, questions: Sequence[GoldenQuestion], services: Services, load: Load, export: Export | None
) -> dict[str, dict[str, Given]]:
    """Arm -> question id -> answer; every answer is on disk before the next question is asked."""
    wanted.out.mkdir(parents=True, exist_ok=True)
    done = _kept(wanted, questions, services, export)
    total = len(wanted.arms) * len(questions)
    known = sum(arm in wanted.arms for arm, _ in done)
    with (
        (wanted.out / ANSWERS).open("a", encoding="utf-8") as file,
        tqdm(total=total, initial=known, desc="answers", unit="answer", file=sys.stderr) as bar,
    ):
        # The arms that search come last: memory that their embedders once took may stay with the process.
        for name in sorted(wanted.arms, key=lambda a: a not in NEEDS_NO_DOCUMENTS):
            missing = [q for q in questions if (name, q.id) not in done]
            if not missing:
                continue
            with _opened(name, questions, services.settings.generator, load, wanted, export) as arm:
                bar.set_postfix(arm=name, refresh=False)
                arm.ask(missing[0])  # loads what is loaded on first use, so that no question pays for it
                with ThreadPoolExecutor(wanted.parallel) as pool:
                    for given in pool.map(arm.ask, missing):
                        done[name, given.question] = given
                        file.write(json.dumps(given.record(), ensure_ascii=False) + "\n")
                        file.flush()
                        bar.update()
    _in_order(wanted, questions, done)
    return {a: {q.id: done[a, q.id] for q in questions} for a in wanted.arms}


@contextmanager
def _opened(
    name: str,
    questions: Sequence[GoldenQuestion],
    generator: str,
    load: Load,
    wanted: Wanted,
    export: Export | None,
) -> Iterator[Arm]:
    """The arm over services of its own, closed afterwards: what one arm loads is no memory of the next."""
    from rag.generation.generators import open_generator

    with Services(load(**{**settings_changes(name), "generator": generator}), lasting=True) as services:
        if name not in NEEDS_ADAPTER:
            yield make_arm(name, questions, services, services.generator(), wanted.seed, groups=wanted.groups)
            return
        assert export is not None
        adapted: Generator = open_generator(services.settings, f"embedded:{_base_name(generator)}", lora=export.adapter)
        try:
            yield make_arm(name, questions, services, adapted, wanted.seed, groups=wanted.groups)
        finally:
            adapted.close()


def _kept(
    wanted: Wanted, questions: Sequence[GoldenQuestion], services: Services, export: Export | None
) -> dict[tuple[str, str], Given]:
    """The answers of earlier calls of this very comparison, whichever arms they asked for; those of another one are put aside."""
    identity = json.dumps(
        {
            "questions": fingerprint(questions),
            "seed": wanted.seed,
            "generator": services.settings.generator,
            "generation": services.collection().generation if has_collection(services) else 0,
            "adapter": export.digest() if export else None,
            "settings": {
                k: v for k, v in services.settings.public().items() if k in ("k", "reranker", "source_tokens", "fields")
            },
        },
        sort_keys=True,
    )
    run, answers = wanted.out / RUN, wanted.out / ANSWERS
    if run.is_file() and answers.is_file() and run.read_text(encoding="utf-8") == identity:
        ids = {q.id for q in questions}
        lines = answers.read_text(encoding="utf-8").split("\n")
        whole = [given_from(json.loads(line)) for line in lines[:-1] if line]  # a cut last line is asked again
        _replace(answers, whole)
        return {(g.arm, g.question): g for g in whole if g.question in ids}
    if answers.is_file():
        answers.replace(wanted.out / EARLIER)
        sys.stderr.write(
            f"{wanted.out}: other questions, settings or models than last time; its answers are now {EARLIER}\n"
        )
    (wanted.out / "report.json").unlink(missing_ok=True)
    run.write_text(identity, encoding="utf-8")
    return {}


def _in_order(wanted: Wanted, questions: Sequence[GoldenQuestion], done: Mapping[tuple[str, str], Given]) -> None:
    """answers.jsonl in the order of arms and questions; arms that only an earlier call asked for come last."""
    arms = dict.fromkeys([*wanted.arms, *(arm for arm, _ in done)])
    _replace(wanted.out / ANSWERS, [done[a, q.id] for a in arms for q in questions if (a, q.id) in done])


def _replace(answers: Path, given: Sequence[Given]) -> None:
    """The file with these answers, all at once: hours of work are never half written."""
    partial = answers.with_name(f".{ANSWERS}.partial")
    partial.write_text("".join(json.dumps(g.record(), ensure_ascii=False) + "\n" for g in given), encoding="utf-8")
    partial.replace(answers)


def _current(services: Services) -> dict[str, str]:
    """Path -> content hash of the collection's documents now."""
    if not has_collection(services):
        return {}
    return {d.path: d.content_hash for d in services.collection().snapshot().documents()}


def _attributed(
    questions: Sequence[GoldenQuestion], given: Mapping[str, Mapping[str, Given]], services: Services
) -> dict[str, str]:
    """Question id -> step that lost the rag arm's wrong answer."""
    if "rag" not in given:
        return {}
    snapshot = services.collection().snapshot()
    retriever = services.retriever()
    found = {}
    for q in questions:
        g = given["rag"][q.id]
        if scores(q, g)[METRIC] >= 1:
            continue
        oracle = scores(q, given["oracle"][q.id])[METRIC] >= 1 if "oracle" in given else None
        found[q.id] = attribute(q, g, snapshot, retriever, services.settings.k, oracle)
    return found
