"""Whole campaigns, really trained: a weak baseline is improved on, and a search of placebos promotes nothing.

At a tenth of the compute and a quarter of the questions, so that a cycle takes seconds; the contract's statistics are
untouched. Hybrid gets all of both: with less compute its trainings either work or don't, whatever the architecture, and
with fewer questions no gain of its mutations stands out. The baselines are weak in their structure (too deep, too
narrow or too wide for their compute), as that is what a search of architectures is there to mend.
"""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LABS = runpy.run_path(str(ROOT / "tests" / "e2e" / "conftest.py"))
CYCLES = 20
LESS_COMPUTE = {"language": 10, "vision": 10, "hybrid": 1}
FEWER_QUESTIONS = {"language": 4, "vision": 4, "hybrid": 1}
WEAK = {
    "language": {"width: 48": "width: 16", "heads: 3": "heads: 2", "repeat: 2": "repeat: 6"},
    "vision": {"{width: 16, blocks": "{width: 8, blocks", "{width: 32, stride": "{width: 8, stride"},
    "hybrid": {"width: 16": "width: 48", "{width: 32, stride": "{width: 96, stride"},
}


def weakened_lab(path: Path, domain: str) -> Any:
    """A lab whose baseline of a domain is a poor use of its compute, under the contract's own statistics."""
    lab = LABS["_build"](path)
    lab.patience_s = 1800  # whole cycles at a domain's whole compute, on a machine that may have other work
    lab.contract(alpha=0.05, pairs_max=16)
    name = Path("domains", domain, "__init__.py")
    text = (ROOT / name).read_text()
    for line, divisor in (("COMPUTE_FLOPS = ", LESS_COMPUTE[domain]), ("EVALUATED: .* = ", FEWER_QUESTIONS[domain])):
        found = re.search(rf"(?m)^{line}.*$", text)
        assert found
        less = re.sub(r"[0-9_]{2,}", lambda number, by=divisor: str(int(number[0]) // by), found[0])
        text = text.replace(found[0], less)
    (lab.path / name).write_text(text)
    baseline = lab.path / "domains" / domain / "baseline.yaml"
    text = baseline.read_text()
    for better, worse in WEAK[domain].items():
        assert better in text
        text = text.replace(better, worse)
    baseline.write_text(text)
    return lab


def campaign(lab: Any, domain: str, children: int) -> list[dict[str, Any]]:
    """Rows of `CYCLES` cycles with seeds 1, 2, ..."""
    asked = ("--domain", domain, "--children", str(children))
    rows = [lab.cycle(seed, *asked) for seed in range(1, CYCLES + 1)]
    lab.verify()
    return rows


def told(rows: list[dict[str, Any]]) -> str:
    """What a campaign came to, in numbers."""
    looks = [row["look"] for row in rows if row.get("look")]
    pairs = sum(look["pairs"] for look in looks)
    values = " ".join(f"{look['e_value']:.3g}" for look in looks)
    cpu_s = sum(row["cpu_s"] for row in rows)
    return f"{len(looks)} attempts, {pairs} pairs, {cpu_s:.0f} CPU-s; e-values {values or 'none'}"


@pytest.mark.proof
@pytest.mark.parametrize("domain", list(WEAK))
def test_a_campaign_from_a_weakened_baseline_promotes_a_real_gain(tmp_path, figure, domain):
    lab = weakened_lab(tmp_path / "lab", domain)
    lab.contract(placebo_rate=0, tone_drift=1, tone_drift_root=1)
    rows = campaign(lab, domain, 4)
    accepted = [row for row in rows if row["outcome"] == "accepted"]
    assert accepted, told(rows)
    figure(f"campaign, {domain}", f"{len(accepted)} of {CYCLES} cycles promoted a child; {told(rows)}")


@pytest.mark.proof
@pytest.mark.parametrize("domain", list(WEAK))
def test_a_search_of_placebos_alone_promotes_nothing(tmp_path, figure, domain):
    lab = weakened_lab(tmp_path / "lab", domain)
    lab.contract(placebo_rate=1, screen_margin=0, tone_drift=1, tone_drift_root=1)
    rows = campaign(lab, domain, 1)
    standing = json.loads(lab.aams("status", "--json"))["domains"]
    placebos = next(one["placebos"] for one in standing if one["domain"] == domain)
    assert lab.head(domain) == "G000"
    assert placebos["promoted"] == 0, told(rows)
    figure(
        f"frozen search, {domain}", f"0 of {placebos['revealed']} placebos in {CYCLES} cycles accepted; {told(rows)}"
    )
