"""What happened, told cycle by cycle; a small lab on disk where it really did; and how to ask a command or a view."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

import domains
from aams.canonical import canonical_json, digest, sha256, to_data
from aams.cli import main
from aams.records import Cost, Criterion, Entry, Envelope, Fitness, Inputs, Look, Mutation, Pair, Run, Scores, Stage
from aams.strict import read_json
from aams.views import write_views
from compiler import spec as specs
from evaluator import arbiter
from evaluator.recount import evidence_on, verdict_of
from evaluator.screen import screen
from safety.archive import ARTIFACTS, archive_generation, manifest_name
from safety.contract import CONTRACT_PATH, load_contract
from safety.events import (
    Approved,
    Attempted,
    Closed,
    Facts,
    Frozen,
    Looked,
    Opened,
    Proposed,
    ProposedChild,
    Recalled,
    Revealed,
    Screened,
    Signed,
    Trained,
    TrialScore,
    Verdict,
    event_name,
    facts_of,
)
from safety.head import heal
from safety.keyfiles import held_key
from safety.keys import make_keys
from safety.ledger import Recorded, append, entry_bytes, next_entry, read_ledger, tips
from safety.lineage import Lineage
from safety.manifest import freeze, manifest_digest
from safety.seal import seal
from safety.signatures import Statement, check, sign
from safety.signers import ALLOWED_SIGNERS, Role
from safety.sshkeygen import have_ssh_keygen
from safety.state import fold
from safety.store import put

Course = Literal["accepted", "rejected", "placebo", "declined"]

CONTRACT = "c" * 64
CONTRACT_IN_FORCE = Path(__file__).parents[2] / CONTRACT_PATH
IN_FORCE = load_contract(CONTRACT_IN_FORCE)
ENVELOPE = Envelope("0" * 64, "2026-11-21T01:40:00Z", "2026-11-22T01:40:00Z", "")
RESULTS = "3" * 64
COST = Cost(1000, 2, 6, 0, 32, 192, 4, 16)
ENVIRONMENT = {
    **dict.fromkeys(("python", "torch", "numpy", "platform", "processor", "capability", "deterministic"), "some"),
    **dict.fromkeys(("compute", "driver", "cuda", "cudnn"), ""),
    "threads": 1,
    "device": "cpu",
}


class Tell:
    """Tells what happens in a cycle, and makes ledgers in memory of it."""

    BASE, SPEC, PLACEBO, SALT = "a" * 64, "b" * 64, "d" * 64, "5" * 64
    HOSTILE = '=HYPERLINK("http://evil")\n"quoted", </script>\u2028 and ünïcödé'

    def recorded(self, cycles: Sequence[tuple[str, Sequence[Facts]]], domain: str = "language") -> list[Recorded]:
        """A ledger, one minute a cycle, each entry after the one before."""
        ledger: list[Recorded] = []
        for minute, (cycle, events) in enumerate(cycles):
            time = f"2026-11-{1 + minute // 1440:02d}T{minute // 60 % 24:02d}:{minute % 60:02d}:00Z"
            for number, facts in enumerate(events, start=1):
                follows, said = (ledger[-1].digest,) if ledger else (), to_data(self.own(cycle, facts))
                entry = Entry(1, cycle, number, event_name(facts), domain, follows, CONTRACT, time, said)
                ledger.append(Recorded(entry, sha256(entry_bytes(entry))))
        return ledger

    def own(self, cycle: str, facts: Facts) -> Facts:
        """The same facts; a bundle's with a nonce and a manifest that are its cycle's alone."""
        if not isinstance(facts, Frozen):
            return facts
        name = [cycle, facts.stage, facts.batch]
        return replace(facts, nonce=digest(["nonce", *name]), manifest=digest(["manifest", *name]))

    def first_and(self, *cycles: list[Facts]) -> list[Recorded]:
        """A ledger that the fold accepts: a root, then these cycles."""
        later = ((f"cycle-{index}", events) for index, events in enumerate(cycles, 1))
        ledger = self.recorded([("root", self.root()), *later])
        fold(ledger)
        return ledger

    def opened(self, parent: str, seed: int = 7) -> Opened:
        return Opened(
            seed=seed,
            planner="mutate-champion",
            trigger="person",
            parent=parent,
            corpus="corpus-a",
            request="f" * 64,
            commit="",
        )

    def signed(self, role: Role, generation: str) -> Signed:
        statement = Statement(
            schema_version=1,
            repository="unversioned",
            role=role,
            domain="language",
            generation=generation,
            parent_head="",
            manifest="",
            results=digest([RESULTS]) if role == "verdict" else "",
            tips=(),
            expires="2026-12-01T00:00:00Z",
        )
        return Signed(statement, "a signature", f"ann-{role}", f"SHA256:{role}")

    def bundle(self, stage: Stage, batch: int, generation: str) -> list[Facts]:
        """One bundle that left and came back."""
        proposer = self.signed("propose", generation)
        return [
            Frozen(stage, batch, "", "", 8, reserved_flops=1000, proposer=proposer),
            Trained(stage, batch, RESULTS, (), {}, "none", "7" * 64, used_flops=900, cpu_s=1.25, wall_s=2.5),
        ]

    def verdict(
        self, generation: str, spec: str, generalize: float, passed: bool, look: Look | None, reason: str
    ) -> Verdict:
        return Verdict(
            generation=generation,
            spec=spec,
            outcome="accepted" if passed else "rejected",
            criteria=(Criterion("recall", 0.8, ">=", 0.75, passed),),
            reasons=(reason, "and so on"),
            child=Fitness(0.8, generalize, -0.01, 2.5, 0),
            control=Fitness(0.8, 0.58, 0.0, 2.6, 0) if look else None,
            look=look,
            voice=(0.25, 0.75),
            weights="8" * 64,
            archive="e" * 64,
        )

    def root(self, spec: str = BASE) -> list[Facts]:
        """The cycle that begins the lineage."""
        pairs = (Pair(0, Scores(0.8, 0.5, 2.5), None),)
        return [
            self.opened(""),
            Attempted("G000", ""),
            *self.bundle("root", 0, "G000"),
            Looked("G000", 0, pairs, (0.25, 0.75), (), None, "proven"),
            self.verdict("G000", spec, 0.5, True, None, "it is a root"),
            Approved("G000", self.signed("verdict", "G000"), "", "G000"),
            Closed("accepted", ""),
        ]

    def searched(self, parent: str, spec: str = SPEC) -> list[Facts]:
        """A cycle up to its screen, which one child passed."""
        mutation = Mutation("widen", "model.width", 128, 192, self.HOSTILE, 0.01)
        child = ProposedChild(spec, "model: {}\n", {"model": {"width": 192}}, (mutation,), self.HOSTILE, 0.01, COST)
        return [
            self.opened(parent),
            Proposed((child,), ()),
            *self.bundle("trial", 0, ""),
            Screened(0.5, (TrialScore(spec, 0.52),), 0.005, spec, True),
        ]

    def whole_cycle(
        self,
        generation: str,
        generalize: float = 0.6,
        course: Course = "accepted",
        reason: str = "so",
        parent: str = "G000",
        batches: int = 1,
        child: str = SPEC,
    ) -> list[Facts]:
        """A cycle that came to an attempt."""
        passed, placebo = course in ("accepted", "declined"), course == "placebo"
        spec = self.PLACEBO if placebo else child
        events = [*self.searched(parent, child), Attempted(generation, seal(self.SALT, spec, placebo))]
        look = None
        for batch in range(batches):
            standing: Any = ("proven" if passed else "futile") if batch == batches - 1 else "more"
            pairs = tuple(
                Pair(number, Scores(0.8, generalize, 2.5), Scores(0.8, 0.58, 2.6))
                for number in range(4 * batch, 4 * batch + 4)
            )
            look = Look(int(generation[1:]), 0, 0.01, 123.5, 4 * batch + 4, standing, 0.02, 0.01, 0.03)
            voices = ((0.25, 0.75), (0.3, 0.7)) if batch == 0 else ((), ())
            looked = Looked(generation, batch, pairs, *voices, look, standing)
            events += [*self.bundle("attempt", batch, generation), looked]
        events += [
            self.verdict(generation, spec, generalize, passed, look, reason),
            Revealed(generation, spec, placebo, self.SALT),
        ]
        if course == "accepted":
            events.append(Approved(generation, self.signed("verdict", generation), parent, generation))
        return [*events, Closed(course, "")]

    def nothing_tried(self, seed: int, parent: str = "G000") -> list[Facts]:
        return [self.opened(parent, seed), Closed("nothing-to-try", "the planner found no child")]

    def recall(self, generation: str, head: str) -> list[Facts]:
        """A rollback from one champion to an earlier one."""
        return [
            self.opened(head),
            Recalled(generation, "it was better", self.signed("propose", generation)),
            Approved(generation, self.signed("verdict", generation), head, generation),
            Closed("rolled-back", "approved by the second key"),
        ]


class Lab:
    """A lab that a command can be pointed at; its history is written through the public functions.

    Its promotions are signed by two keys where there is `ssh-keygen`; without it nobody can check them either.
    """

    def __init__(self, root: Path, tell: Tell) -> None:
        self.root = root
        self.tell = tell
        if have_ssh_keygen():
            (root / ALLOWED_SIGNERS).parent.mkdir(parents=True)
            make_keys(root, "ann", clock=lambda: "2026-11-01T00:00:00Z")

    @property
    def lineage(self) -> Lineage:
        return fold(read_ledger(self.root)).lineages.get("language", Lineage())

    def cycle(self, number: int, text: str) -> None:
        """Record an accepted cycle that tried a spec: the root for number 0."""
        name, generation, now = f"cycle-{number}", f"G{number:03d}", f"2026-11-21T01:0{number}:00Z"
        spec, parent = specs.parse(text.encode(), "spec.yaml").id, f"G{number - 1:03d}"
        told = (
            self.tell.whole_cycle(generation, parent=parent, child=spec, batches=2) if number else self.tell.root(spec)
        )
        for facts in told:
            ledger, done = read_ledger(self.root), self._done(name, self.tell.own(name, facts), text, now)
            append(self.root, next_entry(ledger, name, done, "language", IN_FORCE.digest, now))
        heal(self.root, fold(read_ledger(self.root)))
        write_views(self.root, read_ledger(self.root))

    def _done(self, cycle: str, facts: Facts, text: str, now: str) -> Facts:
        """What is told, with the signature, the decision or the archive it tells of."""
        own = [facts_of(entry) for entry, _ in read_ledger(self.root) if entry.cycle == cycle]
        match facts:
            case Frozen() if facts.proposer:
                facts = replace(facts, manifest=manifest_digest(inputs_of(cycle, facts.stage, facts.batch)))
                return replace(facts, proposer=self._signed(facts.proposer, facts.manifest, now))
            case Trained() if facts.stage != "trial":
                name = self.lineage.generations[-1].name
                weights = sha256(f"weights of {name}".encode()) if facts.batch == 0 else digest([name, facts.batch])
                return replace(facts, weights={f"child-{4 * facts.batch}": weights})
            case Screened():
                trials = {score.spec: score.accuracy for score in facts.scores}
                return screen(facts.control, trials, IN_FORCE.promotion.screen_margin)
            case Looked() if facts.look:
                pairs = [pair for one in (*own, facts) if isinstance(one, Looked) for pair in one.pairs]
                look = arbiter.look_at(IN_FORCE, pairs, facts.look.attempt, self.lineage.discoveries)
                return replace(facts, look=look, standing=look.standing)
            case Verdict():
                evidence = evidence_on(own, self.lineage, IN_FORCE)
                archive = self._archive(cycle, own, text)
                return verdict_of(
                    facts.generation, facts.spec, own, evidence, arbiter.decide(IN_FORCE, evidence), archive
                )
            case Approved():
                frozen = [entry for entry, _ in read_ledger(self.root) if entry.event == "frozen"]
                results = digest([one.results for one in own if isinstance(one, Trained) and one.stage != "trial"])
                told = replace(facts.approver, statement=replace(facts.approver.statement, results=results))
                return replace(facts, approver=self._signed(told, frozen[-1].facts["manifest"], now))
        return facts

    def _signed(self, told: Signed, manifest: str, now: str) -> Signed:
        champion = self.lineage.champion
        head = f"{champion.generation} {champion.entry}" if champion else ""
        statement = replace(told.statement, parent_head=head, manifest=manifest, tips=tips(read_ledger(self.root)))
        if not have_ssh_keygen():
            return replace(told, statement=statement)
        signature = sign(statement, held_key(self.root, statement.role))
        signer = check(statement, signature, self.root / ALLOWED_SIGNERS, now)
        return Signed(statement, signature, signer.principal, signer.fingerprint)

    def _archive(self, cycle: str, own: Sequence[Facts], text: str) -> str:
        """Archive the newest generation; gives the digest of its archive."""
        generation = self.lineage.generations[-1]
        artifacts = {name: f"{name}\n".encode() for name in {*ARTIFACTS, "tokenizer.json"}}
        artifacts |= {
            "spec.yaml": text.encode(),
            "contract.yaml": CONTRACT_IN_FORCE.read_bytes(),
            "metrics.json": canonical_json({"schema_version": 1, "cost": to_data(COST), "environment": ENVIRONMENT}),
            "parent_gen.txt": f"{generation.parent or 'none'}\n".encode(),
            "EVAL.md": b"# Why\n\nred \x1b[31m alert\n",
        }
        for one in [one for one in own if isinstance(one, Frozen) and one.stage != "trial"]:
            manifest = freeze(inputs_of(cycle, one.stage, one.batch), ENVELOPE)
            artifacts[manifest_name(one.batch)] = canonical_json(to_data(manifest))
        returned = self.root / "returned.safetensors"
        returned.write_bytes(f"weights of {generation.name}".encode())
        weights = sha256(returned.read_bytes())
        put(self.root, returned, weights)
        returned.unlink()
        return archive_generation(self.root, "language", generation.directory, artifacts, weights)


def inputs_of(cycle: str, stage: Stage, batch: int) -> Inputs:
    """What a bundle of a cycle was frozen with, as far as anybody asks."""
    return Inputs(
        schema_version=1,
        cycle=cycle,
        stage=stage,
        batch=batch,
        domain="language",
        **dict.fromkeys(("generation", "sealed", "parent", "parent_weights"), ""),
        corpus="corpus-a",
        digests={},
        files={},
        runs=(Run("child-0", "child", 0, Tell.SPEC, 11, 90),),
        rungs=(),
        compute_flops=10**9,
        budget=IN_FORCE.budget,
        confinement=IN_FORCE.confinement,
    )


class Read:
    """Reads views."""

    def json(self, content: bytes) -> Any:
        return read_json(content, "view", 1 << 26)

    def rows(self, views: dict[str, bytes], name: str = "logs/experiments.jsonl") -> list[Any]:
        return [self.json(line) for line in views[name].splitlines()]

    def lineage(self, views: dict[str, bytes]) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(views["logs/lineage.csv"].decode(), newline="")))


@pytest.fixture(scope="session")
def tell() -> Tell:
    """Tells what happens in a cycle, and makes ledgers in memory of it."""
    return Tell()


@pytest.fixture(scope="session")
def read() -> Read:
    """Reads views."""
    return Read()


@pytest.fixture(scope="session")
def recorded_lab(tell: Tell, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lab with the champion G001 and its parent G000."""
    lab = Lab(tmp_path_factory.mktemp("recorded") / "lab", tell)
    text = (Path(domains.__file__).parent / "language" / "baseline.yaml").read_text(encoding="utf-8")
    lab.cycle(0, text)
    lab.cycle(1, text.replace("  tied: false\n", "").replace("model:\n", "model:\n  tied: false\n", 1))
    return lab.root


@pytest.fixture
def answer(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that answers on stdout, or complains on stderr."""

    def run(*arguments: str, status: int = 0) -> str:
        assert main(arguments) == status
        out, err = capsys.readouterr()
        return out if status == 0 else err

    return run


@pytest.fixture(scope="session")
def only_object() -> Callable[[str], Any]:
    """Gives the one JSON object that is all there is in a text."""

    def parse(text: str) -> Any:
        data = json.loads(text)
        assert isinstance(data, dict)
        assert text == json.dumps(data) + "\n"
        return data

    return parse
