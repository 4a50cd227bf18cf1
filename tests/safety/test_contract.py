from __future__ import annotations

import re
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest

from aams.canonical import sha256
from aams.errors import AamsError
from aams.records import Budget
from domains import DOMAINS, load_corpora
from safety.contract import CONTRACT_PATH, Cooldown, Criteria, load_contract, load_contracts

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / CONTRACT_PATH).read_text(encoding="utf-8")


def test_the_contract_of_this_repository_holds_the_agreed_numbers() -> None:
    contract = load_contract(ROOT / CONTRACT_PATH)
    minute, gigabyte = 60, 10**9
    assert contract.budget == Budget(10_000_000, 2_000, 12 * gigabyte, 60 * minute, 5 * gigabyte)
    assert contract.criteria == Criteria(
        recall_drop=Decimal("0.05"),
        recall_best_drop=Decimal("0.05"),
        recall_floor=Decimal(0),
        generalize_gain=Decimal("0.02"),
        tone_drift=Decimal("0.05"),
        tone_drift_root=Decimal("0.15"),
        law_violations=0,
    )
    assert contract.promotion.alpha == Decimal("0.05")
    assert contract.promotion.placebo_rate == Decimal("0.1")
    assert contract.cooldown == Cooldown(schedule_s=24 * 60 * minute, person_s=0)
    assert contract.autonomy == "supervised"
    assert contract.confinement == ("bubblewrap", "landlock+unshare", "landlock", "unshare", "none")
    assert contract.month.training_flops > 0
    assert contract.digest == sha256(TEXT.encode())
    assert set(contract.data.allowed) == {"language", "vision", "hybrid"}


def test_the_six_laws_are_numbered_and_named() -> None:
    laws = load_contract(ROOT / CONTRACT_PATH).laws
    assert [(law.law, law.name) for law in laws] == [
        (1, "read-only-root"),
        (2, "own-directory"),
        (3, "no-network"),
        (4, "no-system"),
        (5, "bounds"),
        (6, "logged"),
    ]
    assert all(law.says for law in laws)


