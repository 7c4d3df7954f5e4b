"""Removal really removes: no byte of anybody who was removed is left in the file."""

import gzip
import zlib
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
from forging import altered

from voicegmm._base.errors import DataError, FormatError, ListError, VoicegmmError
from voicegmm._base.options import canonical_json
from voicegmm.corpus import Enrollment
from voicegmm.features import FrameSet, Pipeline, PipelineOptions
from voicegmm.mixture import EmOptions, InitialOptions, MapOptions
from voicegmm.scoring import (
    FoldOptions,
    MemoryFrames,
    Removal,
    ScoreNormalizationOptions,
    ScoringOptions,
    UbmOptions,
    train_background,
    without_speaker,
)
from voicegmm.scoring.preparation import SpeakerOptions, calibrate, make_voices
from voicegmm.scoring.removal import contents_under
from voicegmm.store import (
    Trace,
    find_traces,
    load_voices,
    new_store,
    save_background,
    save_voices,
)

NOON = "2026-01-31T12:00:00Z"
GONE = "Brünhilde von Ä"  # whose name is not ASCII
COHORT = [f"Kohort-{number}" for number in range(10)]


def content_of(file):
    return sha256(file.encode()).hexdigest()


@pytest.fixture(scope="module")
def frames():
    rng = np.random.default_rng(11)
    sets = {}
    for name in (GONE, "Other", "Third", *COHORT):
        center = rng.standard_normal(60)
        for take in range(4):
            data = (center + 2 * rng.standard_normal((80, 60))).astype(np.float32)
            made = FrameSet(data, np.ones(80), np.arange(80), 80, 0.01)
            sets[f"{name}/{take}.wav"] = replace(made, content=content_of(f"{name}{take}"))
    return MemoryFrames(PipelineOptions(), sets)


def files_of(*names):
    return [f"{name}/{take}.wav" for name in names for take in range(4)]


@pytest.fixture(scope="module")
def voices(frames):
    """Three speakers, a cohort that knows their scores, a calibration; a background of all."""
    ubm = UbmOptions(2, InitialOptions(50, 2), EmOptions(2))
    heard = files_of(GONE, *COHORT)
    background, _ = train_background(frames, heard, ubm, 0)
    others = {name: files_of(name) for name in COHORT}
    options = SpeakerOptions(
        MapOptions(),
        ScoringOptions(normalization=ScoreNormalizationOptions("zt")),
        FoldOptions(n_folds=2),
        0.0,
    )
    enrollments = [Enrollment(name, tuple(files_of(name)[:3])) for name in (GONE, "Other", "Third")]
    found = calibrate(frames, others, options, ubm, 0, enrollments)
    assert found.calibration, found.reason
    judged = found.calibration, ""
    made = make_voices(background, frames, enrollments, others, options, judged, enrolled_at=NOON)
    return replace(made, not_enrolled={"Mute": "Mute: no speech in mute.wav"})


def patterns(voices, name):
    """Give every way in which something of somebody could stand in a file."""
    found = {}
    for encoding in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "latin-1"):
        found[f"name in {encoding}"] = name.encode(encoding)
    found["name in JSON"] = name.encode("unicode-escape")
    models = [voices.speakers, voices.cohort.models]
    for model in models:
        if name not in model.ids:
            continue
        place = model.index(name)
        counts, first, _ = model.statistics(name)
        arrays = {"means": model.means[place], "counts": counts, "first": first}
        arrays["shift"] = model.means[place] - model.background.gmm.means
        for what, array in arrays.items():
            for dtype in ("<f4", ">f4", "<f8", ">f8"):
                numbers = np.asarray(array).astype(dtype)
                for row, part in enumerate(numbers.reshape(-1, numbers.shape[-1])):
                    found[f"{what} {row} as {dtype}"] = part[:2].tobytes()
        for record in model.records.get(name, ()):
            found[f"file {record.file}"] = record.file.encode()
    for number, content in enumerate(contents_under(voices, name)):
        found[f"hash {number}"] = content.encode()
        found[f"hash {number} in capitals"] = content.upper().encode()
        found[f"digest {number}"] = bytes.fromhex(content)
    cohort = voices.cohort
    if name in cohort.enrolled:
        row = cohort.of_enrolled[cohort.enrolled.index(name)]
        found["scores on the cohort"] = row[:2].tobytes()
    if name in cohort.models.ids:
        row = cohort.of_cohort[cohort.models.index(name)]
        found["scores of the cohort"] = row[np.isfinite(row)][:2].tobytes()
    return found


