import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicegmm._base.errors import OptionError
from voicegmm._base.toml import toml_text

texts = st.text(st.characters(exclude_categories=["Cs"]))
single = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
lists = st.lists(single.filter(lambda value: value is not None) | texts)
values = st.recursive(
    st.dictionaries(texts, single | texts | lists, max_size=4),
    lambda inner: st.dictionaries(texts, single | texts | inner, max_size=4),
)


def without_none(value):
    if not isinstance(value, dict):
        return value
    return {key: without_none(each) for key, each in value.items() if each is not None}


@settings(max_examples=25)
@given(st.dictionaries(texts, single | texts | lists | values, max_size=4), texts)
def test_what_is_written_is_read_back(written, note):
    notes = dict.fromkeys(written, note)
    assert tomllib.loads(toml_text(written, notes)) == without_none(written)


def test_it_reads_well():
    written = {"n": 1, "table": {"inner": {"x": [0.5, 1e-9]}, "y": "a\nb"}, "m": 2}
    assert toml_text(written, {"table.y": "from\nthere"}) == (
        'n = 1\nm = 2\n\n[table]\ny = "a\\nb"  # from there\n\n[table.inner]\nx = [0.5, 1e-09]\n'
    )


def test_what_toml_does_not_know_is_refused():
    with pytest.raises(OptionError, match=r"a\.b: TOML has no object"):
        toml_text({"a": {"b": object()}})
