"""Scores that are dot products of supervectors: all models against a batch of tests at once.

A model's vector is (mu - m) / sqrt(v), its means' whitened offsets from the background model; what
the method says decides the vector of a test. Products are in float32, about 1e-6 of the vectors'
lengths; `linear_scores` and `supervector_kernel` say the same in float64.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voicegmm._base.arrays import Float32Array, Float64Array, FloatArray, IntArray
from voicegmm._base.errors import DataError
from voicegmm.mixture import DiagonalGMM, MapOptions, Statistics, adapt, first_from_means
from voicegmm.mixture.density import blocks
from voicegmm.mixture.statistics import EStep, as_floats

BATCH = 8192  # frames of the tests that are multiplied at once: the models are read once for them
_ROWS = 64  # models copied at a time where not all of them, in their order, are wanted


@dataclass(frozen=True, eq=False)
class SupervectorProducts:
    """Models made ready for scores that are dot products.

    Parameters
    ----------
    step : EStep
        Of the background model.
    method : {"linear", "symmetric", "kl", "bhattacharyya"}
    adaptation : MapOptions
        How a test becomes a model, but with "linear".
    offsets : (n_models, n_components * n_dims) float32 array
        (mu - m) / sqrt(v).
    heard : (n_models, n_components * n_dims) float32 array, optional
        The models' own speech: (f - n m) / sqrt(v), per frame; with "symmetric".
    """

    step: EStep
    method: str
    adaptation: MapOptions
    offsets: Float32Array
    heard: Float32Array | None

    @staticmethod
    def of(
        gmm: DiagonalGMM,
        means: FloatArray,
        counts: Float64Array,
        adaptation: MapOptions,
        method: str,
        n_frames: int,
        dtype: np.dtype,
    ) -> "SupervectorProducts":
        """Make models ready.

        Parameters
        ----------
        gmm : DiagonalGMM
        means : (n_models, n_components, n_dims) float array
        counts : (n_models, n_components) float array
            Of the statistics that the models were adapted to.
        adaptation : MapOptions
            Of the models.
        method : {"linear", "symmetric", "kl", "bhattacharyya"}
        n_frames : int
            Of all tests.
        dtype : numpy.dtype
            Of the frames.
        """
        deviations = np.sqrt(gmm.variances)
        offsets = np.empty((len(means), gmm.means.size), np.float32)
        heard = np.empty_like(offsets) if method == "symmetric" else None
        for row, (model, count) in enumerate(zip(means, counts, strict=True)):
            offsets[row] = ((model - gmm.means) / deviations).ravel()
            if heard is not None:
                first = first_from_means(gmm.means, count, model, adaptation)
                rest = (first - count[:, None] * gmm.means) / deviations
                heard[row] = (rest / max(float(count.sum()), np.finfo(float).tiny)).ravel()
        return SupervectorProducts(
            EStep.of(gmm, dtype, n_frames), method, adaptation, offsets, heard
        )

    def scores(
        self, tests: Sequence[tuple[FloatArray, FloatArray | None]], rows: IntArray
    ) -> Float64Array:
        """Score some tests against some of the models.

        Parameters
        ----------
        tests : sequence of (frames, frame weights or None)
            At least one frame each.
        rows : (n_rows,) int array
            Which models.

        Returns
        -------
        (n_tests, n_rows) float64 array

        Raises
        ------
        DataError
            For a test without frames, or a frame that is not finite or of another dimension.
        """
        vectors = np.empty((len(tests), self.offsets.shape[1]), np.float32)
        models = np.empty_like(vectors) if self.heard is not None else None
        for number, test in enumerate(tests):
            vectors[number] = self._vector(*test, None if models is None else models[number])
        scores = _products(vectors, self.offsets, rows)
        if self.heard is not None and models is not None:
            scores = 0.5 * (scores + _products(models, self.heard, rows))
        return scores

    def _vector(
        self, frames: FloatArray, weights: FloatArray | None, model: Float32Array | None
    ) -> Float64Array:
        """Give a test's vector; its offsets as a model, too, go where they are wanted."""
        step, gmm = self.step, self.step.gmm
        assert isinstance(gmm, DiagonalGMM)
        sums = step.sums(as_floats(frames), weights)
        if not sums.n_frames > 0:
            raise DataError("a test must have one frame at least, this one has none")
        deviations = np.sqrt(gmm.variances)
        if self.method == "linear":
            # What `_centered` gives, without the way back from z to x.
            shift, scale = step.projection.shift, step.projection.scale.astype(np.float64)
            prior = (gmm.means - shift) / scale
            rest = sums.moments[:, : gmm.n_dims] - sums.moments[:, -1:] * prior
            return np.asarray((rest * (scale / sums.n_frames / deviations)).ravel())
        statistics = step.statistics(sums)
        adapted = (adapt(gmm, statistics, self.adaptation).means - gmm.means) / deviations
        if self.method == "symmetric":
            assert model is not None
            model[:] = adapted.ravel()
            return _centered(gmm, statistics)
        if self.method == "kl":
            adapted *= gmm.weights[:, None]
        return np.asarray(adapted.ravel())


def _centered(gmm: DiagonalGMM, statistics: Statistics) -> Float64Array:
    """Give (f - n m) / sqrt(v), per frame, as a vector."""
    rest = statistics.first - statistics.counts[:, None] * gmm.means
    return np.asarray((rest / (np.sqrt(gmm.variances) * statistics.n_frames)).ravel())


def _products(vectors: Float32Array, models: Float32Array, rows: IntArray) -> Float64Array:
    """Give vectors @ models[rows].T, copying only a few rows at a time, or none."""
    if len(rows) and np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
        return (vectors @ models[rows[0] : rows[0] + len(rows)].T).astype(np.float64)
    products = np.empty((len(vectors), len(rows)))
    for block in blocks(len(rows), _ROWS):
        products[:, block] = vectors @ models[rows[block]].T
    return products
