"""Map and reduce: work spread over workers, results in a fixed order. It knows no Gaussian."""

from voicegmm.compute.mapping import WORKERS, available_cores, ordered_map
from voicegmm.compute.reduction import tree_sum

__all__ = ["WORKERS", "available_cores", "ordered_map", "tree_sum"]
