"""What the next pass of fast EM is, as the record of those before it tells."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from voicegmm.mixture.em import Iteration
from voicegmm.mixture.fast.options import FastOptions
from voicegmm.mixture.maximization import EmOptions


@dataclass(frozen=True)
class Plan:
    """The next pass.

    Parameters
    ----------
    n_near : int
        Components near each group in the grouped passes of this time.
    n_short : int
        Passes over the short lists that these make; 0: full passes are made.
    n_short_left : int
        Passes over the short lists at hand that are still to come.
    converged : bool
        Whether there need be none.
    """

    n_near: int
    n_short: int
    n_short_left: int = 0
    converged: bool = False

    @property
    def kind(self) -> Literal["full", "grouped", "short"]:
        """What kind of pass it is."""
        if self.n_short_left:
            return "short"
        return "grouped" if self.n_short else "full"


def next_pass(
    iterations: Sequence[Iteration], em: EmOptions, options: FastOptions, n_components: int
) -> Plan:
    """Plan the next pass, by the record alone: an interrupted fit goes on the same way.

    A round is a grouped pass, which makes short lists, and some over them; the last of these is
    audited. Where it lost too much, later rounds are more careful: twice the components near each
    group, up to half of all; then all of them; then half as many passes over lists. When rounds
    gain no more, by the mean of an iteration, rounds with all components near follow; when these do
    not, or the last pass of one gained no more over the one before, full passes alone, between
    which convergence is judged.
    """

    def is_small(gain: float, before: float) -> bool:
        return 0 <= gain < max(em.tolerance, em.tolerance_relative * abs(before))

    n_near, n_short = options.near(n_components), options.n_short
    n_left, begun, converged = 0, None, False
    for number, line in enumerate(iterations):
        if n_left and not line.exact:
            n_left -= 1
            if line.loss > options.max_loss:
                if n_near < n_components:
                    n_near = 2 * n_near if 4 * n_near <= n_components else n_components
                else:
                    n_short //= 2
            if not n_left and begun is not None and begun[1][0] == n_components:
                before = iterations[number - 1].log_likelihood
                alike = number - begun[0] > 1  # both over the same lists
                n_short = 0 if alike and is_small(line.log_likelihood - before, before) else n_short
            continue
        kind = n_near, line.exact
        if begun is not None and begun[1] == kind:  # else likelihoods are not of one sort
            before = iterations[begun[0]].log_likelihood
            gain = (line.log_likelihood - before) / (number - begun[0])
            if is_small(gain, before):
                converged = not n_short
                n_near, n_short = n_components, n_short if n_near < n_components else 0
        begun, n_left = (number, kind), n_short
    return Plan(n_near, n_short, n_left, converged)
