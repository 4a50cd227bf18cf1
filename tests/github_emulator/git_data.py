"""Git's own objects over REST: refs, blobs, trees, commits, annotated tags. https://docs.github.com/en/rest/git"""

from __future__ import annotations

import base64

from . import as_json
from .refs import check_update, move_ref
from .routing import Answer, RefusalError, Request, Route, invalid

WRITES = ("contents",)


def get_ref(request: Request) -> Answer:
    """https://docs.github.com/en/rest/git/refs#get-a-reference"""
    return _ref(request, f"refs/{request.parameters['ref']}")


def matching_refs(request: Request) -> Answer:
    """https://docs.github.com/en/rest/git/refs#list-matching-references"""
    git = request.repository.git
    prefix = f"refs/{request.parameters['ref']}"
    found = git.refs("refs")
    return Answer(
        [
            as_json.ref(request.site, request.repository, name, target, git.kind(target) or "")
            for name, target in found.items()
            if name.startswith(prefix)
        ]
    )


def create_ref(request: Request) -> Answer:
    """https://docs.github.com/en/rest/git/refs#create-a-reference"""
    repository, ref, new = request.repository, request.field("ref"), request.field("sha")
    if not ref.startswith("refs/") or ref.count("/") < 2:
        raise RefusalError(422, "Reference name must start with 'refs/' and have at least two slashes.")
    if repository.git.kind(new) is None:
        raise RefusalError(422, "Object does not exist")
    if repository.git.object_at(ref):
        raise RefusalError(422, "Reference already exists")
    check_update(repository, ref, None, new, request.identity)
    move_ref(request.site, repository, ref, None, new, request.identity)
    return _ref(request, ref, 201)


def update_ref(request: Request) -> Answer:
    """Without `force` only forward: https://docs.github.com/en/rest/git/refs#update-a-reference"""
    repository, ref, new = request.repository, f"refs/{request.parameters['ref']}", request.field("sha")
    old = repository.git.object_at(ref)
    if old is None:
        raise RefusalError(422, "Reference does not exist")
    if repository.git.kind(new) is None:
        raise RefusalError(422, "Object does not exist")
    if not request.body.get("force") and not repository.git.is_ancestor(old, new):
        raise RefusalError(422, "Update is not a fast forward")
    check_update(repository, ref, old, new, request.identity)
    move_ref(request.site, repository, ref, old, new, request.identity)
    return _ref(request, ref)


def delete_ref(request: Request) -> Answer:
    """https://docs.github.com/en/rest/git/refs#delete-a-reference"""
    repository, ref = request.repository, f"refs/{request.parameters['ref']}"
    old = repository.git.object_at(ref)
    if old is None:
        raise RefusalError(422, "Reference does not exist")
    check_update(repository, ref, old, None, request.identity)
    move_ref(request.site, repository, ref, old, None, request.identity)
    return Answer(status=204)


def create_blob(request: Request) -> Answer:
    """https://docs.github.com/en/rest/git/blobs#create-a-blob"""
    content = request.field("content")
    data = base64.b64decode(content) if request.body.get("encoding") == "base64" else content.encode()
    name = request.repository.git.write_blob(data)
    return Answer({"sha": name, "url": as_json.api(request.site, request.repository, f"/git/blobs/{name}")}, 201)


def get_blob(request: Request) -> Answer:
    """https://docs.github.com/en/rest/git/blobs#get-a-blob"""
    name = request.parameters["sha"]
    if request.repository.git.kind(name) != "blob":
        raise RefusalError(404, "Not Found")
    data = request.repository.git.blob(name)
    url = as_json.api(request.site, request.repository, f"/git/blobs/{name}")
    content = base64.b64encode(data).decode()
    return Answer({"sha": name, "size": len(data), "encoding": "base64", "content": content, "url": url})


def create_tree(request: Request) -> Answer:
    """https://docs.github.com/en/rest/git/trees#create-a-tree"""
    git = request.repository.git
    entries = []
    for entry in request.field("tree"):
        name = entry["sha"] if "sha" in entry else git.write_blob(entry["content"].encode())
        if name is not None and git.kind(name) is None:
            raise invalid("Tree", "sha")
        entries.append((entry["path"], entry.get("mode", "100644"), name))
    return _tree(request, git.write_tree(request.body.get("base_tree"), entries), 201)


def get_tree(request: Request) -> Answer:
    """https://docs.github.com/en/rest/git/trees#get-a-tree"""
    name = request.repository.git.object_at(f"{request.parameters['ref']}^{{tree}}")
    if name is None:
        raise RefusalError(404, "Not Found")
    return _tree(request, name)


