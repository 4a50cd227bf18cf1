"""One session at a Ray cluster: which task is next, what came of it, and what is lost. Only the door runs this.

Takes a bundle's archive and a folder, gives progress on stdout and the trainer's files in the folder.

A pass of the trainer that trains nothing decides rungs and says who may go on; each of those runs is then a task of its
own, to its next rung or its end. So the trainer's own code decides, whoever trained. A task whose worker or node is
lost is submitted again from the last checkpoint that came here. All tasks ask for the same resources, and the first one
says which environment the others must have: a node that has another is not asked again.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aams.bundle import MAX_BYTES, manifest_in
from aams.files import write_whole
from aams.lanes import ray_worker
from aams.lanes.base import is_event
from aams.lanes.local import PARALLEL_RUNS
from aams.records import Manifest

POLL_S = 0.5
LOOK_S = 5.0
"""Between two looks at the nodes."""
LATE_S = 10.0
"""After the budget's time: what was under way by then has told how far it came."""
NODES_S = 120.0
"""How long there may be no node to train on: one may be about to join."""
MAX_LOST = 5
"""Of one task: what loses every worker is not the workers' fault."""
OTHER_ENVIRONMENT = 3
"""The trainer's exit status."""
RESULTS, RUNGS = "results.json", "rungs.json"
PARTS = ("checkpoint", "json", "safetensors")


class SessionError(Exception):
    """The session can't go on, in one sentence."""


@dataclass(slots=True)
class _Task:
    """One pass under way; `node` is where, once that is known."""

    only: tuple[str, ...]
    node: str = ""


