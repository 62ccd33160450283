"""Reading, cutting and storing whole folders without a model (toy vectors), a PDF of very many pages, and OCR settings side by side.

python -m tests.bench.ingest_reading folders ../shared/data/handbook/files ../shared/data/handbook_zh/files
python -m tests.bench.ingest_reading pages 10000
python -m tests.bench.ingest_reading ocr
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ingest.indexing import ingest
from ingest.sandbox import Budget, Sandbox
from tests.ingest.samples import scan
from tests.ingest.test_ocr import CHINESE, ENGLISH, characters_read
from tests.ingest.toy import ToyServices


def folder(path: Path) -> dict[str, Any]:
    """Ingest of a folder, then again."""
    with tempfile.TemporaryDirectory() as home, ToyServices(Path(home) / "home") as services:
        cpu = time.process_time()
        first = ingest([path], services)
        cpu = time.process_time() - cpu
        again = ingest([path], services)
    return {
        "folder": path.name, "documents": len(first.added), "failed": len(first.failed), "skipped": len(first.skipped), "red": len(first.red_pages),
        "chunks": first.chunks, "seconds": round(first.seconds, 1), "parent_processor_seconds": round(cpu, 1), "again_seconds": round(again.seconds, 2),
    }  # fmt: skip


def pages(count: int) -> dict[str, Any]:
    """A PDF of one-line pages, through the sandbox."""
    from reportlab.pdfgen.canvas import Canvas

    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "long.pdf"
        canvas = Canvas(str(file))
        for n in range(count):
            canvas.drawString(60, 700, f"Page {n} has the code {n * 7}.")
            canvas.showPage()
        canvas.save()
        sandbox = Sandbox(Budget())
        result = sandbox.read(file)
        sandbox.close()
    read = sum(len(d.pages) for d in result.documents)
    return {
        "pages": count,
        "read": read,
        "seconds": round(result.seconds, 1),
        "unread": [u.reason for u in result.unread],
    }


def ocr() -> list[dict[str, Any]]:
    """Share of the characters read, by settings, language and size of type (pixels at 200 dpi)."""
    import numpy as np
    from rapidocr_onnxruntime import RapidOCR

    settings: dict[str, dict[str, Any]] = {
        "package defaults": {},
        "no classifier": {"use_cls": False},
        "chosen": {"use_cls": False, "box_thresh": 0.3, "unclip_ratio": 1.8},
    }
    found = []
    for name, options in settings.items():
        engine = RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1)
        for language, text in (("en", ENGLISH), ("zh", CHINESE)):
            for size in (26, 30):
                picture = np.asarray(scan(text, size=size, width=1800, noise=12))[:, :, ::-1]
                cpu = time.process_time()
                lines, _ = engine(picture, **options)
                words = "\n".join(line[1] for line in sorted(lines or [], key=lambda b: b[0][0][1]))
                row = {"settings": name, "language": language, "size": size, "characters": len("".join(text.split()))}
                found.append(
                    row
                    | {
                        "read": round(characters_read(text, words), 4),
                        "processor_seconds": round(time.process_time() - cpu, 1),
                    }
                )
    return found


if __name__ == "__main__":
    what, *args = sys.argv[1:]
    result: Any = (
        [folder(Path(a)) for a in args] if what == "folders" else pages(int(args[0])) if what == "pages" else ocr()
    )
    sys.stdout.write(json.dumps(result, indent=1) + "\n")
