"""Static features: what each frame of a signal is by itself, of any kind, in one pass."""

import dataclasses

import numpy as np

from voicegmm._base.arrays import Float32Array, FloatArray
from voicegmm._base.errors import OptionError
from voicegmm.audio.framing import count_frames
from voicegmm.compute import single_threaded_blas
from voicegmm.features.columns import band_centroids, band_loudness, cepstra, with_loudness
from voicegmm.features.plan import decibel, precision, prepare
from voicegmm.features.plp import plp_cepstra
from voicegmm.features.rasta import RastaOptions, rasta
from voicegmm.features.spectral import (
    BLOCK_FRAMES,
    emphasized,
    frame_blocks,
    frame_detection_energy,
    frame_log_energy,
    log_filterbank,
    spectrum,
    windowed,
)
from voicegmm.features.static_options import StaticOptions


def static_features(
    samples: FloatArray,
    sample_rate: int,
    options: StaticOptions | None = None,
    filtering: RastaOptions | None = None,
) -> Float32Array:
    """Compute the static features of a signal, of the kind that the options name.

    Parameters
    ----------
    samples : (n_samples,) float array
        Full scale is 1.
    sample_rate : int
        In hertz.
    options : StaticOptions, optional
    filtering : RastaOptions, optional
        None by default.

    Returns
    -------
    (n_frames, options.n_dims) float32 array
        No rows when the signal is too short for one frame.

    Raises
    ------
    OptionError
        When the options do not go with the sampling rate.
    DataError
        For samples that are not finite, more than a million times full scale, or not mono.
    """
    return analyze(samples, sample_rate, options or StaticOptions(), filtering, detect=False)[0]


def mfcc(
    samples: FloatArray, sample_rate: int, options: StaticOptions | None = None
) -> Float32Array:
    """Compute mel-frequency cepstral coefficients.

    Davis & Mermelstein, IEEE Trans. ASSP 28(4), 1980; in the form of HTK (HTK Book, chapter 5)
    and Kaldi, whose numbers it gives when the options say what theirs do.

    Parameters
    ----------
    samples, sample_rate
        See `static_features`.
    options : StaticOptions, optional
        Its `kind` does not count: the function's name says it.

    Returns
    -------
    (n_frames, n_cepstra) float32 array

    Raises
    ------
    OptionError, DataError
        See `static_features`.
    """
    return static_features(samples, sample_rate, _of_kind("mfcc", options))


def lfcc(
    samples: FloatArray, sample_rate: int, options: StaticOptions | None = None
) -> Float32Array:
    """Compute linear-frequency cepstral coefficients: `mfcc` with filters equally spaced in hertz.

    Davis & Mermelstein, IEEE Trans. ASSP 28(4), 1980.

    Parameters
    ----------
    samples, sample_rate
        See `static_features`.
    options : StaticOptions, optional
        Its `kind` and `mel_scale` do not count.

    Returns
    -------
    (n_frames, n_cepstra) float32 array

    Raises
    ------
    OptionError, DataError
        See `static_features`.
    """
    return static_features(samples, sample_rate, _of_kind("lfcc", options))


def plp(
    samples: FloatArray, sample_rate: int, options: StaticOptions | None = None
) -> Float32Array:
    """Compute cepstra of perceptual linear prediction.

    Hermansky, J. Acoust. Soc. Am. 87(4), 1990, in the form of HTK and Kaldi; see
    `voicegmm.features.plp_cepstra`.

    Parameters
    ----------
    samples, sample_rate
        See `static_features`.
    options : StaticOptions, optional
        Its `kind` does not count. By default 13 cepstra, c0 first, of a model of order 12.

    Returns
    -------
    (n_frames, n_cepstra) float32 array

    Raises
    ------
    OptionError, DataError
        See `static_features`.
    """
    return static_features(
        samples, sample_rate, _of_kind("plp", options or StaticOptions(n_cepstra=13))
    )


def filterbank(
    samples: FloatArray, sample_rate: int, options: StaticOptions | None = None
) -> Float32Array:
    """Compute the log filterbank of a signal, whatever is made of it afterwards.

    Parameters
    ----------
    samples, sample_rate
        See `static_features`.
    options : StaticOptions, optional
        Its `kind` counts for the spacing of the filters alone (equal in hertz for "lfcc"), its
        `energy` not at all.

    Returns
    -------
    (n_frames, n_filters) float32 array

    Raises
    ------
    OptionError, DataError
        See `static_features`.
    """
    options = options or StaticOptions()
    bands = dataclasses.replace(
        options, kind="filterbank", mel_scale=options.filter_scale, energy="none"
    )
    return static_features(samples, sample_rate, bands)


def spectral_centroids(
    samples: FloatArray, sample_rate: int, options: StaticOptions | None = None
) -> Float32Array:
    """Compute the center of gravity of the spectrum within each filter.

    Paliwal, ICASSP 1998; see `voicegmm.features.band_centroids`.

    Parameters
    ----------
    samples, sample_rate
        See `static_features`.
    options : StaticOptions, optional
        Its `kind` counts for the spacing of the filters alone (equal in hertz for "lfcc"), its
        `energy` and `dynamic_range_db` not at all.

    Returns
    -------
    (n_frames, n_filters) float32 array
        In hertz.

    Raises
    ------
    OptionError, DataError
        See `static_features`.
    """
    options = options or StaticOptions()
    bands = dataclasses.replace(
        options,
        kind="centroids",
        mel_scale=options.filter_scale,
        energy="none",
        dynamic_range_db=0.0,
    )
    return static_features(samples, sample_rate, bands)


