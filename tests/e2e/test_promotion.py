"""Who may move HEAD: the arbiter and a second key, for what was proven, and for nothing that was disguised."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from aams.canonical import canonical_json, sha256
from aams.cli import main
from safety.clock import later
from tests.e2e.doctoring import doctor, flatter

needs_keys = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="ssh-keygen is not installed")
pytestmark = needs_keys


@pytest.fixture
def waiting(waiting_lab, tmp_path):
    return waiting_lab.copy(tmp_path / "lab")


def test_an_accepted_child_waits_for_its_second_key_and_then_gets_head(waiting):
    assert waiting.head() == "G000"
    waiting.verify()
    assert "waits for the second key" in waiting.run("aams.run_cycle", "--seed", "9", status=1)
    told = json.loads(waiting.aams("approve", "G001", "--json"))
    assert (told["outcome"], waiting.head()) == ("accepted", "G001")
    assert "does not wait for approval" in waiting.aams("approve", "G001", status=1)
    waiting.verify()


def test_a_merge_may_move_head_ahead_of_its_approval_and_to_nothing_else(waiting):
    specs = waiting.path / "specs"
    verdict = sha256(next(waiting.path.glob("logs/cycles/*/*-verdict.json")).read_bytes())
    child = next(specs.glob("history/language/G001-*/spec.yaml")).read_bytes()
    for digest in ("0" * 64, verdict):
        spec = waiting.entries("verdict")[-1]["facts"]["spec"]
        (specs / "language" / "HEAD").write_text(f"G001 {spec} {digest}\n")
        (specs / "language" / "champion.yaml").write_bytes(child)
        broken = waiting.aams("verify", status=0 if digest == verdict else 1)
        assert ("does not name the champion, G000" in broken) == (digest != verdict)
    waiting.aams("decline", "G001")
    assert waiting.head() == "G000", "what was declined is taken back"
    waiting.verify()


def test_a_declined_child_never_gets_head(waiting):
    told = json.loads(waiting.aams("decline", "G001", "--reason", "not today", "--json"))
    assert (told["outcome"], told["reason"], waiting.head()) == ("declined", "not today", "G000")
    assert json.loads(waiting.aams("propose", "--seed", "4", "--children", "1", "--json"))["stage"] == "trial"
    waiting.verify()


def test_what_does_not_follow_from_the_record_gets_no_second_key(waiting):
    waiting.verify()
    doctor(waiting.path, flatter)
    complaint = waiting.aams("approve", "G001", status=1)
    assert "-looked.json: does not follow from what is recorded before it: look.e_value comes out as" in complaint
    assert waiting.head() == "G000"
    assert complaint in waiting.aams("verify", status=1)


def test_what_was_decided_under_another_contract_gets_no_second_key(waiting):
    assert "7 decisions recounted, 1 promotions" in waiting.aams("verify"), "3 of them by a contract that Git holds"
    doctor(waiting.path, lambda entry: entry.update(contract="0" * 64))
    complaint = waiting.aams("approve", "G001", status=1)
    assert "was decided under another contract than the one in force; got G001; restore safety/contract" in complaint
    assert json.loads(waiting.aams("decline", "G001", "--json"))["outcome"] == "declined"
    assert "3 decisions recounted, 4 made under another contract" in waiting.aams("verify")


def test_both_signatures_hold_for_anybody_with_a_shell(waiting, tmp_path):
    waiting.aams("approve", "G001")
    frozen = [one["facts"]["proposer"] for one in waiting.entries("frozen") if one["facts"]["stage"] == "attempt"]
    approver = waiting.entries("approved")[-1]["facts"]["approver"]
    for role, signed in [*(("propose", one) for one in frozen), ("verdict", approver)]:
        signature, said = tmp_path / "signature", canonical_json(signed["statement"])
        signature.write_text(signed["signature"])
        command = ["ssh-keygen", "-Y", "verify", "-f", "safety/allowed_signers", "-I", signed["principal"]]
        command += ["-n", f"aams-{role}-v1", "-s", str(signature)]
        assert subprocess.run(command, cwd=waiting.path, input=said, capture_output=True).returncode == 0
        assert subprocess.run(command, cwd=waiting.path, input=said + b" ", capture_output=True).returncode != 0
    assert frozen[0]["fingerprint"] != approver["fingerprint"]


def test_a_key_that_holds_both_roles_promotes_nothing(waiting):
    keys = waiting.path / ".aams" / "keys"
    signers = waiting.path / "safety" / "allowed_signers"
    proposer = next(line for line in signers.read_text().splitlines() if "aams-propose-v1" in line)
    shutil.copy(keys / "propose", keys / "verdict")
    twin = proposer.replace("aams-propose-v1", "aams-verdict-v1").replace("-propose ", "-twin ")
    signers.write_text(signers.read_text() + twin + "\n")
    assert "second key" in waiting.aams("approve", "G001", status=1)
    assert waiting.head() == "G000"
    waiting.verify()


@pytest.mark.parametrize("what", ["signer", "signature", "revoked"])
def test_verify_names_a_promotion_whose_signature_does_not_hold(waiting, what):
    waiting.aams("approve", "G001")
    if what == "signer":
        signers = waiting.path / "safety" / "allowed_signers"
        kept = [line for line in signers.read_text().splitlines() if "-verdict-v1" not in line]
        signers.write_text("\n".join(kept) + "\n")
    elif what == "revoked":
        waiting.aams("keys", "revoke", waiting.entries("approved")[-1]["facts"]["approver"]["fingerprint"])
    else:
        path = next(waiting.path.glob("logs/cycles/*/*-approved.json"))
        entry = json.loads(path.read_text())
        lines = entry["facts"]["approver"]["signature"].splitlines()
        blob = bytearray(base64.b64decode("".join(lines[1:-1])))
        blob[-1] ^= 1
        text = base64.b64encode(blob).decode()
        body = [text[start : start + 70] for start in range(0, len(text), 70)]
        entry["facts"]["approver"]["signature"] = "\n".join([lines[0], *body, lines[-1]]) + "\n"
        path.chmod(0o644)
        path.write_bytes(canonical_json(entry) + b"\n")
    assert "approved.json" in waiting.aams("verify", status=1)


def test_without_ssh_keygen_a_cycle_is_decided_and_nothing_is_promoted(empty_lab, tmp_path):
    lab = empty_lab.copy(tmp_path / "lab")
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("git", "sh", "bwrap", "unshare"):
        if shutil.which(name):
            (folder / name).symlink_to(shutil.which(name))
    process = lab.start("aams.run_cycle", "--seed", "1", "--children", "1", "--json", path=str(folder))
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0 and "Traceback" not in err, err
    assert "ssh-keygen isn't installed" in err
    told = json.loads(out)
    assert (told["outcome"], told["generation"], lab.head()) == ("waiting", "G000", "")
    lab.verify()


def test_a_rollback_is_a_cycle_with_two_keys_and_unwrites_nothing(waiting):
    waiting.aams("approve", "G001")
    entries = sorted(path.name for path in waiting.path.glob("logs/cycles/*/*"))
    assert "can't be rolled back to" in waiting.aams("rollback", "--to", "G001", "--reason", "no", status=1)
    told = json.loads(waiting.aams("rollback", "--to", "G000", "--reason", "a drill", "--no-approve", "--json"))
    assert (told["outcome"], waiting.head()) == ("waiting", "G001")
    told = json.loads(waiting.aams("approve", "G000", "--json"))
    assert (told["outcome"], waiting.head()) == ("rolled-back", "G000")
    champion = next(waiting.path.glob("specs/history/language/G000-*/spec.yaml")).read_bytes()
    assert (waiting.path / "specs" / "language" / "champion.yaml").read_bytes() == champion
    assert set(entries) <= {path.name for path in waiting.path.glob("logs/cycles/*/*")}
    waiting.verify()
    told = json.loads(waiting.aams("rollback", "--to", "G001", "--reason", "and back", "--json"))
    assert (told["outcome"], waiting.head()) == ("rolled-back", "G001")
    waiting.verify()


def test_what_is_frozen_after_the_clock_was_ahead_expires_by_the_ledgers_time(waiting, set_clock):
    waiting.aams("approve", "G001")
    ahead = later(waiting.entries("closed")[-1]["time"], 30 * 86_400)
    set_clock(ahead)
    assert main(["rollback", "--to", "G000", "--reason", "a drill", "--root", str(waiting.path)]) == 0
    told = json.loads(waiting.aams("propose", "--seed", "4", "--children", "1", "--json"))
    frozen = waiting.entries("frozen")[-1]
    with zipfile.ZipFile(told["bundle"]) as archive:
        envelope = json.loads(archive.read("manifest.json"))["envelope"]
    assert frozen["time"] == envelope["frozen_at"] == ahead
    assert frozen["facts"]["proposer"]["statement"]["expires"] == envelope["expires_at"] > ahead
    waiting.verify()


def attempt_bundle(lab):
    """Everything that the trainer of the open attempt can read, by name."""
    bundles = list(lab.path.glob(".aams/work/*/attempt-0/*.zip"))
    with zipfile.ZipFile(bundles[0]) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def bring_back(lab, told):
    """Train a bundle by hand and bring its results; what came of it."""
    work = Path(told["bundle"]).parent
    with zipfile.ZipFile(told["bundle"]) as archive:
        archive.extractall(work / "by-hand")
    (work / "results").mkdir()
    command = [sys.executable, "-P", "-m", "trainer", str(work / "by-hand"), str(work / "results")]
    environment = {**os.environ, "PYTHONPATH": str(work / "by-hand")}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return json.loads(lab.aams("ingest", told["cycle"], str(work / "results"), "--json"))


def propose_attempt(lab, rate):
    """Bring a cycle to where its attempt is frozen and nothing of it is trained."""
    lab.contract(placebo_rate=rate)
    return bring_back(lab, json.loads(lab.aams("propose", "--seed", "3", "--spec", lab.better_child(), "--json")))


def shape(value):
    """What a value of JSON is made of: all of its names, and of which kinds the values are."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    return [shape(one) for one in value] if isinstance(value, list) else type(value)


