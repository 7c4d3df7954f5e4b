"""Drawing frames from a mixture."""

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray, IntArray
from voicegmm._base.checks import at_least
from voicegmm.mixture.model import FullGMM, Mixture, TiedGMM


def sample(gmm: Mixture, n_frames: int, rng: np.random.Generator) -> tuple[FloatArray, IntArray]:
    """Draw frames from a mixture.

    Parameters
    ----------
    gmm : Mixture
        With covariances of any shape.
    n_frames : int
        At least 0.
    rng : numpy.random.Generator

    Returns
    -------
    frames : (n_frames, n_dims) float64 array
    components : (n_frames,) int array
        Which Gaussian each frame came from.
    """
    at_least("n_frames", n_frames, 0)
    components = rng.choice(gmm.n_components, size=n_frames, p=gmm.weights)
    return gmm.means[components] + noise_of(gmm, components, rng), components


def noise_of(gmm: Mixture, components: IntArray, rng: np.random.Generator) -> Float64Array:
    """Draw deviations from the means.

    Parameters
    ----------
    gmm : Mixture
    components : (n_frames,) int array
        Of which Gaussian each is to be.
    rng : numpy.random.Generator

    Returns
    -------
    (n_frames, n_dims) float64 array
    """
    noise = rng.standard_normal((len(components), gmm.n_dims))
    if isinstance(gmm, TiedGMM):
        return np.asarray(noise @ np.linalg.cholesky(gmm.covariance).T)
    if isinstance(gmm, FullGMM):
        factors = np.linalg.cholesky(gmm.covariances)
        for component in np.unique(components):
            drawn = components == component
            noise[drawn] = noise[drawn] @ factors[component].T
        return noise
    return np.asarray(noise * np.sqrt(gmm.variances_by_dim()[components]))
