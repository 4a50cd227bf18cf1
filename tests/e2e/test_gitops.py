"""What a pull request may do to HEAD: nothing, but by bound results, a verdict that holds and an owner's word."""

from __future__ import annotations

import json
import shutil
import threading
import zipfile

import pytest

from tests.e2e.conftest import BETTER
from tests.e2e.doctoring import doctor, flatter
from tests.e2e.hub import APP, NAME

needs_keys = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="ssh-keygen is not installed")
pytestmark = [needs_keys, pytest.mark.hub]
WISH = "specs/language/candidates/better.yaml"
REPOSITORY = f"/repos/{NAME}"


def newest(clone, event):
    """What the newest entry of an event says."""
    found = [json.loads(path.read_text()) for path in clone.glob(f"logs/cycles/*/*-{event}.json")]
    return max(found, key=lambda entry: entry["time"])["facts"]


def refused(act):
    """Whether GitHub refuses it."""
    import github

    try:
        act()
    except github.GithubException as error:
        return error.status in (403, 405, 409, 422)
    return False


def forge(hub, name, content):
    """Have whoever may write put a file among a cycle's evidence, in the place of the one that is there."""
    _, cycle = hub.proposal()
    release = hub.repo("dev").get_release(f"evidence-{cycle}")
    for asset in release.get_assets():
        if asset.name == name:
            asset.delete_asset()
    path = hub.place / name
    path.write_bytes(content)
    release.upload_asset(str(path), name=name)


def results_in(hub):
    _, cycle = hub.proposal()
    release = hub.repo("ann").get_release(f"evidence-{cycle}")
    return {asset.name: asset for asset in release.get_assets() if asset.name.endswith(".results.zip")}


def name_of_results(hub, stage):
    _, cycle = hub.proposal()
    names = [asset.name for asset in hub.repo("ann").get_release(f"evidence-{cycle}").get_assets()]
    return next(name for name in names if name.startswith(stage)).replace(".bundle.", ".results.")


def test_a_wish_becomes_champion_through_outages_and_forgeries_and_by_an_owners_approval_alone(hub):
    wish = hub.wish({WISH: BETTER}, who="eve")

    # An answer that is lost in the middle of a proposal: the next sweep makes one of it.
    hub.site.fail_next("POST", "/pulls$", 502)
    hub.propose(status=1)
    assert len(hub.propose()["pull_requests"]) == 1
    assert hub.propose()["pull_requests"] == []
    proposal, cycle = hub.proposal()
    assert proposal.draft and f"#{wish.number} by `eve`" in proposal.body and "```mermaid" in proposal.body
    assert "train" not in [label.name for label in hub.pull(wish.number).labels]
    complaint = hub.propose("--domain", "language", "--seed", "3", status=1)
    assert f"#{proposal.number}" in complaint, "who asks twice is told who holds the domain"

    # Forged results: refused by name, taken away, and honest ones are still welcome.
    trial = name_of_results(hub, "trial")
    bomb = hub.place / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("results.json", b"0" * 10_000_000)
    for forged, complaint in ((b"no zip at all", "not a readable archive"), (bomb.read_bytes(), "compressed")):
        forge(hub, trial, forged)
        assert complaint in hub.receive()[0]["what"]
        assert complaint in "".join(hub.comments(proposal.number)) and not results_in(hub)
    hub.train(cycle)
    trained = results_in(hub)[trial].browser_download_url

    # Two sweeps at once, and one more: on record once.
    sweeps = [threading.Thread(target=hub.sweep, args=("receive",)) for _ in range(2)]
    for sweep in sweeps:
        sweep.start()
    for sweep in sweeps:
        sweep.join()
    hub.receive()
    assert hub.receive() == []
    assert len(hub.entries(cycle, "trained")) == 1

    # An outage while it is judged.
    hub.site.fail_next("POST", "/releases/.*/assets", 502)
    hub.arbitrate(status=1)
    assert "more pairs" in hub.arbitrate()[0]["what"]
    assert "attempt 0" in hub.receive()[0]["what"]

    # Results of another bundle, replayed.
    forge(hub, name_of_results(hub, "attempt"), hub.download(trained))
    assert "refused" in hub.receive()[0]["what"]

    # Nobody's check and nobody's word counts before the verdict.
    proposal, _ = hub.proposal()
    sha = proposal.head.sha
    hub.repo("other").create_check_run("aams/arbiter", sha, status="completed", conclusion="success")
    hub.pull(proposal.number).create_review(event="APPROVE")
    assert hub.promote() == [] and refused(lambda: hub.pull(proposal.number).merge(sha=sha))

    said = hub.to_verdict()
    assert "accepted" in said[-1]["what"]
    proposal, _ = hub.proposal()
    report = "".join(hub.comments(proposal.number))
    assert "**Next: an owner decides.**" in report and f"raw/{proposal.head.sha}/specs/history" in report
    assert len([one for one in hub.comments(proposal.number) if one.startswith("<!-- aams:report -->")]) == 1

    # Approvals that are not the second key: of an earlier commit, by who is not allowed, by a bot, by the bot itself.
    assert hub.promote() == []
    hub.repo("dev").get_pull(proposal.number).create_review(event="APPROVE")
    hub.repo("other").get_pull(proposal.number).create_review(event="APPROVE")
    assert refused(lambda: hub.repo("bot").get_pull(proposal.number).create_review(event="APPROVE"))
    assert hub.promote() == [] and hub.head() == "G000"
    assert "Cannot update this protected ref" in hub.push_onto(proposal.head.ref, who="dev")

    # Records are merged under it meanwhile, and it needs not be brought up to date.
    for number in range(20):
        hub.merge_record(number)
    hub.pull(proposal.number).create_review(event="APPROVE")
    hub.site.fail_next("PUT", "/merge$", 502, carried_out=True)
    hub.site.fail_next("POST", "/git/tags$", 502)
    assert any("502" in one["what"] for one in hub.promote(status=1))
    assert hub.head() == "G001", "it was merged, and only the answer was lost"
    done = [one["what"] for one in hub.promote()]
    assert "G001 is champion, by ann" in done[0]
    assert hub.promote() == [], "what is done is done once"

    clone = hub.verify()
    approved, verdict = newest(clone, "approved"), newest(clone, "verdict")
    metrics = json.loads(next(clone.glob("specs/history/language/G001-*/metrics.json")).read_text())
    assert all(run["loss_last"] for run in metrics["training"]), "what the sealed child measured is archived"
    assert (approved["review"]["login"], approved["review"]["proposed_by"]) == ("ann", "eve")
    tag = hub.repo("ann").get_git_ref("tags/generation/language/G001").object
    assert (tag.type, tag.sha) == ("tag", approved["review"]["tag"])
    (weights,) = hub.repo("ann").get_release("generation/language/G001").get_assets()
    assert weights.name == f"{verdict['weights']}.safetensors"
    assert [one.tag_name for one in hub.repo("ann").get_releases()] == ["generation/language/G001"], "evidence is gone"
    assert hub.aams("fetch", "G001", module="")["weights"] == verdict["weights"]
    assert (hub.checkout / ".aams" / "store" / verdict["weights"]).is_file()
    assert hub.pull(wish.number).state == "closed"