def test_thresholds_are_the_decimals_that_were_written(tmp_path: Path) -> None:
    path = tmp_path / "contract.yaml"
    path.write_text(TEXT.replace("generalize_gain: 0.02", "generalize_gain: 0.020000000000000001"), encoding="utf-8")
    assert str(load_contract(path).criteria.generalize_gain) == "0.020000000000000001"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("generalize_gain: 0.02", "generalize_gain: 1.5", r"contract.yaml:\d+:20: criteria.generalize_gain: .*maximum"),
        ("generalize_gain: 0.02", "generalize_gain: -0.02", "criteria.generalize_gain: .*minimum"),
        ("generalize_gain: 0.02", "generalize_gain: '0.02'", "criteria.generalize_gain: .*not of type 'number'"),
        ("generalize_gain: 0.02", "generalize_gain: true", "criteria.generalize_gain: .*not of type 'number'"),
        ("generalize_gain: 0.02", "generalise_gain: 0.02", "generalise_gain"),
        ("confinement: [bubblewrap,", "confinement: [jail,", "confinement.*'jail' is not one of"),
        ("confinement: [bubblewrap,", "confinement: [none,", "confinement: .*non-unique"),
        ("steps: 2000", "steps: 2000.5", "budget.steps: .*not of type 'integer'"),
        ("steps: 2000", "steps: 0", "budget.steps: .*minimum"),
        ("steps: 2000", "steps: 2_000", "two YAML readers"),
        ("law_violations: 0", "law_violations: -1", "criteria.law_violations"),
        ("holdout_step: 0.001", "holdout_step: 0", "promotion.holdout_step"),
        ("pairs_min: 4", "pairs_min: 1", "promotion.pairs_min: .*minimum"),
        ("pairs_max: 16", "pairs_max: 65", "promotion.pairs_max: .*maximum"),
        ("pairs_min: 4", "pairs_min: 17", "contract.yaml: promotion.pairs_min is above promotion.pairs_max; got 17"),
        ("alpha: 0.05", "alpha: 0", "promotion.alpha: .*minimum"),
        ("alpha: 0.05", "alpha: 0.51", "promotion.alpha: .*maximum"),
        ("placebo_rate: 0.1", "placebo_rate: 1.1", "promotion.placebo_rate: .*maximum"),
        ("placebo_rate: 0.1", "placebo_rate: -0.1", "promotion.placebo_rate: .*minimum"),
        ("epoch_attempts: 1000", "epoch_attempts: 0", "promotion.epoch_attempts: .*minimum"),
        ("rechallenge_days: 30", "rechallenge_days: 0.5", "promotion.rechallenge_days: .*'integer'"),
        ("training_flops: 5000000000000000", "training_flops: 0", "month.training_flops: .*minimum"),
        (
            "training_flops: 5000000000000000",
            "training_flops: 9007199254740992",
            "contract.yaml: month.training_flops: must be an integer of at most",
        ),
        ("training_flops: 5000000000000000", "training_flops: 5e15", "month.training_flops: .*'integer'"),
        ("language: [", "language: [../../etc/passwd, ", "data.allowed.language"),
        ("language: [", "language: [tiny-stories, ", "data.allowed.language: .*non-unique"),
        ("language: [", "Language: [", "data"),
        ('forbidden: ["/*"', 'forbidden: [""', "data.forbidden"),
        ('forbidden: ["/*"', 'forbidden: ["~*"', "data.forbidden: .*non-unique"),
        ("schedule_s: 86400", "schedule_s: -1", "cooldown.schedule_s: .*minimum"),
        ("person_s: 0", "person_s: 0.5", "cooldown.person_s: .*'integer'"),
        ("attempt: 20", "attempt: -1", "karma.attempt: .*minimum"),
        ("trial: 1", "trial: 0.5", "karma.trial: .*'integer'"),
        ("calibrated: 5", "calibrated: true", "karma.calibrated: .*'integer'"),
        ("band: 0.02", "band: 2", "karma.band: .*maximum"),
        ("autonomy: supervised", "autonomy: full", "autonomy: .*is not one of"),
        ("autonomy: supervised", "autonomy: [supervised]", "autonomy: .*is not one of"),
        ("confinement: [bubblewrap, ", "confinement: [chroot, ", "confinement.*is not one of"),
        ("confinement: [bubblewrap, ", "confinement: [none, ", "confinement: .*non-unique"),
        ("confinement: [", "confinement: [] #", "confinement: .*(too short|non-empty)"),
        ("propose_s: 3600", "propose_s: 0", "deadlines.propose_s: .*minimum"),
        ("train_s: 86400", "train_s: one day", "deadlines.train_s: .*'integer'"),
        ("verify_s: 604800", "verify_s: -1", "deadlines.verify_s: .*minimum"),
        ("percent: 25", "percent: 0", r"rungs.language\[0\].percent: .*minimum"),
        ("percent: 25", "percent: 100", r"rungs.language\[0\].percent: .*maximum"),
        ("percent: 25", "percent: 50", "contract.yaml: rungs.language must rise in percent and in keep_one_in; got 50"),
        ("keep_one_in: 3", "keep_one_in: 1", r"rungs.language\[0\].keep_one_in: .*minimum"),
        ("keep_one_in: 3", "keep_one_in: 2.5", r"rungs.language\[0\].keep_one_in: .*'integer'"),
        (
            "keep_one_in: 3",
            "keep_one_in: 5",
            "contract.yaml: rungs.language must rise in percent and in keep_one_in; got 50",
        ),
        ("law: 6", "law: 7", r"laws\[5\].law: .*maximum"),
        ("law: 6", "law: 5", "contract.yaml: laws must be numbered in order; got 1, 2, 3, 4, 5, 5"),
        ("law: 1,", "law: 2,", "laws must be numbered in order; got 2, 2, 3, 4, 5, 6"),
        ("name: logged", "name: Logged!", r"laws\[5\].name"),
        ("  - {law: 6, name: logged", "  # {law: 6, name: logged", "laws: .*too short"),
        ("laws:\n", "laws:\n  - {law: 1, name: first, says: again}\n", "laws: .*too long"),
        ("schema_version: 1", "schema_version: 2", "schema_version: 1 was expected"),
        ("schema_version: 1", "schema_version: 1\nmercy: full", "Additional properties are not allowed"),
        ("schema_version: 1", "schema_version: 1\ndigest: " + "a" * 64, "Additional properties are not allowed"),
    ],
)
def test_a_contract_that_does_not_fit_is_refused_with_its_place(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    path = tmp_path / "contract.yaml"
    assert old in TEXT
    path.write_text(TEXT.replace(old, new), encoding="utf-8")
    with pytest.raises(AamsError, match=complaint):
        load_contract(path)


def test_a_misfit_is_advised_to_read_the_schema(tmp_path: Path) -> None:
    path = tmp_path / "contract.yaml"
    path.write_text(TEXT.replace("steps: 2000", "steps: 0"), encoding="utf-8")
    with pytest.raises(AamsError, match=r"budget.steps: .*; contract\.schema\.json says what fits$"):
        load_contract(path)


@pytest.mark.parametrize("section", re.findall(r"^[a-z_]+(?=:)", TEXT, re.M))
def test_a_missing_section_is_refused(tmp_path: Path, section: str) -> None:
    path = tmp_path / "contract.yaml"
    path.write_text(re.sub(rf"(?m)^{section}:.*\n(^( .*|#.*)?\n)*", "", TEXT), encoding="utf-8")
    with pytest.raises(AamsError, match=section):
        load_contract(path)


@pytest.mark.parametrize("autonomy", ["manual", "supervised", "autonomous"])
def test_there_are_three_degrees_of_autonomy(tmp_path: Path, autonomy: str) -> None:
    path = tmp_path / "contract.yaml"
    path.write_text(TEXT.replace("autonomy: supervised", f"autonomy: {autonomy}"), encoding="utf-8")
    assert load_contract(path).autonomy == autonomy


def test_as_many_pairs_at_first_as_at_most_are_allowed(tmp_path: Path) -> None:
    path = tmp_path / "contract.yaml"
    path.write_text(TEXT.replace("pairs_min: 4", "pairs_min: 16"), encoding="utf-8")
    promotion = load_contract(path).promotion
    assert promotion.pairs_min == promotion.pairs_max == 16


def test_a_missing_threshold_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "contract.yaml"
    lines = re.findall(r"^  [a-z_]+: [0-9.]+", TEXT, re.M)
    assert len(lines) == 32
    for line in lines:
        name = line.split(":")[0].strip()
        path.write_text(TEXT.replace(line, f"  not_{line.strip()}"), encoding="utf-8")
        with pytest.raises(AamsError, match=f"'{name}' is a required property"):
            load_contract(path)


def test_a_missing_contract_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AamsError, match="can't be read"):
        load_contract(tmp_path / "contract.yaml")


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_listed_corpus_is_allowed(domain: str) -> None:
    listed = {corpus.id for corpus in load_corpora(domain).corpora}
    assert set(load_contract(ROOT / CONTRACT_PATH).data.allowed[domain]) == listed


