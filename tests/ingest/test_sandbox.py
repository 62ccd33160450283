"""The reading process: what it gives up, what ends it, and that its end is only a reason."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.parsed import Limits, Parsed
from ingest.sandbox import Budget, Sandbox, SandboxPool
from tests.ingest.samples import docx


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    made = Sandbox(Budget())
    yield made
    made.close()


def confined(code: str, *, memory: int = 1 << 30) -> str:
    """What `code` prints after the process has confined itself."""
    program = f"from ingest.sandbox_worker import confine\nwalls = confine({memory})\n" + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, timeout=60)
    return (done.stdout + done.stderr).strip()


def test_a_confined_process_cannot_write(tmp_path: Path) -> None:
    target = tmp_path / "x"
    for code in (
        f"open({str(target)!r}, 'w').write('x')",
        f"import os; os.mkdir({str(target)!r})",
        f"import os; os.rename('/etc/hostname', {str(target)!r})",
    ):
        assert "Error" in confined(code)
    assert not target.exists()


def test_a_confined_process_cannot_write_even_around_python(tmp_path: Path) -> None:
    target = tmp_path / "x"
    out = confined(
        f"""
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        handle = libc.open({str(target)!r}.encode(), 0o101, 0o600)
        print(handle, libc.write(handle, b"x", 1) if handle >= 0 else -1)
        """
    )
    assert out.endswith("-1") and (not target.exists() or target.stat().st_size == 0)


def test_a_confined_process_has_no_network() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert "not allowed" in confined(f"import socket; socket.create_connection(('127.0.0.1', {port}), 2)")
        raw = confined(
            f"""
            import ctypes, struct
            libc = ctypes.CDLL(None, use_errno=True)
            handle = libc.socket(2, 1, 0)
            print(libc.connect(handle, struct.pack("=HH4s8x", 2, {socket.htons(port)}, bytes([127, 0, 0, 1])), 16))
            """
        )
        assert raw.endswith("-1")


def test_a_confined_process_starts_no_programs() -> None:
    assert "not allowed" in confined("import subprocess; subprocess.run(['/bin/true'])")
    assert "not allowed" in confined("import os; os.system('true')")


def test_a_confined_process_reads_no_files_of_others(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("TOP SECRET")
    out = confined(f"print(walls); print(open({str(secret)!r}).read())")
    if "landlock" not in out:
        pytest.skip("this kernel has no Landlock")
    assert "TOP SECRET" not in out


def test_memory_is_limited() -> None:
    assert "MemoryError" in confined("x = bytearray(600 << 20)", memory=512 << 20)


def test_a_file_is_read_and_the_process_used_again(sandbox: Sandbox, tmp_path: Path) -> None:
    for n in range(3):
        file = tmp_path / f"{n}.docx"
        file.write_bytes(docx(paragraphs=[f"Number {n}."]))
        (document,) = sandbox.read(file).documents
        assert document.text == f"Number {n}."
    assert sandbox.walls[:2] == ("limits", "audit")


def test_links_pipes_and_folders_are_not_opened(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("x")
    (tmp_path / "link.txt").symlink_to(tmp_path / "real.txt")
    os.mkfifo(tmp_path / "pipe.txt")
    for name in ("link.txt", "pipe.txt", ".", "missing.txt"):
        result = sandbox.read(tmp_path / name)
        assert not result.documents and result.unread[0].reason


def test_time_runs_out_and_the_next_file_is_read(tmp_path: Path) -> None:
    slow, quick = tmp_path / "slow.md", tmp_path / "quick.md"
    slow.write_bytes(b"*_" * 400_000)  # minutes of work for a Markdown parser
    quick.write_text("Quick.")
    sandbox = Sandbox(Budget(seconds=3.0))
    try:
        result = sandbox.read(slow)
        assert "3 seconds" in result.unread[0].reason and result.seconds < 15
        assert sandbox.read(quick).documents[0].text == "Quick."
    finally:
        sandbox.close()


def test_too_much_memory_is_a_reason_and_the_next_file_is_read(tmp_path: Path) -> None:
    big, small = tmp_path / "big.json", tmp_path / "small.md"
    big.write_bytes(b"[" + b"{}," * 8_000_000 + b"{}]")
    small.write_text("Small.")
    sandbox = Sandbox(Budget(memory=300 << 20, seconds=60))
    try:
        assert "memory" in sandbox.read(big).unread[0].reason
        assert sandbox.read(small).documents[0].text == "Small."
    finally:
        sandbox.close()


def test_a_process_that_is_killed_is_a_reason(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "slow.md"
    file.write_bytes(b"*_" * 400_000)
    (tmp_path / "quick.md").write_text("Quick.")
    sandbox.read(tmp_path / "quick.md")
    assert sandbox._process is not None
    threading.Timer(1.0, sandbox._process.kill).start()
    assert "crashed" in sandbox.read(file).unread[0].reason
    assert sandbox.read(tmp_path / "quick.md").documents


def test_too_large_a_file_is_not_opened(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"x" * 3_000_000)
    sandbox = Sandbox(Budget(limits=Limits(bytes=1 << 20)))
    assert "allowed" in sandbox.read(file).unread[0].reason


def test_a_pool_gives_results_in_order(tmp_path: Path) -> None:
    files = []
    for n in range(40):
        files.append(tmp_path / f"{n}.md")
        files[-1].write_text(f"Text {n}.")
    with SandboxPool(Budget(), 2) as pool:
        found = [r.documents[0].text for _, r in pool.read_all(files, lambda f: f)]
    assert found == [f"Text {n}." for n in range(40)]


def test_an_answer_with_spans_outside_the_text_is_not_believed() -> None:
    answer = Parsed("", "text", "t", "abc").to_json() | {"blocks": [{"kind": "paragraph", "span": [0, 99], "level": 0}]}
    with pytest.raises(ValueError, match="not in a text"):
        Parsed.from_json(answer)


@pytest.mark.slow
def test_hostile_files_end_in_typed_results() -> None:
    """A hundred here; `make hostile` reads 2,000. In a process of its own: the peak memory of children is counted for a whole process."""
    command = [sys.executable, "-m", "tests.ingest.hostile", "--count", "100", "--seed", "11"]
    ran = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stdout + ran.stderr
