"""Sessions elsewhere: brings the bundles of proposals to a lane that lasts, and their results back.

Takes open proposals as they stand, gives what was done. Keeps nothing between two sweeps: the lane finds a session by
its bundle. Results are put where the next sweep of the proposer finds them, and nobody believes them here.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from aams.gitops.evidence import Evidence
from aams.gitops.proposals import Proposal
from aams.gitops.receiving import Done, each, wake
from aams.gitops.training import awaited, lane_of
from aams.gitops.workflows import RECEIVE
from aams.gitops.workshop import Site, Workshop, workshop
from aams.lanes import LANES, Lane, Status
from aams.results_archive import pack_results

KAGGLE = "kaggle"


def look_after(site: Site) -> tuple[Done, ...]:
    """Look at every open proposal that is trained at Kaggle once."""
    with workshop(site) as shop, tempfile.TemporaryDirectory(prefix="aams-") as place:
        lane = LANES[KAGGLE](Path(place), shop.lab.contract)
        done = each(shop, lambda shop, proposal: _look_after(shop, proposal, lane))
    wake(site, done)
    return done


def _look_after(shop: Workshop, proposal: Proposal, lane: Lane) -> Done | None:
    cycle = shop.lab.state.open_cycles.get(proposal.cycle)
    if lane_of(proposal.pull) != KAGGLE or cycle is None or cycle.event != "frozen":
        return None
    evidence, frozen = Evidence(shop.site.repository, cycle.id), awaited(shop, cycle.id)
    if evidence.has_results(frozen):
        return None
    with tempfile.TemporaryDirectory(prefix="aams-") as place:
        bundle = evidence.fetch_bundle(frozen, Path(place))
        handle = lane.handle_of(bundle)
        standing = lane.poll(handle)
        if standing.status in (Status.QUEUED, Status.RUNNING):
            return None
        if standing.status is not Status.DONE:
            lane.submit(bundle)
            said = f", as it {standing.status}: {standing.said}" if standing.said else ""
            return Done(cycle.id, f"{frozen.stage} {frozen.batch} is on its way to Kaggle{said}")
        archive = Path(place, "results.zip")
        pack_results(lane.fetch(handle, Path(place, "returned")), archive)
        evidence.keep_results(archive, frozen)
    lane.discard(handle)
    return Done(cycle.id, f"results of {frozen.stage} {frozen.batch} came from Kaggle", wakes=(RECEIVE,))
