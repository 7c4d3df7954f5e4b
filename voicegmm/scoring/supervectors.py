"""Scores that are dot products of supervectors: all models against a batch of tests at once.

A model's vector is mu - m, its means' offsets from the background model; the vector of a test is
what the method says, over the variances. Products are in the precision of the frames, in float32
to about 1e-6 of the lengths of the whitened vectors; `linear_scores` and `supervector_kernel` say
the same in float64.

Both rounds of the work are spread over workers: tests become vectors, one by one, and then the
vectors of a whole batch are multiplied with some of the models and components at a time, so that
the models are read once for many tests. How the work is cut depends on its size alone.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np

from voicegmm._base.arrays import Float32Array, Float64Array, FloatArray, IntArray
from voicegmm.compute import keep_freed_memory, ordered_map
from voicegmm.mixture import DiagonalGMM, MapOptions, Statistics, adapt, first_from_means
from voicegmm.mixture.density import blocks
from voicegmm.scoring.first_order import FirstOrder, Test

_BATCH = 2**23  # numbers in the vectors that are multiplied at once: the models are read for them
# Models, and numbers of each, multiplied at a time: 4 MB stay in the cache, and who is done
# first waits for little.
_MODELS, _NUMBERS = 256, 2**12
_TESTS = 4  # that one worker takes at a time, at most: of short ones, handing over takes longest


class Batch(Protocol):
    """Tests that meet the same models."""

    @property
    def tests(self) -> Sequence[int]:
        """Their numbers."""

    @property
    def rows(self) -> IntArray:
        """The models that they meet."""


_Cut = tuple[int, slice, slice]
"""A part of a batch's product: which vectors, which of its models, which components."""


