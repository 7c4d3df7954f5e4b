"""Who does the work that can travel: threads, processes of this machine, or a cluster.

No result depends on it, so it is no argument of the functions that work: it holds for a block of
code, as the number of BLAS's threads does.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from voicegmm._base.checks import above, one_of
from voicegmm._base.errors import OptionError

if TYPE_CHECKING:
    from voicegmm.compute.dask import Cluster

ENGINES = ("threads", "processes", "dask")
DIFFERING = ("refuse", "accept")


@dataclass(frozen=True)
class ComputeOptions:
    """Where an experiment works; no result depends on it, unless differing workers are accepted.

    Parameters
    ----------
    engine : {"threads", "processes", "dask"}
        Threads of this process (many recordings become features in copies of it, where it can be
        copied); processes of this machine; the workers of a Dask scheduler, on any machines that
        share a file system with this one.
    scheduler : str
        With "dask", and only then: ``tcp://HOST:PORT`` or ``tls://HOST:PORT``.
    insecure : bool
        Whether ``tcp://`` may leave this machine: who reaches such a scheduler, or listens on the
        way, can read what travels and have the workers do anything.
    ca_file, certificate, key : str
        With ``tls://``, and only then: PEM files with the authority that both sides trust, and this
        side's certificate and key.
    timeout_seconds : float
        How long to wait for the scheduler, and for a worker where all are gone; above 0.
    differing_workers : {"refuse", "accept"}
        What becomes of Dask's workers that have another processor or other libraries than this
        machine, and so round otherwise: refused, or taken with a warning, and results differ in the
        sixth digit. Where all work is in double precision they are taken in either case.

    Raises
    ------
    OptionError
        For options that do not go together, or an unencrypted way to another machine.
    """

    engine: str = "threads"
    scheduler: str = ""
    insecure: bool = False
    ca_file: str = ""
    certificate: str = ""
    key: str = ""
    timeout_seconds: float = 60.0
    differing_workers: str = "refuse"

    def __post_init__(self) -> None:
        one_of("engine", self.engine, ENGINES)
        one_of("differing_workers", self.differing_workers, DIFFERING)
        above("timeout_seconds", self.timeout_seconds, 0)
        files = {name: getattr(self, name) for name in ("ca_file", "certificate", "key")}
        if self.engine != "dask":
            given = [
                name for name, value in {"scheduler": self.scheduler, **files}.items() if value
            ]
            if given:
                raise OptionError(
                    f'{given[0]} is for engine "dask", and it is "{self.engine}": leave it out, or '
                    "choose that engine"
                )
            return
        scheme = self._checked_scheduler()
        if scheme == "tls":
            missing = [name for name, value in files.items() if not value]
            if missing:
                raise OptionError(
                    f"{missing[0]} must name a PEM file: a tls:// scheduler takes ca_file, "
                    "certificate and key"
                )
        elif any(files.values()):
            name = next(name for name, value in files.items() if value)
            raise OptionError(f"{name} is for a tls:// scheduler, and it is {self.scheduler!r}")

    def _checked_scheduler(self) -> str:
        """Give the scheme of the scheduler's address."""
        url = urlsplit(self.scheduler)
        try:
            whole = url.scheme in ("tcp", "tls") and url.hostname and url.port
        except ValueError:  # a port that is none
            whole = False
        if not whole:
            raise OptionError(
                "scheduler must be tcp://HOST:PORT or tls://HOST:PORT, as `dask scheduler` prints "
                f"it, got {self.scheduler!r}"
            )
        if url.scheme == "tcp" and not self.insecure and not _is_local(url.hostname or ""):
            raise OptionError(
                f"scheduler {self.scheduler} is on another machine and not encrypted: who reaches "
                "it, or listens on the way, can read what travels and have the workers do "
                "anything; use tls:// with ca_file, certificate and key, or, on a network where "
                "you trust everyone, --insecure (compute.insecure = true)"
            )
        return url.scheme


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True)
class Engine:
    """What is at work in a block.

    Parameters
    ----------
    workers : {"threads", "processes", "dask"}
        Who does work that can travel.
    scratch : pathlib.Path, optional
        A folder that all workers see, for what is too large to be sent to each.
    cluster : Cluster, optional
        With "dask".
    """

    workers: str = "threads"
    scratch: Path | None = None
    cluster: "Cluster | None" = None


_THREADS = Engine()
_IN_FORCE: ContextVar[Engine] = ContextVar("engine", default=_THREADS)


def engine_in_force() -> Engine:
    """Give the engine of the block at hand: threads, unless `engine` says otherwise."""
    return _IN_FORCE.get()


@contextmanager
def engine(
    options: ComputeOptions, scratch: Path | None = None, in_double: bool = False
) -> Iterator[Engine]:
    """Let work that can travel be done by an engine.

    The block's own thread goes by it; threads that are started in it go by none.

    Parameters
    ----------
    options : ComputeOptions
    scratch : path, optional
        A folder, there already, on a file system that all workers share: what is too large to be
        sent to each worker lies there for a while. Needed with "dask".
    in_double : bool
        Whether all work in the block is in double precision: then workers that round otherwise
        change no result by more than 1e-6, and are taken.

    Raises
    ------
    OptionError
        If Dask is asked for and is not installed, or has no scratch folder, or a file is missing.
    WorkerError
        If the scheduler cannot be reached in time, or has no workers.
    MismatchError
        If a worker has another version of voicegmm or of Python, or rounds otherwise and that is
        not accepted.
    """
    cluster = None
    if options.engine == "dask":
        from voicegmm.compute.dask import Cluster

        if scratch is None:
            raise OptionError('engine "dask" takes a scratch folder that all workers share')
        cluster = Cluster(options, in_double)
    token = _IN_FORCE.set(Engine(options.engine, scratch, cluster))
    try:
        yield _IN_FORCE.get()
    finally:
        _IN_FORCE.reset(token)
        if cluster:
            cluster.close()
