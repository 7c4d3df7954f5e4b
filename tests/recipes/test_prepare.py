"""The recipes' prepare.py: one protocol from both layouts, and what they refuse."""

import csv
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from recipe_scripts import RECIPES, prepared

from voicegmm._base.errors import ListError
from voicegmm.corpus import (
    Protocol,
    leakage_warnings,
    read_enrollments,
    read_files,
    read_segments,
    read_trials,
    read_utterances,
    speaker_of,
)
from voicegmm.experiment import load_recipe


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def content(lists):
    return {p.name: p.read_bytes() for p in lists.iterdir() if p.name != "files.tsv"}


def same_lists(one, other):
    """Compare what two folders of lists say, whatever way their trials are written."""
    ours = {"files.tsv", "ubm_dev.txt", "trials_dev.txt"}  # not of the protocol
    names = {path.name for path in one.iterdir()} - ours
    assert names == {path.name for path in other.iterdir()}
    assert read_files(one / "ubm.txt") == read_files(other / "ubm.txt")
    assert read_enrollments(one / "enrol.tsv") == read_enrollments(other / "enrol.tsv")
    for name in names:
        if name.startswith("trials"):
            left, right = read_trials(one / name), read_trials(other / name)
            assert (left.models, left.tests) == (right.models, right.tests)
            assert np.array_equal(left.model_index, right.model_index)
            assert np.array_equal(left.test_index, right.test_index)
            assert np.array_equal(left.labels, right.labels)
        elif name == "segments.tsv":
            assert read_segments(one / name) == read_segments(other / name)


# ---------------------------------------------------------------------------------- speechocean762


def rule_keeps(utterances):
    return sorted(sorted(utterances, key=lambda name: sha256(name.encode()).hexdigest())[:10])


TABLES = ("wav.scp", "utt2spk", "spk2age", "spk2gender")


def write_ocean(root, speakers, blank="\t"):
    """Write a public tree: speakers as (name, part, age, gender, utterances), files empty."""
    tables = {}
    for name, part, age, gender, utterances in speakers:
        of = tables.setdefault(part, {table: [] for table in TABLES})
        of["spk2age"].append(f"{name}{blank}{age}")
        of["spk2gender"].append(f"{name}{blank}{gender}")
        for utterance in utterances:
            place = f"WAVE/SPEAKER{name}/{utterance}.WAV"
            touch(root / place)
            of["wav.scp"].append(f"{utterance}{blank}{place}")
            of["utt2spk"].append(f"{utterance} {name}")
    for part, of in tables.items():
        (root / part).mkdir(parents=True)
        for table, lines in of.items():
            (root / part / table).write_text("\n".join(lines) + "\n")
    return root


def twenty(name):
    return [f"0{name}0{number:03}" for number in range(3, 203, 10)]


# Not in the order of their names, as in the corpus; one is fifteen, one sixteen.
SPEAKERS = [
    (name, part, age, gender, twenty(name))
    for name, part, age, gender in [
        ("9003", "train", 22, "m"),
        ("0007", "train", 16, "f"),
        ("0008", "train", 15, "f"),
        ("2001", "test", 30, "f"),
        ("0101", "test", 20, "f"),
        ("0102", "test", 41, "m"),
        ("0103", "test", 6, "m"),
    ]
]


@pytest.fixture
def ocean(tmp_path):
    return write_ocean(tmp_path / "ocean", SPEAKERS)


@pytest.mark.parametrize("blank", ["\t", " ", "  "])
def test_ocean_protocol_is_computed_by_its_rule(tmp_path, blank):
    data = write_ocean(tmp_path / "ocean", SPEAKERS, blank)
    lists = prepared("speechocean762", data, tmp_path / "lists")
    kept = {
        name: [f"{name}/{u}.flac" for u in rule_keeps(utterances)]
        for name, _, _, _, utterances in SPEAKERS
    }
    assert read_files(lists / "ubm.txt") == (*kept["0007"], *kept["9003"])
    enrolled = {e.model: list(e.files) for e in read_enrollments(lists / "enrol.tsv")}
    assert enrolled == {name: kept[name][:4] for name in ("0101", "0102", "2001")}
    trials = read_trials(lists / "trials.txt")
    rows = [
        (trials.models[m], trials.tests[t], int(label))
        for m, t, label in zip(trials.model_index, trials.test_index, trials.labels, strict=True)
    ]
    women, men = ("0101", "2001"), ("0102",)
    assert sorted(rows) == sorted(
        (model, file, int(model == voice))
        for group in (women, men)
        for model in group
        for voice in group
        for file in kept[voice][4:]
    )
    assert len(rows) == 6 * (4 + 1)


