"""Groups of like components, and the components near each: what a grouped pass needs to know.

Every component is a pseudo-frame, its expected sufficient statistics; so how near two components
are is one matrix product, as a frame and a component are.
"""

from dataclasses import dataclass, replace
from math import ceil, sqrt

import numpy as np

from voicegmm._base.arrays import Float32Array, Float64Array, IntArray
from voicegmm.mixture.model import DiagonalGMM

_ROUNDS = 5  # of k-means, after which few components still move
_LEAST_WEIGHT = 1e-30
_ROWS = 512  # components at a time whose distances to all others are held


@dataclass(frozen=True, eq=False)
class Groups:
    """Groups of components, and the components near each.

    Parameters
    ----------
    centers : DiagonalGMM
        A Gaussian a group, with the moments of its components together.
    near : (n_groups, n_near) uint16 array
        Components, rising: those to which frames of the group are held.
    """

    centers: DiagonalGMM
    near: IntArray


def grouped(gmm: DiagonalGMM, n_near: int, group_factor: float) -> Groups:
    """Group the components of a mixture. Nothing is random.

    Parameters
    ----------
    gmm : DiagonalGMM
    n_near : int
        Components near each group, its own among them; at most all.
    group_factor : float
        Groups are so many times the square root of the number of components.

    Returns
    -------
    Groups
    """
    gmm = replace(gmm, weights=np.maximum(gmm.weights, _LEAST_WEIGHT))  # some can be 0
    n_components = gmm.n_components
    n_groups = min(n_components, ceil(group_factor * sqrt(n_components)))
    if n_near >= n_components:
        n_groups = 1  # all have the same components near
    group = _clustered(gmm, n_groups)
    names = np.unique(group)  # k-means can leave a group empty
    centers = _merged(gmm, [np.flatnonzero(group == name) for name in names])
    distances = _Divergences.of(gmm)
    near = np.empty((len(names), n_near), np.uint16)
    for row, name in enumerate(names):
        closest = distances.of_members(np.flatnonzero(group == name))
        # A stable order: of equal distances the first component.
        near[row] = np.sort(np.argsort(closest, kind="stable")[:n_near])
    return Groups(centers, near)


@dataclass(frozen=True, eq=False)
class _Divergences:
    """Symmetric Kullback-Leibler divergences between weighted components.

    Parameters
    ----------
    expected : (n_components, 2 n_dims + 1) float32 array
        E[z, z^2, 1] under each component.
    rows : (n_components, 2 n_dims + 1) float32 array
        Coefficients of [z, z^2, 1].
    own : (n_components,) float32 array
        Of each component, its expected joint log-density under itself.
    """

    expected: Float32Array
    rows: Float32Array
    own: Float32Array

    @staticmethod
    def of(gmm: DiagonalGMM) -> "_Divergences":
        mean, variance = gmm.spread()
        scale = np.sqrt(variance)
        means, variances = (gmm.means - mean) / scale, gmm.variances / variance
        ones = np.ones((gmm.n_components, 1))
        expected = np.concatenate([means, means**2 + variances, ones], axis=1)
        rows = gmm.coefficients(mean, scale).T
        own = (expected * rows).sum(axis=1)
        return _Divergences(*(array.astype(np.float32) for array in (expected, rows, own)))

    def of_members(self, members: IntArray) -> Float32Array:
        """Give the divergence of each component from the nearest of some."""
        closest = np.full(len(self.own), np.inf, np.float32)
        for start in range(0, len(members), _ROWS):
            some = members[start : start + _ROWS]
            # E_c[log w_k N_k] + E_k[log w_c N_c] - E_c[log w_c N_c] - E_k[log w_k N_k]
            likeness = self.rows @ self.expected[some].T
            likeness += self.expected @ self.rows[some].T
            likeness -= self.own[some]
            np.minimum(closest, self.own - likeness.max(axis=1), out=closest)
        closest[members] = -np.inf  # its own come first, even where many fall together
        return closest


def _clustered(gmm: DiagonalGMM, n_groups: int) -> IntArray:
    """Give the group of each component, by weighted k-means of the means from halved clusters."""
    points = gmm.means / np.sqrt(gmm.spread()[1])
    group = np.zeros(len(points), np.intp)
    for name in range(1, n_groups):
        # The largest group that can be cut is, at the median of its widest dimension.
        sizes = np.bincount(group, minlength=name)
        widest = np.flatnonzero(group == sizes.argmax())
        some = points[widest]
        order = np.argsort(some[:, some.var(axis=0).argmax()], kind="stable")
        group[widest[order[len(order) // 2 :]]] = name
    for _ in range(_ROUNDS):
        centers = _centers(points, gmm.weights, group, n_groups)
        distances = np.square(centers).sum(axis=1) - 2 * points @ centers.T
        group = distances.argmin(axis=1)
    return group


def _centers(
    points: Float64Array, weights: Float64Array, group: IntArray, n_groups: int
) -> Float64Array:
    """Give the weighted mean of each group; far from everything where it is empty."""
    member = np.zeros((n_groups, len(points)))
    member[group, np.arange(len(points))] = weights
    total = member.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        centers: Float64Array = np.where(total > 0, member @ points / total, 1e6)
    return centers


def _merged(gmm: DiagonalGMM, members: list[IntArray]) -> DiagonalGMM:
    """Put one Gaussian in the place of each group, with the same weight, mean and variances."""
    weights, means, variances = [], [], []
    for some in members:
        share = gmm.weights[some] / gmm.weights[some].sum()
        mean = share @ gmm.means[some]
        weights.append(gmm.weights[some].sum())
        means.append(mean)
        variances.append(share @ (gmm.variances[some] + (gmm.means[some] - mean) ** 2))
    return DiagonalGMM(np.array(weights), np.array(means), np.array(variances))
