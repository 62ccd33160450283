"""The comparison of docs/example-report, from an empty folder to the report, by the commands that a user has.

    compare_bench.py company --work DIR --out docs/example-report/company [--limit N] [--steps N]
    compare_bench.py cmrc2018 --data DIR --work DIR --out docs/example-report/cmrc2018 [--limit N] [--steps N]

company: ingests corpus/, trains on the training part of its golden questions, then edits ten documents (one figure each, and the
answers of the questions about it), ingests again and asks base, rag, lora and lora+rag what the adapter was not trained on: the
edited facts, facts of other documents, and facts that it was trained on, asked in other words (reworded.json).
cmrc2018: trains on the questions that say `split: trial` and reports on those that say `split: dev`.

Everything is kept in --work and gone on with when the same command runs again: `timeout 300 compare_bench.py ...` may be repeated
until it ends by itself. Nothing in the report is typed by hand.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RAG = Path(sys.executable).with_name("rag")
EDITS, MOST = 10, 6  # documents that are edited, and of them at most in one language


def rag(home: Path, *args: object) -> None:
    """Runs one command; ends this program with its exit code when it fails."""
    words = [str(a) for a in args]
    sys.stderr.write(f"$ rag {' '.join(words)}\n")
    code = subprocess.run([str(RAG), *words, "--home", str(home)], check=False, cwd=ROOT).returncode
    if code:
        raise SystemExit(code)


def adapter(a: argparse.Namespace, home: Path, questions: list[object]) -> Path:
    """Data set, training, export, parity; each only where it is not there yet."""
    work: Path = a.work
    if not (work / "data" / "dataset.json").is_file():
        rag(home, "tune", "dataset", *questions, "--seed", a.seed, "--out", work / "data")
    if not (work / "adapter" / "adapter_model.safetensors").is_file():
        rag(
            home, "tune", "train", "--base", a.model, "--data", work / "data", "--out", work / "adapter", "--steps", a.steps, "--seed",
            a.seed, "--max-length", 192, "--checkpoint-every", 4, "--validate-every", max(1, a.steps // 4),
        )  # fmt: skip
    if not (work / "export" / "export.json").is_file():
        rag(home, "tune", "export", "--adapter", work / "adapter", "--out", work / "export")
    if not (work / "export" / "parity.json").is_file():
        rag(home, "tune", "parity", "--export", work / "export")
    return work / "export"


def company(a: argparse.Namespace) -> None:
    """The sample company, with ten documents edited after training."""
    home, docs, golden = a.work / "home", a.work / "corpus", a.work / "golden"
    if not docs.is_dir():
        shutil.copytree(ROOT / "corpus", docs)
    if not (a.work / "ingested").is_file():
        rag(home, "ingest", docs)
        (a.work / "ingested").touch()
    export = adapter(a, home, ["--questions", ROOT / "corpus" / "golden"])
    if not golden.is_dir():
        count = edit(docs, golden, a.work / "data")
        sys.stderr.write(f"edited {count} documents\n")
    if not (a.work / "ingested-again").is_file():
        rag(home, "ingest", docs)
        (a.work / "ingested-again").touch()
    answers(a, home, ["--questions", golden], export)


def cmrc2018(a: argparse.Namespace) -> None:
    """A public Chinese set: trained on one part, reported on the other."""
    home = a.work / "home"
    export = adapter(a, home, ["--questions", a.data, "--split", "trial"])
    answers(a, home, ["--dataset", a.data, "--split", "dev"], export)


def answers(a: argparse.Namespace, home: Path, questions: list[object], export: Path) -> None:
    """The comparison; the report without the weights and the run's own files."""
    rag(
        home, "eval", "answers", *questions, "--arms", a.arms, "--model", a.model, "--lora", export, "--limit", a.limit, "--seed",
        a.seed, "--out", a.work / "report",
    )  # fmt: skip
    a.out.mkdir(parents=True, exist_ok=True)
    for name in ("report.json", "report.html", "report.md", "report.csv"):
        shutil.copyfile(a.work / "report" / name, a.out / name)
    given = [
        json.loads(line) for line in (a.work / "report" / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    without = [{k: v for k, v in g.items() if k != "quotes"} for g in given]  # quotes are passages of the documents
    (a.out / "answers.jsonl").write_text(
        "".join(json.dumps(g, ensure_ascii=False) + "\n" for g in without), encoding="utf-8"
    )


def edit(docs: Path, golden: Path, data: Path) -> int:
    """Changes one figure in each of ten training documents, and the answers of the questions that quote it. Every question of
    corpus/golden is written to `golden`, those about an edited figure with the new answer; and questions about other documents
    that the adapter was trained on in the words of reworded.json."""
    trained = {e["id"]: e for e in json.loads((data / "train.json").read_text(encoding="utf-8"))}
    changed: dict[str, str] = {}  # document -> question that changes it
    texts: dict[str, str] = {}
    languages: list[str] = []
    rows = list(_golden())
    for row in rows:
        found = _change(row, docs, texts) if row["id"] in trained and len(changed) < EDITS else None
        if found is None or found[0] in changed or languages.count(row["lang"]) == MOST:
            continue
        languages.append(row["lang"])
        document, text, old, new = found
        changed[document] = row["id"]
        texts[document] = text
        row |= {
            "kind": "changed after training",  # kinds of their own, so that a sample has its share of them
            "outdated": row["answers"],
            "answers": [re.sub(rf"(?<!\d){re.escape(old)}(?!\d)", new, answer) for answer in row["answers"]],
            "spans": [
                s | {"quote": re.sub(rf"(?<!\d){re.escape(old)}(?!\d)", new, s["quote"])}
                if s["document"] == document
                else s
                for s in row["spans"]
            ],
        }
        row["answers"] = [answer for answer in row["answers"] if new in answer]
    for document, text in texts.items():
        (docs / document).write_text(text, encoding="utf-8")
    again = json.loads((ROOT / "tests" / "bench" / "reworded.json").read_text(encoding="utf-8"))
    rows += [
        row | {"id": f"{row['id']}-reworded", "kind": "in-training fact", "question": again[row["id"]]}
        for row in rows
        if row["id"] in again and row["id"] in trained and not changed.keys() & set(row["documents"])
    ]
    golden.mkdir()
    (golden / "golden.jsonl").write_text("\n".join(json.dumps(r, ensure_ascii=False) for r in rows), encoding="utf-8")
    return len(changed)


def _golden() -> Iterator[dict[str, Any]]:
    for file in sorted((ROOT / "corpus" / "golden").glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.strip():
                yield json.loads(line)


def _change(row: dict[str, Any], docs: Path, texts: dict[str, str]) -> tuple[str, str, str, str] | None:
    """(document, its new text, old figure, new figure) for a question whose answer is one figure of a plain-text document that
    stands there once in the quoted words; None for any other question."""
    if len(row["spans"]) != 1:
        return None
    document, quote = row["spans"][0]["document"], row["spans"][0]["quote"]
    file = docs / document
    if file.suffix not in (".md", ".html", ".txt") or document in texts:
        return None
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None
    figures = [f for f in re.findall(r"\d+", row["answers"][0]) if len(re.findall(rf"(?<!\d){f}(?!\d)", quote)) == 1]
    if len(figures) != 1 or text.count(quote) != 1:
        return None
    old = figures[0]
    if int(old) < 2 or old.startswith("0"):
        return None
    new = str(int(old) - max(1, int(old) // 4))  # less, so that "84 of 90" stays a sentence that can be true
    edited = re.sub(rf"(?<!\d){old}(?!\d)", new, quote)
    return document, text.replace(quote, edited), old, new


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", choices=("company", "cmrc2018"))
    p.add_argument("--data", type=Path, help="folder of cmrc2018 (corpus, queries, qrels)")
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--model", default="qwen2.5-coder-0.5b-instruct")
    p.add_argument("--arms", default="base,rag,lora,lora+rag")
    p.add_argument("--steps", type=int, default=200)
    p.add_argument("--limit", type=int, default=40)
    p.add_argument("--seed", type=int, default=7)
    a = p.parse_args()
    if a.what == "cmrc2018" and a.data is None:
        p.error("cmrc2018 needs --data DIR")
    a.work.mkdir(parents=True, exist_ok=True)
    a.work, a.out = a.work.resolve(), a.out.resolve()
    {"company": company, "cmrc2018": cmrc2018}[a.what](a)


if __name__ == "__main__":
    main()
