import io

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from voicegmm._base.errors import OptionError
from voicegmm.synthesis import g711, g711_decode, g711_encode

EVERY_SAMPLE = np.arange(-32768, 32768).astype(np.int16)
EVERY_BYTE = np.arange(256).astype(np.uint8)
SUBTYPES = {"mu": "ULAW", "a": "ALAW"}


# ITU-T G.711, tables 1a..2b, as 16-bit values (times 8 for the A-law's 13 bits, times 4 for the
# mu-law's 14): the decision to make each end of the code what it is, the first steps, and the last.
@pytest.mark.parametrize(
    ("law", "code", "value"),
    [
        ("mu", 0xFF, 0),
        ("mu", 0x7F, 0),
        ("mu", 0xFE, 8),
        ("mu", 0x7E, -8),
        ("mu", 0xF0, 120),
        ("mu", 0xEF, 132),
        ("mu", 0x80, 32124),
        ("mu", 0x00, -32124),
        ("mu", 0x8F, 16764),
        ("a", 0xD5, 8),
        ("a", 0x55, -8),
        ("a", 0xD4, 24),
        ("a", 0xC5, 264),
        ("a", 0x80, 5504),
        ("a", 0x00, -5504),
        ("a", 0xAA, 32256),
        ("a", 0x2A, -32256),
    ],
)
def test_table_values(law, code, value):
    assert g711_decode(np.array([code], np.uint8), law)[0] == value


@pytest.mark.parametrize("law", ["mu", "a"])
def test_every_byte_as_libsndfile_decodes_it(law):
    raw = io.BytesIO(EVERY_BYTE.tobytes())
    expected, _ = soundfile.read(
        raw, dtype="int16", samplerate=8000, channels=1, format="RAW", subtype=SUBTYPES[law]
    )
    np.testing.assert_array_equal(g711_decode(EVERY_BYTE, law), expected)


@pytest.mark.parametrize("law", ["mu", "a"])
def test_every_sample_as_libsndfile_encodes_it(law):
    raw = io.BytesIO()
    soundfile.write(raw, EVERY_SAMPLE[1:], 8000, format="RAW", subtype=SUBTYPES[law])
    theirs = np.frombuffer(raw.getvalue(), np.uint8)
    ours = g711_encode(EVERY_SAMPLE[1:], law)
    differ = ours != theirs
    # A negative sample on a decision value belongs to either neighbor: the ITU's software takes the
    # smaller magnitude (one's complement), libsndfile the larger. There are 127 of them.
    values = EVERY_SAMPLE[1:][differ].astype(int)
    assert values.size == 127
    assert np.all(values < 0)
    levels = np.unique(g711_decode(EVERY_BYTE, law).astype(int))
    here, there = (
        np.searchsorted(levels, g711_decode(code[differ], law)) for code in (ours, theirs)
    )
    np.testing.assert_array_equal(here, there + 1)
    # One sample further out, and both agree.
    np.testing.assert_array_equal(g711_encode((values - 1).astype(np.int16), law), theirs[differ])


@pytest.mark.parametrize("law", ["mu", "a"])
def test_a_decoded_byte_encodes_to_itself(law):
    again = g711_encode(g711_decode(EVERY_BYTE, law), law)
    differ = EVERY_BYTE[again != EVERY_BYTE]
    # The mu-law has two zeros; the negative one comes back positive.
    assert differ.tolist() == ([0x7F] if law == "mu" else [])


@pytest.mark.parametrize("law", ["mu", "a"])
@given(samples=st.lists(st.integers(-32768, 32767), min_size=2, max_size=50))
def test_order_is_kept_and_the_error_is_a_small_share(law, samples):
    pcm = np.sort(np.array(samples)).astype(np.int16)
    back = g711_decode(g711_encode(pcm, law), law).astype(int)
    assert np.all(np.diff(back) >= 0)
    # 16 steps a segment: half a step is at most 1/32 of the value, plus the first segment's step,
    # plus what the top code cannot reach.
    assert np.all(np.abs(back - pcm) <= np.abs(pcm.astype(int)) / 32 + 16)


def test_on_floats():
    x = np.sin(np.arange(800) * 0.3) * 0.5
    for law in ("mu", "a"):
        y = g711(x, law)
        assert y.dtype == np.float32
        # The textbook figure for a line at this level is 38 dB.
        snr = 10.0 * np.log10(np.mean(x**2) / np.mean((x - y) ** 2))
        assert 35.0 < snr < 41.0
    assert np.max(np.abs(g711(np.array([-3.0, 3.0])))) <= 1.0


def test_the_law_is_checked():
    with pytest.raises(OptionError, match="law must be one of mu, a; got 'mi'"):
        g711(np.zeros(3), "mi")
    with pytest.raises(OptionError, match="law must be one of"):
        g711_decode(EVERY_BYTE, "alaw")