def test_a_persons_commit_on_a_proposal_makes_the_bot_keep_its_hands_off(hub):
    hub.wish({WISH: BETTER})
    hub.propose()
    proposal, cycle = hub.proposal()
    for ruleset in hub.rulesets("ann"):
        if ruleset["name"] == "proposals":
            hub.ask("ann", "DELETE", f"{REPOSITORY}/rulesets/{ruleset['id']}")
    assert hub.push_onto(proposal.head.ref, who="ann") == ""
    hub.arbitrate()
    proposal, _ = hub.proposal()
    assert hub.checks(proposal.head.sha) == [("failure", "the bot keeps its hands off")]
    assert hub.receive() == [] and hub.promote() == []
    assert refused(lambda: hub.pull(proposal.number).merge(sha=proposal.head.sha))
    assert "waits for no results" in hub.aams("bundle", "--cycle", cycle, str(hub.place / "b"), status=1)
    assert hub.head() == "G000"


def test_a_verdict_under_a_contract_that_changed_since_is_taken_back_and_becomes_a_record(hub):
    hub.wish({WISH: BETTER})
    hub.propose()
    hub.to_verdict()
    proposal, _ = hub.proposal()
    hub.change_contract("schedule_s: 86400", "schedule_s: 86401")
    hub.pull(proposal.number).create_review(event="APPROVE")
    done = hub.arbitrate()
    assert "declined, merged as a record: contract changed since it was judged" in done[0]["what"]
    hub.promote()
    assert (hub.head(), hub.pull(proposal.number).merged) == ("G000", True)
    clone = hub.verify()
    assert newest(clone, "closed")["outcome"] == "declined"
    assert not list(hub.repo("ann").get_releases())


def test_a_verdict_that_does_not_follow_from_the_record_is_neither_called_green_nor_merged(hub):
    hub.wish({WISH: BETTER})
    hub.propose()
    assert "waits for an owner" in hub.to_verdict()[-1]["what"]
    proposal, _ = hub.proposal()
    assert hub.push_as_bot(proposal.head.ref, lambda clone: doctor(clone, flatter)) == ""
    hub.arbitrate()
    proposal, _ = hub.proposal()
    assert hub.checks(proposal.head.sha) == [("failure", "the bot keeps its hands off")]
    hub.pull(proposal.number).create_review(event="APPROVE")
    assert hub.promote() == []
    assert refused(lambda: hub.pull(proposal.number).merge(sha=proposal.head.sha))
    hub.verify()
    assert hub.head() == "G000"


