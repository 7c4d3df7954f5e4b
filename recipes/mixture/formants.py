"""Formants of voices: components that follow the resonances of a spectrum, beside LPC roots.

    python recipes/mixture/formants.py [--out formants.png] [--seed 0] [--voices 6] [--json]

Artificial voices speak, so their formants are known. Every 10 ms the curvature of the all-pole
spectrum is a set of weighted points on the frequency axis, and the tracker's components (`track`)
are born on its resonances, follow them and die with them; each voiced stretch begins anew. Which
component is F1, F2, F3 in a frame is then settled by a best path through all frames. The baselines
start from the roots of the same predictors: the lowest three with a bandwidth below 400 Hz, as
textbooks pick them; and the roots given to the same best path, to tell what the path does from what
the tracker does. As is usual, men are analyzed up to 5 kHz and women to 5.5 kHz.

Zolfaghari and Robinson, "Formant analysis using mixtures of Gaussians" (ICSLP 1996), fit such
mixtures to each frame alone; Christensen, Strong and Palmer, "A comparison of three methods of
extracting resonance information from predictor-coefficient coded speech" (IEEE ASSP 24, 1976), have
the second derivative; Talkin, "Speech formant trajectory estimation using dynamic programming with
modulated transition costs" (JASA 82, S55, 1987), the best path.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
import soxr
from scipy.signal import butter, sosfiltfilt
from threadpoolctl import threadpool_limits

from voicegmm.features.linear_prediction import predictors
from voicegmm.mixture import MotionOptions, TrackOptions, track, track_paths
from voicegmm.plots import save
from voicegmm.plots.canvas import COLORS, style
from voicegmm.synthesis import VOWELS, Utterance, draw_voice, speak

SECONDS = 3.0
FRAMES_PER_SECOND = 100
RATES = {"male": 10_000, "female": 11_000}  # Hz
NEUTRAL = np.array([500.0, 1500.0, 2500.0, 3500.0, 4500.0])  # Hz: a uniform tube of 17.5 cm
TRACT = {"male": 1.0, "female": 1.15}  # formants relative to that tube
ORDER = 12  # of the predictor: a pair of poles for each of five formants, one for the source
STEP_HERTZ = 10
METHODS = ("LPC roots in order", "LPC roots, best path", "tracker, best path")

# These and the costs of the path were tried out on the voices of seeds 100 to 107.
OPTIONS = TrackOptions(
    motion=MotionOptions(acceleration_std=60.0, speed_std=50.0, velocity_kept=0.8),  # Hz a frame
    n_iterations=3,
    quantum=0.02,  # of a frame's weight, which is 1
    spread_memory=0.8,
    least_std=30.0,
    greatest_std=100.0,
    clutter_volume=5000.0,
    clutter_share=0.1,
    birth_std=60.0,
    n_births=6,
    confirm_frames=2,
    death_frames=3,
    seen_part=0.1,
    least_share=0.01,
    least_evidence=2.0,
    merge_distance=1.5,
    merge_frames=1,
)


@dataclass(frozen=True)
class PathCosts:
    """What the best path pays.

    Parameters
    ----------
    spread : tuple of 5 floats
        Standard deviation of the logarithm of each formant about the neutral tract's.
    missing : float
        For a formant without a candidate in a frame.
    left_out : float
        For a candidate that is no formant, times its share of the weight.
    jump : float
        For a formant that moves by a factor of e from one frame to the next.
    """

    spread: tuple[float, ...] = (0.4, 0.4, 0.3, 0.3, 0.3)
    missing: float = 3.0
    left_out: float = 10.0
    jump: float = 10.0


@dataclass(frozen=True, eq=False)
class Speech:
    """An utterance at the rate of its analysis, and what is known of its frames.

    Parameters
    ----------
    sex : {"male", "female"}
    samples : (n_samples,) float array
    truth : (n_frames, 5) float array
        Formants in Hz.
    voiced, vowel : (n_frames,) bool array
    """

    sex: str
    samples: np.ndarray
    truth: np.ndarray
    voiced: np.ndarray
    vowel: np.ndarray

    @property
    def rate(self) -> int:
        """Samples a second: twice the band that is analyzed."""
        return RATES[self.sex]

    @property
    def neutral(self) -> np.ndarray:
        """Formants of a neutral tract of this sex, in Hz."""
        return NEUTRAL * TRACT[self.sex]


def make_speech(seed: int, sex: str) -> Speech:
    """Draw a voice and let it say random syllables."""
    rng = np.random.default_rng(seed)
    said: Utterance = speak(draw_voice(rng, sex), rng, seconds=SECONDS, sample_rate=16_000)
    samples = soxr.resample(said.samples.astype(np.float64), said.sample_rate, RATES[sex])
    skip = round(1 / (FRAMES_PER_SECOND * said.hop_seconds))
    truth, f0 = said.formants_hertz[::skip], said.f0_hertz[::skip]
    times = np.arange(len(truth)) / FRAMES_PER_SECOND
    starts = np.array([segment.start_seconds for segment in said.segments])
    phone = np.maximum(np.searchsorted(starts, times, side="right") - 1, 0)
    vowel = np.array([said.segments[index].phone in VOWELS for index in phone])
    return Speech(sex, samples, truth, f0 > 0, vowel & (f0 > 0))


def windows(samples: np.ndarray, rate: int, n_frames: int, seconds: float) -> np.ndarray:
    """Cut frames of `seconds`, frame t centered on t / 100 s, without a window's weights."""
    hop, half = rate // FRAMES_PER_SECOND, int(seconds * rate) // 2
    padded = np.pad(samples, (half, 2 * half + hop))
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * half)[::hop][:n_frames]


