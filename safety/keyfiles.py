"""The private keys of this machine: `.aams/keys/propose` and `.aams/keys/verdict`, git-ignored, one owner's alone.

Takes a lab's root, gives paths and public halves, and makes a key where there is none. Never overwrites one, never asks
for a passphrase and never reads a private key: `ssh-keygen` does.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from aams.errors import failure
from aams.files import read_bounded, sync_directory
from safety.signers import Role
from safety.sshkeygen import PublicKey, ask, parse_public_key

KEYS = ".aams/keys"
MAX_PUBLIC_BYTES = 4096


def local_key(root: Path, role: Role) -> Path | None:
    """Find this machine's key of a role: the private one, or `<role>.pub` when an ssh-agent holds the private one."""
    private = root / KEYS / role
    return next((path for path in (private, private.with_suffix(".pub")) if path.is_file()), None)


def public_key(path: Path) -> PublicKey:
    """Read the public half of a local key.

    Raises:
        AamsError: it is no ed25519 key, or it has a passphrase.
    """
    if path.suffix == ".pub":
        return parse_public_key(read_bounded(path, MAX_PUBLIC_BYTES).decode("utf-8", "replace"), str(path))
    answer = ask("-y", "-P", "", "-f", str(path.absolute()))
    if answer.status != 0:
        advice = f"if it has a passphrase, load it with ssh-add and keep only {path.name}.pub here"
        raise failure("this key can't be read", answer.complaint, advice, file=str(path))
    return parse_public_key(answer.stdout, str(path))


def held_key(root: Path, role: Role) -> Path:
    """Find this machine's key of a role.

    Raises:
        AamsError: there is none.
    """
    path = local_key(root, role)
    if path is None:
        raise failure(f"there is no {role} key here", advice="run `aams keys init`", file=str(root / KEYS))
    return path


def generate(path: Path) -> None:
    """Make a private key where there is none.

    Raises:
        AamsError: the name is taken, or the place can't be written.
    """
    folder = Path()
    try:
        folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=".", suffix=".part"))
        answer = ask("-q", "-t", "ed25519", "-N", "", "-C", "aams", "-f", "key", folder=folder)
        if answer.status != 0:
            raise failure("can't be made", answer.complaint, "free space, then run again", file=str(path))
        with (folder / "key").open("rb") as stream:
            os.fsync(stream.fileno())
        os.link(folder / "key", path)
        sync_directory(path.parent)
    except OSError as error:
        raise failure("can't be written", error.strerror, "mend its permissions", file=str(path)) from None
    finally:
        if folder.name:
            shutil.rmtree(folder, ignore_errors=True)
