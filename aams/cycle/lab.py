"""The lab that a cycle works in: its folder, its contract, its ledger as read, and the door to torch."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import domains
from aams import views
from aams.canonical import to_data
from aams.dispatch import WORK
from aams.errors import failure
from aams.files import exclusive, is_leftover
from aams.records import Entry, Spec
from aams.worker import Worker
from compiler import spec as specs
from safety import head
from safety.archive import damage, generation_path, sweep
from safety.clock import utc_now
from safety.contract import CONTRACT_PATH, Contract, load_contract
from safety.events import Closed, Ending, Facts, Proposed, facts_of
from safety.ledger import Recorded, append, next_entry, next_time, read_ledger, recorded_as
from safety.lineage import Lineage
from safety.state import State, add, fold

PERSON = "person"
"""Trigger of a cycle that a person runs from its start to its end."""
LOCK = ".aams/lock"
CACHE = ".aams/cache"


@dataclass(frozen=True, slots=True)
class Request:
    """What a person, or a schedule, asks of one cycle. `spec` is a hand-made child to try instead of mutants."""

    domain: str
    seed: int
    children: int = 4
    planner: str = "mutate-champion"
    spec: Path | None = None
    trigger: str = PERSON


@dataclass(frozen=True, slots=True)
class Ended:
    """How a cycle ended, or that it waits for the second key; the ledger has the rest.

    Attributes:
        is_root: it trained a baseline, not a child.
    """

    cycle: str
    domain: str
    outcome: Ending | Literal["waiting"]
    reason: str
    generation: str
    is_root: bool


@dataclass(slots=True)
class Lab:
    """One lab, held by one command at a time.

    Attributes:
        recorded: its ledger in order; `record` adds to it.
        state: what the ledger adds up to.
        approves: whether this command gives the second key where the machine holds one; None for what the contract's
            autonomy says.
        proposed: cycles that are open proposals elsewhere: they count, but what is recorded here never rests on them,
            as each of them may be turned down.
    """

    root: Path
    contract: Contract
    recorded: list[Recorded]
    state: State
    approves: bool | None
    proposed: frozenset[str] = frozenset()
    _worker: Worker | None = None

    @property
    def worker(self) -> Worker:
        """The door to torch; its service starts when it is first wanted."""
        if self._worker is None:
            self._worker = Worker(self.root)
        return self._worker

    def close(self) -> None:
        """End the torch service, if it was started."""
        if self._worker:
            self._worker.close()

    def time(self, cycle: str) -> str:
        """The time that a cycle's next entry gets now."""
        return next_time(self.line_of(cycle), utc_now())

    def entry(self, cycle: str, domain: str, facts: Facts, at: str = "") -> Entry:
        """The entry that would continue a cycle.

        Args:
            at: what `time` gave when its facts were signed.
        """
        return next_entry(self.line_of(cycle), cycle, facts, domain, self.contract.digest, at or utc_now())

    def record(self, cycle: str, domain: str, facts: Facts, at: str = "") -> None:
        """Append one event to the ledger; one that contradicts it is refused before it is written."""
        entry = self.entry(cycle, domain, facts, at)
        state = add(self.state, recorded_as(entry))
        self.recorded.append(append(self.root, entry))
        self.state = state

    def line_of(self, cycle: str) -> list[Recorded]:
        """What an entry of a cycle may follow: all that is settled, and the cycle's own."""
        return [one for one in self.recorded if one.entry.cycle == cycle or one.entry.cycle not in self.proposed]

    def lineage(self, domain: str) -> Lineage:
        """One domain's line."""
        return self.state.lineages.get(domain, Lineage())

    def facts(self, cycle: str) -> list[Facts]:
        """What a cycle has recorded so far, in order."""
        return [facts_of(entry) for entry, _ in self.recorded if entry.cycle == cycle]

    def end(self, cycle: str, outcome: Ending, reason: str) -> Ended:
        """Close a cycle and tidy up after it."""
        ended = self.ended(cycle, outcome, reason)
        head.heal(self.root, self.state)  # HEAD may be behind an approval only while the approved cycle is open
        self.record(cycle, ended.domain, Closed(outcome, reason))
        self.settle()
        self.clean()
        return ended

    def ended(self, cycle: str, outcome: Ending | Literal["waiting"], reason: str) -> Ended:
        """How an open cycle ends, or that it waits."""
        found = self.state.open_cycles[cycle]
        generation = found.recalled or found.generation
        return Ended(cycle, found.domain, outcome, reason, generation, not found.opened.parent)

    def damage(self, domain: str, generation: str) -> str:
        """What is wrong with a generation's archive; "" when it is as the ledger has it, and read-only."""
        found = next(one for one in self.lineage(domain).generations if one.name == generation)
        return damage(generation_path(self.root, domain, found.directory), found.archive)

    def settle(self) -> None:
        """Bring HEAD, champions, archive and views to what the ledger says."""
        head.heal(self.root, self.state)
        sweep((self.root / views.METRICS).parent)
        for domain, lineage in self.state.lineages.items():
            for attempt in lineage.generations:
                if (
                    attempt.status == "abandoned" and not attempt.archive
                ):  # archived by a killed command, and never judged
                    shutil.rmtree(generation_path(self.root, domain, attempt.directory), ignore_errors=True)
        views.write_views(self.root, self.recorded)

    def clean(self) -> None:
        """Remove the working files of cycles that are closed; weights that matter are in the store."""
        still_open = self.state.open_cycles
        for place in (self.root / WORK).glob("*"):
            if place.name not in still_open:
                shutil.rmtree(place, ignore_errors=True)
            for path in filter(is_leftover, place.glob(".*.part")):
                path.unlink()


