from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aams.canonical import sha256
from aams.errors import AamsError
from aams.records import Budget, Envelope, Inputs, Run, Rung
from safety.manifest import (
    check_files,
    freeze,
    manifest_digest,
    new_nonce,
    read_manifest,
    write_manifest,
)

FILES = {"models/a.py": b"class Model: ...\n", "data/train.safetensors": b"\0" * 40, "trainer/train.py": b""}
INPUTS = Inputs(
    schema_version=1,
    cycle="20261121-014000-7",
    stage="attempt",
    batch=0,
    domain="language",
    generation="G001",
    sealed="e" * 64,
    parent="G000",
    parent_weights="b" * 64,
    corpus="numpy-docstrings",
    digests={"contract": "c" * 64},
    files={name: sha256(content) for name, content in FILES.items()},
    runs=(Run("control-0", "control", 0, "a" * 64, 2**53 - 1, 90), Run("child-0", "child", 0, "d" * 64, 2, 90)),
    rungs=(),
    compute_flops=10**12,
    budget=Budget(10_000_000, 2_000, 12 * 10**9, 3_600, 5 * 10**9),
    confinement=("bubblewrap", "landlock"),
)
ENVELOPE = Envelope("f" * 64, "2026-11-21T01:40:00Z", "2026-11-29T01:40:00Z", "")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    write_manifest(tmp_path / "manifest.json", freeze(INPUTS, ENVELOPE))
    return tmp_path


def test_equal_inputs_have_an_equal_digest_whatever_the_envelope() -> None:
    one, two = freeze(INPUTS, ENVELOPE), freeze(INPUTS, replace(ENVELOPE, nonce=new_nonce()))
    assert one.envelope.nonce != two.envelope.nonce
    assert manifest_digest(one.inputs) == manifest_digest(two.inputs)
    assert manifest_digest(replace(INPUTS, compute_flops=1)) != manifest_digest(INPUTS)


def test_time_and_nonce_come_from_whoever_freezes() -> None:
    assert freeze(INPUTS, ENVELOPE).envelope == ENVELOPE
    assert len(new_nonce()) == 64
    assert new_nonce() != new_nonce()


@pytest.mark.parametrize("change", [{"batch": 1}, {"generation": "G002"}, {"sealed": "a" * 64}, {"stage": "trial"}])
def test_what_a_bundle_is_for_is_part_of_its_digest(change: dict[str, Any]) -> None:
    assert manifest_digest(replace(INPUTS, **change)) != manifest_digest(INPUTS)


def test_a_bundle_that_hides_nothing_needs_no_seal() -> None:
    assert freeze(replace(INPUTS, sealed=""), ENVELOPE).inputs.sealed == ""


@pytest.mark.parametrize("nonce", ["", "F" * 64, "f" * 63])
def test_a_nonce_of_another_form_is_never_frozen(nonce: str) -> None:
    with pytest.raises(AamsError):
        freeze(INPUTS, replace(ENVELOPE, nonce=nonce))


def test_a_manifest_is_read_only_on_disk_and_comes_back(bundle: Path) -> None:
    manifest = read_manifest(bundle / "manifest.json")
    assert manifest.inputs == INPUTS
    assert (bundle / "manifest.json").stat().st_mode & 0o222 == 0


def test_exactly_the_declared_files_pass(bundle: Path) -> None:
    check_files(read_manifest(bundle / "manifest.json"), bundle)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda root: (root / "data/train.safetensors").write_bytes(b"\0" * 39 + b"\1"), "train.safetensors: changed"),
        (lambda root: (root / "trainer/train.py").write_bytes(b"#"), "trainer/train.py: changed after the freeze"),
        (lambda root: (root / "trainer/train.py").unlink(), "trainer/train.py: is declared .* missing"),
        (lambda root: (root / "trainer/evil.py").touch(), "trainer/evil.py: is not declared"),
        (lambda root: (root / "trainer/evil.py").symlink_to("/etc/passwd"), "evil.py: is neither"),
        (lambda root: (root / "manifest.json").rename(root / "manifest.old"), "manifest.old: is not declared"),
    ],
)
def test_anything_changed_after_the_freeze_is_named(bundle: Path, damage: Any, complaint: str) -> None:
    manifest = read_manifest(bundle / "manifest.json")
    damage(bundle)
    with pytest.raises(AamsError, match=complaint):
        check_files(manifest, bundle)


