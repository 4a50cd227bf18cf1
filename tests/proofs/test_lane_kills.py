"""Trainer, lane command, Ray worker and Kaggle itself are killed at random times: nothing is lost, or done twice.

A case: copy a lab with a champion, ask it for a whole cycle, kill -9 the victim at a moment that is drawn over the time
which the same cycle takes undisturbed, and run the same command again unless it came to its end. Then the record is the
undisturbed one to the last bit, no compute is reserved any more, the ledger verifies, and nothing that was on disk was
trained again. At Kaggle, which keeps nothing of a session that was killed, no session that was complete is repeated.
"""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from aams.files import write_whole
from tests.aams.lanes import ray_cluster
from tests.proofs.kills import Watch, follow, kill, ray_workers, standing, trainers

TESTS = Path(__file__).parents[1]
KILLS = 20
DOWN_S = 3.0
"""How long Kaggle may be away, at most."""
PROMOTED = ("--seed", "3", "--spec", "specs/language/candidates/better.yaml")
REJECTED = ("--seed", "3", "--children", "3")
SCREENED_OUT = ("--seed", "4", "--children", "3")
"""Cycles of several bundles, of two, and of one."""


class Scene:
    """One cycle of a lab in a lane: undisturbed first, then with something killed.

    `lived_s` is how long the victims live in a cycle that nothing kills, which a busy machine changes.

    Args:
        victims: gives those of which one is to die, by the process of the command.
        and_then: is done when it is dead.
    """

    def __init__(
        self,
        lab: Any,
        place: Path,
        lane: str,
        asked: Sequence[str],
        victims: Callable[[Any, Path], list[int]],
        and_then: Callable[[], None] = lambda: None,
    ) -> None:
        self.lab, self.case, self.lane = lab.copy(place / "lab"), place / "case", lane
        self.lab.better_child()
        self.argv = ("aams.run_cycle", *asked, "--lane", lane, "--json")
        self.victims, self.and_then = victims, and_then
        self.killed, self.lived_s, self.cycle = 0, math.inf, ""
        self.play()
        self.wanted = standing(self.case, self.cycle)

    def play(self, *shares: float) -> str:
        """Kill a victim after each of these shares of the victims' time; what became of the command."""
        shutil.rmtree(self.case, ignore_errors=True)
        lab = self.lab.copy(self.case)
        with Watch(lab.path) as watch:
            process = lab.start(*self.argv)
            killed, lived_s = 0, 0.0
            for share in (*sorted(shares), math.inf):
                left_s = share * self.lived_s - lived_s
                pids, more_s = follow(lambda: self.victims(process, lab.path), lambda: has_ended(process), left_s)
                lived_s += more_s
                if kill(pids):
                    killed += 1
                    self.and_then()
            out, err = process.communicate(timeout=lab.patience_s)
            assert "Traceback" not in out + err, out + err
            became = {0: "went on", 1: "ended with a sentence", -signal.SIGKILL: "died"}[process.returncode]
            if process.returncode == 1:
                assert len([line for line in err.splitlines() if line.startswith("error: ")]) == 1, err
            if not self.cycle:
                assert process.returncode == 0, err
                self.cycle = json.loads(out)["cycle"]
            if not killed:
                self.lived_s = lived_s
            self.killed += killed
            if standing(lab.path, self.cycle)["events"][-1:] != ["closed"]:
                lab.run(*self.argv)
                became += " and was typed again"
        if self.lane != "kaggle":  # which trains elsewhere
            watch.check()
        lab.verify()
        return became

    def sweep(self, at_once: int = 1) -> str:
        """Kill often, so often in a cycle; what became of the commands, in words."""
        rng = random.Random(self.lane)
        became: Counter[str] = Counter()
        while self.killed < KILLS:
            became[self.play(*(rng.random() for _ in range(at_once)))] += 1
            assert standing(self.case, self.cycle) == self.wanted
        told = ", ".join(f"{count} {what}" for what, count in sorted(became.items()))
        return f"{self.killed} kills, drawn over {self.lived_s:.1f} s, in {became.total()} cycles: {told}"


def has_ended(process: Any) -> bool:
    return process.poll() is not None