def inflated(content):
    """Give what any compressed stream in a file would give, wherever it begins."""
    for start in range(len(content) - 1):
        if content[start] in b"\x78\x1f":
            for tool in (zlib.decompressobj(), zlib.decompressobj(16 + zlib.MAX_WBITS)):
                try:
                    yield tool.decompress(content[start:], 1_000_000)
                except zlib.error:
                    continue


def in_file(path, wanted):
    content = path.read_bytes()
    everywhere = [content, *inflated(content)]
    return {what for what, part in wanted.items() if any(part in one for one in everywhere)}


@pytest.mark.parametrize("name", [GONE, COHORT[3]])
def test_no_byte_is_left(voices, tmp_path, name):
    path = tmp_path / "v.h5"
    wanted = patterns(voices, name)
    save_voices(path, voices)
    there = in_file(path, wanted)
    assert {"name in utf-8", "means 0 as <f4", "counts 0 as <f8", "digest 0", "digest 2"} <= there
    assert {"scores on the cohort", "scores of the cohort"} & there
    save_voices(path, without_speaker(load_voices(path), name, NOON))
    assert in_file(path, wanted) == set()
    assert [p.name for p in tmp_path.iterdir()] == ["v.h5"]
    left = load_voices(path)
    assert len(left.speakers.ids) + len(left.cohort.models.ids) == 12
    assert name not in repr(left)


def test_the_search_would_find_what_is_hidden(voices, tmp_path):
    """The other half of the test above: it looks into compressed streams, too."""
    path = tmp_path / "x"
    for hide in (zlib.compress, gzip.compress):
        path.write_bytes(b"\0x" * 9 + hide(b"..." + GONE.encode() + b"...") + b"rest")
        assert "name in utf-8" in in_file(path, patterns(voices, GONE))


def test_what_is_left_is_as_if_they_had_never_been(voices, frames, tmp_path):
    rest = without_speaker(voices, GONE)
    assert rest.speakers.ids == ("Other", "Third")
    assert rest.cohort.enrolled == ("Other", "Third")
    for name in rest.speakers.ids:
        np.testing.assert_array_equal(
            rest.speakers.means[rest.speakers.index(name)],
            voices.speakers.means[voices.speakers.index(name)],
        )
        assert rest.speakers.records[name] == voices.speakers.records[name]
    fewer = without_speaker(voices, COHORT[3])
    assert COHORT[3] not in {*fewer.cohort.models.ids, *fewer.cohort.voices}
    assert fewer.cohort.of_cohort.shape == (9, len(fewer.cohort.voices))
    with pytest.raises(ListError, match="'Nobody' is not enrolled; enrolled are: Br"):
        without_speaker(voices, "Nobody")
    assert without_speaker(voices, "Mute").not_enrolled == {}
    with pytest.raises(ListError, match="'Mute' is not enrolled"):
        without_speaker(without_speaker(voices, "Mute"), "Mute")


def test_what_still_derives_stays_on_record_and_not_from_whom(voices, tmp_path):
    path = tmp_path / "v.h5"
    rest = without_speaker(voices, GONE, NOON)
    # The background model heard this voice; the calibration was learned from the cohort alone.
    assert rest.removals == (Removal(NOON, True, False),)
    rest = without_speaker(rest, COHORT[0], NOON)
    assert rest.removals[1] == Removal(NOON, True, True)
    rest = without_speaker(rest, "Third", NOON)
    assert rest.removals[2] == Removal(NOON, False, False)
    save_voices(path, rest)
    assert load_voices(path).removals == rest.removals
    unknown = replace(voices.speakers.background, contents=None)
    old = replace(voices, speakers=replace(voices.speakers, background=unknown, records={}))
    assert without_speaker(old, GONE).removals[0].in_background is None
    with pytest.raises(DataError, match="removed_at must be a time in UTC"):
        without_speaker(voices, GONE, "today")


@pytest.mark.parametrize("name", ["\x1b[2J", "a\tb", "", " a", "\u2028"])
def test_a_name_that_no_list_could_hold_is_damage(voices, tmp_path, name):
    path = tmp_path / "v.h5"
    save_voices(path, voices)
    with altered(path) as file:
        texts = canonical_json((name, *voices.speakers.ids[1:])).encode()
        del file["speakers/ids"]
        file["speakers/ids"] = np.frombuffer(texts, np.uint8)
    with pytest.raises(FormatError, match=r"v\.h5: damaged: a speaker's name .* must not be"):
        load_voices(path)