def create_commit(request: Request) -> Answer:
    """https://docs.github.com/en/rest/git/commits#create-a-commit"""
    site, repository = request.site, request.repository
    login = request.identity.login
    author = request.body.get("author") or {"name": login, "email": f"{login}@users.noreply.github.com"}
    person = (author["name"], author["email"], author.get("date") or site.now())
    parents = request.body.get("parents", [])
    name = repository.git.write_commit(request.field("tree"), parents, request.field("message"), person)
    return Answer(as_json.git_commit(site, repository, repository.git.read_commit(name)), 201)


def get_commit(request: Request) -> Answer:
    """https://docs.github.com/en/rest/git/commits#get-a-commit-object"""
    git, name = request.repository.git, request.parameters["sha"]
    if git.kind(name) != "commit":
        raise RefusalError(404, "Not Found")
    return Answer(as_json.git_commit(request.site, request.repository, git.read_commit(name)))


def create_tag(request: Request) -> Answer:
    """An annotated tag's object, without a ref yet: https://docs.github.com/en/rest/git/tags#create-a-tag-object"""
    site, git, login = request.site, request.repository.git, request.identity.login
    tagger = request.body.get("tagger") or {"name": login, "email": f"{login}@users.noreply.github.com"}
    when = int(site.clock().timestamp())
    text = (
        f"object {request.field('object')}\ntype {request.field('type')}\ntag {request.field('tag')}\n"
        f"tagger {tagger['name']} <{tagger['email']}> {when} +0000\n\n{request.field('message')}\n"
    )
    return _tag(request, git.run("mktag", "--no-strict", data=text.encode()), 201)


def get_tag(request: Request) -> Answer:
    """https://docs.github.com/en/rest/git/tags#get-a-tag"""
    if request.repository.git.kind(request.parameters["sha"]) != "tag":
        raise RefusalError(404, "Not Found")
    return _tag(request, request.parameters["sha"])


def _ref(request: Request, ref: str, status: int = 200) -> Answer:
    git = request.repository.git
    target = git.object_at(ref)
    if target is None:
        raise RefusalError(404, "Not Found")
    return Answer(as_json.ref(request.site, request.repository, ref, target, git.kind(target) or ""), status)


def _tree(request: Request, name: str, status: int = 200) -> Answer:
    options = ["-r", "-t"] if request.query.get("recursive") else []
    repository = request.repository
    entries = [
        {"mode": mode, "type": kind, "sha": entry, "path": path}
        for mode, kind, entry, path in repository.git.list_tree(name, *options)
    ]
    url = as_json.api(request.site, repository, f"/git/trees/{name}")
    return Answer({"sha": name, "url": url, "tree": entries, "truncated": False}, status)


def _tag(request: Request, name: str, status: int = 200) -> Answer:
    head, _, message = request.repository.git.run("cat-file", "tag", name).partition("\n\n")
    fields = dict(line.split(" ", 1) for line in head.splitlines())
    target, kind = fields["object"], fields["type"]
    tagger, email = fields["tagger"].rpartition("> ")[0].split(" <")
    api = as_json.api(request.site, request.repository, "/git")
    return Answer(
        {
            "sha": name,
            "tag": fields["tag"],
            "message": message,
            "tagger": {"name": tagger, "email": email},
            "object": {"sha": target, "type": kind, "url": f"{api}/{kind}s/{target}"},
            "url": f"{api}/tags/{name}",
        },
        status,
    )


HERE = "/repos/{owner}/{repo}/git"
ROUTES = (
    Route("GET", HERE + "/ref/{ref:path}", get_ref),
    Route("GET", HERE + "/matching-refs/{ref:path}", matching_refs),
    Route("POST", HERE + "/refs", create_ref, "write", WRITES),
    Route("GET", HERE + "/refs/{ref:path}", get_ref),
    Route("PATCH", HERE + "/refs/{ref:path}", update_ref, "write", WRITES),
    Route("DELETE", HERE + "/refs/{ref:path}", delete_ref, "write", WRITES),
    Route("POST", HERE + "/blobs", create_blob, "write", WRITES),
    Route("GET", HERE + "/blobs/{sha:sha}", get_blob),
    Route("POST", HERE + "/trees", create_tree, "write", WRITES),
    Route("GET", HERE + "/trees/{ref:path}", get_tree),
    Route("POST", HERE + "/commits", create_commit, "write", WRITES),
    Route("GET", HERE + "/commits/{sha:sha}", get_commit),
    Route("POST", HERE + "/tags", create_tag, "write", WRITES),
    Route("GET", HERE + "/tags/{sha:sha}", get_tag),
)
