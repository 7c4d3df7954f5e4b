"""EM beyond the dense limit: growth by splitting, and passes over short lists of components."""

from voicegmm.mixture.fast.options import FastOptions, pays
from voicegmm.mixture.fast.training import fast_fit, grow, growth_frames, split

__all__ = ["FastOptions", "fast_fit", "grow", "growth_frames", "pays", "split"]
