"""What comes back from compute is hostile until it is proven: forged results never change anything."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from aams.canonical import canonical_json


def train(bundle, out):
    """What an honest lane makes of a bundle."""
    place = out.with_name(f"{out.name}-bundle")
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(place)
    out.mkdir()
    command = [sys.executable, "-P", "-m", "trainer", str(place), str(out)]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(place)}, check=True, capture_output=True)


@pytest.fixture(scope="module")
def trained(lab_with_root, built):
    """A lab that waits for its trials' results; beside it lie those results, as an honest trainer made them."""

    def build(folder):
        lab = lab_with_root.copy(folder)
        lab.contract(screen_margin="0.9")
        told = json.loads(lab.aams("propose", "--seed", "61", "--children", "2", "--json"))
        train(told["bundle"], folder.with_name("trained-results"))

    return built("trained", build)


@pytest.fixture(scope="module")
def tried(lab_with_root, built):
    """A lab that waits for its attempt's results; beside it lie those of its trials, and these."""

    def build(folder):
        lab = lab_with_root.copy(folder)
        told = json.loads(lab.aams("propose", "--seed", "3", "--spec", lab.better_child(), "--json"))
        trials = folder.with_name("tried-trials")
        train(told["bundle"], trials)
        attempt = json.loads(lab.aams("ingest", told["cycle"], str(trials), "--json"))
        train(attempt["bundle"], folder.with_name("tried-results"))

    return built("tried", build)


def with_results(lab, place):
    """A copy of a lab that waits for results, its cycle, and a copy of those."""
    results = place / "results"
    shutil.copytree(lab.path.with_name(f"{lab.path.name}-results"), results)
    return lab.copy(place / "lab"), lab.entries("frozen")[-1]["cycle"], results


@pytest.fixture
def waiting(trained, tmp_path):
    return with_results(trained, tmp_path)


@pytest.fixture
def attempted(tried, tmp_path):
    return with_results(tried, tmp_path)


def edit(results, change):
    path = results / "results.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def set_in_run(name, value):
    return lambda results: edit(results, lambda data: data["runs"][0].update({name: value}))


def set_nan_weights(results):
    path = results / "child-0.safetensors"
    tensors = load_file(path)
    first = sorted(tensors)[0]
    tensors[first] = np.full_like(tensors[first], np.nan)
    save_file(tensors, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    edit(
        results,
        lambda data: [
            run.update(weights=digest, weights_bytes=path.stat().st_size)
            for run in data["runs"]
            if run["name"] == "child-0"
        ],
    )


def expire(lab):
    """As if the newest bundle had been frozen long ago."""
    (path,) = lab.path.glob(".aams/work/*/trial-0/manifest.json")
    manifest = json.loads(path.read_text())
    manifest["envelope"]["expires_at"] = "2026-01-01T00:00:00Z"
    path.chmod(0o644)
    path.write_bytes(canonical_json(manifest))


def finish_badly(results, *names):
    """As if these runs had died."""
    for name in names:
        (results / f"{name}.safetensors").unlink()

    def change(data):
        for run in data["runs"]:
            if run["name"] in names:
                run.update(status="failed", reason="killed by signal 9", weights="", weights_bytes=0)

    edit(results, change)


def copy_weights(results, source, name):
    """The weights of one run under the name of another."""
    shutil.copy(source, results / f"{name}.safetensors")
    content = Path(source).read_bytes()
    digest = hashlib.sha256(content).hexdigest()

    def change(data):
        for run in data["runs"]:
            if run["name"] == name:
                run.update(weights=digest, weights_bytes=len(content))

    edit(results, change)


def swap_weights(results):
    first, second = results / "child-0.safetensors", results / "control-0.safetensors"
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)