def put(watch: Watch, place: Path, content: bytes, seen: Callable[[], bool]) -> None:
    """Write a file as the trainer does, and wait until the watch has seen it."""
    write_whole(place, content)
    deadline = time.monotonic() + 20
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_is_trained_twice_is_noticed(tmp_path: Path) -> None:
    out = tmp_path / ".aams" / "work" / "a-cycle" / "trial-0" / "out"
    weights, checkpoint = out / "control-0.safetensors", out / "child-0.checkpoint"
    line = b"digest\n" + json.dumps({"outcome": {"steps": 5}}).encode() + b"\ntensors"
    with Watch(tmp_path) as watch:
        put(watch, weights, b"equal", lambda: sum(watch.weights.values()) == 1)
        put(watch, checkpoint, line, lambda: sum(map(len, watch.steps.values())) == 1)
        watch.check()
        put(watch, checkpoint, line, lambda: sum(map(len, watch.steps.values())) == 2)
        with pytest.raises(AssertionError, match="went back behind a checkpoint"):
            watch.check()
        put(watch, weights, b"equal", lambda: sum(watch.weights.values()) == 2)
        with pytest.raises(AssertionError, match="finished, and trained again"):
            watch.check()


@pytest.mark.proof
def test_a_trainer_that_is_killed_costs_nothing_that_was_done(lab_with_root: Any, tmp_path: Path, figure: Any) -> None:
    scene = Scene(lab_with_root, tmp_path, "local", REJECTED, lambda process, place: trainers(place))
    figure("kills of the trainer", scene.sweep())


@pytest.mark.proof
def test_a_command_that_is_killed_costs_nothing_that_was_done(lab_with_root: Any, tmp_path: Path, figure: Any) -> None:
    scene = Scene(lab_with_root, tmp_path, "local", PROMOTED, lambda process, place: [process.pid])
    figure("kills of the lane command", scene.sweep())


@pytest.mark.proof
@pytest.mark.skipif(bool(ray_cluster.why_not()), reason=ray_cluster.why_not())
def test_a_ray_worker_that_is_killed_costs_nothing_that_was_done(
    lab_with_root: Any, tmp_path: Path, figure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ray_cluster.RayCluster(1, 1) as cluster:
        for name, value in cluster.environment().items():
            monkeypatch.setenv(name, value)
        scene = Scene(lab_with_root, tmp_path, "ray", SCREENED_OUT, lambda process, place: ray_workers(cluster.place))
        figure("kills of a Ray worker", scene.sweep(at_once=2))


class Site:
    """Kaggle's emulator as a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process = self._start()

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "kaggle_emulator", str(self.folder), "ann"]
        environment = {**os.environ, "PYTHONPATH": str(TESTS)}
        process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        self.environment: dict[str, str] = json.loads(process.stdout.readline())
        return process

    @property
    def pid(self) -> int:
        return self._process.pid

    def start_again(self) -> None:
        """Take up what the one that was killed has left."""
        self.close()
        self._process = self._start()

    def close(self) -> None:
        self._process.communicate(timeout=60)

    def sessions(self) -> dict[str, list[str]]:
        """How all sessions ended, by the name of their kernel, whether it is still there or not."""
        known = json.loads((self.folder / "site.json").read_text())
        found: dict[str, list[str]] = {}
        for session in [one for kernel in known["kernels"] for one in kernel["sessions"]] + known["gone"]:
            found.setdefault(session["request"]["slug"], []).append(session["status"])
        return found


@pytest.fixture
def site(kaggle_emulator: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    pytest.importorskip("kagglesdk")
    if kaggle_emulator.why_not():
        pytest.skip(kaggle_emulator.why_not())
    made = Site(tmp_path / "kaggle")
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    yield made
    made.close()


@pytest.mark.proof
def test_a_kaggle_that_is_killed_costs_no_session_that_was_complete(
    lab_with_root: Any, tmp_path: Path, figure: Any, site: Site
) -> None:
    rng = random.Random("down")

    def come_back() -> None:
        time.sleep(rng.uniform(0, DOWN_S))
        site.start_again()

    scene = Scene(lab_with_root, tmp_path, "kaggle", SCREENED_OUT, lambda process, place: [site.pid], come_back)
    told = scene.sweep()
    sessions = site.sessions()
    assert all(ended.count("COMPLETE") == 1 and ended[-1] == "COMPLETE" for ended in sessions.values()), sessions
    figure("kills of Kaggle", f"{told}; {sum(map(len, sessions.values()))} sessions of {len(sessions)} bundles")
