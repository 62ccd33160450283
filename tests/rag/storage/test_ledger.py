"""Keys, jobs, gaps and traces of a home."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.errors import CorruptCollection, NotFound
from rag.storage.ledger import Ledger, Trace


@pytest.fixture
def ledger(tmp_path: Path):
    with Ledger(tmp_path) as opened:
        yield opened


def test_a_key_is_found_by_its_secret_alone(ledger: Ledger) -> None:
    secret, key = ledger.create_key("reader", ["hr"])
    assert ledger.find_key(secret) == key
    for wrong in (secret[:-1], secret[:-1] + "~", secret.upper(), key.id, f"rag_{key.id}_", "", "rag__", "nonsense"):
        assert ledger.find_key(wrong) is None


def test_a_secret_is_256_random_bits_and_never_stored(ledger: Ledger, tmp_path: Path) -> None:
    secret, _ = ledger.create_key("reader")
    assert len(secret.split("_", 2)[2]) == 43  # 256 bits in base64
    ledger.close()
    assert not [f for f in tmp_path.iterdir() if secret.encode() in f.read_bytes()]


def test_a_key_revoked_in_another_process_is_refused_at_once(ledger: Ledger, tmp_path: Path) -> None:
    secret, key = ledger.create_key("reader")
    with Ledger(tmp_path) as other:
        other.revoke_key(key.id)
    assert ledger.find_key(secret) is None


def test_revoking_every_key_does_not_open_the_home(ledger: Ledger) -> None:
    assert not ledger.guarded()
    _, key = ledger.create_key("only")
    ledger.revoke_key(key.id)
    assert ledger.guarded()


def test_revoking_twice_keeps_the_first_time(ledger: Ledger) -> None:
    _, key = ledger.create_key("reader")
    first = ledger.revoke_key(key.id).revoked
    assert ledger.revoke_key(key.id).revoked == first
    with pytest.raises(NotFound, match="keys list"):
        ledger.revoke_key("nobody")


def test_a_job_keeps_its_report(ledger: Ledger) -> None:
    job = ledger.add_job("upload", "a.md", "open", {"file": "x"})
    ledger.set_job(job.id, state="done", report={"added": 1})
    assert ledger.job(job.id).report == {"added": 1}
    assert ledger.unfinished_jobs() == []


def test_the_newest_job_comes_first_and_the_oldest_is_worked_on_first(ledger: Ledger) -> None:
    first, second = (ledger.add_job("upload", name, "open", {}) for name in "ab")
    assert [j.id for j in ledger.jobs()] == [second.id, first.id]
    assert [j.id for j in ledger.unfinished_jobs()] == [first.id, second.id]


def test_gaps_count_the_same_question_once(ledger: Ledger) -> None:
    for question in ("Where is  the key?", "where is the key?", "Another"):
        ledger.add_gap("default", question, "abstained")
    assert [(g.question, g.count) for g in ledger.gaps()] == [("Where is  the key?", 2), ("Another", 1)]
    ledger.close_gap("default", "WHERE is the key?")
    assert [g.question for g in ledger.gaps()] == ["Another"]


def test_traces_hold_numbers(ledger: Ledger) -> None:
    trace = Trace("ans-1", "2026-01-01", "open", "/ask", "answered", {"hits": 3}, {"total": 1.5})
    ledger.add_trace(trace)
    assert ledger.traces() == [trace]


def test_a_damaged_ledger_is_refused(tmp_path: Path) -> None:
    with Ledger(tmp_path) as made:
        for i in range(200):
            made.create_key(f"key {i}")
    file = tmp_path / "service.sqlite"
    content = bytearray(file.read_bytes())
    for page in range(1, len(content) // 4096):
        content[page * 4096 + 4000] ^= 1
    file.write_bytes(content)
    with Ledger(tmp_path) as damaged, pytest.raises(CorruptCollection):
        damaged.list_keys()
