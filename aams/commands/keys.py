"""Commands about keys: who may sign a promotion, and with what."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aams.commands.actions import add_actions
from aams.commands.output import emit, note, table

if TYPE_CHECKING:
    from safety.keys import ListedKey

ROLES = ("propose", "verdict")
"""`safety.signers.ROLES`, written out: `aams` starts without importing it."""


def register(subparsers: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands to the parser."""
    help_ = "the two keys that sign: init, list, rotate, revoke"
    actions, inner = add_actions(subparsers, common, "keys", help_)

    init = actions.add_parser("init", parents=[inner], help="make this machine's two keys, and allow them")
    init.add_argument("--name", help="whose they are, e.g. ann (default: your login)")
    init.set_defaults(command=_init)

    listing = actions.add_parser("list", parents=[inner], help="every key that may or might sign")
    listing.set_defaults(command=_list)

    rotate = actions.add_parser("rotate", parents=[inner], help="replace this machine's key of a role")
    rotate.add_argument("role", choices=ROLES)
    rotate.set_defaults(command=_rotate)

    revoke = actions.add_parser("revoke", parents=[inner], help="let a key count at no time any more")
    revoke.add_argument("key", help="its fingerprint, SHA256:..., or its name")
    revoke.set_defaults(command=_revoke)


def ensure_keys(root: Path) -> None:
    """Give a lab that nobody signs for this machine's two keys; one that has signers is left to them."""
    from safety.keys import list_keys, make_keys
    from safety.sshkeygen import have_ssh_keygen

    _require_lab(root)
    if not have_ssh_keygen():
        note("ssh-keygen isn't installed, so nothing can be promoted: install OpenSSH, then `aams approve`")
    elif not list_keys(root):
        make_keys(root, _login())
        note("Made this lab's two keys in .aams/keys. Commit safety/allowed_signers.")


def _init(args: argparse.Namespace) -> int:
    from safety.keys import list_keys, make_keys

    _require_lab(args.root)
    changed = make_keys(args.root, args.name or _login())
    keys = [_shown(key) for key in list_keys(args.root) if key.held]
    said = [f"Wrote {', '.join(changed)}. Commit safety/allowed_signers."] if changed else ["Nothing to do."]
    lines = [f"{key['role']}: {key['principal']}, {key['fingerprint']}" for key in keys]
    emit(args, {"changed": list(changed), "keys": keys}, [*said, *lines])
    return 0


def _list(args: argparse.Namespace) -> int:
    from safety.keys import list_keys

    keys = [_shown(key) for key in list_keys(args.root)]
    rows = [("role", "name", "fingerprint", "valid from", "valid to", "revoked", "held here")]
    rows += [
        (
            key["role"],
            key["principal"],
            key["fingerprint"],
            key["valid_after"] or "-",
            key["valid_before"] or "-",
            "yes" if key["revoked"] else "no",
            "yes" if key["held"] else "no",
        )
        for key in keys
    ]
    emit(args, {"keys": keys}, table(rows) if keys else ["No keys yet: run `aams keys init`."])
    return 0


def _rotate(args: argparse.Namespace) -> int:
    from safety.keys import rotate_key
    from safety.sshkeygen import fingerprint

    _require_lab(args.root)
    new = rotate_key(args.root, args.role)
    data = {
        "role": new.role,
        "principal": new.principal,
        "fingerprint": fingerprint(new.key),
        "valid_after": new.valid_after,
    }
    emit(args, data, [f"{new.principal} is now {data['fingerprint']}. Commit safety/allowed_signers."])
    return 0


def _revoke(args: argparse.Namespace) -> int:
    from safety.keys import revoke_key

    _require_lab(args.root)
    fingerprint = revoke_key(args.root, args.key)
    kept = "Keep a new `aams checkpoint` elsewhere, which finds an older copy of that file."
    emit(args, {"revoked": fingerprint}, [f"{fingerprint} is revoked. Commit safety/revoked_keys. {kept}"])
    return 0


def _shown(key: ListedKey) -> dict[str, Any]:
    line = key.allowed
    return {
        "role": line.role,
        "principal": line.principal,
        "fingerprint": key.fingerprint,
        "valid_after": line.valid_after,
        "valid_before": line.valid_before,
        "revoked": key.revoked,
        "held": key.held,
    }


def _require_lab(root: Path) -> None:
    from aams.errors import failure
    from safety.contract import CONTRACT_PATH

    if not (root / CONTRACT_PATH).exists():
        advice = "go to the repository's folder or name it with --root"
        raise failure("is no lab", f"{CONTRACT_PATH} is missing", advice, file=str(root))


def _login() -> str:
    """The login name as one plain name; `local` where there is none."""
    import getpass
    import re

    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = ""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "local"
