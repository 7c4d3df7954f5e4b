"""What a run folder tells the report beyond the scores."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from voicegmm._base.arrays import Float64Array
from voicegmm._base.errors import FormatError
from voicegmm._base.files import content_hash
from voicegmm._base.options import fingerprint
from voicegmm.corpus import Protocol
from voicegmm.scoring import BackgroundModel, ScoreTable, read_scores
from voicegmm.store import FeatureStore, file_fingerprint, load_background

REPORT = "report.html"
RECORDINGS = "recordings.tsv"  # with times and places, which are not of the result
OWN_STAGE = "report"  # not known while the report is written: a later report shall be the same


@dataclass(frozen=True)
class FileRow:
    """A file of a run.

    Parameters
    ----------
    name, what : str
        What it is called, and what it is.
    fingerprint : str
        Of its content: as the file itself says it, or the SHA-256 of a score table; empty for
        files that tell of the run and not of its result.
    """

    name: str
    what: str
    fingerprint: str


@dataclass(frozen=True)
class RunFacts:
    """What a run folder knows beyond the scores.

    Parameters
    ----------
    facts : tuple of (str, str)
        What was run, in words.
    uncalibrated_because : str
        Why the scores are not calibrated, where the run knows it.
    log_likelihoods : tuple of float
        Training curve of the background model.
    exact : tuple of bool
        Which of them are not just lower bounds.
    options, environment : dict
    stages : dict
        Name -> seconds, peak_memory_mb, skipped, fingerprint.
    files : tuple of FileRow
        Those that exist.
    inputs : tuple of (str, str, str)
        What went in, how much of it, and its fingerprint.
    seconds : dict of str to float
        Speech of each test, in seconds.
    systems : dict of str to ScoreTable
        The scores of each system of a fused run.
    """

    facts: tuple[tuple[str, str], ...] = ()
    uncalibrated_because: str = ""
    log_likelihoods: tuple[float, ...] = ()
    exact: tuple[bool, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    stages: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    files: tuple[FileRow, ...] = ()
    inputs: tuple[tuple[str, str, str], ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    systems: Mapping[str, ScoreTable] = field(default_factory=dict)

    def seconds_of(self, table: ScoreTable) -> Float64Array | None:
        """Give the seconds of speech of each trial's test; None where one is not known."""
        known = [self.seconds.get(test, 0.0) for test in table.trials.tests]
        found: Float64Array = np.array(known)[table.trials.test_index]
        return found if (found[table.scored] > 0).all() and len(found) else None


def read_run(
    folder: Path,
    files: Mapping[str, str],
    results: Mapping[str, Any],
    table: ScoreTable,
    protocol: Protocol | None,
) -> RunFacts:
    """Read what a run folder knows; see `voicegmm.experiment.report.write_report`."""
    options = read_json(folder / "config.json")
    stages = _stages(folder)
    calibration = folder / "calibration.json"
    curve: tuple[float, ...] = ()
    exact: tuple[bool, ...] = ()
    systems: dict[str, ScoreTable] = {}
    if "systems" in options:
        facts = tuple(_fused_facts(results))
        places = {name: folder / "systems" / name for name in results["systems"]}
        systems = {name: read_scores(place / "scores.tsv") for name, place in places.items()}
        store = next(iter(places.values())) / "features.h5"
        of_systems = {
            f"{name}: {stage}": known
            for name, place in places.items()
            for stage, known in _stages(place).items()
        }
        stages = of_systems | stages
    else:
        background = load_background(folder / "ubm.h5")
        facts = tuple(_model_facts(background, options))
        curve = tuple(iteration.log_likelihood for iteration in background.iterations)
        exact = tuple(iteration.exact for iteration in background.iterations)
        store = folder / "features.h5"
    with ExitStack() as held:
        frames = held.enter_context(FeatureStore(store)) if store.exists() else None
        inputs = tuple(inputs_of(table, frames, protocol))
        seconds = _seconds(table, frames, protocol) if frames else {}
    return RunFacts(
        facts,
        str(read_json(calibration).get("reason", "")) if calibration.exists() else "",
        curve,
        exact,
        options,
        read_json(folder / "environment.json"),
        stages,
        tuple(_file_rows(folder, files)),
        inputs,
        seconds,
        systems,
    )