@contextmanager
def open_lab(root: Path, approves: bool | None = None, proposed: frozenset[str] = frozenset()) -> Iterator[Lab]:
    """Hold the lab's lock and read its ledger.

    Args:
        approves: whether who runs this command gives the second key too; None for what the contract's autonomy says.
        proposed: see `Lab`.

    Raises:
        AamsError: it is no lab, another command holds it, or its ledger is broken.
    """
    if not (root / CONTRACT_PATH).exists():
        raise failure(
            "is no lab",
            f"{CONTRACT_PATH} is missing",
            "go to the repository's folder or name it with --root",
            file=str(root),
        )
    with exclusive(root / LOCK, "cycle"):
        recorded = list(read_ledger(root))
        lab = Lab(root, load_contract(root / CONTRACT_PATH), recorded, fold(recorded), approves, proposed)
        lab.settle()
        lab.clean()
        with closing(lab):
            yield lab


def champion_spec(lab: Lab, domain: str) -> Spec:
    """The champion as it was archived; before the first root the domain's baseline."""
    champion = lab.lineage(domain).champion
    return specs.read(spec_file(lab, domain, champion.generation)) if champion else baseline(domain)


def spec_file(lab: Lab, domain: str, generation: str) -> Path:
    """A generation's YAML as it was archived; there is such a generation."""
    found = next(one for one in lab.lineage(domain).generations if one.name == generation)
    return generation_path(lab.root, domain, found.directory) / "spec.yaml"


def champion_text(lab: Lab, domain: str) -> str:
    """The champion's YAML; there is one."""
    champion = lab.lineage(domain).champion
    return spec_file(lab, domain, champion.generation if champion else "").read_text(encoding="utf-8")


def baseline(domain: str) -> Spec:
    """The spec that every lineage of a domain begins with."""
    return specs.read(_baseline_path(domain))


def _baseline_path(domain: str) -> Path:
    return Path(domains.__file__).parent / domain / "baseline.yaml"


def baseline_text(domain: str) -> str:
    """The baseline's YAML as it lies in `specs/<domain>/champion.yaml`."""
    return for_champion(_baseline_path(domain).read_text(encoding="utf-8"), domain)


def for_champion(text: str, domain: str) -> str:
    """The same YAML with its first line naming the schema as seen from `specs/<domain>/champion.yaml`."""
    modeline = f"# yaml-language-server: $schema=../../domains/{domain}/schema.json\n"
    first, _, rest = text.partition("\n")
    return modeline + (rest if first.startswith("# yaml-language-server:") else text)


def proposed_specs(lab: Lab, cycle: str) -> dict[str, Spec]:
    """The children that a cycle proposed, by id.

    Raises:
        AamsError: a child is not what is said of it.
    """
    found = {}
    for child in [child for facts in lab.facts(cycle) if isinstance(facts, Proposed) for child in facts.children]:
        place = f"{cycle}: child {child.spec[:12]}"
        one = specs.parse(child.text.encode(), place)
        if to_data(one.tree) != to_data(child.tree):
            raise failure("its tree is not what its text says", advice="propose it again", file=place)
        found[one.id] = one
    return found
