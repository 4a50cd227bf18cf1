"""A small lab on disk, with a history written through the public functions."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from aams.records import Cost, Criterion, Fitness, Mutation, Pair
from safety.archive import ARTIFACTS, archive_generation
from safety.events import (
    Attempted,
    Closed,
    Facts,
    Frozen,
    Opened,
    Proposed,
    ProposedChild,
    RunSummary,
    Screened,
    Trained,
    TrialScore,
    Verdict,
)
from safety.head import heal
from safety.ledger import Recorded, append, next_entry, read_ledger
from safety.state import State, fold
from safety.store import put

CONTRACT = hashlib.sha256(b"contract").hexdigest()
COST = Cost(1000, 2000, 6000, 0, 32, 192000, 4096, 16000)


def sha(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


class Lab:
    """One domain's history; every cycle takes a minute."""

    def __init__(self, root: Path, domain: str = "language") -> None:
        self.root = root
        self.domain = domain
        self.minute = 0

    @property
    def ledger(self) -> tuple[Recorded, ...]:
        return read_ledger(self.root)

    @property
    def state(self) -> State:
        return fold(self.ledger)

    def record(self, cycle: str, *facts: Facts) -> Recorded:
        ledger = self.ledger
        for each in facts:
            now = f"2026-11-21T01:{self.minute:02d}:00Z"
            ledger += (append(self.root, next_entry(ledger, cycle, each, self.domain, CONTRACT, now)),)
        return ledger[-1]

    def open(self, cycle: str, parent: str) -> None:
        self.minute += 1
        self.record(cycle, Opened(7, "mutate-champion", "person", parent, "corpus-a", "", ""))

    def train(self, cycle: str, stage: Literal["root", "trial", "attempt"], *specs: str) -> None:
        runs = tuple(
            RunSummary(f"run-{index}", "child", index, sha(spec), "finished", "", 90, 2880, 0.5, 2.0)
            for index, spec in enumerate(specs)
        )
        weights = {run.name: sha(f"weights of {run.spec}") for run in runs}
        trained = Trained(stage, sha(f"{cycle}-{stage}"), runs, weights, "none", 1.5, 2.5)
        self.record(cycle, Frozen(stage, sha(cycle), sha(f"{cycle}-{stage}-nonce"), len(runs)), trained)

    def begin(self) -> str:
        """Record a root."""
        self.open("root", "")
        self.train("root", "root", "baseline")
        return self.decide("root", "baseline", "accepted", recall=0.8)

    def screen(self, cycle: str, spec: str, passed: bool) -> None:
        """Record a cycle up to its screen."""
        champion = self.state.lineages[self.domain].champion
        self.open(cycle, champion.generation if champion else "")
        mutation = Mutation("widen", "model.width", 128, 192, "more room", 0.01)
        child = ProposedChild(sha(spec), "model: {width: 192}\n", (mutation,), "widen", 0.01, COST)
        self.record(cycle, Proposed((child,), ()))
        self.train(cycle, "trial", spec, "baseline")
        self.record(cycle, Screened(0.5, (TrialScore(sha(spec), 0.52),), 0.005, sha(spec), passed))
        if not passed:
            self.record(cycle, Closed("screened-out", "no child beat the control on validation by 0.005"))

    def attempt(self, cycle: str, spec: str, outcome: Literal["accepted", "rejected"], recall: float = 0.8) -> str:
        """Record a whole cycle that reaches a verdict; gives the generation."""
        self.screen(cycle, spec, passed=True)
        return self.decide(cycle, spec, outcome, recall)

    def start(self, cycle: str, spec: str) -> str:
        generation = self.state.lineages[self.domain].next_generation if self.ledger else "G000"
        self.record(cycle, Attempted(generation, sha(spec)))
        return generation

    def archive(self, generation: str, spec: str) -> tuple[str, str]:
        """Archive a generation that was started; gives the digests of its archive and weights."""
        weights = self.root / "returned.safetensors"
        self.root.mkdir(exist_ok=True)
        weights.write_bytes(f"weights of {spec}".encode())
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        put(self.root, weights, digest)
        weights.unlink()
        artifacts = {name: f"{name} of {generation}\n".encode() for name in {*ARTIFACTS, "tokenizer.json"}}
        artifacts["spec.yaml"] = f"# {spec}\nmodel: {{}}\n".encode()
        directory = next(
            item.directory for item in self.state.lineages[self.domain].generations if item.name == generation
        )
        return archive_generation(self.root, self.domain, directory, artifacts, digest), digest

    def verdict(self, generation: str, spec: str, outcome: Literal["accepted", "rejected"], recall: float) -> Verdict:
        champion = self.state.lineages[self.domain].champion
        head = champion.generation if champion else ""
        archive, weights = self.archive(generation, spec)
        return Verdict(
            generation=generation,
            spec=sha(spec),
            outcome=outcome,
            criteria=(Criterion("recall", recall, ">=", 0.75, outcome == "accepted"),),
            reasons=("Recall is what it is",),
            child=Fitness(recall, 0.6, 0.01, 2.5, 0),
            control=Fitness(0.8, 0.58, 0.0, 2.6, 0) if head else None,
            pairs=(Pair(0, 0.6, 0.58),) if head else (),
            voice=(0.25, 0.75),
            weights=weights,
            archive=archive,
            head_before=head,
            head_after=generation if outcome == "accepted" else head,
        )

    def decide(self, cycle: str, spec: str, outcome: Literal["accepted", "rejected"], recall: float) -> str:
        generation = self.start(cycle, spec)
        if cycle != "root":
            self.train(cycle, "attempt", spec)
        self.record(cycle, self.verdict(generation, spec, outcome, recall), Closed(outcome, "as the arbiter said"))
        heal(self.root, self.state)
        return generation


@pytest.fixture
def new_lab(tmp_path: Path) -> Callable[[str], Lab]:
    """Gives labs of any domain in one repository."""
    return lambda domain: Lab(tmp_path / "lab", domain)


@pytest.fixture(scope="session")
def recorded_lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    lab = Lab(tmp_path_factory.mktemp("recorded") / "lab")
    lab.begin()
    lab.attempt("first", "wider", "rejected", recall=0.7)
    lab.screen("second", "deeper", passed=False)
    lab.attempt("third", "better", "accepted", recall=0.85)
    return lab


@pytest.fixture
def lab(recorded_lab: Lab, tmp_path: Path) -> Lab:
    """A root G000, a rejected G001, a cycle that ended at the screen, and the accepted champion G002."""
    lab = Lab(tmp_path / "lab")
    lab.minute = recorded_lab.minute
    shutil.copytree(recorded_lab.root, lab.root)
    return lab
