"""From the log filterbank of each frame to the columns that stand for it."""

import numpy as np

from voicegmm._base.arrays import FloatArray
from voicegmm._base.errors import DataError
from voicegmm.features.plan import cosine_transform, precision, prepare, zeroth_weight
from voicegmm.features.static_options import StaticOptions


def cepstra(
    log_filters: FloatArray,
    options: StaticOptions | None = None,
    log_energy: FloatArray | None = None,
) -> FloatArray:
    """Transform a log filterbank into liftered cepstra, with the energy in its place.

    Parameters
    ----------
    log_filters : (n_frames, n_filters) float array
        As `voicegmm.features.log_filterbank` gives them.
    options : StaticOptions, optional
    log_energy : (n_frames,) float array, optional
        As `voicegmm.features.frame_log_energy` gives it; needed when `options.energy` is
        "log_energy" or "both".

    Returns
    -------
    (n_frames, n_cepstra) float array

    Raises
    ------
    DataError
        When the log energy is wanted and missing.
    """
    options = options or StaticOptions()
    result = np.asarray(log_filters, dtype=precision(options)) @ cosine_transform(options)
    if options.has_log_energy:
        result[:, 0 if options.energy_place == "first" else -1] = needed(log_energy)
    return result


def needed(log_energy: FloatArray | None) -> FloatArray:
    """Refuse a missing log energy."""
    if log_energy is None:
        raise DataError('log_energy must be given when the option energy is "log_energy" or "both"')
    return log_energy


def with_loudness(
    columns: FloatArray, options: StaticOptions, loudness: FloatArray | None
) -> FloatArray:
    """Put c0 or the log energy before or behind the columns of each frame.

    Parameters
    ----------
    columns : (n_frames, n) float array
    options : StaticOptions
        Its `energy` and `energy_place` count.
    loudness : (n_frames,) float array, optional
        Not looked at when `energy` is "none".

    Returns
    -------
    (n_frames, n) or (n_frames, n + 1) float array
    """
    if options.energy == "none":
        return columns
    column = needed(loudness)[:, None]
    pair = (column, columns) if options.energy_place == "first" else (columns, column)
    return np.concatenate(pair, axis=1)


def band_loudness(
    log_filters: FloatArray, options: StaticOptions, log_energy: FloatArray | None
) -> FloatArray | None:
    """Give what stands for the loudness beside columns that are no cepstra.

    Parameters
    ----------
    log_filters : (n_frames, n_filters) float array
    options : StaticOptions
    log_energy : (n_frames,) float array, optional

    Returns
    -------
    (n_frames,) float array, optional
        c0 is the sum of the log filterbank, scaled as that of `cepstra`.
    """
    if options.energy == "c0":
        return np.asarray(log_filters.sum(axis=1) * zeroth_weight(options))
    return log_energy


def band_centroids(
    bins: FloatArray, sample_rate: int, options: StaticOptions | None = None
) -> FloatArray:
    """Compute the center of gravity of a spectrum within each filter.

    C_m = sum_k f_k w_m(k) P(k)^g / sum_k w_m(k) P(k)^g (Paliwal, ICASSP 1998), where
    `filter_floor` is added to the lower sum and, times the filter's middle, to the upper one:
    silence lies in the middle.

    Parameters
    ----------
    bins : (n_frames, n_fft // 2 + 1) float array
        As `voicegmm.features.spectrum` gives them.
    sample_rate : int
        In hertz.
    options : StaticOptions, optional
        The exponent g is its `centroid_exponent`.

    Returns
    -------
    (n_frames, n_filters) float array
        In hertz, each within its filter.
    """
    options = options or StaticOptions(kind="centroids")
    plan = prepare(options, sample_rate)
    used = np.asarray(bins, dtype=precision(options))[:, plan.first_bin : plan.last_bin]
    if options.centroid_exponent != 1:
        used = used**options.centroid_exponent
    mass = used @ plan.filters
    mass += options.filter_floor
    # About the filters' middles, so that a narrow filter's centroid keeps its digits.
    lever = plan.filters * (plan.bin_hertz[:, None] - plan.center_hertz)
    return np.asarray(plan.center_hertz + (used @ lever) / mass)
