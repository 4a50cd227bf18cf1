"""What each picture shows, as numbers: points in order, with the names that stand beside them.

Takes experiments and a domain, gives records of plain values; `--json` prints them. Draws nothing, and computes nothing
that decides: fronts and paths only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, get_args

from aams.errors import failure
from aams.experiments import Experiment, Outcome, Told, first_of, used_pairs
from aams.records import Stage, Standing
from evaluator.arbiter import gains_of
from evaluator.statistics import e_path
from safety.events import Looked, Verdict
from safety.lineage import Lineage

Axis = Literal["fitness", "validation", "parameters", "flops", "memory"]
AXES: tuple[Axis, ...] = get_args(Axis)

HIGHER_IS_BETTER = frozenset({"fitness", "validation"})


@dataclass(frozen=True, slots=True)
class FitnessPoint:
    """One generation that was scored; low and high are Student's 95 % interval of the mean over `runs`.

    Attributes:
        control: the score of its incumbent control, on the same items; None for a root.
    """

    generation: str
    number: int
    outcome: Outcome
    generalize: float
    low: float | None
    high: float | None
    runs: int
    control: float | None


@dataclass(frozen=True, slots=True)
class Reign:
    """Who was champion after a generation was decided, and its released score."""

    number: int
    champion: str
    generalize: float


@dataclass(frozen=True, slots=True)
class FitnessChart:
    """The generations of a domain, and the champion after each; `champion` is today's, after any rollback."""

    domain: str
    points: tuple[FitnessPoint, ...]
    reigns: tuple[Reign, ...]
    champion: str


@dataclass(frozen=True, slots=True)
class Node:
    """One row of a lineage: a generation, or the searches after one that came to none.

    Attributes:
        generation: "" for searches.
        parent: the generation it descends from; "" for a root.
        outcome: of the generation; "screened-out" for searches.
        cycles: how many it sums up.
        trials: validation less control of each trial; None where it has no score.
        operators: of the generation's mutations, joined by "; ".
        e_value, needed: None where nothing was tested.
    """

    generation: str
    parent: str
    outcome: Outcome
    cycles: int
    trials: tuple[float | None, ...]
    operators: str
    generalize: float | None
    e_value: float | None
    needed: float | None


@dataclass(frozen=True, slots=True)
class LineageChart:
    """The tree of a domain in the order in which it grew. `champion` is today's, "" before the first."""

    domain: str
    nodes: tuple[Node, ...]
    champion: str


@dataclass(frozen=True, slots=True)
class ParetoPoint:
    """One spec. `best`: no other is better on one axis and at least as good on the other."""

    spec: str
    generation: str
    stage: Stage
    outcome: Outcome
    x: float
    y: float
    best: bool


@dataclass(frozen=True, slots=True)
class ParetoChart:
    """What was measured of a domain on two axes."""

    domain: str
    x: Axis
    y: Axis
    champion: str
    points: tuple[ParetoPoint, ...]


@dataclass(frozen=True, slots=True)
class PairsChart:
    """The sequential test of one attempt.

    Attributes:
        differences: child less control of each pair that the test used, in order.
        e_values: the evidence after each pair.
        needed: the e-value that proves a gain, by the attempt's level.
        wanted: the mean difference that the contract asks for; None before the verdict.
        low, high: anytime-valid 95 % interval of the mean difference.
    """

    domain: str
    generation: str
    outcome: Outcome
    standing: Standing
    differences: tuple[float, ...]
    e_values: tuple[float, ...]
    needed: float
    wanted: float | None
    mean: float
    low: float
    high: float


def fitness_chart(rows: Iterable[Experiment], domain: str, lineage: Lineage) -> FitnessChart:
    """The champion's line over the generations, and every generation that was scored.

    Raises:
        AamsError: there is none yet.
    """
    scored = {row.generation: row for row in _generations(rows, domain) if row.generalize is not None}
    points, reigns = [], []
    for number, generation in enumerate(lineage.generations):
        row = scored.get(generation.name)
        if row and row.generation and row.generalize is not None and row.runs:
            point = FitnessPoint(
                generation=row.generation,
                number=number,
                outcome=row.outcome,
                generalize=row.generalize,
                low=row.generalize_low,
                high=row.generalize_high,
                runs=row.runs,
                control=row.control_generalize,
            )
            points.append(point)
        champion = scored.get(generation.name if generation.status == "accepted" else generation.parent)
        if champion and champion.generation and champion.generalize is not None:
            reigns.append(Reign(number, champion.generation, champion.generalize))
    if not points:
        raise _nothing(domain, "no generation was scored yet")
    return FitnessChart(domain, tuple(points), tuple(reigns), _head(lineage))


