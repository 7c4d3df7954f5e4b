"""The figure of a sweep: every point once in each panel, best and baseline marked."""

import itertools

import numpy as np
import pytest

from voicegmm import plots
from voicegmm._base.errors import DataError

OPTIONS = {"ubm.n_components": ["64", "128", "256"], "features.normalization.method": ["none", "x"]}
CHOICES = list(itertools.product(range(3), range(2)))
VALUES = np.array([5.0, 4.0, np.nan, 3.5, 3.0, 3.2])
ENDS = np.c_[VALUES - 1, VALUES + 1.5]


@pytest.fixture(scope="module")
def drawn():
    return plots.metric_against_options(
        OPTIONS, CHOICES, VALUES, ENDS, best=4, baseline=0, metric="EER (%)", title="demo"
    )


def test_each_panel_shows_every_point(drawn):
    figure = drawn
    assert [axes.get_xlabel() for axes in figure.axes] == list(OPTIONS)
    for panel, axes in enumerate(figure.axes):
        heights = {
            (round(x), round(y, 6))
            for line in axes.lines
            if line.get_label().startswith(tuple(OPTIONS))
            for x, y in zip(*line.get_data(), strict=True)
            if np.isfinite(y)
        }
        finite = np.isfinite(VALUES)
        expected = {(c[panel], v) for c, v, f in zip(CHOICES, VALUES, finite, strict=True) if f}
        assert heights == expected
        bars = [tuple(b[:, 1]) for group in axes.collections for b in group.get_segments()]
        assert sorted(bars) == sorted(map(tuple, ENDS[finite]))
        assert [text.get_text() for text in axes.texts].count("best") == 1


def test_it_says_in_words_what_it_shows(drawn):
    said = drawn.get_label()
    assert "5 points, from 3 to 5" in said
    assert "best 3 (ubm.n_components = 256, features.normalization.method = none)" in said
    assert "baseline 5 (ubm.n_components = 64, features.normalization.method = none)" in said


def test_an_option_with_one_value_has_no_panel_and_many_lines_no_legend():
    options = {"a": ["1"], "b": ["1", "2"], "c": [str(i) for i in range(8)]}
    choices = [(0, j, k) for j in range(2) for k in range(8)]
    figure = plots.metric_against_options(
        options, choices, np.arange(16.0), np.full((16, 2), np.nan)
    )
    assert [axes.get_xlabel() for axes in figure.axes] == ["b", "c"]
    assert figure.axes[0].get_legend() is None
    assert "a = 1, b = 2" in figure.axes[1].get_legend().get_texts()[1].get_text()


def test_refusals():
    with pytest.raises(DataError, match="no point of the sweep has a finite value"):
        plots.metric_against_options({"a": ["1"]}, [[0]], [np.inf], [[0, 1]])
    with pytest.raises(DataError, match=r"choices must be \(2, 1\) and intervals \(2, 2\)"):
        plots.metric_against_options({"a": ["1"]}, [[0]], [1.0, 2.0], [[0, 1]])
