from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import safety.contract
from aams.cli import main
from aams.commands import keys
from safety.contract import CONTRACT_PATH
from safety.signers import ALLOWED_SIGNERS, REVOKED_KEYS, ROLES
from safety.sshkeygen import have_ssh_keygen

pytestmark = pytest.mark.skipif(not have_ssh_keygen(), reason="ssh-keygen isn't installed")
Captured = pytest.CaptureFixture[str]
ROOT = Path(safety.contract.__file__).parents[1]


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    (tmp_path / "safety").mkdir()
    for name in (CONTRACT_PATH, ALLOWED_SIGNERS):
        shutil.copy(ROOT / name, tmp_path / name)
    signers = tmp_path / ALLOWED_SIGNERS  # without those that `make cycle` added for this checkout's own keys
    signers.write_text("".join(line for line in signers.read_text().splitlines(True) if line.startswith("#")))
    return tmp_path


def answer(capsys: Captured, lab: Path, *arguments: str, status: int = 0) -> str:
    assert main(["keys", *arguments, "--root", str(lab)]) == status
    out, err = capsys.readouterr()
    return out if status == 0 else err


def data(capsys: Captured, lab: Path, *arguments: str) -> Any:
    text = answer(capsys, lab, *arguments, "--json")
    assert text == json.dumps(json.loads(text)) + "\n"
    return json.loads(text)


def test_the_roles_are_those_of_the_signers() -> None:
    assert keys.ROLES == ROLES


def test_init_says_what_it_wrote_and_then_that_nothing_is_to_do(lab: Path, capsys: Captured) -> None:
    shipped = (lab / ALLOWED_SIGNERS).read_bytes()
    assert answer(capsys, lab, "list") == "No keys yet: run `aams keys init`.\n"
    first = answer(capsys, lab, "init", "--name", "ann")
    assert first.startswith(f"Wrote .aams/keys/propose, .aams/keys/verdict, {ALLOWED_SIGNERS}. Commit")
    assert "propose: ann-propose, SHA256:" in first and "verdict: ann-verdict, SHA256:" in first
    assert answer(capsys, lab, "init").startswith("Nothing to do.\n")
    again = data(capsys, lab, "init")
    assert again["changed"] == []
    assert [key["principal"] for key in again["keys"]] == ["ann-propose", "ann-verdict"]
    assert (lab / ALLOWED_SIGNERS).read_bytes().startswith(shipped)


def test_the_default_name_is_the_login_made_plain(lab: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", r"CORP\Ann O'Hara")
    assert "propose: corp-ann-o-hara-propose, " in answer(capsys, lab, "init")


def test_a_key_is_listed_rotated_and_revoked(lab: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(capsys, lab, "init", "--name", "ann")
    path = lab / ALLOWED_SIGNERS
    year = path.read_text().rpartition("valid-after=")[2][1:5]
    path.write_text(path.read_text().replace(f'valid-after="{year}', 'valid-after="2020'))
    first = data(capsys, lab, "list")["keys"]
    assert list(first[0]) == ["role", "principal", "fingerprint", "valid_after", "valid_before", "revoked", "held"]
    new = data(capsys, lab, "rotate", "propose")
    assert (new["role"], new["principal"]) == ("propose", "ann-propose")
    assert data(capsys, lab, "revoke", first[1]["fingerprint"]) == {"revoked": first[1]["fingerprint"]}
    rows = [line.split() for line in answer(capsys, lab, "list").splitlines()]
    assert [(row[0], row[2], row[-2:]) for row in rows[1:]] == [
        ("propose", first[0]["fingerprint"], ["no", "no"]),
        ("verdict", first[1]["fingerprint"], ["yes", "yes"]),
        ("propose", new["fingerprint"], ["no", "yes"]),
    ]
    assert rows[1][4] == new["valid_after"] and rows[2][4] == "-"
    assert "is revoked. Commit safety/revoked_keys." in answer(capsys, lab, "revoke", "ann-verdict")
    assert (lab / REVOKED_KEYS).exists()


def test_an_option_before_the_action_counts_as_one_after_it(lab: Path, capsys: Captured) -> None:
    assert main(["keys", "--json", "--root", str(lab), "init", "--name", "ann"]) == 0
    assert len(json.loads(capsys.readouterr().out)["changed"]) == 3
    assert len(data(capsys, lab, "list")["keys"]) == 2


@pytest.mark.parametrize("arguments", [["init"], ["rotate", "propose"], ["revoke", "ann-propose"]], ids=" ".join)
def test_a_folder_that_is_no_lab_is_refused_and_left_alone(
    arguments: list[str], tmp_path: Path, capsys: Captured
) -> None:
    assert "is no lab" in answer(capsys, tmp_path, *arguments, status=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [[], ["forge"], ["rotate"], ["rotate", "both"], ["revoke"]], ids=repr)
def test_wrong_usage_ends_with_2(arguments: list[str], capsys: Captured) -> None:
    with pytest.raises(SystemExit) as end:
        main(["keys", *arguments])
    out, err = capsys.readouterr()
    assert (end.value.code, out) == (2, "")
    assert "usage: aams keys" in err


def test_a_failure_is_one_sentence_on_stderr(lab: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    complaint = answer(capsys, lab, "revoke", "no\x1bbody\n", status=1)
    assert complaint == (
        f"error: {ALLOWED_SIGNERS}: has no such key; got 'no\\x1bbody\\n'; `aams keys list` shows them\n"
    )
    monkeypatch.setenv("PATH", "")
    assert answer(capsys, lab, "init", status=1).startswith("error: ssh-keygen isn't installed; it comes with OpenSSH")