def test_ocean_protocol_is_usable_and_without_leaks(ocean, tmp_path):
    lists = prepared("speechocean762", ocean, tmp_path / "lists")
    protocol = Protocol.read(lists, ocean)
    assert leakage_warnings(protocol) == ()
    for file, path in protocol.paths.items():
        assert path.is_file()
        assert path.stem == Path(file).stem
        assert path.parent.name == f"SPEAKER{speaker_of(file)}"


def test_ocean_layouts_give_the_same_lists(ocean, tmp_path):
    computed = prepared("speechocean762", ocean, tmp_path / "lists")
    copy = tmp_path / "copy"
    for file in read_utterances(computed / "files.tsv").paths:
        touch(copy / file)
    before = content(computed)
    (copy / "protocol").mkdir()
    for name, text in before.items():
        (copy / "protocol" / name).write_bytes(text)
    again = prepared("speechocean762", copy, computed)  # into the lists of the other layout
    assert content(again) == before
    assert set(Protocol.read(again, copy).paths) == {str(f) for f in files_below(copy)}


def files_below(copy):
    return [path.relative_to(copy) for path in copy.glob("*/*.flac")]


def edit(path, change):
    path.write_text(change(path.read_text()))


@pytest.mark.parametrize(
    ("table", "change", "message"),
    [
        (
            "test/wav.scp",
            lambda text: text.replace("WAVE", "cat WAVE", 1).replace("WAV\n", "WAV |\n", 1),
            r"wav\.scp: \d+: a command, not a path",
        ),
        ("test/wav.scp", lambda text: text + text, r"wav\.scp: line 81: \d+ stands in the list"),
        ("test/wav.scp", lambda text: text[:40], r"wav\.scp: \d+ is missing"),
        ("test/utt2spk", lambda text: text.split("\n", 1)[1], r"2001 has 19 utterances, expected"),
        ("test/utt2spk", lambda text: text + "alone\n", r"utt2spk: line 81: expected a name and"),
        ("test/spk2age", lambda text: text.split("\n", 1)[1], r"spk2age: 2001 is missing"),
        ("test/spk2age", lambda text: text.replace("30", "?"), r"spk2age: an age must be a number"),
        ("test/spk2gender", lambda text: text.split("\n", 1)[1], r"spk2gender: 2001 is missing"),
    ],
)  # fmt: skip
def test_ocean_refuses_damaged_tables(ocean, tmp_path, table, change, message):
    edit(ocean / table, change)
    with pytest.raises(ListError, match=message):
        prepared("speechocean762", ocean, tmp_path / "lists")


def test_ocean_refuses_a_missing_recording(ocean, tmp_path):
    lost = rule_keeps(twenty("0101"))[7]
    (ocean / f"WAVE/SPEAKER0101/{lost}.WAV").unlink()
    with pytest.raises(ListError, match=rf"1 of 50 recordings are missing.*0101/{lost}\.WAV"):
        prepared("speechocean762", ocean, tmp_path / "lists")


def test_ocean_refuses_a_missing_table(ocean, tmp_path):
    (ocean / "train/spk2age").unlink()
    with pytest.raises(ListError, match=r"spk2age: no such list"):
        prepared("speechocean762", ocean, tmp_path / "lists")


def test_ocean_refuses_a_speaker_of_both_parts(tmp_path):
    both = ("0007", "test", 16, "f", [f"x{name}" for name in twenty("0007")])
    data = write_ocean(tmp_path / "ocean", [*SPEAKERS, both])
    with pytest.raises(ListError, match="speaker 0007 stands in train and in test"):
        prepared("speechocean762", data, tmp_path / "lists")


