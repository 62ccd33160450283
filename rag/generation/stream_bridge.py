"""A stream that is produced on a thread of its own, read here as a plain iterator that can be stopped at any moment.

The three engines push in three ways (a callback, two asyncio clients); the rules of the Generator Protocol about cancelling,
closing and time are kept once, here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from threading import Event, Thread
from time import monotonic
from typing import Any, Generic, TypeVar

from rag.errors import GeneratorTimeout

T = TypeVar("T")
_POLL = 0.05  # seconds between looks at `cancel`: well under the two seconds a stop may take


class Outbox(Generic[T]):
    """What a producer sees: it puts items, and stops when `stopped` is set."""

    def __init__(self) -> None:
        self.queue: SimpleQueue[tuple[str, T | BaseException | None]] = SimpleQueue()
        self.stopped = Event()

    def put(self, item: T) -> None:
        """Hands one item to the reader."""
        self.queue.put(("item", item))

    def alive(self) -> None:
        """Says that work goes on although there is no item yet (a prompt is being read)."""
        self.queue.put(("alive", None))


def bridge(
    produce: Callable[[Outbox[T]], None],
    *,
    cancel: Event | None,
    timeout: float,
    name: str,
    stop: Callable[[], None] = lambda: None,
) -> Iterator[T]:
    """The items of `produce`, which runs on a thread until it returns, raises, or sees `stopped`.

    When `cancel` is set the iterator ends early, without an item more; when it is closed the same happens. `stop` wakes a
    producer that waits for the network. Raises what the producer raised, and GeneratorTimeout after `timeout` seconds
    without a sign of life.
    """
    outbox: Outbox[T] = Outbox()

    def run() -> None:
        try:
            produce(outbox)
        except BaseException as e:  # noqa: BLE001 - handed to the reader, who raises it
            outbox.queue.put(("error", e))
        else:
            outbox.queue.put(("end", None))

    thread = Thread(target=run, name=f"generate {name}", daemon=True)
    thread.start()
    last = monotonic()
    try:
        while True:
            if cancel is not None and cancel.is_set():
                return
            try:
                kind, value = outbox.queue.get(timeout=_POLL)
            except Empty:
                if monotonic() - last > timeout:
                    raise GeneratorTimeout(
                        f"{name}: no token for {timeout:.0f} s; try again, a smaller model, or raise RAG_GENERATOR_TIMEOUT"
                    ) from None
                continue
            last = monotonic()
            if kind == "item":
                yield value  # type: ignore[misc]
            elif kind == "error":
                assert isinstance(value, BaseException)
                raise value
            elif kind == "end":
                return
    finally:
        outbox.stopped.set()
        stop()
        thread.join(timeout=2.0)


def bridge_async(
    items: Callable[[], AsyncIterator[T]], *, cancel: Event | None, timeout: float, name: str
) -> Iterator[T]:
    """The items of an asynchronous iterator. Stopping cancels its task, which closes the connection at once: a server that
    watches its client (Ollama, vLLM, llama-server) then stops the model, also while it still reads the prompt."""
    loop = asyncio.new_event_loop()
    tasks: list[asyncio.Task[None]] = []

    def produce(outbox: Outbox[T]) -> None:
        async def pump() -> None:
            async for item in items():
                outbox.put(item)

        asyncio.set_event_loop(loop)
        task = loop.create_task(pump())
        tasks.append(task)
        if outbox.stopped.is_set():
            task.cancel()
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            pass
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    def stop() -> None:
        if tasks and not loop.is_closed():
            try:
                loop.call_soon_threadsafe(tasks[0].cancel)
            except RuntimeError:
                return  # the loop ended by itself between the look and the call

    return bridge(produce, cancel=cancel, timeout=timeout, name=name, stop=stop)


def run_async(call: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine, whether or not the calling thread runs a loop of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, call).result()
