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


def test_the_same_seed_from_the_same_state_gives_the_same_child_results_and_decision(lab, tmp_path):
    twin = lab.copy(tmp_path / "twin")
    timings = ("time", "cpu_s", "wall_s", "latency_ms", "memory_bytes")
    dated = ("archive", "bundles", "directory", "entries")
    for margin, arguments in (("0.9", ["--children", "2"]), ("0.005", ["--spec", lab.better_child()])):
        for one in (lab, twin):
            one.contract(screen_margin=margin)
        first, second = (one.cycle(11, *arguments) for one in (lab, twin))
        different = {name for name in first if first[name] != second[name]}
        assert different <= {*timings, *dated, "runs"}
        for run, again in zip(first["runs"], second["runs"], strict=True):
            assert all(run[name] == again[name] for name in run if name not in timings)
    weights = [[entry["facts"]["weights"] for entry in one.entries("trained")] for one in (lab, twin)]
    assert weights[0] == weights[1]


def test_an_accepted_child_becomes_champion_and_is_reproduced_byte_for_byte(lab):
    before = lab.path / "specs" / "language" / "champion.yaml"
    root = before.read_text()
    ended = lab.cycle(3, "--spec", lab.better_child())
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
