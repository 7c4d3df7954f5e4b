"""Speech as the loud class of a small mixture on the level."""

import numpy as np

from voicegmm._base.arrays import Float64Array
from voicegmm.features.speech.options import SpeechOptions
from voicegmm.mixture import ArraySource, DiagonalGMM, EmOptions, collector, fit

# Levels of a class within less than a decibel say more of rounding than of the recording.
_EM = EmOptions(n_iterations=100, tolerance=1e-5, variance_floor=1e-3, variance_floor_absolute=0.01)


def gaussian_odds(level_db: Float64Array, options: SpeechOptions) -> Float64Array:
    """Fit two or three Gaussians to the level; the loud ones are speech.

    The idea of ALIZE's EnergyDetector (Bonastre, Wils and Meignier, ICASSP 2005) and of
    bob.bio.spear's Energy_2Gauss, with our own EM from fixed quantiles: the same recording always
    gives the same answer, and a louder one too. Of three classes the middle one goes to the
    nearer neighbor. Where loud and quiet lie less than `separation` apart by Ashman's D (Ashman,
    Bird and Zepf 1994, eq. 1) there is but one class: steady noise has been refused before, so
    it is a word cut out, and speech.

    Parameters
    ----------
    level_db : (n_frames,) float64 array
        Level of each audible frame, in dB.
    options : SpeechOptions
        `method` ("two_gaussian" or "three_gaussian") and `separation` count.

    Returns
    -------
    (n_frames,) float64 array
        Log posterior odds of the loud classes, rising with the level.
    """
    K = 2 if options.method == "two_gaussian" else 3
    level = np.asarray(level_db, dtype=np.float64)
    gmm = _fitted(level, K)
    order = np.argsort(gmm.means[:, 0], kind="stable")
    means, variances = gmm.means[order, 0], gmm.variances[order, 0]
    weights = gmm.weights[order]
    n_quiet = 1 if K == 2 or means[1] - means[0] > means[2] - means[1] else 2
    if _separation(weights, means, variances, n_quiet) < options.separation:
        return np.full(len(level), np.inf)
    # The wider Gaussian outweighs the other at both ends. Below the quietest mean its odds count
    # instead, and louder is never less likely speech.
    rank = np.argsort(level, kind="stable")
    x = np.maximum(level[rank], means[0])
    joint = np.log(weights) - 0.5 * (np.log(variances) + (x[:, None] - means) ** 2 / variances)
    odds = np.logaddexp.reduce(joint[:, n_quiet:], axis=1)
    odds -= np.logaddexp.reduce(joint[:, :n_quiet], axis=1)
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


def _separation(
    weights: Float64Array, means: Float64Array, variances: Float64Array, n_quiet: int
) -> float:
    """Compute Ashman's D of the quiet and the loud class."""
    mean, variance = np.empty(2), np.empty(2)
    for side, members in enumerate((slice(0, n_quiet), slice(n_quiet, None))):
        share = weights[members] / max(float(weights[members].sum()), 1e-300)
        mean[side] = share @ means[members]
        variance[side] = share @ (variances[members] + (means[members] - mean[side]) ** 2)
    return float(np.sqrt(2.0) * (mean[1] - mean[0]) / np.sqrt(variance.sum()))