def test_a_contract_may_have_no_rungs(tmp_path: Path) -> None:
    path = tmp_path / "contract.yaml"
    path.write_text(re.sub(r"(?m)^rungs:\n(  .*\n)*", "rungs: {}\n", TEXT), encoding="utf-8")
    assert load_contract(path).rungs == {}


def test_an_earlier_contract_is_found_in_the_history_if_it_fits_and_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / CONTRACT_PATH
    path.parent.mkdir()
    texts = [TEXT, f"{TEXT}# Of no use.\n", TEXT.replace("alpha: ", "beta: "), f"{TEXT}# In force.\n"]
    person = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "core.hooksPath=/dev/null")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    for text in texts:
        path.write_text(text, encoding="utf-8")
        subprocess.run(["git", "add", "--all"], cwd=tmp_path, check=True)
        subprocess.run(["git", *person, "commit", "--quiet", "--message", "changed"], cwd=tmp_path, check=True)
    first, useless, misfit, present = (sha256(text.encode()) for text in texts)
    found = load_contracts(tmp_path, {first, misfit, "0" * 64})
    assert found == {contract.digest: contract for contract in found.values()}
    assert set(found) == {first, present}
    assert useless not in found
    path.unlink()
    assert set(load_contracts(tmp_path, {first})) == {first}, "a ledger may lie without its contract"
    assert load_contracts(tmp_path / "safety" / "none", {first}) == {}
