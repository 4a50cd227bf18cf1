"""Whole cycles, as a person runs them: real mutations, real training, real decisions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.mark.parametrize("domain", ["language", "vision", "hybrid"])
def test_the_first_cycle_of_a_domain_records_its_baseline_and_tries_a_child(empty_lab, tmp_path, domain):
    lab = empty_lab.copy(tmp_path / "lab")
    ended = lab.cycle(7, "--domain", domain, "--children", "2")
    assert ended["outcome"] in ("accepted", "rejected", "screened-out")
    assert lab.entries("verdict")[0]["facts"]["generation"] == "G000"
    directory = next((lab.path / "specs" / "history" / domain).glob("G000-*"))
    names = {path.name for path in directory.iterdir()}
    expected = {"model.safetensors", "config.json", "train_args.json", "data_delta.sha256", "parent_gen.txt"}
    expected |= {
        "metrics.json",
        "EVAL.md",
        "MODEL_CARD.md",
        "hashes.csv",
        "spec.yaml",
        "model.py",
        "manifest.json",
        "STATUS",
    }
    assert expected <= names
    assert names & {"tokenizer.json", "preprocessor.json"}
    lab.verify()


TIMINGS = ("time", "cpu_s", "wall_s", "latency_ms", "memory_bytes")
DATED = ("archive", "bundles", "directory", "entries")


def test_the_same_seed_from_the_same_state_gives_the_same_children_and_results(lab, tmp_path):
    twin = lab.copy(tmp_path / "twin")
    for one in (lab, twin):
        one.contract(screen_margin="0.9")
    same_told(lab.cycle(11, "--children", "2"), twin.cycle(11, "--children", "2"))
    same_weights(lab, twin)


def test_the_same_child_in_the_same_state_gives_the_same_results_and_decision(lab, waiting_lab):
    lab.cycle(3, "--spec", lab.better_child(), "--no-approve")
    views = [(one.path / "logs" / "experiments.jsonl").read_text() for one in (lab, waiting_lab)]
    same_told(*(json.loads(view.splitlines()[-1]) for view in views))
    same_weights(lab, waiting_lab)


def same_told(first, second):
    """Two cycles told the same, but for times and what has times in it."""
    assert {name for name in first if first[name] != second[name]} <= {*TIMINGS, *DATED, "runs"}
    for run, again in zip(first["runs"], second["runs"], strict=True):
        assert all(run[name] == again[name] for name in run if name not in TIMINGS)


def same_weights(lab, twin):
    weights = [[entry["facts"]["weights"] for entry in one.entries("trained")] for one in (lab, twin)]
    assert weights[0] == weights[1] and weights[0]


def test_an_accepted_child_becomes_champion_and_is_reproduced_byte_for_byte(waiting_lab, tmp_path):
    lab = waiting_lab.copy(tmp_path / "lab")
    before = lab.path / "specs" / "language" / "champion.yaml"
    root = before.read_text()
    ended = json.loads(lab.aams("approve", "G001", "--json"))
    assert (ended["outcome"], ended["generation"], lab.head()) == ("accepted", "G001", "G001")
    champion = before.read_text()
    assert champion != root and champion.splitlines()[0] == root.splitlines()[0]
    lab.verify()
    metrics = json.loads(next(lab.path.glob("specs/history/language/G001-*/metrics.json")).read_text())
    assert all(run["steps"] > 0 and run["loss_last"] > 0 for run in metrics["training"]), "the sealed child's too"
    assert {run["run"][:-2] for run in metrics["training"]} == {"child", "control"}
    assert "equal byte for byte" in lab.aams("reproduce", "G001")
    assert lab.aams("diff", "G001").strip()
    assert "G001" in lab.aams("log")


def test_a_clone_without_weights_verifies_and_reproduction_restores_them(lab):
    for path in (lab.path / ".aams" / "store").iterdir():
        path.unlink()
    for path in lab.path.glob("specs/history/*/*/model.safetensors"):
        path.unlink()
    assert "1 not on this machine" in lab.aams("verify")
    lab.aams("reproduce", "G000")
    assert "weights of 1 match" in lab.aams("verify")


def test_a_child_that_fails_a_criterion_is_archived_and_the_champion_stays(lab):
    lab.contract(generalize_gain="0.99")
    ended = lab.cycle(5, "--spec", lab.better_child())
    assert (ended["outcome"], ended["generation"], lab.head()) == ("rejected", "G001", "G000")
    directory = next((lab.path / "specs" / "history" / "language").glob("G001-*"))
    assert (directory / "STATUS").read_text().startswith("FAILED\nGeneralize ")
    report = (directory / "EVAL.md").read_text()
    assert "0.99" in report and "failed" in report
    lab.verify()


def test_a_trial_that_does_not_beat_the_control_ends_at_the_screen_without_a_generation(lab):
    lab.contract(screen_margin="0.9")
    ended = lab.cycle(9, "--children", "2")
    assert (ended["outcome"], ended["generation"], lab.head()) == ("screened-out", "", "G000")
    assert not list((lab.path / "specs" / "history" / "language").glob("G001-*"))
    lab.verify()


def test_a_dry_run_shows_what_would_be_tried_and_writes_nothing(lab):
    before = {path: path.read_bytes() for path in lab.path.glob("logs/**/*") if path.is_file()}
    shown = lab.cycle(7, "--dry-run", "--children", "3")
    assert len(shown["children"]) == 3
    assert {path: path.read_bytes() for path in lab.path.glob("logs/**/*") if path.is_file()} == before
    proposed = json.loads(lab.aams("propose", "--seed", "7", "--children", "3", "--json"))
    children = lab.entries("proposed")[-1]["facts"]["children"]
    assert [child["spec"] for child in children] == [child["id"] for child in shown["children"]]
    assert proposed["runs"] == 5


def test_a_hand_made_child_is_tried_with_its_comments_and_becomes_champion_as_written(lab):
    mine = Path(lab.better_child())
    mine.write_text(mine.read_text().replace("domain: language", "domain: language   # mine"))
    ended = lab.cycle(1, "--spec", str(mine))
    assert (ended["outcome"], ended["planner"]) == ("accepted", "by-hand")
    assert "# mine" in (lab.path / "specs" / "language" / "champion.yaml").read_text()
    again = lab.cycle(2, "--spec", str(mine))
    assert again["outcome"] == "nothing-to-try" and "functionally its parent" in again["reason"]
    lab.verify()


def test_no_child_is_proposed_twice_in_one_lineage(lab):
    lab.contract(screen_margin="0.9")
    for _ in range(2):
        lab.cycle(4, "--children", "2")
    children = [child["spec"] for entry in lab.entries("proposed") for child in entry["facts"]["children"]]
    assert len(children) == len(set(children))
