"""A running emulator, a person on it with the real client, and pushes and data sets made as people make them."""

from __future__ import annotations

import json
import os

import pytest

OWNER = "ann"
HELLO = "print('hello')\nopen('out.txt', 'w').write('made here')\n"


class Stage:
    """A site with ann on it. `api` is her client, of the package `kaggle`."""

    def __init__(self, site, client, folder, monkeypatch):
        self.site, self.folder, self._client = site, folder, client
        for name, value in site.environment(OWNER).items():
            if not name.startswith("KAGGLE_"):
                monkeypatch.setenv(name, value)
        self.api = self.client(OWNER, site.user(OWNER))

    def client(self, user, key):
        """Somebody's client; it has read no file and no variable."""
        api = self._client()
        api.args = ["--local"]
        api.config_values = {"username": user, "key": key}
        return api

    def push(self, slug="first-kernel", text=HELLO, *, api=None, timeout=None, kind="script", **metadata):
        """Push a kernel of one file; its answer."""
        folder = self.folder / f"push-{slug}"
        folder.mkdir(exist_ok=True)
        (folder / "code").write_text(text)
        said = {"id": f"{OWNER}/{slug}", "title": slug.replace("-", " "), "code_file": "code", "language": "python"}
        (folder / "kernel-metadata.json").write_text(json.dumps({**said, "kernel_type": kind, **metadata}))
        return (api or self.api).kernels_push(str(folder), timeout=timeout)

    def put(self, slug="some-data", ready=True, **files):
        """A new data set, or a version of one, with files of the given contents."""
        folder = self.folder / f"data-{slug}"
        folder.mkdir(exist_ok=True)
        for name, content in files.items():
            (folder / name.replace("_", ".")).write_bytes(content)
        said = {"id": f"{OWNER}/{slug}", "title": slug, "licenses": [{"name": "unknown"}]}
        (folder / "dataset-metadata.json").write_text(json.dumps(said))
        is_new = self.site.dataset(f"{OWNER}/{slug}") is None
        notes = {} if is_new else {"version_notes": "more"}
        make = self.api.dataset_create_new if is_new else self.api.dataset_create_version
        answer = make(str(folder), quiet=True, **notes)
        while ready and self.api.dataset_status(f"{OWNER}/{slug}") != "ready":
            pass
        return answer

    def status(self, slug="first-kernel"):
        """Name and failure of a kernel's session, when it has ended."""
        self.site.wait_for_sessions()
        answer = self.api.kernels_status(f"{OWNER}/{slug}")
        return answer.status.name, answer.failure_message

    def log(self, slug="first-kernel"):
        """What a kernel's last session printed."""
        return "".join(entry["data"] for entry in self.site.kernel(f"{OWNER}/{slug}").last.log)


@pytest.fixture(scope="session")
def client(tmp_path_factory):
    """The class of the real client. Importing it makes a folder in the home and signs in as whom it can."""
    before = {name: value for name, value in os.environ.items() if name.startswith("KAGGLE_") or name == "HOME"}
    for name in before:
        del os.environ[name]
    os.environ["HOME"] = str(tmp_path_factory.mktemp("home"))
    try:
        # The repository's own folder kaggle/ can be imported too, and is nothing.
        return pytest.importorskip("kaggle.api.kaggle_api_extended").KaggleApi
    finally:
        del os.environ["HOME"]
        os.environ.update(before)


@pytest.fixture
def stage(kaggle_emulator, client, tmp_path, monkeypatch):
    """A site, with or without sessions that can run here."""
    made = Stage(kaggle_emulator.KaggleEmulator(tmp_path / "site"), client, tmp_path, monkeypatch)
    yield made
    made.site.close()


@pytest.fixture
def running_stage(kaggle_emulator, stage):
    """A site whose sessions really run."""
    if kaggle_emulator.why_not():
        pytest.skip(kaggle_emulator.why_not())
    return stage


@pytest.fixture
def refused():
    """The exception of a refusal with a status."""
    requests = pytest.importorskip("requests")

    def expect(status):
        return pytest.raises(requests.HTTPError, check=lambda error: error.response.status_code == status)

    return expect