@single_threaded_blas()
def detection_energy(
    samples: FloatArray, sample_rate: int, options: StaticOptions | None = None
) -> Float32Array:
    """Compute what the speech detector looks at: log energy without mean, at int16 amplitudes.

    The mean of each frame is always taken out, so that a constant offset is silence.

    Parameters
    ----------
    samples : (n_samples,) float array
        Full scale is 1.
    sample_rate : int
        In hertz.
    options : StaticOptions, optional
        Its frames and dither count.

    Returns
    -------
    (n_frames,) float32 array
    """
    options = options or StaticOptions()
    plan = prepare(options, sample_rate)
    blocks = [frame_detection_energy(f, options) for f in frame_blocks(samples, plan, options)]
    return np.concatenate(blocks).astype(np.float32, copy=False)


@single_threaded_blas()
def analyze(
    samples: FloatArray,
    sample_rate: int,
    options: StaticOptions,
    filtering: RastaOptions | None = None,
    detect: bool = True,
) -> tuple[Float32Array, Float32Array]:
    """Compute `static_features` and, if asked, `detection_energy` in one pass over the signal.

    Returns
    -------
    features : (n_frames, options.n_dims) float32 array
    energy : (n_frames,) float32 array
        Zeros when it was not asked for.
    """
    filtering = filtering or RastaOptions()
    check_filtering(options, filtering)
    plan = prepare(options, sample_rate)
    n_frames = count_frames(
        np.size(samples), plan.n_window, plan.n_hop, options.snip_edges, options.padding
    )
    # What looks at the whole recording parts the pass in two.
    whole = options.dynamic_range_db > 0 or filtering.on == "filterbank"
    shape = n_frames, options.n_filters if whole else options.n_dims
    columns: FloatArray = np.empty(shape, precision(options) if whole else np.float32)
    loudness = np.zeros(n_frames, precision(options)) if options.has_log_energy else None
    energy = np.zeros(n_frames, dtype=np.float32)
    # Memory for a block, asked for once; the zeros that fill a frame up stay what they are.
    n_block = min(BLOCK_FRAMES, n_frames)
    room = np.zeros((n_block, plan.n_fft), precision(options))
    power = np.empty((n_block, plan.n_fft // 2 + 1), precision(options))
    at = 0
    before = 0.0
    for frames in frame_blocks(samples, plan, options):
        rows = slice(at, at + len(frames))
        at = rows.stop
        filled = room[: len(frames)]
        weighted = windowed(frames, sample_rate, options, filled[:, : plan.n_window], before)
        log_energy = None
        if loudness is not None:
            heard = (
                weighted if options.windowed_energy else emphasized(frames, options, plan, before)
            )
            log_energy = frame_log_energy(frames if options.raw_energy else heard, options)
            loudness[rows] = log_energy
        if options.preemphasis_start == "signal" and len(frames):
            before = float(frames[-1, plan.n_hop - 1])
        bins = spectrum(filled, sample_rate, options, out=power[: len(frames)])
        if whole:
            columns[rows] = log_filterbank(bins, sample_rate, options)
        else:
            columns[rows] = _frame_columns(bins, sample_rate, options, log_energy)
        if detect:
            energy[rows] = frame_detection_energy(frames, options)
    if whole:
        columns = _limited(columns, options)
        if filtering.on == "filterbank":
            columns = rasta(columns, filtering.pole)
        columns = _filter_columns(columns, sample_rate, options, loudness)
    if filtering.on == "static":
        columns = rasta(columns, filtering.pole)
    return np.asarray(columns, dtype=np.float32), energy


def check_filtering(options: StaticOptions, filtering: RastaOptions) -> None:
    """Refuse RASTA on a filterbank that the kind of features does not have."""
    if filtering.on == "filterbank" and options.kind == "centroids":
        raise OptionError('on must be "none" or "static" when static.kind is "centroids"')


def _of_kind(kind: str, options: StaticOptions | None) -> StaticOptions:
    return dataclasses.replace(options or StaticOptions(), kind=kind)


def _limited(logs: FloatArray, options: StaticOptions) -> FloatArray:
    """Raise a log filterbank to `dynamic_range_db` below its maximum, if there is such a limit."""
    if not options.dynamic_range_db or not logs.size:
        return logs
    return np.asarray(np.maximum(logs, logs.max() - options.dynamic_range_db * decibel(options)))


def _frame_columns(
    bins: FloatArray, sample_rate: int, options: StaticOptions, log_energy: FloatArray | None
) -> FloatArray:
    """Compute the static features of spectra."""
    if options.kind != "centroids":
        logs = log_filterbank(bins, sample_rate, options)
        return _filter_columns(logs, sample_rate, options, log_energy)
    loudness = log_energy
    if options.energy == "c0":
        logs = log_filterbank(bins, sample_rate, options)
        loudness = band_loudness(logs, options, log_energy)
    return with_loudness(band_centroids(bins, sample_rate, options), options, loudness)


def _filter_columns(
    logs: FloatArray, sample_rate: int, options: StaticOptions, log_energy: FloatArray | None
) -> FloatArray:
    """Compute the static features of log filterbanks."""
    if options.kind == "plp":
        return plp_cepstra(logs, sample_rate, options, log_energy)
    if options.kind == "filterbank":
        return with_loudness(logs, options, band_loudness(logs, options, log_energy))
    return cepstra(logs, options, log_energy)
