"""Many tests at once: what a p-value is worth where there were several chances of a small one."""

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array
from voicegmm._base.errors import DataError


def holm(p_values: npt.ArrayLike) -> Float64Array:
    """Adjust the p-values of several tests, whatever hangs together among them.

    Holding each below 0.05 holds the chance of even one false finding among all below 0.05 (Holm,
    "A simple sequentially rejective multiple test procedure", 1979).

    Parameters
    ----------
    p_values : (n_tests,) array_like in [0, 1]

    Returns
    -------
    (n_tests,) float64 array
        None is smaller than it was, none above 1.

    Raises
    ------
    DataError
        For a value outside [0, 1].
    """
    values = np.asarray(p_values, dtype=np.float64).reshape(-1)
    if not ((values >= 0) & (values <= 1)).all():
        raise DataError(f"p_values must be between 0 and 1, got {values.tolist()}")
    order = np.argsort(values, kind="stable")
    # The smallest has all tests against it, the next all but one; none overtakes a smaller one.
    raised = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(raised))
    return adjusted
