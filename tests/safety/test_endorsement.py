"""Both keys of every promotion are checked again, and each must have said exactly what the ledger holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aams.canonical import sha256, to_data
from aams.errors import LedgerError
from safety.endorsement import check_in_line, check_promotions, promoted, recall_digest
from safety.events import Approved, Facts, Frozen, Recalled, Signed, Trained, entry_name, facts_of
from safety.keyfiles import generate, local_key, public_key
from safety.ledger import Recorded
from safety.signatures import Statement, sign
from safety.signers import ALLOWED_SIGNERS, REVOKED_KEYS, ROLES, AllowedKey, Role, add_revoked, change_signers
from safety.sshkeygen import PublicKey, fingerprint, have_ssh_keygen

pytestmark = pytest.mark.skipif(not have_ssh_keygen(), reason="ssh-keygen isn't installed")

Ledger = tuple[Recorded, ...]
OTHERWISE = {
    "role": "verdict",
    "domain": "vision",
    "generation": "G009",
    "manifest": "0" * 64,
    "results": "1" * 64,
    "parent_head": "G009 " + "2" * 64,
}


def said_otherwise(ledger: Ledger, cycle: str, change: Callable[[Facts], Facts | None]) -> tuple[Ledger, str]:
    """The ledger with other facts in the last entry of a cycle that `change` has some for, and the entry's name."""
    for place, (entry, digest) in reversed(list(enumerate(ledger))):
        facts = change(facts_of(entry)) if entry.cycle == cycle else None
        if facts:
            other = Recorded(replace(entry, facts=to_data(facts)), digest)
            return (*ledger[:place], other, *ledger[place + 1 :]), entry_name(entry)
    raise LookupError(cycle)


def proposing(change: Callable[[Signed], Signed | None]) -> Callable[[Facts], Facts | None]:
    def changed(facts: Facts) -> Facts | None:
        proposes = isinstance(facts, Frozen) and facts.stage != "trial" and facts.proposer
        return replace(facts, proposer=change(facts.proposer)) if proposes else None  # type: ignore[call-arg,union-attr]

    return changed


def approving(change: Callable[[Signed], Signed]) -> Callable[[Facts], Facts | None]:
    return lambda facts: replace(facts, approver=change(facts.approver)) if isinstance(facts, Approved) else None


def stating(**fields: Any) -> Callable[[Signed], Signed]:
    return lambda signed: replace(signed, statement=replace(signed.statement, **fields))


def signing(lab: Any, role: Role, **fields: Any) -> Callable[[Signed], Signed]:
    """What the key of a role signs, other than it did."""

    def signed_anew(signed: Signed) -> Signed:
        said: Statement = replace(signed.statement, **fields)
        return replace(signed, statement=said, signature=sign(said, local_key(lab.root, role)))  # type: ignore[arg-type]

    return signed_anew


def refusal(lab: Any, ledger: Ledger) -> tuple[str, str]:
    with pytest.raises(LedgerError) as refused:
        check_promotions(lab.root, ledger)
    (problem,) = refused.value.problems
    return problem.file, str(refused.value)


def test_promotions_and_rollbacks_are_counted(lab: Any) -> None:
    assert check_promotions(lab.root, ()) == 0
    assert check_promotions(lab.root, lab.ledger) == 2
    lab.roll_back("back", "G000")
    assert check_promotions(lab.root, lab.ledger) == 3


def test_domains_follow_their_own_champions(lab: Any) -> None:
    vision = type(lab)(lab.root, "vision")
    vision.minute = lab.minute
    vision.begin("vision-root")
    vision.attempt("vision-first", "better", "accepted", recall=0.85)
    lab.attempt("fourth", "better", "accepted", recall=0.85)
    assert check_promotions(lab.root, lab.ledger) == 5


@pytest.mark.parametrize("field", OTHERWISE)
@pytest.mark.parametrize("saying", [proposing, approving])
def test_a_key_that_said_something_else_is_named_with_what_it_said(lab: Any, saying: Any, field: str) -> None:
    value = OTHERWISE[field] if (saying, field) != (approving, "role") else "propose"
    file, complaint = refusal(lab, said_otherwise(lab.ledger, "third", saying(stating(**{field: value})))[0])
    assert file == said_otherwise(lab.ledger, "third", saying(stating()))[1]
    assert f"is signed with another {field}; got {value}" in complaint
    assert "restore logs/cycles from Git" in complaint


@pytest.mark.parametrize("field", ["generation", "manifest", "results", "parent_head"])
def test_a_key_that_left_something_out_is_named(lab: Any, field: str) -> None:
    ledger, _ = said_otherwise(lab.ledger, "third", approving(stating(**{field: ""})))
    assert f"is signed with another {field}; got none" in refusal(lab, ledger)[1]


