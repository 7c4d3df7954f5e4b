"""Speech as the loud classes of a small mixture on the level."""

import numpy as np

from voicegmm._base.arrays import Float64Array
from voicegmm.features.speech.options import SpeechOptions
from voicegmm.mixture import ArraySource, DiagonalGMM, EmOptions, collector, fit

# Levels of a class within less than a decibel say more of rounding than of the recording.
_EM = EmOptions(n_iterations=30, tolerance=1e-4, variance_floor=1e-3, variance_floor_absolute=0.01)
# Energy_2Gauss of bob.bio.spear, whose levels have the variance 1.
_SPEAR_EM = EmOptions(
    n_iterations=10,
    tolerance=0.0,
    tolerance_relative=5e-4,
    variance_floor=0.0,
    variance_floor_absolute=5e-4,
)


def gaussian_odds(
    level_db: Float64Array, hop_seconds: float, options: SpeechOptions
) -> Float64Array:
    """Fit two or three Gaussians to the level; all but the quietest are speech.

    The idea of ALIZE's EnergyDetector (Bonastre, Wils and Meignier, ICASSP 2005) and of
    bob.bio.spear's Energy_2Gauss, with our own EM from fixed quantiles, or from clusters as the
    latter where `gaussian_fit` says so: the same recording always gives the same answer. Where the
    quietest class and the others lie less than `separation` apart by Ashman's D (Ashman, Bird and
    Zepf, Astronomical Journal 108, 1994, eq. 1) there is but one class: steady noise has been
    refused before, so it is a word cut out, and speech. What is shorter than `rise_min_seconds` is
    one, too.

    Parameters
    ----------
    level_db : (n_frames,) float64 array
        Level of each audible frame, in dB.
    hop_seconds : float
    options : SpeechOptions
        `method` ("two_gaussian" or "three_gaussian"), `gaussian_fit`, `separation` and
        `rise_min_seconds` count.

    Returns
    -------
    (n_frames,) float64 array
        Log posterior odds of the loud classes, rising with the level.
    """
    K = 2 if options.method == "two_gaussian" else 3
    level = np.asarray(level_db, dtype=np.float64)
    if len(level) * hop_seconds < options.rise_min_seconds:
        return np.full(len(level), np.inf)
    if options.gaussian_fit == "spear":
        level = (level - level.mean()) / max(float(level.std()), 1e-10)
        gmm = _fitted_from_clusters(level, K)
    else:
        gmm = _fitted(level, K)
    order = np.argsort(gmm.means[:, 0], kind="stable")
    means, variances = gmm.means[order, 0], gmm.variances[order, 0]
    weights = gmm.weights[order]
    if _separation(weights, means, variances) < options.separation:
        return np.full(len(level), np.inf)
    # The wider Gaussian outweighs the other at both ends. Below the quietest mean its odds count
    # instead, and louder is never less likely speech.
    rank = np.argsort(level, kind="stable")
    x = np.maximum(level[rank], means[0])
    with np.errstate(divide="ignore"):
        log_weights = np.log(weights)  # a class that has lost its last frame has no weight
    joint = log_weights - 0.5 * (np.log(variances) + (x[:, None] - means) ** 2 / variances)
    odds = np.logaddexp.reduce(joint[:, 1:], axis=1) - joint[:, 0]
    result = np.empty(len(level))
    result[rank] = np.maximum.accumulate(odds)
    return result


def _fitted(level: Float64Array, n_components: int) -> DiagonalGMM:
    shares = (np.arange(n_components) + 0.5) / n_components
    spread = max(float(np.var(level)) / n_components**2, _EM.variance_floor_absolute)
    start = DiagonalGMM(
        np.full(n_components, 1 / n_components),
        np.quantile(level, shares)[:, None],
        np.full((n_components, 1), spread),
    )
    return fit(start, collector(ArraySource(level[:, None])), _EM).gmm


def _fitted_from_clusters(level: Float64Array, n_components: int) -> DiagonalGMM:
    """Run k-means from quantiles, then EM from its clusters, both no longer than Spear does."""
    centers = np.quantile(level, (np.arange(n_components) + 0.5) / n_components)
    before = np.inf
    for _ in range(_SPEAR_EM.n_iterations):
        # Levels lie on a line: the nearest center is told by the middles between them.
        nearest = np.searchsorted((centers[1:] + centers[:-1]) / 2, level)
        distance = float(np.square(level - centers[nearest]).mean())
        counts = np.bincount(nearest, minlength=n_components)
        sums = np.bincount(nearest, level, n_components)
        centers = np.where(counts > 0, sums / np.maximum(counts, 1), centers)
        if before - distance <= _SPEAR_EM.tolerance_relative * before < np.inf:
            break
        before = distance
    nearest = np.searchsorted((centers[1:] + centers[:-1]) / 2, level)
    counts = np.bincount(nearest, minlength=n_components)
    squares = np.bincount(nearest, np.square(level - centers[nearest]), n_components)
    start = DiagonalGMM(
        np.maximum(counts, 1e-3) / np.maximum(counts, 1e-3).sum(),
        centers[:, None],
        np.maximum(squares / np.maximum(counts, 1), _SPEAR_EM.variance_floor_absolute)[:, None],
    )
    return fit(start, collector(ArraySource(level[:, None])), _SPEAR_EM).gmm


def _separation(weights: Float64Array, means: Float64Array, variances: Float64Array) -> float:
    """Compute Ashman's D of the first class and the others together."""
    share = weights[1:] / max(float(weights[1:].sum()), 1e-300)
    mean = share @ means[1:]
    variance = share @ (variances[1:] + (means[1:] - mean) ** 2)
    return float(np.sqrt(2.0) * (mean - means[0]) / np.sqrt(variances[0] + variance))
