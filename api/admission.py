"""A bounded, fair queue in front of the language model, and a breaker around it.

Pure asyncio and clocks: no HTTP, no threads. `Admission.enter` refuses at once when the queue is full; waiting callers take
turns by key, so one key's flood delays only itself.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from rag.errors import Busy, GeneratorDown


class Ticket:
    """A place in the queue, later a slot. Leave exactly once, whatever happens; leaving twice is harmless."""

    def __init__(self, admission: Admission, key: str) -> None:
        self._admission = admission
        self.key = key
        self.turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.started: float | None = None
        self.left = False

    @property
    def position(self) -> int:
        """1 = next; 0 = its turn has come."""
        return self._admission.position(self)

    @property
    def seconds(self) -> float:
        """Estimated wait from now."""
        return self._admission.estimate(self.position)

    def leave(self) -> None:
        """Gives the place or the slot to the next."""
        self._admission.leave(self)


class Admission:
    """`slots` at the same time, `waiting` more in the queue, the rest refused."""

    def __init__(self, slots: int, waiting: int, clock: Callable[[], float] = time.monotonic) -> None:
        if slots < 1 or waiting < 0:
            raise ValueError(f"slots must be at least 1 and waiting at least 0, not {slots} and {waiting}")
        self.slots = slots
        self.limit = waiting
        self._clock = clock
        self._running: set[Ticket] = set()
        self._queues: OrderedDict[str, deque[Ticket]] = OrderedDict()  # in the order in which keys take turns
        self._spread = random.Random()
        self._mean = 5.0  # seconds a request holds a slot; a moving average

    @property
    def running(self) -> int:
        """Slots in use."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """Places taken in the queue."""
        return sum(len(q) for q in self._queues.values())

    def enter(self, key: str) -> Ticket:
        """A ticket whose `turn` is done when a slot is free. Raises Busy when the queue is full."""
        if len(self._running) >= self.slots and self.waiting >= self.limit:
            # Spread over twice the wait, or all who were refused together would come back together.
            wait = self.estimate(self.waiting + 1) * self._spread.uniform(1, 2)
            raise Busy(
                f"{self.waiting} questions are waiting already; try again in about {max(1, round(wait))} s",
                max(1.0, wait),
            )
        ticket = Ticket(self, key)
        self._queues.setdefault(key, deque()).append(ticket)
        self._advance()
        return ticket

    def position(self, ticket: Ticket) -> int:
        """Its place in the order of service, counting turns by key."""
        if ticket.started is not None or ticket.left:
            return 0
        queues = [list(q) for q in self._queues.values()]
        for place, waiting in enumerate(_in_turns(queues), 1):
            if waiting is ticket:
                return place
        return 0

    def estimate(self, position: int) -> float:
        """Seconds until the turn of that position."""
        return position * self._mean / self.slots

    def leave(self, ticket: Ticket) -> None:
        """Frees what the ticket holds."""
        if ticket.left:
            return
        ticket.left = True
        if ticket in self._running:
            self._running.remove(ticket)
            assert ticket.started is not None
            self._mean += 0.2 * (self._clock() - ticket.started - self._mean)
        else:
            queue = self._queues[ticket.key]
            queue.remove(ticket)
            if not queue:
                del self._queues[ticket.key]
            ticket.turn.cancel()
        self._advance()

    def _advance(self) -> None:
        while len(self._running) < self.slots and self._queues:
            key, queue = next(iter(self._queues.items()))
            ticket = queue.popleft()
            if queue:
                self._queues.move_to_end(key)
            else:
                del self._queues[key]
            ticket.started = self._clock()
            self._running.add(ticket)
            ticket.turn.set_result(None)


def _in_turns(queues: list[list[Ticket]]) -> list[Ticket]:
    """One of each queue, then the second of each, and so on."""
    longest = max((len(q) for q in queues), default=0)
    return [q[i] for i in range(longest) for q in queues if i < len(q)]


class BreakerOpen(GeneratorDown):
    """The model failed several times in a row: it is not asked for a few seconds."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after  # seconds


class Breaker:
    """Opens after `failures` in a row; after `cooldown` seconds lets one request through to try. Thread-safe by the GIL:
    each method is one assignment that matters."""

    def __init__(self, failures: int = 3, cooldown: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._threshold = failures
        self._cooldown = cooldown
        self._clock = clock
        self._failed = 0
        self._until = 0.0

    @property
    def open(self) -> bool:
        """Whether requests are turned away now."""
        return self._failed >= self._threshold and self._clock() < self._until

    def check(self) -> None:
        """Raises BreakerOpen while it is open. The first caller after the cool-down goes through and the rest wait for it."""
        if self._failed < self._threshold:
            return
        left = self._until - self._clock()
        if left > 0:
            raise BreakerOpen(
                f"the language model failed {self._failed} times in a row; it is tried again in {max(1, round(left))} s "
                "(search works meanwhile; `rag doctor` shows the cause)",
                left,
            )
        self._until = self._clock() + self._cooldown

    def failed(self) -> None:
        """One more failure."""
        self._failed += 1
        self._until = self._clock() + self._cooldown

    def succeeded(self) -> None:
        """All is well again."""
        self._failed = 0