def test_ocean_gives_what_the_shared_protocol_says(shared, tmp_path):
    copy = shared("corpora/speechocean762-adults")
    with (copy / "metadata.tsv").open() as table:
        rows = list(csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE))
    voices = {row["speaker"]: row for row in rows}
    kept = {name: [Path(r["file"]).stem for r in rows if r["speaker"] == name] for name in voices}
    # The other ten utterances are not in the copy: any that the rule passes over will do.
    speakers = [
        (name, row["source_split"], row["age"], row["gender"], kept[name] + passed_over(kept[name]))
        for name, row in reversed(voices.items())
    ]
    data = write_ocean(tmp_path / "ocean", [*speakers, ("0001", "train", 6, "m", twenty("0001"))])
    computed = prepared("speechocean762", data, tmp_path / "lists")
    copied = prepared("speechocean762", copy, tmp_path / "copied")
    assert content(computed) == content(copied)
    same_lists(computed, copy / "protocol")
    assert read_utterances(computed / "files.tsv").paths.keys() == {row["file"] for row in rows}


def test_ocean_keeps_the_sentences_of_a_speaker_of_the_corpus(tmp_path):
    # Speaker 0024: all twenty numbers in the corpus's test/utt2spk, and the ten of them that the
    # subset's protocol/enrol.tsv and trials.txt name.
    listed = [10, 31, 60, 71, 73, 99, 115, 116, 151, 152]
    listed += [248, 284, 287, 289, 320, 323, 324, 329, 350, 352]
    speaker = ("0024", "test", 25, "f", [f"000240{number:03}" for number in listed])
    data = write_ocean(tmp_path / "ocean", [speaker, SPEAKERS[0]])
    protocol = Protocol.read(prepared("speechocean762", data, tmp_path / "lists"), data)
    (enrollment,) = protocol.enrollments
    enrolled = [31, 60, 71, 248]
    tried = [284, 287, 320, 323, 324, 352]
    assert enrollment.files == tuple(f"0024/000240{number:03}.flac" for number in enrolled)
    assert protocol.trials.tests == tuple(f"0024/000240{number:03}.flac" for number in tried)


def passed_over(kept):
    """Give ten names whose digests are larger than all of those kept."""
    largest = max(sha256(name.encode()).hexdigest() for name in kept)
    names = (f"{kept[0]}x{number}" for number in range(10_000))
    larger = (name for name in names if sha256(name.encode()).hexdigest() > largest)
    return [next(larger) for _ in range(10)]


# -------------------------------------------------------------------------------------------- fsdd


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """The public layout with empty files, a seventh speaker and a 51st take that do not count."""
    folder = tmp_path_factory.mktemp("digits") / "recordings"
    folder.mkdir()
    speakers = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler", "ada")
    for speaker in speakers:
        for digit in range(10):
            for take in range(51):
                (folder / f"{digit}_{speaker}_{take}.wav").touch()
    return folder.parent


def test_fsdd_protocol_is_computed_by_its_rule(digits, tmp_path):
    lists = prepared("fsdd", digits, tmp_path / "lists")

    def takes(files):
        return sorted({int(Path(file).stem.split("_")[2]) for file in files})

    training = read_files(lists / "ubm.txt")
    assert (len(training), takes(training)) == (2700, list(range(5, 50)))
    enrolled = read_enrollments(lists / "enrol.tsv")
    names = ["george", "jackson", "lucas", "nicolas", "theo", "yweweler"]
    assert [enrollment.model for enrollment in enrolled] == names
    for enrollment in enrolled:
        assert (len(enrollment.files), takes(enrollment.files)) == (100, list(range(5, 15)))
        assert {speaker_of(file) for file in enrollment.files} == {enrollment.model}
    short, long = read_trials(lists / "trials.txt"), read_trials(lists / "trials_long.txt")
    assert (len(short), short.labels.sum(), takes(short.tests)) == (1800, 300, [0, 1, 2, 3, 4])
    assert (len(long), long.labels.sum()) == (180, 30)
    for model, test, label in zip(short.model_index, short.test_index, short.labels, strict=True):
        assert label == (short.models[model] == speaker_of(short.tests[test]))
    segments = read_segments(lists / "segments.tsv")
    assert tuple(segments) == long.tests
    for name, files in segments.items():
        speaker, take = name.split("-")
        assert files == tuple(f"{speaker}/{digit}_{speaker}_{take}.flac" for digit in range(10))


