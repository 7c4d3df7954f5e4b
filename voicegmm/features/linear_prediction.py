"""Linear prediction: from autocorrelations to predictors, and from those to cepstra."""

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray

# The share of the energy below which a prediction error is rounding, not signal.
_LEAST_ERROR = 1e-14


def predictors(autocorrelation: FloatArray) -> tuple[Float64Array, Float64Array]:
    """Solve for the linear predictor of each frame (Levinson-Durbin).

    The recursion of Makhoul, Proc. IEEE 63(4), 1975, eqs. 38a-38e, for all frames at once. The
    error is kept above 1e-14 of the energy, and with it the predictor stable, where rounding
    would drive it to zero.

    Parameters
    ----------
    autocorrelation : (n_frames, order + 1) float array
        Lag 0 first, greater than 0.

    Returns
    -------
    coefficients : (n_frames, order) float64 array
        a_1 .. a_p of the inverse filter 1 + a_1 z^-1 + .. + a_p z^-p.
    error : (n_frames,) float64 array
        Energy that the prediction leaves, greater than 0.
    """
    r = np.asarray(autocorrelation, dtype=np.float64)
    order = r.shape[1] - 1
    a = np.zeros((len(r), order))
    error = r[:, 0].copy()
    for i in range(order):
        # a_1 .. a_i meet r_i .. r_1
        k = -(r[:, i + 1] + np.einsum("tj,tj->t", a[:, :i], r[:, i:0:-1])) / error
        np.clip(k, -1, 1, out=k)
        a[:, :i] += k[:, None] * a[:, :i][:, ::-1]
        a[:, i] = k
        error = np.maximum(error * (1 - np.square(k)), _LEAST_ERROR * r[:, 0])
    return a, error


def predictor_cepstra(coefficients: Float64Array, n_cepstra: int) -> Float64Array:
    """Compute the cepstra of the all-pole spectra of predictors.

    c_n = -a_n - 1/n sum_(i=1)^(n-1) (n - i) a_i c_(n-i) (HTK Book, eq. 5.11), where a_n is 0
    beyond the order.

    Parameters
    ----------
    coefficients : (n_frames, order) float array
        As `predictors` gives them.
    n_cepstra : int
        At least 0.

    Returns
    -------
    (n_frames, n_cepstra) float64 array
        c_1 .. c_n.
    """
    order = coefficients.shape[1]
    c = np.zeros((len(coefficients), n_cepstra))
    for n in range(1, n_cepstra + 1):
        i = np.arange(1, min(n - 1, order) + 1)
        past = np.einsum("ti,ti->t", coefficients[:, i - 1] * (n - i), c[:, n - i - 1])
        c[:, n - 1] = -past / n
        if n <= order:
            c[:, n - 1] -= coefficients[:, n - 1]
    return c
