"""Recount: every decision on record, computed again from what was recorded before it.

Takes the ledger and contracts, replays `screen`, `look_at` or `look_back`, `gather_evidence` and `decide`, and names
the first entry that says otherwise. Who decides takes evidence and verdict from here too, so there is one way to both.
Sentences are not compared: their wording may change. Trains nothing, and can't tell whether the scores themselves are
true: `aams reproduce` can.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from aams.canonical import to_data
from aams.errors import AamsError, LedgerError, Problem
from aams.records import Decision, Entry, Evidence, Look, Pair, Stage
from evaluator import arbiter
from evaluator.fitness import gather_evidence
from evaluator.screen import screen
from safety.archive import check_judged, generation_path
from safety.contract import Contract, load_contracts
from safety.events import Facts, Frozen, Looked, Screened, Trained, Verdict, entry_name, facts_of
from safety.ledger import Recorded
from safety.lineage import Lineage
from safety.state import State, add

LAST_BIT = 1e-12
"""Relative. A level is recorded as it was computed, unrounded, and machines' logarithms may differ in their last bit.
All else that is compared was rounded, to six digits or to the contract's step, and must be equal."""
ADVICE = "restore logs/cycles from Git, and roll back what was promoted by it"


class Recount(NamedTuple):
    """How much was computed again: screens, looks and verdicts.

    Attributes:
        decisions: those that came out as they are recorded.
        elsewhere: those that were made under a contract which is not at hand.
    """

    decisions: int = 0
    elsewhere: int = 0


def law_violations(facts: Sequence[Facts]) -> int:
    """The laws that an attempt's child broke, over all its runs, finished or not."""
    trained = [one for one in facts if isinstance(one, Trained) and one.stage != "trial"]
    return sum(run.law_violations for one in trained for run in one.runs if run.arm != "control")


def taken_s(facts: Sequence[Facts]) -> float:
    """Seconds that the bundles of an attempt have taken, or of a re-challenge, as they were told: no less, at least."""
    return sum(one.wall_s for one in facts if isinstance(one, Trained) and one.stage != "trial")


def evidence_on(facts: Sequence[Facts], lineage: Lineage, contract: Contract) -> Evidence:
    """What is known of an attempt that was looked at.

    Args:
        facts: all that its cycle has recorded.
        lineage: as it stands; a root is held against nothing of it.
    """
    looked = [one for one in facts if isinstance(one, Looked)]
    is_root = looked[-1].look is None
    return gather_evidence(
        looked,
        law_violations=law_violations(facts),
        step=contract.promotion.holdout_step,
        root_voice=lineage.root.voice if lineage.root and not is_root else None,
        best_recall=0.0 if is_root else lineage.best_recall,
    )


def first_weights(facts: Sequence[Facts]) -> str:
    """Digest of the weights of an attempt's run 0, which is what becomes champion; "" when it returned none."""
    weights = next((one.weights for one in facts if isinstance(one, Trained) and one.stage != "trial"), {})
    return weights.get("child-0", weights.get("root-0", ""))


def verdict_of(
    generation: str, spec: str, facts: Sequence[Facts], evidence: Evidence | None, decision: Decision, archive: str
) -> Verdict:
    """A decision as it goes on record.

    Args:
        spec: id of what was judged.
        facts: all that its cycle has recorded.
        evidence: None when the child could not be scored.
        archive: digest of its hashes.csv.
    """
    return Verdict(
        generation=generation,
        spec=spec,
        outcome=decision.outcome,
        criteria=decision.criteria,
        reasons=decision.reasons,
        child=evidence.child if evidence else None,
        control=evidence.control if evidence else None,
        look=evidence.look if evidence else None,
        voice=evidence.voice if evidence else (),
        weights=first_weights(facts),
        archive=archive,
    )


def recount(ledger: Sequence[Recorded], contracts: Mapping[str, Contract], cycle: str = "") -> Recount:
    """Compute decisions again, each under the contract that its entry names.

    Args:
        ledger: in order.
        contracts: those at hand, by digest.
        cycle: the one whose decisions are wanted; "" for all.

    Raises:
        LedgerError: naming the first entry that says something else than comes out, that contradicts the ledger, or
            that promotes what can't be computed again.
    """
    state, decisions, elsewhere = State(), 0, 0
    said: dict[str, list[Facts]] = {}
    unheld: dict[str, str] = {}
    promoted: dict[str, Mapping[str, _Promoted]] = {}
    for place, recorded in enumerate(ledger):
        entry = recorded.entry
        state = add(state, recorded)
        known = _known(entry, promoted)
        if entry.event == "approved":
            if cycle == "" and entry.cycle in unheld:
                what = "promotes what was decided under a contract that is not at hand"
                advice = "fetch the whole history, or restore specs/history from Git, and roll back what was promoted"
                raise LedgerError(Problem(what, unheld[entry.cycle], advice, entry_name(entry)))
            known = {**known, entry.domain: _Promoted(place, state.lineages[entry.domain])}
        promoted[recorded.digest] = known
        if cycle not in ("", entry.cycle) or entry.event not in ("trained", "screened", "looked", "verdict"):
            continue
        facts, own = facts_of(entry), said.setdefault(entry.cycle, [])
        if not isinstance(facts, Trained) and entry.contract in contracts:
            lineage = known[entry.domain].lineage if entry.domain in known else Lineage()
            stage = state.open_cycles[entry.cycle].stage
            _check(entry, facts, own, stage, lineage, contracts[entry.contract])
            decisions += 1
        elif not isinstance(facts, Trained):
            elsewhere += 1
            unheld[entry.cycle] = entry.contract
        own.append(facts)
    return Recount(decisions, elsewhere)


