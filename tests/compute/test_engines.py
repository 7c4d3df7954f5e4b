"""Who works, and how work travels: what can be told without a cluster."""

import pickle
import re
import socket
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicegmm._base.errors import MismatchError, OptionError, VoicegmmError
from voicegmm.compute import (
    ComputeOptions,
    check_seen,
    engine,
    engine_in_force,
    mapped_sum,
    ordered_map,
    parcels,
    reduction,
    tree_sum,
)
from voicegmm.compute import dask as dask_engine
from voicegmm.compute.parcels import parcel, work_on
from voicegmm.compute.versions import check_rounding, check_versions, versions

DASK = {"engine": "dask", "scheduler": "tcp://127.0.0.1:8786"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "dsk"}, "engine must be one of threads, processes, dask.*did you mean 'dask'"),
        ({"scheduler": "tcp://a:1"}, 'scheduler is for engine "dask", and it is "threads"'),
        ({"engine": "processes", "key": "k.pem"}, 'key is for engine "dask"'),
        ({"engine": "dask"}, "scheduler must be tcp://HOST:PORT or tls://HOST:PORT.*got ''"),
        (DASK | {"scheduler": "http://a:1"}, "scheduler must be .* got 'http://a:1'"),
        (DASK | {"scheduler": "tcp://a:99999"}, "scheduler must be .* got 'tcp://a:99999'"),
        (DASK | {"scheduler": "tcp://a"}, "scheduler must be"),
        (DASK | {"scheduler": "tls://a:1", "ca_file": "x"}, "certificate must name a PEM file"),
        (DASK | {"ca_file": "x"}, "ca_file is for a tls:// scheduler"),
        (DASK | {"timeout_seconds": 0}, "timeout_seconds must be greater than 0"),
        ({"differing_workers": "acept"}, "must be one of refuse, accept; .*did you mean 'accept'"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(OptionError, match=message):
        ComputeOptions(**options)


@pytest.mark.parametrize("host", ["10.0.0.7", "192.168.1.2", "cluster.example", "[fe80::1]"])
def test_an_unencrypted_way_to_another_machine_is_asked_for_by_name(host):
    address = DASK | {"scheduler": f"tcp://{host}:8786"}
    with pytest.raises(OptionError, match=r"another machine and not encrypted.*--insecure"):
        ComputeOptions(**address)
    assert ComputeOptions(**address, insecure=True).insecure
    files = {"ca_file": "a", "certificate": "b", "key": "c"}
    ComputeOptions(**DASK | {"scheduler": f"tls://{host}:8786"} | files)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.8.8.8", "[::1]"])
def test_this_machine_needs_no_encryption(host):
    ComputeOptions(**DASK | {"scheduler": f"tcp://{host}:8786"})


def test_an_engine_holds_for_its_block_and_its_thread():
    assert engine_in_force().workers == "threads"
    seen = []
    with engine(ComputeOptions("processes")):
        assert engine_in_force().workers == "processes"
        other = threading.Thread(target=lambda: seen.append(engine_in_force().workers))
        other.start()
        other.join()
    assert seen == ["threads"]
    assert engine_in_force().workers == "threads"


def test_dask_is_refused_without_a_scheduler_or_a_place():
    with pytest.raises(VoicegmmError, match="in a block of `engine`"):
        list(ordered_map(str, [1], workers="dask"))
    with pytest.raises(OptionError, match="a scratch folder"), engine(ComputeOptions(**DASK)):
        pass


class Scaled:
    def __init__(self, factors, name):
        self.factors, self.name = factors, name

    def __call__(self, item):
        self.factors[0] += 0  # as compiled loops, which take arrays that can be written
        return self.name, float(self.factors.sum()) * item


@pytest.mark.parametrize("n_numbers", [3, 50_000])
def test_a_function_travels_with_its_large_arrays_in_a_file(tmp_path, n_numbers):
    factors = np.arange(n_numbers, dtype=np.float64)
    large = n_numbers > 1000
    with parcel(Scaled(factors, "x"), tmp_path) as sent:
        files = list(tmp_path.iterdir())
        assert len(files) == large
        assert len(sent.content) < 1000
        again = pickle.loads(pickle.dumps(sent))
        assert work_on(again, pickle.dumps(2)) == ("x", 2 * factors.sum())
        if large:
            assert files[0].read_bytes() == factors.tobytes()  # numbers, and no pickle
            assert files[0].stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == []
    assert work_on(sent, pickle.dumps(3)) == ("x", 3 * factors.sum())  # unpacked before


def test_a_worker_keeps_few_functions(tmp_path):
    for number in range(10):
        with parcel(Scaled(np.ones(2), number), tmp_path) as sent:
            assert work_on(sent, pickle.dumps(1)) == (number, 2)
    assert len(parcels._opened) == 4


def test_a_file_that_a_worker_does_not_see_is_named(tmp_path):
    missing = tmp_path / "features.h5"
    with pytest.raises(MismatchError, match=f"{missing}: the worker on .*shared file system"):
        check_seen(missing)
    missing.write_bytes(b"1234")
    assert check_seen(missing, 4) == missing
    with pytest.raises(MismatchError, match="another file there, of 4 bytes, not 5"):
        check_seen(missing, 5)
    with pytest.raises(MismatchError, match=socket.gethostname()):
        check_seen("/none")


def test_arrays_that_a_worker_does_not_see_are_named(tmp_path):
    with parcel(Scaled(np.ones(50_000), "y"), tmp_path) as sent:
        Path(sent.path).rename(tmp_path / "elsewhere")
        with pytest.raises(MismatchError, match="shared file system"):
            work_on(sent, pickle.dumps(1))


def test_other_programs_are_refused_whatever_else_is_accepted():
    here = versions()
    check_versions(here, here | {"numpy": "1.0"}, "w")
    for name in ("voicegmm", "python"):
        with pytest.raises(MismatchError, match=f"w has {name} 0.0, and here it is .*install the"):
            check_versions(here, here | {name: "0.0"}, "w")


def test_the_refusal_of_workers_names_each_thing_that_differs_and_what_can_be_done():
    here = versions()
    check_rounding(here, [here, dict(here)], "nobody has")
    others = [here | {"numpy": "1.0"}, here | {"numpy": "1.1", "instructions": "few"}]
    told = (
        rf"^two have another .*\(numpy 1.0 and 1.1, here {here['numpy']}; "
        rf"instructions few, here {here['instructions']}\): results would differ.*1e-6.*1e-5.*"
        r'features.static.precision = "double" and ubm.precision = "double".*'
        r'compute.differing_workers = "accept"$'
    )
    with pytest.raises(MismatchError, match=told):
        check_rounding(here, others, "two have")
    with pytest.raises(MismatchError, match="scipy build not told, here "):
        check_rounding(here, [{k: v for k, v in here.items() if k != "scipy build"}], "one has")


class Scheduler:
    """What a client tells of a scheduler, and of workers that it names."""

    status = "closed"

    def __init__(self, **workers):
        self.workers = workers

    def nthreads(self):
        return dict.fromkeys(self.workers, 1)

    def run_on_scheduler(self, function):
        return function()

    def run(self, function, workers, on_error):
        return {name: function() | self.workers[name] for name in workers}

    def close(self, timeout):
        self.workers = {}


OTHER = {"linear algebra": "openblas 1 Z80"}


def connected(monkeypatch, in_double=False, options=None, **workers):
    scheduler = Scheduler(**workers)
    monkeypatch.setattr(dask_engine, "_connected", lambda options: scheduler)
    return scheduler, dask_engine.Cluster(ComputeOptions(**DASK, **options or {}), in_double)


@pytest.mark.parametrize("workers", [{"a": {}, "b": OTHER}, {"a": OTHER}, {"a": OTHER, "b": OTHER}])
def test_workers_that_round_otherwise_are_refused(monkeypatch, workers):
    n_others = sum(map(bool, workers.values()))
    who = rf"{n_others} of {len(workers)} Dask workers \(.*\) ha"
    with pytest.raises(MismatchError, match=f"{who}.*linear algebra openblas 1 Z80, here"):
        connected(monkeypatch, **workers)


@pytest.mark.parametrize(
    ("in_double", "options", "level", "why"),
    [
        (False, {"differing_workers": "accept"}, "WARNING", "results will differ .* 1e-5 of"),
        (True, {}, "INFO", "in double precision results differ by less than 1e-6"),
        (True, {"differing_workers": "accept"}, "INFO", "in double precision"),
    ],
)
def test_who_accepts_them_or_works_in_double_is_told_once(
    monkeypatch, caplog, in_double, options, level, why
):
    caplog.set_level("INFO", "voicegmm")
    scheduler, cluster = connected(monkeypatch, in_double, options, a={}, b=OTHER)
    scheduler.workers |= {"c": {}, "d": OTHER}  # of kinds that are known
    cluster._check_workers()
    told = [record for record in caplog.records if "linear algebra" in record.message]
    assert [record.levelname for record in told] == [level]
    assert told[0].message.startswith("1 of 2 Dask workers (b) has another processor")
    assert re.search(why, told[0].message)
    scheduler.workers |= {"e": {"numpy": "0.1"}}
    cluster._check_workers()
    assert "3 of 5 Dask workers (b, d, e)" in caplog.text


def test_one_that_comes_late_is_refused_where_it_works_and_by_who_asks(monkeypatch):
    scheduler, cluster = connected(monkeypatch, a={})
    scheduler.workers["late"] = OTHER
    with pytest.raises(MismatchError, match=r"1 of 2 Dask workers \(late\)"):
        cluster._check_workers()
    asked = versions() | OTHER
    with parcel(str) as sent:
        item = pickle.dumps(7)
        assert dask_engine._checked_work(versions(), True, sent, item) == "7"
        assert dask_engine._checked_work(asked, False, sent, item) == "7"
        with pytest.raises(MismatchError, match=rf"the worker on {socket.gethostname()} has .*Z80"):
            dask_engine._checked_work(asked, True, sent, item)
        with pytest.raises(MismatchError, match=r"has python .* install the same"):
            dask_engine._checked_work(asked | {"python": "2.7"}, False, sent, item)


class Term(str):
    def __add__(self, other):
        return Term(f"({self}{other})")


@given(st.integers(0, 70), st.sampled_from([1, 2, 4, 8]))
def test_branches_that_workers_sum_are_those_of_the_whole_tree(n_items, size):
    """The order of every addition is the same, so the bits are."""
    terms = [Term(chr(65 + number)) for number in range(n_items)]
    branches = reduction._cut(iter(terms), size)
    assert tree_sum(map(reduction._Branch(Term), branches)) == tree_sum(terms)
    assert mapped_sum(Term, terms, n_items, 2, "threads") == tree_sum(terms)
