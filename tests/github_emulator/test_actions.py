"""Workflows that really run: what starts them, and what their jobs may do."""

from __future__ import annotations

import json
import re
import time

import pytest

CHECKOUT = "actions/checkout@8e8c483db84b4bee98b60c0593521ed34d9990e8"
UPLOAD = "actions/upload-artifact@330a01c490aca151604b8cf639adc76d48f6c5d4"
DOWNLOAD = "actions/download-artifact@018cc2cf5baa6db3ef3c5f8a56943fffe632ef53"
AS_APP = "actions/create-github-app-token@a8d616148505b5069dccd32f177bb87d7f39123b"
POST = """\
          post() {
            curl --silent --output answer --write-out "$1 %{http_code}\\n" --header "Authorization: Bearer $TOKEN" \\
              --data "$3" "$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/$2"
          }"""

CI = f"""
name: ci
on: pull_request
permissions: {{}}
jobs:
  gates:
    name: the gates
    runs-on: ubuntu-24.04
    permissions: {{statuses: write, pull-requests: write}}
    steps:
      - uses: {CHECKOUT} # v6.0.1
        with: {{persist-credentials: false}}
      - run: test -f specs/one.yaml && test ! -e "$GITHUB_WORKSPACE/nothing"
      - env: {{TOKEN: "${{{{ github.token }}}}", HEAD: "${{{{ github.event.pull_request.head.sha }}}}"}}
        run: |
{POST}
          post status "statuses/$HEAD" '{{"state":"success","context":"gates"}}'
          post issue issues '{{"title":"x"}}'
          post approval "pulls/${{{{ github.event.number }}}}/reviews" '{{"event":"APPROVE"}}'
      - run: |
          echo "credentials left: $(git config --get-regexp extraheader | wc --lines) ${{TOKEN:-}}"
          echo "secret=${{{{ secrets.LAB }}}}"
"""
EVOLVE = f"""
name: evolve
on:
  schedule: [{{cron: "*/5 * * * *"}}]
  workflow_dispatch: {{inputs: {{seed: {{required: true}}, domain: {{default: language}}}}}}
permissions: {{}}
jobs:
  propose:
    runs-on: [self-hosted, cuda]
    permissions: {{contents: write, pull-requests: write}}
    outputs: {{branch: "${{{{ steps.branch.outputs.name }}}}"}}
    steps:
      - uses: {CHECKOUT} # v6.0.1
      - id: branch
        env: {{SEED: "${{{{ inputs.seed || 'none' }}}}", DOMAIN: "${{{{ inputs.domain }}}}"}}
        run: |
          git checkout --quiet -b "aams/$SEED"
          echo "seed: $SEED $DOMAIN" > seed.yaml
          git add seed.yaml
          git -c user.name=bot -c user.email=bot@example.org commit --quiet --message "seed $SEED"
          git push --quiet origin "aams/$SEED"
          echo "name=aams/$SEED" >> "$GITHUB_OUTPUT"
      - uses: {UPLOAD} # v5
        with: {{name: evidence, path: seed.yaml}}
  open:
    needs: propose
    runs-on: ubuntu-24.04
    permissions: {{pull-requests: write}}
    steps:
      - uses: {DOWNLOAD} # v6
        with: {{name: evidence, path: got}}
      - env: {{TOKEN: "${{{{ github.token }}}}", BRANCH: "${{{{ needs.propose.outputs.branch }}}}"}}
        run: |
          cat got/seed.yaml
{POST}
          post ref git/refs '{{"ref":"refs/heads/x","sha":"'"$GITHUB_SHA"'"}}'
          post pull pulls '{{"title":"t","head":"'"$BRANCH"'","base":"main"}}'
"""
AFTER = """
name: after
on: {workflow_run: {workflows: [evolve], types: [completed]}, issues: {types: [labeled]}, push: {branches: [main]}}
jobs:
  judge:
    runs-on: ubuntu-24.04
    environment: arbiter
    steps:
      - run: echo "of the machine ${OUTSIDE:-nothing}, of the test ${INSIDE:-nothing}, $https_proxy"
      - run: echo "$GITHUB_EVENT_NAME by ${{ github.actor }} key ${#KEY} ${{ github.event.workflow_run.conclusion }}"
        env: {KEY: "${{ secrets.ARBITER_KEY }}"}
"""
APP = f"""
name: app
on: [repository_dispatch, pull_request_review]
permissions: {{}}
jobs:
  speak:
    runs-on: ubuntu-24.04
    environment: arbiter
    steps:
      - id: app
        uses: {AS_APP} # v2
        with: {{app-id: 4242, private-key: "${{{{ secrets.APP_KEY }}}}", permission-statuses: write}}
      - env: {{TOKEN: "${{{{ steps.app.outputs.token }}}}"}}
        run: |
{POST}
          post status "statuses/$GITHUB_SHA" '{{"state":"success","context":"aams/arbiter"}}'
          post issue issues '{{"title":"x"}}'
          echo "$GITHUB_EVENT_NAME $TOKEN ${{{{ github.event.client_payload.cycle }}}}"
"""
HELD = """
name: held
on: workflow_dispatch
jobs:
  wait: {runs-on: ubuntu-24.04, steps: [{run: 'touch "$MARK"; sleep 60'}]}
"""


