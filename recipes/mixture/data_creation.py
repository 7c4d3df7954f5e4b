"""New data from a mixture: vowels that nobody has spoken, and vowels with a given first formant.

    python recipes/mixture/data_creation.py [--out data_creation.png] [--json]

A vowel is heard by its two lowest resonances, F1 and F2. Each of 2000 artificial voices of both
sexes says one of seven vowels; a mixture is fitted to the logarithms of F1 and F2, its size chosen
by BIC. Two questions of its samples: can they be told from vowels of voices it has not seen; and if
F1 is given, do samples of F2 follow what those voices have there? A single Gaussian is asked the
first, too.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import ks_2samp, kstest, norm
from threadpoolctl import threadpool_limits

from voicegmm.mixture import (
    Mixture,
    SelectionOptions,
    condition,
    log_density,
    sample,
    sample_conditional,
    select,
)
from voicegmm.plots import save
from voicegmm.plots.canvas import COLORS, GRAY, style
from voicegmm.synthesis import PHONES, draw_voice

VOWELS = ("i", "ɛ", "æ", "ɑ", "ɔ", "u", "ɝ")
GIVEN_HERTZ = (400.0, 550.0, 800.0)  # of F1
SLICE = 0.03  # relative: how far from the given F1 a real vowel may lie to count
PERMUTATIONS = 500
MIXTURES = SelectionOptions(
    n_components=tuple(range(4, 11)), covariance_types=("full",), n_starts=2, held_out=0
)


def speak_all(n_voices: int, rng: np.random.Generator) -> np.ndarray:
    """Give ln F1 and ln F2 of all vowels of voices, (n_voices, n_vowels, 2)."""
    rows = {phone: row for row, phone in enumerate(PHONES)}
    targets = np.array([PHONES[vowel][0].formants_hertz[:2] for vowel in VOWELS])
    voices = np.empty((n_voices, len(VOWELS), 2))
    for number in range(n_voices):
        voice = draw_voice(rng)
        own = np.array(voice.phone_ratios)[[rows[vowel] for vowel in VOWELS], :2]
        ratios = np.array(voice.formant_ratios[:2]) * voice.formant_scale
        voices[number] = np.log(targets * own * ratios)
    return voices


def one_each(voices: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Choose one vowel of each voice, so that no two frames depend on each other."""
    return voices[np.arange(len(voices)), rng.integers(len(VOWELS), size=len(voices))]


def energy_test(
    real: np.ndarray, made: np.ndarray, rng: np.random.Generator
) -> tuple[float, float]:
    """Give the energy distance of two samples, and how often chance alone makes it as great.

    Szekely and Rizzo, "Testing for equal distributions in high dimension", InterStat 5 (2004):
    2 E|X - Y| - E|X - X'| - E|Y - Y'|, and a permutation test.
    """
    both = np.concatenate([real, made]) / real.std(axis=0)
    distances = cdist(both, both)
    signs = np.concatenate([np.full(len(real), 1 / len(real)), np.full(len(made), -1 / len(made))])
    orders = np.stack([signs, *(rng.permutation(signs) for _ in range(PERMUTATIONS))], axis=1)
    found = -np.einsum("ij,ij->j", orders, distances @ orders)
    return float(found[0]), float((found >= found[0]).mean())


@dataclass(frozen=True, eq=False)
class Creation:
    """Real vowels, the mixture, and what it made."""

    train: np.ndarray
    gmm: Mixture
    made: np.ndarray
    draws: list[np.ndarray]  # ln F2, for each given F1
    slices: list[np.ndarray]  # ln F2 of real vowels near it


def create(n_voices: int, seed: int) -> tuple[Creation, dict[str, Any]]:
    """Draw voices, fit, sample, compare."""
    rng = np.random.default_rng(seed)
    train = one_each(speak_all(n_voices, rng), rng)
    others = speak_all(n_voices, rng)
    best = select(train, rng, MIXTURES).best("bic")
    gmm = best.gmm
    single = select(train, rng, replace(MIXTURES, n_components=(1,))).best("bic").gmm
    made, _ = sample(gmm, n_voices, rng)
    held_out = one_each(others, rng)
    candidates = {
        "the mixture": made,
        "one Gaussian": sample(single, n_voices, rng)[0],
        "voices again": one_each(speak_all(n_voices, rng), rng),
    }
    tests = []
    for name, points in candidates.items():
        distance, p = energy_test(held_out, points, rng)
        tests.append({"made_by": name, "distance": distance, "p": p})
    draws, slices, conditionals = [], [], []
    for hertz in GIVEN_HERTZ:
        drawn = sample_conditional(gmm, [0], [np.log(hertz)], 4000, rng)[0][:, 1]
        near = others[np.abs(others[:, :, 0] - np.log(hertz)) < SLICE, 1]
        draws.append(drawn)
        slices.append(near)
        conditionals.append(
            {
                "f1": hertz,
                "vowels": len(near),
                "to_formula": float(kstest(drawn, cumulative(gmm, hertz)).statistic),
                "to_real": float(ks_2samp(drawn, near).statistic),
                "unconditional_to_real": float(ks_2samp(made[:, 1], near).statistic),
            }
        )
    densities = [log_density(gmm, points) for points in (held_out, made)]
    error = np.sqrt(sum(density.var() / len(density) for density in densities))
    figures = {
        "voices": n_voices,
        "chosen": f"{best.n_components} {best.covariance_type}",
        "tests": tests,
        "log_density_held_out": float(densities[0].mean()),
        "log_density_samples": float(densities[1].mean()),
        "log_density_error": float(error),
        "conditionals": conditionals,
    }
    return Creation(train, gmm, made, draws, slices), figures


