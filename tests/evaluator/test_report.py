from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from aams.records import Budget, Cost, Evidence, Fitness, Inputs, Mutation, Pair, Run
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
    pairs=(Pair(0, 0.82, 0.8), Pair(1, 0.8, 0.8)),
    voice=(0.5, 0.5),
)
INPUTS = Inputs(
    schema_version=1,
    cycle="cycle-7",
    stage="attempt",
    domain="language",
    parent="G000",
    parent_weights="d" * 64,
    corpus="numpy-docstrings",
    digests={"corpus": "e" * 64},
    files={},
    runs=(Run("control-0", "control", 0, "a" * 64, 1, 90), Run("child-0", "child", 0, SPEC, 2, 80)),
    compute_flops=10**12,
    budget=Budget(1, 1, 1, 1, 1),
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
)


def test_the_report_says_which_criterion_decided_with_its_numbers() -> None:
    text = eval_report(DOSSIER)
    assert text.startswith("# language/G001: rejected\n")
    assert "- Generalize 0.81 is below 0.82, the control's 0.8 plus 0.02.\n" in text
    assert "| generalize | 0.81 | >= | 0.82 | **failed** |" in text
    assert "| recall | 0.8 | >= | 0.74 | passed |" in text
    assert "| 0 | 0.82 | 0.8 | +0.0200 |" in text
    assert "- widen at `model.width`: `128` became `192`. Why: `more room`" in text
    assert "| parent | 1,000 | 2,000 | 192,000 | 20,096 |" in text


def test_the_report_of_an_accepted_child_gives_every_reason() -> None:
    evidence = replace(EVIDENCE, child=replace(EVIDENCE.child, generalize=0.82))
    text = eval_report(replace(DOSSIER, evidence=evidence, decision=decide(CONTRACT, evidence)))
    assert text.startswith("# language/G001: accepted\n")
    assert "- Recall 0.8 is at least 0.75, the lineage's best, 0.8, less 0.05.\n" in text


def test_the_report_of_a_root_has_no_pairs() -> None:
    evidence = replace(EVIDENCE, control=None, pairs=())
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
    assert "## Pairs" not in eval_report(root)
    assert "- **Lineage:** the root of its lineage." in model_card(root)


def test_the_card_has_six_bullets_on_one_page() -> None:
    card = model_card(DOSSIER)
    assert sum(line.startswith("- **") for line in card.splitlines()) == 6
    assert "2,000 parameters" in card
    assert "widen at `model.width`, from G000" in card
    assert "recall 0.8, generalize 0.81, 2.5 bits; means over 1 runs" in card
    assert "80 steps" in card


def test_a_child_that_could_not_be_scored_is_told_of() -> None:
    dossier = replace(DOSSIER, evidence=None, decision=refuse("child-0: tensor a holds NaN or infinity"))
    assert "`child-0: tensor a holds NaN or infinity`" in eval_report(dossier)
    assert "none: it could not be scored" in model_card(dossier)


def test_hostile_text_stays_inside_one_line_of_code() -> None:
    hostile = "`</a><script>alert(1)</script>\n# accepted @everyone \u202e \u2028" + "x" * 500
    mutation = Mutation("widen", hostile, hostile, [hostile], hostile, 0.0)
    dossier = replace(
        DOSSIER, mutations=(mutation,), licence=hostile, isolation=hostile, evidence=None, decision=refuse(hostile)
    )
    for text in (eval_report(dossier), model_card(dossier)):
        assert text.isascii()
        assert "\n# accepted" not in text
        for line in text.splitlines():
            outside = line.split("`")[::2]
            assert not any("<script>" in part or "@everyone" in part for part in outside)
