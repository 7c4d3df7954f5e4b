"""Perceptual linear prediction: cepstra of an all-pole model of what is heard."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array, FloatArray, frozen
from voicegmm.features.columns import needed, with_loudness
from voicegmm.features.linear_prediction import predictor_cepstra, predictors
from voicegmm.features.plan import lifter_weights, precision, prepare
from voicegmm.features.static_options import StaticOptions


def equal_loudness(hertz: npt.ArrayLike) -> Float64Array:
    """Compute the ear's sensitivity at about 40 phon.

    (f² / (f² + 1.6e5))² (f² + 1.44e6) / (f² + 9.61e6): Hermansky, J. Acoust. Soc. Am. 87(4),
    1990), in hertz as HTK and Kaldi write it.

    Parameters
    ----------
    hertz : array_like
        Frequencies, greater than 0.
    """
    square = np.square(np.asarray(hertz, dtype=np.float64))
    return np.asarray(np.square(square / (square + 1.6e5)) * (square + 1.44e6) / (square + 9.61e6))


def auditory_spectrum(
    log_filters: FloatArray, sample_rate: int, options: StaticOptions | None = None
) -> Float64Array:
    """Weight a log filterbank by the ear's sensitivity and compress it to loudness.

    Parameters
    ----------
    log_filters : (n_frames, n_filters) float array
        As `voicegmm.features.log_filterbank` gives them, in natural logarithms.
    sample_rate : int
        In hertz.
    options : StaticOptions, optional
        Its filters and `compression` count.

    Returns
    -------
    (n_frames, n_filters) float64 array
        (equal loudness times energy) ** compression.
    """
    options = options or StaticOptions(kind="plp")
    # Double precision: what RASTA made of a filterbank may be far from what a filter gives.
    logs = np.asarray(log_filters, dtype=np.float64)
    sensitivity = np.log(equal_loudness(prepare(options, sample_rate).center_hertz))
    return np.asarray(np.exp((logs + sensitivity) * options.compression))


@lru_cache(maxsize=32)
def _autocorrelation_transform(n_filters: int, lpc_order: int) -> Float64Array:
    """Compute the (n_filters, lpc_order + 1) inverse Fourier transform of a loudness spectrum.

    The spectrum has n_filters + 2 points from 0 to pi: the first and the last filter stand for the
    edges too (HTK, ``HSigP.c``, InitPLP and MatrixIDFT).
    """
    last = n_filters + 1
    j = np.arange(last + 1)
    matrix = 2 * np.cos(np.pi / last * np.outer(j, np.arange(lpc_order + 1)))
    matrix[[0, -1]] /= 2
    matrix[1] += matrix[0]
    matrix[-2] += matrix[-1]
    return frozen(matrix[1:-1] / (2 * last), np.float64)


def plp_cepstra(
    log_filters: FloatArray,
    sample_rate: int,
    options: StaticOptions | None = None,
    log_energy: FloatArray | None = None,
) -> FloatArray:
    """Fit an all-pole model to the loudness of each frame and give its liftered cepstra.

    Hermansky, J. Acoust. Soc. Am. 87(4), 1990, with a mel filterbank for the Bark one, as HTK and
    Kaldi do.

    Parameters
    ----------
    log_filters : (n_frames, n_filters) float array
        As `voicegmm.features.log_filterbank` gives them, in natural logarithms.
    sample_rate : int
        In hertz.
    options : StaticOptions, optional
    log_energy : (n_frames,) float array, optional
        As `voicegmm.features.frame_log_energy` gives it; needed when `options.energy` is
        "log_energy".

    Returns
    -------
    (n_frames, n_cepstra) float array
        With energy "c0", that is the logarithm of the prediction error, which is not liftered.

    Raises
    ------
    DataError
        When the log energy is wanted and missing.
    """
    options = options or StaticOptions(kind="plp")
    loudness = auditory_spectrum(log_filters, sample_rate, options)
    transform = _autocorrelation_transform(options.n_filters, options.lpc_order)
    coefficients, error = predictors(loudness @ transform)
    n = options.n_cepstra - (options.energy != "none")
    columns = predictor_cepstra(coefficients, n) * lifter_weights(options, np.arange(1, n + 1))
    energy = np.log(error) if options.energy == "c0" else log_energy
    if options.energy == "log_energy":
        energy = needed(log_energy)
    return with_loudness(columns, options, energy).astype(precision(options), copy=False)
