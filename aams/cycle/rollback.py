"""Rolling back: an earlier champion is proposed again, as a cycle of its own with two keys, and nothing is unwritten.

Takes the lab, a generation and a reason, gives how it ended or that it waits for the second key. Trains nothing.
"""

from __future__ import annotations

from aams import git
from aams.canonical import digest
from aams.cycle.approval import approve
from aams.cycle.lab import PERSON, Ended, Lab
from aams.cycle.signing import can_sign, signed
from aams.errors import failure
from safety.endorsement import recall_digest
from safety.events import Opened, Recalled

PLANNER = "rollback"


def roll_back(lab: Lab, domain: str, generation: str, reason: str) -> Ended:
    """Propose an earlier champion, and approve it where this command may; an interrupted one goes on.

    Raises:
        AamsError: it never was a champion of the present line, is the champion already, a cycle of the domain is open,
            or nobody here can sign.
    """
    request = digest([domain, generation, reason])
    waiting = [cycle for cycle in lab.state.open_cycles.values() if cycle.domain == domain]
    begun = next((cycle for cycle in waiting if cycle.opened.request == request), None)
    if begun and begun.phase == "COMMIT":
        return approve(lab, domain, generation)
    lineage = lab.lineage(domain)
    champion, root = lineage.champion, lineage.root
    if champion is None or root is None:
        raise failure(f"{domain} has no champion yet", advice="run a cycle first")
    line = [one.name for one in lineage.generations]
    known = [
        one.name
        for one in lineage.generations[line.index(root.generation) :]
        if one.status == "accepted" and one.name != champion.generation
    ]
    if generation not in known:
        advice = f"these can be: {', '.join(known) or 'none'}"
        raise failure(f"can't be rolled back to in {domain}", generation, advice)
    if waiting and begun is None:
        advice = f"close it first: aams abandon {waiting[0].id}"
        raise failure("a cycle of this domain is open", waiting[0].id, advice)
    if not can_sign(lab, "propose"):
        raise failure("no key here can propose", advice="run `aams keys init`")
    number = sum(entry.event == "opened" and entry.domain == domain for entry, _ in lab.recorded)
    cycle = begun.id if begun else f"{domain}-{digest({'request': request, 'number': number})[:12]}"
    opened = Opened(
        seed=0,
        planner=PLANNER,
        trigger=PERSON,
        parent=champion.generation,
        corpus=lineage.corpus,
        request=request,
        commit=git.head_commit(lab.root) or "",
    )
    if begun is None:
        lab.record(cycle, domain, opened)
    if begun is None or not begun.recalled:
        at = lab.time(cycle)
        proposer = signed(lab, "propose", cycle, domain, generation, recall_digest(generation, reason), "", at)
        lab.record(cycle, domain, Recalled(generation, reason, proposer), at)
    if lab.approves and can_sign(lab, "verdict"):
        return approve(lab, domain, generation)
    lab.settle()
    return lab.ended(cycle, "waiting", f"{reason}; approve it with `aams approve {generation} --domain {domain}`")
