"""The lab that a cycle works in: its folder, its contract, its ledger as read, and the door to torch."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import domains
from aams import views
from aams.dispatch import WORK
from aams.errors import failure
from aams.files import exclusive
from aams.records import Spec
from aams.worker import Worker
from compiler import spec as specs
from safety import head
from safety.archive import generation_path
from safety.clock import utc_now
from safety.contract import CONTRACT_PATH, Contract, load_contract
from safety.events import Ending, Facts, Proposed, facts_of
from safety.ledger import Recorded, append, next_entry, read_ledger
from safety.state import Lineage, State, fold

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
    trigger: str = "person"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a cycle ended; the ledger has the rest. `is_root` says that it trained a baseline, not a child."""

    cycle: str
    domain: str
    outcome: Ending
    reason: str
    generation: str
    is_root: bool


@dataclass(slots=True)
class Lab:
    """One lab, held by one command at a time. `recorded` is its ledger in order; `record` adds to both."""

    root: Path
    contract: Contract
    worker: Worker
    recorded: list[Recorded] = field(default_factory=list)

    def record(self, cycle: str, domain: str, facts: Facts) -> None:
        """Append one event to the ledger."""
        entry = next_entry(self.recorded, cycle, facts, domain, self.contract.digest, utc_now())
        self.recorded.append(append(self.root, entry))

    def state(self) -> State:
        """What the ledger adds up to now."""
        return fold(self.recorded)

    def lineage(self, domain: str) -> Lineage:
        """One domain's line."""
        return self.state().lineages.get(domain, Lineage())

    def facts(self, cycle: str) -> list[Facts]:
        """What a cycle has recorded so far, in order."""
        return [facts_of(entry) for entry, _ in self.recorded if entry.cycle == cycle]

    def settle(self) -> None:
        """Bring HEAD, champions, archive and views to what the ledger says."""
        state = self.state()
        head.heal(self.root, state)
        for domain, lineage in state.lineages.items():
            for attempt in lineage.generations:
                if attempt.status == "abandoned":  # archived by a killed command, and never judged
                    shutil.rmtree(generation_path(self.root, domain, attempt.directory), ignore_errors=True)
        views.write_views(self.root, self.recorded)

    def clean(self) -> None:
        """Remove the working files of cycles that are closed; weights that matter are in the store."""
        still_open = self.state().open_cycles
        for place in (self.root / WORK).glob("*"):
            if place.name not in still_open:
                shutil.rmtree(place, ignore_errors=True)


@contextmanager
def open_lab(root: Path) -> Iterator[Lab]:
    """Hold the lab's lock, read its ledger and start the torch service.

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
    with exclusive(root / LOCK, "cycle"), Worker(root) as worker:
        lab = Lab(root, load_contract(root / CONTRACT_PATH), worker, list(read_ledger(root)))
        lab.settle()
        lab.clean()
        yield lab


def champion_spec(lab: Lab, domain: str) -> Spec:
    """The champion as it was archived; before the first root the domain's baseline."""
    champion = lab.lineage(domain).champion
    if champion is None:
        return baseline(domain)
    return specs.read(_champion_file(lab, domain, champion.directory))


def champion_text(lab: Lab, domain: str) -> str:
    """The champion's YAML; there is one."""
    champion = lab.lineage(domain).champion
    return _champion_file(lab, domain, champion.directory if champion else "").read_text(encoding="utf-8")


def _champion_file(lab: Lab, domain: str, directory: str) -> Path:
    return generation_path(lab.root, domain, directory) / "spec.yaml"


def baseline(domain: str) -> Spec:
    """The spec that every lineage of a domain begins with."""
    return specs.read(_baseline_path(domain))


def _baseline_path(domain: str) -> Path:
    return Path(domains.__file__).parent / domain / "baseline.yaml"


def text_of(lab: Lab, cycle: str, one: Spec) -> str:
    """A spec of a cycle as YAML, with a person's comments: as it was proposed, or the baseline's own text."""
    proposed = next((facts for facts in lab.facts(cycle) if isinstance(facts, Proposed)), None)
    for child in proposed.children if proposed else ():
        if child.spec == one.id:
            return child.text
    return for_champion(_baseline_path(one.domain).read_text(encoding="utf-8"), one.domain)


def for_champion(text: str, domain: str) -> str:
    """The same YAML with its first line naming the schema as seen from `specs/<domain>/champion.yaml`."""
    modeline = f"# yaml-language-server: $schema=../../domains/{domain}/schema.json\n"
    first, _, rest = text.partition("\n")
    return modeline + (rest if first.startswith("# yaml-language-server:") else text)


def specs_of(lab: Lab, cycle: str, domain: str) -> dict[str, Spec]:
    """Every spec that a cycle may train, by id: what it proposed, and the parent."""
    known = [champion_spec(lab, domain), baseline(domain)]
    for facts in lab.facts(cycle):
        if isinstance(facts, Proposed):
            known += [specs.parse(child.text.encode(), f"{cycle}: child {child.spec[:12]}") for child in facts.children]
    return {one.id: one for one in known}
