"""The folder workflow on artificial voices."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile

from voicegmm import VoiceBank
from voicegmm._base.errors import DataError, ListError, OptionError, VoicegmmError
from voicegmm._base.files import content_hash
from voicegmm.bank import BankOptions
from voicegmm.bank.training import choose_components
from voicegmm.features import Pipeline, load_front_end
from voicegmm.mixture import EmOptions, InitialOptions, accumulate, adapt, log_density
from voicegmm.scoring import ScoreNormalizationOptions, ScoringOptions, UbmOptions

QUICK = BankOptions(
    n_components=16, n_folds=4, ubm=UbmOptions(1, InitialOptions(100, 3), EmOptions(6))
)


@pytest.fixture(scope="session")
def bank(speaker_folders):
    return VoiceBank.train(speaker_folders / "known", QUICK, n_workers=2)


def wav(path, samples, rate=16_000):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate)
    return path


def test_a_trained_bank_is_calibrated_and_says_what_to_expect(bank):
    assert bank.calibrated
    assert len(bank.names) == 12
    expected = bank.voices.expected
    assert expected["eer"].low <= expected["eer"].value <= expected["eer"].high
    promise = bank.voices.promise
    assert promise.n_enrolled == 12
    assert 0 <= promise.false_accept.value <= promise.false_accept.high <= 1
    assert bank.training.failures == {}


def test_enrolled_voices_rank_first_and_strangers_get_no_name(bank, voices, speaker_folders):
    """These recordings enrolled them: a sanity check of the chain, not a measurement."""
    named = [bank.identify(next((voices / "wavs" / name).glob("*.wav"))) for name in bank.names]
    assert [answer.ranking[0].name for answer in named] == list(bank.names)
    for answer in named:
        ratio = bank.voices.calibration.apply(answer.ranking[0].score)
        own, *doubts = answer.notes
        assert own.startswith(f"{answer.ranking[0].name} was enrolled from this very recording")
        passed = ratio > answer.threshold and not doubts
        assert answer.speaker == (answer.ranking[0].name if passed else None)
    strangers = [
        bank.identify(next(folder.glob("*.wav")))
        for folder in sorted((speaker_folders / "background").iterdir())
    ]
    assert np.mean([answer.speaker is not None for answer in strangers]) <= 0.35


def test_verify_agrees_with_identify(bank, voices):
    file = next((voices / "wavs/v003").glob("*.wav"))
    ranking = {c.name: c for c in bank.identify(file).ranking}
    for name in ("v003", "v004"):
        answer = bank.verify(name, file)
        # One model alone and one among many are products of other shapes.
        assert answer.llr == pytest.approx(ranking[name].llr, abs=1e-3)
        assert answer.accepted == (answer.llr > 0)
    assert bank.verify("v003", file, threshold=1e9).accepted is False
    with pytest.raises(OptionError, match="threshold must be a finite number, got nan"):
        bank.verify("v003", file, threshold=float("nan"))
    with pytest.raises(ListError, match="'v3' is not enrolled; enrolled are: v001, v002"):
        bank.verify("v3", file)


def test_a_bank_reads_back_equal(bank, voices, tmp_path):
    bank.save(tmp_path / "v.h5")
    again = VoiceBank.open(tmp_path / "v.h5")
    file = next((voices / "wavs/v001").glob("*.wav"))
    assert again.identify(file) == bank.identify(file)
    assert again.voices.promise == bank.voices.promise


def test_training_twice_gives_the_same_bytes(speaker_folders, bank, tmp_path):
    bank.save(tmp_path / "a.h5")
    again = VoiceBank.train(speaker_folders / "known", QUICK, n_workers=1)
    for one, two in (
        (bank.voices.speakers.means, again.voices.speakers.means),
        (bank.voices.speakers.counts, again.voices.speakers.counts),
    ):
        np.testing.assert_array_equal(one, two)
    assert again.voices.calibration == bank.voices.calibration


def test_enroll_update_and_remove(bank, voices):
    files = sorted((voices / "wavs/b001").glob("*.wav"))
    more = bank.enroll("Zoë B", files[:2])
    assert more.names == (*bank.names, "Zoë B")
    assert bank.names == VoiceBank(bank.voices).names
    assert more.identify(files[2]).ranking[0].name == "Zoë B"
    updated = more.enroll("Zoë B", files[2:3])
    seconds = [b.voices.speakers.seconds[b.names.index("Zoë B")] for b in (more, updated)]
    assert seconds[1] > seconds[0]
    both = bank.enroll("Zoë B", files[:3])
    np.testing.assert_allclose(
        updated.voices.speakers.means[-1], both.voices.speakers.means[-1], rtol=1e-3, atol=1e-3
    )
    assert updated.remove("Zoë B").names == bank.names
    with pytest.raises(ListError, match="'nobody' is not enrolled"):
        bank.remove("nobody")


def test_what_cannot_be_enrolled(bank, tmp_path, voices):
    short = next((voices / "wavs/b001").glob("*.wav"))
    samples, rate = soundfile.read(short)
    blip = wav(tmp_path / "blip.wav", samples[rate // 2 : rate])
    with pytest.raises(VoicegmmError, match=r"s of speech in 1 recordings, at least 1 s .*--force"):
        bank.enroll("x", [blip])
    assert bank.enroll("x", [blip], min_seconds=0).names[-1] == "x"
    silence = wav(tmp_path / "silence.wav", np.zeros(32_000))
    with pytest.raises(VoicegmmError, match=r"silence\.wav: .*\(x was not enrolled\)"):
        bank.enroll("x", [short, silence])
    for name in ("a\tb", "", " x"):
        with pytest.raises(ListError, match="must not be empty, hold a tab"):
            bank.enroll(name, [short])
    with pytest.raises(VoicegmmError, match="at least one recording"):
        bank.enroll("x", [])
    with pytest.raises(VoicegmmError, match="is given twice"):
        bank.enroll("x", [short, short.parent / "." / short.name])


def test_too_little_speech_decides_nothing(bank, voices, tmp_path):
    samples, rate = soundfile.read(next((voices / "wavs/v001").glob("*.wav")))
    cut = wav(tmp_path / "cut.wav", samples[rate // 4 : rate * 3 // 4])
    answer = bank.identify(cut)
    assert 0 < answer.seconds < bank.voices.calibration.min_seconds
    assert answer.speaker is None
    assert "nothing is decided without --force" in answer.notes[-1]
    assert bank.verify("v001", cut).accepted is None
    assert bank.verify("v001", cut).llr is not None
    assert bank.verify("v001", cut, force=True).accepted is not None


def test_ratios_stay_within_what_the_calibration_can_show(bank, voices):
    limit = bank.voices.calibration.limit
    extreme = VoiceBank(
        replace(bank.voices, calibration=replace(bank.voices.calibration, slope=1e3))
    )
    answer = extreme.identify(next((voices / "wavs/v001").glob("*.wav")))
    assert all(abs(candidate.llr) <= limit for candidate in answer.ranking)
    assert answer.ranking[-1].at_limit


def test_who_is_enrolled_later_counts_in_the_promise(bank, voices):
    more = bank
    for name in ("b001", "b002", "b003", "b004", "b005", "b006"):
        more = more.enroll(name, sorted((voices / "wavs" / name).glob("*.wav")))
    assert more.voices.promise.n_enrolled == 18
    assert more.voices.promise.threshold >= bank.voices.promise.threshold
    fewer = more
    for name in more.names[12:]:
        fewer = fewer.remove(name)
    assert fewer.voices.promise == bank.voices.promise


def test_a_recording_that_cannot_be_judged_never_gets_a_number(bank, tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "text.wav").write_text("hello")
    cases = {
        wav(tmp_path / "silence.wav", np.zeros(32_000)): "no speech",
        wav(tmp_path / "noise.wav", 0.1 * rng.standard_normal(48_000)): "no speech",
        wav(tmp_path / "short.wav", 0.1 * rng.standard_normal(100)): "too short",
        tmp_path / "text.wav": "unreadable",
        tmp_path / "missing.wav": "unreadable",
    }
    for path, status in cases.items():
        answer = bank.identify(path)
        assert (answer.status, answer.speaker, answer.ranking) == (status, None, ())
        assert path.name in answer.reason
        verified = bank.verify("v001", path)
        assert (verified.status, verified.accepted, verified.llr) == (status, None, None)


def test_few_speakers_are_uncalibrated(voices, tmp_path):
    for name in ("v001", "v002", "v003"):
        (tmp_path / name).symlink_to(voices / "wavs" / name)
    bank = VoiceBank.train(tmp_path, QUICK)
    assert not bank.calibrated
    assert "there are 3; add speakers, or give" in bank.voices.uncalibrated_because
    assert "uncalibrated" in bank.training.warnings[-1]
    file = next((voices / "wavs/v001").glob("*.wav"))
    answer = bank.identify(file)
    assert answer.speaker is None
    assert answer.ranking[0].llr is None
    forced = bank.identify(file, force=True)
    assert (forced.speaker, forced.forced) == ("v001", True)
    assert bank.verify("v001", file).accepted is None
    assert bank.verify("v001", file, force=True).accepted is True


def test_a_background_calibrates_a_single_speaker(voices, speaker_folders, tmp_path):
    (tmp_path / "v001").symlink_to(voices / "wavs/v001")
    bank = VoiceBank.train(tmp_path, QUICK, background=speaker_folders / "background")
    assert bank.calibrated
    assert bank.names == ("v001",)
    assert bank.identify(next((voices / "wavs/v002").glob("*.wav"))).ranking[0].name == "v001"


def test_a_background_of_the_same_people_is_refused(speaker_folders, voices, tmp_path):
    with pytest.raises(ListError, match="the background shares the speaker"):
        VoiceBank.train(speaker_folders / "known", QUICK, background=speaker_folders / "known")
    (tmp_path / "v001").symlink_to(voices / "wavs/b001")
    with pytest.raises(ListError, match="the background shares the speaker 'v001'"):
        VoiceBank.train(speaker_folders / "known", QUICK, background=tmp_path)


def test_speakers_that_cannot_be_used_are_left_out_and_told(voices, tmp_path):
    for name in ("v001", "v002"):
        (tmp_path / name).symlink_to(voices / "wavs" / name)
    wav(tmp_path / "mute" / "x.wav", np.zeros(16_000))
    (tmp_path / "empty").mkdir()
    bank = VoiceBank.train(tmp_path, QUICK)
    assert bank.names == ("v001", "v002")
    assert set(bank.training.left_out) == {"mute", "empty"}
    assert "holds no recording" in bank.training.left_out["empty"]
    assert "x.wav" in bank.training.left_out["mute"]
    assert list(bank.training.failures) == [str(tmp_path / "mute" / "x.wav")]


def test_nobody_can_be_enrolled(tmp_path):
    with pytest.raises(ListError, match="no recordings in sub-folders"):
        VoiceBank.train(tmp_path, QUICK)
    wav(tmp_path / "mute" / "x.wav", np.zeros(16_000))
    with pytest.raises(VoicegmmError, match=r"none of 1 recordings can be used"):
        VoiceBank.train(tmp_path, QUICK)


def test_recordings_of_8_khz_choose_the_narrow_front_end(voices, tmp_path):
    for name in ("v001", "v002"):
        for file in (voices / "wavs" / name).glob("*.wav"):
            wav(tmp_path / name / file.name, soundfile.read(file)[0][::2], 8000)
    bank = VoiceBank.train(tmp_path, QUICK)
    assert bank.voices.speakers.background.front_end.sample_rate == 8000


@pytest.mark.parametrize(
    ("n_frames", "n_components"), [(10, 8), (5000, 8), (20_000, 32), (185_000, 256), (10**8, 512)]
)
def test_components_follow_the_amount_of_speech(n_frames, n_components):
    assert choose_components(n_frames, 500) == n_components


NOON = "2026-01-31T12:00:00Z"


def test_what_enrolled_whom_is_on_record(bank, voices, tmp_path):
    files = sorted((voices / "wavs/b001").glob("*.wav"))
    assert {len(records) for records in bank.voices.speakers.records.values()} == {4}
    one = bank.enroll("zoe", files[:2], enrolled_at=NOON)
    two = one.enroll("zoe", files[2:3], enrolled_at="2026-02-01T08:00:00Z")
    two.save(tmp_path / "v.h5")
    speakers = VoiceBank.open(tmp_path / "v.h5").voices.speakers
    records = speakers.records["zoe"]
    assert [record.file for record in records] == [str(file) for file in files[:3]]
    assert [record.content for record in records] == [content_hash(file) for file in files[:3]]
    assert [record.enrolled_at for record in records] == [NOON, NOON, "2026-02-01T08:00:00Z"]
    assert sum(r.seconds for r in records) == pytest.approx(speakers.seconds[-1])
    with pytest.raises(DataError, match="must be a time in UTC as 2026-01-31T12:00:00Z"):
        bank.enroll("zoe", files, enrolled_at="yesterday")


def test_a_recording_enrolls_once(bank, voices, tmp_path, caplog):
    files = sorted((voices / "wavs/b001").glob("*.wav"))
    copy = tmp_path / "copy.wav"
    copy.write_bytes(files[0].read_bytes())
    once = bank.enroll("zoe", files[:1], enrolled_at=NOON)
    with pytest.raises(VoicegmmError, match="zoe was enrolled from all of these already; give new"):
        once.enroll("zoe", [copy])
    assert f"copy.wav: zoe was enrolled from this recording on {NOON}; it is passed" in caplog.text
    both = once.enroll("zoe", [copy, files[1]])
    again = once.enroll("zoe", [files[1]])
    assert (both.voices.speakers.means == again.voices.speakers.means).all()
    assert both.voices.speakers.records == again.voices.speakers.records
    twins = bank.enroll("zoe", [files[0], copy])
    assert (twins.voices.speakers.means == once.voices.speakers.means).all()
    with pytest.raises(VoicegmmError, match=r"copy\.wav: zoe was enrolled from this .* remove zoe"):
        once.enroll("someone else", [copy])
    assert "someone else" in once.remove("zoe").enroll("someone else", [copy]).names


def test_removal_purges_the_record(bank, voices, tmp_path):
    file = sorted((voices / "wavs/b001").glob("*.wav"))[0]
    path = tmp_path / "v.h5"
    bank.enroll("Brunhilde", [file], enrolled_at=NOON).save(path)
    secrets = [b"Brunhilde", content_hash(file).encode(), file.name.encode(), NOON.encode()]
    assert all(secret in path.read_bytes() for secret in secrets)
    VoiceBank.open(path).remove("Brunhilde").save(path)
    assert not any(secret in path.read_bytes() for secret in secrets)


def test_an_enrolling_recording_is_told_when_it_is_tried(bank, voices, tmp_path):
    copy = tmp_path / "x.wav"
    copy.write_bytes(next((voices / "wavs/v003").glob("*.wav")).read_bytes())
    note = "v003 was enrolled from this very recording: the ratio to v003 proves nothing"
    assert note in bank.identify(copy).notes
    assert note in bank.verify("v004", copy).notes
    other = next((voices / "wavs/b003").glob("*.wav"))
    assert not any("this very recording" in one for one in bank.identify(other).notes)


def test_copies_in_a_speakers_folder_count_once(voices, tmp_path, caplog):
    for name in ("v001", "v002"):
        for file in (voices / "wavs" / name).glob("*.wav"):
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / file.name).write_bytes(file.read_bytes())
    (tmp_path / "v001/zz.wav").write_bytes(file_of(voices, "v001").read_bytes())
    bank = VoiceBank.train(tmp_path, QUICK)
    assert len(bank.voices.speakers.records["v001"]) == 4
    assert "zz.wav is the same recording as" in caplog.text


def file_of(voices, name, number=0):
    return sorted((voices / "wavs" / name).glob("*.wav"))[number]


def test_a_prior_gives_posteriors(bank, voices):
    file = file_of(voices, "b001")
    plain, weighed = bank.identify(file), bank.identify(file, prior=0.25)
    assert (plain.prior, plain.nobody, plain.ranking[0].posterior) == (None, None, None)
    each = [candidate.posterior for candidate in weighed.ranking]
    assert sum(each) + weighed.nobody == pytest.approx(1)
    assert each == sorted(each, reverse=True)
    odds = [np.log(p / weighed.nobody) for p in each]
    expected = [c.llr + np.log(0.25 / 12 / 0.75) for c in weighed.ranking]
    np.testing.assert_allclose(odds, expected)
    with pytest.raises(OptionError, match="prior must be greater than 0 and less than 1, got 1"):
        bank.identify(file, prior=1.0)
    uncalibrated = VoiceBank(replace(bank.voices, calibration=None))
    with pytest.raises(OptionError, match="prior must not be given to a bank that is not calib"):
        uncalibrated.identify(file, prior=0.5)
    empty = bank
    for name in bank.names:
        empty = empty.remove(name)
    assert empty.identify(file, prior=0.5).nobody == 1.0


def test_the_explanation_is_that_of_the_score(bank, voices, tmp_path):
    file = file_of(voices, "v005")
    found = bank.explain("v005", file)
    assert found.ratio == pytest.approx(bank.verify("v005", file).score, abs=1e-4)
    with pytest.raises(VoicegmmError, match=r"nowhere\.wav"):
        bank.explain("v005", tmp_path / "nowhere.wav")


NORMALIZED = replace(QUICK, scoring=ScoringOptions(normalization=ScoreNormalizationOptions("t")))


def test_a_bank_normalizes_by_its_background(voices, tmp_path):
    for name in ("known/v001", "known/v005", *(f"others/b{n:03}" for n in range(1, 6))):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(voices / "wavs" / name[-4:])
    with pytest.raises(OptionError, match="'t' needs a cohort .* --background"):
        VoiceBank.train(tmp_path / "known", NORMALIZED)
    bank = VoiceBank.train(tmp_path / "known", NORMALIZED, background=tmp_path / "others")
    bank.save(tmp_path / "v.h5")
    bank = VoiceBank.open(tmp_path / "v.h5")
    assert len(bank.voices.cohort.models.ids) == 5
    file = file_of(voices, "v005")
    assert bank.identify(file).ranking[0].name == "v005"
    raw = VoiceBank(replace(bank.voices, scoring=ScoringOptions()))
    of_cohort = VoiceBank(replace(raw.voices, speakers=bank.voices.cohort.models, cohort=None))
    against = [candidate.score for candidate in of_cohort.identify(file).ranking]
    expected = (raw.verify("v005", file).score - np.mean(against)) / np.std(against)
    assert bank.verify("v005", file).score == pytest.approx(expected, rel=1e-4)
    # Someone of the cohort is enrolled: under whatever name, they judge nobody any more.
    more = bank.enroll("zoe", [file_of(voices, "b003")])
    assert more.voices.cohort.models.ids == ("b001", "b002", "b004", "b005")
    assert more.verify("v005", file).status == "ok"
    with pytest.raises(OptionError, match=r"must be 'none' or 't' in a voice bank, got 's'"):
        BankOptions(scoring=ScoringOptions(normalization=ScoreNormalizationOptions("s")))


@pytest.mark.slow
def test_a_normalized_bank_is_calibrated_from_normalized_scores(speaker_folders, voices):
    folders = speaker_folders / "known", NORMALIZED, speaker_folders / "background"
    bank = VoiceBank.train(*folders, n_workers=2)
    assert bank.calibrated
    answers = [bank.identify(file_of(voices, name, 1)) for name in bank.names]
    assert [answer.ranking[0].name for answer in answers] == list(bank.names)
    ratios = np.array([[c.llr for c in answer.ranking] for answer in answers])
    assert (ratios[:, 0] > 0).mean() > 0.8
    assert (ratios[:, 1:] < 0).mean() > 0.8


def test_a_bank_weighs_frames_in_enrollment_and_test(voices, tmp_path):
    for name in ("v001", "v002"):
        (tmp_path / name).symlink_to(voices / "wavs" / name)
    soft = load_front_end("voicegmm-16k", ["speech.output=weight", "speech.rise=0"])
    bank = VoiceBank.train(tmp_path, replace(QUICK, features=soft))
    file = file_of(voices, "b001")
    bank = bank.enroll("zoe", [file])
    speakers = bank.voices.speakers
    made = Pipeline(soft).extract_file(file)
    assert 0 < made.weights.min() < made.weights.max()
    heard = accumulate(speakers.background.gmm, made.frames, made.weights)
    np.testing.assert_allclose(speakers.counts[-1], heard.counts)
    model = adapt(speakers.background.gmm, heard, speakers.adaptation)
    np.testing.assert_allclose(speakers.means[-1], model.means, rtol=1e-6, atol=1e-6)
    assert speakers.seconds[-1] == pytest.approx(made.weights.sum() * 0.01, rel=1e-6)
    other = Pipeline(soft).extract_file(file_of(voices, "b001", 1))
    ratios = log_density(model, other.frames.astype(float))
    ratios -= log_density(speakers.background.gmm, other.frames.astype(float))
    expected = np.average(ratios, weights=other.weights)
    answer = bank.verify("zoe", file_of(voices, "b001", 1))
    assert answer.score == pytest.approx(expected, abs=1e-4)
    assert abs(ratios.mean() - expected) > 1e-3
    assert answer.seconds == pytest.approx(other.speech_seconds)