def test_a_domain_is_explored_while_a_promotion_waits_and_attempts_nothing(hub):
    hub.wish({WISH: BETTER})
    hub.propose()
    hub.to_verdict()
    waiting, _ = hub.proposal()
    for number, rate in enumerate(("0.02", "0.04")):
        other = BETTER.replace("lr: 0.03", f"lr: {rate}")
        hub.wish({WISH.replace("better", f"other-{number}"): other}, branch=f"other-{number}")
        (explored,) = hub.propose()["pull_requests"]
        if number:
            hub.pull(waiting.number).create_review(event="APPROVE")
            hub.promote()
            assert hub.head() == "G001"
        hub.train(hub.pull(explored).head.ref.rpartition("/")[2])
        hub.receive()
        hub.arbitrate()
        assert hub.pull(explored).merged
        why = "what it was tried against is champion no more" if number else f"` (#{waiting.number})"
        assert why in "".join(hub.comments(explored)), hub.comments(explored)
    clone = hub.verify()
    closed = (json.loads(path.read_text()) for path in clone.glob("logs/cycles/*/*-closed.json"))
    assert sorted(one["facts"]["outcome"] for one in closed) == [
        "accepted",
        "accepted",
        "explored",
        "explored",
        "screened-out",
    ]


def test_a_proposal_that_a_person_closes_ends_on_record_and_frees_its_domain(hub):
    hub.wish({WISH: BETTER})
    hub.propose()
    proposal, cycle = hub.proposal()
    hub.train(cycle)
    hub.pull(proposal.number).edit(state="closed")
    assert hub.receive() == []
    assert "an open proposal holds" in hub.propose("--domain", "language", "--seed", "3", status=1)
    assert "abandoned, merged as a record" in hub.arbitrate()[0]["what"]
    assert f"{cycle}: abandoned, merged as a record" in hub.summary.read_text()
    hub.promote()
    clone = hub.verify()
    assert (newest(clone, "closed")["outcome"], hub.head()) == ("abandoned", "G000")
    assert hub.propose("--domain", "language", "--seed", "3", "--children", "1")["pull_requests"]


def test_a_child_that_somebody_put_in_the_place_of_the_arbiters_comes_to_nothing(hub):
    hub.wish({WISH: BETTER})
    hub.propose()
    _, cycle = hub.proposal()
    hub.train(cycle)
    hub.receive()
    assert "more pairs" in hub.arbitrate()[0]["what"]
    forge(hub, "child.yaml", BETTER.replace("width: 32", "width: 48").encode())
    assert "attempt 0 is frozen" in hub.receive()[0]["what"]
    hub.train(cycle)
    hub.receive()
    assert "another child was trained than the arbiter handed over" in hub.arbitrate()[0]["what"]
    hub.promote()
    assert (newest(hub.verify(), "closed")["outcome"], hub.head()) == ("abandoned", "G000")


def test_drift_keeps_one_issue_of_what_it_finds_and_mends_nothing(hub):
    def drift():
        return [one["subject"] for one in hub.aams("drift", "--app", str(APP))["found"]]

    def issues():
        return [one.body for one in hub.repo("ann").get_issues(state="open") if one.pull_request is None]

    assert drift() == [] and issues() == []
    (main,) = [one for one in hub.rulesets("ann") if one["name"] == "main"]
    hub.ask("ann", "PUT", f"{REPOSITORY}/rulesets/{main['id']}", enforcement="disabled")
    hub.change_file("specs/history/language", "EVAL.md", "# G000: wonderful\n")
    for _ in range(2):
        found = drift()
        assert [one.rpartition("/")[2] for one in found][:1] == ["EVAL.md"] and "ruleset main: enforcement" in found
        (issue,) = issues()
        assert "EVAL.md" in issue and "enforcement" in issue
    hub.aams("setup", "--app", str(APP), "--apply", who="ann")
    assert [one.rpartition("/")[2] for one in drift()] == ["EVAL.md"]


def test_wishes_that_are_not_one_good_spec_are_told_why_and_nothing_of_them_takes_effect(hub):
    hostile = "@ann ![x](http://evil.example/x) </details><script>"
    wishes = {
        "with-code": {WISH: BETTER, "aams/new.py": "NEW = 1\n"},
        "with-contract": {WISH: BETTER, "safety/contract.yaml": "schema_version: 1\n"},
        "two": {WISH: BETTER, WISH.replace("better", "best"): BETTER},
        "hostile": {WISH: f'"{hostile}": 1\n'},
        "no-yaml": {WISH: "```\n" + hostile},
    }
    pulls = {branch: hub.wish(files, who="eve", branch=branch) for branch, files in wishes.items()}
    unlabelled = hub.wish({WISH: BETTER}, who="eve", branch="unlabelled", label=False)
    assert hub.propose()["pull_requests"] == []
    for pull in pulls.values():
        (said,) = hub.comments(pull.number)
        outside = [part for number, part in enumerate(said.split("```")) if number % 2 == 0]
        assert "It can't be tried" in said and not any("@ann" in part or "evil" in part for part in outside)
        assert [label.name for label in hub.pull(pull.number).labels] == []
    assert hub.comments(unlabelled.number) == []
    judged = {one["number"]: one["check"]["conclusion"] for one in hub.aams("judge", "--app", str(APP))["judged"]}
    assert set(judged.values()) == {"failure"} and len(judged) == len(wishes) + 1
    assert hub.head() == "G000"
