"""Map and reduce: work spread over threads, results in a fixed order. It knows no Gaussian."""

from voicegmm.compute.mapping import available_cores, ordered_map
from voicegmm.compute.reduction import tree_sum

__all__ = ["available_cores", "ordered_map", "tree_sum"]
