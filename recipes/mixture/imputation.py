"""Missing values: filled in where they are wanted, summed away where they are not.

    python recipes/mixture/imputation.py [--out imputation.png] [--json]

Measurements: pitch and nine formants of each of 600 artificial voices, of which 30 % could not be
measured. A mixture is fitted to what there is, its size chosen by BIC; what is missing is filled
with its conditional mean, beside the column's mean and scikit-learn's k nearest neighbors (the k of
least error), and with a hundred draws, whose 5 % and 95 % quantiles should hold nine of ten.

Voices: twelve speakers, each with a mixture of log filterbank frames of broad-band speech, are
identified over the telephone, which lets pass 300 to 3400 Hz. What to do with the bands that are
lost? Score their noise as if it were speech, fill them with the mean of all speakers or with what a
mixture of all speakers expects there, or leave them out of the densities.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.impute import KNNImputer
from threadpoolctl import threadpool_limits

from voicegmm.audio import hertz_from_mel, mel_from_hertz
from voicegmm.features import StaticOptions, filterbank
from voicegmm.mixture import (
    ArraySource,
    EmOptions,
    Mixture,
    collector,
    fit,
    impute,
    incomplete_collector,
    incomplete_initialize,
    incomplete_log_density,
    information_criteria,
    initialize,
    n_parameters,
)
from voicegmm.plots import save
from voicegmm.plots.canvas import COLORS, GRAY, style
from voicegmm.synthesis import (
    PHONES,
    Voice,
    add_noise,
    draw_voice,
    speak,
    telephone_band,
    vary_voice,
)

VOWELS = ("i", "ɑ", "u")
COLUMNS = ("pitch", *(f"F{f} of {vowel}" for vowel in VOWELS for f in (1, 2, 3)))
MISSING = 0.3
DRAWS = 100
MIXTURES = ((1, "full"), (2, "tied"), (3, "tied"), (2, "full"), (3, "full"))
NEIGHBORS = (5, 10, 20, 40)
EM = EmOptions(n_iterations=60, tolerance=1e-4, variance_floor=1e-3)

BANDS = StaticOptions(n_filters=24, low_hertz=100.0, high_hertz=7600.0)
PASSED_HERTZ = (300.0, 3400.0)
COMPONENTS = 6


# Measurements.


def measured(voice: Voice) -> np.ndarray:
    """Give the logarithms of pitch and of F1 to F3 of three vowels, (10,)."""
    rows = {phone: row for row, phone in enumerate(PHONES)}
    formants = [
        np.array(PHONES[vowel][0].formants_hertz[:3]) * voice.phone_ratios[rows[vowel]][:3]
        for vowel in VOWELS
    ]
    scaled = np.array(formants) * voice.formant_ratios[:3] * voice.formant_scale
    return np.log(np.concatenate([[voice.f0_hertz], scaled.ravel()]))


def fitted(holes: np.ndarray, rng: np.random.Generator) -> Mixture:
    """Fit mixtures to frames with holes; give the best by BIC."""
    collect = incomplete_collector(ArraySource(holes))
    found: list[tuple[float, Mixture]] = []
    for n_components, shape in MIXTURES:
        start = incomplete_initialize(holes, n_components, rng, covariance_type=shape)
        gmm = fit(start, collect, EM).gmm
        total = float(incomplete_log_density(gmm, holes).sum())
        found.append((information_criteria(total, n_parameters(gmm), len(holes), 0.0)[0], gmm))
    return min(found, key=lambda pair: pair[0])[1]


@dataclass(frozen=True, eq=False)
class Measurements:
    """Voices with holes, and what fills them."""

    truth: np.ndarray
    holes: np.ndarray
    filled: dict[str, np.ndarray]
    draws: np.ndarray


def neighbors(holes: np.ndarray, k: int) -> np.ndarray:
    """Fill holes with the mean of the k nearest voices, distances in standard deviations."""
    center, scale = np.nanmean(holes, axis=0), np.nanstd(holes, axis=0)
    return KNNImputer(n_neighbors=k).fit_transform((holes - center) / scale) * scale + center


def interval(draws: np.ndarray) -> np.ndarray:
    """Give the ends of 90 % intervals of draws (n_draws, ...)."""
    # One more draw would lie in it nine times of ten: numpy's own rule makes it too narrow.
    return np.quantile(draws, (0.05, 0.95), axis=0, method="weibull")


def measure(n_voices: int, rng: np.random.Generator) -> tuple[Measurements, dict[str, Any]]:
    """Draw voices, lose values, fill them in, count."""
    truth = np.array([measured(draw_voice(rng)) for _ in range(n_voices)])
    lost = rng.random(truth.shape) < MISSING
    holes = np.where(lost, np.nan, truth)
    gmm = fitted(holes, rng)
    scale = truth.std(axis=0)

    def error(filled: np.ndarray) -> float:
        return float(np.sqrt(np.square((filled - truth) / scale)[lost].mean()))

    # Which k is best only the truth can tell: the neighbors are given it, the mixture is not.
    by_neighbors = min((neighbors(holes, k) for k in NEIGHBORS), key=error)
    draws = impute(gmm, holes, "draw", n_draws=DRAWS, rng=rng)
    filled = {
        "column mean": np.where(lost, np.nanmean(holes, axis=0), holes),
        "nearest neighbors": by_neighbors,
        "mixture, mean": impute(gmm, holes),
        "mixture, one draw": draws[0],
    }
    low, high = interval(draws)
    of_columns = np.nanquantile(holes, (0.05, 0.95), axis=0)
    pairs = np.triu_indices(truth.shape[1], 1)
    correlations = np.corrcoef(truth.T)[pairs]
    figures = {
        "voices": n_voices,
        "missing": float(lost.mean()),
        "complete_voices": int((~lost).all(axis=1).sum()),
        "chosen": f"{gmm.n_components} {gmm.covariance_type}",
        "filled": [
            {
                "by": name,
                "rmse": error(values),
                "variance_kept": float((values.var(axis=0) / truth.var(axis=0)).mean()),
                "correlation_error": float(
                    np.sqrt(np.square(np.corrcoef(values.T)[pairs] - correlations).mean())
                ),
            }
            for name, values in filled.items()
        ],
        "coverage": float(((low <= truth) & (truth <= high))[lost].mean()),
        "interval_width": float((((high - low) / scale)[lost]).mean()),
        "column_interval_width": float(((of_columns[1] - of_columns[0]) / scale).mean()),
    }
    return Measurements(truth, holes, filled, draws), figures


# Voices over the telephone.


def bands_of(samples: np.ndarray) -> np.ndarray:
    """Give the log filterbank of the louder frames, float64: those within 30 dB of the loudest."""
    frames = filterbank(samples, 16000, BANDS).astype(np.float64)
    level = frames[:, kept_bands()].max(axis=1)
    return frames[level > level.max() - 30 * np.log(10) / 10]


def kept_bands() -> np.ndarray:
    """Say which filters the telephone leaves whole, (n_filters,) bools."""
    ends = mel_from_hertz([BANDS.low_hertz, BANDS.high_hertz])
    corners = hertz_from_mel(np.linspace(*ends, BANDS.n_filters + 2))
    return (corners[:-2] >= PASSED_HERTZ[0]) & (corners[2:] <= PASSED_HERTZ[1])


def over_telephone(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Keep what the telephone lets pass, and add the noise of the line."""
    return add_noise(telephone_band(samples), 35.0, "white", rng)


