"""Damaged files of every kind: the right content, or one error that names the file.

1,000 variants of sealed files and as many of texts and sounds; VOICEGMM_FUZZ=10000 asks for more.
"""

import json
import os
import subprocess
import sys
import threading
import zipfile
from contextlib import suppress
from pathlib import Path

import fuzzing
import numpy as np
import pytest
import soundfile

from voicegmm._base.errors import FormatError
from voicegmm.features import FrameSet, Pipeline
from voicegmm.mixture import DiagonalGMM, accumulate
from voicegmm.store import (
    FeatureStore,
    ScoreJournal,
    TrainingCheckpoint,
    load,
    new_store,
    read_score_file,
    save,
    sealing,
    write_bosaris_trials,
    write_score_file,
)
from voicegmm.store.journal import ExtractionJournal

N_VARIANTS = int(os.environ.get("VOICEGMM_FUZZ", "1000"))
DATA = Path(__file__).with_name("data")
PATIENCE = 60  # seconds of silence, on a busy machine, until a reader counts as hanging

TEXTS = {
    "voxceleb.trials": ("trials", "1 a x.wav\n0 b x.wav\n0 a y.wav\n"),
    "nist.trials": ("trials", "m1 x.wav target\nm2 x.wav nontarget\nm1 y.wav nontarget\n"),
    "ours.trials": ("trials", "model\ttest\tlabel\nZoë B\tx 1.wav\ttarget\nal\tx\tnontarget\n"),
    "enroll.tsv": ("enrollments", "model\tfile\nZoë B\ta b.wav\nal\tc.wav\nal\td.wav\n"),
    "segments.tsv": ("segments", "segment\tfile\ns1\ta b.wav\ns1\tc.wav\ns2\td.wav\n"),
    "utterances.tsv": (
        "utterances",
        "file\tpath\tspeaker\tstart\tend\tchannel\na\t/x/a b.wav\ts1\t0.5\t2\t1\nb\tb\ts2\t\t\t\n",
    ),
    "files.txt": ("files", "\ufeffa b.wav\r\n\r\nc.wav\r\n"),
    "wav.scp": ("recordings", "a /x/a b.wav\nb b.wav\n"),
    "recordings.jsonl": (
        "lhotse",
        '{"id": "a", "sources": [{"type": "file", "channels": [0], "source": "/x/a.wav"}], '
        '"sampling_rate": 8000, "num_samples": 8000, "duration": 1.0, "channel_ids": [0]}\n',
    ),
    "quality.tsv": ("quality", "test\tseconds\tsnr\nx.wav\t1.5\t20\ny.wav\t2\t-3\n"),
    "labels.rttm": (
        "labels",
        "SPEAKER a 1 0.5 2.25 <NA> <NA> ann <NA> <NA>\nSPEECH a 1 3 1 <NA> <NA> x\n",
    ),
    "audacity.txt": ("labels", "0,5\t2.25\tann\n\\\t100\t200\n3\t4\n"),
    "kaldi.segments": ("labels", "u1 a 0.5 2.25\nu2 b 0 -1\n"),
    "nist.key": (
        "key",
        "modelid\tsegmentid\tside\ttargettype\nm1\ts1\ta\ttarget\nm1\ts2\ta\tnontarget\n",
    ),
    "asvspoof.key": ("key", "LA_0 LA_E_1 - - bonafide\nLA_0 LA_E_2 - A07 spoof\n"),
    "ours.scores": (
        "scores",
        "model\ttest\tlabel\tscore\tllr\tstatus\treason\n"
        "m 1\tt\ttarget\t1.5\t2.5\tok\t\nm 2\tt\tnontarget\t\t\tno speech\tt: silence\n",
    ),
    "kaldi.scores": ("scores", "m1 t1 1.5\nm1 t2 -0.25\n"),
    "voxceleb.scores": ("scores", "1.5 m1 t1\n-0.25 m1 t2\n"),
    "nist.scores": ("scores", "modelid\tsegmentid\tside\tLLR\nm1\ts1\ta\t1.5\n"),
    "asvspoof.scores": ("scores", "LA_E_1 - bonafide 1.5\nLA_E_2 A07 spoof -2\n"),
    "config.toml": ("config", 'extends = "voicegmm-16k"\n[static]\nn_cepstra = 12\nx = [1, 2]\n'),
}


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    with zipfile.ZipFile(DATA / "version_1.zip") as archive:
        archive.extractall(folder)
    return folder


def kind_of(path):
    return {"features": "features", "checkpoint": "checkpoint"}.get(path.stem, "model")


def frames_of(rng, n_frames, pipeline):
    frames = rng.standard_normal((n_frames, pipeline.n_dims))
    weights = rng.uniform(0.5, 1, n_frames)
    return FrameSet(frames, weights, np.arange(n_frames), 2 * n_frames, 0.01, "x", ("note",))


def sealed_files(old, folder):
    """Write each of the old files anew, and a feature store as if it were large."""
    for path in sorted(old.glob("*.h5")):
        sealed = folder / f"sealed {path.name}"
        match kind_of(path):
            case "model":
                save(sealed, load(path))
            case "checkpoint":
                TrainingCheckpoint(sealed).save("mine", TrainingCheckpoint(path).read())
            case "features":
                with FeatureStore(path) as store:
                    pipeline = Pipeline(store.front_end)
                for whole_up_to, name in ((64_000_000, sealed), (0, folder / "sealed large.h5")):
                    write_large(name, pipeline, whole_up_to)
                yield "features", name
        yield kind_of(path), sealed
    statistics = accumulate(DiagonalGMM([1.0], [[0.0, 0.0]], [[1.0, 1.0]]), np.ones((3, 2)))
    save(folder / "sealed statistics.h5", statistics)
    yield "model", folder / "sealed statistics.h5"


