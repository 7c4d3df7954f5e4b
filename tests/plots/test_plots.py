"""Figures: what they show is what was computed, and a file is whole, repeatable, described."""

import functools
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from scipy.special import ndtri

from voicegmm import metrics, plots
from voicegmm._base.errors import DataError, OptionError, VoicegmmError
from voicegmm.plots import canvas


def system(d, n=400, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(d / 2, np.sqrt(d), n), rng.normal(-d / 2, np.sqrt(d), 5 * n)


def voices(n=12, takes=4, seed=0):
    """Every voice against tests of every voice: numbers of models and tests, labels, scores."""
    rng = np.random.default_rng(seed)
    models, tests = np.repeat(np.arange(n), n * takes), np.tile(np.arange(n * takes), n)
    labels = (tests // takes == models).astype(int)
    scores = rng.normal(np.where(labels == 1, 3 + rng.normal(0, 1, n)[models], -3), 2)
    return models, tests // takes, labels, scores


def with_band():
    models, tests, labels, scores = voices()
    t, n = scores[labels == 1], scores[labels == 0]
    trials = metrics.sort_trials(t, n, models[labels == 1], models[labels == 0], tests[labels == 0])
    return (t, n), metrics.det_band(trials, np.random.default_rng(0), 40)


def strip(**more):
    models, _, labels, scores = voices()
    names = [f"voice {i}" for i in range(12)]
    return plots.speaker_strip(names, models, scores, labels, 0.5, **more)


def over_duration():
    t, n = system(6)
    rng = np.random.default_rng(3)
    return plots.duration_against_score(
        t, n, rng.lognormal(1, 0.5, len(t)), rng.lognormal(1, 0.5, len(n))
    )


FIGURES = {
    "det": lambda: plots.det({"one": system(4), "two": system(9)}),
    "strip": strip,
    "duration": over_duration,
    "cross_entropy": lambda: plots.cross_entropy(*system(8)),
    "tippett": lambda: plots.tippett(*system(6)),
    "histogram": lambda: plots.score_histogram(*system(6)),
    "training": lambda: plots.training_curve([-60.0, -58.0, -59.0, -57.5]),
}


@functools.cache
def made(name):
    """A figure that several tests look at and none changes: making one takes a while."""
    return FIGURES[name]()


@functools.cache
def svg_of(name):
    return plots.to_svg(made(name))


def texts(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


@pytest.mark.parametrize("name", FIGURES)
def test_axes_say_what_and_in_which_unit(name):
    (axes,) = made(name).axes
    assert axes.get_title(loc="left")
    assert axes.get_xlabel()
    assert "(" in axes.get_ylabel() or axes.get_ylabel() == "Model"


@pytest.mark.parametrize(
    "name",
    [name if name == "det" else pytest.param(name, marks=pytest.mark.slow) for name in FIGURES],
)
def test_the_same_figure_gives_the_same_bytes(name, tmp_path):
    figure, same = made(name), FIGURES[name]()
    for suffix in (".png", ".svg"):
        first = plots.save(figure, tmp_path / f"first{suffix}").read_bytes()
        assert plots.save(same, tmp_path / f"again{suffix}").read_bytes() == first
        assert plots.save(figure, tmp_path / f"twice{suffix}").read_bytes() == first
    assert sorted(path.stem for path in tmp_path.iterdir()) == sorted(
        ["first", "again", "twice"] * 2
    )


@pytest.mark.parametrize("name", FIGURES)
def test_svg_is_one_element_that_can_be_read_aloud(name):
    figure, svg = made(name), svg_of(name)
    assert svg.startswith("<svg ")
    root = ET.fromstring(svg)
    space = "{http://www.w3.org/2000/svg}"
    assert root.get("role") == "img"
    assert root.find(f"{space}title").text == figure.axes[0].get_title(loc="left")
    assert root.find(f"{space}desc").text == figure.get_label() != ""
    shown = {"".join(text.itertext()) for text in root.iter(f"{space}text")}
    assert figure.axes[0].get_xlabel() in shown


def test_png_is_a_png(tmp_path):
    path = plots.save(made("det"), tmp_path / "det.PNG")
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n")
    assert b"Matplotlib" not in content
    assert list(tmp_path.iterdir()) == [path]


def test_save_refuses_what_it_cannot_write(tmp_path):
    figure = made("training")
    with pytest.raises(OptionError, match=r"must end in \.png or \.svg, got 'curve\.pdf'"):
        plots.save(figure, tmp_path / "curve.pdf")
    with pytest.raises(VoicegmmError, match="the folder .*nowhere does not exist"):
        plots.save(figure, tmp_path / "nowhere" / "curve.svg")
    (tmp_path / "taken.svg").mkdir()
    with pytest.raises(VoicegmmError, match=r"taken\.svg is a folder"):
        plots.save(figure, tmp_path / "taken.svg")
    assert [path.name for path in tmp_path.iterdir()] == ["taken.svg"]


def test_det_shows_the_figures_of_the_metrics():
    t, n = system(4)
    point = metrics.OperatingPoint(0.05)
    figure = plots.det({"GMM-UBM": (t, n)}, [point])
    _, curve, at_eer, at_min, *_ = figure.axes[0].lines
    equal = metrics.eer(t, n)
    assert at_eer.get_xdata()[0] == at_eer.get_ydata()[0] == pytest.approx(ndtri(equal))
    from scipy.special import ndtr

    p_fa, p_miss = ndtr(at_min.get_xdata()[0]), ndtr(at_min.get_ydata()[0])
    assert point.cost(p_miss, p_fa) == pytest.approx(metrics.min_dcf(t, n, 0.05))
    # Every drawn point that is inside the axes is an operating point of the scores.
    real = metrics.det_points(t, n)
    low, high = figure.axes[0].get_xlim()
    x, y = curve.get_data()
    inside = (x > low) & (x < high) & (y > low) & (y < high)
    for a, b in zip(ndtr(x[inside]), ndtr(y[inside]), strict=True):
        assert np.hypot(real.p_fa - a, real.p_miss - b).min() < 1e-9
    assert f"GMM-UBM: EER {100 * equal:.3g} %" in texts(figure)
    assert "minDCF, P(target) = 0.05" in texts(figure)


def test_det_marks_stay_inside_for_systems_without_errors_or_without_use():
    for scores in (([1.0, 2.0], [0.0, -1.0]), ([0.0], [1.0]), ([np.inf], [-np.inf])):
        figure = plots.det({"x": scores}, [metrics.OperatingPoint(0.5, 2.0)])
        axes = figure.axes[0]
        low, high = axes.get_xlim()
        for mark in axes.lines[2:4]:
            assert low <= mark.get_xdata()[0] <= high
            assert low <= mark.get_ydata()[0] <= high
        assert "minDCF, P(target) = 0.5, costs 2 : 1" in texts(figure)
        plots.to_svg(figure)


@pytest.mark.slow
def test_det_labels_do_not_touch():
    for d in (0.5, 3, 8, 20, 40):
        figure = plots.det({"x": system(d, 3000)})
        ticks = np.sort(figure.axes[0].get_xticks())
        assert np.diff(ticks).min() >= 0.045 * np.ptp(figure.axes[0].get_xlim()) - 1e-9


def test_names_are_taken_as_they_are():
    names = ["_hidden", "$cost$ & <b>", "語者"]
    figure = plots.det({name: system(4, 50) for name in names})
    root = ET.fromstring(plots.to_svg(figure))
    shown = " ".join(
        "".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")
    )
    for name in names:
        assert name in shown


def test_a_long_curve_is_thinned_and_looks_the_same():
    t, n = system(4, 60_000)
    curve = plots.det({"x": (t, n)}).axes[0].lines[1]
    x, y = curve.get_data()
    assert len(metrics.det_points(t, n).p_fa) > 4 * len(x)
    real = metrics.det_points(t, n)
    low, high = -2.0, 0.5
    grid = np.linspace(low, high, 500)
    drawn = np.interp(grid, x[::-1], y[::-1])
    full = np.interp(
        grid,
        ndtri(np.clip(real.p_fa, 1e-9, 1 - 1e-9))[::-1],
        ndtri(np.clip(real.p_miss, 1e-9, 1 - 1e-9))[::-1],
    )
    assert np.abs(drawn - full).max() < 0.02  # a five-hundredth of the axis


def test_thinning_keeps_a_short_line_whole():
    x, y = np.array([0.0, 1.0, 1.0, 2.0]), np.array([0.0, 0.0, 1.0, 1.0])
    assert canvas.thinned(x, y, 0.1, 0.1).all()
    still = np.zeros(5)
    assert canvas.thinned(still, still, 0.1, 0.1).tolist() == [True, False, False, False, True]


def test_tippett_shows_misleading_evidence_in_log10():
    t, n = np.log(10.0) * np.array([-1.0, 1.0, 2.0, 3.0]), np.log(10.0) * np.array([-2.0, 1.0])
    figure = plots.tippett(t, n)
    assert texts(figure) == ["Same speaker: 25 % misleading", "Different speakers: 50 % misleading"]
    x, y = figure.axes[0].lines[0].get_data()
    np.testing.assert_allclose(x[1:-1], [-2, -1, 1, 2, 3])
    np.testing.assert_allclose(y, [100, 100, 100, 75, 50, 25, 0])


def test_infinite_scores_are_shown_as_shares():
    inf = np.inf
    figure = plots.tippett([-inf, 0.5, inf, inf], [-inf, 0.0])
    for line, ends in zip(figure.axes[0].lines, [(75, 50), (50, 0)], strict=False):
        assert (line.get_ydata()[0], line.get_ydata()[-1]) == ends
    plots.to_svg(plots.tippett([inf], [-inf]))
    labels = texts(plots.score_histogram([inf, 1.0, 2.0], [-inf], []))
    assert labels == ["Non-targets (1), 1 infinite", "Targets (3), 1 infinite"]


def test_histogram_has_area_one_and_the_bayes_threshold():
    t, n = system(6)
    figure = plots.score_histogram(t, n, [metrics.OperatingPoint(0.01)], n_bins=40)
    axes = figure.axes[0]
    for patch in axes.patches:
        values, edges, _ = patch.get_data()
        assert (values * np.diff(edges)).sum() == pytest.approx(1.0)
        assert len(values) == 40
    assert axes.lines[0].get_xdata()[0] == pytest.approx(np.log(99))
    assert "Bayes threshold 4.6, P(target) = 0.01" in texts(figure)
    plots.to_svg(plots.score_histogram([1.0, 1.0], [1.0]))


def test_training_curve_marks_no_fall_of_a_bound():
    axes = plots.training_curve([-60, -61, -58, -59], exact=[True, False, True, False]).axes[0]
    _, bounds = axes.get_lines()
    assert bounds.get_label() == "lower bound"
    np.testing.assert_array_equal(bounds.get_xdata(), [2, 4])


def test_training_curve_marks_a_fall():
    axes = plots.training_curve([-60.0, -58.0, -59.0, -57.5]).axes[0]
    assert axes.lines[1].get_xdata().tolist() == [3]
    assert "lower than the one before (1)" in axes.get_legend().get_texts()[0].get_text()
    rising = plots.training_curve([-60.0, -58.0])
    assert rising.axes[0].get_legend() is None
    assert "from -60 to -58 nats." in rising.get_label()
    plots.to_svg(plots.training_curve([-60.0]))


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(DataError, match="systems must hold at least one pair"):
        plots.det({})
    with pytest.raises(DataError, match="nontargets must hold at least one score"):
        plots.det({"x": ([1.0], [])})
    with pytest.raises(DataError, match="targets must not be NaN"):
        plots.score_histogram([np.nan], [1.0])
    with pytest.raises(OptionError, match="n_bins must be at least 1"):
        plots.score_histogram([1.0], [1.0], n_bins=0)
    with pytest.raises(DataError, match="at least one value"):
        plots.training_curve([])
    with pytest.raises(DataError, match="log_likelihoods must be finite, got nan at number 1"):
        plots.training_curve([1.0, np.nan])


@pytest.mark.slow
def test_threads_and_settings_do_not_disturb_one_another():
    import matplotlib as mpl

    expected = {name: svg_of(name) for name in FIGURES}
    found = []

    def draw(name, make):
        found.append((name, plots.to_svg(make())))

    with mpl.rc_context({"axes.grid": False, "font.size": 31.0, "svg.hashsalt": "theirs"}):
        before = dict(mpl.rcParams)
        threads = [threading.Thread(target=draw, args=item) for item in FIGURES.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert dict(mpl.rcParams) == before
    assert dict(found) == expected


def test_matplotlib_is_loaded_by_the_first_figure_and_pyplot_never():
    code = (
        "import sys, voicegmm.plots as p; assert 'matplotlib' not in sys.modules; "
        "p.to_svg(p.training_curve([1, 2])); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_curves_over_priors_are_those_of_the_metrics():
    t, n = system(3)
    for draw, curve in (
        (plots.cross_entropy, metrics.cross_entropy(t, n)),
        (plots.bayes_error, metrics.bayes_error(t, n)),
    ):
        (axes,) = draw(t, n).axes
        actual, least, neutral = (line.get_ydata() for line in axes.lines[:3])
        np.testing.assert_array_equal(actual, curve.actual)
        np.testing.assert_array_equal(least, curve.minimum)
        assert (least <= neutral + 1e-12).all()
        np.testing.assert_allclose(axes.lines[0].get_xdata() * np.log(10), curve.prior_log_odds)
    plots.to_svg(plots.cross_entropy([-np.inf, 1.0], [0.0]))


def test_the_band_of_a_det_curve_holds_the_curve_and_the_share_of_replicates():
    (t, n), band = with_band()
    figure = plots.det({"x": (t, n)}, [], bands={"x": band})
    (area,) = figure.axes[0].patches
    assert len(area.get_xy()) >= 2 * len(band.low_fa)
    assert band.n_replicates == 40
    for first, second in ((band.low_fa, band.low_miss), (band.high_fa, band.high_miss)):
        assert (np.diff(first) >= 0).all() or (np.diff(second) <= 0).all()
    x, y = ndtri(np.clip([band.low_fa, band.low_miss], 1e-12, 1))
    u, v = ndtri(np.clip([band.high_fa, band.high_miss], 1e-12, 1))
    assert ((x + y) <= (u + v) + 1e-9).all()
    # The curve of all trials lies within its own band where both rates are errors enough.
    points = metrics.det_points(t, n)
    inside = (points.p_fa > 0.02) & (points.p_miss > 0.02)
    a, b = ndtri(points.p_fa[inside]), ndtri(points.p_miss[inside])
    low = np.interp(a - b, x - y, x + y)
    high = np.interp(a - b, u - v, u + v)
    assert inside.sum() > 5
    assert (low - 1e-9 <= a + b).all()
    assert (a + b <= high + 1e-9).all()


def test_a_wider_band_holds_more_and_few_speakers_have_none():
    models, tests, labels, scores = voices(20)
    t, n = scores[labels == 1], scores[labels == 0]
    trials = metrics.sort_trials(t, n, models[labels == 1], models[labels == 0], tests[labels == 0])
    half, most = (
        metrics.det_band(trials, np.random.default_rng(1), 60, confidence)
        for confidence in (0.5, 0.9)
    )
    assert (most.low_miss <= half.low_miss).all()
    assert (most.high_miss >= half.high_miss).all()
    alone = metrics.sort_trials([1.0], [0.0], [0], [0], [1])
    assert metrics.det_band(alone, np.random.default_rng(0), 50) is None


def test_the_strip_orders_speakers_by_their_mean_and_shows_those_in_trouble():
    models, _, labels, scores = voices()
    means = [scores[(models == m) & (labels == 1)].mean() for m in range(12)]
    axes = strip().axes[0]
    shown = [label.get_text() for label in axes.get_yticklabels()]
    assert shown == [f"voice {i}" for i in np.argsort(means)]
    few = strip(most=3)
    gap = [mean - scores[(models == m) & (labels == 0)].max() for m, mean in enumerate(means)]
    shown = {label.get_text() for label in few.axes[0].get_yticklabels()}
    assert shown == {f"voice {i}" for i in np.argsort(gap)[:3]}
    assert few.axes[0].get_ylabel() == "Model (3 of 12)"
    assert "Equal error at 0.5" in texts(few)
    with pytest.raises(DataError, match="no model has both a target and a non-target"):
        plots.speaker_strip(["a", "b"], [0, 1], [1.0, 2.0], [1, 0])
    with pytest.raises(OptionError, match="most must be at least 1"):
        strip(most=0)
    plots.to_svg(plots.speaker_strip(["<script>" * 9], [0, 0, 0], [1.0, 0.0, np.nan], [1, 0, 1]))


def test_duration_groups_have_the_medians_of_their_trials():
    t, n = np.arange(40.0), -np.arange(20.0)
    figure = plots.duration_against_score(t, n, 1 + np.arange(40.0), np.full(20, 3.0))
    lines = [line for line in figure.axes[0].lines if "Targets" in str(line.get_label())]
    np.testing.assert_allclose(lines[0].get_ydata(), [4.5, 14.5, 24.5, 34.5])
    np.testing.assert_allclose(lines[0].get_xdata(), [5.5, 15.5, 25.5, 35.5])
    assert "20 non-targets of 3 to 3 s" in figure.get_label()
    plots.to_svg(plots.duration_against_score([1.0], [np.inf, 0.0], [2.0], [2.0, 2.0]))
    with pytest.raises(DataError, match="the seconds of targets must be 2 numbers above 0"):
        plots.duration_against_score([1.0, 2.0], [0.0], [1.0], [1.0])
    with pytest.raises(DataError, match="the seconds of nontargets must be 1 numbers above 0"):
        plots.duration_against_score([1.0], [0.0], [1.0], [0.0])
    with pytest.raises(DataError, match="nontargets must hold at least one finite score"):
        plots.duration_against_score([1.0], [-np.inf], [1.0], [1.0])


def test_a_page_of_many_trials_gets_light_figures():
    rng = np.random.default_rng(0)
    scores, seconds = rng.normal(size=200_000), rng.lognormal(1, 0.5, 200_000)
    figure = plots.duration_against_score(scores[:1000], scores, seconds[:1000], seconds)
    assert len(plots.to_svg(figure)) < 500_000
    labels = np.repeat([1, 0], 100_000)
    models = rng.integers(400, size=200_000)
    names = [f"speaker {i}" for i in range(400)]
    assert len(plots.to_svg(plots.speaker_strip(names, models, scores, labels))) < 1_200_000
