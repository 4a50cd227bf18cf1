"""Histories: facts as a real cycle states them, a domain's story in memory, and a small lab on disk that signs it."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from aams.canonical import digest
from aams.records import Cost, Criterion, Entry, Fitness, Look, Mutation, Outcome, Pair, Scores, Stage, Standing
from safety.archive import ARTIFACTS, archive_generation
from safety.clock import later
from safety.endorsement import recall_digest
from safety.events import (
    Approved,
    Attempted,
    Closed,
    Ending,
    Facts,
    Frozen,
    Looked,
    Opened,
    Proposed,
    ProposedChild,
    Recalled,
    Revealed,
    RunSummary,
    Screened,
    Signed,
    Trained,
    TrialScore,
    Verdict,
    facts_of,
)
from safety.head import heal
from safety.keyfiles import local_key
from safety.keys import make_keys
from safety.ledger import Recorded, append, next_entry, read_ledger, recorded_as, tips
from safety.lifecycle import RECHALLENGE
from safety.lineage import Lineage, head_of
from safety.seal import seal
from safety.signatures import Statement, check, sign
from safety.signers import ALLOWED_SIGNERS, Role
from safety.sshkeygen import have_ssh_keygen
from safety.state import State, fold
from safety.store import put

CONTRACT = hashlib.sha256(b"contract").hexdigest()
COST = Cost(1000, 2000, 6000, 0, 32, 192000, 4096, 16000)
RESERVED, USED = 1000, 800
START, EXPIRES = "2026-11-21T01:00:00Z", "2026-12-31T00:00:00Z"


def sha(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


class Say:
    """Makes facts. Names of specs stand for their ids, names of keys for their fingerprints."""

    sha = staticmethod(sha)

    def signed(self, key: str, role: Role) -> Signed:
        statement = Statement(1, "unversioned", role, "language", "", "", sha("manifest"), "", (), EXPIRES)
        return Signed(statement, "signature", key, f"SHA256:{key}")

    def opened(
        self, parent: str = "G000", corpus: str = "corpus-a", trigger: str = "person", planner: str = "mutate-champion"
    ) -> Opened:
        return Opened(7, planner, trigger, parent, corpus, "", "")

    def proposed(self, *specs: str, predicted: float = 0.01) -> Proposed:
        mutation = Mutation("widen", "model.width", 128, 192, "more room", predicted)
        told = "model: {width: 192}\n", {}, (mutation,), "widen", predicted, COST
        return Proposed(tuple(ProposedChild(sha(spec), *told) for spec in specs), ())

    def frozen(self, stage: Stage, batch: int = 0, flops: int = RESERVED, key: str = "ann-propose") -> Frozen:
        return Frozen(stage, batch, sha("made"), sha("new"), 2, flops, self.signed(key, "propose") if key else None)

    def trained(self, stage: Stage, batch: int = 0, *specs: str, used: int = USED, status: str = "finished") -> Trained:
        """An attempt's child is sealed: name it ""."""
        runs = tuple(
            RunSummary(f"run-{index}", "child", index, spec, status, "", 90, 2880, 0.5, 2.0, 1.5, 0, 0.1, 1000, ())
            for index, spec in enumerate(sha(spec) if spec else "" for spec in specs or ("child",))
        )
        weights = {run.name: sha(f"weights of {run.spec}") for run in runs}
        return Trained(stage, batch, sha(f"results {stage}"), runs, weights, "none", sha("machine"), used, 1.5, 2.5)

    def screened(self, spec: str, passed: bool = True) -> Screened:
        return self.ranked({spec: 0.52 if passed else 0.5}, passed)

    def ranked(self, scores: dict[str, float], passed: bool = True) -> Screened:
        """A screen of several, the best first."""
        listed = tuple(TrialScore(sha(spec), accuracy) for spec, accuracy in scores.items())
        return Screened(0.5, listed, 0.005, listed[0].spec, passed)

    def attempted(self, generation: str, cycle: str, spec: str, placebo: bool = False) -> Attempted:
        """A child's; a root's is `Attempted(generation, "")`."""
        return Attempted(generation, seal(sha(f"salt of {cycle}"), sha(spec), placebo))

    def own(self, cycle: str, facts: Facts) -> Facts:
        """The same facts; a bundle's with a nonce and a manifest that are its cycle's alone."""
        bundle = f"{cycle} {facts.stage} {facts.batch}" if isinstance(facts, Frozen) else ""
        return replace(facts, **{name: sha(f"{name} {bundle}") for name in ("nonce", "manifest") if bundle})

    def look(self, standing: Standing = "proven", gain: float = 0.02, attempt: int = 1, pairs: int = 4) -> Look:
        return Look(attempt, 0, 0.0125, 100.0, pairs, standing, gain, 0.001, 0.04)

    def looked(
        self, generation: str, batch: int = 0, standing: Standing = "proven", root: bool = False, attempt: int = 1
    ) -> Looked:
        child, control = Scores(0.8, 0.6, 2.5), None if root else Scores(0.8, 0.58, 2.6)
        pairs = tuple(Pair(number, child, control) for number in range(4 * batch, 4 * batch + 4))
        voices = () if batch else (0.25, 0.75)
        look = None if root else self.look(standing, attempt=attempt, pairs=4 * batch + 4)
        return Looked(generation, batch, pairs, voices, voices, look, standing)

    def verdict(
        self, generation: str, spec: str, outcome: Outcome, recall: float = 0.8, root: bool = False, look: Any = None
    ) -> Verdict:
        """By a look that is proven, if it accepts and none is given; a child that is rejected by none has no scores."""
        passed = outcome == "accepted"
        look = look or (self.look() if passed and not root else None)
        scored = root or look is not None
        return Verdict(
            generation=generation,
            spec=sha(spec),
            outcome=outcome,
            criteria=(Criterion("recall", recall, ">=", 0.75, passed),),
            reasons=("Recall is what it is",),
            child=Fitness(recall, 0.6, 0.01, 2.5, 0) if scored else None,
            control=Fitness(0.8, 0.58, 0.0, 2.6, 0) if scored and not root else None,
            look=look,
            voice=(0.25, 0.75) if scored else (),
            weights=sha(f"weights of {spec}"),
            archive=sha(f"archive of {generation}"),
        )

    def revealed(self, generation: str, cycle: str, spec: str, placebo: bool = False) -> Revealed:
        return Revealed(generation, sha(spec), placebo, sha(f"salt of {cycle}"))

    def recalled(self, generation: str, key: str = "ann-propose") -> Recalled:
        return Recalled(generation, "it forgets", self.signed(key, "propose"))

    def approved(self, generation: str, before: str, key: str = "ann-verdict") -> Approved:
        return Approved(generation, self.signed(key, "verdict"), before, generation)

    def closed(self, outcome: Ending) -> Closed:
        return Closed(outcome, "as it is")

    def entry(self, cycle: str, number: int, facts: Facts, domain: str = "language", time: str = START) -> Entry:
        """An entry that follows nothing, for whoever asks the lifecycle alone."""
        return replace(next_entry((), cycle, facts, domain, CONTRACT, time), number=number)


