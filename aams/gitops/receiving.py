"""The proposer's sweep: takes in results that are ready, and freezes the bundles that are due.

Takes open proposals as they stand, gives what was done. Run again, or twice at once, it changes nothing more: what is
on record is not recorded twice, and a branch that moved meanwhile refuses the slower of two.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aams.cycle import collect, proceed, wants_pairs
from aams.errors import AamsError
from aams.github.calls import GitHubError
from aams.github.workflows import EVALUATE
from aams.gitops.evidence import Evidence
from aams.gitops.proposals import Proposal
from aams.gitops.proposing import send
from aams.gitops.training import AT_KAGGLE, ask_for_training, awaited, lane_of, let_go
from aams.gitops.workshop import Site, Workshop, workshop
from evaluator.markdown import block

JUDGED = ("trained", "screened", "verdict", "revealed")
"""Events after which a cycle is the arbiter's."""
REFUSED = "<!-- aams:refused -->"


@dataclass(frozen=True, slots=True)
class Done:
    """What a sweep did for one proposal, in a few words.

    Attributes:
        wakes: the workflows that have something to do by it, and would else find that on their own schedules.
        failed: it could not be done.
    """

    cycle: str
    what: str
    wakes: tuple[str, ...] = ()
    failed: bool = False


def receive(site: Site) -> tuple[Done, ...]:
    """Look at every open proposal once."""
    with workshop(site) as shop:
        done = each(shop, _receive)
    wake(site, done)
    return done


def wake(site: Site, done: Iterable[Done]) -> None:
    """Start the workflows that have something to do now."""
    for workflow in sorted({workflow for one in done for workflow in one.wakes}):
        site.repository.dispatch(workflow, {})


def waiting(site: Site) -> Mapping[str, int]:
    """How many proposals are open, have results that are to go on record, are to be judged, and are at Kaggle."""
    with workshop(site) as shop:
        cycles = [shop.lab.state.open_cycles.get(one.cycle) for one in shop.own()]
        frozen = [cycle.id for cycle in cycles if cycle and cycle.event == "frozen"]
        ready = [name for name in frozen if Evidence(site.repository, name).has_results(awaited(shop, name))]
        judging = sum(cycle is not None and cycle.event in JUDGED for cycle in cycles)
        away = sum(lane_of(one.pull) == AT_KAGGLE and one.cycle in frozen for one in shop.own())
        return {"proposals": len(shop.proposals), "results": len(ready), "judging": judging, "away": away}


def each(shop: Workshop, act: Callable[[Workshop, Proposal], Done | None]) -> tuple[Done, ...]:
    """Do something for every open proposal of the bot's own."""
    done = (one_of(shop, proposal, act) for proposal in shop.own())
    return tuple(one for one in done if one)


def one_of(shop: Workshop, proposal: Proposal, act: Callable[[Workshop, Proposal], Done | None]) -> Done | None:
    """Do something for one of several proposals; what fails for it must not keep the others waiting."""
    try:
        return act(shop, proposal)
    except AamsError as error:
        return Done(proposal.cycle, str(error.problems[0]), failed=True)


def _receive(shop: Workshop, proposal: Proposal) -> Done | None:
    lab, repository = shop.lab, shop.site.repository
    cycle = lab.state.open_cycles.get(proposal.cycle)
    if cycle is None:
        return None
    evidence = Evidence(repository, cycle.id)
    if cycle.event == "frozen":
        frozen = awaited(shop, cycle.id)
        if evidence.has_results(frozen):
            return _collect(shop, proposal, evidence)
        if lane_of(proposal.pull) == AT_KAGGLE:
            return None  # whose own schedule looks after it
        asked = ask_for_training(repository, lane_of(proposal.pull), cycle.id, frozen.stage, frozen.batch)
        return Done(cycle.id, "training was asked for again") if asked else None
    if not wants_pairs(cycle):
        return None
    evidence.restore(lab)
    dispatch = proceed(lab, cycle.id)
    send(shop, dispatch, cycle.domain, f"Freeze {dispatch.stage} {dispatch.batch} of {cycle.id}")
    ask_for_training(repository, lane_of(proposal.pull), cycle.id, dispatch.stage, dispatch.batch)
    return Done(cycle.id, f"{dispatch.stage} {dispatch.batch} is frozen")


def _collect(shop: Workshop, proposal: Proposal, evidence: Evidence) -> Done:
    """Put results on record; what is not bound to the manifest is taken away, so that honest results can come."""
    frozen = awaited(shop, proposal.cycle)
    dispatch = evidence.restore(shop.lab)
    if dispatch is None:
        return Done(proposal.cycle, "its bundle is not the one on record", failed=True)
    with tempfile.TemporaryDirectory() as place:
        try:
            collect(shop.lab, dispatch, evidence.fetch_results(frozen, Path(place)))
        except GitHubError:
            raise
        except AamsError as error:
            words = f"Results were refused, and others are waited for:\n\n{block(str(error.problems[0]))}"
            shop.site.repository.ensure_comment(proposal.pull.number, REFUSED, words)
            evidence.drop_results(frozen)
            return Done(proposal.cycle, f"results were refused: {error.problems[0]}")
    shop.publish(proposal.cycle, proposal.domain, f"Receive {frozen.stage} {frozen.batch} of {proposal.cycle}")
    return Done(
        proposal.cycle, f"results of {frozen.stage} {frozen.batch} are on record", (EVALUATE, *let_go(proposal.pull))
    )