def of_attempt(lab, event):
    """The first fact of an event of the attempt."""
    return next(entry["facts"] for entry in lab.entries(event) if entry["facts"]["stage"] == "attempt")


def test_a_placebo_shows_in_nothing_that_is_written_before_its_verdict(lab, tmp_path):
    twin = lab.copy(tmp_path / "twin")
    real, placebo = propose_attempt(lab, 0), propose_attempt(twin, 1)
    assert (real["stage"], placebo["stage"]) == ("attempt", "attempt")
    bundles = [attempt_bundle(one) for one in (lab, twin)]
    assert len(bundles[0]) == len(bundles[1])
    inputs = [json.loads(files["manifest.json"])["inputs"] for files in bundles]
    assert inputs[0].keys() == inputs[1].keys()
    for files, one in zip(bundles, (lab, twin), strict=True):
        manifest = json.loads(files["manifest.json"])["inputs"]
        assert len({run["spec"] for run in manifest["runs"]}) == 2, "child and control have different ids"
        told = b"".join(value for name, value in files.items() if not name.startswith("trainer/"))
        assert b"placebo" not in told.lower()
        ledger = b"".join(path.read_bytes() for path in one.path.glob("logs/cycles/*/*.json"))
        assert b'"placebo"' not in ledger
        attempted = one.entries("attempted")[-1]["facts"]
        assert set(attempted) == {"generation", "sealed"} and attempted["sealed"] == manifest["sealed"]
    for one, told in ((lab, real), (twin, placebo)):
        bring_back(one, told)
    frozen, trained = [[of_attempt(one, event) for one in (lab, twin)] for event in ("frozen", "trained")]
    assert shape(frozen[0]) == shape(frozen[1])
    assert frozen[0]["reserved_flops"] == frozen[1]["reserved_flops"]
    assert trained[0].keys() == trained[1].keys()
    assert trained[0]["used_flops"] == trained[1]["used_flops"] == frozen[0]["reserved_flops"]
    children = [[run for run in facts["runs"] if run["arm"] == "child"] for facts in trained]
    assert children[0] == children[1], "equal to the last digit"
    for run in children[0]:
        known = {name for name, value in run.items() if value not in (None, "", [])}
        assert known == {"name", "arm", "pair", "status", "law_violations"}, "nothing that it measured"
    assert all(run["steps"] for facts in trained for run in facts["runs"] if run["arm"] == "control")


