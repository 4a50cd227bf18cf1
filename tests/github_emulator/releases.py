"""Releases and their assets. https://docs.github.com/en/rest/releases

A release whose tag is not there yet makes it, a lightweight one, at its target; a draft does not.
"""

from __future__ import annotations

from dataclasses import replace

from . import as_json
from .records import Asset, Json, Release
from .refs import check_update, fire, move_ref
from .routing import Answer, RefusalError, Request, Route, invalid
from .site import Repository, Site

WRITES = ("contents",)


def list_releases(request: Request) -> Answer:
    """Newest first; drafts for those with write access: https://docs.github.com/en/rest/releases/releases#list-releases"""
    repository = request.repository
    shown = [
        release_as_json(request.site, repository, release)
        for release in reversed(repository.releases.values())
        if not release.draft or repository.can_write(request.identity)
    ]
    return Answer(shown)


def create_release(request: Request) -> Answer:
    """https://docs.github.com/en/rest/releases/releases#create-a-release"""
    site, repository, body = request.site, request.repository, request.body
    tag = request.field("tag_name")
    if any(release.tag == tag and not release.draft for release in repository.releases.values()):
        raise invalid("Release", "tag_name", "already_exists")
    target = body.get("target_commitish") or repository.default_branch
    release = Release(
        site.next_id(),
        tag,
        target,
        body.get("name") or tag,
        body.get("body") or "",
        bool(body.get("draft")),
        bool(body.get("prerelease")),
        request.identity.login,
        site.now(),
    )
    _ensure_tag(request, release)
    repository.releases[release.id] = release
    if not release.draft:
        shown = release_as_json(site, repository, release)
        fire(site, repository, "release", "published", {"release": shown}, request.identity, f"refs/tags/{tag}")
    return Answer(release_as_json(site, repository, release), 201)


def get_release(request: Request) -> Answer:
    """https://docs.github.com/en/rest/releases/releases#get-a-release"""
    return Answer(release_as_json(request.site, request.repository, _release(request)))


def latest_release(request: Request) -> Answer:
    """The newest that is neither a draft nor a prerelease: https://docs.github.com/en/rest/releases/releases#get-the-latest-release"""
    for release in reversed(request.repository.releases.values()):
        if not release.draft and not release.prerelease:
            return Answer(release_as_json(request.site, request.repository, release))
    raise RefusalError(404, "Not Found")


def release_by_tag(request: Request) -> Answer:
    """https://docs.github.com/en/rest/releases/releases#get-a-release-by-tag-name"""
    for release in request.repository.releases.values():
        if release.tag == request.parameters["tag"] and not release.draft:
            return Answer(release_as_json(request.site, request.repository, release))
    raise RefusalError(404, "Not Found")


def update_release(request: Request) -> Answer:
    """https://docs.github.com/en/rest/releases/releases#update-a-release"""
    body = request.body
    names = {"tag_name": "tag", "target_commitish": "target"}
    fields = ("tag_name", "target_commitish", "name", "body", "draft", "prerelease")
    changed = replace(_release(request), **{names.get(key, key): body[key] for key in fields if key in body})
    _ensure_tag(request, changed)
    request.repository.releases[changed.id] = changed
    return Answer(release_as_json(request.site, request.repository, changed))


def delete_release(request: Request) -> Answer:
    """The tag stays: https://docs.github.com/en/rest/releases/releases#delete-a-release"""
    release, repository = _release(request), request.repository
    del repository.releases[release.id]
    repository.assets = {key: asset for key, asset in repository.assets.items() if asset.release != release.id}
    return Answer(status=204)


def list_assets(request: Request) -> Answer:
    """https://docs.github.com/en/rest/releases/assets#list-release-assets"""
    return Answer(release_as_json(request.site, request.repository, _release(request))["assets"])


def upload_asset(request: Request) -> Answer:
    """A name is there once only: https://docs.github.com/en/rest/releases/assets#upload-a-release-asset"""
    site, repository, query, release = request.site, request.repository, request.query, _release(request)
    if not query.get("name") or not request.content:
        raise RefusalError(400, "Bad Content-Length or no name")
    if any(asset.release == release.id and asset.name == query["name"] for asset in repository.assets.values()):
        raise invalid("ReleaseAsset", "name", "already_exists")
    asset = Asset(
        site.next_id(),
        release.id,
        query["name"],
        query.get("label", ""),
        request.headers.get("content-type", "application/octet-stream"),
        request.content,
        request.identity.login,
        site.now(),
    )
    repository.assets[asset.id] = asset
    return Answer(asset_as_json(site, repository, asset), 201)


