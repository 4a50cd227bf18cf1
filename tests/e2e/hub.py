"""A lab at GitHub's emulator, set up as `.github/` declares, and the commands that its workflows run."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
APP, OTHER_APP = 4242, 777
NAME = "ann/lab"
PEOPLE = {"ann": "admin", "dev": "write", "eve": ""}


class Hub:
    """The site, people's clients, and a checkout of main that stands for the workflows' own."""

    def __init__(self, site, lab, place):
        import github

        self.site, self.place = site, place
        self.token = {login: site.user(login) for login in PEOPLE}
        self.token["bot"] = site.app("lab-bot", APP)
        self.token["other"] = site.app("other-bot", OTHER_APP)
        options = {"retry": None, "seconds_between_requests": 0, "seconds_between_writes": 0}
        self._clients = {
            who: github.Github(base_url=site.url, auth=github.Auth.Token(token), **options)
            for who, token in self.token.items()
        }
        self.keys = {role: (lab.path / ".aams" / "keys" / role).read_text() for role in ("propose", "verdict")}
        site.repository(NAME, {"dev": "write"}, {"README.md": "A lab.\n"})
        self._found(lab)
        self.aams("setup", "--app", str(APP), "--apply", who="ann")

    def _found(self, lab):
        """Push the lab's files as main, with an owner and somebody who may approve."""
        self.checkout = lab.copy(self.place / "checkout").path
        (self.checkout / ".github").mkdir()
        shutil.copytree(ROOT / ".github", self.checkout / ".github", dirs_exist_ok=True)
        owners = self.checkout / ".github" / "CODEOWNERS"
        owners.write_text(owners.read_text().replace("@OWNER", "@ann"))
        contract = self.checkout / "safety" / "contract.yaml"
        contract.write_text(contract.read_text().replace("approvers: []", "approvers: [ann]"))
        self.git("remote", "add", "origin", self.site.git_url(NAME, self.token["ann"]))
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "A lab")
        self.git("push", "--quiet", "--force", "origin", "main")

    def repo(self, who, name=NAME):
        return self._clients[who].get_repo(name)

    def close(self):
        for client in self._clients.values():
            client.close()

    def git(self, *arguments, folder=None, status=0):
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.place), "GIT_CONFIG_NOSYSTEM": "1"}
        person = ("-c", "user.name=ann", "-c", "user.email=ann@example.org")
        place = folder or self.checkout
        done = subprocess.run(["git", *person, *arguments], cwd=place, env=environment, capture_output=True, text=True)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def aams(self, *arguments, who="bot", key="", status=0, module="github"):
        """One command of a workflow, in a checkout of main as it is now."""
        self.git("pull", "--quiet", "--ff-only", "origin", "main")
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.checkout),
            "GITHUB_API_URL": self.site.url,
            "GITHUB_SERVER_URL": self.site.url,
            "GITHUB_REPOSITORY": NAME,
            "AAMS_GITHUB_TOKEN": self.token[who],
            **({f"AAMS_{key.upper()}_KEY": self.keys[key]} if key else {}),
        }
        command = [sys.executable, "-m", "aams", *([module] if module else []), *arguments, "--json"]
        done = subprocess.run(command, cwd=self.checkout, env=environment, capture_output=True, text=True, timeout=300)
        said = done.stdout + done.stderr
        assert "Traceback" not in said and "a bug in AAMS" not in said, said
        for secret in (*self.token.values(), *self.keys.values()):
            assert secret not in said
        assert done.returncode == status, said
        return json.loads(done.stdout) if done.stdout else done.stderr

    def propose(self, *arguments, status=0):
        return self.aams("propose", *arguments, key="propose", status=status)

    def receive(self, status=0):
        return self.aams("receive", key="propose", status=status)["done"]

    def arbitrate(self, status=0):
        return self.aams("arbitrate", "--app", str(APP), status=status)["done"]

    def promote(self, status=0):
        return self.aams("promote", "--app", str(APP), key="verdict", status=status)["done"]

    def train(self, cycle):
        """What the job with compute does, and the one after it."""
        place = self.place / "compute"
        shutil.rmtree(place, ignore_errors=True)
        bundle = self.aams("bundle", "--cycle", cycle, str(place))["bundle"]
        self.aams("train", bundle, str(place / "results.zip"), module="")
        self.aams("deliver", "--cycle", cycle, str(place / "results.zip"))

    def comments(self, number):
        return [one.body for one in self.repo("ann").get_issue(number).get_comments()]

    def pull(self, number):
        return self.repo("ann").get_pull(number)

    def proposal(self):
        """The open proposal, and its cycle."""
        (pull,) = [one for one in self.repo("ann").get_pulls() if one.head.ref.startswith("aams/")]
        return pull, pull.head.ref.rpartition("/")[2]

    def wish(self, files, who="ann", branch="wish", label=True):
        """A person's pull request, from a fork if need be, labelled by a maintainer."""
        source = NAME if PEOPLE[who] else f"{who}/lab"
        if source != NAME:
            self.repo(who).create_fork()
        clone = self.place / f"clone-{who}-{branch}"
        self.git("clone", "--quiet", self.site.git_url(source, self.token[who]), str(clone), folder=self.place)
        self.git("checkout", "--quiet", "-b", branch, folder=clone)
        for name, text in files.items():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            (clone / name).write_text(text)
        self.git("add", "--all", folder=clone)
        self.git("commit", "--quiet", "--message", "mine", folder=clone)
        self.git("push", "--quiet", "origin", branch, folder=clone)
        head = branch if source == NAME else f"{who}:{branch}"
        pull = self.repo(who).create_pull(base="main", head=head, title=branch, body="")
        if label:
            self.pull(pull.number).add_to_labels("train")
        return pull

    def to_verdict(self, limit=8):
        """Train and judge the open proposal until it is decided; what the arbiter said last."""
        _, cycle = self.proposal()
        for _ in range(limit):
            self.train(cycle)
            self.receive()
            done = self.arbitrate()
            if "goes on" not in done[-1]["what"]:
                return done
            self.receive()
        raise AssertionError("it was never decided")

    def head(self, domain="language"):
        with contextlib.suppress(Exception):
            return self.repo("ann").get_contents(f"specs/{domain}/HEAD").decoded_content.decode().split()[0]
        return ""

    def checks(self, sha):
        runs = self.repo("ann").get_commit(sha).get_check_runs()
        return [(one.conclusion, one.output.title) for one in runs if one.name == "aams/arbiter"]

    def verify(self):
        """A fresh clone of main, verified by its own code."""
        clone = self.place / "fresh"
        shutil.rmtree(clone, ignore_errors=True)
        self.git("clone", "--quiet", self.site.git_url(NAME, self.token["ann"]), str(clone), folder=self.place)
        done = subprocess.run(
            [sys.executable, "-m", "aams", "verify"],
            cwd=clone,
            env={**os.environ, "PYTHONPATH": str(clone)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return clone
