"""Workers of a Dask scheduler, on any machines that share a file system. Nothing else knows Dask.

Tasks are descriptors, and results are statistics or scores; what is large lies on the file system.
Dask sends them pickled, between machines that trust each other.
"""

import logging
import os
import pickle
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from voicegmm._base.checks import listed
from voicegmm._base.errors import MismatchError, OptionError, VoicegmmError, WorkerError
from voicegmm.compute.engines import ComputeOptions
from voicegmm.compute.parcels import Parcel, parcel, work_on
from voicegmm.compute.processes import AHEAD
from voicegmm.compute.versions import (
    WHAT_ROUNDING_CHANGES,
    check_rounding,
    check_versions,
    rounding_difference,
    versions,
)

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

_LOOK_SECONDS = 2.0  # how often one looks whether there are workers left


class Cluster:
    """A connection to a Dask scheduler; `close` ends it.

    Parameters
    ----------
    options : ComputeOptions
        With engine "dask".
    in_double : bool
        Whether all its work is in double precision; see `voicegmm.compute.engine`.

    Raises
    ------
    OptionError
        If Dask is not installed, or a file of the certificates is missing.
    WorkerError
        If the scheduler cannot be reached in time, or has no workers.
    MismatchError
        If a worker has another version of voicegmm or of Python, or rounds otherwise and that is
        not accepted.
    """

    def __init__(self, options: ComputeOptions, in_double: bool = False) -> None:
        self._in_double = in_double
        self._alike = not in_double and options.differing_workers == "refuse"
        self._scheduler = options.scheduler
        self._patience = options.timeout_seconds
        self._client = _connected(options)
        self._workers: dict[str, Mapping[str, str]] = {}  # what is installed there
        self._kinds: list[Mapping[str, str]] = []
        try:
            self._check_scheduler()
            self._wait_for_workers()
            log.info("%d Dask workers at %s", len(self._workers), self._scheduler)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Leave the scheduler, which works on for others."""
        with suppress(TimeoutError):  # it has gone
            self._client.close(timeout=5)

    def _n_threads(self) -> int:
        try:
            return sum(self._client.nthreads().values())
        except (OSError, TimeoutError) as error:
            raise self._gone() from error

    def _gone(self) -> WorkerError:
        return WorkerError(
            f"the Dask scheduler at {self._scheduler} has gone; start it again, and this command: "
            "what was finished is kept"
        )

    def _wait_for_workers(self) -> int:
        """Give how many threads the workers have together, waiting for the first; check them."""
        end = time.monotonic() + self._patience
        told = False
        while not (n_threads := self._n_threads()):
            if time.monotonic() > end:
                raise WorkerError(
                    f"the Dask scheduler at {self._scheduler} has no workers, for "
                    f"{self._patience:g} s: start some with `dask worker {self._scheduler}`, and "
                    "this command again: what was finished is kept"
                )
            if not told:
                log.warning("%s has no workers; waiting for one", self._scheduler)
                told = True
            time.sleep(min(0.2, self._patience))
        self._check_workers()
        return n_threads

    def _check_scheduler(self) -> None:
        """Refuse a scheduler that knows nothing of what it hands on: it unpacks it."""
        try:
            there = self._client.run_on_scheduler(versions)
        except Exception as error:  # whatever it came to there
            there = error
        _check_loaded(there, "the Dask scheduler")

    def _check_workers(self) -> None:
        """Refuse new workers that would do something else; tell who has gone."""
        try:
            present = self._client.nthreads()
            new = [name for name in present if name not in self._workers]
            each: Mapping[str, Any] = (
                self._client.run(versions, workers=new, on_error="return") if new else {}
            )
        except (OSError, TimeoutError) as error:
            raise self._gone() from error
        for name in [name for name in self._workers if name not in present]:
            log.warning("the worker %s has gone; what it was at is done by others", name)
            del self._workers[name]
        for name, there in each.items():
            if not isinstance(there, OSError):  # it has gone meanwhile
                _check_loaded(there, f"the worker {name}")
                self._workers[name] = there
        self._check_kinds()

    def _check_kinds(self) -> None:
        """Refuse workers that round otherwise, or tell of each kind of them once."""
        here = versions()
        unseen = [there for there in self._workers.values() if there not in self._kinds]
        if not unseen:
            return
        others = {name: there for name, there in self._workers.items() if there != here}
        share = f"{len(others)} of {len(self._workers)} Dask workers ({listed(others, 4)})"
        who = f"{share} {'has' if len(others) == 1 else 'have'}"
        if self._alike:
            check_rounding(here, list(others.values()), who)
        self._kinds += unseen
        difference = rounding_difference(here, list(others.values()), who)
        if difference and self._in_double:
            log.info("%s: in double precision results differ by less than 1e-6", difference)
        elif difference:
            log.warning("%s: results will %s", difference, WHAT_ROUNDING_CHANGES)

    def map(
        self, function: Callable[[Item], Result], items: Iterable[Item], scratch: Path | None
    ) -> Iterator[Result]:
        """Apply a function to each item, and yield the results in order; see `ordered_map`.

        What a worker that died was at is done by another.
        """
        source = iter(items)
        waiting: deque[Any] = deque()
        with parcel(function, scratch) as sent:
            try:
                room = AHEAD * self._wait_for_workers()
                waiting.extend(self._submit(sent, item) for item in islice(source, room))
                while waiting:
                    result = self._result(waiting[0])
                    waiting.popleft()
                    waiting.extend(self._submit(sent, item) for item in islice(source, 1))
                    yield result
                self._check_workers()  # of those that came meanwhile
            finally:
                if waiting and self._client.status == "running":
                    self._client.cancel(list(waiting))

    def _submit(self, sent: Parcel, item: Any) -> Any:
        return self._client.submit(
            _checked_work,
            versions(),
            self._alike,
            sent,
            pickle.dumps(item, 5),
            pure=False,
            key=_key(sent),
        )

    def _result(self, future: Any) -> Any:
        """Wait for a task while there are workers, and give its result."""
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

        while True:
            try:
                return future.result(timeout=_LOOK_SECONDS)
            except KilledWorker as error:
                raise WorkerError(
                    "several Dask workers died at the same piece of work: out of memory? Give them "
                    "more, or fewer threads"
                ) from error
            except FutureCancelledError as error:
                raise self._gone() from error
            except TimeoutError:
                if future.status == "error":  # of the task itself
                    raise
                if self._client.status != "running":
                    raise self._gone() from None
                self._wait_for_workers()


def _connected(options: ComputeOptions) -> Any:
    """Give a client of the scheduler."""
    try:
        import distributed
    except ImportError:
        raise OptionError(
            'engine "dask" needs Dask: pip install "voicegmm[dask]" (here, and on all workers)'
        ) from None

    class Client(distributed.Client):  # type: ignore[misc]
        def __del__(self) -> None:
            # One that never came to run would wait for its answer once more.
            if self.status == "running":
                super().__del__()

    # It tells of keys, which are nothing to a user; what it comes to, we say.
    logging.getLogger("distributed.client").setLevel(logging.ERROR)
    security = _security(options)
    seconds, what = options.timeout_seconds, ""
    try:
        address = urlsplit(options.scheduler)
        # First without Dask, which goes on trying, and tells what it tries.
        socket.create_connection((address.hostname or "", address.port or 0), seconds).close()
        what = ", and what answers is none, or does not accept us"
        return Client(
            options.scheduler,
            timeout=seconds,
            security=security,
            set_as_default=False,
            name="voicegmm",
        )
    except Exception as error:  # another server may answer anything
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise WorkerError(
            f"no Dask scheduler at {options.scheduler} within {seconds:g} s{what} "
            f"({reason.splitlines()[0]}): check that `dask scheduler` runs there, the address and, "
            "with tls://, the certificates"
        ) from error


def _check_loaded(there: Any, who: str) -> None:
    """Refuse who has another voicegmm than this, or none: `there` is what became of asking."""
    if isinstance(there, BaseException):
        raise MismatchError(
            f"{who} cannot load voicegmm {versions()['voicegmm']} "
            f"({type(there).__name__}: {there}): install the same on all machines"
        ) from there
    check_versions(versions(), there, who)


def _key(sent: Parcel) -> str:
    # Names on the dashboard are what stands before the last "-".
    return f"voicegmm-{sent.name[:8]}{os.urandom(8).hex()}"


def _checked_work(theirs: Mapping[str, str], alike: bool, sent: Parcel, item: bytes) -> Any:
    """Do a piece of work, unless this worker, which may have come later, is not to do it.

    Parameters
    ----------
    theirs : mapping of str to str
        The versions of who asks.
    alike : bool
        Whether this worker must not round otherwise.
    sent : Parcel
    item : bytes
    """
    here = versions()
    if here != theirs:
        who = f"the worker on {socket.gethostname()}"
        check_versions(theirs, here, who)
        if alike:
            check_rounding(theirs, [here], f"{who} has")
    return work_on(sent, item)


def _security(options: ComputeOptions) -> Any:
    if not options.scheduler.startswith("tls://"):
        return None
    from distributed.security import Security

    named = {"ca_file": options.ca_file, "certificate": options.certificate, "key": options.key}
    for name, path in named.items():
        if not os.access(path, os.R_OK):
            raise OptionError(f"compute.{name}: {path}: no such file, or not to be read")
    try:
        security = Security(
            tls_ca_file=options.ca_file,
            tls_client_cert=options.certificate,
            tls_client_key=options.key,
            require_encryption=True,
        )
        security.get_connection_args("client")
    except (OSError, ValueError) as error:
        raise VoicegmmError(
            f"the certificates of {options.scheduler} cannot be used: {error}; see "
            "compute.ca_file, compute.certificate and compute.key"
        ) from error
    return security
