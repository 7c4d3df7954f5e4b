"""Speakers in a subspace, as all other speakers: enrolled, updated, scored, normalized, kept."""

from dataclasses import replace

import numpy as np
import pytest
from forging import altered
from small_speakers import frame_set

from voicegmm._base.errors import DataError, FormatError, MismatchError, OptionError
from voicegmm.corpus import Enrollment, Trials
from voicegmm.features import PipelineOptions
from voicegmm.mixture import DiagonalGMM, EmOptions, MapOptions, accumulate, sample
from voicegmm.scoring import (
    BackgroundModel,
    FoldOptions,
    MemoryFrames,
    ScoringOptions,
    SpeakerOptions,
    SubspaceOptions,
    UbmOptions,
    Voices,
    calibrate,
    check_subspace,
    enroll,
    explain,
    linear_scores,
    log_likelihood_ratios,
    make_cohort,
    make_voices,
    score_recording,
    score_trials,
    train_subspace,
    with_speakers,
)
from voicegmm.scoring.removal import without_speaker
from voicegmm.scoring.subspaces import in_sample
from voicegmm.store import describe, load, load_voices, save, save_voices
from voicegmm.subspace import (
    BackEndOptions,
    LdaOptions,
    PldaOptions,
    Recordings,
    channel_offsets,
    evidence_scores,
    extract,
    extract_posteriors,
    plda_scores,
)
from voicegmm.subspace import enroll as speaker_models

VECTORS = BackEndOptions(lda=LdaOptions(4))
COSINE = BackEndOptions(("center", "length"), score="cosine")
SYSTEMS = {
    "isv": SubspaceOptions("isv", rank=3, n_iterations=3),
    "jfa": SubspaceOptions("jfa", rank=2, speaker_rank=3, n_iterations=3),
    "ivector-plda": SubspaceOptions("ivector", rank=6, n_iterations=3, vectors=VECTORS),
    "ivector-cosine": SubspaceOptions("ivector", rank=6, n_iterations=3, vectors=COSINE),
}
SCORING = ScoringOptions("subspace")
T_NORM = ScoringOptions("subspace", normalization=replace(SCORING.normalization, method="t"))


@pytest.fixture(scope="module")
def world():
    """Sixteen speakers of four recordings each, whose rooms differ."""
    rng = np.random.default_rng(3)
    shape = 4, 3
    gmm = DiagonalGMM(np.full(4, 0.25), 2 * rng.standard_normal(shape), np.ones(shape))
    sets, recordings = {}, {}
    for number in range(16):
        name = f"s{number:02d}"
        voice = 0.5 * rng.standard_normal(shape)
        recordings[name] = [f"{name}/{take}" for take in range(4)]
        for file in recordings[name]:
            moved = gmm.means + voice + 0.2 * rng.standard_normal(shape)
            frames = sample(DiagonalGMM(gmm.weights, moved, gmm.variances), 90, rng)[0]
            sets[file] = frame_set(frames)
    frames = MemoryFrames(PipelineOptions(), sets)
    return BackgroundModel(gmm, PipelineOptions()), frames, recordings


@pytest.fixture(scope="module")
def systems(world):
    background, frames, recordings = world
    known = {name: recordings[name] for name in list(recordings)[:11]}
    return {
        name: train_subspace(background, frames, known, options)
        for name, options in SYSTEMS.items()
    }


def some_enrolled(world, subspace, n_files=2, names=("s12", "s13", "s14")):
    background, frames, recordings = world
    wanted = [Enrollment(name, tuple(recordings[name][:n_files])) for name in names]
    models, failures = enroll(background, frames, wanted, MapOptions(), subspace=subspace)
    assert not failures
    return models


def moments(world, files):
    background, frames, _ = world
    each = [accumulate(background.gmm, frames.sets[file].frames) for file in files]
    return each, Recordings.of(background.gmm, each, np.float32)