@pytest.mark.parametrize(("saying", "role"), [(proposing, "propose"), (approving, "verdict")])
def test_a_key_signs_on_top_of_what_its_entry_follows(lab: Any, saying: Any, role: Role) -> None:
    follows_more = tuple(
        Recorded(replace(entry, follows=(*entry.follows, "f" * 64)), digest) for entry, digest in lab.ledger
    )
    assert check_promotions(lab.root, follows_more) == 2, "who saw less of the same ledger signed for it"
    ledger, name = said_otherwise(lab.ledger, "third", saying(signing(lab, role, tips=())))
    assert "is signed on top of another ledger; got none" in refusal(lab, ledger)[1]
    ledger, name = said_otherwise(lab.ledger, "third", saying(signing(lab, role, tips=("0" * 64, "1" * 64, "2" * 64))))
    assert refusal(lab, ledger) == (
        name,
        f"{name}: is signed on top of another ledger; got {'0' * 64}, {'1' * 64}; restore logs/cycles from Git",
    )


@pytest.mark.parametrize("saying", [proposing, approving])
@pytest.mark.parametrize("field", ["principal", "fingerprint"])
def test_a_recorded_name_is_never_believed(lab: Any, saying: Any, field: str) -> None:
    ledger, name = said_otherwise(lab.ledger, "third", saying(lambda signed: replace(signed, **{field: "eve"})))
    file, complaint = refusal(lab, ledger)
    assert file == name
    assert "names another signer than its signature" in complaint


@pytest.mark.parametrize("saying", [proposing, approving])
def test_a_signature_that_does_not_hold_is_refused_by_the_name_of_its_entry(lab: Any, saying: Any) -> None:
    ledger, name = said_otherwise(lab.ledger, "third", saying(stating(expires="2026-12-30T00:00:00Z")))
    file, complaint = refusal(lab, ledger)
    assert file == name
    assert "does not hold for this statement" in complaint
    assert complaint.endswith("sign exactly what is to be done")


def test_a_signature_is_held_against_the_time_of_its_entry(lab: Any) -> None:
    """The keys were allowed from the first of November on; what is dated earlier was signed by nobody."""
    early = [Recorded(replace(entry, time="2026-10-31T00:00:00Z"), digest) for entry, digest in lab.ledger]
    assert "its key was not valid at 2026-10-31T00:00:00Z" in refusal(lab, tuple(early))[1]


@pytest.mark.parametrize("role", ROLES)
def test_a_key_that_was_revoked_has_promoted_nothing(lab: Any, role: Role) -> None:
    add_revoked(lab.root / REVOKED_KEYS, public_key(local_key(lab.root, role)))  # type: ignore[arg-type]
    assert "the key is revoked" in refusal(lab, lab.ledger)[1]


def test_what_nobody_proposed_under_a_key_is_no_promotion(lab: Any) -> None:
    ledger, name = said_otherwise(lab.ledger, "third", proposing(lambda signed: None))
    file, complaint = refusal(lab, ledger)
    assert file == name
    assert "was promoted and nobody proposed it under a key; got G002" in complaint
    alone = tuple(recorded for recorded in lab.ledger if recorded.entry.event == "approved")
    assert "was promoted and nobody proposed it; got G000" in refusal(lab, alone)[1]


def test_trials_need_no_key_and_their_results_are_not_signed_for(lab: Any) -> None:
    def other_results(facts: Facts) -> Facts | None:
        trial = isinstance(facts, Trained) and facts.stage == "trial"
        return replace(facts, results="0" * 64) if trial else None  # type: ignore[call-arg]

    def unsigned(facts: Facts) -> Facts | None:
        trial = isinstance(facts, Frozen) and facts.stage == "trial"
        return replace(facts, proposer=None) if trial else None  # type: ignore[call-arg]

    ledger, _ = said_otherwise(lab.ledger, "third", other_results)
    assert check_promotions(lab.root, said_otherwise(ledger, "third", unsigned)[0]) == 2


def test_one_key_that_is_allowed_in_both_roles_still_signs_only_one(lab: Any) -> None:
    key = public_key(local_key(lab.root, "propose"))  # type: ignore[arg-type]
    twice = AllowedKey("ann-verdict", "verdict", key, "2026-11-01T00:00:00Z")
    change_signers(lab.root / ALLOWED_SIGNERS, [twice], twice.valid_after)

    def alone(signed: Signed) -> Signed:
        again = signing(lab, "propose")(signed)
        return replace(again, principal=twice.principal, fingerprint=fingerprint(key))

    ledger, name = said_otherwise(lab.ledger, "third", approving(alone))
    file, complaint = refusal(lab, ledger)
    assert file == name
    assert "one key can't sign both roles" in complaint