@dataclass(frozen=True, eq=False)
class Call:
    """A test: who speaks, and the frames of the broad band and of the telephone."""

    speaker: int
    broad: np.ndarray
    narrow: np.ndarray


def speech(
    n_speakers: int, n_calls: int, rng: np.random.Generator
) -> tuple[list[np.ndarray], list[Call]]:
    """Give frames to train each speaker on, and calls of a second each, on other days."""
    training, calls = [], []
    for speaker in range(n_speakers):
        voice = draw_voice(rng)
        training.append(bands_of(speak(voice, rng, seconds=15).samples))
        for _ in range(n_calls):
            samples = speak(vary_voice(voice, rng), rng, seconds=1).samples
            narrow = bands_of(over_telephone(samples, rng))
            calls.append(Call(speaker, bands_of(samples), narrow))
    return training, calls


def trained(frames: np.ndarray, rng: np.random.Generator) -> Mixture:
    """Fit a mixture to frames of the whole band."""
    start = initialize(frames, COMPONENTS, rng, covariance_type="full")
    return fit(start, collector(ArraySource(frames)), EmOptions(12, 1e-3)).gmm


def identify(
    n_speakers: int, n_calls: int, rng: np.random.Generator
) -> tuple[list[np.ndarray], dict[str, Any]]:
    """Identify the speakers of calls in five ways; give one call's frames, and the figures."""
    training, calls = speech(n_speakers, n_calls, rng)
    speakers = [trained(frames, rng) for frames in training]
    everybody = np.concatenate(training)
    background, mean = trained(everybody, rng), everybody.mean(axis=0)
    kept = kept_bands()

    broad, narrow = (
        np.concatenate([getattr(c, band) for c in calls]) for band in ("broad", "narrow")
    )
    holed = np.where(kept, narrow, np.nan)
    ways = {
        "broad band": (broad, "broad"),
        "lost bands left out": (holed, "narrow"),
        "filled with what is expected": (impute(background, holed), "narrow"),
        "filled with the mean": (np.where(kept, narrow, mean), "narrow"),
        "noise of the line": (narrow, "narrow"),
    }
    truth = np.array([call.speaker for call in calls])
    rows = []
    for name, (frames, band) in ways.items():
        starts = np.cumsum([0, *(len(getattr(call, band)) for call in calls)])[:-1]
        scores = [np.add.reduceat(incomplete_log_density(gmm, frames), starts) for gmm in speakers]
        right = np.argmax(scores, axis=0) == truth
        rows.append({"by": name, "accuracy": float(right.mean())})
    figures = {
        "speakers": n_speakers,
        "calls": len(calls),
        "kept_bands": int(kept.sum()),
        "bands": len(kept),
        "identified": rows,
    }
    shown = speak(draw_voice(rng), rng, seconds=1.5).samples
    broad = filterbank(shown, 16000, BANDS).astype(np.float64)
    narrow = filterbank(over_telephone(shown, rng), 16000, BANDS).astype(np.float64)
    expected = impute(background, np.where(kept, narrow, np.nan))
    return [broad, narrow, expected], figures


