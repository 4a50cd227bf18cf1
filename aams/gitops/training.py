"""From a proposal's bundle to its results: what the workflow on a machine with compute does, and who asks it to.

The job that trains holds no secret and gives back an archive that nobody believes; another one puts it where the next
sweep finds it.
"""

from __future__ import annotations

from pathlib import Path

from aams.errors import failure
from aams.github.repository import Repository
from aams.gitops.evidence import Evidence
from aams.gitops.workshop import Site, Workshop, workshop
from safety.events import Frozen

WORKFLOW = "train.yml"
MAX_TRIES = 3


def ask_for_training(repository: Repository, cycle: str, stage: str, batch: int) -> bool:
    """Start the workflow that trains a bundle, unless it runs, or failed too often; whether it was started."""
    title = f"train {cycle} {stage}-{batch}"
    runs = repository.runs_for(WORKFLOW, title)
    if len(runs) >= MAX_TRIES or any(status != "completed" for status in runs):
        return False
    repository.dispatch(WORKFLOW, {"cycle": cycle, "bundle": f"{stage}-{batch}"})
    return True


def fetch_bundle(site: Site, cycle: str, place: Path) -> Path:
    """Bring the bundle that a proposal waits for into a folder."""
    with workshop(site) as shop:
        return Evidence(site.repository, cycle).fetch_bundle(awaited(shop, cycle), place)


def deliver(site: Site, cycle: str, archive: Path) -> None:
    """Put a trainer's results where the next sweep finds them."""
    with workshop(site) as shop:
        Evidence(site.repository, cycle).keep_results(archive, awaited(shop, cycle))


def awaited(shop: Workshop, cycle: str) -> Frozen:
    """The bundle whose results a proposal waits for.

    Raises:
        AamsError: it waits for none.
    """
    own = [one.cycle for one in shop.own()]
    found = shop.lab.state.open_cycles.get(cycle) if cycle in own else None
    if found is None or found.event != "frozen":
        raise failure("waits for no results", cycle, f"proposals are: {', '.join(own) or 'none'}")
    return [facts for facts in shop.lab.facts(cycle) if isinstance(facts, Frozen)][-1]
