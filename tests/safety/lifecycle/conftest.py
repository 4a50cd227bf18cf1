"""What the lifecycle's tests share: facts for every step that a sequence names, and a walk through such a sequence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any, get_args

import pytest

from aams.records import Criterion
from safety.events import Attempted, Ending, Facts, Screened, TrialScore
from safety.lifecycle import RECHALLENGE, Cycle, advance

Steps = dict[str, Facts]
Walk = Callable[[tuple[str, ...]], list[Cycle]]


@pytest.fixture
def steps(say: Any) -> Steps:
    """What each name in the sequences stands for; a word after an event says which of its kinds."""
    verdict, root = say.verdict("G003", "more", "accepted"), say.verdict("G003", "baseline", "accepted", root=True)
    nobody = replace(say.signed("", "verdict"), fingerprint="")
    return {
        "opened": say.opened("G002"),
        "opened root": say.opened(""),
        "opened rechallenge": say.opened("G002", planner=RECHALLENGE),
        "opened root rechallenge": say.opened("", planner=RECHALLENGE),
        "proposed": say.proposed("more"),
        "frozen trial": say.frozen("trial"),
        "frozen trial unsigned": say.frozen("trial", key=""),
        "frozen trial 1": say.frozen("trial", 1),
        "frozen attempt": say.frozen("attempt"),
        "frozen attempt 1": say.frozen("attempt", 1),
        "frozen attempt 2": say.frozen("attempt", 2),
        "frozen attempt 1 by another": say.frozen("attempt", 1, key="bob-propose"),
        "frozen attempt 1 unsigned": say.frozen("attempt", 1, key=""),
        "frozen attempt unsigned": say.frozen("attempt", key=""),
        "frozen attempt for less than nothing": say.frozen("attempt", flops=-1),
        "frozen rechallenge": say.frozen("rechallenge"),
        "frozen rechallenge 1": say.frozen("rechallenge", 1),
        "frozen root": say.frozen("root"),
        "frozen root 1": say.frozen("root", 1),
        "trained trial": say.trained("trial", 0, "more"),
        "trained trial 1": say.trained("trial", 1, "more"),
        "trained attempt": say.trained("attempt", 0, ""),
        "trained attempt 1": say.trained("attempt", 1, ""),
        "trained attempt for too much": say.trained("attempt", 0, "", used=1001),
        "trained attempt for less than nothing": say.trained("attempt", 0, "", used=-1),
        "trained rechallenge": say.trained("rechallenge", 0, "champion"),
        "trained rechallenge 1": say.trained("rechallenge", 1, "champion"),
        "trained root": say.trained("root", 0, "baseline"),
        "screened": say.screened("more"),
        "screened failed": say.screened("more", passed=False),
        "screened failed in numbers": replace(say.screened("more", passed=False), passed=True),
        "screened passed in numbers": replace(say.screened("more"), passed=False),
        "screened without best": replace(say.screened("more", passed=False), best=""),
        "screened another": say.screened("other"),
        "screened one too many": say.ranked({"more": 0.52, "other": 0.5}),
        "screened nothing": replace(say.screened("more"), scores=()),
        "screened unfinished": Screened(0.5, (TrialScore(say.sha("more"), None),), 0.005, "", False),
        "attempted": say.attempted("G003", "third", "more"),
        "attempted another": say.attempted("G003", "third", "other"),
        "attempted placebo": say.attempted("G003", "third", "twin", placebo=True),
        "attempted root": Attempted("G003", ""),
        "looked": say.looked("G003"),
        "looked elsewhere": say.looked("G002"),
        "looked elsewhere more": say.looked("G002", standing="more"),
        "looked elsewhere futile": say.looked("G002", standing="futile"),
        "looked elsewhere undecided": say.looked("G002", 1, standing="undecided"),
        "looked again": say.looked("G003", 1),
        "looked more": say.looked("G003", standing="more"),
        "looked futile": say.looked("G003", standing="futile"),
        "looked undecided": say.looked("G003", standing="undecided"),
        "looked again at the same pairs": replace(say.looked("G003", 1), pairs=say.looked("G003").pairs),
        "looked past a pair": replace(say.looked("G003"), pairs=say.looked("G003").pairs[1:]),
        "looked at a pair without control": replace(say.looked("G003"), pairs=say.looked("G003", root=True).pairs),
        "looked root with controls": replace(say.looked("G003", root=True), pairs=say.looked("G003").pairs),
        **{
            f"looked {standing} at {pairs}": replace(
                say.looked("G003", standing=standing), look=say.look(standing, pairs=pairs)
            )
            for standing, pairs in product(("proven", "more"), (0, 3, 5))
        },
        "looked without pairs": replace(say.looked("G003"), pairs=()),
        "looked otherwise": replace(say.looked("G003", standing="more"), standing="proven"),
        "looked root": say.looked("G003", root=True),
        "looked root undecided": say.looked("G003", standing="undecided", root=True),
        "verdict": verdict,
        "verdict rejected": say.verdict("G003", "more", "rejected"),
        "verdict of placebo": say.verdict("G003", "twin", "accepted"),
        "verdict of placebo rejected": say.verdict("G003", "twin", "rejected"),
        "verdict of another": say.verdict("G003", "other", "accepted"),
        "verdict elsewhere": say.verdict("G002", "more", "accepted"),
        "verdict elsewhere rejected": say.verdict("G002", "more", "rejected"),
        "verdict of nothing": say.verdict("", "more", "rejected"),
        "verdict without scores": replace(verdict, child=None, look=None),
        "verdict without scores by a look": replace(verdict, child=None),
        "verdict without weights": replace(verdict, weights=""),
        "verdict without criteria": replace(verdict, criteria=()),
        "verdict against a criterion": replace(verdict, criteria=(Criterion("recall", 0.7, ">=", 0.75, False),)),
        "verdict without look": replace(verdict, look=None),
        **{f"verdict {standing}": replace(verdict, look=say.look(standing)) for standing in ("more", "futile")},
        "verdict undecided": replace(verdict, look=say.look("undecided")),
        "verdict again": replace(verdict, look=say.look(pairs=8)),
        **{
            f"verdict rejected {standing}": say.verdict("G003", "more", "rejected", look=say.look(standing))
            for standing in ("proven", "futile", "undecided", "more")
        },
        "verdict rejected by another look": say.verdict("G003", "more", "rejected", look=say.look(gain=0.03)),
        "verdict root": root,
        "verdict root with look": replace(root, look=say.look()),
        "verdict root rejected": replace(root, outcome="rejected"),
        "revealed": say.revealed("G003", "third", "more"),
        "revealed elsewhere": say.revealed("G002", "third", "more"),
        "revealed another": say.revealed("G003", "third", "other"),
        "revealed placebo": say.revealed("G003", "third", "twin", placebo=True),
        "revealed as child": say.revealed("G003", "third", "twin"),
        "revealed as placebo": say.revealed("G003", "third", "more", placebo=True),
        "revealed with salt": say.revealed("G003", "second", "more"),
        "recalled": say.recalled("G000"),
        "recalled by nobody": replace(say.recalled("G000"), proposer=nobody),
        "approved": say.approved("G003", "G002"),
        "approved root": say.approved("G003", ""),
        "approved elsewhere": say.approved("G002", "G002"),
        "approved to elsewhere": replace(say.approved("G003", "G002"), head_after="G002"),
        "approved by the proposer": say.approved("G003", "G002", key="ann-propose"),
        "approved by nobody": replace(say.approved("G003", "G002"), approver=nobody),
        "approved recall": say.approved("G000", "G002"),
        "approved recall by the proposer": say.approved("G000", "G002", key="ann-propose"),
        "approved another recall": say.approved("G001", "G002"),
        **{f"closed {outcome}": say.closed(outcome) for outcome in get_args(Ending)},
    }


@pytest.fixture
def walk(say: Any, steps: Steps) -> Walk:
    """Gives where a cycle stands after each step."""

    def through(names: tuple[str, ...]) -> list[Cycle]:
        cycle, stood = None, []
        for number, name in enumerate(names, start=1):
            cycle = advance(cycle, say.entry("third", number, steps[name]), steps[name])
            stood.append(cycle)
        return stood

    return through
