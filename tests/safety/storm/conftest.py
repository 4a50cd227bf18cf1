"""Who makes the storm: cycles that do what they have in mind, tricks included, and a recount to hold it against."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Literal

import pytest

from aams.records import Entry
from safety.events import (
    Approved,
    Attempted,
    Closed,
    Facts,
    Frozen,
    Looked,
    Opened,
    Proposed,
    Revealed,
    Trained,
    Verdict,
)
from safety.lifecycle import RECHALLENGE, Cycle
from safety.lineage import Lineage
from safety.state import State


@dataclass(frozen=True)
class Plan:
    """What a cycle has in mind. `trick` is what it does that it must not, when its turn comes."""

    kind: Literal["search", "begin", "recall", "rechallenge"]
    outcome: Literal["accepted", "rejected"]
    passes: bool
    placebo: bool
    batches: int
    key: str
    approves: bool
    trick: str


TRICKS = (
    "attempt what did not pass",
    "seal another child",
    "reveal another child than was sealed",
    "freeze the second batch under another key",
    "accept what is not proven",
    "call a placebo a child",
    "approve what is not revealed",
    "approve what may not be",
    "approve under the same key",
    "approve under no key",
    "approve an earlier head",
)
ROOT = Plan("begin", "accepted", True, False, 1, "ann-propose", True, "")


def plan_of(seed: str) -> Plan:
    """A plan by lot: drawn this way, and not by Hypothesis, every combination comes as often as the lot says."""
    rng = Random(seed)
    plan = Plan(
        kind=rng.choice(["search", "search", "search", "search", "recall", "recall", "rechallenge", "begin"]),
        outcome=rng.choice(["accepted", "accepted", "rejected"]),
        passes=rng.random() < 0.8,
        placebo=rng.random() < 0.3,
        batches=rng.choice([1, 2]),
        key=rng.choice(["ann-propose"] * 6 + [""]),
        approves=rng.random() < 0.8,
        trick=rng.choice(TRICKS) if rng.random() < 0.5 else "",
    )
    if not plan.trick:
        return plan
    placebo = plan.trick == "call a placebo a child" or (plan.trick == "approve what may not be" and plan.placebo)
    rejected = plan.trick == "approve what may not be" and not placebo
    return replace(
        plan,
        kind=plan.kind if plan.trick.startswith("approve") else "search",
        outcome="rejected" if rejected else "accepted",
        passes=plan.trick != "attempt what did not pass",
        placebo=placebo,
        batches=2 if plan.trick == "freeze the second batch under another key" else plan.batches,
        key="ann-propose",
        approves=True,
    )


class Actor:
    """Plays cycles as planned; asked again in the same state, it says the same again."""

    tricks = TRICKS
    root = ROOT

    def __init__(self, say: Any) -> None:
        self.say = say

    def plan(self, seed: str) -> Plan:
        return plan_of(seed)

    def next(self, state: State, name: str, plan: Plan | None) -> Facts | None:
        """What a cycle says next that does what it has in mind."""
        domain = name.split("-")[0]
        lineage, cycle = state.lineages.get(domain, Lineage()), state.open_cycles.get(name)
        if plan is None:
            return None
        if cycle is None:
            planner = RECHALLENGE if plan.kind == "rechallenge" else "mutate-champion"
            if plan.kind == "begin" or not lineage.champion:
                return self.say.opened("", f"corpus of {name}", planner=planner)
            return self.say.opened(lineage.champion.generation, lineage.corpus, planner=planner)
        child = f"child of {name}"
        spec = f"twin of {name}" if plan.placebo and cycle.opened.parent else child
        if plan.trick == "seal another child":
            spec = f"other of {name}"
        if cycle.event in ("opened", "proposed", "screened", "attempted"):
            return self._prepare(plan, cycle, lineage, child, spec)
        if cycle.event in ("frozen", "trained", "looked"):
            return self._train(plan, cycle, lineage, child, spec)
        return self._conclude(plan, cycle, lineage, spec)

    def _prepare(self, plan: Plan, cycle: Cycle, lineage: Lineage, child: str, spec: str) -> Facts:
        say, root = self.say, not cycle.opened.parent
        champions = [item.name for item in lineage.generations if item.status == "accepted"]
        match cycle.event:
            case "opened" if root:
                return Attempted(lineage.next_generation, "")
            case "opened" if plan.kind == "recall" and len(champions) > 1:
                return say.recalled(champions[0], key=plan.key)
            case "opened" if plan.kind == "rechallenge":
                return say.frozen("rechallenge", key=plan.key)
            case "opened":
                return say.proposed(child)
            case "proposed":
                return say.frozen("trial", key=plan.key)
            case "screened" if not cycle.best and plan.trick != "attempt what did not pass":
                return say.closed("screened-out")
            case "screened":
                hidden = "another" if plan.trick == "reveal another child than was sealed" else spec
                return say.attempted(lineage.next_generation, cycle.id, hidden, plan.placebo)
        return say.frozen("root" if root else "attempt", key=plan.key)

    def _train(self, plan: Plan, cycle: Cycle, lineage: Lineage, child: str, spec: str) -> Facts:
        say, root, batch = self.say, cycle.stage == "root", cycle.batch
        about = cycle.opened.parent if cycle.stage == "rechallenge" else cycle.generation
        match cycle.event:
            case "frozen":
                known = "" if cycle.stage == "attempt" else child
                return say.trained(cycle.stage, batch, known, used=cycle.reserved_flops // 2)
            case "trained" if cycle.stage == "trial":
                return say.screened(child, plan.passes)
            case "trained":
                unproven = plan.outcome == "rejected" or plan.trick == "accept what is not proven"
                ending = "undecided" if unproven and not root else "proven"
                standing = "more" if not root and batch + 1 < plan.batches else ending
                return say.looked(about, batch, standing, root, self._number(lineage, about))
            case _ if cycle.standing == "more":
                key = "bob-propose" if plan.trick == "freeze the second batch under another key" else plan.key
                return say.frozen(cycle.stage, batch + 1, key=key)
            case _ if cycle.stage == "rechallenge":
                return say.closed("outdone" if cycle.standing == "proven" else "confirmed")
        return say.verdict(cycle.generation, spec, plan.outcome, 0.8, root, cycle.look)

    def _number(self, lineage: Lineage, generation: str) -> int:
        """Which hypothesis a generation is; a re-challenge tests none."""
        return next((item.hypothesis for item in lineage.generations if item.name == generation), 0) or 1

    def _conclude(self, plan: Plan, cycle: Cycle, lineage: Lineage, spec: str) -> Facts:
        say, head = self.say, lineage.champion.generation if lineage.champion else ""
        if plan.trick == "approve an earlier head":
            head = "G000"
        key = plan.key if plan.trick == "approve under the same key" else "ann-verdict"
        approved = say.approved(cycle.recalled or cycle.generation, head, key=key)
        if plan.trick == "approve under no key":
            approved = replace(approved, approver=replace(approved.approver, fingerprint=""))
        if cycle.event == "verdict" and cycle.sealed and plan.trick != "approve what is not revealed":
            placebo = plan.placebo and plan.trick != "call a placebo a child"
            return say.revealed(cycle.generation, cycle.id, spec, placebo)
        if cycle.event == "approved":
            return say.closed("rolled-back" if cycle.recalled else "accepted")
        if plan.trick.startswith("approve"):
            return approved
        if cycle.placebo:
            return say.closed("placebo")
        if cycle.verdict == "rejected":
            return say.closed("rejected")
        return approved if plan.approves else say.closed("declined")


@pytest.fixture(scope="session")
def actor(say: Any) -> Actor:
    """Says what a cycle says next."""
    return Actor(say)


@pytest.fixture(scope="session")
def recounted() -> Callable[[list[tuple[Entry, Facts]], State], None]:
    """Holds a state against a recount of the history that it comes from."""

    def check(history: list[tuple[Entry, Facts]], state: State) -> None:
        counted, months = recount(history)
        assert counted == {domain: counters(lineage) for domain, lineage in state.lineages.items()}
        assert months == state.month_flops
        assert set(state.open_cycles) == open_cycles(history)

    return check


def counters(lineage: Lineage) -> dict[str, Any]:
    """What a lineage says it adds up to."""
    return {
        "attempts": lineage.attempts,
        "discoveries": lineage.discoveries,
        "alpha_spent": round(lineage.alpha_spent, 9),
        "placebos": lineage.placebos,
        "false_promotions": lineage.false_promotions,
        "trials": lineage.trials,
        "predictions": len(lineage.predictions),
        "ended": lineage.ended,
        "champion": lineage.champion.generation if lineage.champion else "",
        "generations": [(item.name, item.status) for item in lineage.generations],
    }


def open_cycles(history: list[tuple[Entry, Facts]]) -> set[str]:
    closed = {entry.cycle for entry, facts in history if isinstance(facts, Closed)}
    return {entry.cycle for entry, _ in history} - closed


def recount(history: list[tuple[Entry, Facts]]) -> tuple[dict[str, dict[str, Any]], dict[str, int]]:
    """The same sums, taken in another way: domain by domain, cycle by cycle, from the entries alone."""
    months: dict[str, int] = defaultdict(int)
    counted = {}
    for domain in {entry.domain for entry, _ in history}:
        own = [(entry, facts) for entry, facts in history if entry.domain == domain]
        said: dict[str, dict[type, Any]] = defaultdict(dict)
        sums: Counter[str] = Counter()
        line, lines, head, ended = 0, {}, "", ""
        corpus, spent = "", dict[str, tuple[int, int]]()
        levels: dict[str, float] = defaultdict(float)
        for entry, facts in own:
            cycle = said[entry.cycle]
            child = bool(cycle[Opened].parent) if Opened in cycle else None
            match facts:
                case Frozen():
                    months[entry.time[:7]] += facts.reserved_flops
                    cycle["left"] = entry.time[:7]  # type: ignore[index]
                case Trained():
                    months[cycle["left"]] += facts.used_flops - cycle[Frozen].reserved_flops  # type: ignore[index]
                    if facts.stage == "trial" and cycle[Opened].parent == head:
                        sums["trials"] += len([run for run in facts.runs if run.arm == "child"])
                case Attempted():
                    lines[entry.cycle] = line
                    sums["attempts"] += int(bool(child))
                case Looked() if facts.look and Attempted in cycle and Looked not in cycle:
                    levels[cycle[Opened].corpus] += facts.look.level
                case Verdict() if facts.look and child and lines[entry.cycle] == line:
                    sums["discoveries"] += facts.outcome == "accepted"
                    sums["predictions"] += facts.spec in [one.spec for one in cycle[Proposed].children]
                case Revealed() if facts.placebo:
                    sums["placebos"] += 1
                    sums["false_promotions"] += cycle[Verdict].outcome == "accepted"
                case Approved():
                    head = facts.generation
                    sums["trials"] = sums["predictions"] = 0
                    if not child:
                        line += 1
                        spent[corpus] = sums["attempts"], sums["discoveries"]
                        corpus = cycle[Opened].corpus
                        sums["attempts"], sums["discoveries"] = spent.get(corpus, (0, 0))
                case Closed():
                    ended = facts.outcome
            cycle[type(facts)] = facts
        names = ("attempts", "discoveries", "placebos", "false_promotions", "trials", "predictions")
        statuses = [(cycle[Attempted].generation, status(cycle)) for cycle in said.values() if Attempted in cycle]
        counted[domain] = {
            **{name: sums[name] for name in names},
            "alpha_spent": round(levels[corpus], 9),
            "ended": ended,
            "champion": head,
            "generations": sorted(statuses),
        }
    return counted, dict(months)


def status(said: dict[type, Any]) -> str:
    """How an attempt stands, from what its cycle said."""
    if Revealed in said and said[Revealed].placebo:
        return "placebo"
    if Approved in said:
        return "accepted"
    if Verdict in said and said[Verdict].outcome == "rejected":
        return "rejected"
    if Closed in said:
        return "declined" if Verdict in said else "abandoned"
    return "open"
