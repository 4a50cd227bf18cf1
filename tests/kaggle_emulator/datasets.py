"""Data sets: blobs, versions, files. What a rule comes from stands beside it.

A file arrives in two steps (`kaggle_api_extended.py`, `_upload_blob`): StartBlobUpload gives a token and an address, a
PUT there brings the bytes, and CreateDataset or CreateDatasetVersion names the token.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
import zipfile
from collections.abc import Iterable
from pathlib import Path

from .records import Blob, Dataset, DatasetVersion, Json
from .site import Call, RefusalError, Site, page

UNPACKED = ".zip"
"""Kaggle unpacks archives, by the ending of their names: https://www.kaggle.com/docs/datasets#supported-file-types"""

DENIED = "Permission 'datasets.get' was denied"


def start_blob_upload(call: Call) -> Json:
    token = secrets.token_hex(16)
    name, size = Path(call.field("name")).name, int(call.body.get("contentLength", 0))
    call.site.blobs[token] = Blob(name, size, call.site.folder / "blobs" / token)
    return {"token": token, "createUrl": f"{call.site.url}/upload/{token}"}


def create_dataset(call: Call) -> Json:
    owner, slug = call.field("ownerSlug"), call.field("slug")
    ref = f"{owner}/{slug}"
    if owner != call.user:
        raise RefusalError(403, "Permission 'datasets.create' was denied")
    if ref in call.site.datasets:
        title = call.body.get("title", "")
        return {"status": "error", "error": f'The requested title "{title}" is already in use by a dataset.'}
    made = Dataset(call.site.next_id(), ref, call.field("title"), bool(call.body.get("isPrivate")))
    call.site.datasets[ref] = made
    return _add_version(call, made, call.body, "Initial release")


def create_dataset_version(call: Call) -> Json:
    """A second version is denied while the first is not ready: https://github.com/Kaggle/kagglehub/pull/182"""
    dataset = find(call, call.field("ownerSlug"), call.field("datasetSlug"))
    if len(dataset.versions) == 1 and _status(dataset) != "READY":
        raise RefusalError(403, "Permission 'datasets.update' was denied")
    body = call.field("body")
    return _add_version(call, dataset, body, body.get("versionNotes", ""))


def get_dataset(call: Call) -> Json:
    dataset = find(call, call.field("ownerSlug"), call.field("datasetSlug"))
    notes = [{"versionNumber": number, "versionNotes": each.notes} for number, each in enumerate(dataset.versions, 1)]
    return {
        "id": dataset.id,
        "ref": dataset.ref,
        "title": dataset.title,
        "isPrivate": dataset.private,
        "currentVersionNumber": len(dataset.versions),
        "totalBytes": sum(each["totalBytes"] for each in _files(dataset)),
        "versions": notes,
    }


def get_dataset_status(call: Call) -> Json:
    return {"status": _status(find(call, call.field("ownerSlug"), call.field("datasetSlug")))}


def list_dataset_files(call: Call) -> Json:
    dataset = find(call, call.field("ownerSlug"), call.field("datasetSlug"))
    size, start = int(call.body.get("pageSize") or 20), int(call.body.get("pageToken") or 0)
    shown, following = page(_files(dataset), size, start)
    return {"datasetFiles": shown, "nextPageToken": following}


def delete_dataset(call: Call) -> Json:
    dataset = find(call, call.field("ownerSlug"), call.field("datasetSlug"))
    del call.site.datasets[dataset.ref]
    return {}


def find(call: Call, owner: str, slug: str) -> Dataset:
    """A data set that somebody may see. One that is missing is denied like one that is private.

    `kagglehub/datasets_helpers.py` takes 403 and 404 alike for one that is not there.
    """
    found = call.site.datasets.get(f"{owner}/{slug}")
    if found is None or (found.private and owner != call.user):
        raise RefusalError(403, DENIED)
    return found


def usable(site: Site, user: str, source: str) -> Dataset | None:
    """The data set that a kernel names as `owner/slug` or `owner/slug/version`, if it can be had."""
    found = site.datasets.get("/".join(source.split("/")[:2]))
    if found is None or found.ref in site.to_be_dropped or _status(found) != "READY":
        return None
    return found if not found.private or found.ref.startswith(f"{user}/") else None


def receive(site: Site, token: str, content: bytes, content_range: str) -> tuple[int, Json]:
    """A PUT of bytes, or the question what of them is there: `_resume_upload` of the client.

    https://cloud.google.com/storage/docs/performing-resumable-uploads#status-check
    """
    blob = site.blobs.get(token)
    if blob is None:
        return 404, {"code": 404, "message": "Upload expired"}
    if content_range.startswith("bytes */"):
        return (200, {}) if blob.place.exists() else (308, {})
    part = blob.place.with_suffix(".part")
    part.parent.mkdir(exist_ok=True)
    part.write_bytes(content)
    part.rename(blob.place)
    return 200, {}


def _add_version(call: Call, dataset: Dataset, body: Json, notes: str) -> Json:
    site = call.site
    folder = site.new_folder("datasets", dataset.ref)
    for each in body.get("files") or []:
        blob = site.blobs.get(each.get("token", ""))
        if blob is None or not blob.place.exists():
            raise RefusalError(400, "A file's upload is not complete")
        _lay_out(folder, blob)
    dataset.versions.append(DatasetVersion(folder, notes, time.monotonic() + site.processing_s))
    return {"ref": dataset.ref, "url": f"https://www.kaggle.com/datasets/{dataset.ref}", "status": "ok", "error": ""}


def _lay_out(folder: Path, blob: Blob) -> None:
    place = folder / blob.name
    shutil.copyfile(blob.place, place)
    if blob.name.endswith(UNPACKED):
        with zipfile.ZipFile(place) as archive:
            archive.extractall(folder / blob.name.removesuffix(UNPACKED))
        place.unlink()


def _status(dataset: Dataset) -> str:
    """A name of `DatabundleVersionStatus`, `kagglesdk/datasets/types/dataset_enums.py`."""
    newest = dataset.versions[-1]
    if newest.failed:
        return "FAILED"
    return "READY" if time.monotonic() >= newest.ready_at else "BLOBS_RECEIVED"


def _files(dataset: Dataset) -> list[Json]:
    return [
        {"name": path.relative_to(dataset.versions[-1].folder).as_posix(), "totalBytes": path.stat().st_size}
        for path in walk(dataset.versions[-1].folder)
    ]


def walk(folder: Path) -> Iterable[Path]:
    """The files below a folder, sorted; a link is none."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(place, name) for name in sorted(names) if not Path(place, name).is_symlink())


SERVICE = "datasets.DatasetApiService"
CALLS = {
    "blobs.BlobApiService/StartBlobUpload": start_blob_upload,
    f"{SERVICE}/CreateDataset": create_dataset,
    f"{SERVICE}/CreateDatasetVersion": create_dataset_version,
    f"{SERVICE}/GetDataset": get_dataset,
    f"{SERVICE}/GetDatasetStatus": get_dataset_status,
    f"{SERVICE}/ListDatasetFiles": list_dataset_files,
    f"{SERVICE}/DeleteDataset": delete_dataset,
}