def test_fsdd_development_lists_keep_away_from_the_tests(digits, tmp_path):
    lists = prepared("fsdd", digits, tmp_path / "lists")
    training = set(read_files(lists / "ubm_dev.txt"))
    tests = set(read_trials(lists / "trials_dev.txt").tests)
    assert (len(training), len(tests)) == (1800, 900)
    assert training | tests == set(read_files(lists / "ubm.txt"))
    assert {f for e in read_enrollments(lists / "enrol.tsv") for f in e.files} < training
    protocol = Protocol.read(lists, digits, background="ubm_dev.txt", trials="trials_dev.txt")
    (warning,) = leakage_warnings(protocol)
    assert "holds 6 speakers of the trials" in warning


def test_fsdd_lists_lead_to_the_recordings(digits, tmp_path):
    lists = prepared("fsdd", digits, tmp_path / "lists")
    for trials, segments in (("trials.txt", ""), ("trials_long.txt", "segments.tsv")):
        protocol = Protocol.read(lists, digits, trials=trials, segments=segments)
        assert len(protocol.paths) == 3000
        for file, path in protocol.paths.items():
            digit, speaker, take = Path(file).stem.split("_")
            assert speaker == speaker_of(file)
            assert path.name == f"{digit}_{speaker}_{int(take)}.wav"
        (warning,) = leakage_warnings(protocol)  # the speakers themselves, by design; no recording
        assert "holds 6 speakers of the trials" in warning


def test_fsdd_gives_what_the_shared_protocol_says(shared, digits, tmp_path):
    copy = shared("corpora/fsdd")
    computed = prepared("fsdd", digits, tmp_path / "lists")
    copied = prepared("fsdd", copy, tmp_path / "copied")
    assert content(computed) == content(copied)
    same_lists(computed, copy / "protocol")


def test_fsdd_refuses_a_missing_recording(digits, tmp_path):
    data = tmp_path / "data"
    (data / "recordings").mkdir(parents=True)
    for path in (digits / "recordings").iterdir():
        if path.name not in ("7_theo_12.wav", "7_theo_3.wav"):
            (data / "recordings" / path.name).symlink_to(path)
    with pytest.raises(ListError, match=r"2 of 3000 .* missing, the first is recordings/7_theo_12"):
        prepared("fsdd", data, tmp_path / "lists")


# -------------------------------------------------------------------------------------------- both


@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        ("speechocean762", "not speechocean762; expected its folders WAVE, train and test"),
        ("fsdd", "not the Free Spoken Digit Dataset; expected its folder recordings"),
    ],
)
def test_another_folder_is_refused(corpus, message, tmp_path):
    with pytest.raises(ListError, match=message):
        prepared(corpus, tmp_path, tmp_path / "lists")


@pytest.mark.parametrize("corpus", ["speechocean762", "fsdd"])
def test_a_list_of_a_copy_that_names_a_file_twice_is_refused(corpus, tmp_path):
    (tmp_path / "protocol").mkdir()
    (tmp_path / "protocol" / "ubm.txt").write_text("a/x.flac\na/x.flac\n")
    with pytest.raises(ListError, match=r"ubm\.txt: line 2: a/x\.flac stands on line 1 already"):
        prepared(corpus, tmp_path, tmp_path / "lists")


@pytest.mark.parametrize("corpus", ["speechocean762", "fsdd"])
def test_recipe_loads_and_names_its_prepare(corpus):
    loaded = load_recipe(str(RECIPES / corpus / "recipe.toml"))
    assert loaded.recipe.name == corpus
    assert (loaded.folder / loaded.recipe.data.prepare).is_file()


def test_fsdd_recipe_fits_six_speakers_at_8_kilohertz():
    recipe = load_recipe(str(RECIPES / "fsdd/recipe.toml")).recipe
    assert recipe.features.sample_rate == 8000
    assert recipe.calibration.design == "insiders"
    assert recipe.calibration.min_speakers == 6