@pytest.fixture
def lab(acting_stage):
    """The repository with workflows, an environment for main only, and secrets."""
    site = acting_stage.site
    files = {"ci": CI, "evolve": EVOLVE, "after": AFTER, "app": APP, "held": HELD}
    texts = {f".github/workflows/{name}.yml": text for name, text in files.items()}
    site.repository("ann/acting", {"dev": "write"}, texts)
    ask = acting_stage.repo("ann", "ann/acting").requester.requestJsonAndCheck
    policy = {"protected_branches": False, "custom_branch_policies": True}
    ask("PUT", "/repos/ann/acting/environments/arbiter", input={"deployment_branch_policy": policy})
    ask("POST", "/repos/ann/acting/environments/arbiter/deployment-branch-policies", input={"name": "main"})
    site.secret("ann/acting", "ARBITER_KEY", "0123456789", "arbiter")
    site.secret("ann/acting", "APP_KEY", site.app_key(4242), "arbiter")
    site.secret("ann/acting", "LAB", "lab-secret")
    return acting_stage


def runs(lab):
    lab.site.wait_for_runs(120)
    return lab.site.runs("ann/acting")


def test_a_pull_request_runs_its_own_workflows_with_the_tokens_permissions(lab):
    lab.commit("dev", "work", "specs/one.yaml", name="ann/acting")
    pull = lab.repo("dev", "ann/acting").create_pull(base="main", head="work", title="work", body="")
    (run,) = runs(lab)
    assert run.conclusion == "success", run.log
    assert (run.event, run.branch, run.head, run.trusted) == ("pull_request", "work", pull.head.sha, True)
    assert "status 201" in run.log and "issue 403" in run.log and "approval 422" in run.log
    assert "credentials left: 0" in run.log and "secret=***" in run.log
    head = lab.repo("ann", "ann/acting").get_commit(pull.head.sha)
    assert head.get_combined_status().state == "success"
    assert [(found.name, found.app.id, found.conclusion) for found in head.get_check_runs()] == [
        ("the gates", 15368, "success")
    ]


def test_a_forks_pull_request_gets_no_secrets_and_a_token_that_only_reads(lab):
    lab.repo("eve", "ann/acting").create_fork()
    lab.commit("eve", "idea", "specs/one.yaml", name="eve/acting")
    lab.repo("eve", "ann/acting").create_pull(base="main", head="eve:idea", title="idea", body="")
    (run,) = runs(lab)
    assert (run.conclusion, run.trusted) == ("success", False), run.log
    assert "status 403" in run.log and "secret=\n" in run.log + "\n"


def test_a_dispatch_pushes_hands_files_on_and_opens_a_pull_request_that_starts_nothing(lab, refused):
    workflow = lab.repo("dev", "ann/acting").get_workflow("evolve.yml")
    with refused(422, "Required input"):
        workflow.create_dispatch("main", {}, throw=True)
    with refused(422, "Unexpected inputs"):
        workflow.create_dispatch("main", {"seed": "9", "else": "1"}, throw=True)
    workflow.create_dispatch("main", {"seed": "9"}, throw=True)
    evolve, after = runs(lab)
    assert (evolve.conclusion, after.name, after.event) == ("success", "after", "workflow_run"), evolve.log
    assert "seed: 9 language" in evolve.log and "ref 403" in evolve.log and "pull 201" in evolve.log
    assert "workflow_run by dev key 10 success" in after.log
    (pull,) = lab.repo("ann", "ann/acting").get_pulls()
    assert (pull.user.login, pull.head.ref) == ("github-actions[bot]", "aams/9")
    assert [found.conclusion for found in workflow.get_runs()] == ["success"]


