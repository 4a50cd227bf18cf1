from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from aams.records import Budget, Cost, Evidence, Fitness, Inputs, Look, Mutation, Pair, Run, Scores
from evaluator.arbiter import decide, refuse
from evaluator.report import Dossier, eval_report, model_card
from safety.contract import CONTRACT_PATH, load_contract

CONTRACT = load_contract(Path(__file__).parents[2] / CONTRACT_PATH)
SPEC = "b" * 64
EVIDENCE = Evidence(
    child=Fitness(0.8, 0.81, 0.01, 2.5, 0),
    control=Fitness(0.79, 0.8, 0.0, 2.6, 0),
    best_recall=0.8,
    root_drift=0.02,
    pairs=(
        Pair(0, Scores(0.8, 0.82, 2.5), Scores(0.79, 0.8, 2.6)),
        Pair(1, Scores(0.8, 0.8, 2.5), Scores(0.79, 0.8, 2.6)),
    ),
    voice=(0.5, 0.5),
    look=Look(3, 1, 0.002, 812.5, 2, "proven", 0.00667, -0.0125, 0.04),
)
INPUTS = Inputs(
    schema_version=1,
    cycle="cycle-7",
    stage="attempt",
    batch=0,
    domain="language",
    generation="G001",
    sealed="5" * 64,
    parent="G000",
    parent_weights="d" * 64,
    corpus="numpy-docstrings",
    digests={"corpus": "e" * 64},
    files={},
    runs=(Run("control-0", "control", 0, "a" * 64, 1, 90), Run("child-0", "child", 0, SPEC, 2, 80)),
    rungs=(),
    compute_flops=10**12,
    budget=Budget(1, 1, 1, 1, 1),
    confinement=("bubblewrap", "landlock"),
)
DOSSIER = Dossier(
    generation="G001",
    spec=SPEC,
    licence="BSD-3-Clause",
    mutations=(Mutation("widen", "model.width", 128, 192, "more room", 0.01),),
    cost=Cost(2000, 4000, 12000, 0, 32, 384000, 4096, 32000),
    parent_cost=Cost(1000, 2000, 6000, 0, 32, 192000, 4096, 16000),
    evidence=EVIDENCE,
    decision=decide(CONTRACT, EVIDENCE),
    inputs=INPUTS,
    isolation="bubblewrap",
    wanted_gain=0.02,
)


def test_the_report_says_which_criterion_decided_with_its_numbers() -> None:
    text = eval_report(DOSSIER)
    assert text.startswith("# language/G001: rejected\n")
    assert "- Generalize 0.81 is below 0.82, the control's 0.8 plus 0.02.\n" in text
    assert "| generalize | 0.81 | >= | 0.82 | **failed** |" in text
    assert "| recall | 0.8 | >= | 0.74 | passed |" in text
    assert "| evidence | 812.5 | >= | 500 | passed |" in text
    assert "- widen at `model.width`: `128` became `192`. Why: `more room`" in text
    assert "| parent | 1,000 | 2,000 | 192,000 | 20,096 |" in text


def test_the_report_tells_every_pair_and_what_they_add_up_to() -> None:
    text = eval_report(DOSSIER)
    assert "![paired differences](pairs.svg)" in text
    assert "| 0 | 0.82 | 0.8 | +0.0200 |\n| 1 | 0.8 | 0.8 | +0.0000 |" in text
    assert (
        "Attempt 3 of its lineage, after 1 that were accepted: the e-value is 812.5 after 2 pairs, and 500 proves a "
        "gain. The gain is about +0.0067, shrunken against the winner's curse; its interval, valid whenever one looks, "
        "is -0.0125 to +0.0400."
    ) in text