def test_a_placebo_is_revealed_after_its_verdict_and_never_gets_head(lab):
    lab.contract(placebo_rate=1)
    ended = lab.cycle(3, "--spec", lab.better_child())
    assert (ended["outcome"], ended["placebo"], lab.head()) == ("placebo", True, "G000")
    order = [path.name.partition("-")[2] for path in sorted(lab.path.glob(f"logs/cycles/{ended['cycle']}/*"))]
    assert order.index("verdict.json") < order.index("revealed.json") < order.index("closed.json")
    assert "approved.json" not in order
    status = json.loads(lab.aams("status", "--json"))
    language = next(one for one in status["domains"] if one["domain"] == "language")
    assert language["placebos"]["revealed"] == 1
    lab.contract(placebo_rate=0)
    again = lab.cycle(4, "--dry-run", "--spec", lab.better_child())
    assert len(again["children"]) == 1, "the child whose place the placebo took may be tried again"
    assert "placebo" in lab.aams("explain", "G001")
    lab.verify()


def test_evidence_that_is_not_enough_is_called_undecided_or_given_up(lab):
    lab.contract(alpha=0.000001)
    ended = lab.cycle(3, "--spec", lab.better_child())
    assert (ended["outcome"], lab.head()) == ("rejected", "G000")
    assert "evidence" in [one["name"] for one in ended["criteria"] if not one["passed"]]
    assert "pairs" in ended["reason"]
    lab.verify()