def test_a_schedule_comes_when_the_test_says_so_and_steps_see_nothing_of_the_machine(lab, monkeypatch):
    monkeypatch.setenv("OUTSIDE", "a secret of the machine")
    lab.site.fire_schedule("ann/acting", "evolve.yml")
    assert [(run.event, run.ref, run.conclusion) for run in runs(lab)] == [
        ("schedule", "refs/heads/main", "success"),
        ("workflow_run", "refs/heads/main", "success"),
    ]
    assert "of the machine nothing, of the test something, http://127.0.0.1:9" in runs(lab)[-1].log


def test_an_environments_secret_stays_on_its_branches(lab):
    repo = lab.repo("dev", "ann/acting")
    issue = repo.create_issue("please train")
    lab.repo("ann", "ann/acting").get_issue(issue.number).add_to_labels("train")
    text = AFTER.replace("branches: [main]", "branches: ['**']")
    repo.create_git_ref("refs/heads/stolen", repo.get_branch("main").commit.sha)
    old = repo.get_contents(".github/workflows/after.yml", ref="stolen")
    repo.update_file(old.path, "take the key", text, old.sha, branch="stolen")
    labelled, stolen = runs(lab)
    assert (labelled.event, labelled.conclusion) == ("issues", "success") and "key 10" in labelled.log
    assert (stolen.event, stolen.branch, stolen.conclusion) == ("push", "stolen", "failure")
    assert "not allowed to deploy to arbiter" in stolen.log and "key 10" not in stolen.log


def test_an_app_signs_for_a_token_where_its_key_may_be_used(lab):
    repo = lab.repo("ann", "ann/acting")
    repo.create_repository_dispatch("results", {"cycle": "c1"})
    (run,) = runs(lab)
    assert run.conclusion == "success", run.log
    assert "status 201" in run.log and "issue 403" in run.log and "repository_dispatch *** c1" in run.log
    (status,) = repo.get_commit(run.commit).get_statuses()
    assert (status.creator.login, status.context) == ("lab-bot[bot]", "aams/arbiter")
    lab.commit("dev", "work", "README.md", name="ann/acting")
    pull = repo.create_pull(base="main", head="work", title="work", body="")
    lab.repo("dev", "ann/acting").get_pull(pull.number).create_review(event="APPROVE")
    refused = runs(lab)[-1]
    assert (refused.event, refused.conclusion) == ("pull_request_review", "failure")
    assert "refs/pull/1/merge is not allowed to deploy to arbiter" in refused.log


def test_a_run_is_killed_at_work_and_started_again(lab, tmp_path):
    workflow = lab.repo("ann", "ann/acting").get_workflow("held.yml")
    workflow.create_dispatch("main", throw=True)
    (run,) = workflow.get_runs()
    deadline = time.monotonic() + 30
    while not (tmp_path / "mark").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert run.cancel()
    assert [found.conclusion for found in runs(lab)] == ["cancelled"]
    assert run.rerun()
    (again,) = workflow.get_runs()
    assert (again.id, again.run_attempt) == (run.id, 2)
    assert again.cancel()
    assert [found.attempt for found in runs(lab)] == [2]


def test_an_action_without_a_stub_is_never_fetched(lab):
    text = HELD.replace(
        "run: 'touch \"$MARK\"; sleep 60'", "uses: someone/else@0123456789012345678901234567890123456789"
    )
    lab.repo("ann", "ann/acting").create_file(".github/workflows/other.yml", "other", text.replace("held", "other"))
    lab.repo("ann", "ann/acting").get_workflow("other.yml").create_dispatch("main", throw=True)
    (run,) = [run for run in runs(lab) if run.name == "other"]
    assert run.conclusion == "startup_failure" and "stub_actions/else" in run.log


def test_every_address_that_a_step_finds_is_the_emulators(lab):
    step = {"env": {"CONTEXT": "${{ toJSON(github) }}"}, "run": "env"}
    workflow = {"name": "look", "on": "issues", "jobs": {"look": {"runs-on": "ubuntu-24.04", "steps": [step]}}}
    lab.repo("ann", "ann/acting").create_file(".github/workflows/look.yml", "look", json.dumps(workflow))
    lab.repo("dev", "ann/acting").create_issue("look")
    (run,) = [run for run in runs(lab) if run.name == "look"]
    for name in ("GITHUB_API_URL", "GITHUB_GRAPHQL_URL", "GITHUB_SERVER_URL"):
        assert f"{name}={lab.site.url}" in run.log
    addresses = set(re.findall(r"\b\w+://[^/\s\"]+", run.log))
    assert addresses <= {lab.site.url, "http://127.0.0.1:9"}  # the other one is a proxy that leads nowhere
