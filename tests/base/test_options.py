from dataclasses import dataclass, field

import numpy as np
import pytest

from voicegmm._base.checks import at_least
from voicegmm._base.errors import OptionError
from voicegmm._base.options import (
    canonical_json,
    differences,
    fingerprint,
    from_mapping,
    to_mapping,
)


@dataclass(frozen=True)
class Inner:
    size: int = 3

    def __post_init__(self):
        at_least("size", self.size, 1)


@dataclass(frozen=True)
class Outer:
    name: str
    rate: float = 1.0
    inner: Inner = field(default_factory=Inner)


def test_what_is_written_reads_back():
    options = Outer("x", 0.5, Inner(7))
    assert from_mapping(Outer, to_mapping(options)) == options
    assert from_mapping(Outer, {"name": "x", "rate": 2}) == Outer("x", 2.0)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"name": "x", "inner": {"sise": 4}}, r"unknown option 'sise' \(did you mean 'size'\?\)"),
        ({"name": "x", "inner": {"sise": 4}}, r"\(conf\.toml: inner\.sise\)"),
        (
            {"name": "x", "inner": {"size": 0}},
            r"size must be at least 1, got 0 \(conf\.toml: inner\.s",
        ),
        ({"name": "x", "inner": {"size": "4"}}, r"size: expected `int`, got `str`: '4'"),
        ({"name": "x", "inner": 5}, r"inner must be a table, got 5"),
        ({"name": "x", "rate": True}, r"rate: expected `float`, got `bool`"),
        ({}, r"name is missing \(conf\.toml: name\)"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(mapping, message):
    with pytest.raises(OptionError, match=message):
        from_mapping(Outer, mapping, "conf.toml")


def test_canonical_json_and_fingerprint_know_no_order():
    assert canonical_json({"b": 1, "a": np.float64(2.5)}) == '{"a":2.5,"b":1}'
    assert fingerprint(Outer("x")) == fingerprint(Outer("x", 1.0, Inner(3)))
    assert fingerprint(Outer("x")) != fingerprint(Outer("y"))
    assert fingerprint("a", "b") != fingerprint("ab")


def test_differences_are_told_by_dotted_path():
    assert differences(Outer("x"), Outer("x")) == {}
    found = differences(Outer("x", 2.0), Outer("y", 2.0, Inner(9)))
    assert found == {"name": ("x", "y"), "inner.size": (3, 9)}
    # Options that one side does not know: a file of another version.
    assert differences({"a": {"b": 1}}, {"a": {}, "c": None}) == {
        "a.b": (1, None),
        "c": (None, None),
    }
