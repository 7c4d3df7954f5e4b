"""A save that is interrupted leaves the old file or the new one, whole.

30 kills at random; VOICEGMM_KILLS=200 asks for more, and for failures at each system call.
"""

import json
import os
import platform
import subprocess
import sys

import crashing
import numpy as np
import pytest

from voicegmm.features import DeltaOptions, PipelineOptions, StaticOptions
from voicegmm.mixture import DiagonalGMM, MapOptions
from voicegmm.scoring import BackgroundModel, SpeakerModels, UbmOptions, Voices
from voicegmm.store import load_voices, save_voices

N_KILLS = int(os.environ.get("VOICEGMM_KILLS", "30"))
TRACEABLE = platform.machine() == "x86_64" and sys.platform == "linux"


def environment():
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


def crashed(*arguments):
    """Run the program; give what it found."""
    done = subprocess.run(
        [sys.executable, crashing.__file__, *map(str, arguments)],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(not TRACEABLE, reason="knows the registers of x86-64 on Linux alone")
@pytest.mark.parametrize("kind", ["model", "features"])
def test_at_every_system_call(tmp_path, kind):
    step = 4 if kind == "features" and N_KILLS < 200 else 1
    found = crashed(kind, tmp_path, step)
    assert found["wrong"] == []
    assert min(found["counts"].values()) > 20


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["model", "features"])
def test_killed_at_any_moment(tmp_path, kind):
    found = crashed(kind, tmp_path, "kill", N_KILLS // 2)
    assert all(value == int(value) for value in found["held"])
    assert max(found["held"]) > 1
    assert found["left"] == ["file.h5"]


ENROLL = """
import sys
import numpy as np
from voicegmm._base.files import locked
from voicegmm.mixture import accumulate
from voicegmm.scoring import with_speakers
from voicegmm.store import load_voices, save_voices
path, who = sys.argv[1:]
frames = np.random.default_rng(int(who)).standard_normal((50, 4))
for number in range(5):
    with locked(path):
        voices = load_voices(path)
        statistics = accumulate(voices.speakers.background.gmm, frames)
        speakers = voices.speakers.with_speaker(f"{who}-{number}", statistics, 0.5)
        save_voices(path, with_speakers(voices, speakers))
"""


@pytest.mark.slow
def test_four_processes_enroll_into_one_bank_while_others_read_it(tmp_path):
    front_end = PipelineOptions(static=StaticOptions(n_cepstra=4), deltas=DeltaOptions(order=0))
    gmm = DiagonalGMM([0.5, 0.5], np.zeros((2, 4)), np.ones((2, 4)))
    none = np.empty((0, 2, 4)), np.empty((0, 2)), np.empty(0)
    background = BackgroundModel(gmm, front_end, UbmOptions(2))
    path = tmp_path / "voices.h5"
    save_voices(path, Voices(SpeakerModels(background, (), *none, MapOptions())))
    processes = [
        subprocess.Popen([sys.executable, "-c", ENROLL, path, str(who)], env=environment())
        for who in range(4)
    ]
    sizes = []
    while any(process.poll() is None for process in processes):
        sizes.append(len(load_voices(path).speakers.ids))  # whole, or it would not load
    assert [process.returncode for process in processes] == [0, 0, 0, 0]
    assert sizes == sorted(sizes)
    wanted = {f"{who}-{number}" for who in range(4) for number in range(5)}
    assert set(load_voices(path).speakers.ids) == wanted
    assert {each.name for each in tmp_path.iterdir()} == {"voices.h5", ".voices.h5.lock"}