def test_the_subspace_may_be_trained_with_another_relevance_than_enrolls(world, systems):
    background, frames, recordings = world
    known = {name: recordings[name] for name in list(recordings)[:11]}
    wanted = SYSTEMS["isv"], replace(SYSTEMS["isv"], relevance=10.0)
    usual, other = (train_subspace(background, frames, known, one, 40) for one in wanted)
    trained = systems["isv"].factors  # with the usual relevance, 10
    assert other.factors.relevance == usual.factors.relevance == 40
    np.testing.assert_array_equal(other.factors.session_loadings, trained.session_loadings)
    assert not np.allclose(usual.factors.session_loadings, trained.session_loadings)
    models = some_enrolled(world, other)
    _, enrolled = moments(world, [file for one in models.ids for file in recordings[one][:2]])
    means = speaker_models(replace(trained, relevance=40), enrolled, np.repeat(models.ids, 2))[1]
    gmm = background.gmm
    np.testing.assert_allclose(models.models, means - gmm.means, atol=1e-6)  # variances of 1


@pytest.mark.parametrize("name", ["isv", "jfa"])
def test_factor_analysis_is_linear_scoring_beside_the_offset_of_the_session(name, world, systems):
    subspace = systems[name]
    background, frames, recordings = world
    models = some_enrolled(world, subspace)
    tests = [recordings[one][3] for one in ("s12", "s13", "s15")]
    statistics, tried = moments(world, tests)
    files = [file for one in models.ids for file in recordings[one][:2]]
    _, enrolled = moments(world, files)
    means = speaker_models(subspace.factors, enrolled, np.repeat(models.ids, 2))[1]
    offsets = channel_offsets(subspace.factors, tried)
    expected = linear_scores(background.gmm, means, statistics, channel_offsets=offsets)
    trials = Trials.of((model, test, -1) for test in tests for model in models.ids)
    table = score_trials(Voices(models, scoring=SCORING), frames, trials)
    np.testing.assert_allclose(table.scores.reshape(3, 3), expected.T, rtol=1e-4, atol=1e-5)
    alone = log_likelihood_ratios(models, frames.sets[tests[0]].frames, options=SCORING)
    np.testing.assert_allclose(alone, expected[:, 0], rtol=1e-4, atol=1e-5)


def test_vectors_are_compared_by_the_book(world, systems):
    subspace = systems["ivector-plda"]
    _, frames, recordings = world
    models = some_enrolled(world, subspace)
    tests = [recordings[one][3] for one in ("s12", "s13", "s15")]
    found = [
        log_likelihood_ratios(models, frames.sets[test].frames, options=SCORING) for test in tests
    ]
    back_end = subspace.back_end
    sides = [
        back_end(extract(subspace.factors, moments(world, files)[1]))
        for files in (tests, [file for one in models.ids for file in recordings[one][:2]])
    ]
    means = sides[1].reshape(3, 2, -1).mean(axis=1)
    expected = plda_scores(back_end.plda, means, sides[0], np.full(3, 2))
    np.testing.assert_allclose(np.transpose(found), expected, rtol=1e-3, atol=1e-3)


def test_vectors_that_are_not_sure_are_compared_by_the_book(world, systems):
    _, frames, recordings = world
    certain = systems["ivector-plda"]
    back_end = certain.back_end
    vectors = replace(back_end.options, uncertainty=True)
    options = replace(certain.options, vectors=vectors)
    unsure = replace(certain, options=options, back_end=replace(back_end, options=vectors))
    models = some_enrolled(world, unsure)
    tests = [recordings[one][3] for one in ("s12", "s15")]
    found = [
        log_likelihood_ratios(models, frames.sets[test].frames, options=SCORING) for test in tests
    ]
    files = [file for one in models.ids for file in recordings[one][:2]]
    sides = []
    for each, owners in ((files, np.repeat(np.arange(3), 2)), (tests, None)):
        heard = extract_posteriors(certain.factors, moments(world, each)[1])
        sides.append(unsure.back_end.evidence(heard.means, heard.covariances, owners))
    np.testing.assert_allclose(np.transpose(found), evidence_scores(*sides), rtol=1e-3, atol=1e-3)
    plain = some_enrolled(world, certain)
    sure = log_likelihood_ratios(plain, frames.sets[tests[0]].frames, options=SCORING)
    assert np.abs(sure - found[0]).max() > 1e-3
    assert (
        log_likelihood_ratios(models.chosen([]), frames.sets[tests[0]].frames, options=SCORING).size
        == 0
    )