def lineage_chart(rows: Iterable[Experiment], domain: str, lineage: Lineage) -> LineageChart:
    """The tree of generations, with the searches that led to none between them.

    Raises:
        AamsError: there is no generation yet.
    """
    nodes: list[Node] = []
    for _, cycle in groupby((row for row in rows if row.domain == domain), key=lambda row: row.cycle):
        own = list(cycle)
        attempt = next((row for row in own if row.stage in ("root", "attempt")), None)
        trials = tuple(_lead(row) for row in own if row.stage == "trial" and row.outcome != "refused")
        if attempt:
            nodes.append(
                Node(
                    generation=attempt.generation or "",
                    parent=attempt.parent or "",
                    outcome=attempt.outcome,
                    cycles=1,
                    trials=trials,
                    operators=attempt.operators or "",
                    generalize=attempt.generalize,
                    e_value=attempt.e_value,
                    needed=attempt.evidence_needed,
                )
            )
        elif trials:
            parent = own[0].parent or ""
            last = nodes[-1] if nodes else None
            if last and not last.generation and last.parent == parent:
                nodes[-1] = _search(parent, last.cycles + 1, last.trials + trials)
            else:
                nodes.append(_search(parent, 1, trials))
    if not any(node.generation for node in nodes):
        raise _nothing(domain, "there is no generation yet")
    return LineageChart(domain, tuple(nodes), _head(lineage))


def pareto_chart(rows: Iterable[Experiment], domain: str, x: Axis, y: Axis, lineage: Lineage) -> ParetoChart:
    """Everything that has both numbers. A placebo is its parent in disguise and is on no front.

    Raises:
        AamsError: the axes are the same, or nothing has both numbers.
    """
    if x == y:
        raise failure("a front needs two different axes", x, "name another --x or --y")
    found = [(row, AXIS[x](row), AXIS[y](row)) for row in rows if row.domain == domain and row.stage != "rechallenge"]
    both = [(row, across, up) for row, across, up in found if across is not None and up is not None]
    front = _front([(across, up) for row, across, up in both if row.outcome != "placebo"], x, y)
    if not both:
        raise _nothing(domain, f"nothing has both {x} and {y}")
    points = tuple(
        ParetoPoint(
            spec=row.spec or "",
            generation=row.generation or "",
            stage=row.stage,
            outcome=row.outcome,
            x=across,
            y=up,
            best=row.outcome != "placebo" and (across, up) in front,
        )
        for row, across, up in both
    )
    return ParetoChart(domain, x, y, _head(lineage), points)


def pairs_chart(cycles: Iterable[Told], rows: Iterable[Experiment], domain: str, name: str) -> PairsChart:
    """The paired differences of one attempt, and the evidence after each of them.

    Raises:
        AamsError: there is no such generation, or it was not tested.
    """
    known = {one.generation: one for one in _generations(rows, domain)}
    row = known.get(name)
    facts = next((one.facts for one in cycles if row and one.name == row.cycle), ())
    looks = [one for one in facts if isinstance(one, Looked)]
    pairs, look = used_pairs(looks) if looks else ((), None)
    if row is None or look is None:
        what = "was not tested in pairs" if row else f"no such generation in {domain}"
        tested = [one.generation for one in known.values() if one.generation and one.pairs]
        raise failure(what, name, f"there are: {', '.join(tested) or 'none yet'}")
    verdict = first_of(facts, Verdict)
    bound = next((one.bound for one in verdict.criteria if one.name == "generalize"), None) if verdict else None
    wanted = None
    if verdict and verdict.control and bound is not None:
        wanted = round(bound - verdict.control.generalize, 6)
    gains = gains_of(pairs)
    return PairsChart(
        domain=domain,
        generation=name,
        outcome=row.outcome,
        standing=look.standing,
        differences=tuple(gains),
        e_values=e_path(gains),
        needed=1 / look.level,
        wanted=wanted,
        mean=math.fsum(gains) / len(gains),
        low=look.low,
        high=look.high,
    )


AXIS: dict[Axis, Callable[[Experiment], float | None]] = {
    "fitness": lambda row: row.generalize,
    "validation": lambda row: row.validation,
    "parameters": lambda row: row.parameters,
    "flops": lambda row: row.step_flops,
    "memory": lambda row: row.memory_bytes,
}


def _front(points: Sequence[tuple[float, float]], x: Axis, y: Axis) -> set[tuple[float, float]]:
    """The points that no other dominates: sorted by the first axis, each better on the second than all before."""
    signs = tuple(-1 if axis in HIGHER_IS_BETTER else 1 for axis in (x, y))
    best, least = set(), math.inf
    for across, up in sorted({(signs[0] * across, signs[1] * up) for across, up in points}):
        if up < least:
            best.add((signs[0] * across, signs[1] * up))
            least = up
    return best


def _generations(rows: Iterable[Experiment], domain: str) -> list[Experiment]:
    return [row for row in rows if row.domain == domain and row.stage in ("root", "attempt")]


def _search(parent: str, cycles: int, trials: tuple[float | None, ...]) -> Node:
    return Node("", parent, "screened-out", cycles, trials, "", None, None, None)


def _lead(row: Experiment) -> float | None:
    if row.validation is None or row.control_validation is None:
        return None
    return row.validation - row.control_validation


def _head(lineage: Lineage) -> str:
    return lineage.champion.generation if lineage.champion else ""


def _nothing(domain: str, why: str) -> Exception:
    return failure(f"there is nothing to draw of {domain}", why, "run `make cycle`")