FORGERIES = {
    "another nonce": lambda results: edit(results, lambda data: data.update(nonce="0" * 64)),
    "another manifest": lambda results: edit(results, lambda data: data.update(manifest="0" * 64)),
    "a run left out": lambda results: edit(results, lambda data: data["runs"].pop()),
    "a run twice": lambda results: edit(results, lambda data: data["runs"].append(data["runs"][0])),
    "another seed": set_in_run("seed", 1),
    "more steps than planned": set_in_run("steps", 10**6),
    "an unknown key": set_in_run("bonus", 1),
    "a score that is no number": lambda results: edit(
        results, lambda data: data["runs"][0]["validation"].update(accuracy=float("nan"))
    ),
    "cut in half": lambda results: (results / "results.json").write_bytes(
        (results / "results.json").read_bytes()[:500]
    ),
    "no results at all": lambda results: (results / "results.json").unlink(),
    "missing weights": lambda results: (results / "child-0.safetensors").unlink(),
    "weights that are NaN": set_nan_weights,
    "swapped weights": swap_weights,
    "one control's weights for two": lambda results: copy_weights(
        results, results / "control-0.safetensors", "control-1"
    ),
    "no control finished": lambda results: finish_badly(results, "control-0", "control-1"),
    "one flipped bit": lambda results: (results / "child-0.safetensors").write_bytes(
        (results / "child-0.safetensors").read_bytes()[:-1] + b"\x01"
    ),
    "a foreign file": lambda results: (results / "extra.bin").write_bytes(b"x"),
    "weights by a link": lambda results: (
        (results / "child-0.safetensors").rename(results.parent / "elsewhere"),
        (results / "child-0.safetensors").symlink_to(results.parent / "elsewhere"),
    ),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forged_results_are_refused_by_name_and_the_cycle_waits_for_honest_ones(waiting, forgery):
    lab, cycle, results = waiting
    entries = sorted(lab.path.glob("logs/cycles/*/*"))
    FORGERIES[forgery](results)
    complaint = lab.aams("ingest", cycle, str(results), status=1)
    assert complaint.startswith("error: ")
    assert sorted(lab.path.glob("logs/cycles/*/*")) == entries
    assert lab.head() == "G000"
    lab.verify()


def test_honest_results_are_ingested_once(waiting):
    lab, cycle, results = waiting
    told = json.loads(lab.aams("ingest", cycle, str(results), "--json"))
    assert told["outcome"] == "screened-out"
    complaint = lab.aams("ingest", cycle, str(results), status=1)
    assert "no such open cycle" in complaint
    lab.verify()


def test_one_control_of_two_is_enough_for_trials(waiting):
    lab, cycle, results = waiting
    finish_badly(results, "control-1")
    assert json.loads(lab.aams("ingest", cycle, str(results), "--json"))["outcome"] == "screened-out"
    lab.verify()


def test_when_no_control_finished_nothing_is_on_record_and_a_second_training_is_ingested(waiting, tmp_path):
    lab, cycle, results = waiting
    dead = tmp_path / "dead"
    shutil.copytree(results, dead)
    finish_badly(dead, "control-0", "control-1")
    complaint = lab.aams("ingest", cycle, str(dead), status=1)
    assert "control-0: did not finish, so nothing can be compared; got failed: killed by signal 9" in complaint
    assert json.loads(lab.aams("ingest", cycle, str(results), "--json"))["outcome"] == "screened-out"
    lab.verify()


def test_where_no_control_can_be_scored_nothing_can_be_compared_and_the_cycle_ends(waiting, tmp_path):
    """Its weights are finite, and what its model answers is not."""
    lab, cycle, results = waiting
    for number, name in enumerate(("control-0", "control-1"), start=1):
        tensors = load_file(results / f"{name}.safetensors")
        louder = {key: tensors[key] * np.float32(number * 1e25) for key in ("norm.weight", "head.weight")}
        save_file({**tensors, **louder}, tmp_path / name)
        copy_weights(results, tmp_path / name, name)
    told = json.loads(lab.aams("ingest", cycle, str(results), "--json"))
    assert told["outcome"] == "abandoned"
    assert "no control could be scored" in lab.entries("closed")[-1]["facts"]["reason"]
    lab.verify()


def test_results_may_be_named_as_seen_from_here(waiting):
    lab, cycle, results = waiting
    shutil.copytree(results, lab.path / "brought")
    told = json.loads(lab.aams("ingest", cycle, "./brought", "--json"))
    assert told["outcome"] == "screened-out"
    lab.verify()


def test_results_that_come_after_their_bundle_expired_are_not_taken(waiting):
    lab, cycle, results = waiting
    entries = sorted(lab.path.glob("logs/cycles/*/*"))
    expire(lab)
    again = ("aams.run_cycle", "--seed", "61", "--children", "2")
    for command in (("aams", "ingest", cycle, str(results)), again):
        complaint = lab.run(*command, status=1)
        assert "its results were taken until 2026-01-01T00:00:00Z" in complaint
        assert f"aams abandon {cycle}" in complaint
    assert not list(lab.path.glob(".aams/work/*/*/out")), "it is not trained in vain"
    assert sorted(lab.path.glob("logs/cycles/*/*")) == entries
    assert json.loads(lab.aams("abandon", cycle, "--json"))["outcome"] == "abandoned"
    lab.verify()


def test_results_that_came_in_time_are_judged_however_late_it_is(waiting, tmp_path):
    """The command that took them was killed before it judged them."""
    lab, cycle, results = waiting
    twin = lab.copy(tmp_path / "twin")
    twin.aams("ingest", cycle, str(results))
    (entry,) = twin.path.glob(f"logs/cycles/{cycle}/*-trained.json")
    shutil.copy(entry, lab.path / "logs" / "cycles" / cycle)
    expire(lab)
    assert json.loads(lab.aams("ingest", cycle, str(results), "--json"))["outcome"] == "screened-out"
    lab.verify()


def test_an_attempt_needs_every_control_and_takes_a_second_training_that_has_them(attempted, tmp_path):
    lab, cycle, results = attempted
    dead = tmp_path / "dead"
    shutil.copytree(results, dead)
    finish_badly(dead, "control-1")
    assert "control-1: did not finish" in lab.aams("ingest", cycle, str(dead), status=1)
    assert not [one for one in lab.entries("trained") if one["facts"]["stage"] == "attempt"]
    assert json.loads(lab.aams("ingest", cycle, str(results), "--json"))
    assert lab.entries("looked")[-1]["cycle"] == cycle
    lab.verify()


def test_weights_that_another_bundle_returned_are_refused_with_the_names_of_both_runs(attempted, tried):
    lab, cycle, results = attempted
    copy_weights(results, tried.path.with_name("tried-trials") / "child-0.safetensors", "child-1")
    complaint = lab.aams("ingest", cycle, str(results), status=1)
    assert f"child-1 must have weights of its own, not those of child-0 of {cycle}, trial 0" in complaint
    assert lab.aams("abandon", cycle)
    lab.verify()


@pytest.mark.parametrize("arm", ["child", "control"])
def test_a_copy_whose_file_differs_gives_itself_away_by_its_answers(attempted, arm):
    """The child's luckiest run, or the control's worst, told twice; the second time with other bytes in its header."""
    lab, cycle, results = attempted
    content = (results / f"{arm}-0.safetensors").read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8 : 8 + size]), sort_keys=True, indent=1).encode()
    dressed = results.parent / "dressed"
    dressed.write_bytes(len(header).to_bytes(8, "little") + header + content[8 + size :])
    copy_weights(results, dressed, f"{arm}-1")
    assert json.loads(lab.aams("ingest", cycle, str(results), "--json"))["outcome"] == "rejected"
    (reason,) = lab.entries("verdict")[-1]["facts"]["reasons"]
    assert f"{arm}-1 answers replay and probe item for item as {arm}-0 does" in reason
    lab.verify()


