"""The generated JSON Schemas: committed, valid, and of one mind with the strict reader."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from aams.errors import SpecError
from aams.strict import read_yaml
from compiler import schema, spec
from compiler.skeletons import SKELETONS

ROOT = Path(__file__).parents[2]
DOMAINS = sorted(SKELETONS)


def baseline(domain):
    path = ROOT / "domains" / domain / "baseline.yaml"
    return read_yaml(path.read_bytes(), str(path)).data


def spots(tree, path=()):
    """Every mapping of a tree, by path."""
    if isinstance(tree, dict):
        yield path
        for key, value in tree.items():
            yield from spots(value, (*path, key))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from spots(value, (*path, index))


def at(tree, path):
    for step in path:
        tree = tree[step]
    return tree


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_committed_schema_is_what_the_declarations_say(domain):
    committed = (ROOT / "domains" / domain / "schema.json").read_text()
    assert committed == schema.schema_text(domain), "run `make docs`"


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_schema_is_valid_draft_7_and_accepts_the_baseline(domain):
    document = json.loads(schema.schema_text(domain))
    Draft7Validator.check_schema(document)
    Draft7Validator(document).validate(baseline(domain))


@pytest.mark.parametrize("domain", DOMAINS)
def test_an_unknown_key_is_refused_at_every_level_by_schema_and_reader(domain):
    validator = Draft7Validator(schema.schema(domain))
    for path in spots(baseline(domain)):
        tree = copy.deepcopy(baseline(domain))
        at(tree, path)["criteria"] = {"generalize": 0}
        assert not validator.is_valid(tree), path
        with pytest.raises(SpecError, match="unknown key"):
            spec.from_tree(tree)


def test_an_error_is_about_the_op_that_is_named():
    tree = baseline("language")
    tree["model"]["blocks"][0]["mixer"] = {"op": "attention", "heads": 4, "kernel": 3}
    (error,) = Draft7Validator(schema.schema("language")).iter_errors(tree)
    assert "kernel" in error.message
    assert list(error.absolute_path) == ["model", "blocks", 0, "mixer"]


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    data=st.data(),
    value=st.one_of(
        st.integers(-10, 10_000),
        st.floats(-10, 1e6, allow_nan=False),
        st.booleans(),
        st.text(max_size=8),
        st.just({}),
        st.just([]),
        st.just({"op": "attention", "heads": 2}),
    ),
)
def test_what_the_schema_refuses_the_reader_refuses_too(data, value):
    domain = data.draw(st.sampled_from(DOMAINS))
    tree = copy.deepcopy(baseline(domain))
    path = data.draw(st.sampled_from([path for path in spots(tree) if at(tree, path)]))
    key = data.draw(st.sampled_from(sorted(at(tree, path))))
    at(tree, path)[key] = value
    valid = Draft7Validator(schema.schema(domain)).is_valid(tree)
    try:
        spec.from_tree(tree)
    except SpecError as error:
        assert error.problems
        return
    assert valid or isinstance(value, bool | float), "the reader may be stricter than the schema, never laxer"
    assert valid