@pytest.mark.parametrize("name", list(SYSTEMS))
def test_a_speaker_is_updated_without_the_old_recordings(name, world, systems):
    recordings = world[2]
    together = some_enrolled(world, systems[name], 3)
    models = some_enrolled(world, systems[name], 2)
    for one in models.ids:
        statistics, _ = moments(world, [recordings[one][2]])
        models = models.with_recordings(one, statistics, 0.9)
    assert models.ids == together.ids
    np.testing.assert_array_equal(models.n_recordings, [3, 3, 3])
    np.testing.assert_allclose(models.models, together.models, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(models.seconds, together.seconds)
    statistics, _ = moments(world, recordings["s15"][:2])
    grown = models.with_recordings("s15", statistics, 1.8)
    fresh = some_enrolled(world, systems[name], 2, ["s15"])
    np.testing.assert_allclose(grown.chosen(["s15"]).models, fresh.models, rtol=1e-4, atol=1e-5)
    back = grown.chosen(models.ids)
    assert back.fingerprint == models.fingerprint != grown.fingerprint


@pytest.mark.parametrize(
    ("name", "scoring"),
    [
        ("isv", T_NORM),
        ("ivector-plda", SCORING),
        pytest.param("jfa", T_NORM, marks=pytest.mark.slow),
        pytest.param("isv", SCORING, marks=pytest.mark.slow),
        pytest.param("ivector-plda", T_NORM, marks=pytest.mark.slow),
        pytest.param("ivector-cosine", T_NORM, marks=pytest.mark.slow),
    ],
)
def test_trials_files_and_workers(name, scoring, world, systems, tmp_path):
    _, frames, recordings = world
    models = some_enrolled(world, systems[name], names=("s11", "s12", "s13", "s14", "s15"))
    voices = Voices(models, scoring=scoring)
    if scoring is T_NORM:
        others = {one: recordings[one] for one in list(recordings)[:11]}
        voices = replace(voices, cohort=make_cohort(models, frames, others, 2, scoring))
    trials = Trials.of(
        (model, recordings[voice][take], int(model == voice))
        for voice in models.ids
        for take in (2, 3)
        for model in models.ids
    )
    tables = [score_trials(voices, frames, trials, n_workers=n) for n in (1, 2)]
    assert tables[0].scores.tobytes() == tables[1].scores.tobytes()
    scores = tables[0].scores
    assert scores[trials.labels == 1].mean() > scores[trials.labels == 0].mean() + 0.05
    path = tmp_path / "voices.h5"
    save_voices(path, voices)
    again = load_voices(path)
    assert again.speakers.fingerprint == models.fingerprint
    assert score_trials(again, frames, trials).scores.tobytes() == scores.tobytes()
    one = score_recording(again, frames.sets[trials.tests[0]].frames, names=["s13", "s11"])
    np.testing.assert_allclose(one, scores[[2, 0]], rtol=1e-4, atol=1e-4)
    told = describe(path)
    assert told["format_version"] == 3
    assert told["backend"]["backend"] == systems[name].options.method


def test_who_leaves_and_who_comes_changes_nobody_else(world, systems):
    _, frames, recordings = world
    models = some_enrolled(world, systems["isv"])
    others = {one: recordings[one] for one in list(recordings)[:11]}
    z_norm = replace(T_NORM, normalization=replace(T_NORM.normalization, method="s"))
    voices = Voices(models, scoring=z_norm)
    voices = replace(voices, cohort=make_cohort(models, frames, others, 2, z_norm))
    left = without_speaker(voices, "s13")
    assert left.speakers.ids == left.cohort.enrolled == ("s12", "s14")
    statistics, _ = moments(world, recordings["s14"][2:])
    changed = with_speakers(left, left.speakers.with_recordings("s14", statistics, 1.8))
    assert changed.cohort.enrolled == ("s12",)
    with pytest.raises(MismatchError, match="made anew|make the speakers anew"):
        score_recording(changed, frames.sets["s15/0"].frames)


def test_calibration_by_folds_trains_a_subspace_in_each(world):
    _, frames, recordings = world
    options = SpeakerOptions(
        scoring=SCORING,
        calibration=FoldOptions(n_folds=2, n_enroll=2),
        backend=SYSTEMS["isv"],
    )
    ubm = UbmOptions(4, em=EmOptions(n_iterations=2))
    earnest = [Enrollment(name, tuple(files[:2])) for name, files in recordings.items()]
    found = calibrate(frames, recordings, options, ubm, 0, earnest)
    assert found.calibration is not None, found.reason
    table = found.development
    labels = table.trials.labels
    assert table.scores[labels == 1].mean() > table.scores[labels == 0].mean() + 0.1
    plain = replace(options, scoring=ScoringOptions(), backend=SubspaceOptions())
    assert calibrate(frames, recordings, plain, ubm, 0, earnest).development is not None


def test_voices_are_made_of_a_subspace(world, systems):
    background, frames, recordings = world
    earnest = [Enrollment("s12", tuple(recordings["s12"][:2])), Enrollment("x", ("y",))]
    options = SpeakerOptions(scoring=SCORING, backend=SYSTEMS["isv"])
    voices = make_voices(
        background, frames, earnest, {}, options, (None, "why"), subspace=systems["isv"]
    )
    assert voices.speakers.ids == ("s12",)
    assert set(voices.not_enrolled) == {"x"}
    assert voices.speakers.seconds[0] == pytest.approx(1.8)


def test_a_subspace_in_its_file(world, systems, tmp_path):
    for name in ("isv", "ivector-plda"):
        subspace = systems[name]
        path = tmp_path / f"{name}.h5"
        save(path, subspace)
        found = load(path)
        assert found.fingerprint == subspace.fingerprint
        assert (found.options, found.notes) == (subspace.options, subspace.notes)
        assert describe(path)["backend"] == subspace.options.method
    with altered(path) as file:
        file["subspace"]["loadings"][0, 0, 0] += 1
    with pytest.raises(FormatError, match="does not fit its fingerprint"):
        load(path)


def test_speakers_without_a_subspace_are_written_as_before(world, tmp_path):
    background, frames, _ = world
    adapted, _ = enroll(background, frames, [Enrollment("a", ("s00/0",))], MapOptions())
    save_voices(tmp_path / "voices.h5", Voices(adapted))
    told = describe(tmp_path / "voices.h5")
    assert (told["format_version"], told["backend"]) == (2, None)


def test_damage_in_speakers_is_named(world, systems, tmp_path):
    models = some_enrolled(world, systems["isv"])
    path = tmp_path / "voices.h5"

    def broken(change, message):
        save_voices(path, Voices(models, scoring=SCORING))
        with altered(path) as file:
            change(file)
        with pytest.raises(FormatError, match=message):
            load_voices(path)

    def other_number(file):
        file["subspace"]["session_loadings"][0, 0, 0] += 1

    def other_row(file):
        file["speakers"]["speaker_of"][0] = 1

    broken(other_number, "speakers do not fit their fingerprint")
    broken(other_row, "speaker_of must name every speaker")
    broken(lambda file: file["speakers"].pop("moments"), "moments is missing")


class TestTooLittle:
    def test_ranks_are_lowered_and_it_is_said(self, world):
        background, frames, recordings = world
        few = {name: recordings[name][:2] for name in list(recordings)[:4]}
        found = train_subspace(background, frames, few, SubspaceOptions("isv", n_iterations=1))
        assert found.options.rank == 4
        assert found.notes == (
            "backend.rank is 4 in the place of 40: 8 recordings of 4 speakers show no more",
        )
        plda = BackEndOptions(lda=LdaOptions(9), plda=PldaOptions(rank=8))
        options = SubspaceOptions("ivector", 9, n_iterations=1, vectors=plda)
        found = train_subspace(background, frames, few, options)
        vectors = found.options.vectors
        assert (found.options.rank, vectors.lda.n_dims, vectors.plda.rank) == (4, 3, 3)
        assert len(found.notes) == 3

    def test_less_is_believed_of_recordings_that_enroll(self):
        options = SubspaceOptions("isv", rank=9)
        found, (note,) = in_sample(options, 10, 40)
        assert found.rank == 5
        assert note.startswith("backend.rank is 5 in the place of 9: the recordings that enroll")
        assert in_sample(options, 10, 64) == (options, ())
        assert in_sample(SYSTEMS["ivector-plda"], 2, 4) == (SYSTEMS["ivector-plda"], ())
        assert in_sample(options, 4, 5)[0].rank == 1

    @pytest.mark.parametrize("name", ["isv", "jfa", "ivector-plda"])
    def test_one_recording_a_speaker(self, name, world):
        background, frames, recordings = world
        one_each = {name: files[:1] for name, files in recordings.items()}
        with pytest.raises(DataError, match="with two usable recordings or more, or take 'map'"):
            train_subspace(background, frames, one_each, SYSTEMS[name])

    def test_cosines_need_no_second_recording(self, world):
        background, frames, recordings = world
        one_each = {name: files[:1] for name, files in recordings.items()}
        found = train_subspace(background, frames, one_each, SYSTEMS["ivector-cosine"])
        assert found.options.rank == 6

    def test_one_speaker(self, world):
        background, frames, recordings = world
        alone = {"s00": recordings["s00"]}
        for name in ("ivector-plda", "jfa"):
            with pytest.raises(DataError, match="cannot be trained on 4 recordings of 1 speakers"):
                train_subspace(background, frames, alone, SYSTEMS[name])
        # What differs between recordings of one voice is what differs between sessions.
        assert train_subspace(background, frames, alone, SYSTEMS["isv"]).options.rank == 3

    def test_nobody(self, world):
        background, frames, _ = world
        for options in SYSTEMS.values():
            with pytest.raises(DataError, match="0 recordings of 0 speakers"):
                train_subspace(background, frames, {"x": ["y"]}, options)


def test_misuse_is_refused(world, systems):
    background, frames, recordings = world
    other = MemoryFrames(PipelineOptions(sample_rate=8000), frames.sets)
    with pytest.raises(MismatchError, match="different front ends"):
        train_subspace(background, other, recordings, SYSTEMS["isv"])
    gmm = background.gmm
    moved = BackgroundModel(
        DiagonalGMM(gmm.weights, gmm.means + 0.1, gmm.variances), PipelineOptions()
    )
    for subspace in (systems["isv"], systems["ivector-plda"]):
        with pytest.raises(MismatchError, match="statistics are of another background model"):
            some_enrolled((moved, frames, recordings), subspace)
    models = some_enrolled(world, systems["isv"])
    heard = frames.sets["s15/0"].frames
    vectors = some_enrolled(world, systems["ivector-plda"])
    with pytest.raises(MismatchError, match="one of subspace for speakers of the .* 'ivector'"):
        log_likelihood_ratios(vectors, heard)
    adapted, _ = enroll(background, frames, [Enrollment("a", ("s00/0",))], MapOptions())
    with pytest.raises(MismatchError, match="one of exact, top, .* for speakers of .* 'map'"):
        log_likelihood_ratios(adapted, heard, options=SCORING)
    with pytest.raises(MismatchError, match="an explanation takes a mixture of each speaker"):
        explain(models, "s12", heard)
    for make, message in (
        (lambda: SubspaceOptions("lda"), "method must be one of"),
        (lambda: SubspaceOptions(rank=3), "rank must not be given with the method 'map', got 3"),
        (lambda: SubspaceOptions("isv", speaker_rank=3), "speaker_rank must not be given"),
        (lambda: SubspaceOptions("isv", vectors=COSINE), "vectors must not be given"),
        (lambda: SubspaceOptions("isv", rank=-1), "rank must be at least 0"),
        (lambda: SubspaceOptions("isv", relevance=-1), "relevance must be at least 0, got -1"),
        (lambda: SubspaceOptions("ivector", relevance=4), "relevance must not be given .* got 4"),
        (
            lambda: check_subspace(SYSTEMS["isv"], MapOptions(), ScoringOptions("linear")),
            "one of subspace, exact, top with backend.method 'isv', got 'linear'",
        ),
        (
            lambda: check_subspace(SubspaceOptions(), MapOptions(), SCORING),
            "scoring.method must be one of exact, top, .* with backend.method 'map'",
        ),
        (
            lambda: check_subspace(SYSTEMS["isv"], MapOptions(relevance=0), SCORING),
            "adaptation must be of the rule 'reynolds'",
        ),
        (
            lambda: check_subspace(SYSTEMS["ivector-plda"], MapOptions(relevance=4), SCORING),
            "which adapts nothing",
        ),
        (lambda: ScoringOptions("subspace", length_normalization=False), "length_normalization"),
    ):
        with pytest.raises(OptionError, match=message):
            make()
