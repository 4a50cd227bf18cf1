"""From a proposal's bundle to its results: what the workflow on a machine with compute does, and who asks it to.

Where a proposal is trained stands on its pull request, as a label that a maintainer may change. The job that trains
holds no secret and gives back an archive that nobody believes; another one puts it where the next sweep finds it.
"""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from aams.errors import failure
from aams.github.records import ProposalLane, PullRequest
from aams.github.repository import Repository
from aams.github.workflows import KAGGLE, TRAIN, train_title
from aams.gitops.evidence import Evidence
from aams.gitops.workshop import Site, Workshop, workshop
from safety.events import Frozen

MAX_TRIES = 3
HOSTED: ProposalLane = "hosted"
AT_KAGGLE: ProposalLane = "kaggle"


def label_of(lane: ProposalLane) -> str:
    """The label of a pull request whose bundles are trained in a lane."""
    return f"lane: {lane}"


def lane_of(pull: PullRequest) -> ProposalLane:
    """Where a pull request's bundles are trained; on a hosted runner unless a label says otherwise."""
    lanes: tuple[ProposalLane, ...] = get_args(ProposalLane)
    return next((lane for lane in lanes if lane != HOSTED and label_of(lane) in pull.labels), HOSTED)


def let_go(pull: PullRequest) -> tuple[str, ...]:
    """The workflows to wake when a pull request waits for a session no longer: whoever keeps it there must end it."""
    return (KAGGLE,) if lane_of(pull) == AT_KAGGLE else ()


def ask_for_training(repository: Repository, lane: ProposalLane, cycle: str, stage: str, batch: int) -> bool:
    """Start the workflow that trains a bundle, unless it runs, or failed too often; whether it was started.

    Kaggle's looks after every proposal of its lane, and counts what failed itself.
    """
    if lane == AT_KAGGLE:
        repository.dispatch(KAGGLE, {})
        return True
    bundle = f"{stage}-{batch}"
    runs = repository.runs_for(TRAIN, train_title(cycle, bundle))
    if len(runs) >= MAX_TRIES or not all(run.ended for run in runs):
        return False
    repository.dispatch(TRAIN, {"cycle": cycle, "bundle": bundle, "lane": lane})
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