class Story:
    """One domain's history in memory; every cycle takes a minute. Records whatever it is told: `state` judges."""

    def __init__(self, domain: str = "language") -> None:
        self.domain = domain
        self.minute = 0
        self.say = Say()
        self.recorded: tuple[Recorded, ...] = ()

    @property
    def ledger(self) -> tuple[Recorded, ...]:
        return self.recorded

    @property
    def state(self) -> State:
        return fold(self.ledger)

    @property
    def lineage(self) -> Lineage:
        return self.state.lineages.get(self.domain, Lineage())

    @property
    def head(self) -> str:
        return head_of(self.lineage)

    @property
    def now(self) -> str:
        return later(START, 60 * self.minute)

    def record(self, cycle: str, *facts: Facts, at: str = "") -> Recorded:
        for each in facts:
            entry = next_entry(self.ledger, cycle, self.say.own(cycle, each), self.domain, CONTRACT, at or self.now)
            self.recorded += (recorded_as(entry),)
        return self.ledger[-1]

    def archive(self, generation: str, spec: str) -> tuple[str, str]:
        """Digests of a generation's archive and weights."""
        return sha(f"archive of {generation}"), sha(f"weights of {spec}")

    def open(self, cycle: str, parent: str, corpus: str = "corpus-a", trigger: str = "person") -> None:
        self.minute += 1
        self.record(cycle, self.say.opened(parent, corpus, trigger))

    def train(self, cycle: str, stage: Stage, *specs: str, batch: int = 0) -> None:
        self.record(cycle, self.say.frozen(stage, batch), self.say.trained(stage, batch, *specs))

    def begin(self, cycle: str = "root", spec: str = "baseline", corpus: str = "corpus-a", recall: float = 0.8) -> str:
        """Record a root; gives its generation."""
        self.open(cycle, "", corpus)
        return self.decide(cycle, spec, "accepted", recall, root=True)

    def trials(self, cycle: str, *specs: str, predicted: float = 0.01) -> None:
        """Record a cycle up to its trials."""
        self.open(cycle, self.head, self.lineage.corpus or "corpus-a")
        self.record(cycle, self.say.proposed(*specs, predicted=predicted))
        self.train(cycle, "trial", *specs)

    def screen(self, cycle: str, spec: str, passed: bool, predicted: float = 0.01) -> None:
        """Record a cycle up to its screen; one that fails is closed."""
        self.trials(cycle, spec, predicted=predicted)
        self.record(cycle, self.say.screened(spec, passed), *([] if passed else [self.say.closed("screened-out")]))

    def start(self, cycle: str, spec: str, placebo: bool = False, root: bool = False) -> str:
        generation = self.lineage.next_generation
        self.record(cycle, Attempted(generation, "") if root else self.say.attempted(generation, cycle, spec, placebo))
        return generation

    def verdict(self, generation: str, spec: str, outcome: Outcome, recall: float = 0.8, root: bool = False) -> Verdict:
        """By the last look of its cycle."""
        archive, weights = self.archive(generation, spec)
        look = next(cycle.look for cycle in self.state.open_cycles.values() if cycle.generation == generation)
        said = self.say.verdict(generation, spec, outcome, recall, root, look)
        return replace(said, archive=archive, weights=weights)

    def look(self, cycle: str, generation: str, standing: Standing = "proven", batch: int = 0, **named: Any) -> None:
        """Record a look at the newest attempt."""
        self.record(cycle, self.say.looked(generation, batch, standing, attempt=self.lineage.attempts, **named))

    def judge(
        self, cycle: str, spec: str, outcome: Outcome, recall: float = 0.8, placebo: bool = False, root: bool = False
    ) -> str:
        """Record an attempt that was screened up to its verdict, which is not revealed; gives the generation."""
        generation = self.start(cycle, spec, placebo, root)
        self.train(cycle, "root" if root else "attempt", spec if root else "")
        self.look(cycle, generation, "proven" if outcome == "accepted" else "undecided", root=root)
        self.record(cycle, self.verdict(generation, spec, outcome, recall, root))
        return generation

    def decide(
        self, cycle: str, spec: str, outcome: Outcome, recall: float = 0.8, placebo: bool = False, root: bool = False
    ) -> str:
        """The same up to its end."""
        generation = self.judge(cycle, spec, outcome, recall, placebo, root)
        if not root:
            self.record(cycle, self.say.revealed(generation, cycle, spec, placebo))
        if outcome == "accepted" and not placebo:
            self.record(cycle, self.say.approved(generation, self.head))
        self.record(cycle, self.say.closed("placebo" if placebo else outcome))
        return generation

    def attempt(self, cycle: str, spec: str, outcome: Literal["accepted", "rejected"], recall: float = 0.8) -> str:
        """Record a whole cycle that reaches a verdict; gives the generation."""
        self.screen(cycle, spec, passed=True)
        return self.decide(cycle, spec, outcome, recall)

    def disguise(self, cycle: str, child: str, twin: str, outcome: Literal["accepted", "rejected"]) -> str:
        """Record a whole cycle whose child gave its place to a placebo; gives the generation."""
        self.screen(cycle, child, passed=True)
        return self.decide(cycle, twin, outcome, placebo=True)

    def challenge(self, cycle: str, standing: Standing = "futile", at: str = "") -> None:
        """Record a whole re-challenge of the champion."""
        self.minute += 1
        head, say = self.head, self.say
        self.record(cycle, say.opened(head, planner=RECHALLENGE), say.frozen("rechallenge"), at=at)
        self.record(cycle, say.trained("rechallenge", 0, "better"), say.looked(head, standing=standing), at=at)
        self.record(cycle, say.closed("outdone" if standing == "proven" else "confirmed"), at=at)

    def roll_back(self, cycle: str, generation: str) -> None:
        before, say = self.head, self.say
        self.open(cycle, before)
        self.record(cycle, say.recalled(generation), say.approved(generation, before), say.closed("rolled-back"))


