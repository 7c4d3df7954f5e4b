"""The picture of a corpus shows its recordings, speakers and rates."""

import numpy as np
import pytest

from voicegmm import plots
from voicegmm._base.errors import DataError


def test_a_corpus_is_drawn_as_it_is():
    rng = np.random.default_rng(4)
    seconds = rng.lognormal(1, 1.5, 60)
    speakers = {f"s{number}": seconds[number::6].tolist() for number in range(6)}
    levels = [*rng.normal(-25, 4, 59), -np.inf]
    figure = plots.corpus_summary(seconds, levels, speakers, {8000: 12, 16000: 48}, title="A $b$")
    duration, level, amounts, rates = figure.axes
    for axes in (duration, level):
        assert sum(patch.get_height() for patch in axes.patches) == 60
        assert "Recordings" in axes.get_ylabel()
    assert level.patches[0].get_x() == -80.0  # the silent one
    assert [bar.get_width() for bar in rates.patches] == [12, 48]
    highest = amounts.collections[0].get_paths()[0].vertices[:, 1].max()
    assert highest == pytest.approx(max(map(sum, speakers.values())))
    assert figure.get_label().startswith("60 recordings, ")
    assert figure.get_label().endswith("6 speakers; 12 at 8000 Hz, 48 at 16000 Hz.")


@pytest.mark.slow
def test_one_recording_of_nobody_is_drawn():
    figure = plots.corpus_summary([2.0], [-20.0], {}, {16000: 1})
    assert [text.get_text() for text in figure.axes[2].texts] == ["no speaker is known"]


@pytest.mark.parametrize(("seconds", "levels"), [([], []), ([1.0], [1.0, 2.0]), ([0.0], [-3.0])])
def test_what_cannot_be_drawn(seconds, levels):
    with pytest.raises(DataError, match="seconds must be one or more numbers above 0"):
        plots.corpus_summary(seconds, levels, {}, {})