def signed_for(lab: Any, ledger: Ledger, cycle: str, proposed: str, approved: str) -> tuple[Ledger, str]:
    """The ledger with a promotion whose keys name these repositories, and the name of its last entry."""
    ledger, _ = said_otherwise(ledger, cycle, proposing(signing(lab, "propose", repository=proposed)))
    return said_otherwise(ledger, cycle, approving(signing(lab, "verdict", repository=approved)))


@pytest.mark.parametrize("proposed", ["git:ours", "git:eve", "unversioned"])
@pytest.mark.parametrize("approved", ["git:ours", "git:eve", "unversioned"])
def test_all_promotions_are_signed_for_one_repository(lab: Any, proposed: str, approved: str) -> None:
    ours, _ = signed_for(lab, lab.ledger, "root", "git:ours", "git:ours")
    ledger, name = signed_for(lab, ours, "third", proposed, approved)
    if proposed == approved == "git:ours":
        assert check_promotions(lab.root, ledger) == 2
        return
    other = proposed if proposed != "git:ours" else approved
    file, complaint = refusal(lab, ledger)
    assert file == name
    assert f"another repository than what was promoted before; got {other}, and git:ours before; sign in" in complaint


def test_a_lab_that_began_outside_of_git_gets_one_name_and_keeps_it(lab: Any) -> None:
    for proposed in ("unversioned", "git:ours"):
        named, _ = signed_for(lab, lab.ledger, "third", proposed, "git:ours")
        assert check_promotions(lab.root, named) == 2
    assert (
        "got unversioned, and git:ours before"
        in (refusal(lab, signed_for(lab, lab.ledger, "third", "git:ours", "unversioned")[0])[1])
    )
    lab.roll_back("back", "G000")
    named, _ = signed_for(lab, lab.ledger, "root", "unversioned", "git:ours")
    named, _ = signed_for(lab, named, "third", "git:ours", "git:ours")
    file, complaint = refusal(lab, named)
    assert file.startswith("logs/cycles/back/")
    assert "got unversioned, and git:ours before" in complaint


@pytest.mark.parametrize("saying", [proposing, approving])
def test_a_key_that_a_promotion_knew_as_revoked_stays_revoked(lab: Any, saying: Any) -> None:
    role: Role = "propose" if saying is proposing else "verdict"
    eve, bob = (stranger(lab.root / name) for name in ("eve", "bob"))
    known = tuple(sorted(map(fingerprint, (eve, bob))))
    ledger, name = said_otherwise(lab.ledger, "third", saying(signing(lab, role, revoked=known)))
    name = next(entry_name(entry) for entry, _ in ledger if entry.cycle == "third" and entry.event == "approved")
    for lost in (known, (fingerprint(bob),)):
        file, complaint = refusal(lab, ledger)
        assert file == name
        assert f"{REVOKED_KEYS} lacks a key that was revoked; got {', '.join(lost)}; restore it from Git" in complaint
        add_revoked(lab.root / REVOKED_KEYS, eve)
    add_revoked(lab.root / REVOKED_KEYS, bob)
    assert check_promotions(lab.root, ledger) == 2
    add_revoked(lab.root / REVOKED_KEYS, stranger(lab.root / "third"))
    assert check_promotions(lab.root, ledger) == 2, "the list may grow"


def test_what_was_promoted_says_what_the_next_statement_must_be_in_line_with(lab: Any) -> None:
    said = promoted(lab.ledger)
    assert [one.generation for one in said] == ["G000", "G002"]
    assert {one.role for one in said} == {"verdict"}
    assert check_in_line(said, ()) == "unversioned"
    assert check_in_line([*said, replace(said[-1], repository="git:ours")], ()) == "git:ours"
    assert check_in_line((), (), "git:ours") == "git:ours"


def test_a_promotion_to_be_is_not_held_against_the_keys_of_those_before(lab: Any) -> None:
    ledger, name = said_otherwise(lab.ledger, "root", approving(stating(generation="G009")))
    assert refusal(lab, ledger)[0] == name
    assert check_promotions(lab.root, ledger, "third") == 2
    ledger, name = said_otherwise(lab.ledger, "third", approving(stating(generation="G009")))
    with pytest.raises(LedgerError, match="is signed with another generation"):
        check_promotions(lab.root, ledger, "third")


def stranger(path: Path) -> PublicKey:
    """A key that never signed."""
    generate(path)
    return public_key(path)


def test_a_rollback_is_signed_for_its_generation_and_its_reason(lab: Any) -> None:
    lab.roll_back("back", "G000")
    said = recall_digest("G000", "it forgets")
    assert said == sha256(b'{"reason":"it forgets","recall":"G000"}')

    def otherwise(facts: Facts) -> Facts | None:
        return replace(facts, reason="why not") if isinstance(facts, Recalled) else None

    ledger, name = said_otherwise(lab.ledger, "back", otherwise)
    file, complaint = refusal(lab, ledger)
    assert file == name
    assert f"is signed with another manifest; got {said}" in complaint