class Lab(Story):
    """A story on disk, with archives, HEAD and, where there is ssh-keygen, two keys that really sign."""

    def __init__(self, root: Path, domain: str = "language") -> None:
        super().__init__(domain)
        self.root = root
        if have_ssh_keygen():
            root.mkdir(exist_ok=True)
            make_keys(root, "ann", lambda: "2026-11-01T00:00:00Z")

    @property
    def ledger(self) -> tuple[Recorded, ...]:
        return read_ledger(self.root)

    def record(self, cycle: str, *facts: Facts, at: str = "") -> Recorded:
        ledger = self.ledger
        for each in facts:
            said = self._signed(ledger, cycle, self.say.own(cycle, each))
            entry = next_entry(ledger, cycle, said, self.domain, CONTRACT, at or self.now)
            ledger += (append(self.root, entry),)
        return ledger[-1]

    def archive(self, generation: str, spec: str) -> tuple[str, str]:
        weights = self.root / "returned.safetensors"
        self.root.mkdir(exist_ok=True)
        weights.write_bytes(f"weights of {spec}".encode())
        found = hashlib.sha256(weights.read_bytes()).hexdigest()
        put(self.root, weights, found)
        weights.unlink()
        artifacts = {name: f"{name} of {generation}\n".encode() for name in {*ARTIFACTS, "tokenizer.json"}}
        artifacts["spec.yaml"] = f"# {spec}\nmodel: {{}}\n".encode()
        directory = next(item.directory for item in self.lineage.generations if item.name == generation)
        return archive_generation(self.root, self.domain, directory, artifacts, found), found

    def decide(self, *arguments: Any, **named: Any) -> str:
        generation = super().decide(*arguments, **named)
        heal(self.root, self.state)
        return generation

    def _signed(self, ledger: tuple[Recorded, ...], cycle: str, facts: Facts) -> Facts:
        """The same facts under real keys, saying what they must say."""
        own = [facts_of(entry) for entry, _ in ledger if entry.cycle == cycle]
        frozen = [one.manifest for one in own if isinstance(one, Frozen) and one.stage != "trial"]
        frozen += [recall_digest(one.generation, one.reason) for one in own if isinstance(one, Recalled)]
        match facts:
            case Frozen() if facts.proposer:
                attempt = next((one.generation for one in own if isinstance(one, Attempted)), "")
                return replace(facts, proposer=self._sign(ledger, facts.proposer, attempt, facts.manifest, ""))
            case Recalled():
                stands_for = recall_digest(facts.generation, facts.reason)
                return replace(facts, proposer=self._sign(ledger, facts.proposer, facts.generation, stands_for, ""))
            case Approved():
                results = [one.results for one in own if isinstance(one, Trained) and one.stage != "trial"]
                said = digest(results) if results else ""
                return replace(facts, approver=self._sign(ledger, facts.approver, facts.generation, frozen[-1], said))
        return facts

    def _sign(
        self, ledger: tuple[Recorded, ...], signed: Signed, generation: str, manifest: str, results: str
    ) -> Signed:
        key = local_key(self.root, signed.statement.role)
        if key is None:
            return signed
        champion = self.lineage.champion
        statement = replace(
            signed.statement,
            domain=self.domain,
            generation=generation,
            parent_head=f"{champion.generation} {champion.entry}" if champion else "",
            manifest=manifest,
            results=results,
            tips=tips(ledger),
        )
        armor = sign(statement, key)
        signer = check(statement, armor, self.root / ALLOWED_SIGNERS, self.now)
        return Signed(statement, armor, signer.principal, signer.fingerprint)


@pytest.fixture(scope="session")
def say() -> Say:
    """Makes facts of every event, as a real cycle would state them."""
    return Say()


@pytest.fixture
def story() -> Story:
    """An empty history in memory."""
    return Story()


@pytest.fixture
def line(story: Story) -> Story:
    """In memory: a root G000, a rejected G001, and the accepted champion G002."""
    story.begin()
    story.attempt("first", "wider", "rejected", recall=0.7)
    story.attempt("second", "better", "accepted", recall=0.85)
    return story


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
    shutil.copytree(recorded_lab.root, tmp_path / "lab")
    lab = Lab(tmp_path / "lab")
    lab.minute = recorded_lab.minute
    return lab
