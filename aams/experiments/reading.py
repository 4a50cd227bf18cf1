"""What the ledger tells of each cycle, and what the archive adds to it.

Takes a lab's root and its ordered ledger. Reads only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from aams.canonical import digest, from_data, to_data
from aams.files import read_bounded
from aams.records import Cost
from aams.strict import read_json
from evaluator.results import Environment
from safety.archive import MAX_ARTIFACT_BYTES, generation_path
from safety.events import Closed, Facts, facts_of
from safety.ledger import Recorded
from safety.state import fold

F = TypeVar("F", bound=Facts)


@dataclass(frozen=True, slots=True)
class _Metrics:
    """What is read of metrics.json; `environment` is None when no bundle came back."""

    cost: Cost
    environment: Environment | None


@dataclass(frozen=True, slots=True)
class Archived:
    """What a generation's directory adds to the ledger: its cost, and where its last bundle was trained.

    Attributes:
        fingerprint: digest of the environment; "" when none came back.
        device: the accelerator's name, or cpu; "" when none came back.
    """

    cost: Cost
    fingerprint: str
    device: str


Archive = Mapping[tuple[str, str], Archived]
"""By domain and generation."""


@dataclass(frozen=True, slots=True)
class Told:
    """One cycle as the ledger tells it: when it began and ended, and its facts in order."""

    name: str
    domain: str
    opened_at: str
    closed_at: str | None
    facts: tuple[Facts, ...]


def told(ledger: Iterable[Recorded]) -> dict[str, Told]:
    """Every cycle by its id, in the order in which they began."""
    entries: dict[str, list[Recorded]] = {}
    for recorded in ledger:
        entries.setdefault(recorded.entry.cycle, []).append(recorded)
    cycles = {}
    for name, own in entries.items():
        facts = tuple(facts_of(entry) for entry, _ in own)
        first, last = own[0].entry, own[-1].entry
        cycles[name] = Told(name, first.domain, first.time, last.time if isinstance(facts[-1], Closed) else None, facts)
    return cycles


def first_of(facts: Iterable[Facts], kind: type[F]) -> F | None:
    """The first fact of a kind."""
    return next((one for one in facts if isinstance(one, kind)), None)


def read_archive(root: Path, ledger: Iterable[Recorded]) -> dict[tuple[str, str], Archived]:
    """Read of every archived generation what the ledger has not, from its metrics.json.

    Raises:
        AamsError: it is missing, or is not what an arbiter writes.
    """
    found = {}
    for domain, lineage in fold(ledger).lineages.items():
        for generation in (one for one in lineage.generations if one.archive):
            path = generation_path(root, domain, generation.directory) / "metrics.json"
            metrics = read_json(read_bounded(path, MAX_ARTIFACT_BYTES), str(path), MAX_ARTIFACT_BYTES)
            own = from_data(_Metrics, {name: metrics.get(name) for name in ("cost", "environment")}, str(path))
            environment = own.environment
            place = (digest(to_data(environment)), environment.device) if environment else ("", "")
            found[domain, generation.name] = Archived(own.cost, *place)
    return found
