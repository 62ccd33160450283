#!/usr/bin/env python3
"""A generator of the catalog behind an OpenAI-compatible address, in batches: for evaluations of hundreds of answers on a CPU.

    python tests/bench/batch_server.py --model qwen2.5-coder-1.5b-instruct --port 8123 [--workers 2] [--batch 16]
    RAG_SOURCE_TOKENS=... rag eval answers --model openai:http://127.0.0.1:8123/v1#qwen2.5-coder-1.5b-instruct --parallel 32 ...

The GGUF's weights, dequantized, in bfloat16 through transformers; greedy. On processors with AMX a batch reads about six times as many
tokens per processor second as one prompt after another through llama.cpp. Times measured through it mean nothing.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch

from eval.lora.base import find_base, read_model, read_tokenizer
from rag.settings import Settings


@dataclass
class Job:
    """One prompt and, when `done` is set, its answer."""

    prompt: list[int]
    longest: int
    out: list[int] = field(default_factory=list)
    sure: list[float] = field(default_factory=list)  # log probability of each token of `out`
    first: list[tuple[int, float]] = field(default_factory=list)  # the likeliest first tokens
    done: threading.Event = field(default_factory=threading.Event)


class Waiting:
    """Prompts that nobody answers yet; given away in batches of like length."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._jobs: list[Job] = []
        self._some = threading.Condition()

    def add(self, job: Job) -> None:
        with self._some:
            self._jobs.append(job)
            self._some.notify()

    def take(self) -> list[Job]:
        with self._some:
            while not self._jobs:
                self._some.wait()
                self._some.wait_for(lambda: len(self._jobs) >= self._size, timeout=1.0)  # others asked at the same time
            self._jobs.sort(key=lambda j: len(j.prompt))
            batch, self._jobs = self._jobs[: self._size], self._jobs[self._size :]
            return batch


def work(waiting: Waiting, pipe: Any) -> None:
    """Lets one process answer batch after batch."""
    while True:
        batch = waiting.take()
        started = time.monotonic()
        pipe.send([(j.prompt, j.longest) for j in batch])
        for job, (job.out, job.sure, job.first) in zip(batch, pipe.recv(), strict=True):
            job.done.set()
        read, said = sum(len(j.prompt) for j in batch), sum(len(j.out) for j in batch)
        print(f"{len(batch)} prompts, {read} + {said} tokens, {time.monotonic() - started:.1f} s", flush=True)


def worker(model: Any, ends: set[int], pipe: Any) -> None:
    """The other end of the pipe, in a process and a session of its own (Linux shares processors by session)."""
    os.setsid()
    while True:
        jobs = [Job(prompt, longest) for prompt, longest in pipe.recv()]
        decode(model, ends, jobs)
        pipe.send([(j.out, j.sure, j.first) for j in jobs])


@torch.inference_mode()
def decode(model: Any, ends: set[int], jobs: list[Job]) -> None:
    """Greedy decoding; rows that have ended leave the batch."""
    width = max(len(j.prompt) for j in jobs)
    ids = torch.tensor([[0] * (width - len(j.prompt)) + j.prompt for j in jobs])
    mask = torch.tensor([[0] * (width - len(j.prompt)) + [1] * len(j.prompt) for j in jobs])
    rows, cache = list(jobs), None
    while rows:
        place = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        out = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=place,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        cache = out.past_key_values
        likely = out.logits[:, -1].float().log_softmax(-1).topk(20)
        following = likely.indices[:, 0]
        keep = []
        for i, (job, token) in enumerate(zip(rows, following.tolist(), strict=True)):
            scores = likely.values[i].tolist()
            if not job.out:
                job.first = list(zip(likely.indices[i].tolist(), scores, strict=True))
            job.sure.append(scores[0])  # of the end, too
            if token not in ends and len(job.out) < job.longest:
                job.out.append(token)
                keep.append(i)
        if len(keep) < len(rows):
            chosen = torch.tensor(keep, dtype=torch.long)
            rows = [rows[i] for i in keep]
            if not rows:
                return
            cache.batch_select_indices(chosen)
            mask, following = mask[chosen], following[chosen]
        ids = following[:, None]
        mask = torch.cat([mask, torch.ones(len(rows), 1, dtype=mask.dtype)], 1)


def serve(args: argparse.Namespace) -> None:
    torch.set_num_threads(1)  # a thread a process: they need not wait for each other
    base = find_base(args.model, Path(Settings.load().models))
    tokenizer: Any = read_tokenizer(base)
    ends = {tokenizer.eos_token_id, *tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])}
    model = read_model(base, torch.bfloat16).eval()
    waiting = Waiting(args.batch)
    forked = multiprocessing.get_context("fork")  # the weights are shared
    ends_of_pipes = [forked.Pipe() for _ in range(args.workers)]
    for _, theirs in ends_of_pipes:
        forked.Process(target=worker, args=(model, ends, theirs), daemon=True).start()
    for ours, _ in ends_of_pipes:
        threading.Thread(target=work, args=(waiting, ours), daemon=True).start()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(json.dumps({"data": [{"id": args.model}]}).encode(), "application/json")

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            text = tokenizer.apply_chat_template(asked["messages"], tokenize=False, add_generation_prompt=True)
            job = Job(tokenizer(text)["input_ids"], asked.get("max_tokens") or 256)
            waiting.add(job)
            job.done.wait()
            said = tokenizer.decode(job.out, skip_special_tokens=True)
            reason = "length" if len(job.out) >= job.longest else "stop"
            usage = {"prompt_tokens": len(job.prompt), "completion_tokens": len(job.out)}
            sure: dict[str, list[dict[str, Any]]] = {"content": [{"logprob": p} for p in job.sure]}
            sure["content"][0]["top_logprobs"] = [{"token": tokenizer.decode([t]), "logprob": p} for t, p in job.first]
            events = [
                {"choices": [{"delta": {"content": said}, "finish_reason": None}]},
                {"choices": [{"delta": {}, "finish_reason": reason, "logprobs": sure}], "usage": usage},
            ]
            body = "".join(f"data: {json.dumps(e)}\n\n" for e in events) + "data: [DONE]\n\n"
            self._send(body.encode(), "text/event-stream")

        def _send(self, body: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    class Listener(ThreadingHTTPServer):
        request_queue_size = 256

    with Listener(("127.0.0.1", args.port), Handler) as listener:
        print("ready", flush=True)
        listener.serve_forever()


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--model", default="qwen2.5-coder-1.5b-instruct")
    ap.add_argument("--port", type=int, default=8123)
    ap.add_argument("--workers", type=int, default=2, help="processes, each with batches of its own")
    ap.add_argument("--batch", type=int, default=16)
    serve(ap.parse_args())


if __name__ == "__main__":
    main()
