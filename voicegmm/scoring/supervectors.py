"""Scores that are dot products of supervectors: all models against a batch of tests at once.

A model's vector is mu - m, its means' offsets from the background model; the vector of a test is
what the method says, over the variances. Products are in float32, about 1e-6 of the lengths of the
whitened vectors; `linear_scores` and `supervector_kernel` say the same in float64.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType

import numpy as np

from voicegmm._base.arrays import Float32Array, Float64Array, FloatArray, IntArray
from voicegmm._base.checks import finite_frames
from voicegmm._base.errors import DataError
from voicegmm.mixture import DiagonalGMM, MapOptions, Statistics, adapt, first_from_means
from voicegmm.mixture.density import (
    BLOCK,
    Projection,
    blocks,
    in_double,
    joint_block,
    responsibilities,
)
from voicegmm.mixture.ratios import ready_for
from voicegmm.mixture.statistics import checked_weights

BATCH_TESTS = 100  # multiplied at once: the models are read once for them
BATCH_FRAMES = 65_536  # of these tests at most, so that they fit into memory
_MODELS, _NUMBERS = 1024, 2**20  # multiplied at a time


@dataclass(frozen=True, eq=False)
class SupervectorProducts:
    """Models made ready for scores that are dot products.

    Parameters
    ----------
    gmm : DiagonalGMM
        The background model.
    projection : Projection
        To base 2 where `kernel` is given.
    means : (n_models, n_components, n_dims) float32 array
        Of the models.
    method : {"linear", "symmetric", "kl", "bhattacharyya"}
    adaptation : MapOptions
        How a test becomes a model, but with "linear".
    heard : (n_models, n_components, n_dims) float32 array, optional
        The models' own speech: f - n m, per frame; with "symmetric".
    kernel : module, optional
        The compiled loops, where the job is worth them.
    """

    gmm: DiagonalGMM
    projection: Projection
    means: Float32Array
    method: str
    adaptation: MapOptions
    heard: Float32Array | None
    kernel: ModuleType | None

    @staticmethod
    def of(
        gmm: DiagonalGMM,
        means: Float32Array,
        counts: Float64Array,
        adaptation: MapOptions,
        method: str,
        dtype: np.dtype,
        n_frames: int,
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
        dtype : numpy.dtype
            Of the frames.
        n_frames : int
            The size of the whole job, as that of a pass over so many frames: decides whether the
            compiled loops are worth their loading.
        """
        projection, kernel, _ = ready_for(gmm, dtype, n_frames)
        heard = np.empty_like(means) if method == "symmetric" else None
        if heard is not None:
            for row, (model, count) in enumerate(zip(means, counts, strict=True)):
                first = first_from_means(gmm.means, count, model, adaptation)
                rest = first - count[:, None] * gmm.means
                heard[row] = rest / max(float(count.sum()), np.finfo(float).tiny)
        return SupervectorProducts(
            gmm,
            projection,
            means,
            method,
            adaptation,
            heard,
            kernel,
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
        deviations = np.sqrt(self.gmm.variances)
        vectors = np.empty((len(tests), *deviations.shape), np.float32)
        reverse = np.empty_like(vectors) if self.heard is not None else None
        for number, test in enumerate(tests):
            counts, centered, n_frames = self._first_order(*test)
            if self.method in ("linear", "symmetric"):
                vectors[number] = centered / (n_frames * deviations)
            if self.method != "linear":
                model = self._adapted(counts, centered, n_frames) / deviations
                (vectors if reverse is None else reverse)[number] = model
        scores = self._products(vectors, self.means, rows, self.gmm.means)
        if self.heard is None or reverse is None:
            return scores
        backward = self._products(reverse, self.heard, rows, np.zeros_like(deviations))
        return 0.5 * (scores + backward)

    def _products(
        self, vectors: Float32Array, models: Float32Array, rows: IntArray, origin: Float64Array
    ) -> Float64Array:
        """Multiply the tests' vectors with those of some models, less the origin.

        Some components at a time: what is made of the models stays in the cache, memory stays
        free, and the parts are summed in float64.
        """
        gmm, n_tests = self.gmm, len(vectors)
        start = origin.astype(np.float32)
        in_order = len(rows) and np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows)))
        products = np.zeros((len(rows), n_tests))
        buffer = np.empty(max(_NUMBERS, min(len(rows), _MODELS) * gmm.n_dims), np.float32)
        for block in blocks(len(rows), _MODELS):
            n_models = block.stop - block.start
            which = slice(rows[block][0], rows[block][0] + n_models) if in_order else rows[block]
            for part in blocks(gmm.n_components, max(_NUMBERS // (n_models * gmm.n_dims), 1)):
                source = models[which, part]
                chosen = buffer[: source.size].reshape(source.shape)
                np.subtract(source, start[part], out=chosen)
                left, right = chosen.reshape(n_models, -1), vectors[:, part].reshape(n_tests, -1)
                products[block] += left @ right.T
        return products.T

    def _first_order(
        self, frames: FloatArray, frame_weights: FloatArray | None
    ) -> tuple[Float64Array, Float64Array, float]:
        """Give a test's n, (f - n m) / sqrt(v), and number of frames: no more than is needed."""
        frames = finite_frames(frames, self.gmm.n_dims)
        weights = checked_weights(frame_weights, len(frames))
        n_frames = float(len(frames)) if weights is None else float(weights.sum())
        if not n_frames > 0:
            raise DataError("a test must have one frame at least, this one has none")
        sums = self._compiled(frames, weights)
        if sums is None:
            sums = self._plain(frames, weights)
        counts, centered = sums
        prior, factor = self._whitening
        centered -= counts[:, None] * prior
        centered *= factor
        return counts, centered, n_frames

    @cached_property
    def _whitening(self) -> tuple[Float64Array, Float64Array]:
        """Give the z of the background's means, and scale / sqrt(v)."""
        scale = self.projection.scale.astype(np.float64)
        prior = (self.gmm.means - self.projection.shift) / scale
        return prior, scale / np.sqrt(self.gmm.variances)

    def _plain(
        self, frames: FloatArray, weights: Float64Array | None
    ) -> tuple[Float64Array, Float64Array]:
        """Sum posteriors, and posteriors times z, by numpy."""
        gmm, projection = self.gmm, self.projection
        if self.kernel is not None:  # frames that single precision does not hold
            frames, projection = frames.astype(np.float64), in_double(gmm, projection)
        counts, first = np.zeros(gmm.n_components), np.zeros(gmm.means.shape)
        for block in blocks(len(frames)):
            expanded, joint = joint_block(gmm, frames[block], projection)
            posteriors, sums, _ = responsibilities(joint, out=joint)
            share = (1 if weights is None else weights[block]) / sums
            z = expanded[:, : gmm.n_dims] * share[:, None].astype(expanded.dtype)
            counts += share @ posteriors
            first += (z.T @ posteriors).T
        return counts, first

    def _compiled(
        self, frames: FloatArray, weights: Float64Array | None
    ) -> tuple[Float64Array, Float64Array] | None:
        """Do the same by compiled loops; None where they cannot."""
        kernel, projection = self.kernel, self.projection
        if kernel is None or frames.dtype != np.float32:
            return None
        n_rows, n_components = projection.matrix.shape
        size = min(len(frames), BLOCK)
        expanded = np.empty((size, n_rows), np.float32)
        joint = np.empty((size, n_components), np.float32)
        weight = np.ones(len(frames), np.float32)
        if weights is not None:
            weight[:] = weights
        counts, first = np.zeros(n_components), np.zeros(self.gmm.means.shape)
        chosen = np.empty(n_components + 1, np.int32)
        inverse = 1 / projection.scale
        with np.errstate(over="ignore", invalid="ignore"):
            for block in blocks(len(frames)):
                x, y = expanded[: block.stop - block.start], joint[: block.stop - block.start]
                part = np.ascontiguousarray(frames[block])
                kernel.expand(part, projection.shift, inverse, x)
                np.matmul(x, projection.matrix, out=y)
                n, f = np.zeros(counts.shape, np.float32), np.zeros(first.shape, np.float32)
                if kernel.first_order(y, y.view(np.int32), weight[block], x, chosen, n, f):
                    return None
                counts += n
                first += f
        return counts, first

    def _adapted(
        self, counts: Float64Array, centered: Float64Array, n_frames: float
    ) -> Float64Array:
        """Give the whitened offsets of a model of the test; by "kl" times the weights."""
        gmm, deviations = self.gmm, np.sqrt(self.gmm.variances)
        first = centered * deviations + counts[:, None] * gmm.means
        second = np.broadcast_to(np.nan, first.shape)  # of no use: only means are adapted
        statistics = Statistics(counts, first, second, np.nan, n_frames)
        offsets = (adapt(gmm, statistics, self.adaptation).means - gmm.means) / deviations
        if self.method == "kl":
            offsets = offsets * gmm.weights[:, None]
        return np.asarray(offsets)
