"""Map and reduce: work spread over workers, results in a fixed order. It knows no Gaussian."""

from voicegmm.compute.apart import Outcome, map_apart
from voicegmm.compute.blas import single_threaded_blas
from voicegmm.compute.engines import ComputeOptions, engine, engine_in_force
from voicegmm.compute.forking import can_fork
from voicegmm.compute.mapping import WORKERS, available_cores, ordered_map
from voicegmm.compute.memory import keep_freed_memory
from voicegmm.compute.parcels import check_seen
from voicegmm.compute.reduction import mapped_sum, tree_sum

__all__ = [
    "WORKERS",
    "ComputeOptions",
    "Outcome",
    "available_cores",
    "can_fork",
    "check_seen",
    "engine",
    "engine_in_force",
    "keep_freed_memory",
    "map_apart",
    "mapped_sum",
    "ordered_map",
    "single_threaded_blas",
    "tree_sum",
]
