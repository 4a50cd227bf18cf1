"""The service that trusted code asks for what needs torch: `python -m trainer.service`.

Reads one line, `{"jobs": [...], "deadline_s": S}`, and answers each job with one line, in their order
(`trainer.evaluate` lists them). Torch is imported once; each job has a forked process of its own, so a model that
crashes, takes all memory or never ends is an answer too, and whatever it changed is gone with it. This process never
executes generated code.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection, wait
from typing import IO, Any

gc.disable()  # torch's hundreds of thousands of objects are there to stay: searching them takes a tenth of its import

import torch  # noqa: E402

from trainer import evaluate, memory  # noqa: E402
from trainer.children import Child, death, send  # noqa: E402
from trainer.laws import Guard  # noqa: E402

AT_ONCE = 2
"""Jobs at a time, on every machine. No answer depends on it."""
MEMORY_BYTES = 12_000_000_000
"""What one job may take on the processor, as much as the contract's budget gives to a training."""
MAX_ANSWER_BYTES = 16 * 2**20
_GRACE_S = 2.0


class _Job(Child):
    """One job while it lives."""

    def __init__(self, place: int, job: Mapping[str, Any], deadline_s: float, answers: IO[str]) -> None:
        self.place = place
        self.deadline = time.monotonic() + deadline_s
        super().__init__(lambda pipe: _do(job, pipe, answers))

    def listen(self) -> dict[str, Any]:
        """Take the answer; how the process ended is one, too."""
        try:
            answer = self.receive(MAX_ANSWER_BYTES)
            json.dumps(answer, allow_nan=False)
        except Exception:  # it may have sent anything
            self.process.join(timeout=_GRACE_S)
            return {"error": death(self.process.exitcode)}
        return answer if isinstance(answer, dict) else {"error": death(None)}


def _do(job: Mapping[str, Any], pipe: Connection, answers: IO[str]) -> None:
    """What a job's process does. It can't give anybody else's answer."""
    answers.close()
    memory.keep()
    if not torch.cuda.is_available():
        memory.cap(MEMORY_BYTES)
    guard = Guard([])
    guard.install()
    send(pipe, evaluate.answer(job, guard))


def answer_all(jobs: Sequence[Mapping[str, Any]], deadline_s: float, answers: IO[str]) -> list[dict[str, Any]]:
    """Do all jobs, each within its deadline, and give their answers in the same order."""
    waiting = deque(enumerate(jobs))
    living: dict[Connection, _Job] = {}
    done: dict[int, dict[str, Any]] = {}
    while waiting or living:
        while waiting and len(living) < AT_ONCE:
            started = _Job(*waiting.popleft(), deadline_s, answers)
            living[started.pipe] = started
        next_deadline = min(job.deadline for job in living.values())
        ready = wait(list(living), timeout=max(0.0, next_deadline - time.monotonic()))
        for pipe, job in list(living.items()):
            if pipe in ready:
                done[job.place] = job.listen()
            elif time.monotonic() > job.deadline:
                done[job.place] = {"error": f"it took longer than {deadline_s:g} s"}
            if job.place in done:
                del living[pipe]
                job.close()
    return [done[place] for place in range(len(jobs))]


def main() -> None:
    """Serve until stdin ends. A model that prints can't disturb the answers: they have a stream of their own."""
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    gc.freeze()
    gc.enable()
    for line in sys.stdin:
        request = json.loads(line)
        for answer in answer_all(request["jobs"], request["deadline_s"], answers):
            answers.write(json.dumps(answer, allow_nan=False) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
