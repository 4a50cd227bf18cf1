"""Releases as places for files that Git does not hold: bundles, results, weights.

Takes a tag and names, gives bytes. A file is there whole or not at all, and one that is there is replaced only when
that is asked for.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aams.errors import failure
from aams.github.calls import call
from aams.github.records import Asset
from aams.github.repository import BASE, Repository


class Release:
    """The release of one tag, which may not be there yet."""

    def __init__(self, repository: Repository, tag: str) -> None:
        self._repository = repository
        self.tag = tag

    def assets(self) -> dict[str, Asset]:
        """Its files by name, those that were uploaded to the end; none when there is no such release."""
        data = self._data()
        found = self._repository.every(f"/releases/{data['id']}/assets") if data else []
        whole = [one for one in found if one["state"] == "uploaded"]
        return {one["name"]: Asset(one["id"], one["name"], one["size"]) for one in whole}

    def ensure(self, title: str, text: str, prerelease: bool) -> None:
        """Have the release be there."""
        if self._data() is None:
            wanted = {"tag_name": self.tag, "target_commitish": BASE, "name": title, "body": text}
            self._repository.ask("POST", "/releases", {**wanted, "prerelease": prerelease})

    def put(self, name: str, content: bytes) -> None:
        """Have a file of this name hold this; the release is there. What else had the name is replaced."""
        data = self._data()
        if data is None:
            raise failure("there is no such release", self.tag, file="github")
        for one in self._repository.every(f"/releases/{data['id']}/assets"):
            if one["name"] == name:
                if one["state"] == "uploaded" and one["size"] == len(content) and self._holds(one, content):
                    return
                self._repository.ask("DELETE", f"/releases/assets/{one['id']}")
        release = self._repository.api.get_release(data["id"])
        call(
            f"can't upload {name}",
            lambda: release.upload_asset_from_memory(
                io.BytesIO(content), len(content), name, content_type="application/octet-stream"
            ),
            repeats=False,
        )

    def get(self, asset: Asset, place: Path, limit_bytes: int) -> Path:
        """Bring a file into a folder under its own name.

        Raises:
            AamsError: it is larger than the limit.
        """
        if asset.size > limit_bytes:
            raise failure(f"is larger than {limit_bytes} bytes", f"{asset.size} bytes", file=asset.name)
        place.mkdir(parents=True, exist_ok=True)
        target = place / asset.name
        made = self._repository.api.get_release_asset(asset.id)
        call(f"can't download {asset.name}", lambda: made.download_asset(str(target), chunk_size=1 << 20))
        return target

    def _holds(self, data: Any, content: bytes) -> bool:
        with tempfile.TemporaryDirectory(prefix="aams-") as place:
            asset = Asset(data["id"], data["name"], data["size"])
            return self.get(asset, Path(place), len(content)).read_bytes() == content

    def remove(self, name: str) -> None:
        """Have no file of this name be there."""
        found = self.assets().get(name)
        if found:
            self._repository.ask("DELETE", f"/releases/assets/{found.id}")

    def delete(self) -> None:
        """Have the release and its tag be gone."""
        data = self._data()
        if data:
            self._repository.ask("DELETE", f"/releases/{data['id']}")
            self._repository.ask("DELETE", f"/git/refs/tags/{quote(self.tag)}")

    def _data(self) -> Any:
        return self._repository.find(f"/releases/tags/{quote(self.tag)}")
