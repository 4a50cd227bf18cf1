"""OpenSSH's `ssh-keygen`: how it is asked, and what its public keys look like.

Takes arguments, bytes for stdin and the text of public keys; gives what was answered and checked `PublicKey`s. Runs
without a shell, without a terminal and without the caller's environment, so nothing is ever asked of a person. Never
touches a private key itself.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from aams.errors import failure

PROGRAM = "ssh-keygen"
TIMEOUT_S = 60
"""Long enough to touch a hardware key."""

KINDS = {"ssh-ed25519": "ED25519", "sk-ssh-ed25519@openssh.com": "ED25519-SK"}
"""The kinds of key that may sign, and what `ssh-keygen` calls them. No certificates: one authority is many keys."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key as one line of text writes it: its kind and its base64."""

    kind: str
    base64: str


@dataclass(frozen=True, slots=True)
class Answer:
    """How `ssh-keygen` ended and what it said; `complaint` is the last line of stderr."""

    status: int
    stdout: str
    stderr: str
    complaint: str


def have_ssh_keygen() -> bool:
    """Say whether `ssh-keygen` is installed."""
    return shutil.which(PROGRAM) is not None


def ask(*arguments: str, stdin: bytes = b"", folder: Path | None = None, agent: bool = False) -> Answer:
    """Run `ssh-keygen` once.

    Args:
        folder: where to run it; relative names in `arguments` lie there.
        agent: whether it may use the caller's ssh-agent.

    Raises:
        AamsError: it isn't installed, is too old for what is asked, or took longer than `TIMEOUT_S`.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        raise failure(
            f"{PROGRAM} isn't installed",
            advice="it comes with OpenSSH: apt-get install openssh-client, brew install openssh",
        )
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "SSH_ASKPASS_REQUIRE": "never"}
    if agent and "SSH_AUTH_SOCK" in os.environ:
        environment["SSH_AUTH_SOCK"] = os.environ["SSH_AUTH_SOCK"]
    try:
        ended = subprocess.run(
            [str(Path(program).absolute()), *arguments],
            input=stdin,
            cwd=folder,
            env=environment,
            capture_output=True,
            timeout=TIMEOUT_S,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        raise failure(f"{PROGRAM} took longer than {TIMEOUT_S} s", advice="see what it waits for in a shell") from None
    except OSError as error:
        raise failure(f"{PROGRAM} can't be run", str(error)[:200], "try it in a shell, then run again") from None
    said = ended.stderr.decode("utf-8", "replace").strip()
    if ended.returncode != 0 and re.search(r"Invalid .*verify-time", said):
        raise failure(f"{PROGRAM} is too old", said[:200], "install OpenSSH 9.1 or later, which reads times in UTC")
    complaint = said.rpartition("\n")[2][:200] or f"exit status {ended.returncode}"
    return Answer(ended.returncode, ended.stdout.decode("utf-8", "replace"), said, complaint)


def parse_public_key(text: str, source: str, line: int = 0) -> PublicKey:
    """Read `KIND BASE64`, with or without a comment after it.

    Raises:
        AamsError: it is no ed25519 key, or is written in a way that could be read as another one.
    """
    found = re.fullmatch(r"(\S+) +([A-Za-z0-9+/]+={0,2})(?: [^\r\n]*)?\n?", text)
    blob = decode_base64(found[2]) if found else None
    if not found or not blob or found[1] not in KINDS or not blob.startswith(wire_string(found[1].encode())):
        raise failure(
            "must hold an ed25519 key",
            repr(text[:80]),
            "it looks like: ssh-ed25519 AAAAC3…",
            file=source,
            line=line,
            column=min(line, 1),
        )
    return PublicKey(found[1], found[2])


def fingerprint(key: PublicKey) -> str:
    """Name a key as OpenSSH does: `SHA256:` and the base64 of the digest of its bytes."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(base64.b64decode(key.base64)).digest()).decode().rstrip("=")


def decode_base64(text: str) -> bytes | None:
    """Decode base64 that is written the one canonical way; None for any other text."""
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return content if base64.b64encode(content).decode() == text else None


def wire_string(content: bytes) -> bytes:
    """Write a string as SSH does: its length in four bytes, then its bytes (RFC 4251, section 5)."""
    return len(content).to_bytes(4, "big") + content
