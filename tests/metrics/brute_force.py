"""The metrics by their definitions: every threshold, every pair, no sorting tricks."""

import numpy as np


def rates(targets, nontargets):
    """(p_miss, p_fa) at every threshold that matters, and when rejecting all."""
    t, n = np.asarray(targets, float), np.asarray(nontargets, float)
    points = [(np.mean(t < x), np.mean(n >= x)) for x in np.unique(np.concatenate([t, n]))]
    return np.array([*points, (1.0, 0.0)])


def min_dcf(targets, nontargets, p, c_miss, c_fa):
    points = rates(targets, nontargets)
    cost = p * c_miss * points[:, 0] + (1 - p) * c_fa * points[:, 1]
    return cost.min() / min(p * c_miss, (1 - p) * c_fa)


def eer_crossing(points):
    """Lowest crossing of the diagonal by a segment between any two of the points."""
    best = np.inf
    for miss_a, fa_a in points:
        for miss_b, fa_b in points:
            gap_a, gap_b = miss_a - fa_a, miss_b - fa_b
            if gap_a < 0 <= gap_b:
                share = -gap_a / (gap_b - gap_a)
                best = min(best, miss_a + share * (miss_b - miss_a))
    return best


def eer_rocch(targets, nontargets):
    return eer_crossing(rates(targets, nontargets))


def eer_interpolated(targets, nontargets):
    points = rates(targets, nontargets)
    return min(eer_crossing(points[i : i + 2]) for i in range(len(points) - 1))


def isotonic_posteriors(targets, nontargets):
    """The max-min formula of isotonic regression, at the distinct scores."""
    t, n = np.asarray(targets, float), np.asarray(nontargets, float)
    values = np.unique(np.concatenate([t, n]))
    hits = np.array([(t == x).sum() for x in values])
    total = hits + np.array([(n == x).sum() for x in values])
    posterior = [
        max(
            min(hits[a : b + 1].sum() / total[a : b + 1].sum() for b in range(i, len(values)))
            for a in range(i + 1)
        )
        for i in range(len(values))
    ]
    return values, np.array(posterior)


def cllr(target_llrs, nontarget_llrs):
    with np.errstate(over="ignore", divide="ignore"):
        return 0.5 * (
            np.mean(np.log2(1 + np.exp(-np.asarray(target_llrs))))
            + np.mean(np.log2(1 + np.exp(np.asarray(nontarget_llrs))))
        )


def min_cllr(targets, nontargets):
    values, posterior = isotonic_posteriors(targets, nontargets)
    with np.errstate(divide="ignore"):
        llr = np.log(posterior) - np.log1p(-posterior) - np.log(len(targets) / len(nontargets))
    return cllr(llr[np.searchsorted(values, targets)], llr[np.searchsorted(values, nontargets)])


def auc(targets, nontargets):
    t, n = np.asarray(targets, float)[:, None], np.asarray(nontargets, float)[None, :]
    return float(np.mean((t > n) + 0.5 * (t == n)))