def recount_in(root: Path, ledger: Sequence[Recorded], state: State) -> Recount:
    """`recount` with the contracts that a repository and its history hold; and what was judged is what is archived.

    Args:
        state: what the ledger adds up to.

    Raises:
        LedgerError: naming the first entry that says something else than comes out.
        AamsError: the contract in force is broken, or an archive is of something else than was judged.
    """
    counted = recount(ledger, load_contracts(root, {entry.contract for entry, _ in ledger}))
    frozen: dict[str, list[Frozen]] = {}
    for entry, _ in ledger:
        facts = facts_of(entry) if entry.event == "frozen" else None
        if isinstance(facts, Frozen) and facts.stage != "trial":
            frozen.setdefault(entry.cycle, []).append(facts)
    for domain, lineage in state.lineages.items():
        for one in [one for one in lineage.generations if one.archive]:
            check_judged(generation_path(root, domain, one.directory), one.spec, frozen.get(one.cycle, ()))
    return counted


class _Promoted(NamedTuple):
    """A promotion's place in the ledger, and its line after it."""

    place: int
    lineage: Lineage


def _known(entry: Entry, promoted: Mapping[str, Mapping[str, _Promoted]]) -> Mapping[str, _Promoted]:
    """The last promotion of each domain that an entry follows: who decided in another clone knew of no later one."""
    followed = [promoted[digest] for digest in entry.follows]
    if len(followed) == 1:
        return followed[0]
    domains = {domain for one in followed for domain in one}
    return {domain: max(one[domain] for one in followed if domain in one) for domain in domains}


def _check(
    entry: Entry,
    facts: Facts,
    own: Sequence[Facts],
    stage: Stage | Literal[""],
    lineage: Lineage,
    contract: Contract,
) -> None:
    """Refuse an entry that says something else than its cycle's facts before it give."""
    try:
        counted = _counted(facts, own, stage, lineage, contract)
    except (AamsError, ArithmeticError, ValueError) as error:
        problem = Problem("can't be computed again from what is recorded", str(error)[:200], ADVICE, entry_name(entry))
        raise LedgerError(problem) from None
    differing = _differing(to_data(facts), to_data(counted))
    if differing:
        path, was, comes_out = differing
        what = f"does not follow from what is recorded before it: {path} comes out as {_shown(comes_out)}"
        raise LedgerError(Problem(what, _shown(was), ADVICE, entry_name(entry)))


def _counted(
    facts: Facts, own: Sequence[Facts], stage: Stage | Literal[""], lineage: Lineage, contract: Contract
) -> Facts:
    """What an entry should say.

    Args:
        own: trainings, screens and looks of its cycle, before it.
        lineage: as who made the entry knew it.
    """
    match facts:
        case Screened():
            trials = {score.spec: score.accuracy for score in facts.scores}
            return screen(facts.control, trials, contract.promotion.screen_margin)
        case Looked(look=Look()) if stage == "rechallenge":
            look = arbiter.look_back(contract, _pairs([*own, facts]))
            return replace(facts, look=look, standing=look.standing)
        case Looked(look=Look(attempt=attempt, discoveries=discoveries)):  # the fold held both against its own
            look = arbiter.look_at(contract, _pairs([*own, facts]), attempt, discoveries)
            return replace(facts, look=look, standing=look.standing)
        case Verdict():
            evidence = evidence_on(own, lineage, contract) if facts.child else None
            decision = arbiter.decide(contract, evidence) if evidence else _refused(facts, own, contract)
            counted = verdict_of(facts.generation, facts.spec, own, evidence, decision, facts.archive)
            return replace(counted, reasons=facts.reasons)
    return facts


def _refused(said: Verdict, own: Sequence[Facts], contract: Contract) -> Decision:
    """How a child is refused that has no scores; that its bundles took too long is one law more, if that was why."""
    violations = law_violations(own)
    late = arbiter.refuse(contract, violations + 1)
    if taken_s(own) > contract.budget.wall_s and said.criteria == late.criteria:
        return late
    return arbiter.refuse(contract, violations)


def _pairs(facts: Sequence[Facts]) -> tuple[Pair, ...]:
    return tuple(pair for one in facts if isinstance(one, Looked) for pair in one.pairs)


def _differing(was: Any, comes_out: Any, path: str = "") -> tuple[str, Any, Any] | None:
    """The first place where two JSON trees differ, with what each has there."""
    if isinstance(was, dict) and isinstance(comes_out, dict):
        below = [(f"{path}.{name}".lstrip("."), was[name], comes_out[name]) for name in was]
    elif isinstance(was, list) and isinstance(comes_out, list) and len(was) == len(comes_out):
        below = [(f"{path}[{place}]", *both) for place, both in enumerate(zip(was, comes_out, strict=True))]
    else:
        same = math.isclose(was, comes_out, rel_tol=LAST_BIT) if path == "look.level" else was == comes_out
        return None if same else (path, was, comes_out)
    return next(filter(None, (_differing(one, other, place) for place, one, other in below)), None)


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
