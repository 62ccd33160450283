"""Benchmarks: `python -m tests.bench --list`."""

import rag  # noqa: F401  # first, because it says how many threads numpy may take, which is read when numpy is loaded
