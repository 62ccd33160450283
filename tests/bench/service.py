"""How the service holds under load, faults and clients that leave: `python -m tests.bench.service load|faults|aborts|real [--seconds S] [--count N]`.

`rag serve` runs as a process of its own, and so does the scripted model server; all traffic stays on the loopback. Prints Markdown.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from tests.api.model_server import ModelServer

RAG = Path(sys.executable).with_name("rag")
TEXT = "# Clock\n\nThe tower clock was built in 1874.\n\n# Pump\n\nThe pump pressure is 42 bar at most.\n"
QUESTION = "When was the tower clock built?"
CHAT = {"messages": [{"role": "user", "content": QUESTION}]}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tests.bench.service")
    parser.add_argument("what", choices=["load", "faults", "aborts", "real"])
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--users", type=int, default=8)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "doc.md").write_text(TEXT)
        subprocess.run([RAG, "ingest", home / "doc.md", "--home", home / "home"], check=True, capture_output=True)
        if args.what == "load":
            asyncio.run(load(home / "home", args.clients, args.seconds))
        elif args.what == "faults":
            asyncio.run(faults(home / "home", args.count))
        elif args.what == "aborts":
            asyncio.run(aborts(home / "home", args.count))
        else:
            asyncio.run(real(home / "home", args.users, args.seconds))
    return 0


@contextmanager
def served(home: Path, generator: str, model_url: str = "", **settings: object) -> Iterator[tuple[str, psutil.Process]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = os.environ | {
        "RAG_HOME": str(home),
        "RAG_GENERATOR": generator,
        "OLLAMA_HOST": model_url,
        "RAG_LOG_LEVEL": "warning",
    }
    env |= {f"RAG_{k.upper()}": str(v) for k, v in settings.items()}
    process = subprocess.Popen([RAG, "serve", "--port", str(port)], env=env, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(1200):
            try:
                if httpx.get(f"{url}/readyz", timeout=5).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        yield url, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def model_process(seconds: float, words: int) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", "tests.api.model_server", str(port), str(seconds), str(words)])
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


async def load(home: Path, clients: int, seconds: float) -> None:
    """`clients` chats at any time: who is refused waits as long as it is told to, and asks again."""
    slots, queue = 4, 16
    with (
        model_process(0.05, 20) as model,
        served(home, "ollama:test", model, concurrency=slots, queue=queue) as (url, process),
    ):
        begin = time.monotonic()
        results: list[tuple[int, float]] = []
        late: list[float] = []  # when refusals took longer than a quarter of a second
        health: list[float] = []
        waiting: list[float] = []
        until = time.monotonic() + seconds
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=clients)
        async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as http:

            async def client(number: int) -> None:
                await asyncio.sleep(number * 0.01)
                while time.monotonic() < until:
                    begun = time.monotonic()
                    answer = await http.post("/v1/chat/completions", json=CHAT | {"stream": number % 2 == 0})
                    whole = answer.status_code == 200 and (number % 2 == 1 or "[DONE]" in answer.text)
                    results.append(
                        (answer.status_code if whole or answer.status_code != 200 else -1, time.monotonic() - begun)
                    )
                    if answer.status_code == 429 and results[-1][1] > 0.25:
                        late.append(begun - begin)
                    if answer.status_code == 429:
                        await asyncio.sleep(min(float(answer.headers["retry-after"]), max(0, until - time.monotonic())))

            async def watch() -> None:
                async with httpx.AsyncClient(base_url=url, timeout=30) as own:
                    while time.monotonic() < until:
                        begun = time.monotonic()
                        assert (await own.get("/healthz")).status_code == 200
                        health.append(time.monotonic() - begun)
                        if len(health) % 20 == 0:
                            lines = (await own.get("/metrics")).text.splitlines()
                            waiting.append(
                                next(float(x.split()[-1]) for x in lines if x.startswith("rag_answers_waiting "))
                            )
                        await asyncio.sleep(0.1)

            await asyncio.gather(watch(), *(client(i) for i in range(clients)))
        codes = Counter(code for code, _ in results)
        done = [s for code, s in results if code == 200]
        no = [s for code, s in results if code == 429]
        print(f"{clients} clients, {seconds:.0f} s, {slots} slots, queue of {queue}, a second of words an answer:")
        print(
            f"- answered {codes[200]}, refused with 429 {codes[429]}, 5xx {sum(n for c, n in codes.items() if c >= 500)}, cut off {codes[-1]}"
        )
        print(f"- 429: {shares(no)}; answers: {shares(done)}; /healthz: {shares(health)}")
        print(
            f"- refusals later than 0.25 s: {len(late)}, of them {sum(t < 5 for t in late)} in the first 5 s, when all come at once"
        )
        print(f"- longest queue seen {max(waiting, default=0):.0f}; memory {process.memory_info().rss / 1e6:.0f} MB")


async def faults(home: Path, count: int) -> None:
    """`count` faults, one after the other, each followed by recovery."""
    kinds = ["500", "busy", "garbage", "cut", "error line", "missing", "silent", "refused"]
    times: dict[str, list[float]] = {k: [] for k in kinds}
    recoveries: list[float] = []
    seen: Counter[str] = Counter()
    chance = random.Random(1)
    model = ModelServer()
    port = int(model.url.rpartition(":")[2])
    model.__enter__()
    with served(home, "ollama:test", model.url, generator_timeout=1) as (url, _):
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            for i in range(count):
                kind = kinds[i % len(kinds)]
                if kind == "refused":
                    model.__exit__()
                else:
                    model.fault = kind
                begun = time.monotonic()
                answer = await http.post("/v1/chat/completions", json=CHAT | {"stream": chance.random() < 0.5})
                times[kind].append(time.monotonic() - begun - (1 if kind == "silent" else 0))
                events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
                error = (events[-1] if events else answer.json() if answer.status_code != 200 else {}).get("error", {})
                seen[f"{kind}: {error.get('type')}"] += 1
                if kind == "refused":
                    model = ModelServer(port)
                    model.__enter__()
                model.fault = None
                begun = time.monotonic()
                while (await http.post("/ask", json={"question": QUESTION})).status_code != 200:
                    await asyncio.sleep(0.1)
                recoveries.append(time.monotonic() - begun)
    model.__exit__()
    print(f"{count} faults: " + ", ".join(f"{k} ({n})" for k, n in sorted(seen.items())))
    for kind, values in times.items():
        print(f"- {kind}: typed error after {shares(values)} from detection")
    print(f"- recovered after {shares(recoveries)}; hangs 0")


async def aborts(home: Path, count: int) -> None:
    """`count` clients that leave at a random moment of a 20-second answer."""
    chance = random.Random(1)
    stopped: list[float] = []
    with (
        ModelServer(seconds=0.05, words=("word",) * 400) as model,
        served(home, "ollama:test", model.url) as (url, process),
    ):
        host, port = "127.0.0.1", int(url.rpartition(":")[2])

        def leave(after: float, stream: bool) -> None:
            body = json.dumps(CHAT | {"stream": stream}).encode()
            head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            with socket.create_connection((host, port)) as connection:
                connection.sendall(head.encode() + body)
                time.sleep(after)
            begun = time.monotonic()
            while model.active:
                time.sleep(0.01)
                assert time.monotonic() - begun < 10, "the model went on"
            stopped.append(time.monotonic() - begun)

        for _ in range(20):
            leave(0.3, True)
        before = (process.num_fds(), process.num_threads(), process.memory_info().rss)
        stopped.clear()
        for _ in range(count):
            leave(chance.uniform(0, 0.6), chance.random() < 0.5)
        after = (process.num_fds(), process.num_threads(), process.memory_info().rss)
        begun = time.monotonic()
        while busy := _busy(url):
            time.sleep(0.05)
            assert time.monotonic() - begun < 10, f"{busy} slots and places are still taken"
    print(f"{count} clients that left, streaming or not, 0 to 0.6 s after they asked:")
    print(f"- the model stopped after {shares(stopped)}")
    print(
        f"- open files {before[0]} -> {after[0]}, threads {before[1]} -> {after[1]}, memory {before[2] / 1e6:.0f} -> {after[2] / 1e6:.0f} MB; {busy}"
    )


def _busy(url: str) -> int:
    """Slots and places in the queue that are taken."""
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    return sum(
        int(float(x.split()[1])) for x in lines if x.startswith(("rag_answers_running ", "rag_answers_waiting "))
    )


async def real(home: Path, users: int, seconds: float) -> None:
    """`users` who ask the embedded 0.5B model, each its next question when the last one is answered."""
    with served(home, "embedded:qwen2.5-coder-0.5b-instruct") as (url, process):
        results: list[tuple[int, float]] = []
        health: list[float] = []
        until = time.monotonic() + seconds
        async with httpx.AsyncClient(base_url=url, timeout=300) as http:

            async def user(number: int) -> None:
                while time.monotonic() < until:
                    begun = time.monotonic()
                    question = QUESTION if number % 2 else "How high may the pump pressure be?"
                    answer = await http.post(
                        "/v1/chat/completions", json={"messages": [{"role": "user", "content": question}]}
                    )
                    results.append((answer.status_code, time.monotonic() - begun))

            async def watch() -> None:
                while time.monotonic() < until:
                    begun = time.monotonic()
                    assert (await http.get("/healthz")).status_code == 200
                    health.append(time.monotonic() - begun)
                    await asyncio.sleep(0.1)

            await asyncio.gather(watch(), *(user(i) for i in range(users)))
        codes = Counter(code for code, _ in results)
        print(f"{users} users of the embedded 0.5B model for {seconds:.0f} s:")
        print(
            f"- {dict(codes)}; answers: {shares([s for c, s in results if c == 200])}; /healthz: {shares(health)}; memory {process.memory_info().rss / 1e6:.0f} MB"
        )


def shares(seconds: Sequence[float]) -> str:
    """p50, p99 and the largest."""
    if not seconds:
        return "none"
    ordered = sorted(seconds)
    p50, p99 = ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"p50 {p50:.3f} s, p99 {p99:.3f} s, max {ordered[-1]:.3f} s (n = {len(ordered)})"


if __name__ == "__main__":
    sys.exit(main())
