"""The whole way on the smallest model: data set, training with an interruption, export, parity, four arms, report."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from eval.answers_report import timeless
from rag.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.torch, pytest.mark.model("smollm2-135m-instruct")]
pytest.importorskip("peft")

BASE = "smollm2-135m-instruct"
PLACES = ("Mole", "Quay", "Harbour", "Ferry", "Lantern", "Anchor", "Rope", "Beacon", "Jetty", "Buoy")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ten documents, their collection and twenty questions."""
    folder = tmp_path_factory.mktemp("chain")
    docs = folder / "docs"
    docs.mkdir()
    questions = []
    for n, place in enumerate(PLACES):
        text = f"# {place} office\n\nThe {place} office opens at {n + 6}:15. The {place} office has {n + 31} desks.\n"
        (docs / f"{place.lower()}.md").write_text(text, encoding="utf-8")
        for k, (question, answer) in enumerate(
            [
                (f"When does the {place} office open?", f"{n + 6}:15"),
                (f"How many desks has the {place} office?", f"{n + 31}"),
            ]
        ):
            questions.append(
                {
                    "id": f"{place}-{k}",
                    "question": question,
                    "answers": [answer],
                    "lang": "en",
                    "kind": "number" if k else "fact",
                    "documents": [f"{place.lower()}.md"],
                    "spans": [{"document": f"{place.lower()}.md", "quote": text.split("\n")[2].split(". ")[k]}],
                }
            )
    (folder / "golden.jsonl").write_text("\n".join(map(json.dumps, questions)), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def run(work: Path):  # type: ignore[no-untyped-def]
    """Runs a command in the folder's home and demands its exit code."""

    def command(*args: object, code: int = 0) -> None:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv(
                "RAG_ANSWER_TOKENS", "40"
            )  # the smallest model rambles; what it says is not the point here
            assert main([*map(str, args), "--home", str(work / "home")]) == code

    command("ingest", work / "docs")
    command("tune", "dataset", "--questions", work / "golden.jsonl", "--out", work / "data", "--raft")
    train = ("tune", "train", "--base", BASE, "--data", work / "data", "--seed", 1, "--batch", 2, "--steps", 4)
    command(*train, "--out", work / "a", "--rate", "2e-3")
    command("tune", "export", "--adapter", work / "a", "--out", work / "x")
    return command


def losses(folder: Path) -> list[float]:
    found: list[float] = json.loads((folder / "training.json").read_text())["progress"]["losses"]
    return found


def test_too_few_pairs_are_refused_before_the_model_works_for_them(
    run, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # type: ignore[no-untyped-def]
    run("tune", "dataset", "--generate", 3, "--out", work / "few", code=2)
    told = capsys.readouterr().err
    assert "0 questions and --generate 3 cannot make the 10 examples" in told and "proposing" not in told


def test_interrupted_training_resumes_to_the_same_losses(run, work: Path) -> None:  # type: ignore[no-untyped-def]
    train = (
        "tune",
        "train",
        "--base",
        BASE,
        "--data",
        work / "data",
        "--seed",
        1,
        "--batch",
        2,
        "--steps",
        4,
        "--rate",
        "2e-3",
    )
    run(*train, "--out", work / "b", "--stop-after", 2)
    assert not (work / "b" / "adapter_model.safetensors").exists()
    run(*train, "--out", work / "b")
    assert losses(work / "b") == pytest.approx(losses(work / "a"), rel=1e-6)


def test_another_training_in_the_same_folder_is_refused(run, work: Path, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    run("tune", "train", "--base", BASE, "--data", work / "data", "--seed", 2, "--batch", 2, "--steps", 4, "--out", work / "a", "--rate",
        "2e-3", code=2)  # fmt: skip
    assert "seed = 1, not 2" in capsys.readouterr().err


def test_parity_passes_and_a_wrong_template_is_named(run, work: Path, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    run("tune", "parity", "--export", work / "x", "--json")
    found = json.loads(capsys.readouterr().out)
    assert found["ok"]
    assert found["adapter_has_effect"]
    about = work / "x" / "export.json"
    right = about.read_text(encoding="utf-8")
    about.write_text(json.dumps(json.loads(right) | {"chat_template": "{{ messages[0].content }}"}), encoding="utf-8")
    run("tune", "parity", "--export", work / "x", code=1)
    assert "chat template" in capsys.readouterr().err
    about.write_text(right, encoding="utf-8")
    run("tune", "parity", "--export", work / "x")


def test_four_arms_give_a_report_and_the_same_one_again(run, work: Path) -> None:  # type: ignore[no-untyped-def]
    reports = []
    for out in ("r1", "r2"):
        run("eval", "answers", "--questions", work / "golden.jsonl", "--arms", "base,rag,lora,lora+rag,plain", "--model", BASE,
            "--lora", work / "x", "--limit", 3, "--seed", 3, "--out", work / out)  # fmt: skip
        reports.append(json.loads((work / out / "report.json").read_text(encoding="utf-8")))
    assert timeless(reports[0]) == timeless(reports[1])
    assert len((work / "r1" / "answers.jsonl").read_text(encoding="utf-8").splitlines()) == 15
    assert any("trained on" in note for note in reports[0]["notes"])
    page = (work / "r1" / "report.html").read_text(encoding="utf-8")
    assert "<svg" in page
    assert not re.findall(r"(?:src|href)=[\"']https?://", page)
    run("eval", "diff", work / "r1", work / "r2", "--gate", "0.0")


def test_answers_of_other_arms_are_kept_and_those_of_another_comparison_put_aside(run, work: Path) -> None:  # type: ignore[no-untyped-def]
    def lines(name: str) -> int:
        return len((work / "r2" / name).read_text(encoding="utf-8").splitlines())

    again = ["eval", "answers", "--questions", work / "golden.jsonl", "--model", BASE, "--limit", 3, "--out", work / "r2"]  # fmt: skip
    run(*again, "--arms", "rag", "--lora", work / "x", "--seed", 3)
    assert list(json.loads((work / "r2" / "report.json").read_text(encoding="utf-8"))["arms"]) == ["rag"]
    assert lines("answers.jsonl") == 15
    run(*again, "--arms", "base", "--seed", 4)
    assert (lines("answers.jsonl"), lines("answers.earlier.jsonl")) == (3, 15)


def test_reporting_on_what_was_trained_is_refused(run, work: Path, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    run("eval", "answers", "--questions", work / "data" / "train.json", "--arms", "lora", "--model", BASE, "--lora", work / "x", "--out",
        work / "bad", code=1)  # fmt: skip
    assert "was trained on these very questions" in capsys.readouterr().err


def test_an_adapter_for_another_base_is_refused(
    run, work: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    import shutil

    shutil.copytree(work / "x", tmp_path / "x")
    about = tmp_path / "x" / "export.json"
    about.write_text(json.dumps(json.loads(about.read_text()) | {"base_sha256": "0" * 64, "base": "other"}))
    run("eval", "answers", "--questions", work / "golden.jsonl", "--arms", "lora", "--model", BASE, "--lora", tmp_path / "x", "--out",
        work / "bad", code=1)  # fmt: skip
    assert "trained on other" in capsys.readouterr().err


def test_an_adapter_is_refused_to_callers_outside_its_groups(
    run, work: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    import shutil

    shutil.copytree(work / "x", tmp_path / "x")
    about = tmp_path / "x" / "export.json"
    about.write_text(json.dumps(json.loads(about.read_text()) | {"groups": [["public"], ["board"]]}))
    run("eval", "answers", "--questions", work / "golden.jsonl", "--arms", "lora", "--model", BASE, "--lora", tmp_path / "x", "--groups",
        "staff", "--out", work / "bad", code=1)  # fmt: skip
    assert "board" in capsys.readouterr().err
