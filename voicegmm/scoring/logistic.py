"""Prior-weighted logistic regression: what calibration and fusion are learned by.

Brümmer and du Preez, "Application-independent evaluation of speaker detection", Computer Speech and
Language 20, 2006; Brümmer et al., "Fusion of heterogeneous speaker recognition systems in the STBU
submission for the NIST SRE 2006", IEEE Trans. Audio, Speech and Language Processing 15, 2007.
"""

import numpy as np

from voicegmm._base.arrays import BoolArray, Float64Array
from voicegmm._base.checks import above, at_least, within
from voicegmm._base.errors import DataError

_MOST_STEPS = 200
_LEAST_STEP = 1e-12


def learn_logistic(
    columns: Float64Array,
    targets: BoolArray,
    p_target: float = 0.5,
    ridge: float = 0.0,
    evidence: Float64Array | None = None,
    n_alike: int = 0,
) -> tuple[Float64Array, float]:
    """Learn the affine map from columns to natural-log likelihood ratios.

    Minimizes, over weights w and offset, the cross-entropy of the posterior at the prior
    `p_target`, each class weighing its prior whatever its number of trials (Brümmer and du Preez,
    2006, eq. 41), plus ridge / 2 |w|², the columns brought to mean 0 and deviation 1. The labels
    are softened by the rule of succession (Platt, "Probabilistic outputs for support vector
    machines", 1999, eq. 9), so that columns which separate the classes without an error get finite
    weights: n trials cannot show a ratio of infinity.

    Parameters
    ----------
    columns : (n_trials, n_columns) float64 array
        Finite; none of them constant.
    targets : (n_trials,) bool array
        At least one of each class.
    p_target : float in (0, 1)
    ridge : float >= 0
        Makes the loss strictly convex where columns say the same.
    evidence : (n_trials,) float64 array, optional
        Positive factors of what the map gives; 1 by default.
    n_alike : int >= 0
        How many columns, from the first on, are ratios whose weights are pulled towards one another
        and not to 0: their part of the penalty is ridge / 2 sum (w_i - mean w)², of the columns as
        they were given, and the other columns have none. 0: all are pulled to 0.

    Returns
    -------
    weights : (n_columns,) float64 array
        Of the columns as they were given.
    offset : float

    Raises
    ------
    DataError
        For a class without trials, a NaN or an infinity, or a column that is constant.
    OptionError
        For a prior outside (0, 1), a ridge below 0, or more columns alike than there are.
    """
    above("p_target", p_target, 0)
    above("1 - p_target", 1 - p_target, 0)
    at_least("ridge", ridge, 0)
    within("n_alike", n_alike, 0, columns.shape[1])
    n_targets = int(targets.sum())
    n_nontargets = len(targets) - n_targets
    if not n_targets or not n_nontargets:
        raise DataError(
            f"calibration needs target and non-target scores, got {n_targets} and {n_nontargets}"
        )
    if not np.isfinite(columns).all():
        raise DataError("calibration scores must be finite")
    center, spread = columns.mean(axis=0), columns.std(axis=0)
    n_columns = columns.shape[1]
    # A constant's deviation is no more than its rounding.
    constant = np.flatnonzero(spread <= 1e-13 * np.abs(center))
    if len(constant):
        raise DataError(
            f"column {constant[0]} (counting from 0) is {center[constant[0]]:g} in every trial: "
            "nothing can be learned from it"
        )
    spread[:n_alike] = 1.0
    design = np.column_stack([(columns - center) / spread, np.ones(len(columns))])
    if evidence is not None:
        design *= evidence[:, None]
    wanted = np.where(targets, (n_targets + 1) / (n_targets + 2), 1 / (n_nontargets + 2))
    shares = np.where(targets, p_target / n_targets, (1 - p_target) / n_nontargets)
    prior_log_odds = float(np.log(p_target / (1 - p_target)))
    # Of the offset, and beside ratios of the other columns, there is no penalty.
    penalty = np.where(np.arange(n_columns + 1) < (n_alike or n_columns), ridge, 0.0)
    pulled = np.eye(n_columns + 1)
    if n_alike:
        pulled[:n_alike, :n_alike] -= 1 / n_alike
    found = _newton(design, wanted, shares, prior_log_odds, penalty, pulled)
    weights = found[:-1] / spread
    return weights, float(found[-1] - weights @ center)


def _newton(
    design: Float64Array,
    wanted: Float64Array,
    shares: Float64Array,
    prior_log_odds: float,
    penalty: Float64Array,
    pulled: Float64Array,
) -> Float64Array:
    """Minimize the weighted cross-entropy of logistic(design @ theta + prior_log_odds).

    Plus half of the squares of pulled @ theta, weighted by the penalty.
    """

    def loss(theta: Float64Array) -> float:
        logit = design @ theta + prior_log_odds
        # -[y log p + (1 - y) log(1 - p)] = log(1 + e^logit) - y logit
        entropy = shares @ (np.logaddexp(0, logit) - wanted * logit)
        return float(entropy + penalty @ (pulled @ theta) ** 2 / 2)

    theta = np.zeros(design.shape[1])
    best = loss(theta)
    for _ in range(_MOST_STEPS):
        logit = np.clip(design @ theta + prior_log_odds, -500, 500)
        p = 1 / (1 + np.exp(-logit))
        gradient = design.T @ (shares * (p - wanted)) + pulled.T @ (penalty * (pulled @ theta))
        curvature = (design * (shares * p * (1 - p))[:, None]).T @ design
        curvature += (pulled.T * penalty) @ pulled
        step = np.linalg.solve(curvature + 1e-12 * np.eye(len(theta)), gradient)
        length = 1.0
        while length > 1e-10 and not loss(theta - length * step) < best:
            length /= 2
        if length <= 1e-10:
            break
        theta = theta - length * step
        best = loss(theta)
        if np.abs(length * step).max() < _LEAST_STEP:
            break
    return theta
