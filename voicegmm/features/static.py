"""Static features: what each frame of a signal is by itself, of any kind, in one pass."""

import dataclasses

import numpy as np

from voicegmm._base.arrays import Float32Array, FloatArray
from voicegmm.audio.signal import in_blocks
from voicegmm.compute import single_threaded_blas
from voicegmm.features.analysis import analyze
from voicegmm.features.plan import prepare
from voicegmm.features.rasta import RastaOptions
from voicegmm.features.static_options import StaticOptions
from voicegmm.features.stretch import stretches


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
    options = options or StaticOptions()
    return analyze(in_blocks(samples), sample_rate, options, filtering, detect=False).features


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
    energies = [stretch.detection_energy() for stretch in stretches(samples, plan, options)]
    return np.concatenate(energies).astype(np.float32)


def _of_kind(kind: str, options: StaticOptions | None) -> StaticOptions:
    return dataclasses.replace(options or StaticOptions(), kind=kind)
