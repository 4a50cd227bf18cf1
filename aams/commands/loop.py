"""One whole cycle with a lane in between: what `run_cycle` and the heartbeat have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aams.commands.output import note
from aams.commands.progress import training_progress
from aams.errors import LaneError, ResultError

if TYPE_CHECKING:
    from aams.cycle import Ended, Lab, Request
    from aams.dispatch import Dispatch
    from aams.lanes import Handle, Lane

TITLES = {
    "root": "training the baseline",
    "trial": "training the trials",
    "attempt": "training the attempt's pairs",
    "rechallenge": "training the champion and its predecessor",
}


def one_cycle(lab: Lab, request: Request, lane: str, quiet: bool) -> Ended:
    """Run a cycle to its end, or to where it waits for the second key."""
    from aams import cycle

    return train_on(lab, cycle.propose(lab, request), lane, quiet)


def train_on(lab: Lab, step: Dispatch | Ended, lane: str, quiet: bool) -> Ended:
    """Train one dispatch after another in a lane, until the cycle ends or waits.

    Raises:
        ResultError: what came back is not accepted; it is put aside, and the next try trains again.
        AamsError: the bundle expired, so that training it would be in vain.
    """
    from aams import cycle
    from aams.lanes import LANES, put_aside, train

    while not isinstance(step, cycle.Ended):
        cycle.check_in_time(lab, step)
        runs = len(step.manifest.inputs.runs)
        with training_progress(lab.root, TITLES[step.stage], runs, quiet) as report:
            where, bundle = LANES[lane](step.work, lab.contract), step.archive
            returned = train(where, bundle, step.work / "returned", report)
        handle = where.handle_of(bundle)
        try:
            step = cycle.ingest(lab, step, returned)
        except ResultError:
            note(f"what came back is not accepted; it lies in {put_aside(returned)}, and the same command trains again")
            _forget(where, handle)
            raise
        _forget(where, handle)
    return step


def _forget(lane: Lane, handle: Handle) -> None:
    """Discard a session; that one is left behind undoes nothing that was decided."""
    try:
        lane.discard(handle)
    except LaneError as error:
        note(f"the session {handle.name} could not be discarded: {error.problems[0]}")