def test_every_changed_file_is_named_at_once(bundle: Path) -> None:
    manifest = read_manifest(bundle / "manifest.json")
    for name in FILES:
        (bundle / name).write_bytes(b"other")
    with pytest.raises(AamsError) as refusal:
        check_files(manifest, bundle)
    assert len(refusal.value.problems) == len(FILES)


@pytest.mark.parametrize(
    "change",
    [
        {"files": {"../escape.py": "a" * 64}},
        {"files": {"/etc/passwd": "a" * 64}},
        {"files": {"a//b": "a" * 64}},
        {"files": {"a/./b": "a" * 64}},
        {"files": {"a b": "a" * 64}},
        {"files": {"": "a" * 64}},
        {"files": {"a.py": "A" * 64}},
        {"digests": {"contract": "short"}},
        {"sealed": "short"},
        {"cycle": "Cycle 7"},
        {"domain": "../language"},
        {"runs": ()},
        {"runs": (INPUTS.runs[0], INPUTS.runs[0])},
        {"runs": (replace(INPUTS.runs[0], name="../run"),)},
        {"runs": (replace(INPUTS.runs[0], name="results"),)},
        {"runs": (replace(INPUTS.runs[0], name="progress"),)},
        {"runs": (replace(INPUTS.runs[0], name="rungs"),)},
        {"runs": (replace(INPUTS.runs[0], spec="x"),)},
    ],
)
def test_a_name_that_could_mean_something_else_is_never_frozen(change: dict[str, Any]) -> None:
    with pytest.raises(AamsError):
        freeze(replace(INPUTS, **change), ENVELOPE)


TRIAL = replace(INPUTS, stage="trial", runs=tuple(replace(INPUTS.runs[1], name=name) for name in ("a", "b", "c")))


@pytest.mark.parametrize("rungs", [(), ((25, 2),), ((25, 2), (50, 1)), ((1, 1),), ((99, 1),)])
def test_rungs_of_a_trial_rise_and_keep_ever_fewer(rungs: tuple[tuple[int, int], ...]) -> None:
    planned = tuple(Rung(*rung) for rung in rungs)
    assert freeze(replace(TRIAL, rungs=planned), ENVELOPE).inputs.rungs == planned


@pytest.mark.parametrize(
    "rungs",
    [((0, 2),), ((100, 2),), ((25, 3),), ((25, 0),), ((50, 2), (25, 1)), ((25, 2), (50, 2)), ((25, 1), (25, 1))],
)
def test_rungs_that_are_no_ladder_are_never_frozen(rungs: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(AamsError, match="rungs must rise"):
        freeze(replace(TRIAL, rungs=tuple(Rung(*rung) for rung in rungs)), ENVELOPE)


def test_nothing_but_a_trial_has_rungs() -> None:
    with pytest.raises(AamsError, match="rungs must rise and keep ever fewer of a trial's children; got attempt"):
        freeze(replace(TRIAL, stage="attempt", rungs=(Rung(25, 2),)), ENVELOPE)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b'"steps":90', b'"steps": 90'),
        lambda text: text.replace(b'"steps":90', b'"steps":90,"steps":91', 1),
        lambda text: text.replace(b'"steps":90', b'"steps":9e1'),
        lambda text: text.replace(b'"stage":"attempt"', b'"stage":"final"'),
        lambda text: text + b"\n",
        lambda text: text[:-1],
        lambda text: text.replace(b'"envelope"', b'"letter"'),
    ],
)
def test_a_manifest_that_is_not_canonical_is_refused(bundle: Path, change: Any) -> None:
    path = bundle / "manifest.json"
    text = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(change(text))
    assert path.read_bytes() != text
    with pytest.raises(AamsError):
        read_manifest(path)
