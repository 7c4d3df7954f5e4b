"""Runs that are killed, interrupted, out of disk or out of workers go on and end as any other."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

DRIVER = Path(__file__).with_name("disturbances.py")
# VOICEGMM_DISTURBANCES=20 takes twenty times as many.
TIMES = int(os.environ.get("VOICEGMM_DISTURBANCES", "1"))
EACH = {"kill": 10, "interrupt": 2, "disk": 3, "workers": 2}


@pytest.mark.slow
def test_disturbed_runs_end_with_the_bytes_of_an_undisturbed_one(voices, tmp_path):
    asked = [f"{kind}={number * TIMES}" for kind, number in EACH.items()]
    done = subprocess.run(
        [sys.executable, str(DRIVER), str(voices), str(tmp_path), *asked],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": "."},
        timeout=300 * TIMES,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ends = json.loads(done.stdout.splitlines()[-1])
    for kind, number in EACH.items():
        assert sum(ends[kind].values()) == number * TIMES + 1
    assert ends["kill"]["-9"] >= 3 * TIMES
    assert ends["disk"]["1"] >= TIMES