def _stages(folder: Path) -> dict[str, Any]:
    stages = read_json(folder / "stages.json")
    return {name: known for name, known in stages.items() if name != OWN_STAGE}


def _file_rows(folder: Path, files: Mapping[str, str]) -> Iterator[FileRow]:
    for name, what in files.items():
        path = folder / name
        # The report is listed whether or not an older one stands there already.
        if name != REPORT and not path.exists():
            continue
        readers = {".h5": file_fingerprint, ".tsv": content_hash}
        read = None if name == RECORDINGS else readers.get(path.suffix)
        yield FileRow(name, what, read(path) if read else "")


def inputs_of(
    table: ScoreTable, frames: FeatureStore | None = None, protocol: Protocol | None = None
) -> Iterator[tuple[str, str, str]]:
    """Give what went in, with a fingerprint that is the same wherever the files lie."""
    if frames is not None:
        contents = sorted((file, frames.content(file)) for file in frames.ids)
        yield "Recordings", f"{len(contents):,}", fingerprint(contents)
    if protocol is not None:
        n_files = f"{len(protocol.background):,} recordings"
        yield "Background list", n_files, fingerprint(sorted(protocol.background))
        enrolled = sorted((each.model, sorted(each.files)) for each in protocol.enrollments)
        yield "Enrollments", f"{len(enrolled):,} models", fingerprint(enrolled)
    trials = table.trials
    triples = zip(
        (trials.models[i] for i in trials.model_index.tolist()),
        (trials.tests[i] for i in trials.test_index.tolist()),
        trials.labels.tolist(),
        strict=True,
    )
    yield "Trials", f"{len(trials):,}", fingerprint(sorted(triples))


def _seconds(
    table: ScoreTable, frames: FeatureStore, protocol: Protocol | None
) -> dict[str, float]:
    """Give the speech of each test; 0 where none of its recordings are known."""
    found = {}
    for test in table.trials.tests:
        files = protocol.test_files(test) if protocol else (test,)
        found[test] = sum(frames.seconds(file) for file in files)
    return found


def _model_facts(
    background: BackgroundModel, options: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    gmm = background.gmm
    yield (
        "Background model",
        f"{gmm.n_components:,} Gaussians in {gmm.n_dims} dimensions, trained on "
        f"{background.n_frames:,.0f} frames in {len(background.iterations)} iterations",
    )
    made = _made_by(options.get("backend", {}), options.get("adaptation", {}))
    if made:
        yield "Speaker models", made
    normalization = options.get("scoring", {}).get("normalization", {}).get("method", "none")
    if normalization != "none":
        yield "Score normalization", f"{normalization} by the background speakers"
    data = options.get("data", {})
    lists = [data[name] for name in ("background", "enrollments", "trials") if data.get(name)]
    if lists:
        yield "Lists", ", ".join(lists)


def _made_by(backend: Mapping[str, Any], adaptation: Mapping[str, Any]) -> str:
    """Tell what made the speakers' models; nothing where the options do not say it."""
    method = backend.get("method", "map")
    rank = f" of rank {backend['rank']}" if backend.get("rank") else ""
    if method == "ivector":
        return f"i-vectors{rank}, compared by {backend['vectors']['score']}"
    if adaptation.get("alpha") is not None:
        return f"adapted from it, {adaptation['alpha']:.0%} from the enrollment's speech"
    if adaptation.get("relevance") is None:
        return ""
    made = f"adapted from it with a relevance factor of {adaptation['relevance']:g}"
    return made if method == "map" else f"{made}, sessions taken out by {method.upper()}{rank}"


def _fused_facts(results: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    weights = [f"{system['weight']:.3g} {name}" for name, system in results["systems"].items()]
    yield "Fusion", f"by logistic regression; weights: {', '.join(weights)}"


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file of a run folder.

    Raises
    ------
    FormatError
        If it is missing or damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FormatError(f"{path}: no such file; a run folder holds one, run again") from None
    except (OSError, ValueError) as error:
        raise FormatError(f"{path}: cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise FormatError(f"{path}: must hold a JSON object")
    return content