def test_hashes_of_a_cohort_are_of_its_recordings(voices, tmp_path):
    path = tmp_path / "v.h5"
    save_voices(path, voices)
    with altered(path) as file:
        texts = canonical_json(voices.cohort.contents[:-1]).encode()
        del file["cohort/contents"]
        file["cohort/contents"] = np.frombuffer(texts, np.uint8)
    n = len(voices.cohort.voices)
    with pytest.raises(FormatError, match=rf"contents must be of {n} recordings, got {n - 1}"):
        load_voices(path)


def test_a_model_remembers_what_it_was_trained_from(voices, frames, tmp_path):
    save_voices(tmp_path / "v.h5", voices)
    again = load_voices(tmp_path / "v.h5")
    expected = sorted(frames.content(file) for file in files_of(GONE, *COHORT))
    assert list(again.speakers.background.contents) == expected
    assert list(again.calibrated_from) == sorted(map(frames.content, files_of(*COHORT)))
    sets = {**frames.sets, "x": replace(frames.sets[files_of(GONE)[0]], content="")}
    ubm = UbmOptions(2, InitialOptions(50, 2), EmOptions(1))
    partly, _ = train_background(MemoryFrames(PipelineOptions(), sets), ["x"], ubm, 0)
    assert partly.contents is None  # one is not known, and so it is not known of anybody
    save_background(tmp_path / "u.h5", partly)
    assert not in_file(tmp_path / "u.h5", {"none": b"contents"})


@pytest.fixture(scope="module")
def run(tmp_path_factory, voices, frames):
    """A folder with what a run leaves, and other things."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "run/systems/one").mkdir(parents=True)
    for place in ("run", "run/systems/one"):
        (folder / place / "stages.json").write_text("{}")
    for name, file in (("features.h5", files_of(GONE)), ("clean.h5", files_of("Other"))):
        with new_store(folder / "run/systems/one" / name, Pipeline()) as writer:
            for one in file:
                writer.add(one, frames.sets[one])
    save_background(folder / "ubm.h5", voices.speakers.background)
    save_voices(folder / "run/systems/one/speakers.h5", voices)
    old = replace(voices.speakers.background, contents=None)
    save_background(folder / "old.h5", old)
    (folder / "text.h5").write_text("no HDF5")
    (folder / "cut.h5").write_bytes((folder / "old.h5").read_bytes()[:-1])
    (folder / "unlike any").write_bytes((folder / "ubm.h5").read_bytes())
    (folder / "features.h5.partial").write_text("")
    (folder / "link.h5").symlink_to(folder / "ubm.h5")
    return folder


def test_what_else_derives_from_the_same_recordings_is_found(voices, run):
    contents = contents_under(voices, GONE)
    assert len(contents) == 3
    found = find_traces([run], contents)
    system = run / "run/systems/one"
    assert set(found.found) == {
        Trace(str(run / "ubm.h5"), "background model", 3),
        Trace(str(run / "unlike any"), "background model", 3),
        Trace(str(system / "features.h5"), "features", 3),
        Trace(str(system / "speakers.h5"), "background model", 3),
        Trace(str(system / "speakers.h5"), f"speaker model of {GONE}", 3),
        Trace(str(run / "run"), "run", 3),
    }
    untold = {path.rsplit("/", 1)[1]: reason for path, reason in found.untold.items()}
    assert untold.pop("cut.h5").startswith("damaged: it has ")
    assert untold == {
        "features.h5.partial": "unfinished: finish it, or remove it",
        "old.h5": "background model: what it was learned from is not on record",
    }
    others = find_traces([run / "run"], contents_under(voices, COHORT[0])).found
    assert {trace.what for trace in others} == {"background model", "calibration", "cohort", "run"}
    speakers = system / "speakers.h5"
    assert find_traces([system], [content_of("nobody")], skip=[speakers]).found == ()
    assert find_traces([run / "run"], contents, skip=[speakers]).found[0].what == "features"
    with pytest.raises(VoicegmmError, match="nowhere: no such folder to look in"):
        find_traces([run / "nowhere"], contents)