def report(figures: dict[str, Any]) -> str:
    """Write the figures as text."""
    a, b = figures["measurements"], figures["telephone"]
    return "\n".join(
        [
            f"measurements: {a['voices']} voices, {100 * a['missing']:.0f} % missing, "
            f"{a['complete_voices']} voices complete; BIC chose {a['chosen']}",
            "",
            "filled with               error   variance kept   error of correlations",
            *(
                f"  {row['by']:20} {row['rmse']:8.3f} {row['variance_kept']:15.2f} "
                f"{row['correlation_error']:23.3f}"
                for row in a["filled"]
            ),
            "",
            f"90 % intervals of {DRAWS} draws hold {100 * a['coverage']:.1f} % of what was lost; "
            f"they are {a['interval_width']:.2f} standard deviations wide, "
            f"those of whole columns {a['column_interval_width']:.2f}",
            "",
            f"telephone: {b['speakers']} speakers, {b['calls']} calls of a second, "
            f"{b['kept_bands']} of {b['bands']} bands kept",
            "",
            "scored                              identified",
            *(f"  {row['by']:30} {100 * row['accuracy']:11.1f} %" for row in b["identified"]),
        ]
    )


def picture(
    made: Measurements, spectra: Sequence[np.ndarray], figures: dict[str, Any], path: str
) -> None:
    """Draw errors and intervals, a call before and after, and who was identified."""
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(12, 8), layout="constrained")
        top, bottom = figure.subfigures(2, 1)
        left, right = top.subplots(1, 2, width_ratios=(1, 1.25))
        # A draw is not meant to be near: its error would say nothing beside the others.
        fills = [row for row in figures["measurements"]["filled"] if "draw" not in row["by"]]
        bars(left, [row["by"] for row in fills], [row["rmse"] for row in fills], "{:.2f}")
        left.set(xlabel="error, standard deviations of the column (less is better)")
        left.set_title("what was lost, and what fills it")
        intervals(right, made, figures["measurements"]["coverage"])
        images = bottom.subfigures(1, 2, width_ratios=(1.25, 1))
        calls(images[0], spectra)
        axes = images[1].subplots()
        rows = figures["telephone"]["identified"]
        bars(axes, [row["by"] for row in rows], [100 * row["accuracy"] for row in rows], "{:.0f} %")
        axes.set(xlim=(0, 112), xlabel="speakers identified, % (more is better)")
        axes.set_title("who calls?")
        figure.set_label("Imputation of measurements; speakers identified with bands lost")
    save(figure, path)


