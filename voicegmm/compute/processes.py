"""Worker processes of this machine."""

import pickle
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from voicegmm._base.errors import WorkerError
from voicegmm.compute.parcels import parcel, work_on

Item = TypeVar("Item")
Result = TypeVar("Result")

DIED = "a worker process died: out of memory, or killed; use fewer workers, or threads"
AHEAD = 2  # items in the air per worker: enough to keep all busy, few enough to bound memory


def map_by_processes(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    n_workers: int,
    scratch: Path | None = None,
) -> Iterator[Result]:
    """Apply a function to each item in processes that stay for the next call."""
    from joblib import Parallel, delayed, parallel_config
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    with (
        parcel(function, scratch) as sent,
        parallel_config(backend="loky", inner_max_num_threads=1),
    ):
        parallel = Parallel(
            n_jobs=n_workers,
            return_as="generator",
            batch_size=1,
            pre_dispatch=AHEAD * n_workers,
            max_nbytes=None,
        )
        try:
            yield from parallel(delayed(work_on)(sent, pickle.dumps(item, 5)) for item in items)
        except TerminatedWorkerError as error:
            raise WorkerError(DIED) from error
