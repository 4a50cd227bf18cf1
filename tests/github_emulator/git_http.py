"""Git over HTTP: `git http-backend` on the real repository, with a token and the rulesets in front of it.

https://git-scm.com/docs/git-http-backend
https://docs.github.com/en/repositories/configuring-branches-and-merges-in-your-repository/managing-rulesets/about-rulesets

A push's commands are read before git sees them. What a rule refuses is refused by the repository's update hook, which
gets the reasons through its environment, so that a push of several refs keeps those that are allowed.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from urllib.parse import SplitResult

from .git_store import ZERO, git_environment
from .records import Identity
from .refs import after_move
from .routing import Answer
from .rules import update_refusals
from .site import Repository, Site

PLACE = re.compile(r"/([^/]+/[^/]+?)(?:\.git)?/(info/refs|git-upload-pack|git-receive-pack)")
HOOK = """\
#!/bin/sh
# Prints why a rule refuses this ref: "ref<TAB>always|forced<TAB>reason", one a line, in REFUSED.
forced=no
case "$2$3" in
  *0000000000000000000000000000000000000000*) ;;
  *) git merge-base --is-ancestor "$2" "$3" || forced=yes ;;
esac
printf '%s\\n' "$REFUSED" | {
  status=0
  while IFS='\t' read -r ref when reason; do
    [ "$ref" = "$1" ] || continue
    [ "$when" = always ] || [ "$forced" = yes ] || continue
    [ "$status" = 1 ] || echo "error: GH013: Repository rule violations found for $1."
    echo "- $reason"
    status=1
  done
  exit "$status"
}
"""


def answer(
    site: Site, identity: Identity, method: str, url: SplitResult, headers: Mapping[str, str], content: bytes
) -> Answer | None:
    """Answer a request of a git client; None when it is not one."""
    found = PLACE.fullmatch(url.path)
    if found is None:
        return None
    repository = site.repositories.get(found[1])
    if repository is None or (repository.private and not repository.has_role(identity.login, "read")):
        return Answer({"message": "Not Found"}, 404)
    pushes = "git-receive-pack" in (found[2], url.query.removeprefix("service="))
    if pushes and identity.kind == "anonymous":
        return Answer({}, 401, headers={"WWW-Authenticate": 'Basic realm="GitHub"'})
    if pushes and not repository.can_write(identity):
        message = f"Permission to {repository.full_name}.git denied to {identity.login}."
        return Answer(message.encode(), 403, content_type="text/plain")
    variables = {
        "GIT_PROJECT_ROOT": str(site.root),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": f"/{repository.full_name}.git/{found[2]}",
        "QUERY_STRING": url.query,
        "REQUEST_METHOD": method,
        "REMOTE_USER": identity.login,
        "CONTENT_TYPE": headers.get("content-type", ""),
        "CONTENT_LENGTH": str(len(content)),
        "HTTP_CONTENT_ENCODING": headers.get("content-encoding", ""),
        "GIT_PROTOCOL": headers.get("git-protocol", ""),
    }
    if found[2] != "git-receive-pack":
        return _backend(variables, content)
    with site.lock:
        return _receive(site, repository, identity, variables, content)


def _receive(
    site: Site, repository: Repository, identity: Identity, variables: Mapping[str, str], content: bytes
) -> Answer:
    commands = _commands(content)
    lines = []
    for old, new, ref in commands:
        always = update_refusals(repository, ref, old, new, fast_forward=True, actor=identity)
        forced = update_refusals(repository, ref, old, new, fast_forward=False, actor=identity)
        lines += [f"{ref}\talways\t{reason}" for reason in always]
        lines += [f"{ref}\tforced\t{reason}" for reason in forced if reason not in always]
    hook = repository.git.path / "hooks" / "update"
    hook.write_text(HOOK)
    hook.chmod(0o755)
    done = _backend({**variables, "REFUSED": "\n".join(lines)}, content)
    for old, new, ref in commands:
        if repository.git.object_at(ref) == new and old != new:
            after_move(site, repository, ref, old, new, identity)
    return done


def _commands(content: bytes) -> list[tuple[str | None, str | None, str]]:
    """Old and new object and ref of each command, up to the flush packet: https://git-scm.com/docs/pack-protocol"""
    found, position = [], 0
    while (size := int(content[position : position + 4] or b"0", 16)) > 0:
        line = content[position + 4 : position + size].partition(b"\0")[0].decode().strip()
        position += size
        if re.match(r"[0-9a-f]{40} [0-9a-f]{40} ", line):
            old, new, ref = line.split(" ", 2)
            found.append((old if old != ZERO else None, new if new != ZERO else None, ref))
    return found


def _backend(variables: Mapping[str, str], content: bytes) -> Answer:
    done = subprocess.run(
        ["git", "http-backend"], input=content, capture_output=True, env={**git_environment(), **variables}, check=False
    )
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
    status = int(headers.pop("Status", "200").split()[0])
    return Answer(body, status, content_type=headers.pop("Content-Type", ""), headers=headers)
