"""What comes back from compute is hostile until it is proven: forged results never change anything."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file


@pytest.fixture(scope="module")
def trained(lab_with_root, built):
    """A lab that waits for its trials' results; beside it lie those results, as an honest trainer made them."""

    def train(folder):
        lab = lab_with_root.copy(folder)
        lab.contract(screen_margin="0.9")
        told = json.loads(lab.aams("propose", "--seed", "61", "--children", "2", "--json"))
        bundle, out = (folder.with_name(f"{folder.name}-{part}") for part in ("bundle", "results"))
        with zipfile.ZipFile(told["bundle"]) as archive:
            archive.extractall(bundle)
        out.mkdir()
        command = [sys.executable, "-P", "-m", "trainer", str(bundle), str(out)]
        subprocess.run(command, env={**os.environ, "PYTHONPATH": str(bundle)}, check=True, capture_output=True)

    return built("trained", train)


@pytest.fixture
def waiting(trained, tmp_path):
    results = tmp_path / "results"
    shutil.copytree(trained.path.with_name("trained-results"), results)
    return trained.copy(tmp_path / "lab"), trained.entries("frozen")[-1]["cycle"], results


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
    import hashlib

    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    edit(
        results,
        lambda data: [
            run.update(weights=digest, weights_bytes=path.stat().st_size)
            for run in data["runs"]
            if run["name"] == "child-0"
        ],
    )


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


def test_the_second_key_signs_nothing_that_was_tested_with_other_code(waiting_lab, tmp_path):
    lab = waiting_lab.copy(tmp_path / "lab")
    undo = change(lab, "trainer/train.py")
    assert "trainer/train.py: changed after the freeze" in lab.aams("approve", "G001", status=1)
    assert lab.head() == "G000"
    undo()
    lab.aams("approve", "G001")
    assert lab.head() == "G001"
    lab.verify()