def linear_prediction(speech: Speech) -> np.ndarray:
    """Give predictors of 30 ms Hamming windows after pre-emphasis, (n_frames, ORDER)."""
    emphasized = np.diff(speech.samples, prepend=0) + 0.03 * speech.samples  # 1 - 0.97 / z
    frames = windows(emphasized, speech.rate, len(speech.truth), 0.030)
    power = np.abs(np.fft.rfft(frames * np.hamming(frames.shape[1]), 1024)) ** 2
    autocorrelation = np.fft.irfft(power)[:, : ORDER + 1]
    autocorrelation[:, 0] = autocorrelation[:, 0] * (1 + 1e-9) + 1e-12
    return predictors(autocorrelation)[0]


def voiced_stretches(speech: Speech) -> list[tuple[int, int]]:
    """Find stretches of voiced frames, (start, stop), by the periodicity below 900 Hz."""
    rate = speech.rate
    low = sosfiltfilt(butter(4, 900, fs=rate, output="sos"), speech.samples)
    frames = windows(low, rate, len(speech.truth), 0.040)
    window = np.hanning(frames.shape[1])
    lags = slice(rate // 400, rate // 60)

    def autocorrelation(signal: np.ndarray) -> np.ndarray:
        return np.fft.irfft(np.abs(np.fft.rfft(signal, 1024)) ** 2)

    of_frames, of_window = autocorrelation(frames * window), autocorrelation(window)
    energy = of_frames[:, 0] + 1e-9
    periodicity = of_frames[:, lags] / energy[:, None] / (of_window[lags] / of_window[0])
    loud = energy > 1e-3 * energy.max()
    voiced = np.flatnonzero(loud & (periodicity.max(axis=1) > 0.6))
    parts = np.split(voiced, np.flatnonzero(np.diff(voiced) > 4) + 1)
    return [(int(part[0]), int(part[-1]) + 1) for part in parts if part.size]


def resonance_points(coefficients: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Give frequencies in Hz, and a frame's weight on each: how sharply its log spectrum bends.

    A pole of bandwidth b bends the log spectrum by about 8 / b^2 at its frequency, whatever its
    level: tilt and loud neighbors play no part. The square root brings wide resonances forward.
    """
    inverse = np.concatenate([np.ones((len(coefficients), 1)), coefficients], axis=1)
    spectrum = -2 * np.log(np.abs(np.fft.rfft(inverse, rate // STEP_HERTZ)))
    bend = np.maximum(-np.diff(spectrum, 2), 0) ** 0.5
    hertz = STEP_HERTZ * np.arange(1, bend.shape[1] + 1, dtype=float)
    inside = slice(7, -4)
    bend, hertz = bend[:, inside], hertz[inside]
    return hertz, bend / np.maximum(bend.sum(axis=1, keepdims=True), 1e-12)


def component_candidates(
    speech: Speech, coefficients: np.ndarray, stretch: tuple[int, int]
) -> list[np.ndarray]:
    """Track a stretch; give each frame's components, rows of frequency and share of the weight."""
    hertz, weights = resonance_points(coefficients[slice(*stretch)], speech.rate)
    tracks = track([(hertz[:, None], weight) for weight in weights], OPTIONS)
    rows: list[list[tuple[float, float]]] = [[] for _ in range(*stretch)]
    for path in track_paths(tracks, smooth=True):
        for time, (place,), mass in zip(
            path.times, path.motion.positions, path.masses, strict=True
        ):
            rows[time].append((place, mass))
    return [np.array(sorted(row)).reshape(-1, 2) for row in rows]


def root_candidates(coefficients: np.ndarray, rate: int, widest: float) -> list[np.ndarray]:
    """Give each frame's resonances, rows of frequency and an equal share of the weight."""
    found = []
    for row in coefficients:
        roots = np.roots(np.append(1, row))
        roots = roots[roots.imag > 0]
        hertz = np.angle(roots) * rate / (2 * np.pi)
        width = -np.log(np.abs(roots)) * rate / np.pi
        kept = np.sort(hertz[(width < widest) & (hertz > 90) & (hertz < rate / 2 - 50)])
        found.append(np.stack([kept, np.full(len(kept), 1 / max(len(kept), 1))], axis=1))
    return found


@cache
def choices(n_candidates: int) -> np.ndarray:
    """Give every rising choice of candidates for five formants; -1 where one is missing."""
    n_formants = len(NEUTRAL)
    rows = []
    # Leaving out many at once is never best, and there are many ways to do it.
    for n in range(max(min(n_candidates, n_formants) - 2, 0), n_formants + 1):
        for slots in combinations(range(n_formants), n):
            for chosen in combinations(range(n_candidates), n):
                row = np.full(n_formants, -1)
                row[list(slots)] = chosen
                rows.append(row)
    return np.array(rows)


def best_path(
    candidates: Sequence[np.ndarray], neutral: np.ndarray, costs: PathCosts | None = None
) -> np.ndarray:
    """Choose the formants of each frame of a stretch, (n_frames, 5) in Hz.

    The sum of the costs over all frames is the least that can be (Viterbi). A formant that is
    missing in a frame lies between its neighbors in time; one that always is, is the neutral one.
    """
    costs = costs or PathCosts()
    values, backward = [], []
    total = np.zeros(1)
    for time, rows in enumerate(candidates):
        rows = rows[rows[:, 1].argsort()[::-1][:6]]
        rows = rows[rows[:, 0].argsort()]
        chosen = choices(len(rows))
        value = np.append(np.log(rows[:, 0]), np.nan)[chosen]
        local = np.square((value - np.log(neutral)) / costs.spread)
        local = np.where(chosen < 0, costs.missing, local).sum(axis=1)
        taken = (chosen[:, :, None] == np.arange(len(rows))).any(axis=1)
        local = local + costs.left_out * (~taken @ rows[:, 1])
        if time:
            moved = np.nansum(np.abs(value[:, None] - values[-1]), axis=2)
            over = total + costs.jump * moved
            backward.append(over.argmin(axis=1))
            total = over.min(axis=1)
        values.append(value)
        total = total + local
    states = [int(total.argmin())]
    for pointers in reversed(backward):
        states.append(int(pointers[states[-1]]))
    path = np.array([value[state] for value, state in zip(values, states[::-1], strict=True)])
    times = np.arange(len(path))
    for formant, column in enumerate(path.T.copy()):
        known = ~np.isnan(column)
        path[:, formant] = np.log(neutral[formant])
        if known.any():
            path[:, formant] = np.interp(times, times[known], column[known])
    return np.exp(path)


def estimates(speech: Speech) -> dict[str, np.ndarray]:
    """Estimate formants in all three ways, (n_frames, 5) in Hz.

    Where a way says nothing (too few roots, no voice found), the neutral tract's stand.
    """
    coefficients = linear_prediction(speech)
    found = {name: np.tile(speech.neutral, (len(coefficients), 1)) for name in METHODS}
    for time, rows in enumerate(root_candidates(coefficients, speech.rate, 400.0)):
        found[METHODS[0]][time, : len(rows[:5])] = rows[:5, 0]
    roots = root_candidates(coefficients, speech.rate, 600.0)
    for start, stop in voiced_stretches(speech):
        components = component_candidates(speech, coefficients, (start, stop))
        found[METHODS[1]][start:stop] = best_path(roots[start:stop], speech.neutral)
        found[METHODS[2]][start:stop] = best_path(components, speech.neutral)
    return found


def measure(speeches: Sequence[Speech]) -> tuple[list[dict[str, np.ndarray]], dict[str, Any]]:
    """Estimate the formants of all speeches, and summarize the errors of F1, F2, F3 in Hz."""
    found = [estimates(speech) for speech in speeches]
    figures: dict[str, Any] = {}
    for group, member in (
        ("all", lambda speech: speech.voiced),
        ("male", lambda speech: speech.voiced & (speech.sex == "male")),
        ("female", lambda speech: speech.voiced & (speech.sex == "female")),
        ("vowels", lambda speech: speech.vowel),
    ):
        figures[group] = {}
        for method in METHODS:
            errors = np.concatenate(
                [
                    np.abs(way[method] - speech.truth)[member(speech), :3]
                    for speech, way in zip(speeches, found, strict=True)
                ]
            )
            figures[group][method] = {
                "frames": len(errors),
                "median_hertz": np.median(errors, axis=0).tolist() if len(errors) else None,
                "mean_hertz": errors.mean(axis=0).tolist() if len(errors) else None,
            }
    return found, figures


def report(figures: dict[str, Any]) -> str:
    """Write the figures as a table."""
    lines = [
        f"absolute errors in Hz, {figures['n_voices']} voices of {SECONDS:g} s",
        "",
        f"{'':8}{'':22}{'median':>21}{'mean':>24}",
        f"{'frames':30}" + "".join(f"{name:>8}" for name in ("F1", "F2", "F3") * 2),
    ]
    for group, ways in figures["errors"].items():
        for method, row in ways.items():
            if row["frames"]:
                values = [*row["median_hertz"], *row["mean_hertz"]]
                cells = "".join(f"{value:8.0f}" for value in values)
                lines.append(f"{group:8}{method:22}{cells}")
    return "\n".join(lines) + "\n"


def draw(speeches: Sequence[Speech], found: Sequence[dict[str, np.ndarray]]) -> Any:
    """Draw spectrograms of the first man and the first woman, with known and tracked formants."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [
        next(pair for pair in zip(speeches, found, strict=True) if pair[0].sex == sex)
        for sex in dict.fromkeys(speech.sex for speech in speeches)
    ]
    with style():
        figure = Figure(figsize=(11, 4.1 * len(shown)), layout="constrained")
        FigureCanvasAgg(figure)
        for axes, (speech, ways) in zip(
            figure.subplots(len(shown), 1, squeeze=False)[:, 0], shown, strict=True
        ):
            draw_speech(axes, speech, ways[METHODS[2]])
        figure.set_label(
            "Spectrograms of a man and of a woman with the known formants of voiced frames as wide "
            "light lines and the tracked F1, F2 and F3 over them."
        )
    return figure


def draw_speech(axes: Any, speech: Speech, tracked: np.ndarray) -> None:
    frames = windows(np.diff(speech.samples, prepend=0), speech.rate, len(speech.truth), 0.012)
    power = np.abs(np.fft.rfft(frames * np.hanning(frames.shape[1]), 512)) ** 2
    decibels = 10 * np.log10(power.T + 1e-9)
    top = float(decibels.max())
    times = np.arange(len(speech.truth)) / FRAMES_PER_SECOND
    axes.imshow(
        decibels, origin="lower", aspect="auto", cmap="gray_r", vmin=top - 60, vmax=top,
        extent=(0, times[-1], 0, speech.rate / 2),
    )  # fmt: skip
    truth = np.where(speech.voiced[:, None], speech.truth, np.nan)
    ours = np.full_like(tracked, np.nan)
    for start, stop in voiced_stretches(speech):
        ours[start:stop] = tracked[start:stop]
    known = axes.plot(times, truth[:, :3], color=COLORS[5], linewidth=5, alpha=0.55)
    known[0].set_label("known, where voiced")
    for formant, color in enumerate((COLORS[0], COLORS[3], COLORS[2])):
        name = f"F{formant + 1}, tracked"
        axes.plot(times, ours[:, formant], color=color, linewidth=1.5, label=name)
    axes.set(
        xlabel="seconds", ylabel="Hz", xlim=(0, times[-1]), ylim=(0, 4000),
        title=f"{speech.sex} voice",
    )  # fmt: skip
    axes.grid(False)
    axes.legend(loc="upper right", ncols=4)


def main(arguments: Sequence[str] | None = None) -> None:
    """Let voices speak, track their formants, print, and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", default="formants.png", help="the picture: .png or .svg")
    parser.add_argument("--seed", type=int, default=0, help="of the first voice")
    parser.add_argument("--voices", type=int, default=6, help="how many, men and women in turn")
    parser.add_argument("--json", action="store_true", help="print one object")
    given = parser.parse_args(arguments)
    speeches = [
        make_speech(given.seed + number, ("male", "female")[number % 2])
        for number in range(given.voices)
    ]
    with threadpool_limits(1):  # small products: threads would only wait for each other
        found, errors = measure(speeches)
    figures = {"n_voices": given.voices, "errors": errors}
    save(draw(speeches, found), given.out)
    print(json.dumps(figures) if given.json else report(figures), end="\n" if given.json else "")


if __name__ == "__main__":
    main()