CHANGES = {
    "contract": ("safety/contract.yaml", "screen_margin: 0.9", "screen_margin: 0.8"),
    "templates": ("compiler/ops/mlp.py.j2", "\n", "{# #}\n"),
    "evaluator": ("evaluator/screen.py", "\n", "\n\n"),
    "lock": ("requirements/base.lock", "\n", "\n\n"),
    "trainer/train.py": ("trainer/train.py", "\n", "\n\n"),
    "domains": ("domains/language/__init__.py", "\n", "\n\n"),
    "runs": ("aams/dispatch.py", "% 2**31", "% 2**31 ^ 1"),
}


def change(lab, name):
    """Change one thing; gives what takes the change back."""
    file, before, after = CHANGES[name]
    path = lab.path / file
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    return lambda: path.write_text(text)


@pytest.mark.parametrize("name", CHANGES)
def test_what_changed_after_the_freeze_is_named(waiting, name):
    lab, cycle, results = waiting
    change(lab, name)
    complaint = lab.aams("ingest", cycle, str(results), status=1)
    assert complaint.startswith(f"error: {name}: ")
    lab.verify()


@pytest.mark.parametrize("name", ["trainer/train.py", "runs"])
def test_a_bundle_of_a_proposer_with_other_code_is_refused_whatever_it_brings(lab, tmp_path, name):
    undo = change(lab, name)
    told = json.loads(lab.aams("propose", "--seed", "61", "--children", "2", "--json"))
    undo()
    assert lab.aams("ingest", told["cycle"], str(tmp_path), status=1).startswith(f"error: {name}: ")
    assert told["cycle"] not in {entry["cycle"] for entry in lab.entries("trained")}
    lab.verify()


def test_a_bundle_of_data_that_nobody_allowed_is_refused_whatever_its_proposer_asked(lab, tmp_path):
    contract, gate = lab.path / "safety/contract.yaml", lab.path / "safety/gates/data.py"
    text, asks = contract.read_text(), gate.read_text()
    corpus = lab.entries("opened")[0]["facts"]["corpus"]
    contract.write_text(text.replace(corpus, "another-corpus"))
    gate.write_text(asks.replace("return tuple(findings)", "return ()"))
    told = json.loads(lab.aams("propose", "--seed", "61", "--children", "2", "--json"))
    gate.write_text(asks)
    complaint = lab.aams("ingest", told["cycle"], str(tmp_path), status=1)
    assert complaint.startswith(f"error: {corpus}: gate data: the contract does not allow this corpus")
    lab.verify()


def test_the_second_key_signs_nothing_that_was_tested_with_other_code(waiting_lab, tmp_path):
    lab = waiting_lab.copy(tmp_path / "lab")
    undo = change(lab, "trainer/train.py")
    assert "trainer/train.py: changed after the freeze" in lab.aams("approve", "G001", status=1)
    assert lab.head() == "G000"
    undo()
    change(lab, "lock")  # what it was trained in is on record
    lab.aams("approve", "G001")
    assert lab.head() == "G001"
    lab.verify()
