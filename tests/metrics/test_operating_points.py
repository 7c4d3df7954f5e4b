import numpy as np
import pytest

from voicegmm import metrics
from voicegmm._base.errors import DataError, OptionError
from voicegmm.metrics import OperatingPoint, read_points

T, N = [3.0, 7.0, 9.0, 1.0], [-8.0, 2.0, 0.5, -3.0, 5.0]


def test_points_of_the_evaluations():
    # P_target, C_miss, C_fa as the sources print them that the module names.
    assert read_points(["sre08"]) == (OperatingPoint(0.01, 10.0, 1.0),)
    assert read_points(["sre10"]) == (OperatingPoint(0.001),)
    assert read_points(["sre12"]) == (OperatingPoint(0.01), OperatingPoint(0.001))
    for name in ("sre16", "sre18-cmn2", "sre19-cmn2"):
        assert read_points([name]) == (OperatingPoint(0.01), OperatingPoint(0.005))
    assert read_points(["sre21"]) == (OperatingPoint(0.01), OperatingPoint(0.05))
    for name in ("sitw", "voxceleb"):
        assert read_points([name]) == (OperatingPoint(0.01),)
    for name in ("sre18-vast", "sre19-av", "sre20-cts", "voxsrc"):
        assert read_points([name]) == (OperatingPoint(0.05),)
    assert read_points(["voxsrc", "0.1", "0.2,5,1", "sre18-vast"]) == (
        OperatingPoint(0.05),
        OperatingPoint(0.1),
        OperatingPoint(0.2, 5.0, 1.0),
    )


def test_misread_points():
    with pytest.raises(OptionError, match=r"points must be one of .*got 'sre18' \(did you mean"):
        read_points(["sre18"])
    with pytest.raises(OptionError, match="P_TARGET or P_TARGET,C_MISS,C_FA; got '0.1,2'"):
        read_points(["0.1,2"])
    with pytest.raises(OptionError, match="p_target must be between 0 and 1"):
        read_points(["10"])


def test_primary_cost_is_the_mean():
    found = metrics.evaluate(T, N, operating_points=read_points(["sre16"]), primary=True).metrics
    for kind, function in (("min", metrics.min_dcf), ("act", metrics.act_dcf)):
        mean = (function(T, N, 0.01) + function(T, N, 0.005)) / 2
        assert found[f"{kind}_c_primary"].value == pytest.approx(mean)
    with pytest.raises(OptionError, match="primary is the mean over operating_points, and there"):
        metrics.evaluate(T, N, operating_points=(), primary=True)
    assert "min_c_primary" not in metrics.evaluate(T, N).metrics


def test_sre08_by_hand():
    # NIST's C_det = 10 * 0.01 P_miss + 0.99 P_fa over min(0.1, 0.99), at its threshold log 9.9.
    (point,) = read_points(["sre08"])
    cost = (0.1 * 2 / 4 + 0.99 * 1 / 5) / 0.1  # log 9.9 = 2.29
    assert metrics.act_dcf([3.0, 7.0, 1.0, 2.0], N, *_of(point)) == pytest.approx(cost)


def _of(point):
    return point.p_target, point.c_miss, point.c_fa


def test_equalized_weights_average_the_rates_of_partitions():
    rng = np.random.default_rng(3)
    t, n = rng.normal(2, 2, 90), rng.normal(-2, 2, 400)
    of_t = rng.choice(["f pstn", "m pstn", "m voip"], 90, p=[0.7, 0.2, 0.1])
    of_n = rng.choice([1, 3], 400, p=[0.9, 0.1])
    weights = {
        "target_weights": metrics.equalized_weights(of_t),
        "nontarget_weights": metrics.equalized_weights(of_n),
    }

    def rates_at(threshold):  # as NIST's scorer takes them: partition by partition, then the mean
        p_miss = np.mean([np.mean(t[of_t == name] < threshold) for name in np.unique(of_t)])
        return p_miss, np.mean([np.mean(n[of_n == name] >= threshold) for name in np.unique(of_n)])

    beta = 0.95 / 0.05
    p_miss, p_fa = rates_at(np.log(beta))
    assert metrics.act_dcf(t, n, 0.05, **weights) == pytest.approx(p_miss + beta * p_fa, rel=1e-12)
    costs = [p_miss + beta * p_fa for p_miss, p_fa in map(rates_at, [*t, *n, np.inf])]
    assert metrics.min_dcf(t, n, 0.05, **weights) == pytest.approx(min(costs), rel=1e-12)
    assert metrics.equalized_weights(["a", "b", "a"]).tolist() == [1.0, 2.0, 1.0]
    with pytest.raises(DataError, match=r"partitions must be a vector of names, .* shape \(0,\)"):
        metrics.equalized_weights([])
