"""The fault harness: `python -m tests.crash [--full | --points N] [--only CAMPAIGN] [--seed N]`.

Campaigns: kill (SIGKILL at an enumerated I/O call), timed (SIGKILL at a random time), power (unsynced writes dropped or torn), fault (ENOSPC, EIO
or EACCES at one I/O call), corrupt (bit flips, truncations, zeroed blocks, swapped and outdated files). Prints one JSON document; exit code 1
when anything was lost, invented, doubled, or damaged without being noticed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rag.errors import RagError
from rag.storage.home import Home
from tests.crash import checking
from tests.crash.corruption import corruptions
from tests.crash.injection import Injector, Kind, install
from tests.crash.workload import Log, run

STEPS = 10
FULL = {"kill": 1000, "timed": 200, "power": 500, "fault": 0, "corrupt": 1000}  # fault 0: every call of the history


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="the counts that the project promises")
    parser.add_argument("--points", type=int, default=60, help="points of each campaign (default: 60)")
    parser.add_argument("--only", choices=sorted(FULL))
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)
    campaigns: dict[str, Callable[[Path, int, int], dict[str, Any]]] = {
        "kill": kills,
        "timed": timed_kills,
        "power": power_cuts,
        "fault": faults,
        "corrupt": corruptions,
    }
    result: dict[str, Any] = {}
    started = time.time()
    for name, campaign in campaigns.items():
        if args.only in (None, name):
            with tempfile.TemporaryDirectory(dir=_fast()) as folder:
                result[name] = campaign(Path(folder), FULL[name] if args.full else args.points, args.seed)
            sys.stderr.write(f"{name}: {result[name]['points']} points, {len(result[name]['problems'])} problems\n")
    result["seconds"] = round(time.time() - started, 1)
    print(json.dumps(result, indent=1))
    return 1 if any(r["problems"] for r in result.values() if isinstance(r, dict)) else 0


def kills(folder: Path, points: int, seed: int) -> dict[str, Any]:
    """SIGKILL at I/O calls spread evenly over histories, each history a store of its own."""
    return _enumerated(folder, points, seed, ["kill"])


def power_cuts(folder: Path, points: int, seed: int) -> dict[str, Any]:
    return _enumerated(folder, points, seed + 1000, ["power"])


def faults(folder: Path, points: int, seed: int) -> dict[str, Any]:
    """One refusal at an I/O call, of the three kinds in turn; 0 points = at every call of a history."""
    return _enumerated(folder, points, seed + 2000, ["ENOSPC", "EIO", "EACCES"])


def timed_kills(folder: Path, points: int, seed: int) -> dict[str, Any]:
    """SIGKILL at random times of one long life: the same store goes on after every death."""
    rng = random.Random(seed)
    home, log = folder / "home", folder / "log"
    took = 0.5
    found: list[str] = []
    deaths = 0
    for point in range(points):
        started = time.time()
        child = _fork(lambda point=point: _history(home, log, Injector(), seed * 10_000 + point))
        if point:
            time.sleep(rng.uniform(0.0, 1.2 * took))
            os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        deaths += os.WIFSIGNALED(status)
        took = took if point else time.time() - started
        found += [f"point {point}: {p}" for p in _checked(home, log)]
        if point % 20 == 19:  # an old store has long histories; start another
            shutil.rmtree(home)
            log.unlink()
    return {"points": points, "deaths": deaths, "problems": found}


def _enumerated(folder: Path, points: int, seed: int, kinds: list[Kind]) -> dict[str, Any]:
    """Faults at calls spread evenly over histories; 0 points = at every call of one history."""
    found: list[str] = []
    done = fired = calls = 0
    history = seed
    while not done or done < points:
        total = _calls(folder, history)
        calls += total
        wanted = min(total, max(20, points // 8), points - done) if points else total
        for number in range(wanted):
            at = 1 + number * total // wanted
            kind = kinds[number % len(kinds)]
            where = f"history {history}, call {at}, {kind}"
            hit, problems = _point(folder, history, Injector(kind, at, seed=history * 100_003 + at))
            fired += hit
            found += [f"{where}: {p}" for p in problems]
            done += 1
        history += 1
    return {"points": done, "fired": fired, "calls_of_histories": calls, "problems": found}


def _point(folder: Path, history: int, injector: Injector) -> tuple[bool, list[str]]:
    """One history with one fault, what the checker says, and whether the interrupted work completes when run again."""
    home, log = folder / "home", folder / "log"
    deadly = injector.kind in ("kill", "power")
    status = os.waitpid(_fork(lambda: _history(home, log, injector, history)), 0)[1]
    died = os.WIFSIGNALED(status)
    found = []
    if not died and (status or deadly):
        found.append("the history ended with an error that is none of ours" if status else "the fault never came")
    found += _checked(home, log)
    if os.waitpid(_fork(lambda: _history(home, log, Injector(), history + 1)), 0)[1]:
        found.append("the second run failed")
    found += [f"second run: {p}" for p in _checked(home, log)]
    shutil.rmtree(home, ignore_errors=True)
    log.unlink(missing_ok=True)
    return died or not deadly, found


def _calls(folder: Path, history: int) -> int:
    """I/O calls of a history that is left alone."""
    home, log, count = folder / "dry", folder / "dry.log", folder / "count"

    def dry() -> None:
        injector = Injector()
        _history(home, log, injector, history)
        count.write_text(str(injector.calls))

    status = os.waitpid(_fork(dry), 0)[1]
    if status:
        raise RuntimeError(f"history {history} fails without any fault")
    shutil.rmtree(home)
    log.unlink()
    return int(count.read_text())


def _history(home: Path, log: Path, injector: Injector, seed: int) -> None:
    disk, layer = install(injector)
    try:
        run(Home(home, disk=disk), Log(log), seed, STEPS)
    except RagError:
        # Opening or creating was refused, or the fault hit the closing: what is on disk is judged by the checker.
        if not injector.fired:
            raise
    del layer


def _checked(home: Path, log: Path) -> list[str]:
    """The checker in a process of its own, on an honest disk."""
    read, write = os.pipe()

    def check() -> None:
        with os.fdopen(write, "w") as out:
            try:
                json.dump(checking.problems(home, log), out)
            except RagError as e:
                json.dump([f"cannot be opened: {e}"], out)

    child = _fork(check)
    os.close(write)
    with os.fdopen(read) as answer:
        text = answer.read()
    status = os.waitpid(child, 0)[1]
    return json.loads(text) if text and not status else [f"the checker failed: {text[:200]}"]


def _fork(work: Callable[[], None]) -> int:
    """Runs `work` in a child; its id. Forking keeps the imports, so a point costs milliseconds."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    except BaseException:  # noqa: BLE001 - the child's last word
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _fast() -> str | None:
    """Memory, where there is a file system for it: what is lost is decided by the harness, not by the device."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


if __name__ == "__main__":
    sys.exit(main())