def test_the_archive_tells_what_the_sealed_child_measured_in_every_batch(lab):
    lab.contract(alpha=0.05, pairs_min=2, autonomy="autonomous")
    told = lab.cycle(3, "--spec", lab.better_child(), "--no-approve")
    assert (told["outcome"], lab.head()) == ("waiting", "G000"), "whoever may approve by the contract"
    pairs = 2 * sum(one["facts"]["stage"] == "attempt" for one in lab.entries("trained"))
    archived = next(lab.path.glob("specs/history/language/G001-*/metrics.json"))
    runs = json.loads(archived.read_text())["training"]
    assert pairs > 2, "it took more than one batch"
    assert {run["run"] for run in runs} == {f"{arm}-{pair}" for arm in ("child", "control") for pair in range(pairs)}
    assert all(run["steps"] and run["loss_last"] for run in runs)


def test_an_attempt_beyond_its_deadline_is_rejected_with_an_archive(lab):
    lab.contract(train_s=1)
    propose_attempt(lab, 0)
    time.sleep(2.1)
    told = json.loads(lab.aams("heartbeat", "--domain", "language", "--children", "1", "--json"))["beats"][0]
    assert (told["outcome"], told["generation"], lab.head()) == ("rejected", "G001", "G000")
    assert "beyond the deadline" in told["reason"]
    directory = next((lab.path / "specs" / "history" / "language").glob("G001-*"))
    assert "beyond the deadline" in (directory / "STATUS").read_text()
    lab.verify()


def test_a_heartbeat_says_what_is_missing_in_numbers(lab):
    told = json.loads(lab.aams("heartbeat", "--domain", "language", "--json"))
    missing = {one["gate"]: one["got"] for one in told["beats"][0]["missing"]}
    assert "s to wait" in missing["cooldown"]
    lab.contract(schedule_s=0, training_flops=1)
    told = json.loads(lab.aams("heartbeat", "--domain", "language", "--json"))
    assert [one["gate"] for one in told["beats"][0]["missing"]] == ["month"]
    assert "the month's compute" in lab.run("aams.run_cycle", "--seed", "1", status=1)
    lab.verify()


def test_a_heartbeat_explores_and_takes_nothing_to_the_holdout_without_karma(lab):
    lab.contract(schedule_s=0, screen_margin=0)
    told = json.loads(lab.aams("heartbeat", "--domain", "language", "--children", "2", "--json"))
    assert told["beats"][0]["outcome"] in ("explored", "screened-out")
    assert lab.entries("opened")[-1]["facts"]["trigger"] == "schedule"
    lab.verify()


def test_a_checkpoint_kept_elsewhere_finds_a_rewritten_ledger(lab, tmp_path):
    kept = tmp_path / "checkpoint.json"
    kept.write_text(lab.aams("checkpoint"))
    cycle = json.loads(lab.aams("propose", "--seed", "1", "--children", "1", "--json"))["cycle"]
    lab.aams("abandon", cycle)
    assert "All right" in lab.aams("verify", "--against", str(kept))
    later = tmp_path / "later.json"
    later.write_text(lab.aams("checkpoint"))
    shutil.rmtree(lab.path / "logs" / "cycles" / cycle)
    assert "smaller than at the checkpoint" in lab.aams("verify", "--against", str(later), status=1)


def test_a_champion_that_stands_its_rechallenge_is_confirmed_with_a_new_estimate(waiting):
    waiting.aams("approve", "G001")
    step = waiting.path / "aams" / "cycle" / "next_bundle.py"
    code = step.read_text()
    step.write_text(code.replace("    prepared = ", "    raise SystemExit(7)\n    prepared = "))
    waiting.aams("rechallenge", status=7)  # as if it was killed before it froze anything
    step.write_text(code)
    told = json.loads(waiting.aams("rechallenge", "--json"))
    assert (told["outcome"], waiting.head()) == ("confirmed", "G001")
    assert sum(one["facts"]["planner"] == "rechallenge" for one in waiting.entries("opened")) == 1
    assert "G001 stands" in told["reason"]
    waiting.verify()


def test_a_champion_that_is_outdone_is_proposed_for_rollback_and_a_person_decides(waiting):
    waiting.aams("approve", "G001")
    optimizers = waiting.path / "trainer" / "optimizers.py"
    swapped = optimizers.read_text()
    for old, new in (
        ("return Sgd(", "return AdamW(parameters, 0.01, 0.0, 0.9, 0.95)"),
        ("return Muon(", "return Sgd(parameters, 0.0, 0.0, 0.0)"),
    ):
        assert swapped.count(old) == 1
        swapped = swapped.replace(old, f"{new}  # {old}")
    optimizers.write_text(swapped)
    told = json.loads(waiting.aams("rechallenge", "--json"))
    assert (told["outcome"], waiting.head()) == ("outdone", "G001")
    told = json.loads(waiting.aams("approve", "G000", "--json"))
    assert (told["outcome"], waiting.head()) == ("rolled-back", "G000")
    waiting.verify()
