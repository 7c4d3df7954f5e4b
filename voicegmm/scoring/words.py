"""Likelihood ratios in plain words."""

import math

# The verbal scale of the ENFSI guideline for evaluative reporting in forensic science (2015),
# table 2: likelihood ratios of 2, 10, 100, 1000, 10,000 and 1,000,000 are its steps.
_STEPS = (
    (2, "weak"),
    (10, "moderate"),
    (100, "moderately strong"),
    (1_000, "strong"),
    (10_000, "very strong"),
    (1_000_000, "extremely strong"),
)


def support(llr: float) -> str:
    """Say what a calibrated likelihood ratio means.

    Parameters
    ----------
    llr : float
        Natural logarithm of the ratio.

    Returns
    -------
    str
        As "strong support for the same voice (about 2,300 times likelier)".
    """
    if not math.isfinite(llr):
        return "no support either way" if math.isnan(llr) else "beyond any scale"
    times = math.exp(min(abs(llr), 700.0))
    word = ""
    for step, name in _STEPS:
        if times >= step:
            word = name
    if not word:
        return "no support either way"
    side = "for the same voice" if llr > 0 else "for a different voice"
    return f"{word} support {side} (about {_rounded(times)} times likelier)"


def _rounded(times: float) -> str:
    if times >= 1e6:
        return "over a million"
    digits = max(len(str(int(times))) - 2, 0)
    return f"{round(times, -digits):,.0f}" if times >= 10 else f"{times:.1f}"
