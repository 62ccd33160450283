"""The interface against its own OpenAPI document, with requests that a machine makes up: no 5xx, and nothing that it does not declare.

FUZZ_EXAMPLES=1000 (`make fuzz`) asks for more than the hundred of every test run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from reportlab.pdfgen.canvas import Canvas

from tests.api.toy import Live, add, make_key

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "100"))
ROOT = Path(__file__).parent.parent.parent


@pytest.mark.slow
@pytest.mark.timeout(600 + 20 * EXAMPLES)
def test_the_interface_does_what_its_document_says(home: Path, tmp_path: Path) -> None:
    add(home, {"clock.md": "The tower clock was built in 1874."})
    report = home / "reports" / "one" / "report.json"
    report.parent.mkdir(parents=True)
    report.write_text(
        json.dumps({"arms": {"rag": {"metrics": {"f1": {"mean": 0.5, "low": 0.4, "high": 0.6, "n": 10}}}}})
    )
    (report.parent / "report.html").write_text("<!doctype html><title>Report</title>")
    key = make_key(home, admin=True)
    canvas = Canvas(str(tmp_path / "page.pdf"))
    canvas.drawString(72, 720, "A page.")
    canvas.save()
    with Live(home, queue=50) as live:
        with live.with_key(key) as client:
            client.post("/documents", files={"file": ("page.pdf", (tmp_path / "page.pdf").read_bytes())})
        result = subprocess.run(
            [
                Path(sys.executable).with_name("schemathesis"), "run", f"{live.url}/openapi.json", "--header", f"Authorization: Bearer {key}",
                "--checks", "all", "--max-examples", str(EXAMPLES), "--seed", "1", "--no-color", "--warnings", "off", "--continue-on-failure",
                "--workers", "2",
            ],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.api.fuzz_hooks"},
            capture_output=True,
            text=True,
        )  # fmt: skip
        with live.with_key(key) as client:
            metrics = client.get("/metrics").text
        assert result.returncode == 0, result.stdout[-8000:] + result.stderr[-2000:]
        served = [line for line in metrics.splitlines() if line.startswith("rag_requests_total{")]
        assert not [line for line in served if 'status="5' in line]
        sys.stderr.write(f"{sum(float(line.rpartition(' ')[2]) for line in served):.0f} requests, 0 answers of 5xx\n")