def bars(axes: Any, names: Sequence[str], values: Sequence[float], form: str) -> None:
    """Draw bars from top to bottom, each with its name and its value."""
    colors = [COLORS[0] if "mixture" in n or "left out" in n else "#A9B4BD" for n in names]
    drawn = axes.barh(range(len(names)), values, color=colors, height=0.65)
    axes.bar_label(drawn, [form.format(value) for value in values], padding=4)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.margins(x=0.14)
    axes.grid(visible=False, axis="y")


def intervals(axes: Any, made: Measurements, coverage: float) -> None:
    """Draw lost values of F1 of ɑ with the intervals that the draws give them."""
    column = COLUMNS.index("F1 of ɑ")
    lost = np.flatnonzero(np.isnan(made.holes[:, column]))[:60]
    hertz = np.exp(made.draws[:, lost, column])
    low, high = interval(hertz)
    middle = np.median(hertz, axis=0)
    truth = np.exp(made.truth[lost, column])
    order = np.argsort(middle)
    place = np.arange(len(lost))
    inside = ((low <= truth) & (truth <= high))[order]
    axes.vlines(place, low[order], high[order], color=COLORS[4], linewidth=4, label="90 % of draws")
    for chosen, color, label in (
        (inside, "black", "truth"),
        (~inside, COLORS[1], "truth, missed"),
    ):
        axes.plot(
            place[chosen], truth[order][chosen], "o", color=color, markersize=3.5, label=label
        )
    axes.axhline(
        np.exp(np.nanmean(made.holes[:, column])), color=GRAY, linestyle="--", linewidth=1,
        label="mean of the column",
    )  # fmt: skip
    axes.set(xlabel="voices whose F1 of ɑ was lost, by the middle draw", ylabel="F1 of ɑ, Hz")
    axes.set_xticks([])
    axes.set_title(f"90 % intervals of {DRAWS} draws hold {100 * coverage:.0f} % of what was lost")
    axes.legend(loc="upper left", ncols=2)


def calls(figure: Any, spectra: Sequence[np.ndarray]) -> None:
    """Draw the log filterbank of a call: as spoken, as it came, as expected."""
    titles = ("as spoken", "over the telephone", "lost bands filled with what is expected")
    high = np.quantile(spectra[0], 0.995)
    low = high - 12  # nats, some 50 dB; digital silence is lower still
    kept = np.flatnonzero(kept_bands())
    for axes, frames, title in zip(
        figure.subplots(3, 1, sharex=True), spectra, titles, strict=True
    ):
        seconds = len(frames) * BANDS.hop_seconds
        axes.imshow(
            frames.T, origin="lower", aspect="auto", vmin=low, vmax=high, cmap="magma",
            extent=(0, seconds, -0.5, frames.shape[1] - 0.5), interpolation="nearest",
        )  # fmt: skip
        for edge in (kept[0] - 0.5, kept[-1] + 0.5):
            axes.axhline(edge, color="white", linewidth=0.8, linestyle=":")
        axes.grid(visible=False)
        axes.set_title(title, fontsize="medium")
        axes.set_ylabel("band")
    axes.set_xlabel("seconds")


def main(arguments: Sequence[str] | None = None) -> None:
    """Fill in, identify, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--voices", type=int, default=600, help="of the measurements")
    parser.add_argument("--speakers", type=int, default=12, help="of the telephone")
    parser.add_argument("--calls", type=int, default=20, help="by each speaker")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="imputation.png", help="the picture (.png or .svg)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    first, second = np.random.default_rng(options.seed).spawn(2)
    with threadpool_limits(1):  # small products: more threads only wait for one another
        made, of_measurements = measure(options.voices, first)
        spectra, of_telephone = identify(options.speakers, options.calls, second)
    figures = {"measurements": of_measurements, "telephone": of_telephone}
    picture(made, spectra, figures, options.out)
    print(json.dumps(figures) if options.json else report(figures))


if __name__ == "__main__":
    main()
