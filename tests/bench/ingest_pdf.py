"""PDF reading on FinanceBench: pages, text score, gold evidence found in its page, pages a second; ours beside plain pdfium, plain pypdf
(which is what LangChain's PyPDFLoader runs) and pypdf with the splitter of the plain chain.

    python tests/bench/ingest_pdf.py ../shared/data/financebench

Prints one JSON document. "found" = every line of the evidence, letters and digits only, stands in the parsed page; "found in order" = the whole
evidence does, as one string (column order and table order right).
"""

from __future__ import annotations

import io
import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

from langchain_text_splitters import RecursiveCharacterTextSplitter

from ingest.parsed import Limits, Parsed
from ingest.quality import RED, measure
from ingest.reading import Reading

Pages = list[str]


def ours(file: Path) -> Pages:
    """Text of each page, by the readers of this project."""
    data = file.read_bytes()
    found = next(d for d in Reading(Limits()).read(file.name, io.BytesIO(data), len(data)) if isinstance(d, Parsed))
    return [found.text[p.span[0] : p.span[1]] for p in found.pages]


def plain_pdfium(file: Path) -> Pages:
    """pdfium's own text, without our layout."""
    import pypdfium2

    pdf = pypdfium2.PdfDocument(file.read_bytes())
    return [page.get_textpage().get_text_bounded() for page in pdf]


def plain_pypdf(file: Path) -> Pages:
    """pypdf, as the LangChain loader of the peer uses it."""
    import pypdf

    return [page.extract_text() for page in pypdf.PdfReader(file).pages]


def key(text: str) -> str:
    """Letters and digits only, in lower case."""
    return re.sub(r"[\W_]+", "", text.lower())


def compare(folder: Path, readers: dict[str, Callable[[Path], Pages]]) -> dict[str, dict[str, float]]:
    """Figures of each reader over the PDFs and questions of the folder."""
    questions = [json.loads(line) for line in (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines()]
    report = {}
    for name, read in readers.items():
        pages: dict[str, Pages] = {}
        started, cpu = time.perf_counter(), time.process_time()
        for file in sorted((folder / "pdfs").glob("*.pdf")):
            pages[file.stem] = read(file)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        count = sum(map(len, pages.values()))
        scores = [measure(p).score for ps in pages.values() for p in ps]
        found = in_order = 0
        missing = []
        for q in questions:
            texts = [(key(pages[e["doc"]][e["page"] - 1]), e["text"]) for e in q["evidence"]]
            lines = [(page, key(line)) for page, text in texts for line in text.splitlines() if len(key(line)) > 3]
            hit = all(line in page for page, line in lines)
            found += hit
            in_order += all(key(text) in page for page, text in texts)
            if not hit:
                missing.append(q["id"])
        report[name] = {
            "pages": count, "seconds": round(seconds, 2), "pages_per_second": round(count / seconds, 1), "pages_per_cpu_second": round(count / cpu, 1), "questions": len(questions),
            "found": found / len(questions), "found_in_order": in_order / len(questions), "text_score_mean": sum(scores) / count,
            "red_pages": sum(s < RED for s in scores), "missing": missing,
        }  # fmt: skip
        if name == "pypdf":
            cpu_split = time.process_time()
            RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=200).create_documents(
                [p for ps in pages.values() for p in ps]
            )
            cpu_split = time.process_time() - cpu_split
            report["pypdf + splitter"] = {"pages": count, "pages_per_cpu_second": round(count / (cpu + cpu_split), 1)}
    return report


if __name__ == "__main__":
    wanted = {"ours": ours, "pdfium": plain_pdfium, "pypdf": plain_pypdf}
    chosen = {n: wanted[n] for n in sys.argv[2:]} or wanted
    print(json.dumps(compare(Path(sys.argv[1]), chosen), indent=1))
