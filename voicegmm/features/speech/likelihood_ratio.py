"""Speech by likelihood ratio: is this spectrum noise alone, or noise and something else?

Sohn, Kim and Sung, "A statistical model-based voice activity detection", IEEE Signal Processing
Letters 6(1), 1999; its equation numbers stand at the lines.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from voicegmm._base.arrays import BoolArray, Float64Array, FloatArray
from voicegmm._base.checks import one_of, within
from voicegmm.features.speech.noise import NoiseFloor, NoiseFloorOptions, noise_floor
from voicegmm.features.speech.spectra import Spectra, bins_between, check_band

# Beyond this a frame's odds say all they can, and its neighbors' still count.
_MOST_ODDS = 50.0


@dataclass(frozen=True)
class LikelihoodRatioOptions:
    """How noise and speech are told apart.

    With threshold 0, sharpness 1, speech_seconds 0.1, pause_seconds 0.05 and hang_over "forward"
    it is the detector of the paper; the defaults decide better and give weights that mean more.

    Parameters
    ----------
    low_hertz, high_hertz : float
        The band that is looked at, as far as the sampling rate reaches.
    snr_smoothing : float
        Weight of the frame before in the a-priori signal-to-noise ratio, 0 to 0.999.
    min_snr_db, max_snr_db : float
        Bounds of the a-priori and of the a-posteriori ratio in a bin, in dB.
    threshold : float
        Mean log-likelihood ratio of the bins that speaks for neither, in nats, -10 to 10.
    sharpness : float
        How many independent bins the mean stands for, 0.01 to 1000.
    speech_seconds, pause_seconds : float
        Mean length of the two states, 0.001 to 100.
    hang_over : {"smoothed", "forward"}
        Whether a frame's probability takes what follows into account, or only what came before.
    """

    low_hertz: float = 90.0
    high_hertz: float = 8000.0
    snr_smoothing: float = 0.98
    min_snr_db: float = -25.0
    max_snr_db: float = 30.0
    threshold: float = 0.025
    sharpness: float = 20.0
    speech_seconds: float = 0.3
    pause_seconds: float = 0.3
    hang_over: str = "smoothed"

    def __post_init__(self) -> None:
        check_band(self.low_hertz, self.high_hertz)
        within("snr_smoothing", self.snr_smoothing, 0.0, 0.999)
        within("min_snr_db", self.min_snr_db, -100.0, 0.0)
        within("max_snr_db", self.max_snr_db, 0.0, 100.0)
        within("threshold", self.threshold, -10.0, 10.0)
        within("sharpness", self.sharpness, 0.01, 1000.0)
        within("speech_seconds", self.speech_seconds, 1e-3, 100.0)
        within("pause_seconds", self.pause_seconds, 1e-3, 100.0)
        one_of("hang_over", self.hang_over, ("smoothed", "forward"))

    def bins(self, n_fft: int, sample_rate: int) -> slice:
        """Give the bins of the band; see `bins_between`."""
        return bins_between(self.low_hertz, self.high_hertz, n_fft, sample_rate, "likelihood_ratio")


def likelihood_ratio_odds(
    spectra: Spectra,
    audible: BoolArray,
    floor_db: float,
    options: LikelihoodRatioOptions,
    noise_options: NoiseFloorOptions,
) -> Float64Array:
    """Compute the log odds of speech in each audible frame.

    Parameters
    ----------
    spectra : Spectra
        Of all frames.
    audible : (n_frames,) bool array
        The others are digital silence, and tell nothing of the noise.
    floor_db : float
        The noise is taken to be at least white noise of this level, in dB relative to full scale.
    options, noise_options

    Returns
    -------
    (n_audible,) float64 array
    """
    bins = options.bins(spectra.n_fft, spectra.sample_rate)
    least = spectra.power_at(floor_db)
    noise = noise_floor(spectra.chosen(audible, bins), spectra, least, noise_options)
    ratios = mean_log_ratios(spectra.chosen(audible, bins), noise, options)
    return hang_over(ratios, spectra.hop_seconds, options)


def mean_log_ratios(
    blocks: Iterable[FloatArray], noise: NoiseFloor, options: LikelihoodRatioOptions
) -> Float64Array:
    """Compute the mean over the bins of log p(X | speech) / p(X | noise), frame by frame.

    The a-priori ratio xi is Ephraim and Malah's decision-directed one (IEEE Trans. ASSP 32(6),
    1984, eq. 51), with their amplitude estimator (eq. 7).

    Parameters
    ----------
    blocks : iterable of (n, n_bins) float arrays
        Power, frame by frame.
    noise : NoiseFloor
    options : LikelihoodRatioOptions

    Returns
    -------
    (n_frames,) float64 array
        In nats per bin.
    """
    from scipy.special import i0e, i1e

    alpha = options.snr_smoothing
    least, most = 10 ** (options.min_snr_db / 10), 10 ** (options.max_snr_db / 10)
    # Â² / lambda of the frame before; 1 before the first (Ephraim and Malah, section V).
    before: Float64Array | float = 1.0
    means: list[float] = []
    at = 0
    for block in blocks:
        gammas = np.minimum(block / noise.at(at, at + len(block)), most)
        news = (1 - alpha) * np.maximum(gammas - 1, 0)
        at += len(block)
        for gamma, new in zip(gammas, news, strict=True):
            xi = np.maximum(alpha * before + new, least)  # Sohn eq. 7
            gain = xi / (1 + xi)  # Wiener's
            v = gain * gamma
            means.append(float(np.mean(v - np.log1p(xi))))  # eqs. 3 and 4
            # G² gamma with G = sqrt(pi v) / (2 gamma) e^(-v/2) [(1 + v) I0(v/2) + v I1(v/2)]
            half = 0.5 * v
            before = np.pi / 4 * gain * np.square((1 + v) * i0e(half) + v * i1e(half))
    return np.asarray(means)


def hang_over(
    log_ratios: Float64Array, hop_seconds: float, options: LikelihoodRatioOptions
) -> Float64Array:
    """Turn each frame's likelihood ratio into the odds of a state that likes to last.

    A Markov chain of speech and pause, with lengths of the given mean. Forward it is the paper's
    recursion Gamma(n) = (a01 + a11 Gamma(n-1)) / (a00 + a10 Gamma(n-1)) Lambda(n), and L(n) =
    P(H0) / P(H1) Gamma(n) (section III), so that neither state has a start; "smoothed" multiplies
    what the frames after n say (Rabiner, Proc. IEEE 77(2), 1989, eq. 27).

    Parameters
    ----------
    log_ratios : (n_frames,) float64 array
        As `mean_log_ratios` gives them.
    hop_seconds : float
    options : LikelihoodRatioOptions
        `threshold`, `sharpness`, `speech_seconds`, `pause_seconds` and `hang_over` count.

    Returns
    -------
    (n_frames,) float64 array
        Log odds; greater than 0 is speech.
    """
    evidence = np.clip(
        options.sharpness * (log_ratios - options.threshold), -_MOST_ODDS, _MOST_ODDS
    ).tolist()
    a01 = 1 - math.exp(-hop_seconds / options.pause_seconds)
    a10 = 1 - math.exp(-hop_seconds / options.speech_seconds)
    prior = math.log(a01 / a10)

    def step(odds: float, enter: float, leave: float) -> float:
        """Give log((enter + (1 - leave) e^odds) / ((1 - enter) + leave e^odds))."""
        ratio = math.exp(min(max(odds, -_MOST_ODDS), _MOST_ODDS))
        return math.log((enter + (1 - leave) * ratio) / ((1 - enter) + leave * ratio))

    odds = np.empty(len(evidence))
    state = prior
    for n, seen in enumerate(evidence):
        state = step(state, a01, a10) + seen
        odds[n] = state
    if options.hang_over == "smoothed":
        ahead = 0.0
        for n in range(len(evidence) - 2, -1, -1):
            ratio = math.exp(min(max(ahead + evidence[n + 1], -_MOST_ODDS), _MOST_ODDS))
            ahead = math.log((a10 + (1 - a10) * ratio) / ((1 - a01) + a01 * ratio))
            odds[n] += ahead
    return odds - prior