def cumulative(gmm: Mixture, hertz: float) -> Callable[[np.ndarray], np.ndarray]:
    """Give the distribution function of ln F2 given F1."""
    model = condition(gmm, [0], [np.log(hertz)])
    means, deviations = model.means[:, 0], np.sqrt(model.variances_by_dim()[:, 0])
    return lambda x: norm.cdf((np.asarray(x)[:, None] - means) / deviations) @ model.weights


def report(figures: dict[str, Any]) -> str:
    """Write the figures as text."""
    return "\n".join(
        [
            f"{figures['voices']} voices, a vowel each; BIC chose {figures['chosen']}",
            "",
            "beside vowels of voices held out       energy distance  as great by chance",
            *(
                f"  {row['made_by']:35} {row['distance']:15.5f} {100 * row['p']:17.1f} %"
                for row in figures["tests"]
            ),
            "",
            "mean log-density under the mixture, nats: "
            f"{figures['log_density_held_out']:.3f} of vowels held out, "
            f"{figures['log_density_samples']:.3f} of samples "
            f"(standard error of the difference {figures['log_density_error']:.3f})",
            "",
            "F2 given F1: greatest distance of distribution functions",
            "  F1, Hz   real vowels   draws to formula   draws to real   without F1 to real",
            *(
                f"  {row['f1']:6.0f} {row['vowels']:13d} {row['to_formula']:18.3f} "
                f"{row['to_real']:15.3f} {row['unconditional_to_real']:20.3f}"
                for row in figures["conditionals"]
            ),
        ]
    )


def picture(made: Creation, figures: dict[str, Any], path: str) -> None:
    """Draw the vowels, the samples with the density, and F2 given F1."""
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(11.5, 7.6), layout="constrained")
        top, bottom = figure.subfigures(2, 1, height_ratios=(1.45, 1))
        left, right = top.subplots(1, 2, sharex=True, sharey=True)
        low, high = made.train.min(axis=0) - 0.1, made.train.max(axis=0) + 0.1
        for axes, points, color in ((left, made.train, GRAY), (right, made.made, COLORS[0])):
            axes.scatter(*points.T, s=5, color=color, alpha=0.5, linewidths=0)
            axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel="F1, Hz")
            axes.set_xticks(np.log((200, 400, 800, 1200)), ("200", "400", "800", "1200"))
            axes.set_yticks(np.log((600, 1000, 2000, 3000)), ("600", "1000", "2000", "3000"))
        left.set_ylabel("F2, Hz")
        left.set_title(f"a vowel each of {figures['voices']} voices")
        right.set_title(f"as many samples of a mixture of {made.gmm.n_components}, and its density")
        contours(right, made.gmm, low, high)
        for hertz in GIVEN_HERTZ:
            right.axvline(np.log(hertz), color=COLORS[1], linewidth=1.2, linestyle="--")
        row = bottom.subplots(1, len(GIVEN_HERTZ), sharex=True)
        edges = np.linspace(low[1], high[1], 50)
        for number, (axes, hertz) in enumerate(zip(row, GIVEN_HERTZ, strict=True)):
            slices(axes, made, number, edges)
            axes.set_title(f"F2 where F1 is {hertz:.0f} Hz")
            axes.set_xticks(np.log((600, 1000, 2000, 3000)), ("600", "1000", "2000", "3000"))
            axes.set_yticks([])
            axes.set(xlabel="F2, Hz", ylim=(0, 1.06 * axes.get_ylim()[1]))
        handles, labels = row[0].get_legend_handles_labels()
        bottom.legend(handles, labels, loc="outside lower center", ncols=3)
        figure.set_label("Vowels, samples of a mixture fitted to them, and F2 given F1")
    save(figure, path)


def contours(axes: Any, gmm: Mixture, low: np.ndarray, high: np.ndarray) -> None:
    """Draw where the density falls to fractions of its peak."""
    x, y = (np.linspace(a, b, 160) for a, b in zip(low, high, strict=True))
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    density = np.exp(log_density(gmm, grid)).reshape(len(y), len(x))
    levels = density.max() * np.array([0.03, 0.1, 0.3, 0.6])
    axes.contour(x, y, density, levels=levels, colors="black", linewidths=0.9)


def slices(axes: Any, made: Creation, number: int, edges: np.ndarray) -> None:
    """Draw the conditional density beside draws from it and real vowels."""
    hertz = GIVEN_HERTZ[number]
    x = np.linspace(edges[0], edges[-1], 600)
    density = np.exp(log_density(condition(made.gmm, [0], [np.log(hertz)]), x[:, None]))
    axes.hist(
        made.draws[number], edges, density=True, color=COLORS[0], alpha=0.35, label="4000 draws"
    )
    axes.hist(
        made.slices[number], edges, density=True, histtype="step", color=GRAY, linewidth=1.2,
        label="vowels of voices held out",
    )  # fmt: skip
    axes.plot(x, density, color=COLORS[1], label="conditional density")


def main(arguments: Sequence[str] | None = None) -> None:
    """Create, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--voices", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="data_creation.png", help="the picture (.png or .svg)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    with threadpool_limits(1):  # small products: more threads only wait for one another
        made, figures = create(options.voices, options.seed)
    picture(made, figures, options.out)
    print(json.dumps(figures) if options.json else report(figures))


if __name__ == "__main__":
    main()
