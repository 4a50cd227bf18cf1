"""What a pull request says: its first words when it is opened, and the one report that is kept up to date.

Takes the lab and a cycle, gives Markdown. Whoever reads it should know what changed, what was measured, what to do next
and how to see for himself, without leaving the page. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import unified_diff
from pathlib import Path

from aams.cycle import Lab
from aams.cycle.lab import baseline, baseline_text, spec_file
from aams.gitops.drawings import change_drawing, lineage_drawing
from aams.gitops.proposals import branch_of
from aams.records import Look
from compiler import spec as specs
from compiler.cost import estimate
from domains import find_corpus
from evaluator.markdown import block, code, table
from evaluator.report import costs_table, mutation_line
from safety.archive import PICTURE, generation_path
from safety.events import (
    Attempted,
    Closed,
    Frozen,
    Looked,
    Opened,
    Proposed,
    ProposedChild,
    Recalled,
    Screened,
    Trained,
    TrialScore,
    Verdict,
    without_score,
)
from safety.lifecycle import RECHALLENGE, Cycle, is_accepted

MARK = "<!-- aams:report -->"
MAX_BODY = 60_000
STEPS = {
    "frozen": "Its bundle is on its way through compute; results come back by themselves.",
    "trained": "Results are in; the arbiter judges them next.",
    "attempted": "It passed the screen and is now an attempt; its pairs are frozen next.",
    "looked": "The evidence is not enough yet; more pairs are frozen next.",
}


def title_of(lab: Lab, cycle: str, domain: str) -> str:
    """A proposal's title."""
    facts = lab.facts(cycle)
    recalled = next((one.generation for one in facts if isinstance(one, Recalled)), "")
    opened = next(one for one in facts if isinstance(one, Opened))
    if recalled:
        return f"{domain}: back to {recalled} from {opened.parent}"
    return f"{domain}: {'re-challenge' if opened.planner == RECHALLENGE else 'cycle'} {cycle}"


def first_words(lab: Lab, cycle: str, domain: str) -> str:
    """A proposal's own description: what it would try, and what that costs."""
    facts = lab.facts(cycle)
    opened = next(one for one in facts if isinstance(one, Opened))
    parent = spec_file(lab, domain, opened.parent) if opened.parent else None
    frozen = next((one for one in facts if isinstance(one, Frozen)), None)
    proposed = next((one for one in facts if isinstance(one, Proposed)), None)
    recalled = next((one for one in facts if isinstance(one, Recalled)), None)
    origin = f"children of {opened.parent}" if opened.parent else "the root of a new lineage"
    if recalled:
        origin = f"to go back from {opened.parent} to {recalled.generation}"
    elif opened.planner == RECHALLENGE:
        origin = f"to train {opened.parent} against its predecessor again, on fresh seeds,"
    sections = [
        f"Cycle {code(cycle)} proposes {origin} in **{domain}**. The report below says when there is something to do."
    ]
    if recalled:
        sections += ["## Why", block(recalled.reason)]
    if proposed or not opened.parent:
        sections += _proposed(domain, parent, proposed)
    if frozen:
        signer = code(frozen.proposer.principal) if frozen.proposer else "nobody"
        said = f"{frozen.runs} runs, {frozen.reserved_flops:,} training FLOPs reserved"
        sections += ["## Frozen", f"{said}. Manifest {code(frozen.manifest)}, signed by {signer}."]
    return "\n\n".join(sections)[:MAX_BODY]


def report(lab: Lab, cycle: str, pulls: Mapping[str, int], files: str) -> str:
    """How a proposal stands.

    Args:
        pulls: number of every open proposal, by cycle.
        files: address below which the branch's files are shown, as of one commit.
    """
    facts = lab.facts(cycle)
    opened = next(one for one in facts if isinstance(one, Opened))
    domain = next(entry.domain for entry, _ in lab.recorded if entry.cycle == cycle)
    state = lab.state.open_cycles.get(cycle)
    closed = next((one for one in facts if isinstance(one, Closed)), None)
    attempted = next((one for one in facts if isinstance(one, Attempted)), None)
    screened = next((one for one in facts if isinstance(one, Screened)), None)
    looked = [one for one in facts if isinstance(one, Looked)]
    name = f"{domain}/{attempted.generation}" if attempted else title_of(lab, cycle, domain)
    sections = [f"# {name}: {_standing(state, closed)}", _next_step(state, closed, pulls)]
    if screened and not attempted:
        reasons = without_score(one for one in facts if isinstance(one, Trained))
        sections += ["## Trials", _trials(screened, reasons)]
    verdict = next((one for one in facts if isinstance(one, Verdict)), None)
    if verdict:
        sections += _judged(lab, domain, verdict, files)
    elif looked and looked[-1].look:
        look = looked[-1].look
        sections.append(
            f"After {look.pairs} pairs the e-value is {look.e_value:g}; {1 / look.level:.6g} proves a gain."
        )
    if attempted:
        drawing = lineage_drawing(lab.lineage(domain), attempted.generation)
        sections += ["## Where it stands", drawing]
    sections += ["## See for yourself", _reproduction(opened, branch_of(domain, cycle), domain, attempted)]
    return "\n\n".join(sections)[:MAX_BODY]