@pytest.mark.parametrize(
    ("look", "sentence"),
    [
        (Look(3, 1, 0.002, 0.25, 2, "futile", -0.01, -1.0, 1.0), "- Given up after 2 pairs, which can't reach it any"),
        (Look(3, 1, 0.002, 12.5, 2, "undecided", 0.01, -1.0, 1.0), "- Undecided after 2 pairs: the e-value 12.5 is"),
    ],
)
def test_a_gain_that_is_not_proven_is_the_first_reason(look: Look, sentence: str) -> None:
    evidence = replace(EVIDENCE, look=look)
    text = eval_report(replace(DOSSIER, evidence=evidence, decision=decide(CONTRACT, evidence)))
    assert text.split("## Why\n\n")[1].startswith(sentence)
    assert f"| evidence | {look.e_value:g} | >= | 500 | **failed** |" in text
    assert "is -1.0000 to +1.0000." in text


def test_the_report_of_an_accepted_child_gives_every_reason() -> None:
    pairs = tuple(replace(pair, child=replace(pair.child, generalize=0.82)) for pair in EVIDENCE.pairs)
    evidence = replace(EVIDENCE, child=replace(EVIDENCE.child, generalize=0.82), pairs=pairs)
    text = eval_report(replace(DOSSIER, evidence=evidence, decision=decide(CONTRACT, evidence)))
    assert text.startswith("# language/G001: accepted\n")
    assert "- Proven after 2 pairs: the e-value 812.5 is at least 500, for attempt 3.\n" in text
    assert "- Recall 0.8 is at least 0.75, the lineage's best, 0.8, less 0.05.\n" in text


def test_the_report_of_a_root_has_no_pairs() -> None:
    alone = tuple(replace(pair, control=None) for pair in EVIDENCE.pairs)
    evidence = replace(EVIDENCE, control=None, pairs=alone, look=None)
    root = replace(
        DOSSIER,
        generation="G000",
        mutations=(),
        parent_cost=None,
        evidence=evidence,
        decision=decide(CONTRACT, evidence),
        inputs=replace(INPUTS, parent="", stage="root"),
    )
    assert "The root of a lineage" in eval_report(root)
    assert "## Pairs" not in eval_report(root) and "pairs.svg" not in eval_report(root)
    assert "- **Lineage:** the root of its lineage." in model_card(root)


def test_the_card_has_six_bullets_on_one_page() -> None:
    card = model_card(DOSSIER)
    assert sum(line.startswith("- **") for line in card.splitlines()) == 6
    assert "2,000 parameters" in card
    assert "widen at `model.width`, from G000" in card
    assert "recall 0.8, generalize 0.81, 2.5 bits; means over 2 runs" in card
    assert "80 steps" in card


def test_a_child_that_could_not_be_scored_is_told_of() -> None:
    dossier = replace(DOSSIER, evidence=None, decision=refuse(CONTRACT, 2, "child-0: tensor a holds NaN or infinity"))
    assert "`child-0: tensor a holds NaN or infinity`" in eval_report(dossier)
    assert "`The number of law violations 2 is above 0, the limit`" in eval_report(dossier)
    assert "| law_violations | 2 | <= | 0 | **failed** |" in eval_report(dossier)
    assert "## Pairs" not in eval_report(dossier)
    assert "none: it could not be scored" in model_card(dossier)


def test_hostile_text_stays_inside_one_line_of_code() -> None:
    hostile = "`</a><script>alert(1)</script>\n# accepted @everyone \u202e \u2028" + "x" * 500
    mutation = Mutation("widen", hostile, hostile, [hostile], hostile, 0.0)
    dossier = replace(
        DOSSIER,
        mutations=(mutation,),
        licence=hostile,
        isolation=hostile,
        evidence=None,
        decision=refuse(CONTRACT, 0, hostile),
    )
    for text in (eval_report(dossier), model_card(dossier)):
        assert text.isascii()
        assert "\n# accepted" not in text
        for line in text.splitlines():
            assert line.count("`") % 2 == 0, "a code span that is not closed is none"
            outside = line.split("`")[::2]
            assert not any("<script>" in part or "@everyone" in part for part in outside)
