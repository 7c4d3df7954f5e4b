"""Classes of voices as they are typed: by the sex of artificial voices."""

import json

import numpy as np
import pytest
import soundfile

from voicegmm import VoiceClassifier
from voicegmm.cli import main


@pytest.fixture(scope="module")
def folder(voices, tmp_path_factory):
    """Six women and six men: of the corpus's voices the odd ones are female."""
    root = tmp_path_factory.mktemp("sexes")
    for speaker in sorted((voices / "wavs").glob("v*")):
        sex = "female" if int(speaker.name[1:]) % 2 else "male"
        (root / sex).mkdir(exist_ok=True)
        (root / sex / speaker.name).symlink_to(speaker)
    return root


@pytest.fixture(scope="module")
def classes(folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("classes") / "classes.h5"
    arguments = ["classify", "train", str(folder), "-o", str(path), "--components", "8"]
    with pytest.raises(SystemExit) as stopped:
        main([*arguments, "--seed", "3"])
    assert stopped.value.code == 0
    return path


def test_training_says_what_to_expect(typed, folder, tmp_path):
    out = tmp_path / "c.h5"
    command = ["classify", "train", folder, "-o", out, "--components", 4, "--folds", 2]
    code, text, err = typed(*command, "--adapt", "--relevance", 50)
    assert (code, err) == (0, "")
    assert "2 classes from 48 recordings" in text
    assert "female: 24 recordings, 6 speakers" in text
    assert "measured on speakers left out" in text
    for word in ("accuracy", "EER", "Cllr", "is \\ given"):
        assert word in text
    code, _, err = typed(*command)
    assert code == 1
    assert "exists; replace it with --force" in err
    code, text, _ = typed("info", out, "--json")
    found = json.loads(text)
    assert found["options"]["adaptation"]["relevance"] == 50
    assert sum(found["expected"]["confusion"]["female"].values()) == 24
    code, text, _ = typed("info", out)
    assert "confusion:" in text


def test_strangers_get_their_sex(typed, classes, voices):
    women, men = (sorted((voices / "wavs").glob(f"b0*{digits}/*")) for digits in ("[13579]",
                  "[02468]"))  # fmt: skip
    tried = [*women[::6], *men[::6]]
    code, out, err = typed("classify", classes, *tried, "--json")
    assert (code, err) == (0, "")
    answers = [json.loads(line) for line in out.splitlines()]
    right = [
        answer["label"] == ("female" if file in women else "male")
        for answer, file in zip(answers, tried, strict=True)
    ]
    assert np.mean(right) >= 0.8
    for answer in answers:
        assert answer["closed_set"]
        assert answer["calibrated"]
        one, other = answer["ranking"]
        assert one["posterior"] + other["posterior"] == pytest.approx(1)
        assert one["llr"] == pytest.approx(-other["llr"])
        assert answer["prior"] == {"female": 0.5, "male": 0.5}
        # Six voices a class cannot show more.
        assert abs(one["llr"]) <= np.log(6) + 1e-9
    code, out, _ = typed("classify", classes, tried[0])
    assert "probability" in out
    assert "closed set: a voice that is none of female, male gets one of these names too" in out


@pytest.mark.slow
def test_other_recordings_measure_it(typed, classes, voices, folder, tmp_path):
    for speaker in sorted((voices / "wavs").glob("b*"))[:6]:
        sex = "female" if int(speaker.name[1:]) % 2 else "male"
        (tmp_path / sex).mkdir(exist_ok=True)
        (tmp_path / sex / speaker.name).symlink_to(speaker)
    (tmp_path / "male/b999").mkdir()
    (tmp_path / "male/b999/x.wav").write_text("no sound")
    code, out, err = typed("classify", "evaluate", classes, tmp_path)
    assert code == 0
    assert "x.wav" in err
    assert "24 recordings (95 % intervals), equal priors:" in out
    assert "6 speakers (95 % intervals), equal priors:" in out
    code, out, _ = typed("classify", "evaluate", classes, tmp_path, "--json")
    found = json.loads(out)
    # The same answers as one by one.
    answers = [
        VoiceClassifier.open(classes).classify(file).label == file.parts[-3]
        for file in tmp_path.glob("*/b0*/*.wav")
    ]
    assert found["recordings"]["accuracy"]["value"] == pytest.approx(np.mean(answers))
    assert sum(map(sum, found["speakers"]["confusion"])) == 6
    assert len(found["failures"]) == 1
    (tmp_path / "other").mkdir()
    (tmp_path / "other/1.wav").symlink_to(next(folder.glob("male/*/*.wav")))
    code, _, err = typed("classify", "evaluate", classes, tmp_path)
    assert code == 1
    assert "its classes are female, male, other; those that were trained are female, male" in err


def test_a_prior_moves_the_posterior_and_not_the_ratio(typed, classes, voices):
    file = next((voices / "wavs/b001").glob("*.wav"))
    _, plain, _ = typed("classify", classes, file, "--json")
    code, moved, _ = typed("classify", "--json", "--prior", "male=0.999", classes, file)
    plain, moved = json.loads(plain), json.loads(moved)
    assert code == 0
    assert moved["label"] == "male"
    assert moved["prior"] == pytest.approx({"female": 0.001, "male": 0.999})
    ratios = [{one["name"]: one["llr"] for one in a["ranking"]} for a in (plain, moved)]
    assert ratios[0] == pytest.approx(ratios[1])
    for prior, code, message in (
        ("male", 2, "takes CLASS=PROBABILITY"),
        ("male=much", 2, "takes CLASS=PROBABILITY"),
        ("mal=0.5", 1, "no class is called 'mal' (did you mean 'male'?)"),
        ("male=1.5", 1, "must be between 0 and 1"),
    ):
        found, _, err = typed("classify", classes, file, "--prior", prior)
        assert found == code
        assert message in err


def test_what_cannot_be_judged_has_a_status_and_no_number(typed, classes, voices, tmp_path):
    good = next((voices / "wavs/b001").glob("*.wav"))
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros(16000), 16000)
    code, out, _ = typed("classify", classes, tmp_path / "none.wav", silent, good, "--json")
    lost, still, fine = map(json.loads, out.splitlines())
    assert code == 1
    assert (lost["status"], lost["label"], lost["ranking"]) == ("unreadable", None, [])
    assert (still["status"], still["label"]) == ("no speech", None)
    assert fine["status"] == "ok"
    code, out, _ = typed("classify", classes, silent)
    assert "not judged (no speech)" in out
    assert "closed set" not in out