def write_large(path, pipeline, whole_up_to):
    rng = np.random.default_rng(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sealing, "WHOLE_UP_TO", whole_up_to)
        with new_store(path, pipeline) as writer:
            for name in ("a.wav", "b.wav"):
                writer.add(name, frames_of(rng, 600, pipeline))


def journals(folder):
    rng = np.random.default_rng(0)
    pipeline = Pipeline()
    with suppress(KeyboardInterrupt), ExtractionJournal(folder / "x.h5", "mark") as journal:
        for name in "abcdef":
            journal.add(name, f"stamp {name}", frames_of(rng, 3, pipeline))
        raise KeyboardInterrupt
    yield "extraction", folder / "x.h5.partial"
    with suppress(KeyboardInterrupt), ScoreJournal(folder / "x.tsv") as scores:
        scores.begin("mark")
        for number in range(30):
            scores.keep(np.array([number / 7]))
            scores._flush()
        raise KeyboardInterrupt
    yield "scoring", folder / "x.tsv.partial"


def shared_out(files, n_variants):
    """Give each file as many variants, at least one."""
    each = -(-n_variants // len(files))
    return [[kind, str(path), 0, each] for kind, path in files]


def fuzz(jobs):
    """Read the variants in another process; start it again where it crashed. Give what is wrong."""
    wrong, waiting = [], list(jobs)
    while waiting:
        done, verdicts = run(waiting)
        wrong += [verdict for verdict in verdicts if verdict[-1] not in ("same", "error")]
        if done is None:
            break
        kind, path, number = done
        wrong.append([kind, path, number, "crashed, or hung"])
        left = [job for job in waiting if job[1] != path]
        (job,) = (job for job in waiting if job[1] == path)
        waiting = [[kind, path, number + 1, job[3]], *left]
        if len(wrong) > 20:
            break
    return wrong


def run(jobs):
    """Give the variant that was not finished, or None, and what became of the others."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    verdicts, begun = [], None
    with subprocess.Popen(
        [sys.executable, fuzzing.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    ) as process:
        clock = threading.Timer(PATIENCE, process.kill)
        clock.start()
        process.stdin.writelines(json.dumps(job) + "\n" for job in jobs)
        process.stdin.close()
        for line in process.stdout:
            clock.cancel()
            clock = threading.Timer(PATIENCE, process.kill)
            clock.start()
            said = json.loads(line)
            if isinstance(said, list):
                begun = said
            else:
                verdicts.append([*begun, said])
                begun = None
        clock.cancel()
    assert begun is not None or process.returncode == 0, "the fuzzer itself failed"
    return begun, verdicts


@pytest.mark.slow
def test_sealed_files_and_what_is_unfinished(old, tmp_path):
    files = [*sealed_files(old, tmp_path), *journals(tmp_path)]
    assert fuzz(shared_out(files, N_VARIANTS)) == []


@pytest.mark.slow
def test_texts_and_sounds(tmp_path):
    files = []
    for name, (kind, text) in TEXTS.items():
        (tmp_path / name).write_text(text, encoding="utf-8", newline="")
        files.append((kind, tmp_path / name))
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, (800, 2))
    for suffix in ("wav", "flac", "aiff", "au", "caf", "w64", "rf64", "ogg"):
        path = tmp_path / f"sound.{suffix}"
        soundfile.write(path, sound, 8000, format=suffix.upper())
        files.append(("audio", path))
    assert fuzz(shared_out(files, N_VARIANTS)) == []


@pytest.mark.slow
def test_files_without_a_seal(old, tmp_path):
    """Nobody can tell that they are damaged, but they neither crash nor hang nor eat memory."""
    files = [(kind_of(path), path) for path in sorted(old.glob("*.h5"))]
    (tmp_path / "s.tsv").write_text(TEXTS["ours.scores"][1])
    table = read_score_file(tmp_path / "s.tsv")
    write_score_file(tmp_path / "scores.h5", table, "bosaris")
    write_bosaris_trials(tmp_path / "key.h5", table.trials)
    files += [("scores", tmp_path / "scores.h5"), ("key", tmp_path / "key.h5")]
    assert fuzz(shared_out(files, N_VARIANTS // 20)) == []


def test_the_fuzzer_finds_faults(tmp_path):
    def judged(read, wanted=None):
        return fuzzing.judge(read, FormatError, tmp_path / "x.h5", wanted)

    def named(path):
        raise FormatError(f"{path}: damaged")

    def unnamed(path):
        raise FormatError("damaged")

    def wrong(path):
        raise KeyError("means")

    right = fuzzing.content_of({"a": np.ones(2)})
    assert judged(named) == "error"
    assert judged(unnamed) == "names no file: damaged"
    assert judged(wrong) == "raises KeyError: 'means'"
    assert judged(lambda _: {"a": np.ones(2)}, right) == "same"
    assert judged(lambda _: {"a": np.array([1, 1 + 1e-16 + 2e-16])}, right) == "wrong content"
    assert fuzzing.damaged(b"x" * 99, np.random.default_rng(1)) != b"x" * 99
