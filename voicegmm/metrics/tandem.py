"""The tandem detection cost: a countermeasure against spoofs, and the verification it guards.

A trial is of the target, of another speaker (non-target), or a spoof. What the countermeasure takes
for human goes on to the verification.

Kinnunen et al., "t-DCF: a detection cost function for the tandem assessment of spoofing
countermeasures and automatic speaker verification", Odyssey 2018 (the legacy form, as ASVspoof 2019
has it); "Tandem assessment of spoofing countermeasures and automatic speaker verification:
fundamentals", IEEE/ACM Trans. Audio, Speech and Language Processing 28, 2020 (the revised form, as
ASVspoof 2021 has it).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array
from voicegmm._base.checks import above, one_of
from voicegmm._base.errors import DataError, OptionError
from voicegmm.metrics.hull import Rocch, rocch
from voicegmm.metrics.pooling import Scores, score_array, sort_scores
from voicegmm.metrics.rates import nearest_rates, rates_at

T_DCF_FORMS = ("revised", "legacy")


@dataclass(frozen=True)
class TandemOptions:
    """Priors and costs of a tandem; the defaults are those of ASVspoof 2019 and 2021.

    Parameters
    ----------
    p_spoof : float in (0, 1)
        Prior of a spoof.
    p_target : float in (0, 1)
        Prior of a target among the trials that are no spoof.
    c_miss, c_fa, c_fa_spoof : float > 0
        Cost of rejecting a target, of accepting a non-target, and of accepting a spoof.
    form : {"revised", "legacy"}
        "revised" (2020, eqs. 10 and 11) counts the errors of the verification even where the
        countermeasure makes none. "legacy" (2018) leaves that constant out.
    """

    p_spoof: float = 0.05
    p_target: float = 0.99
    c_miss: float = 1.0
    c_fa: float = 10.0
    c_fa_spoof: float = 10.0
    form: str = "revised"

    def __post_init__(self) -> None:
        for name in ("p_spoof", "p_target"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise OptionError(
                    f"{name} must be between 0 and 1 (exclusive), got {getattr(self, name)}"
                )
        for name in ("c_miss", "c_fa", "c_fa_spoof"):
            above(name, getattr(self, name), 0.0)
        one_of("form", self.form, T_DCF_FORMS)


@dataclass(frozen=True)
class TandemCost:
    """What the errors of a countermeasure cost: constant + miss P_miss + fa P_fa.

    Attributes
    ----------
    constant, miss, fa : float >= 0
        C0, C1 and C2 of the papers.
    """

    constant: float
    miss: float
    fa: float

    def normalized(
        self, p_miss: float | Float64Array, p_fa: float | Float64Array
    ) -> float | Float64Array:
        """Give the cost, 1 for the better of passing everything and rejecting everything."""
        cost = self.constant + self.miss * p_miss + self.fa * p_fa
        return cost / (self.constant + min(self.miss, self.fa))


def tandem_cost(
    p_miss: float, p_fa: float, p_fa_spoof: float, options: TandemOptions | None = None
) -> TandemCost:
    """Compute what the errors of a countermeasure cost before a given verification.

    Parameters
    ----------
    p_miss, p_fa, p_fa_spoof : float in [0, 1]
        Share of the targets that the verification rejects, of the non-targets that it accepts, and
        of the spoofs that it accepts.
    options : TandemOptions, optional

    Raises
    ------
    DataError
        If rejecting every human costs nothing, or accepting every spoof: the verification is so bad
        or so good that no countermeasure matters.
    """
    options = options or TandemOptions()
    human = 1.0 - options.p_spoof
    target, other = human * options.p_target, human * (1.0 - options.p_target)
    own_errors = target * options.c_miss * p_miss + other * options.c_fa * p_fa  # eq. 11, C0
    # Rejecting a human costs a miss, and saves what the verification would have done with it.
    miss = target * options.c_miss - own_errors
    fa = options.p_spoof * options.c_fa_spoof * p_fa_spoof
    if miss <= 0.0 or fa <= 0.0:
        what = "rejecting every human" if miss <= 0.0 else "accepting every spoof"
        raise DataError(
            f"{what} costs no more than a perfect countermeasure: with a verification of miss rate "
            f"{p_miss:g}, false accept rate {p_fa:g} and spoof accept rate {p_fa_spoof:g} the "
            "t-DCF says nothing of the countermeasure; choose another threshold or another cost"
        )
    return TandemCost(own_errors if options.form == "revised" else 0.0, miss, fa)


def min_t_dcf(
    targets: npt.ArrayLike,
    nontargets: npt.ArrayLike,
    spoofs: npt.ArrayLike,
    humans_cm: npt.ArrayLike,
    spoofs_cm: npt.ArrayLike,
    options: TandemOptions | None = None,
    threshold: float | None = None,
) -> float:
    """Compute the normalized tandem detection cost at the countermeasure's best threshold.

    Parameters
    ----------
    targets, nontargets, spoofs : (n,) array_like
        Scores of the verification.
    humans_cm, spoofs_cm : (n,) array_like
        Scores of the countermeasure; higher means more like a human.
    options : TandemOptions, optional
    threshold : float, optional
        Of the verification: it accepts scores at or above. By default where its miss rate and
        false accept rate are nearest (ASVspoof's tools find the same place, and then accept one
        score more).

    Returns
    -------
    float in [0, 1]
        1 is a countermeasure that is not worth having. At best 0 in the legacy form, and in the
        revised form the share of the verification's own errors.

    Raises
    ------
    DataError
        For an empty class, a NaN, or a verification beside which no countermeasure matters.
    """
    cost = tandem_cost_of(targets, nontargets, spoofs, options, threshold)
    return least_cost(cost, rocch(sort_scores(humans_cm, spoofs_cm)))[0]


def least_cost(cost: TandemCost, hull: Rocch) -> tuple[float, float, float]:
    """Find the countermeasure's best threshold: the normalized cost, P_miss and P_fa there."""
    costs = np.asarray(cost.normalized(hull.p_miss, hull.p_fa))
    best = int(np.argmin(costs))  # a linear cost is smallest at a vertex of the hull
    return float(costs[best]), float(hull.p_miss[best]), float(hull.p_fa[best])


