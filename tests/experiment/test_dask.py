"""A recipe on a real Dask scheduler with two worker processes, one of which is killed."""

import json
import math
import operator
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from voicegmm._base.errors import MismatchError, OptionError, WorkerError
from voicegmm.compute import ComputeOptions, check_seen, engine, ordered_map
from voicegmm.compute.dask import Cluster
from voicegmm.compute.versions import DOUBLE, linear_algebra, versions
from voicegmm.experiment import load_recipe, run_recipe
from voicegmm.scoring import read_scores
from voicegmm.store import load_background

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SETTINGS = (
    "ubm.n_components=16",
    "ubm.em.n_iterations=5",
    "calibration.n_folds=2",
    "evaluation.n_bootstrap=10",
)
TABLES = ("features.h5", "ubm.h5", "speakers.h5", "calibration.json", "scores.tsv")


def test_without_dask_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    options = ComputeOptions("dask", "tcp://127.0.0.1:1")
    with pytest.raises(OptionError, match=r"voicegmm\[dask\]"), engine(options, tmp_path):
        pass


class Processes:
    """A scheduler and workers, as somebody starts them on their machines."""

    def __init__(self, folder, *options):
        self.folder, self.options = folder, options
        self.running = []
        self.start("scheduler", "--host", "127.0.0.1", "--port", "0")
        self.file = folder / "scheduler.json"
        self.address = self._address()
        self.workers = []

    def start(self, what, *options, **variables):
        file = str(self.folder / "scheduler.json")
        module = f"distributed.cli.dask_{what}"
        command = [sys.executable, "-m", module, "--scheduler-file", file, "--no-dashboard"]
        # In another folder: what is relative must not be so for workers.
        with (self.folder / f"{what}.log").open("ab") as log:
            process = subprocess.Popen(
                [*command, *options, *self.options],
                cwd=self.folder,
                env=os.environ | {"PYTHONPATH": str(ROOT)} | variables,
                stdout=log,
                stderr=log,
            )
        self.running.append(process)
        return process

    def _address(self):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                return json.loads((self.folder / "scheduler.json").read_text())["address"]
            except (OSError, ValueError):
                time.sleep(0.05)
        raise TimeoutError((self.folder / "scheduler.log").read_text())

    def add_worker(self, **variables):
        self.workers.append(self.start("worker", "--nthreads", "1", "--no-nanny", **variables))

    def stop(self):
        for process in self.running:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    processes = Processes(tmp_path_factory.mktemp("cluster"))
    processes.add_worker()
    processes.add_worker()
    yield processes
    processes.stop()


@pytest.fixture
def options(cluster):
    return ComputeOptions("dask", cluster.address, timeout_seconds=60)


@pytest.fixture(scope="module")
def no_figures():
    with pytest.MonkeyPatch.context() as patch:
        empty = "voicegmm.experiment.steps.report.write_report"
        patch.setattr(empty, lambda folder, *_: (folder / "report.html").touch())
        yield


@pytest.fixture(scope="module")
def local(voices, no_figures, tmp_path_factory):
    out = tmp_path_factory.mktemp("local")
    run_recipe(load_recipe("demo", SETTINGS), voices, out)
    return out


def run_on(cluster, voices, out, *settings, progress=lambda *_: None):
    given = (
        "compute.engine=dask", f"compute.scheduler={cluster.address}", *SETTINGS, *settings,
    )  # fmt: skip
    return run_recipe(load_recipe("demo", given), voices, out, progress=progress)


def test_work_is_done_elsewhere_and_comes_back_in_order(options, tmp_path):
    with engine(options, tmp_path):
        roots = list(ordered_map(math.sqrt, range(40), workers="dask"))
        processes = set(ordered_map(os.path.realpath, 10 * ["/proc/self"], workers="dask"))
        with pytest.raises(ZeroDivisionError):
            list(ordered_map(partial(operator.truediv, 1), [0], workers="dask"))
        with pytest.raises(MismatchError, match=r"/nowhere: the worker on .*shared file system"):
            list(ordered_map(check_seen, ["/nowhere"], workers="dask"))
    assert roots == list(map(math.sqrt, range(40)))
    assert f"/proc/{os.getpid()}" not in processes
    assert list(tmp_path.iterdir()) == []


