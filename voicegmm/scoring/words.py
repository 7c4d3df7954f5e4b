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


def support(llr: float, at_limit: bool = False) -> str:
    """Say what a calibrated likelihood ratio means: of the recording, never of who it was.

    Parameters
    ----------
    llr : float
        Natural logarithm of the ratio; finite.
    at_limit : bool
        Whether the evidence is at least this strong.

    Returns
    -------
    str
        As "strong support for this speaker: such a recording is about 2,300 times likelier from
        this voice than from another".

    Raises
    ------
    ValueError
        If the ratio is not finite.
    """
    if not math.isfinite(llr):
        raise ValueError(f"a likelihood ratio in words must be finite, got {llr}")
    times = math.exp(min(abs(llr), 100.0))
    word = ""
    for step, name in _STEPS:
        if times >= step * (1 - 1e-9):
            word = name
    if not word:
        return "no support either way"
    this, that = ("this voice", "another") if llr > 0 else ("another voice", "this one")
    side = "for this speaker" if llr > 0 else "for another speaker"
    much = f"{'at least' if at_limit else 'about'} {_rounded(times)}"
    if times > 1e6 and not at_limit:
        much = "over a million"
    likelier = f"{much} times likelier from {this} than from {that}"
    return f"{word} support {side}: such a recording is {likelier}"


def _rounded(times: float) -> str:
    digits = max(len(str(int(times))) - 2, 0)
    return f"{round(times, -digits):,.0f}" if times >= 10 else f"{times:.1f}"
