from hypothesis import given
from hypothesis import strategies as st

from voicegmm._base.reasons import together

_LOW = "sampled at 8000 Hz, below the 16000 Hz of the features: its upper band is empty"


def test_one_recording_is_told_as_it_is():
    assert together({"a.wav": "/data/a.wav: is empty"}) == ["/data/a.wav: is empty"]
    assert together({"a.wav": "2 channels averaged"}) == ["a.wav: 2 channels averaged"]
    assert together({}) == []


def test_equal_reasons_are_one_line_with_the_count_and_the_first_names():
    notes = {f"s{number:03}.wav": _LOW for number in range(240)}
    assert together(notes) == [f"240 recordings (s000.wav, s001.wav, s002.wav ...): {_LOW}"]


def test_names_within_reasons_do_not_part_them():
    failures = {f"{name}/1.wav": f"/data/{name}/1.wav: is empty (0 bytes)" for name in "ab"}
    assert together(failures) == ["2 recordings (a/1.wav, b/1.wav): is empty (0 bytes)"]
    reasons = {name: f"{name} cannot be enrolled: no speech" for name in ("Ann", "Bob")}
    assert together(reasons, "speakers") == ["2 speakers (Ann, Bob) cannot be enrolled: no speech"]


def test_numbers_that_differ_are_told_as_a_range():
    notes = {"a": "clipped: 9.5 % of 16 bit", "b": "clipped: 10.1 % of 16 bit", "c": "peaks"}
    assert together(notes) == ["2 recordings (a, b): clipped: 9.5 to 10.1 % of 16 bit", "c: peaks"]


@given(st.dictionaries(st.text(min_size=1), st.text(), max_size=8))
def test_every_recording_is_counted_once(reasons):
    lines = together(reasons)
    assert len(lines) <= len(reasons)
    assert bool(lines) == bool(reasons)