def get_asset(request: Request) -> Answer:
    """Its content for `Accept: application/octet-stream`: https://docs.github.com/en/rest/releases/assets#get-a-release-asset"""
    asset = _asset(request)
    if "octet-stream" in request.headers.get("accept", ""):
        return Answer(asset.content, content_type="application/octet-stream")
    return Answer(asset_as_json(request.site, request.repository, asset))


def delete_asset(request: Request) -> Answer:
    """https://docs.github.com/en/rest/releases/assets#delete-a-release-asset"""
    del request.repository.assets[_asset(request).id]
    return Answer(status=204)


def download(request: Request) -> Answer:
    """What `browser_download_url` names: https://docs.github.com/en/repositories/releasing-projects-on-github/linking-to-releases"""
    wanted = (request.parameters["tag"], request.parameters["name"])
    for asset in request.repository.assets.values():
        if (request.repository.releases[asset.release].tag, asset.name) == wanted:
            return Answer(asset.content, content_type="application/octet-stream")
    raise RefusalError(404, "Not Found")


def _release(request: Request) -> Release:
    release = request.repository.releases.get(int(request.parameters["release"]))
    if release is None or (release.draft and not request.repository.can_write(request.identity)):
        raise RefusalError(404, "Not Found")
    return release


def _asset(request: Request) -> Asset:
    asset = request.repository.assets.get(int(request.parameters["asset"]))
    if asset is None:
        raise RefusalError(404, "Not Found")
    return asset


def _ensure_tag(request: Request, release: Release) -> None:
    repository, ref = request.repository, f"refs/tags/{release.tag}"
    if release.draft or repository.git.object_at(ref):
        return
    commit = repository.tip(release.target) or repository.git.commit_at(release.target)
    if commit is None:
        raise invalid("Release", "target_commitish")
    check_update(repository, ref, None, commit, request.identity)
    move_ref(request.site, repository, ref, None, commit, request.identity)


def release_as_json(site: Site, repo: Repository, record: Release) -> Json:
    here = f"/releases/{record.id}"
    return {
        "id": record.id,
        "tag_name": record.tag,
        "target_commitish": record.target,
        "name": record.name,
        "body": record.body,
        "draft": record.draft,
        "prerelease": record.prerelease,
        "author": as_json.user(site, record.author),
        "created_at": record.created_at,
        "published_at": None if record.draft else record.created_at,
        "assets": [asset_as_json(site, repo, one) for one in repo.assets.values() if one.release == record.id],
        "url": as_json.api(site, repo, here),
        "html_url": as_json.page(site, repo, f"/releases/tag/{record.tag}"),
        "assets_url": as_json.api(site, repo, f"{here}/assets"),
        "upload_url": f"{as_json.api(site, repo, here)}/assets{{?name,label}}",
    }


def asset_as_json(site: Site, repo: Repository, record: Asset) -> Json:
    tag = repo.releases[record.release].tag
    return {
        "id": record.id,
        "name": record.name,
        "label": record.label,
        "content_type": record.content_type,
        "size": len(record.content),
        "state": "uploaded",
        "uploader": as_json.user(site, record.uploader),
        "created_at": record.created_at,
        "updated_at": record.created_at,
        "url": as_json.api(site, repo, f"/releases/assets/{record.id}"),
        "browser_download_url": as_json.page(site, repo, f"/releases/download/{tag}/{record.name}"),
    }


HERE = "/repos/{owner}/{repo}/releases"
ROUTES = (
    Route("GET", HERE, list_releases),
    Route("POST", HERE, create_release, "write", WRITES),
    Route("GET", HERE + "/latest", latest_release),
    Route("GET", HERE + "/tags/{tag:path}", release_by_tag),
    Route("GET", HERE + "/{release:int}", get_release),
    Route("PATCH", HERE + "/{release:int}", update_release, "write", WRITES),
    Route("DELETE", HERE + "/{release:int}", delete_release, "write", WRITES),
    Route("GET", HERE + "/{release:int}/assets", list_assets),
    Route("POST", HERE + "/{release:int}/assets", upload_asset, "write", WRITES),
    Route("GET", HERE + "/assets/{asset:int}", get_asset),
    Route("DELETE", HERE + "/assets/{asset:int}", delete_asset, "write", WRITES),
    Route("GET", "/{owner}/{repo}/releases/download/{tag:path}/{name}", download),
)
