"""Re-challenge: a champion is trained against its predecessor again, on fresh seeds, to see whether its gain holds.

Takes the lab, gives dispatches like any cycle. A champion that stands is confirmed with a new estimate of its gain; one
that its predecessor outdoes is proposed for rollback, which waits for a person.
"""

from __future__ import annotations

from aams import git
from aams.canonical import digest
from aams.cycle.desk import Desk, left_behind, short_of
from aams.cycle.lab import PERSON, Ended, Lab
from aams.cycle.next_bundle import proceed, wants_pairs
from aams.cycle.rollback import roll_back
from aams.cycle.signing import can_sign
from aams.dispatch import Dispatch, pairs_flops
from aams.errors import failure
from domains import DOMAINS
from safety.clock import utc_now
from safety.eligibility import within_month
from safety.events import Looked, Opened
from safety.lifecycle import RECHALLENGE
from safety.lineage import predecessor


def rechallenge(lab: Lab, domain: str, trigger: str = PERSON) -> Dispatch:
    """Begin a re-challenge, or go on with the one that was interrupted.

    Raises:
        AamsError: the champion has no predecessor, another cycle is open, or the month's compute is spoken for.
    """
    lineage = lab.lineage(domain)
    champion, before = lineage.champion, predecessor(lineage)
    if champion is None or before is None:
        raise failure(f"there is nothing to challenge in {domain}", advice="a champion needs a predecessor first")
    request = digest([domain, RECHALLENGE, champion.generation])
    for cycle in [one for one in lab.state.open_cycles.values() if one.domain == domain]:
        found = left_behind(lab, cycle)
        if found and found.stage == "rechallenge":
            return found
        if cycle.opened.request == request and wants_pairs(cycle):  # killed before it was frozen
            return proceed(lab, cycle.id)
        raise failure("a cycle of this domain is open", cycle.id, f"close it first: aams abandon {cycle.id}")
    needed = pairs_flops(lab.contract, DOMAINS[domain].COMPUTE_FLOPS)
    for missing in within_month(lab.state, lab.contract, needed, utc_now()):
        raise failure(missing.what, missing.got, missing.advice, path=missing.subject)
    number = sum(entry.event == "opened" and entry.domain == domain for entry, _ in lab.recorded)
    opened = Opened(
        seed=0,
        planner=RECHALLENGE,
        trigger=trigger,
        parent=champion.generation,
        corpus=lineage.corpus,
        request=request,
        commit=git.head_commit(lab.root) or "",
    )
    name = f"{domain}-{digest({'request': request, 'number': number})[:12]}"
    lab.record(name, domain, opened)
    return proceed(lab, name)


def confirm(desk: Desk, looked: Looked) -> Ended | None:
    """Close a re-challenge after a look; None while it wants more pairs and may have them."""
    lab, inputs = desk.lab, desk.dispatch.manifest.inputs
    look = looked.look
    if look is None or look.standing == "more":
        missing = short_of(desk)
        return lab.end(inputs.cycle, "abandoned", missing) if missing else None
    gain = f"its gain is about {look.gain:+.4f} ({look.low:+.4f} to {look.high:+.4f}) after {look.pairs} pairs"
    if look.standing != "proven":
        return lab.end(inputs.cycle, "confirmed", f"{inputs.parent} stands; {gain}")
    ended = lab.end(inputs.cycle, "outdone", f"its predecessor proved better; {gain}")
    if can_sign(lab, "propose"):  # else whoever holds the first key does
        recall(lab, inputs.domain)
    return ended


def recall(lab: Lab, domain: str) -> Ended:
    """Propose the predecessor of a champion that was outdone.

    Raises:
        AamsError: it was not, or nobody here can propose.
    """
    lineage = lab.lineage(domain)
    champion, before, retest = lineage.champion, predecessor(lineage), lineage.retest
    if champion is None or before is None or retest is None or not lineage.outdone:
        raise failure(f"no champion of {domain} was outdone", advice="run `aams rechallenge` first")
    gain = f"its gain is about {retest.gain:+.4f} ({retest.low:+.4f} to {retest.high:+.4f})"
    return roll_back(lab, domain, before.name, f"{champion.generation} lost its re-challenge; {gain}")