def _together(n_tests: int) -> Iterable[slice]:
    """Cut the tests of a batch into what one worker takes at a time."""
    return blocks(n_tests, min(max(n_tests // 16, 1), _TESTS))


@dataclass(frozen=True, eq=False)
class SupervectorProducts:
    """Models made ready for scores that are dot products.

    Parameters
    ----------
    gmm : DiagonalGMM
        The background model.
    first_order : FirstOrder
        The background model made ready.
    means : (n_models, n_components, n_dims) float32 array
        Of the models.
    method : {"linear", "symmetric", "kl", "bhattacharyya"}
    adaptation : MapOptions
        How a test becomes a model, but with "linear".
    heard : (n_models, n_components, n_dims) float array, optional
        The models' own speech: f - n m, per frame; with "symmetric".
    dtype : numpy.dtype
        Of frames, vectors and products.
    """

    gmm: DiagonalGMM
    first_order: FirstOrder
    means: Float32Array
    method: str
    adaptation: MapOptions
    heard: FloatArray | None
    dtype: np.dtype
    spare: list[FloatArray] = field(default_factory=list)  # buffers that no worker uses

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
        heard = np.empty_like(means, dtype) if method == "symmetric" else None
        if heard is not None:
            for row, (model, count) in enumerate(zip(means, counts, strict=True)):
                first = first_from_means(gmm.means, count, model, adaptation)
                rest = first - count[:, None] * gmm.means
                heard[row] = rest / max(float(count.sum()), np.finfo(float).tiny)
        return SupervectorProducts(
            gmm,
            FirstOrder.of(gmm, dtype, n_frames),
            means,
            method,
            adaptation,
            heard,
            dtype,
        )

    @property
    def batch_limits(self) -> tuple[int, int]:
        """How many tests, and frames of them, are best scored at once: frames do not count."""
        return max(_BATCH // (len(self._sides) * self.gmm.means.size), 1), sys.maxsize

    def scores(
        self, batches: Sequence[Batch], read: Callable[[int], Test], n_workers: int
    ) -> Iterator[Float64Array]:
        """Score batches of tests.

        Parameters
        ----------
        batches : sequence of Batch
        read : callable
            Gives a test by its number, at least one frame of it; called by the workers.
        n_workers : int
            Threads. Their number does not change a bit.

        Yields
        ------
        (n_tests, n_rows) float64 array
            Of each batch.

        Raises
        ------
        DataError
            For a test without frames, or a frame that is not finite or of another dimension.
        """
        filled = ordered_map(lambda item: self._fill(*item, read), self._places(batches), n_workers)
        keep_freed_memory()

        def parts() -> Iterator[tuple[FloatArray, IntArray, _Cut]]:
            for batch in batches:
                for _ in _together(len(batch.tests)):
                    vectors = next(filled)
                for cut in self._cuts(len(batch.rows)):
                    yield vectors, batch.rows, cut

        products = ordered_map(lambda part: self._product(*part), parts(), n_workers)
        for batch in batches:
            total = np.zeros((len(batch.rows), len(batch.tests)))
            for _, models, _ in self._cuts(len(batch.rows)):
                total[models] += next(products)
            if len(self._sides) > 1:
                total /= len(self._sides)
            yield np.ascontiguousarray(total.T)

    def _places(
        self, batches: Sequence[Batch]
    ) -> Iterator[tuple[FloatArray, slice, Sequence[int]]]:
        """Give where the vectors of some tests shall stand: their batch's, and which of it."""
        for batch in batches:
            shape = (len(self._sides), len(batch.tests), *self.gmm.means.shape)
            vectors = np.empty(shape, self.dtype)
            for some in _together(len(batch.tests)):
                yield vectors, some, batch.tests[some]

    def _fill(
        self,
        vectors: FloatArray,
        some: slice,
        tests: Sequence[int],
        read: Callable[[int], Test],
    ) -> FloatArray:
        """Write the vectors of tests to their place: the one the method says, and its reverse."""
        for number, test in enumerate(tests, some.start):
            if self.method == "linear":
                self.first_order.mean_offsets(*read(test), self._precisions, vectors[0, number])
                continue
            counts, centered, n_frames = self.first_order(*read(test))
            vectors[-1, number] = self._adapted(counts, centered, n_frames)
            if self.method == "symmetric":
                vectors[0, number] = centered * self._precisions / n_frames
        return vectors

    @cached_property
    def _sides(self) -> list[tuple[FloatArray, FloatArray]]:
        """Give what each vector of a test is multiplied with, and the origin of that."""
        sides: list[tuple[FloatArray, FloatArray]] = [
            (self.means, self.gmm.means.astype(self.dtype))
        ]
        if self.heard is not None:
            sides.append((self.heard, np.zeros_like(sides[0][1])))
        return sides

    def _cuts(self, n_models: int) -> list[_Cut]:
        """Cut the product of a batch: into parts enough to share out evenly."""
        n_components, n_dims = self.gmm.means.shape
        return [
            (side, models, components)
            for side in range(len(self._sides))
            for models in blocks(n_models, _MODELS)
            for components in blocks(n_components, max(_NUMBERS // n_dims, 1))
        ]

    def _product(self, vectors: FloatArray, rows: IntArray, cut: _Cut) -> FloatArray:
        """Multiply some of the models, less their origin, with the tests: (n_models, n_tests)."""
        side, models, components = cut
        (means, origin), chosen = self._sides[side], rows[models]
        in_a_row = np.array_equal(chosen, np.arange(chosen[0], chosen[0] + len(chosen)))
        which = slice(chosen[0], chosen[0] + len(chosen)) if in_a_row else chosen
        source = means[which, components]
        try:
            buffer = self.spare.pop()
        except IndexError:
            buffer = np.empty(_MODELS * max(_NUMBERS, self.gmm.n_dims), self.dtype)
        left = buffer[: source.size].reshape(source.shape)
        np.subtract(source, origin[components], out=left)
        right = vectors[side][:, components].reshape(vectors.shape[1], -1)
        product = left.reshape(len(chosen), -1) @ right.T
        self.spare.append(buffer)
        return np.asarray(product)

    @cached_property
    def _precisions(self) -> Float64Array:
        """Give 1 / v, times the unit of `first_order`."""
        return np.asarray(self.first_order.scale / self.gmm.variances)

    def _adapted(
        self, counts: Float64Array, centered: Float64Array, n_frames: float
    ) -> Float64Array:
        """Give the offsets of a model of the test over the variances; by "kl" times the weights."""
        gmm = self.gmm
        first = centered * self.first_order.scale + counts[:, None] * gmm.means
        second = np.broadcast_to(np.nan, first.shape)  # of no use: only means are adapted
        statistics = Statistics(counts, first, second, np.nan, n_frames)
        offsets = (adapt(gmm, statistics, self.adaptation).means - gmm.means) / gmm.variances
        if self.method == "kl":
            offsets = offsets * gmm.weights[:, None]
        return np.asarray(offsets)
