"""What somebody gains who knows the rules: by giving away as much as each generation may, or by asking again and again.

The slow poisoner shows the arbiter released numbers that are as bad as it accepts. The adaptive one owns the recorded
runs of `record_scores.py`, chooses for every single item whose answer to give, and learns from what is released; what
it gains on the holdout beyond fresh data, where the same choices are made without that knowledge, is no gain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
from numpy.typing import NDArray

from aams.records import Evidence, Pair, Scores
from domains import DOMAINS
from evaluator import arbiter
from evaluator.fitness import gather_evidence, release, tone_drift
from safety.contract import CONTRACT_PATH, Contract, load_contract
from safety.events import Looked

CONTRACT = load_contract(Path(__file__).parents[2] / CONTRACT_PATH)
LIMITS, CRITERIA = CONTRACT.promotion, CONTRACT.criteria
STEPS = int(1 / LIMITS.holdout_step)
BEST_RECALL = 0.9
CHANGED = 0.01
"""Share of the items that a step of the climber changes."""
VOTE_EVERY = 100

Figure = Callable[[str, str], None]
Ints = NDArray[np.int64]
Accuracy = NDArray[np.float32]


# The slow poisoner


def evidence_of(recall: float, control: float, best: float, voices: list[list[float]], attempt: int) -> Evidence:
    """Evidence of a child that is clearly better on the holdout. `voices`: the child's, the control's, the root's."""
    pairs = tuple(
        Pair(place, Scores(recall, 0.83 + place / STEPS, 0.0), Scores(control, 0.8, 0.0))
        for place in range(LIMITS.pairs_max)
    )
    look = arbiter.look_at(CONTRACT, pairs, attempt, attempt - 1)
    child, parent, root = voices
    looked = Looked("G001", 0, pairs, tuple(child), tuple(parent), look, look.standing)
    return gather_evidence([looked], 0, LIMITS.holdout_step, root, best)


def worst_accepted(
    contract: Contract, recall: float, noise: float, best: float, share: float, attempt: int
) -> tuple[float, float]:
    """The lowest recall and, with it, the strangest voice that the arbiter accepts of a champion's child.

    Args:
        noise: what the retrained champion's recall happens to be off.
        share: how far the champion's voice is on the way from even to one answer only.
    """

    def accepts(evidence: Evidence) -> bool:
        return arbiter.decide(contract, evidence).outcome == "accepted"

    control = release(min(1.0, max(0.0, recall + noise)), LIMITS.holdout_step)
    same = evidence_of(recall, control, best, [voice(share), voice(share), voice(0)], attempt)

    def with_recall(recall: float) -> Evidence:
        pairs = tuple(replace(pair, child=replace(pair.child, recall=recall)) for pair in same.pairs)
        return replace(same, pairs=pairs)

    tried = (step / STEPS for step in range(STEPS + 1))
    lowest = next((one for one in tried if accepts(with_recall(one))), None)
    if lowest is None:
        return recall, share
    for step in range(100, round(share * 100), -1):
        voices = [voice(step / 100), voice(share), voice(0)]
        if accepts(evidence_of(lowest, control, best, voices, attempt)):
            return lowest, step / 100
    return lowest, share


def voice(share: float) -> list[float]:
    return [0.1 + 0.9 * share, *[0.1 - 0.1 * share] * 9]


@pytest.mark.parametrize("generations", [3, pytest.param(50, marks=pytest.mark.proof)])
def test_giving_away_a_little_each_time_never_adds_up(generations: int, figure: Figure) -> None:
    lenient = replace(CONTRACT, criteria=replace(CRITERIA, recall_best_drop=Decimal(1), tone_drift_root=Decimal(1)))
    ends = {}
    for name, contract in (("both", CONTRACT), ("parent", lenient)):
        rng, recall, best, share = np.random.default_rng(1), BEST_RECALL, BEST_RECALL, 0.0
        for attempt in range(1, generations + 1):
            noise = float(rng.normal(0, 0.01))
            recall, share = worst_accepted(contract, recall, noise, best, share, attempt)
            best = max(best, recall)
            drift = tone_drift(voice(share), voice(0))
            if contract is CONTRACT:
                assert Decimal(repr(recall)) >= Decimal(repr(best)) - CRITERIA.recall_best_drop
                assert release(drift, LIMITS.holdout_step) <= CRITERIA.tone_drift_root
        ends[name] = recall, drift
    figure(
        "giving away",
        f"after {generations} generations, each as bad as is accepted, recall is {ends['both'][0]:.3f} of "
        f"{BEST_RECALL} (limit {Decimal(repr(BEST_RECALL)) - CRITERIA.recall_best_drop}) and the voice is "
        f"{ends['both'][1]:.3f} from the root's (limit {CRITERIA.tone_drift_root}); held against the parent alone "
        f"they would be {ends['parent'][0]:.3f} and {ends['parent'][1]:.3f}",
    )
    assert ends["parent"][0] < ends["both"][0] and ends["parent"][1] > ends["both"][1]


# The adaptive one


class Attacker(Protocol):
    """Chooses a run for each item, (2, items): of the holdout, and of fresh data."""

    own: Ints

    def propose(self) -> Ints:
        """The next try."""

    def learn(self, tried: Ints, score: float) -> None:
        """Take what was released about it."""


