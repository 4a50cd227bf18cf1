from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import domains
from aams.cli import main
from aams.errors import AamsError, LedgerError
from aams.views import write_views
from evaluator.recount import recount_in
from safety.ledger import read_ledger
from safety.signers import ALLOWED_SIGNERS
from safety.sshkeygen import have_ssh_keygen
from safety.state import fold

Answer = Callable[..., str]
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def empty_lab(tmp_path: Path) -> Path:
    write_views(tmp_path / "lab", ())
    return tmp_path / "lab"


def test_an_empty_lab_has_no_cycles_and_is_all_right(empty_lab: Path, answer: Answer, only_object: Any) -> None:
    root = ("--root", str(empty_lab))
    assert answer("log", *root) == "No cycles yet: run `make cycle`.\n"
    assert only_object(answer("log", "--json", *root)) == {"cycles": []}
    assert answer("verify", *root).startswith("All right: 0 entries, 0 generations")
    assert only_object(answer("verify", "--json", *root))["view_count"] == 5


@pytest.mark.parametrize("command", ["show", "diff", "reproduce"])
def test_an_empty_lab_has_no_generation_to_look_at(command: str, empty_lab: Path, capsys: Captured) -> None:
    assert main([command, "G000", "--json", "--root", str(empty_lab)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "error: no such generation in language; got G000; there are: none yet\n"


def test_log_lists_the_newest_first(recorded_lab: Path, answer: Answer) -> None:
    root = ("--root", str(recorded_lab))
    lines = answer("log", *root).splitlines()
    assert [line.split()[2] for line in lines] == ["generation", "G001", "G000"]
    assert len(answer("log", "-n", "1", *root).splitlines()) == 2
    assert "No cycles yet" not in answer("log", "-n", "0", *root)


def test_diff_is_by_default_with_the_parent(recorded_lab: Path, answer: Answer, only_object: Any) -> None:
    root = ("--root", str(recorded_lab))
    assert only_object(answer("diff", "G001", "--json", *root))["from"] == "G000"
    assert "G000 is a root and has no parent" in answer("diff", "G000", *root, status=1)
    assert "same architecture" in answer("diff", "G001", "G001", *root)


@pytest.mark.parametrize("name", ["G999", "../../etc", "", "G001\x1b[2J"])
def test_an_unknown_generation_is_answered_with_those_there_are(name: str, recorded_lab: Path, answer: Answer) -> None:
    complaint = answer("show", name, "--root", str(recorded_lab), status=1)
    assert "no such generation in language" in complaint and "there are: G000, G001" in complaint
    assert "\x1b" not in complaint


def test_verify_names_what_is_broken_and_ends_with_1(
    recorded_lab: Path, tmp_path: Path, only_object: Any, capsys: Captured
) -> None:
    shutil.copytree(recorded_lab, tmp_path / "lab")
    (tmp_path / "lab" / "logs" / "lineage.csv").write_text("changed")
    assert main(["verify", "--json", "--root", str(tmp_path / "lab")]) == 1
    out, err = capsys.readouterr()
    assert only_object(out)["broken"]["file"].endswith("logs/lineage.csv")
    assert "logs/lineage.csv: differs from what the ledger compiles to" in err


@pytest.mark.skipif(not have_ssh_keygen(), reason="needs ssh-keygen")
def test_verify_checks_both_keys_of_every_promotion(recorded_lab: Path, tmp_path: Path, answer: Answer) -> None:
    verified = answer("verify", "--root", str(recorded_lab))
    assert "6 decisions recounted, 2 promotions signed by two keys" in verified
    shutil.copytree(recorded_lab, tmp_path / "lab")
    path = tmp_path / "lab" / ALLOWED_SIGNERS
    path.write_text("".join(line for line in path.read_text().splitlines(True) if "ann-verdict" not in line))
    complaint = answer("verify", "--root", str(tmp_path / "lab"), status=1)
    assert "logs/cycles/cycle-0/07-approved.json: a signature is refused: its key is unknown" in complaint


def test_an_archive_of_something_else_than_was_judged_is_named(recorded_lab: Path, tmp_path: Path) -> None:
    root = tmp_path / "lab"
    shutil.copytree(recorded_lab, root)
    ledger = read_ledger(root)
    assert recount_in(root, ledger, fold(ledger)) == (6, 0)
    (child,), (parent,) = root.glob("specs/history/language/G001-*"), root.glob("specs/history/language/G000-*")
    others = {
        "spec.yaml": Path(domains.__file__).parent / "vision/baseline.yaml",
        "manifest-1.json": parent / "manifest.json",
    }
    for name, other in others.items():
        (child / name).rename(tmp_path / name)
        shutil.copy(other, child / name)
        with pytest.raises(AamsError) as refused:
            recount_in(root, ledger, fold(ledger))
        assert refused.value.problems[0].file == str(child / name)
        (child / name).unlink()
        (tmp_path / name).rename(child / name)
    (child / "contract.yaml").unlink()
    assert recount_in(root, ledger, fold(ledger)) == (6, 0), "the root's archive holds it too"
    (parent / "contract.yaml").unlink()
    with pytest.raises(LedgerError, match="promotes what was decided under a contract that is not at hand"):
        recount_in(root, ledger, fold(ledger))


def test_a_checkpoint_that_was_kept_elsewhere_vouches_for_the_ledger(
    recorded_lab: Path, empty_lab: Path, tmp_path: Path, answer: Answer, only_object: Any
) -> None:
    root = ("--root", str(recorded_lab))
    taken = answer("checkpoint", *root)
    assert json.loads(taken) == only_object(answer("checkpoint", "--json", *root))
    (tmp_path / "kept.json").write_text(taken)
    assert answer("verify", "--against", str(tmp_path / "kept.json"), *root).startswith("All right: ")
    complaint = answer("verify", "--against", str(tmp_path / "kept.json"), "--root", str(empty_lab), status=1)
    assert "the ledger is smaller than at the checkpoint" in complaint


@pytest.mark.parametrize("command", [["propose", "--seed", "1"], ["ingest", "language-0", "results"]], ids="-".join)
def test_a_folder_that_is_no_lab_is_refused_and_left_alone(command: list[str], tmp_path: Path, answer: Answer) -> None:
    assert "is no lab" in answer(*command, "--root", str(tmp_path), status=1)
    assert list(tmp_path.iterdir()) == []