def test_another_version_of_voicegmm_is_refused(options, tmp_path, monkeypatch):
    monkeypatch.setattr("voicegmm.compute.versions.__version__", "99.0")
    versions.cache_clear()
    try:
        with (
            pytest.raises(
                MismatchError, match=r"the Dask scheduler has voicegmm .* here it is 99\.0"
            ),
            engine(options, tmp_path),
        ):
            pass
    finally:
        versions.cache_clear()


def test_a_scheduler_that_is_not_there_is_named_in_time(tmp_path):
    options = ComputeOptions("dask", "tcp://127.0.0.1:1", timeout_seconds=2)
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    begun = time.monotonic()
    with (
        pytest.raises(WorkerError, match=r"no Dask scheduler at tcp://127"),
        engine(options, tmp_path),
    ):
        pass
    assert time.monotonic() - begun < 30


def test_a_run_gives_the_same_bytes_though_a_worker_is_killed(
    cluster, voices, local, tmp_path, monkeypatch, caplog
):
    killed, sent = [], Counter()

    def watched(self, function, items, scratch):
        name = type(getattr(function, "function", function)).__qualname__
        for result in mapped(self, function, items, scratch):
            sent[type(function).__module__ + "." + name] += 1
            yield result

    mapped = Cluster.map
    monkeypatch.setattr(Cluster, "map", watched)

    def kill_one(stage, done, *_):
        # While the features are extracted: the other worker has all that follows for itself.
        if stage == "features" and done >= 10 and not killed:
            killed.append(cluster.workers.pop())
            killed[0].kill()

    run_on(cluster, voices, tmp_path, progress=kill_one)
    assert killed[0].wait() == -9
    assert caplog.text.count("has gone; what it was at is done by others") == 1
    for name in TABLES:
        assert (tmp_path / name).read_bytes() == (local / name).read_bytes(), name
    assert set(sent) == {
        "functools.partial",  # features
        "voicegmm.compute.reduction._Work",  # passes of EM
        "voicegmm.mixture.collection._EachWork",  # adaptation
        "voicegmm.scoring.ratio._Work",
    }
    left = {path.name for path in tmp_path.iterdir()}
    assert not {name for name in left if name.startswith((".scratch", "features.h5."))}
    # Where the work is done changes nothing but the report, which tells it.
    again = run_on(cluster, voices, tmp_path, "compute.engine=threads", "compute.scheduler=")
    stages = again.results["stages"].items()
    assert [name for name, stage in stages if not stage["skipped"]] == ["report"]
    cluster.add_worker()


