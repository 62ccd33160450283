#!/usr/bin/env python3
"""A generator of the catalog behind an OpenAI-compatible address, in batches: for evaluations of hundreds of answers on a CPU.

    python tests/bench/batch_server.py --model qwen2.5-coder-1.5b-instruct --port 8123 [--threads 1] [--batch 16]
    RAG_SOURCE_TOKENS=... rag eval answers --model openai:http://127.0.0.1:8123/v1#qwen2.5-coder-1.5b-instruct --parallel 32 ...

The GGUF's weights, dequantized, in bfloat16 through transformers; greedy. On processors with AMX a batch reads about six times as many
tokens per processor second as one prompt after another through llama.cpp. Times measured through it mean nothing.
"""

from __future__ import annotations

import argparse
import json
import queue
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


class Batches:
    """Takes waiting prompts of like length together."""

    def __init__(self, model: Any, ends: set[int], size: int) -> None:
        self._model, self._ends, self._size = model, ends, size
        self.waiting: queue.Queue[Job] = queue.Queue()

    def run(self) -> None:
        left: list[Job] = []
        while True:
            left += [self.waiting.get()] if not left else []
            time.sleep(0.3)  # others that were asked at the same time
            while not self.waiting.empty():
                left.append(self.waiting.get())
            left.sort(key=lambda j: len(j.prompt))
            batch, left = left[: self._size], left[self._size :]
            started = time.monotonic()
            self._answer(batch)
            print(
                f"{len(batch)} prompts, {sum(len(j.prompt) for j in batch)} tokens, {sum(len(j.out) for j in batch)} answer tokens, "
                f"{time.monotonic() - started:.1f} s, {len(left)} waiting",
                flush=True,
            )

    @torch.inference_mode()
    def _answer(self, jobs: list[Job]) -> None:
        """Greedy decoding; rows that have ended leave the batch."""
        width = max(len(j.prompt) for j in jobs)
        ids = torch.tensor([[0] * (width - len(j.prompt)) + j.prompt for j in jobs])
        mask = torch.tensor([[0] * (width - len(j.prompt)) + [1] * len(j.prompt) for j in jobs])
        rows, cache = list(jobs), None
        while rows:
            place = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
            out = self._model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=place,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            cache = out.past_key_values
            likely = out.logits[:, -1].float().log_softmax(-1).topk(5)
            following = likely.indices[:, 0]
            keep = []
            for i, (job, token) in enumerate(zip(rows, following.tolist(), strict=True)):
                scores = likely.values[i].tolist()
                if not job.out:
                    job.first = list(zip(likely.indices[i].tolist(), scores, strict=True))
                job.sure.append(scores[0])  # of the end, too
                if token in self._ends or len(job.out) >= job.longest:
                    job.done.set()
                else:
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
    torch.set_num_threads(args.threads)
    base = find_base(args.model, Path(Settings.load().models))
    tokenizer: Any = read_tokenizer(base)
    ends = {tokenizer.eos_token_id, *tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])}
    batches = Batches(read_model(base, torch.bfloat16).eval(), ends, args.batch)
    threading.Thread(target=batches.run, daemon=True).start()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(json.dumps({"data": [{"id": args.model}]}).encode(), "application/json")

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            text = tokenizer.apply_chat_template(asked["messages"], tokenize=False, add_generation_prompt=True)
            job = Job(tokenizer(text)["input_ids"], asked.get("max_tokens") or 256)
            batches.waiting.put(job)
            job.done.wait()
            said = tokenizer.decode(job.out, skip_special_tokens=True)
            reason = "length" if len(job.out) >= job.longest else "stop"
            usage = {"prompt_tokens": len(job.prompt), "completion_tokens": len(job.out)}
            sure = {
                "content": [{"logprob": p} for p in job.sure],
                "first": [{"token": tokenizer.decode([t]), "logprob": p} for t, p in job.first],
            }
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

    print("ready", flush=True)
    ThreadingHTTPServer(("127.0.0.1", args.port), Handler).serve_forever()


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--model", default="qwen2.5-coder-1.5b-instruct")
    ap.add_argument("--port", type=int, default=8123)
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--batch", type=int, default=16)
    serve(ap.parse_args())


if __name__ == "__main__":
    main()