class Session:
    """The training of one bundle."""

    def __init__(self, archive: Path, out: Path, checkpoint_s: float) -> None:
        import ray

        self.manifest: Manifest = manifest_in(archive)
        self.out, self.checkpoint_s = out, checkpoint_s
        self.names = {run.name for run in self.manifest.inputs.runs}
        climbing = {run.name for run in self.manifest.inputs.runs if run.arm == "child"}
        self.climbing = climbing if self.manifest.inputs.rungs else set()
        self.archive = ray.put(archive.read_bytes())
        self.tasks: dict[Any, _Task] = {}
        self.landed: set[str] = set()
        self.lost: dict[tuple[str, ...], int] = {}
        self.told: set[str] = set()
        self.others: set[str] = set()
        self.fingerprint, self.accepted = "", self.manifest.inputs.confinement
        self.passes = 0
        self.began = self.seen_nodes = self.looked = time.monotonic()
        self.is_late = False
        has_gpus = any(node["Resources"].get("GPU") for node in _nodes() if node["Alive"])
        self.resources = {"num_cpus": 1, "num_gpus": 1 / PARALLEL_RUNS if has_gpus else 0}
        for name in self.names:  # a run that failed before is tried again, as everywhere
            if not (out / f"{name}.safetensors").exists():
                (out / f"{name}.json").unlink(missing_ok=True)

    def run(self) -> None:
        """Train to the end.

        Raises:
            SessionError: it can't go on.
            KeyboardInterrupt: it was told to end, or its parent has; no task is left.
        """
        import ray

        parent = os.getppid()
        try:
            self.decide()
            while self.tasks:
                ready, _ = ray.wait(list(self.tasks), timeout=POLL_S)
                for stream in ready:
                    self.take(stream)
                if os.getppid() != parent:
                    raise KeyboardInterrupt
                self.look_at_nodes()
                self.look_at_time()
        finally:
            for stream in self.tasks:
                with contextlib.suppress(Exception):
                    ray.cancel(stream)
            if self.tasks:
                ray.wait(list(self.tasks), num_returns=len(self.tasks), timeout=ray_worker.GRACE_S)

    def decide(self) -> None:
        """Have a pass that trains nothing."""
        self.passes += 1
        if self.passes > len(self.manifest.inputs.rungs) + 4:
            raise SessionError("the trainer decides again and again, and nothing comes of it")
        self.landed.clear()
        self.submit(())

    def submit(self, only: tuple[str, ...]) -> None:
        """Have a pass somewhere."""
        import ray

        carried = [RUNGS] if only else [RUNGS, *(f"{name}.{part}" for name in self.names for part in PARTS)]
        carried += [f"{name}.{part}" for name in only for part in PARTS]
        files = {name: (self.out / name).read_bytes() for name in sorted(carried) if (self.out / name).is_file()}
        spent_s = round(time.monotonic() - self.began, 3)
        errand = ray_worker.Errand(only, files, self.fingerprint, tuple(self.accepted), self.checkpoint_s, spent_s)
        selector = {"ray.io/node-id": f"!in({','.join(sorted(self.others))})"} if self.others else None
        task = ray.remote(_train).options(
            **self.resources, max_retries=0, num_returns="streaming", label_selector=selector, name=" ".join(only)
        )
        self.tasks[task.remote(self.archive, errand)] = _Task(only)

    def take(self, stream: Any) -> None:
        """Take one thing that a task has told."""
        import ray

        task = self.tasks[stream]
        try:
            kind, told = ray.get(next(stream))
        except StopIteration:
            self.lose(stream, "it ended in the middle")
        except ray.exceptions.RayTaskError as error:
            raise SessionError(f"a node can't train: {error.cause or error}") from None
        except ray.exceptions.RayError as error:
            self.lose(stream, type(error).__name__)
        else:
            if kind == "node":
                task.node = str(told)
            elif kind == "isolation":
                self.accepted = (told,)  # one bundle, one isolation
            elif kind == "event":
                self.hear(task, told)
            elif kind == "files":
                self.keep(task, told)
            elif kind == "end":
                del self.tasks[stream]
                self.end(task, *told)

    def lose(self, stream: Any, reason: str) -> None:
        """Submit a task again."""
        only = self.tasks.pop(stream).only
        self.lost[only] = self.lost.get(only, 0) + 1
        what = f"the task of {' '.join(only) or 'no run'} lost its worker: {reason}"
        if self.lost[only] > MAX_LOST:
            raise SessionError(f"{what}, {MAX_LOST + 1} times")
        print(what, file=sys.stderr, flush=True)
        self.submit(only)

    def hear(self, task: _Task, event: Any) -> None:
        """Pass progress on, once; what says who may go on is for this process."""
        if not isinstance(event, dict):
            return
        if event.get("event") == "next" and not task.only:
            self.fingerprint = str(event.get("fingerprint"))
            waiting = [one.only for one in self.tasks.values()]
            for name in event.get("runs", ()):
                if name in self.names and (name,) not in waiting and name not in self.landed:
                    self.submit((name,))
        elif is_event(event):
            event.pop("left_s", None)  # it knows of its own run only
            key = f"{event['event']} {event.get('run', '')}"
            if event["event"] == "step" or key not in self.told:
                self.told.add(key)
                print(json.dumps(event, sort_keys=True), flush=True)

    def keep(self, task: _Task, files: Mapping[str, bytes]) -> None:
        """Write down what came: files of this task's runs, and what it decided."""
        if sum(map(len, files.values())) > MAX_BYTES:
            raise SessionError(f"a task sent more than {MAX_BYTES} bytes")
        if RESULTS in files and not task.only:  # all have ended; who was dropped left one
            for name in self.names:
                (self.out / f"{name}.checkpoint").unlink(missing_ok=True)
        wanted = [f"{name}.{part}" for name in task.only for part in ("checkpoint", "safetensors", "json")]
        for name in (*wanted, RUNGS, *(() if task.only else (RESULTS,))):
            if name in files:
                write_whole(self.out / name, files[name])
        for name in task.only:
            if (self.out / f"{name}.json").exists():
                (self.out / f"{name}.checkpoint").unlink(missing_ok=True)

    def end(self, task: _Task, status: int, said: str) -> None:
        """Go on after a task."""
        if status == OTHER_ENVIRONMENT and task.node not in self.others:
            self.others.add(task.node)
            print(f"a node is of another kind, and is not used: {task.node}", file=sys.stderr, flush=True)
            self.submit(task.only)
            return
        if status:
            raise SessionError(f"{said} (exit status {status})")
        if not self.tasks and not task.only and not self.landed and not (self.out / RESULTS).exists():
            raise SessionError("the trainer left neither results nor anything to do")
        self.landed.update(task.only)
        climbing = {name for one in self.tasks.values() for name in one.only} & self.climbing
        deciding = any(not one.only for one in self.tasks.values())
        has_come = self.landed & self.climbing and not climbing
        if not deciding and (has_come or (self.landed and not self.tasks)):
            self.decide()

    def look_at_nodes(self) -> None:
        """See now and then that there is a node to train on."""
        if time.monotonic() < self.looked + LOOK_S:
            return
        self.looked = time.monotonic()
        if any(self.is_fit(node) for node in _nodes()):
            self.seen_nodes = self.looked
        elif self.looked > self.seen_nodes + NODES_S:
            raise SessionError("no node is left that could train this")

    def look_at_time(self) -> None:
        """Take back, once, what is out beyond the budget's time: submitted again, the trainer stops it where it is.

        A pass knows what was spent when it was submitted, and not how long it then waited for a node.
        """
        import ray

        if self.is_late or time.monotonic() < self.began + self.manifest.inputs.budget.wall_s + LATE_S:
            return
        self.is_late = True
        for stream, task in [(stream, task) for stream, task in self.tasks.items() if task.only]:
            del self.tasks[stream]
            with contextlib.suppress(Exception):
                ray.cancel(stream)
            self.submit(task.only)

    def is_fit(self, node: Mapping[str, Any]) -> bool:
        """Whether a node may be asked."""
        has = node["Resources"]
        enough = has.get("CPU", 0) >= 1 and has.get("GPU", 0) >= self.resources["num_gpus"]
        return bool(node["Alive"] and enough and node["NodeID"] not in self.others)


def _nodes() -> list[dict[str, Any]]:
    import ray

    listed: Callable[[], list[dict[str, Any]]] = ray.nodes
    return listed()


def _train(archive: bytes, errand: ray_worker.Errand) -> Iterator[tuple[str, Any]]:
    """What runs at a node."""
    import ray

    yield "node", ray.get_runtime_context().get_node_id()
    yield from ray_worker.train(archive, errand)
