"""The lifecycle of a cycle: IDLE -> PROPOSE -> TRAIN -> VERIFY -> COMMIT or REJECT, as a pure function.

Takes where a cycle stands and the next event, gives where it stands then, or refuses. Every way to COMMIT leads through
a verdict that accepts and two signatures. Knows one cycle only: what cycles add up to is `safety.state`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from types import MappingProxyType
from typing import Literal

from aams.errors import LedgerError, Problem
from aams.records import Entry, Look, Outcome, Stage, Standing
from safety.events import (
    Approved,
    Attempted,
    Closed,
    Ending,
    Facts,
    Frozen,
    Looked,
    Opened,
    Proposed,
    Recalled,
    Revealed,
    Screened,
    Trained,
    Verdict,
    entry_name,
)
from safety.seal import seal

Phase = Literal["IDLE", "PROPOSE", "TRAIN", "VERIFY", "COMMIT", "REJECT"]

SUCCESSORS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "": ("opened",),
        "opened": ("proposed", "attempted", "frozen", "recalled", "closed"),
        "proposed": ("frozen", "closed"),
        "attempted": ("frozen", "verdict", "closed"),
        "frozen": ("trained", "verdict", "closed"),
        "trained": ("screened", "looked", "verdict", "closed"),
        "screened": ("attempted", "closed"),
        "looked": ("frozen", "verdict", "closed"),
        "verdict": ("revealed", "approved", "closed"),
        "revealed": ("approved", "closed"),
        "recalled": ("approved", "closed"),
        "approved": ("closed",),
        "closed": (),
    }
)
"""Which event may follow which in one cycle."""

RECHALLENGE = "rechallenge"
"""Planner of a cycle that trains the champion against its predecessor again."""

_PHASES: Mapping[str, Phase] = MappingProxyType(
    {
        **dict.fromkeys(("opened", "proposed", "attempted"), "PROPOSE"),
        "frozen": "TRAIN",
        **dict.fromkeys(("trained", "screened", "looked", "verdict", "revealed", "recalled"), "VERIFY"),
        "approved": "COMMIT",
        "closed": "REJECT",
    }
)


@dataclass(frozen=True, slots=True)
class Cycle:
    """Where one cycle stands, and what of its past decides what may come next.

    Attributes:
        phase: its state; IDLE before it began.
        event, number: its last entry.
        since: when it came into its phase, UTC.
        stage, batch: of the last bundle that was frozen.
        reserved_flops: of a bundle that is out; 0 when its results are in.
        children: ids of the specs that were proposed.
        best: the spec that passed the screen, "" when none did.
        generation, sealed: of its attempt.
        pairs: how many it has recorded.
        standing, look: of the last look.
        verdict: the arbiter's; "" before it.
        spec: what the verdict was about.
        placebo: None until it is revealed.
        decided: digest of the entry that proposes a champion, a verdict or a recall; "" before it.
        recalled: the generation that a rollback goes back to.
        proposer: fingerprint of the key that signed what is to be approved; "" when some of it is unsigned.
    """

    id: str
    domain: str
    opened: Opened
    phase: Phase = "IDLE"
    event: str = ""
    number: int = 0
    since: str = ""
    stage: Stage | Literal[""] = ""
    batch: int = 0
    reserved_flops: int = 0
    children: frozenset[str] = frozenset()
    best: str = ""
    generation: str = ""
    sealed: str = ""
    pairs: int = 0
    standing: Standing | Literal[""] = ""
    look: Look | None = None
    verdict: Outcome | Literal[""] = ""
    spec: str = ""
    placebo: bool | None = None
    decided: str = ""
    recalled: str = ""
    proposer: str = ""


def advance(cycle: Cycle | None, entry: Entry, facts: Facts) -> Cycle:
    """Where a cycle stands after one more entry.

    Rules beside the order of events:
        - a cycle is opened once, stays in its domain, and nothing follows its end;
        - a root attempts before it trains; a child attempts only after it passed the screen;
        - only a re-challenge trains without children, and it never comes to a verdict;
        - a screen ranks the children that were proposed, and passes the one that its scores pass;
        - bundles come back as they left: same stage, same batch, and another batch only while a look asks for more;
        - pairs are numbered on from 0, have a control but for a root's, and a look is at no more than there are;
        - a verdict is by the look before it, or by none where the child could not be scored;
        - a verdict that accepts has scores, weights, no failed criterion and, for a child, a look that is proven;
        - what is revealed is what was sealed, and a child that is no placebo is the one that passed the screen;
        - COMMIT needs a verdict that accepts, nothing but a real child, and two different keys: never without VERIFY;
        - a cycle closes as its screen, its verdict and its approval say; one that was never revealed only expires.

    Args:
        cycle: None before its first entry.
        entry: the next one of this cycle.
        facts: what it says.

    Raises:
        LedgerError: naming the entry and the rule that it breaks.
    """
    last = cycle.event if cycle else ""
    if entry.event not in SUCCESSORS[last]:
        allowed = ", ".join(SUCCESSORS[last]) or "nothing"
        raise contradiction(entry, "is out of turn", f"{entry.event} after {last or 'nothing'}", f"allowed: {allowed}")
    number = (cycle.number if cycle else 0) + 1
    if entry.number != number:
        raise contradiction(entry, f"is not entry {number} of its cycle", str(entry.number))
    if isinstance(facts, Opened):
        cycle = Cycle(entry.cycle, entry.domain, facts)
    if cycle is None or cycle.domain != entry.domain:
        raise contradiction(entry, "belongs to another domain than its cycle", entry.domain)
    broken = _rule_broken(cycle, facts)
    if broken:
        raise contradiction(entry, *broken)
    phase = cycle.phase if cycle.phase == "COMMIT" else _PHASES[entry.event]
    since = cycle.since if phase == cycle.phase else entry.time
    return replace(_remember(cycle, facts), phase=phase, since=since, event=entry.event, number=entry.number)


def is_accepted(cycle: Cycle) -> bool:
    """Whether a cycle has come to where only the second key is missing, or its end."""
    revealed = not cycle.sealed or cycle.placebo is False
    return bool(cycle.recalled) or (cycle.verdict == "accepted" and revealed)


def contradiction(entry: Entry, what: str, got: str, advice: str = "") -> LedgerError:
    """The error that names an entry which contradicts those before it."""
    return LedgerError(Problem(what, got, advice or "restore logs/cycles from Git", entry_name(entry)))


def _rule_broken(cycle: Cycle, facts: Facts) -> tuple[str, str] | None:
    """The first rule that these facts break, as what and got."""
    match facts:
        case Proposed() | Recalled() if not cycle.opened.parent:
            return "needs a champion, and this cycle begins a lineage", cycle.id
        case Attempted() if cycle.opened.parent and not cycle.best:
            return "is an attempt of a child that did not pass the screen", facts.generation
        case Attempted() if bool(facts.sealed) != bool(cycle.opened.parent):
            return "must be sealed for a child, and open for a root", facts.generation
        case Frozen() if (facts.stage, facts.batch) != due_bundle(cycle):
            return "is not the bundle that is due", f"{facts.stage} {facts.batch}"
        case Frozen() if facts.reserved_flops < 0:
            return "reserves less than nothing", f"{facts.reserved_flops} FLOPs"
        case Trained() if (facts.stage, facts.batch) != (cycle.stage, cycle.batch):
            return "is not the bundle that was frozen", f"{facts.stage} {facts.batch}"
        case Trained() if not 0 <= facts.used_flops <= cycle.reserved_flops:
            return "used other compute than was reserved", f"{facts.used_flops} of {cycle.reserved_flops} FLOPs"
        case Screened() if cycle.stage != "trial":
            return "screens what was not a trial", cycle.stage
        case Screened() if {score.spec for score in facts.scores} != cycle.children:
            return "screens other children than were proposed", f"{len(facts.scores)} of {len(cycle.children)}"
        case Screened() if (facts.best, facts.passed) != _ranked(facts):
            return "passes another child than its scores do", facts.best[:12] or "none"
        case Looked() if cycle.stage == "trial" or facts.batch != cycle.batch or not facts.pairs:
            return "looks at another batch than came back", f"{cycle.stage} {facts.batch}"
        case Looked() if (facts.look is None) != (cycle.stage == "root"):
            return "is a look without its test", facts.generation
        case Looked() if facts.standing != (facts.look.standing if facts.look else "proven"):
            return "stands otherwise than its test", facts.standing
        case Looked() | Verdict() | Revealed() if facts.generation != _subject(cycle):
            return f"is about another generation than {_subject(cycle) or 'none'}", facts.generation
        case Looked():
            return _miscounted(cycle, facts)
        case Verdict() if not cycle.generation:
            return "is a verdict without an attempt", facts.generation
        case Verdict() if facts.child and cycle.event != "looked":
            return "scores a child that was not looked at", facts.generation
        case Verdict() if facts.look != (cycle.look if facts.child else None):
            return "is by another look than was taken", facts.generation
        case Verdict() if facts.outcome == "accepted":
            return _unfounded(cycle, facts)
        case Revealed():
            return _unsealed(cycle, facts)
        case Approved():
            return _unapproved(cycle, facts)
        case Closed() if facts.outcome not in _endings(cycle):
            return "closes otherwise than its verdict", f"{facts.outcome} where {cycle.verdict or 'no verdict'} was"
    return None


def due_bundle(cycle: Cycle) -> tuple[Stage, int] | None:
    """Stage and batch of the bundle that may be frozen next."""
    match cycle.event:
        case "opened" if cycle.opened.planner == RECHALLENGE and cycle.opened.parent:
            return "rechallenge", 0
        case "proposed":
            return "trial", 0
        case "attempted":
            return ("attempt" if cycle.opened.parent else "root"), 0
        case "looked" if cycle.standing == "more" and cycle.stage in ("attempt", "rechallenge"):
            return cycle.stage, cycle.batch + 1
    return None


def _subject(cycle: Cycle) -> str:
    """The generation that looks and verdicts of a cycle are about."""
    return cycle.opened.parent if cycle.stage == "rechallenge" else cycle.generation


def _unfounded(cycle: Cycle, facts: Verdict) -> tuple[str, str] | None:
    """Why a verdict that accepts may not."""
    if facts.child is None or not facts.weights:
        return "accepts a child without scores or weights", facts.generation
    failed = [criterion.name for criterion in facts.criteria if not criterion.passed]
    if failed or not facts.criteria:
        return "accepts a child that failed a criterion", ", ".join(failed) or "no criteria"
    if cycle.standing != "proven":
        return "accepts a child whose gain is not proven", cycle.standing
    return None


def _miscounted(cycle: Cycle, facts: Looked) -> tuple[str, str] | None:
    """Why a look is not at the pairs that are on record."""
    count = cycle.pairs + len(facts.pairs)
    numbers = [pair.pair for pair in facts.pairs]
    if numbers != list(range(cycle.pairs, count)):
        return f"does not number its pairs on from {cycle.pairs}", ", ".join(map(str, numbers))[:80]
    if any((pair.control is None) != (cycle.stage == "root") for pair in facts.pairs):
        return "must have a control in every pair, and a root's in none", facts.generation
    used = facts.look.pairs if facts.look else count
    if not 0 < used <= count or (facts.standing == "more" and used != count):
        return "looks at other pairs than were recorded", f"{used} of {count}"
    return None


def _ranked(facts: Screened) -> tuple[str, bool]:
    """The best child by its scores, and whether it beats the control by the margin, in exact decimals."""
    scored = {score.spec: Decimal(repr(score.accuracy)) for score in facts.scores if score.accuracy is not None}
    if not scored:
        return "", False
    best = min(scored, key=lambda spec: (-scored[spec], spec))
    return best, scored[best] - Decimal(repr(facts.control)) >= Decimal(repr(facts.margin))


def _unsealed(cycle: Cycle, facts: Revealed) -> tuple[str, str] | None:
    """Why what is revealed was not what was sealed."""
    if seal(facts.salt, facts.spec, facts.placebo) != cycle.sealed:
        return "reveals something else than was sealed", facts.spec[:12]
    if facts.spec != cycle.spec:
        return "reveals another child than the verdict is about", facts.spec[:12]
    if not facts.placebo and facts.spec != cycle.best:
        return "reveals a child that did not pass the screen", facts.spec[:12]
    return None


def _unapproved(cycle: Cycle, facts: Approved) -> tuple[str, str] | None:
    """Why an approval does not count."""
    if facts.generation != (cycle.recalled or cycle.generation) or facts.head_after != facts.generation:
        return "approves another generation than was decided", facts.generation
    if not cycle.recalled and cycle.verdict != "accepted":
        return "approves what the arbiter did not accept", cycle.verdict
    if cycle.sealed and cycle.placebo is not False:
        return "approves a placebo, or a child that was not revealed", facts.generation
    if not cycle.proposer:
        return "approves what nobody proposed under a key", facts.generation
    if not facts.approver.fingerprint:
        return "has no second key", facts.approver.principal or "nobody"
    if facts.approver.fingerprint == cycle.proposer:
        return "has the proposer's key as its second key", facts.approver.fingerprint
    return None


def _endings(cycle: Cycle) -> tuple[Ending, ...]:
    """How a cycle that stands here may close."""
    if cycle.phase == "COMMIT":
        return ("rolled-back",) if cycle.recalled else ("accepted",)
    if cycle.placebo:
        return ("placebo",)
    if cycle.verdict and cycle.sealed and cycle.placebo is None:
        return ("expired",)
    if cycle.verdict:
        return ("declined", "expired") if cycle.verdict == "accepted" else ("rejected",)
    if cycle.stage == "rechallenge" and cycle.event == "looked" and cycle.standing != "more":
        return ("outdone",) if cycle.standing == "proven" else ("confirmed",)
    if cycle.event in ("opened", "proposed"):
        return "nothing-to-try", "abandoned", "expired"
    if cycle.event == "screened":
        return "explored" if cycle.best else "screened-out", "abandoned", "expired"
    if cycle.event == "recalled":
        return "declined", "expired"
    return "abandoned", "expired"


def _remember(cycle: Cycle, facts: Facts) -> Cycle:
    match facts:
        case Frozen():
            signed = facts.proposer.fingerprint if facts.proposer else ""
            proposer = signed if facts.batch == 0 or signed == cycle.proposer else ""
            reserved = facts.reserved_flops
            return replace(cycle, stage=facts.stage, batch=facts.batch, reserved_flops=reserved, proposer=proposer)
        case Trained():
            return replace(cycle, reserved_flops=0)
        case Proposed():
            return replace(cycle, children=frozenset(child.spec for child in facts.children))
        case Screened():
            return replace(cycle, best=facts.best if facts.passed else "")
        case Attempted():
            return replace(cycle, generation=facts.generation, sealed=facts.sealed)
        case Looked():
            pairs = cycle.pairs + len(facts.pairs)
            return replace(cycle, pairs=pairs, standing=facts.standing, look=facts.look)
        case Verdict():
            return replace(cycle, verdict=facts.outcome, spec=facts.spec)
        case Revealed():
            return replace(cycle, placebo=facts.placebo)
        case Recalled():
            return replace(cycle, recalled=facts.generation, proposer=facts.proposer.fingerprint)
    return cycle
