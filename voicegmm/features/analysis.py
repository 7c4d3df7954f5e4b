"""The one pass over a signal: static features and what the speech detector looks at, together."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from voicegmm._base.arrays import Float32Array, FloatArray
from voicegmm._base.errors import OptionError
from voicegmm.compute import single_threaded_blas
from voicegmm.features.columns import band_centroids, band_loudness, cepstra, with_loudness
from voicegmm.features.plan import decibel, prepare
from voicegmm.features.plp import plp_cepstra
from voicegmm.features.power_spectra import power_spectra
from voicegmm.features.rasta import RastaFilter, RastaOptions
from voicegmm.features.spectral import emphasized, frame_log_energy, log_bands
from voicegmm.features.static_options import StaticOptions
from voicegmm.features.stretch import STRETCH_FRAMES, FrameFeed, Stretch


@dataclass(frozen=True, eq=False)
class Analysis:
    """What one pass over a signal gives.

    Parameters
    ----------
    features : (n_frames, options.n_dims) float32 array
        As `voicegmm.features.static_features` gives them.
    energy : (n_frames,) float32 array
        As `voicegmm.features.detection_energy` gives it; zeros when it was not asked for.
    n_samples : int
    """

    features: Float32Array
    energy: Float32Array
    n_samples: int


@single_threaded_blas()
def analyze(
    blocks: Iterable[FloatArray],
    sample_rate: int,
    options: StaticOptions,
    filtering: RastaOptions | None = None,
    detect: bool = True,
) -> Analysis:
    """Compute static features and, if asked, detection energies in one pass over a signal.

    The memory that it takes is that of the result, however long the signal is.

    Parameters
    ----------
    blocks : iterable of (n,) float arrays
        The samples in their order, in blocks of any lengths.
    sample_rate : int
        In hertz.
    options : StaticOptions
    filtering : RastaOptions, optional
    detect : bool
    """
    # Together as many frames as are worked on at once: the same bits, however the blocks are cut.
    analyzer = Analyzer(sample_rate, options, filtering, detect, STRETCH_FRAMES)
    parts = [analyzer.push(block) for block in blocks]
    parts.append(analyzer.push(np.zeros(0), end=True))
    features, energy = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Analysis(features, energy, analyzer.n_samples)


class Analyzer:
    """Computes what `analyze` does of a signal that arrives in pieces.

    Parameters
    ----------
    sample_rate, options, filtering, detect
        See `analyze`. With `options.dynamic_range_db` all features come at the end.
    n_together : int
        See `FrameFeed`.

    Raises
    ------
    OptionError
        When the options do not go together or with the sampling rate.
    """

    def __init__(
        self,
        sample_rate: int,
        options: StaticOptions,
        filtering: RastaOptions | None = None,
        detect: bool = True,
        n_together: int = 1,
    ) -> None:
        filtering = filtering or RastaOptions()
        check_filtering(options, filtering)
        self._rate, self._options, self._detect = sample_rate, options, detect
        self._rasta = RastaFilter(filtering.pole)
        self._filtered = filtering.on
        self._plan = prepare(options, sample_rate)
        self._feed = FrameFeed(self._plan, options, n_together)
        self._power = power_spectra(self._plan, options)
        # Log filterbanks and log energies that wait for the loudest.
        self._waiting: list[tuple[FloatArray, FloatArray | None]] = []

    @property
    def n_samples(self) -> int:
        """How many have come."""
        return self._feed.n_samples

    def push(self, samples: FloatArray, end: bool = False) -> tuple[Float32Array, Float32Array]:
        """Take the next samples; give the features and energies of the frames that are complete.

        Parameters
        ----------
        samples : (n_samples,) float array
        end : bool
            Whether these are the last.

        Raises
        ------
        DataError
            For samples that are not finite, more than a million times full scale, or not mono.
        """
        features = [np.zeros((0, self._options.n_dims), dtype=np.float32)]
        energies = [np.zeros(0, dtype=np.float32)]
        for stretch in self._feed.push(samples, end):
            bins, log_energy = self._spectrum(stretch)
            if self._options.dynamic_range_db:
                logs = log_bands(bins, self._plan, self._options)
                self._waiting.append((logs, log_energy))
            else:
                features.append(self._columns(bins, log_energy).astype(np.float32, copy=False))
            if self._detect:
                energies.append(stretch.detection_energy().astype(np.float32))
            else:
                energies.append(np.zeros(stretch.n_frames, dtype=np.float32))
        if end and self._waiting:
            features.append(self._limited_columns().astype(np.float32, copy=False))
        return np.concatenate(features), np.concatenate(energies)

    def _spectrum(self, stretch: Stretch) -> tuple[FloatArray, FloatArray | None]:
        """Give the spectra of some frames and, where it counts, their log energy."""
        bins = self._power(stretch)
        if self._options.spectrum == "magnitude":
            bins = np.sqrt(bins, out=bins)
        if not self._options.has_log_energy:
            return bins, None
        return bins, self._log_energy(stretch)

    def _log_energy(self, stretch: Stretch) -> FloatArray:
        options, heard = self._options, stretch.frames()
        if not options.raw_energy:
            heard = emphasized(heard, options, self._plan, stretch.before)
            if options.windowed_energy:
                heard *= self._plan.window
        return frame_log_energy(heard, options)

    def _columns(self, bins: FloatArray, log_energy: FloatArray | None) -> FloatArray:
        options = self._options
        if options.kind != "centroids":
            logs = log_bands(bins, self._plan, options)
            return self._filter_columns(logs, log_energy)
        loudness = log_energy
        if options.energy == "c0":
            logs = log_bands(bins, self._plan, options)
            loudness = band_loudness(logs, options, log_energy)
        columns = with_loudness(band_centroids(bins, self._rate, options), options, loudness)
        return self._rasta.push(columns) if self._filtered == "static" else columns

    def _filter_columns(self, logs: FloatArray, log_energy: FloatArray | None) -> FloatArray:
        """Compute the static features of log filterbanks."""
        if self._filtered == "filterbank":
            logs = self._rasta.push(logs)
        columns = _columns_of_filters(logs, self._rate, self._options, log_energy)
        return self._rasta.push(columns) if self._filtered == "static" else columns

    def _limited_columns(self) -> FloatArray:
        """Raise the log filterbanks to `dynamic_range_db` below the loudest, and go on."""
        options = self._options
        logs = np.concatenate([logs for logs, _ in self._waiting])
        energies = [log_energy for _, log_energy in self._waiting if log_energy is not None]
        lowest = logs.max(initial=-np.inf) - options.dynamic_range_db * decibel(options)
        return self._filter_columns(
            np.maximum(logs, lowest), np.concatenate(energies) if energies else None
        )


def check_filtering(options: StaticOptions, filtering: RastaOptions) -> None:
    """Refuse RASTA on a filterbank that the kind of features does not have."""
    if filtering.on == "filterbank" and options.kind == "centroids":
        raise OptionError('on must be "none" or "static" when static.kind is "centroids"')


def _columns_of_filters(
    logs: FloatArray, sample_rate: int, options: StaticOptions, log_energy: FloatArray | None
) -> FloatArray:
    """Compute the static features of log filterbanks."""
    if options.kind == "plp":
        return plp_cepstra(logs, sample_rate, options, log_energy)
    if options.kind == "filterbank":
        return with_loudness(logs, options, band_loudness(logs, options, log_energy))
    return cepstra(logs, options, log_energy)
