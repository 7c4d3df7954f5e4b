"""Map and reduce: work spread over workers, results in a fixed order. It knows no Gaussian."""

from voicegmm.compute.apart import Outcome, map_apart
from voicegmm.compute.blas import single_threaded_blas
from voicegmm.compute.forking import can_fork
from voicegmm.compute.mapping import WORKERS, available_cores, ordered_map
from voicegmm.compute.memory import keep_freed_memory
from voicegmm.compute.reduction import tree_sum

__all__ = [
    "WORKERS",
    "Outcome",
    "available_cores",
    "can_fork",
    "keep_freed_memory",
    "map_apart",
    "ordered_map",
    "single_threaded_blas",
    "tree_sum",
]
