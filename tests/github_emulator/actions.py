"""GitHub Actions: events start runs, and `act` runs them, on this machine, one after the other unless told otherwise.

Events that a GITHUB_TOKEN causes start nothing, but for dispatches:
https://docs.github.com/en/actions/concepts/security/github_token#when-github_token-triggers-workflow-runs
A run of a fork's pull request gets no secrets and a token that can only read:
https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows#workflows-in-forked-repositories
Each finished job leaves a check run of the App github-actions, each finished run a `workflow_run` event.
"""

from __future__ import annotations

import queue
import threading
import traceback
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from . import act, as_json
from .records import ACTIONS_APP_ID, CheckRun, Event, Identity, Json, Run
from .refs import fire
from .site import Repository, Site
from .workflows import ALWAYS_START, OF_A_PULL, commit_of, run_title, started


class Actions:
    """Queued runs and the threads that run them. `environment` is what steps find, beside what GitHub gives them."""

    def __init__(self, site: Site, folder: Path, environment: Mapping[str, str], runners: int) -> None:
        self.site = site
        self._folder = folder
        self._environment = dict(environment)
        self._queue: queue.SimpleQueue[Run | None] = queue.SimpleQueue()
        self._idle = threading.Condition(site.lock)
        self._unfinished = 0
        self._processes: dict[int, act.Process] = {}
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(runners)]
        for thread in self._threads:
            thread.start()

    def notify(self, repository: Repository, event: Event, payload: Json, actor: Identity) -> None:
        """Queue the runs that an event starts."""
        if actor.kind == "actions" and event.name not in ALWAYS_START:
            return
        commit = commit_of(repository, event, payload)
        if commit is None:
            return
        head, branch, trusted = commit, event.ref.removeprefix("refs/heads/"), True
        if event.name in OF_A_PULL:
            source = payload["pull_request"]["head"]
            head, branch = source["sha"], source["ref"]
            trusted = source["repo"]["full_name"] == repository.full_name
        for workflow in started(repository, commit, event, payload):
            number = sum(run.workflow == workflow.path for run in repository.runs.values()) + 1
            self._enqueue(
                repository,
                Run(
                    self.site.next_id(),
                    number,
                    1,
                    repository.full_name,
                    workflow.path,
                    workflow.name,
                    event.name,
                    payload,
                    event.ref,
                    branch,
                    commit,
                    head,
                    actor.login,
                    trusted,
                    self.site.now(),
                    run_title(workflow, payload),
                ),
            )

    def cancel(self, run: Run) -> None:
        """A run that waits never starts; one that runs is killed with all its steps."""
        with self.site.lock:
            if run.id in self._processes:
                self._processes[run.id].kill()
            else:
                self._store(replace(run, status="completed", conclusion="cancelled"))

    def rerun(self, run: Run) -> None:
        again = replace(run, attempt=run.attempt + 1, status="queued", conclusion=None, log="")
        self._enqueue(self.site.repositories[run.repository], again)

    def wait(self, timeout_s: float) -> None:
        """Wait until no run is left, those included that runs start. Raises: TimeoutError, with what still runs."""
        with self._idle:
            if not self._idle.wait_for(lambda: not self._unfinished, timeout_s):
                runs = [run for repository in self.site.repositories.values() for run in repository.runs.values()]
                names = [f"{run.name} ({run.status})" for run in runs if run.status != "completed"]
                raise TimeoutError(f"after {timeout_s} s: {', '.join(names)}")

    def close(self) -> None:
        """Kill what runs and let the threads end."""
        with self.site.lock:
            for process in self._processes.values():
                process.kill()
        for _ in self._threads:
            self._queue.put(None)

    def _enqueue(self, repository: Repository, run: Run) -> None:
        repository.runs[run.id] = run
        self._unfinished += 1
        self._queue.put(run)

    def _work(self) -> None:
        while (run := self._queue.get()) is not None:
            try:
                self._perform(run)
            except Exception:
                with self.site.lock:
                    self._store(
                        replace(run, status="completed", conclusion="startup_failure", log=traceback.format_exc())
                    )
            finally:
                with self._idle:
                    self._unfinished -= 1
                    self._idle.notify_all()

    def _perform(self, run: Run) -> None:
        with self.site.lock:
            repository = self.site.repositories[run.repository]
            if repository.runs[run.id] != run:  # cancelled meanwhile, or even started again
                return
            self._store(replace(run, status="in_progress"))
            process = act.Process(
                self.site, repository, run, self._folder / f"{run.id}-{run.attempt}", self._environment
            )
            self._processes[run.id] = process
        log, results = process.wait()
        with self.site.lock:
            del self._processes[run.id]
            conclusion = "cancelled" if process.killed else "success" if process.succeeded else "failure"
            done = replace(run, status="completed", conclusion=conclusion, log=log)
            self._store(done)
            for name, result in results.items():
                self._leave_check(repository, done, name, "cancelled" if process.killed else result)
            payload = {"workflow_run": as_json.run(self.site, repository, done)}
            fire(self.site, repository, "workflow_run", "completed", payload, Identity(run.actor, "user"))

    def _store(self, run: Run) -> None:
        self.site.repositories[run.repository].runs[run.id] = run

    def _leave_check(self, repository: Repository, run: Run, name: str, result: str) -> None:
        now, id_ = self.site.now(), self.site.next_id()
        url = as_json.page(self.site, repository, f"/actions/runs/{run.id}")
        repository.check_runs[id_] = CheckRun(
            id_, run.head, name, "github-actions", ACTIONS_APP_ID, "completed", result, {}, url, "", now, now
        )