def test_a_recording_unlike_every_class_is_noted(typed, classes, tmp_path):
    rng = np.random.default_rng(0)
    beeps = np.sin(2 * np.pi * 2000 * np.arange(32000) / 16000) * (np.arange(32000) // 4000 % 2)
    soundfile.write(tmp_path / "beeps.wav", 0.3 * beeps + 1e-4 * rng.normal(size=32000), 16000)
    code, out, _ = typed("classify", classes, tmp_path / "beeps.wav")
    assert code == 0
    assert "note: unlike every class" in out


def test_unlabeled_speakers_few_voices_and_wrong_usage(typed, classes, folder, tmp_path):
    small = tmp_path / "small"
    for sex in ("female", "male"):
        (small / sex).mkdir(parents=True)
        for file in sorted((folder / sex).glob("*/*_01.wav"))[:3]:
            (small / sex / file.name).symlink_to(file)
    (small / "male/text.wav").write_text("hello")
    train = ["classify", "train", small, "-o", tmp_path / "s.h5", "--components", 2]
    code, out, err = typed(*train)
    assert code == 0
    assert "warning: there are no probabilities: calibration needs at least 5 speakers (or" in err
    assert "text.wav" in err
    assert "uncalibrated: classes are ranked by likelihood" in out
    known = next((small / "male").glob("v*.wav"))
    code, out, _ = typed("classify", tmp_path / "s.h5", known)
    assert "(uncalibrated)" in out
    assert "nats per frame" in out
    assert "probability" not in out
    for arguments, code, message in (
        ([*train, "--relevance", 5], 2, "--relevance is for --adapt"),
        ([*train, "--set", "static.n_cepstra=5"], 2, "name one"),
        (["classify", "train", small], 2, "Missing option '-o'"),
        (["classify", classes], 2, "Missing argument 'FILES...'"),
        (["classify", tmp_path / "no.h5", known], 1, "no such file"),
        (["classify", known, known], 1, "not an HDF5 file"),
        ([*train, "--force", "--folds", 1], 1, "n_folds must be at least 2"),
        ([*train, "--force", "--config", "sdx"], 1, "no preset is called 'sdx'"),
    ):
        found, _, err = typed(*arguments)
        assert found == code, err
        assert message in err
    (small / "male/text.wav").unlink()
    for file in (small / "female").iterdir():
        file.unlink()
        (small / "female" / file.name).write_text(f"no sound in {file.name}")
    code, _, err = typed(*train, "--force")
    assert code == 1
    assert "female: no usable recording; " in err


def test_help_shows_both_ways(typed):
    code, out, _ = typed("classify", "--help")
    assert code == 0
    for text in ("train DIR -o CLASSES", "CLASSES FILES...", "--prior", "--adapt", "none of them"):
        assert text in out
    assert typed("classify", "train", "--help")[0] == 0


def test_shifted_deltas_run_end_to_end(folder, tmp_path):
    """The front end for languages; no corpus of languages is at hand."""
    from voicegmm.bank import ClassifierOptions
    from voicegmm.features import load_front_end

    front_end = load_front_end("sdc")
    assert front_end.n_dims == 56
    options = ClassifierOptions(features=front_end, n_components=2)
    made = VoiceClassifier.train(folder, options)
    made.save(tmp_path / "c.h5")
    opened = VoiceClassifier.open(tmp_path / "c.h5")
    assert opened.classes.models.front_end == front_end
    file = next(folder.glob("male/*/*.wav"))
    assert opened.classify(file) == made.classify(file)
    assert opened.classify(file).status == "ok"