@pytest.fixture(scope="module")
def other_kernel():
    """Another kernel of OpenBLAS than the one that is at work here."""
    other = "Haswell" if linear_algebra().split()[-1] != "Haswell" else "Sandybridge"
    found = subprocess.run(
        [sys.executable, "-c", "from voicegmm.compute.versions import *; print(linear_algebra())"],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_CORETYPE": other},
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    if found[-1] != other:
        pytest.skip(f"numpy's products know no other kernel here: {found}")
    return other


def work_until_refused(seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        list(ordered_map(operator.call, 8 * [linear_algebra], workers="dask"))


def test_a_worker_that_rounds_otherwise_is_refused_though_it_comes_late(
    cluster, options, other_kernel, tmp_path, caplog
):
    differs = rf"linear algebra \S+ \S+ {other_kernel}, here {linear_algebra()}.*differing_workers"
    with engine(options, tmp_path):
        n_workers = len(cluster.workers)
        list(ordered_map(operator.call, 8 * [linear_algebra], workers="dask"))
        cluster.add_worker(OPENBLAS_CORETYPE=other_kernel)
        with pytest.raises(MismatchError, match=differs):
            work_until_refused()
    everyone = rf"1 of {n_workers + 1} Dask workers .*{differs}"
    with pytest.raises(MismatchError, match=everyone), engine(options, tmp_path):
        pass
    assert "another processor" not in caplog.text
    found, end = set(), time.monotonic() + 60
    with engine(replace(options, differing_workers="accept"), tmp_path):
        while len(found) < 2 and time.monotonic() < end:
            found |= set(ordered_map(operator.call, 8 * [linear_algebra], workers="dask"))
    assert {name.split()[-1] for name in found} >= {other_kernel}
    told = [record.message for record in caplog.records if "another processor" in record.message]
    assert len(told) == 1
    assert told[0].startswith(f"1 of {n_workers + 1} Dask workers")
    cluster.workers.pop().kill()


def test_when_all_workers_die_it_says_so(cluster, options, tmp_path):
    with engine(replace(options, timeout_seconds=1), tmp_path):
        results = ordered_map(time.sleep, [0, *(20 * [0.5])], workers="dask")
        next(results)
        for worker in cluster.workers:
            worker.kill()
        with pytest.raises(WorkerError, match=r"has no workers, for 1 s: start some with"):
            list(results)
    cluster.workers.clear()


@pytest.fixture
def others_alone(cluster, other_kernel):
    """The same scheduler with no worker but one that rounds otherwise."""
    for worker in cluster.workers:
        worker.kill()
        worker.wait()
    cluster.workers.clear()
    cluster.add_worker(OPENBLAS_CORETYPE=other_kernel)
    return cluster


def test_a_recipe_in_double_precision_gives_on_other_workers_what_it_gives_here(
    others_alone, voices, no_figures, other_kernel, tmp_path, caplog
):
    cluster, double = others_alone, [option.replace(" ", "") for option in DOUBLE]
    run_recipe(load_recipe("demo", [*SETTINGS, *double]), voices, tmp_path / "local")
    with pytest.raises(MismatchError, match=rf"1 of 1 Dask workers .* {other_kernel}, here"):
        run_on(cluster, voices, tmp_path / "single")
    assert not (tmp_path / "single" / "features.h5").exists()
    run_on(cluster, voices, tmp_path / "double", *double)
    told = [record for record in caplog.records if "in double precision results" in record.message]
    assert [record.levelname for record in told] == ["INFO"]
    assert other_kernel in told[0].message
    here, there = (tmp_path / name for name in ("local", "double"))
    assert (here / "features.h5").read_bytes() == (there / "features.h5").read_bytes()
    ubms = [load_background(folder / "ubm.h5").gmm.variances for folder in (here, there)]
    assert 0 < np.max(np.abs(ubms[0] / ubms[1] - 1)) < 1e-9  # it has rounded otherwise
    for name in ("scores", "development"):
        one, other = (read_scores(folder / f"{name}.tsv").scores for folder in (here, there))
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-9 * np.nanmax(np.abs(one)))


def test_a_scheduler_with_encryption_lets_only_its_own_in(tmp_path):
    distributed = pytest.importorskip("distributed", reason="the extra dask is not installed")
    pytest.importorskip("cryptography", reason="cryptography makes the certificates")
    made = distributed.Security.temporary()
    paths = {}
    for name, text in (
        ("ca_file", made.tls_ca_file), ("certificate", made.tls_client_cert),
        ("key", made.tls_client_key),
    ):  # fmt: skip
        paths[name] = str(tmp_path / f"{name}.pem")
        Path(paths[name]).write_text(text)
    flags = ("--tls-ca-file", "--tls-cert", "--tls-key")
    scheduler = Processes(
        tmp_path, "--protocol", "tls",
        *(part for pair in zip(flags, paths.values(), strict=True) for part in pair),
    )  # fmt: skip
    try:
        assert scheduler.address.startswith("tls://")
        options = ComputeOptions("dask", scheduler.address, timeout_seconds=1, **paths)
        with pytest.raises(WorkerError, match="has no workers"), engine(options, tmp_path):
            pass  # it has let us in
        plain = ComputeOptions("dask", scheduler.address.replace("tls", "tcp"), timeout_seconds=2)
        with pytest.raises(WorkerError, match="what answers is none"), engine(plain, tmp_path):
            pass
        lost = replace(options, key=str(tmp_path / "none.pem"))
        with pytest.raises(OptionError, match=r"compute.key: .*none.pem"), engine(lost, tmp_path):
            pass
    finally:
        scheduler.stop()