def _standing(state: Cycle | None, closed: Closed | None) -> str:
    if closed:
        return closed.outcome
    if state and is_accepted(state):
        return "waits for an owner" if state.recalled else "accepted by the arbiter"
    return {"PROPOSE": "proposed", "TRAIN": "training", "VERIFY": "being judged"}.get(
        state.phase if state else "", "open"
    )


def _next_step(state: Cycle | None, closed: Closed | None, pulls: Mapping[str, int]) -> str:
    if closed:
        named = [number for cycle, number in pulls.items() if cycle in closed.reason]
        held = "".join(f" (#{number})" for number in named) if closed.outcome == "explored" else ""
        return f"It is decided: {code(closed.reason)}{held}. It is merged as a record; HEAD stays where it is."
    if state and is_accepted(state):
        return (
            "**Next: an owner decides.** Approving this pull request is the second key: it is merged then, and HEAD "
            "moves. Closing it declines it, and so does the deadline."
        )
    return STEPS.get(state.event if state else "", "It has just begun.")


def _proposed(domain: str, parent: Path | None, proposed: Proposed | None) -> Iterator[str]:
    """What would be tried; a root, which has no parent, is the domain's baseline."""
    interface = find_corpus(domain).interface
    if proposed is None or parent is None:
        yield "## The baseline"
        yield block(baseline_text(domain), "yaml")
        yield costs_table(None, estimate(baseline(domain).tree, interface))
        return
    before, text = specs.read(parent).tree, parent.read_text(encoding="utf-8")
    cost = estimate(before, interface)
    for number, child in enumerate(proposed.children, 1):
        yield f"## Child {number}: {code(child.rationale)}"
        yield f"Predicted gain {child.predicted_effect:+.4f}. Spec {code(child.spec)}."
        yield "\n".join(mutation_line(mutation) for mutation in child.mutations)
        yield block("\n".join(_difference(text, child)), "diff")
        yield costs_table(cost, child.cost)
        tree = specs.parse(child.text.encode(), f"child {number}").tree
        yield f"<details><summary>Its architecture</summary>\n\n{change_drawing(before, tree)}\n\n</details>"
    if proposed.refused:
        found = [finding for refusal in proposed.refused for finding in refusal.findings]
        yield "## Refused by the gates"
        yield table(("gate", "what", "got"), ((one.gate, code(one.what), code(one.got)) for one in found[:10]))


def _difference(before: str, child: ProposedChild) -> list[str]:
    return list(
        unified_diff(before.splitlines(), child.text.splitlines(), "champion.yaml", "child.yaml", lineterm="", n=1)
    )


def _trials(screened: Screened, reasons: Mapping[str, str]) -> str:
    def shown(one: TrialScore) -> str:
        return reasons.get(one.spec, "could not be scored") if one.accuracy is None else f"{one.accuracy:.4f}"

    rows = [("control", f"{screened.control:.4f}")]
    rows += [(code(one.spec[:12]), shown(one)) for one in screened.scores]
    return table(("spec", "validation accuracy"), rows)


def _judged(lab: Lab, domain: str, verdict: Verdict, files: str) -> Iterator[str]:
    """The arbiter's own report, its picture where GitHub shows it."""
    generation = next(one for one in lab.lineage(domain).generations if one.name == verdict.generation)
    folder = generation_path(lab.root, domain, generation.directory)
    place = f"{files}/{folder.relative_to(lab.root).as_posix()}"
    if verdict.look:
        before = spec_file(lab, domain, generation.parent)
        yield _in_short(domain, before, folder / "spec.yaml", verdict.look)
    text = (folder / "EVAL.md").read_text(encoding="ascii").partition("\n")[2].strip()
    yield text.replace(f"]({PICTURE})", f"]({place}/{PICTURE})")


def _in_short(domain: str, parent: Path, child: Path, look: Look) -> str:
    """Gain and price in one line."""
    interface = find_corpus(domain).interface
    before, after = (estimate(specs.read(path).tree, interface) for path in (parent, child))
    parameters, flops = after.parameters / before.parameters - 1, after.step_flops / before.step_flops - 1
    return (
        f"Generalize {look.gain:+.4f} ({look.low:+.4f} to {look.high:+.4f}), for {parameters:+.0%} parameters and "
        f"{flops:+.0%} FLOPs a step."
    )


def _reproduction(opened: Opened, branch: str, domain: str, attempted: Attempted | None) -> str:
    steps = [(f"git fetch origin {branch} && git checkout FETCH_HEAD", f"proposed from {opened.commit[:12]}")]
    if attempted:
        steps.append((f"aams reproduce {attempted.generation} --domain {domain}", "trains it again: the same bytes"))
        steps.append((f"aams explain {attempted.generation} --domain {domain}", "why it was decided so"))
        if opened.parent:
            drawing = f"aams plot pairs {attempted.generation} --domain {domain} --out pairs.svg"
            steps.append((drawing, "its pairs, and the evidence after each"))
    steps.append(("aams verify", "every entry, archive and signature"))
    width = max(len(command) for command, _ in steps)
    return block("\n".join(f"{command:<{width}}   # {why}" for command, why in steps), "sh")
