"""Ratios from each frame's best components alone: nearly the exact ones, many times as fast.

Of hundreds of components a few hold nearly all of a frame's likelihood, and those that are best
under the background model are best under the models adapted from it. So the C best are found once
a frame, and both likelihoods of the ratio are sums over them (Reynolds, Quatieri, Dunn, "Speaker
verification using adapted Gaussian mixture models", Digital Signal Processing 10 (2000), sec. 3.5).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from types import ModuleType

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray, IntArray
from voicegmm._base.checks import finite_frames, within
from voicegmm.compute import keep_freed_memory, ordered_map
from voicegmm.mixture import DiagonalGMM
from voicegmm.mixture.density import (
    Projection,
    blocks,
    expand,
    in_double,
    joint_block,
    responsibilities,
)
from voicegmm.mixture.ratios import moved, ready_for, shifts

BATCH = 1024  # frames worked at a time, of as many tests as they are: components meet several
PANEL = 64  # models side by side: what their products make stays in the cache
_MADE = 16  # models made ready at a time: a part of a panel


@dataclass(frozen=True, eq=False)
class TopShifts:
    """What adapted means add to the joint log-densities of a frame's best components.

    Parameters
    ----------
    gmm : DiagonalGMM
    projection : Projection
        Of `gmm`; to base 2 where `kernel` is given.
    slopes : (n_models, n_components, n_padded) float array
        ``[z, 1, 0...] @ slopes[m, k]`` is what model m adds to component k; `n_padded` is the
        next multiple of 4. Side by side: (n_panels, n_components, n_padded, `PANEL`).
    n_top : int
    kernel : module, optional
        The compiled loops, where the job is worth them.
    constants : (n_components, n_models) float array, optional
        What the models add beside, where all means were moved alike.
    """

    gmm: DiagonalGMM
    projection: Projection
    slopes: FloatArray
    n_top: int
    kernel: ModuleType | None
    constants: FloatArray | None = None

    @staticmethod
    def of(
        gmm: DiagonalGMM,
        means: FloatArray,
        dtype: np.dtype,
        n_frames: int,
        n_top: int,
        side_by_side: bool = False,
        n_workers: int = 1,
    ) -> "TopShifts":
        """Make mixtures ready to be scored.

        Parameters
        ----------
        gmm : DiagonalGMM
        means : (n_models, n_components, n_dims) float array
        dtype : numpy.dtype
            Of the frames.
        n_frames : int
            Of the whole job, each as often as there are models that it meets.
        n_top : int
            At least 1; all components where there are fewer.
        side_by_side : bool
            Whether tests meet most of the models: then `PANEL` of them are worked at once, which
            takes longer to make ready and is more than twice as fast afterwards.
        n_workers : int
            Threads. Their number does not change a bit.
        """
        within("n_top", n_top, 1, np.inf)
        projection, kernel, unit = ready_for(gmm, dtype, n_frames)
        n_dims, n_models = gmm.n_dims, len(means)
        n_padded = -4 * (-(n_dims + 1) // 4)
        dtype = projection.matrix.dtype
        together = kernel is not None and side_by_side
        shape = (gmm.n_components, n_padded)
        if together:
            slopes = np.zeros((-(-n_models // PANEL), *shape, PANEL), dtype)
        else:
            slopes = np.zeros((n_models, *shape), dtype)

        def fill(some: slice) -> None:
            made = np.zeros((some.stop - some.start, *shape), dtype)
            found = shifts(gmm, projection, means[some])
            for row, (slope, constant) in zip(made, found, strict=True):
                row[:, :n_dims] = unit * slope
                row[:, n_dims] = unit * constant
            if together:
                panel, first = divmod(some.start, PANEL)
                slopes[panel, ..., first : first + len(made)] = made.transpose(1, 2, 0)
            else:
                slopes[some] = made

        keep_freed_memory()
        for _ in ordered_map(fill, blocks(n_models, _MADE), n_workers):
            pass
        return TopShifts(gmm, projection, slopes, min(n_top, gmm.n_components), kernel)

    def about(self, means: FloatArray) -> "TopShifts":
        """Move all mixtures alike: each keeps its offset from the one it was adapted from.

        Parameters
        ----------
        means : (n_components, n_dims) float array
            Of the latter, from now on: the best components of a frame are its.
        """
        gmm, projection, offsets = moved(self.gmm, self.projection, self.kernel, means)
        n_dims = gmm.n_dims
        offsets = offsets.astype(self.slopes.dtype)
        if self.slopes.ndim == 4:
            panels = self.slopes[:, :, :n_dims]
            against = np.einsum("pkdm,kd->kpm", panels, offsets).reshape(len(offsets), -1)
        else:
            against = np.einsum("mkd,kd->km", self.slopes[..., :n_dims], offsets)
        constants = -against if self.constants is None else self.constants - against
        return replace(self, gmm=gmm, projection=projection, constants=constants)

    def scores(
        self, tests: Sequence[tuple[FloatArray, FloatArray | None]], rows: IntArray
    ) -> Float64Array:
        """Give the mean log-likelihood ratio of some tests under some of the models.

        Parameters
        ----------
        tests, rows
            As of `voicegmm.mixture.MeanShifts.scores`, with frames of the type that was announced,
            at least one a test, and positive weights.

        Returns
        -------
        (n_tests, n_rows) float64 array
            In nats per frame.

        Raises
        ------
        DataError
            For a frame that is not finite, of another dimension, or too far from every component.
        """
        checked = [finite_frames(frames, self.gmm.n_dims) for frames, _ in tests]
        weights = [
            np.ones(len(frames)) if weights is None else np.asarray(weights, float)
            for frames, weights in tests
        ]
        bounds = np.cumsum([0, *map(len, checked)])
        frames, each = np.concatenate(checked), np.concatenate(weights)
        totals = np.zeros((len(tests), len(rows)))
        for block in blocks(len(frames), BATCH):
            compiled = None
            if self.kernel is not None and frames.dtype == np.float32:
                compiled = self._compiled(frames[block], rows)
            parts = self._plain(frames[block], rows) if compiled is None else compiled
            for columns, part in parts:
                for number in range(len(tests)):
                    inside = slice(
                        max(bounds[number], block.start) - block.start,
                        min(bounds[number + 1], block.stop) - block.start,
                    )
                    if inside.start < inside.stop:
                        totals[number, columns] += each[block][inside] @ part[inside]
        return np.asarray(totals / np.array([one.sum() for one in weights])[:, None])

    def _plain(self, frames: FloatArray, rows: IntArray) -> Iterator[tuple[IntArray, Float64Array]]:
        """Give the ratios of one block by numpy, and where in `rows` their models stand."""
        projection, unit = self.projection, 1.0
        if self.kernel is not None:  # a block that single precision does not hold
            frames = frames.astype(np.float64)
            projection, unit = in_double(self.gmm, projection), float(np.log(2))
        _, joint = joint_block(self.gmm, frames, projection)
        if joint.dtype != projection.matrix.dtype:
            frames, projection = frames.astype(np.float64), in_double(self.gmm, projection)
        components = np.argpartition(joint, -self.n_top, axis=1)[:, -self.n_top :]
        base = np.take_along_axis(joint, components, axis=1)
        z = expand(frames, projection)[:, : self.gmm.n_dims]
        z = np.concatenate([z, np.ones_like(z[:, :1])], axis=1)
        background = responsibilities(base)[2]
        for place, row in enumerate(rows):
            slopes = unit * self._slopes(row)[components, : z.shape[1]]
            values = base + np.einsum("td,tcd->tc", z, slopes)
            if self.constants is not None:
                values += unit * self.constants[components, row]
            ratios = responsibilities(values, out=values)[2] - background
            yield np.array([place]), ratios[:, None]

    def _slopes(self, row: int) -> FloatArray:
        if self.slopes.ndim == 4:
            return np.asarray(self.slopes[row // PANEL, ..., row % PANEL])
        return np.asarray(self.slopes[row])

    def _compiled(
        self, frames: FloatArray, rows: IntArray
    ) -> list[tuple[IntArray, Float64Array]] | None:
        """Give the same by compiled loops; None if single precision does not hold them."""
        kernel = self.kernel
        assert kernel is not None
        found = self._best(frames)
        if found is None:
            return None
        z, components, base = found
        background = _log2_sums(base)
        if self.slopes.ndim == 4:
            groups = self._side_by_side(z, components, rows)
        else:
            groups = self._one_by_one(z, components, rows)
        parts = []
        for places, added in groups:
            if self.constants is not None:
                added += self.constants[:, rows[places]][components]
            peak, sums = np.empty((2, len(frames), added.shape[2]), np.float32)
            if kernel.log_sums_of_best(added, base, peak, sums):
                return None
            ratios = np.log2(sums.astype(np.float64))
            ratios += peak
            ratios -= background[:, None]
            ratios *= np.log(2)
            parts.append((places, ratios))
        return parts

    def _one_by_one(
        self, z: FloatArray, components: IntArray, rows: IntArray
    ) -> Iterator[tuple[IntArray, FloatArray]]:
        """Give what models add, (n_frames, n_top, n_models), and where in `rows` they stand."""
        assert self.kernel is not None
        for block in blocks(len(rows), PANEL):
            places = np.arange(block.start, block.stop)
            added = np.empty((*components.shape, len(places)), np.float32)
            for place, row in enumerate(rows[block]):
                self.kernel.shifts_of_one(z, components, self.slopes[row], added, place)
            yield places, added

    def _side_by_side(
        self, z: FloatArray, components: IntArray, rows: IntArray
    ) -> Iterator[tuple[IntArray, FloatArray]]:
        """Give the same, all models of a panel at once."""
        assert self.kernel is not None
        order = np.argsort(components, axis=None, kind="stable")
        sorted_components = components.ravel()[order]
        starts = np.searchsorted(sorted_components, np.arange(self.gmm.n_components + 1))
        whole = np.empty((*components.shape, PANEL), np.float32)
        for number in np.unique(rows // PANEL):
            places = np.flatnonzero(rows // PANEL == number)
            pairs = whole.reshape(-1, PANEL)
            self.kernel.shifts_of_panel(z, order, starts, self.slopes[number], pairs)
            chosen = rows[places] % PANEL
            all_in_order = np.array_equal(chosen, np.arange(PANEL))
            yield places, whole if all_in_order else np.ascontiguousarray(whole[..., chosen])

    def _best(self, frames: FloatArray) -> tuple[FloatArray, IntArray, FloatArray] | None:
        """Give [z, 1, 0...], the best components of each frame, and their joint log-densities."""
        kernel, projection, n_dims = self.kernel, self.projection, self.gmm.n_dims
        assert kernel is not None
        n_rows, n_components = projection.matrix.shape
        expanded = np.empty((len(frames), n_rows), np.float32)
        joint = np.empty((len(frames), n_components), np.float32)
        components = np.empty((len(frames), self.n_top), np.int32)
        base = np.empty((len(frames), self.n_top), np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            inverse = 1 / projection.scale
            kernel.expand(np.ascontiguousarray(frames), projection.shift, inverse, expanded)
            np.matmul(expanded, projection.matrix, out=joint)
            if kernel.best(joint, joint.view(np.int32), components, base):
                return None
        z = np.zeros((len(frames), self.slopes.shape[2]), np.float32)
        z[:, :n_dims] = expanded[:, :n_dims]
        z[:, n_dims] = 1
        return z, components, base


def _log2_sums(base: FloatArray) -> Float64Array:
    """Give log2 of the sums of 2^values, row by row, the first value the greatest."""
    values = base.astype(np.float64)
    peak = values[:, :1].copy()
    values -= peak
    return np.asarray(peak[:, 0] + np.log2(np.exp2(values).sum(axis=1)))