def act_t_dcf(
    targets: npt.ArrayLike,
    nontargets: npt.ArrayLike,
    spoofs: npt.ArrayLike,
    humans_cm: npt.ArrayLike,
    spoofs_cm: npt.ArrayLike,
    threshold_cm: float,
    options: TandemOptions | None = None,
    threshold: float | None = None,
) -> float:
    """Compute the normalized tandem detection cost at a given threshold of the countermeasure.

    Parameters
    ----------
    threshold_cm : float
        The countermeasure passes scores at or above it.
    targets, nontargets, spoofs, humans_cm, spoofs_cm, options, threshold
        As in `min_t_dcf`.

    Raises
    ------
    DataError
        As `min_t_dcf`.
    """
    cost = tandem_cost_of(targets, nontargets, spoofs, options, threshold)
    return float(cost.normalized(*rates_at(sort_scores(humans_cm, spoofs_cm), threshold_cm)))


def tandem_cost_of(
    targets: npt.ArrayLike,
    nontargets: npt.ArrayLike,
    spoofs: npt.ArrayLike,
    options: TandemOptions | None = None,
    threshold: float | None = None,
) -> TandemCost:
    """Compute `tandem_cost` from the scores of the verification; see `min_t_dcf`."""
    accepted = score_array("spoofs", spoofs)
    scores = sort_scores(targets, nontargets)
    return tandem_cost_at(scores, accepted, np.ones(len(accepted)), options, threshold)


def tandem_cost_at(
    scores: Scores,
    spoofs: Float64Array,
    spoof_weights: Float64Array,
    options: TandemOptions | None = None,
    threshold: float | None = None,
) -> TandemCost:
    """Compute `tandem_cost` from sorted scores of the verification and weighted spoofs."""
    if threshold is None:
        threshold = float(nearest_rates(scores)[0][0])
    total = float(spoof_weights.sum())
    if not total:
        raise DataError("spoofs must have a positive total weight, got 0")
    p_fa_spoof = float(spoof_weights[spoofs >= threshold].sum() / total)
    return tandem_cost(*rates_at(scores, threshold), p_fa_spoof, options)
