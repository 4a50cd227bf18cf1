from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import safety.sshkeygen
from aams.errors import AamsError, SignatureError
from safety.keyfiles import KEYS, public_key
from safety.keys import make_keys
from safety.signatures import Statement, check, sign
from safety.signers import ALLOWED_SIGNERS
from safety.sshkeygen import PROGRAM, ask, fingerprint, have_ssh_keygen

pytestmark = pytest.mark.skipif(not have_ssh_keygen(), reason="ssh-keygen isn't installed")

NOW = "2026-11-21T01:40:00Z"
STATEMENT = Statement(1, "aams", "propose", "language", "G007", "", "b" * 64, "", (), "2027-01-01T00:00:00Z")


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    make_keys(tmp_path / "lab", "ann", lambda: NOW)
    return tmp_path / "lab"


@pytest.fixture
def signature(lab: Path) -> str:
    return sign(STATEMENT, lab / KEYS / "propose")


@pytest.fixture
def new_key(tmp_path: Path) -> Callable[..., Path]:
    """Makes a key as a person would."""

    def make(name: str, kind: str = "ed25519", passphrase: str = "") -> Path:
        assert ask("-q", "-t", kind, "-N", passphrase, "-f", name, folder=tmp_path).status == 0
        return tmp_path / name

    return make


@pytest.fixture
def instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Puts a shell script in the place of ssh-keygen."""

    def place(script: str) -> Path:
        path = tmp_path / "bin" / PROGRAM
        path.parent.mkdir()
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")
        return path.parent

    return place


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_only_ed25519_keys_sign(kind: str, new_key: Callable[..., Path]) -> None:
    with pytest.raises(SignatureError, match="must be made by an ed25519 key"):
        sign(STATEMENT, new_key(kind, kind))


def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked(new_key: Callable[..., Path]) -> None:
    with pytest.raises(AamsError, match=r"locked: this key can't sign; .*load it with ssh-add"):
        sign(STATEMENT, new_key("locked", passphrase="swordfish"))  # noqa: S106


def test_a_key_that_others_can_read_is_refused(new_key: Callable[..., Path]) -> None:
    path = new_key("open")
    path.chmod(0o644)
    with pytest.raises(AamsError, match=r"open: this key can't sign; .*chmod 600"):
        sign(STATEMENT, path)


def test_what_is_no_key_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    (tmp_path / "text").chmod(0o600)
    with pytest.raises(AamsError, match="text: this key can't sign"):
        sign(STATEMENT, tmp_path / "text")
    with pytest.raises(AamsError, match="nothing: there is no such key; `aams keys init`"):
        sign(STATEMENT, tmp_path / "nothing")


def test_why_ssh_keygen_does_not_sign_is_told(lab: Path, instead: Callable[[str], Path]) -> None:
    instead("echo 'not today' >&2; exit 1")
    with pytest.raises(
        AamsError, match=r"propose: this key can't sign; got not today; see whether it is a private key$"
    ):
        sign(STATEMENT, lab / KEYS / "propose")


def test_an_agent_signs_for_a_public_key(lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    public = tmp_path / "propose.pub"
    key = public_key(lab / KEYS / "propose")
    public.write_text(f"{key.kind} {key.base64}\n")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(AamsError, match="load its private key into ssh-agent"):
        sign(STATEMENT, public)
    try:
        agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(tmp_path / "agent")], stdout=subprocess.DEVNULL)
    except FileNotFoundError:
        pytest.skip("ssh-agent isn't installed")
    try:
        deadline = time.monotonic() + 10
        while not (tmp_path / "agent").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        subprocess.run(["ssh-add", "-q", str(lab / KEYS / "propose")], check=True, stdin=subprocess.DEVNULL)
        assert check(STATEMENT, sign(STATEMENT, public), lab / ALLOWED_SIGNERS, NOW).fingerprint == fingerprint(key)
    finally:
        agent.terminate()
        agent.wait()


def test_a_missing_ssh_keygen_is_one_clear_sentence(lab: Path, signature: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert not have_ssh_keygen()
    for attempt in (
        lambda: sign(STATEMENT, lab / KEYS / "propose"),
        lambda: check(STATEMENT, signature, lab / ALLOWED_SIGNERS, NOW),
    ):
        with pytest.raises(AamsError, match=r"^ssh-keygen isn't installed; it comes with OpenSSH: apt-get install"):
            attempt()


@pytest.mark.parametrize("said", ['Invalid "verify-time" option', 'Invalid option "verify-time=20261121014000Z"'])
def test_an_openssh_that_knows_no_utc_is_named_as_too_old(
    said: str, lab: Path, signature: str, instead: Callable[[str], Path]
) -> None:
    instead(f"echo '{said}' >&2; exit 255")
    with pytest.raises(AamsError, match=r"^ssh-keygen is too old; .*; install OpenSSH 9\.1 or later"):
        check(STATEMENT, signature, lab / ALLOWED_SIGNERS, NOW)


@pytest.mark.parametrize(
    "said", ["", 'Good "aams-propose-v1" signature for eve-propose with ED25519 key SHA256:x', "x" * 300]
)
def test_an_answer_that_names_another_signer_is_not_believed(
    said: str, lab: Path, signature: str, instead: Callable[[str], Path]
) -> None:
    instead(f"echo '{said}'")
    with pytest.raises(SignatureError) as refused:
        check(STATEMENT, signature, lab / ALLOWED_SIGNERS, NOW)
    shown = repr(f"{said}\n"[:200])
    assert str(refused.value).endswith(f": ssh-keygen names another signer; got {shown}")


def test_an_ssh_keygen_that_hangs_is_ended(
    lab: Path, signature: str, instead: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    instead("exec sleep 60")
    monkeypatch.setattr(safety.sshkeygen, "TIMEOUT_S", 0.2)
    with pytest.raises(AamsError, match=r"^ssh-keygen took longer than 0\.2 s"):
        check(STATEMENT, signature, lab / ALLOWED_SIGNERS, NOW)


def test_the_caller_can_give_ssh_keygen_nothing_through_the_environment(
    lab: Path, signature: str, instead: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = instead('env > "$(dirname "$0")/seen"; exit 1')
    for name in ("GITHUB_TOKEN", "SSH_AUTH_SOCK", "SSH_ASKPASS", "DISPLAY", "SSH_SK_PROVIDER"):
        monkeypatch.setenv(name, "secret")
    with pytest.raises(SignatureError):
        check(STATEMENT, signature, lab / ALLOWED_SIGNERS, NOW)
    assert "secret" not in (folder / "seen").read_text()
