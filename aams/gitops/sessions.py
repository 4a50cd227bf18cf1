"""Sessions elsewhere: brings the bundles of proposals to a lane that lasts, and their results back.

Takes open proposals as they stand, gives what was done. Keeps nothing between two sweeps: the lane finds a session by
its bundle, and lets go of those that no open proposal waits for. Results are put where the next sweep of the proposer
finds them, and nobody believes them here.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from aams.github.workflows import RECEIVE
from aams.gitops.evidence import Evidence
from aams.gitops.proposals import Proposal
from aams.gitops.receiving import Done, each, wake
from aams.gitops.training import AT_KAGGLE, awaited, lane_of
from aams.gitops.workshop import Site, Workshop, workshop
from aams.lanes import LANES, Lane, LaneBusyError, Status
from aams.results_archive import pack_results


def look_after(site: Site) -> tuple[Done, ...]:
    """Look at every open proposal that is trained at Kaggle once."""
    with workshop(site) as shop, tempfile.TemporaryDirectory(prefix="aams-") as place:
        lane = LANES[AT_KAGGLE](Path(place), shop.lab.contract)
        awaiting: set[str] = set()
        done = each(shop, lambda shop, proposal: _look_after(shop, proposal, lane, awaiting))
        if not any(one.failed for one in done):
            _let_go(shop, lane, awaiting)
    wake(site, done)
    return done


def _let_go(shop: Workshop, lane: Lane, awaiting: set[str]) -> None:
    """End and delete sessions of this repository's cycles that nobody waits for; an account may have others'."""
    known = tuple({entry.cycle for entry, _ in shop.lab.recorded})
    for handle in lane.sessions():
        if handle.name.endswith(known) and handle.name not in awaiting:
            lane.cancel(handle)
            lane.discard(handle)


def _look_after(shop: Workshop, proposal: Proposal, lane: Lane, awaiting: set[str]) -> Done | None:
    """Do for one proposal what is due; the session that it waits for goes among those awaited."""
    cycle = shop.lab.state.open_cycles.get(proposal.cycle)
    if lane_of(proposal.pull) != AT_KAGGLE or cycle is None or cycle.event != "frozen":
        return None
    evidence, frozen = Evidence(shop.site.repository, cycle.id), awaited(shop, cycle.id)
    with tempfile.TemporaryDirectory(prefix="aams-") as place:
        bundle = evidence.fetch_bundle(frozen, Path(place))
        handle = lane.handle_of(bundle)
        awaiting.add(handle.name)
        if evidence.has_results(frozen):
            return None
        standing = lane.poll(handle)
        if standing.status in (Status.QUEUED, Status.RUNNING):
            return None
        if standing.status is not Status.DONE:
            try:
                lane.submit(bundle)
            except LaneBusyError as busy:
                return Done(cycle.id, f"waits: {busy.problems[0]}")
            said = f", as it {standing.status}: {standing.said}" if standing.said else ""
            return Done(cycle.id, f"{frozen.stage} {frozen.batch} is on its way to Kaggle{said}")
        archive = Path(place, "results.zip")
        pack_results(lane.fetch(handle, Path(place, "returned")), archive)
        evidence.keep_results(archive, frozen)
    return Done(cycle.id, f"results of {frozen.stage} {frozen.batch} came from Kaggle", wakes=(RECEIVE,))