class Climber:
    """Lets some run answer a few more items, and keeps what looks better."""

    def __init__(self, rng: np.random.Generator, runs: int, items: int) -> None:
        self.rng, self.runs, self.best = rng, runs, 0.0
        self.own = rng.integers(0, runs, (2, items))

    def propose(self) -> Ints:
        return np.where(self.rng.random(self.own.shape) < CHANGED, self.rng.integers(self.runs), self.own)

    def learn(self, tried: Ints, score: float) -> None:
        if score > self.best:
            self.own, self.best = tried, score


class Voter:
    """Mixes two runs at random, and now and then lets the tries vote, each by its score (Blum & Hardt 2015)."""

    def __init__(self, rng: np.random.Generator, runs: int, items: int) -> None:
        self.rng = rng
        self.tried: list[Accuracy] = []
        self.scores: list[float] = []
        self.two = rng.choice(runs, 2, replace=False)
        self.own = np.full((2, items), self.two[0])

    def propose(self) -> Ints:
        if len(self.tried) % VOTE_EVERY < VOTE_EVERY - 1:
            return self.two[self.rng.integers(0, 2, self.own.shape)]
        weights = np.array(self.scores) - np.mean(self.scores)
        votes = sum(weight * tried for weight, tried in zip(weights, self.tried, strict=True))
        self.own = self.two[(votes > 0).astype(int)]
        return self.own

    def learn(self, tried: Ints, score: float) -> None:
        self.tried.append(np.where(tried == self.two[1], np.float32(1), np.float32(-1)))
        self.scores.append(score)


@dataclass(frozen=True, slots=True)
class Gains:
    """What the champion gained on the holdout and on fresh data, and what the attacker's own best did."""

    holdout: float
    fresh: float
    own_holdout: float
    own_fresh: float


def attack(accuracy: Accuracy, size: int, attacker: Attacker, tries: int, rng: np.random.Generator | None) -> Gains:
    """Try again and again for the champion's place.

    Args:
        size: items of a block.
        rng: lays the arbiter's blocks; without, a leaderboard of exact scores on the whole holdout takes its place.
    """
    columns = np.arange(accuracy.shape[1])

    def exact(choice: Ints) -> tuple[float, float]:
        known, fresh = (float(accuracy[one, columns].mean(dtype=np.float64)) for one in choice)
        return known, fresh

    champion, discoveries, reached = attacker.own, 0, 0.0
    start = exact(champion)
    for attempt in range(1, tries + 1):
        tried = attacker.propose()
        if rng is None:
            score = exact(tried)[0] - start[0]
            accepted = score > reached
        else:
            blocks = rng.permutation(columns)[: LIMITS.pairs_max * size].reshape(-1, size)
            score, accepted = judge(accuracy, tried[0], champion[0], blocks, attempt, discoveries)
            score += reached
        attacker.learn(tried, score)
        if accepted:
            champion, reached, discoveries = tried, score, discoveries + 1
    ends = [end - begin for choice in (champion, attacker.own) for end, begin in zip(exact(choice), start, strict=True)]
    return Gains(*ends)


def judge(
    accuracy: Accuracy, child: Ints, control: Ints, blocks: Ints, attempt: int, discoveries: int
) -> tuple[float, bool]:
    """The arbiter's answer to one try: the released gain over the champion, and whether it takes its place."""
    arms = [accuracy[choice[blocks], blocks].mean(1, dtype=np.float64).tolist() for choice in (child, control)]
    released = [[Scores(0.8, release(score, LIMITS.holdout_step), 0.0) for score in arm] for arm in arms]
    pairs = tuple(Pair(place, *both) for place, both in enumerate(zip(*released, strict=True)))
    look = arbiter.look_at(CONTRACT, pairs, attempt, discoveries)
    looked = Looked("G001", 0, pairs, (1.0,), (1.0,), look, look.standing)
    evidence = gather_evidence([looked], 0, LIMITS.holdout_step, (1.0,), 0.8)
    gain = evidence.child.generalize - evidence.control.generalize if evidence.control else 0.0
    return gain, arbiter.decide(CONTRACT, evidence).outcome == "accepted"


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize(("tries", "attacks"), [(25, 1), pytest.param(1000, 10, marks=pytest.mark.proof)])
def test_asking_again_and_again_gains_less_than_a_step(
    domain: str, tries: int, attacks: int, item_scores: Callable[[str], Accuracy], figure: Figure
) -> None:
    accuracy, size = item_scores(domain), DOMAINS[domain].EVALUATED["holdout"]
    texts = []
    for kind in (Climber, Voter):
        gains: dict[bool, list[Gains]] = {True: [], False: []}
        for number in range(attacks):
            for is_exact in gains:
                attacker = kind(np.random.default_rng([number, 1]), *accuracy.shape)
                rng = None if is_exact else np.random.default_rng([number, 2])
                gains[is_exact].append(attack(accuracy, size, attacker, tries, rng))
        false = {name: [one.holdout - one.fresh for one in many] for name, many in gains.items()}
        own = np.mean([one.own_holdout - one.own_fresh for one in gains[False]])
        texts.append(
            f"{kind.__name__.lower()} {np.mean(false[False]):+.4f} (most {max(false[False]):+.4f}; own best "
            f"{own:+.4f}), on an exact leaderboard {np.mean(false[True]):+.4f} (most {max(false[True]):+.4f})"
        )
        assert max(false[False]) < CRITERIA.generalize_gain
    figure(
        f"adaptive holdout, {domain}",
        f"what the champion gained beyond fresh data in {tries:,} tries: {'; '.join(texts)}; allowed "
        f"{CRITERIA.generalize_gain} ({attacks} attacks each, {accuracy.shape[1]:,} items)",
    )
