"""The lists of VoxCeleb1: the trials of its test part, other people's dev part as background."""

from pathlib import Path

from voicegmm._base.errors import ListError
from voicegmm.corpus import (
    Enrollment,
    drawn,
    read_corpus,
    read_trials,
    speaker_of,
    write_enrollments,
    write_files,
    write_paths,
    write_trials,
)

N_BACKGROUND = 10  # recordings of each speaker of the dev part
TRIALS = {"veri_test.txt": "trials.txt", "veri_test2.txt": "trials_cleaned.txt"}


def prepare(data: Path, lists: Path) -> None:
    """Write ubm.txt, enrol.tsv, trials.txt and files.tsv; trials_cleaned.txt where it is known.

    Parameters
    ----------
    data : path
        With veri_test.txt, and veri_test2.txt if the cleaned trials are wanted too; and the
        recordings as id10001/<video>/00001.wav, in it, in wav, or in the wav folders of parts.
    lists : path
        The folder to write into.

    Raises
    ------
    ListError
        If there are no trials, no recordings, or none of people who are not tried; or a recording
        that is tried is missing.
    """
    places = {name: data / name for name in TRIALS if (data / name).is_file()}
    if "veri_test.txt" not in places:
        raise ListError(f"{data}: no veri_test.txt; put the list of trials beside the recordings")
    tried = {name: read_trials(path) for name, path in places.items()}
    paths = read_corpus(data, "voxceleb").paths
    for name, trials in tried.items():
        missing = sorted({*trials.models, *trials.tests} - paths.keys())
        if missing:
            raise ListError(
                f"{places[name]}: {len(missing)} recordings are not in {data}, the first is "
                f"{missing[0]}; get the whole test part"
            )
    models = sorted({model for trials in tried.values() for model in trials.models})
    known = {speaker_of(file) for trials in tried.values() for file in trials.tests}
    known |= {speaker_of(model) for model in models}
    others: dict[str, list[str]] = {}
    for file in paths:
        if speaker_of(file) not in known:
            others.setdefault(speaker_of(file), []).append(file)
    if not others:
        raise ListError(
            f"{data}: all speakers are in the trials; the background model needs the dev part too"
        )
    background = [file for own in others.values() for file in drawn(own, N_BACKGROUND)]
    write_files(lists / "ubm.txt", background)
    write_enrollments(lists / "enrol.tsv", (Enrollment(model, (model,)) for model in models))
    for name, trials in tried.items():
        write_trials(lists / TRIALS[name], trials)
    write_paths(
        lists / "files.tsv", {file: str(path.relative_to(data)) for file, path in paths.items()}
    )
