import numpy as np
import pytest

from voicegmm._base.errors import DataError, OptionError
from voicegmm.synthesis import ConditionOptions, degraded, draw_voice, speak


@pytest.fixture(scope="module")
def speech():
    rng = np.random.default_rng(4)
    return speak(draw_voice(rng), rng, seconds=2.0).samples


def band_db(samples, low, high):
    power = np.abs(np.fft.rfft(samples)) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / 16000)
    return 10 * np.log10(power[(hertz >= low) & (hertz < high)].mean())


def test_what_was_drawn_is_what_is_heard(speech):
    rng = np.random.default_rng(1)
    lines, kinds = set(), set()
    for _ in range(12):
        heard, drawn = degraded(speech, rng)
        assert heard.shape == speech.shape
        assert np.isfinite(heard).all()
        assert np.abs(heard).max() <= 1
        assert 5 <= drawn["snr_db"] <= 20
        assert 20 * np.log10(np.sqrt(np.mean(heard**2.0))) == pytest.approx(
            drawn["level_db"], abs=0.3
        )
        lines.add(drawn["telephone"])
        kinds.add(drawn["noise"])
        narrow = band_db(heard, 500, 3000) - band_db(heard, 5000, 7500)
        if drawn["telephone"]:
            assert narrow > 35
        elif drawn["noise"] == "white":
            assert narrow < 35
    assert lines == {"", "mu", "a"}
    assert len(kinds) == 4


def test_the_same_lot_gives_the_same_recording(speech):
    one, _ = degraded(speech, np.random.default_rng(7))
    two, _ = degraded(speech, np.random.default_rng(7))
    other, _ = degraded(speech, np.random.default_rng(8))
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()


def test_ranges_that_are_points_are_met(speech):
    options = ConditionOptions(("white",), (40, 40), (0.02, 0.02), (60, 60), (-26, -26), 0.0)
    heard, drawn = degraded(speech, np.random.default_rng(0), options=options)
    assert drawn["snr_db"] == 40
    assert np.corrcoef(heard, speech)[0, 1] > 0.9


def test_what_cannot_be_is_refused(speech):
    with pytest.raises(OptionError, match="noises"):
        ConditionOptions(noises=("pink", "purple"))
    with pytest.raises(OptionError, match="telephone"):
        ConditionOptions(telephone=1.5)
    with pytest.raises(OptionError, match="rt60_seconds"):
        ConditionOptions(rt60_seconds=(0.0, 1.0))
    with pytest.raises(DataError, match="all zero"):
        degraded(np.zeros(1000), np.random.default_rng(0))
