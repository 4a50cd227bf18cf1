"""A lab at GitHub's emulator, set up as `.github/` declares, and the commands that its workflows run."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from aams.github.repository import AUTHOR_ADDRESS, AUTHOR_NAME

ROOT = Path(__file__).parents[2]
APP, OTHER_APP = 4242, 777
NAME = "ann/lab"
PEOPLE = {"ann": "admin", "dev": "write", "eve": ""}


class Hub:
    """The site, people's clients, and a checkout of main that stands for the workflows' own."""

    def __init__(self, site, lab, place, **contract):
        """Found it; `contract` are thresholds of its contract."""
        import github

        self.site, self.place, self.summary = site, place, place / "summary.md"
        self.token = {login: site.user(login) for login in PEOPLE}
        writes = ("actions", "checks", "contents", "issues", "pull-requests")
        self.token["bot"] = site.app("lab-bot", APP, {**dict.fromkeys(writes, "write"), "administration": "read"})
        self.token["other"] = site.app("other-bot", OTHER_APP)
        options = {"retry": None, "seconds_between_requests": 0, "seconds_between_writes": 0}
        self._clients = {
            who: github.Github(base_url=site.url, auth=github.Auth.Token(token), **options)
            for who, token in self.token.items()
        }
        self.keys = {role: (lab.path / ".aams" / "keys" / role).read_text() for role in ("propose", "verdict")}
        site.repository(NAME, {"dev": "write"}, {"README.md": "A lab.\n"})
        self._found(lab, contract)
        self.aams("setup", "--app", str(APP), "--apply", who="ann")

    def _found(self, lab, contract):
        """Push the lab's files as main, with an owner and somebody who may approve."""
        lab = lab.copy(self.place / "checkout")
        lab.contract(**contract)
        self.checkout = lab.path
        unwanted = shutil.ignore_patterns("ci.yml", "pages.yml", "spec_gate.yml")  # they install torch, or deploy
        shutil.copytree(ROOT / ".github", self.checkout / ".github", ignore=unwanted)
        owners = self.checkout / ".github" / "CODEOWNERS"
        owners.write_text(owners.read_text().replace("@OWNER", "@ann"))
        path = self.checkout / "safety" / "contract.yaml"
        path.write_text(path.read_text().replace("approvers: []", "approvers: [ann]"))
        self.git("remote", "add", "origin", self.site.git_url(NAME, self.token["ann"]))
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "A lab")
        self.git("push", "--quiet", "--force", "origin", "main")

    def give_secrets(self):
        """What a person puts into the environments, for workflows that really run."""
        self.site.variable(NAME, "AAMS_APP_ID", str(APP))
        key = self.site.app_key(APP)
        for role in ("propose", "verdict"):
            self.site.secret(NAME, "AAMS_APP_KEY", key, environment=role)
            self.site.secret(NAME, "AAMS_ARBITER_SECRET", "what nobody else knows", environment="verdict")
            self.site.secret(NAME, f"AAMS_{role.upper()}_KEY", self.keys[role], environment=role)

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

    def aams(self, *arguments, who="bot", key="", status=0, module="github", fresh=True):
        """One command of a workflow, in a checkout of main as it is now."""
        if fresh:
            self.git("pull", "--quiet", "--ff-only", "origin", "main")
        command, environment = self._command(arguments, who, key, module)
        done = subprocess.run(command, cwd=self.checkout, env=environment, capture_output=True, text=True, timeout=300)
        said = done.stdout + done.stderr
        assert "Traceback" not in said and "a bug in AAMS" not in said, said
        for secret in (*self.token.values(), *self.keys.values()):
            assert secret not in said
        assert done.returncode == status, said
        return json.loads(done.stdout) if done.stdout else done.stderr

    def killed(self, *arguments, key="", after):
        """The same, killed once GitHub has carried out so many of its writes; whether it was, or had ended before."""
        self.git("pull", "--quiet", "--ff-only", "origin", "main")
        command, environment = self._command(arguments, "bot", key, "github")
        self.site.fail_next("write", "^(?!.*git-upload-pack)", "timeout", after=after - 1, carried_out=True)
        unanswered = [one.status for one in self.site.requests].count(None)
        process = subprocess.Popen(
            command,
            cwd=self.checkout,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        while process.poll() is None and [one.status for one in self.site.requests].count(None) == unanswered:
            time.sleep(0.02)
        was_running = process.poll() is None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.site.heal()
        assert was_running or process.returncode == 0
        return was_running

    def _command(self, arguments, who, key, module):
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.checkout),
            "GITHUB_API_URL": self.site.url,
            "GITHUB_SERVER_URL": self.site.url,
            "GITHUB_REPOSITORY": NAME,
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "AAMS_GITHUB_TOKEN": self.token[who],
            "AAMS_ARBITER_SECRET": "what nobody else knows",
            **({f"AAMS_{key.upper()}_KEY": self.keys[key]} if key else {}),
        }
        return [sys.executable, "-m", "aams", *([module] if module else []), *arguments, "--json"], environment

    def propose(self, *arguments, status=0):
        return self.aams("propose", *arguments, key="propose", status=status)

    def receive(self, status=0):
        return done(self.aams("receive", key="propose", status=status))

    def arbitrate(self, status=0):
        return done(self.aams("arbitrate", "--app", str(APP), status=status))

    def promote(self, status=0):
        return done(self.aams("promote", "--app", str(APP), key="verdict", status=status))

    def sweep(self, *arguments):
        """A sweep of the proposer's that may come too late: how it ended does not matter."""
        with contextlib.suppress(AssertionError):
            self.aams(*arguments, key="propose", fresh=False)

    def train(self, cycle):
        """What the job with compute does, and the one after it."""
        place = self.place / "compute"
        shutil.rmtree(place, ignore_errors=True)
        bundle = self.aams("bundle", "--cycle", cycle, str(place))["bundle"]
        self.aams("train", bundle, str(place / "results.zip"), module="")
        self.aams("deliver", "--cycle", cycle, str(place / "results.zip"))

    def entries(self, cycle, event):
        """A cycle's entries of an event on its branch."""
        files = self.repo("ann").get_contents(f"logs/cycles/{cycle}", ref=f"aams/language/{cycle}")
        return [file.name for file in files if file.name.endswith(f"-{event}.json")]

    def ask(self, who, method, path, **body):
        return self._clients[who].requester.requestJsonAndCheck(method, path, input=body or None)[1]

    def rulesets(self, who):
        return self.ask(who, "GET", f"/repos/{NAME}/rulesets")

    def download(self, url):
        import requests

        return requests.get(url, timeout=60).content

    def push_onto(self, branch, who):
        """What Git says when somebody pushes a commit of his own onto a branch; "" when it goes through."""
        clone = self.place / f"onto-{who}"
        self.git("clone", "--quiet", self.site.git_url(NAME, self.token[who]), str(clone), folder=self.place)
        self.git("checkout", "--quiet", branch, folder=clone)
        (clone / "logs" / "note.txt").write_text("mine\n")
        self.git("add", "--all", folder=clone)
        self.git("commit", "--quiet", "--message", "mine", folder=clone)
        try:
            return self.git("push", "--quiet", "origin", branch, folder=clone)
        except AssertionError as refused:
            return str(refused)

    def push_as_bot(self, branch, change):
        """What Git says when a commit of the bot's is pushed onto a branch that `change` made of a clone."""
        clone = self.place / "onto-bot"
        self.git("clone", "--quiet", self.site.git_url(NAME, self.token["bot"]), str(clone), folder=self.place)
        self.git("checkout", "--quiet", branch, folder=clone)
        change(clone)
        self.git("add", "--all", folder=clone)
        bot = ("-c", f"user.name={AUTHOR_NAME}", "-c", f"user.email={AUTHOR_ADDRESS}")
        self.git(*bot, "commit", "--quiet", "--message", "Judge", folder=clone)
        return self.git("push", "--quiet", "origin", branch, folder=clone)

    def merge_record(self, number):
        """Some record on main, as the bot brings them."""
        repo = self.repo("bot")
        tip = repo.get_branch("main").commit.sha
        branch = repo.create_git_ref(f"refs/heads/aams/other-{number}", tip).ref.removeprefix("refs/heads/")
        name = f"logs/notes/{number}.txt"
        commit = repo.create_file(name, name, f"{number}\n", branch=branch)["commit"]
        pull = repo.create_pull(base="main", head=branch, title=name, body="")
        repo.create_check_run("aams/arbiter", commit.sha, status="completed", conclusion="success")
        assert pull.merge(sha=commit.sha).merged

    def change_file(self, folder, name, text):
        """Somebody changes a file of the first generation on main, while no rule forbids it."""
        (generation,) = self.repo("ann").get_contents(folder)
        file = self.repo("ann").get_contents(f"{generation.path}/{name}")
        self.repo("ann").update_file(file.path, "changed", text, file.sha)

    def change_contract(self, before, after):
        """A person changes the contract on main; here the rules are put aside for it."""
        (main,) = [one for one in self.rulesets("ann") if one["name"] == "main"]
        whole = self.ask("ann", "GET", f"/repos/{NAME}/rulesets/{main['id']}")
        self.ask("ann", "PUT", f"/repos/{NAME}/rulesets/{main['id']}", enforcement="disabled")
        path = "safety/contract.yaml"
        file = self.repo("ann").get_contents(path)
        text = file.decoded_content.decode()
        assert before in text
        self.repo("ann").update_file(path, "contract", text.replace(before, after), file.sha)
        self.ask("ann", "PUT", f"/repos/{NAME}/rulesets/{main['id']}", enforcement=whole["enforcement"])

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


def done(answer):
    """What a sweep did; its complaint, when it could not go on at all."""
    return answer if isinstance(answer, str) else answer["done"]
