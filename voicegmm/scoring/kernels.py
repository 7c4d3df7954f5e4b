"""Kernels of supervectors: how alike two models are that were adapted from one background model.

Both are dot products of whitened offsets from the background model, which has 0 with all:

- "kl": sum_k w_k (a_k - m_k)' v_k^-1 (b_k - m_k), whose squared distance bounds the KL divergence
  (Campbell, Sturim, Reynolds, "Support vector machines using GMM supervectors for speaker
  verification", IEEE Signal Processing Letters 13 (2006), eq. 6; its origin, which no distance
  depends on, put into the background model);
- "bhattacharyya": sum_k (a_k - m_k)' v_k^-1 (b_k - m_k): the kernel of GMM-UBM mean intervals from
  the Bhattacharyya distance, whose mean of two covariances is the background model's own where
  only means are adapted; it knows no weights (You, Lee, Li, "An SVM kernel with GMM-supervector
  based on the Bhattacharyya distance for speaker recognition", IEEE Signal Processing Letters 16
  (2009)).
"""

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray
from voicegmm._base.checks import one_of
from voicegmm.mixture import DiagonalGMM, SupervectorOptions, stacked_means

KERNELS = ("kl", "bhattacharyya")


def supervector_kernel(
    gmm: DiagonalGMM, models: FloatArray, tests: FloatArray, kernel: str = "kl"
) -> Float64Array:
    """Give the kernel between all models and all models of tests.

    Parameters
    ----------
    gmm : DiagonalGMM
        The background model.
    models : (n_models, n_components, n_dims) float array
        Means adapted from it.
    tests : (n_tests, n_components, n_dims) float array
        Means adapted to the tests, in the same way.
    kernel : {"kl", "bhattacharyya"}

    Returns
    -------
    (n_models, n_tests) float64 array

    Raises
    ------
    DataError
        For means that are not of the background model's shape.
    OptionError
        For another kernel.
    """
    one_of("kernel", kernel, KERNELS)
    if kernel == "kl":
        scaled = SupervectorOptions(scaling="kl", centered=True)
        return np.asarray(stacked_means(gmm, models, scaled) @ stacked_means(gmm, tests, scaled).T)
    centered = SupervectorOptions(scaling="none", centered=True)
    precisions = 1 / gmm.variances.ravel()
    left = stacked_means(gmm, models, centered) * precisions
    return np.asarray(left @ stacked_means(gmm, tests, centered).T)
