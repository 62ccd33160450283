"""A few hundred faults on every run; `make crashtest` does the full count."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.slow
@pytest.mark.parametrize(
    ("campaign", "points"), [("kill", 70), ("timed", 20), ("power", 60), ("fault", 60), ("corrupt", 150)]
)
def test_nothing_is_lost_invented_doubled_or_damaged_unnoticed(campaign: str, points: int) -> None:
    # In a process of its own: it forks, which a test runner with threads must not.
    command = [sys.executable, "-m", "tests.crash", "--only", campaign, "--points", str(points)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert json.loads(done.stdout)[campaign]["points"] == points
