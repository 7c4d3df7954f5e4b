"""Commands on a voice bank: train, enroll, identify, verify."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from voicegmm.cli.console import (
    bars,
    check_output,
    cores,
    debug_option,
    json_option,
    layout_option,
    metric_line,
    now,
    print_json,
    settings_option,
    untrusted_option,
    warn,
    workers_option,
)
from voicegmm.cli.explaining import check_explanation, save_explanation
from voicegmm.cli.passphrases import new_passphrase, open_bank, passphrase_option
from voicegmm.cli.terminal import say

_BANK = click.argument("bank", type=click.Path(path_type=Path), metavar="BANK")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="WAVS")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), required=True, help="The bank to write."
)
@click.option(
    "--background",
    type=click.Path(path_type=Path),
    help="A folder like WAVS, of other people: they train the background model and calibration.",
)
@click.option("--components", type=int, help="Gaussians.  [default: from the amount of speech]")
@click.option(
    "--config",
    help="A front end: a preset's name or a .toml file.  [default: voicegmm-16k or -8k]",
)
@settings_option("static.n_cepstra=16")
@click.option(
    "--false-accept",
    type=float,
    help="Share of strangers' recordings that identify may give a name.  [default: 0.05]",
)
@click.option(
    "--normalization",
    type=click.Choice(["none", "t"]),
    default="none",
    show_default=True,
    help="t: scores are seen beside those of the --background speakers' models.",
)
@click.option(
    "--backend",
    default="map",
    show_default=True,
    metavar="[map|isv|ivector-plda|ivector-cosine|FILE.toml]",
    help="What models a speaker: adaptation alone; or a subspace, so that sessions count for less, "
    "which takes two recordings or more of most speakers. A .toml file has a table [backend].",
)
@click.option("--rank", type=int, help="Of the subspace; less where recordings show less.")
@click.option(
    "--method",
    help="How to score: exact, top (the best components of each frame), linear, symmetric, kl or "
    "bhattacharyya. With a --backend: subspace, or with isv also exact and top, which have the "
    "session of the recording on both sides.  [default: exact; subspace with a --backend]",
)
@click.option("--seed", type=click.IntRange(min=0), help="Of all random choices.  [default: 0]")
@layout_option
@click.option("--force", is_flag=True, help="Replace a bank that exists.")
@click.option("--encrypt", is_flag=True, help="Encrypt the bank with a passphrase.")
@passphrase_option
@workers_option
@json_option
@debug_option
def train(
    folder: Path,
    out: Path,
    background: Path | None,
    components: int | None,
    config: str | None,
    settings: tuple[str, ...],
    false_accept: float | None,
    normalization: str,
    backend: str,
    rank: int | None,
    method: str | None,
    seed: int | None,
    layout: str,
    force: bool,
    encrypt: bool,
    passphrase_file: Path | None,
    workers: int | None,
    as_json: bool,
) -> None:
    """Train speaker models from WAVS/<speaker>/<recording>.

    WAVS and --background may also be lists with the columns file and speaker, Kaldi data
    directories, lhotse's manifests, or the folders of VoxCeleb or LibriSpeech.

    Makes a bank in one file: front end, background model, speakers, calibration. Says what to
    expect of it: measured on speakers that were left out, fold by fold.
    """
    from voicegmm._base.errors import VoicegmmError
    from voicegmm._base.files import locked
    from voicegmm.bank import BankOptions, VoiceBank
    from voicegmm.features import load_front_end
    from voicegmm.scoring import ScoreNormalizationOptions, ScoringOptions, load_backend
    from voicegmm.store import is_encrypted

    if out.exists() and not force:
        raise VoicegmmError(
            f"{out} exists; add speakers with `voicegmm enroll`, or replace it with --force"
        )
    check_output(out)
    if settings and not config:
        raise click.UsageError("--set lays values over a --config; name one")
    subspace = load_backend(backend)
    if rank is not None:
        if subspace.method == "map":
            raise click.UsageError("--rank goes with a --backend other than map")
        subspace = replace(subspace, rank=rank)
    method = method or ("exact" if subspace.method == "map" else "subspace")
    chosen: dict[str, Any] = {
        "features": load_front_end(config, settings) if config else None,
        "n_components": components,
        "max_false_accept": false_accept,
        "backend": subspace,
        "scoring": ScoringOptions(method, normalization=ScoreNormalizationOptions(normalization)),
        "seed": seed,
    }
    if passphrase_file and not encrypt:
        raise click.UsageError("--passphrase-file goes with --encrypt")
    if is_encrypted(out) and not encrypt:
        raise click.UsageError(f"{out} is encrypted, and would not be any more: --encrypt")
    passphrase = new_passphrase(passphrase_file, out) if encrypt else ""
    options = BankOptions(**{name: value for name, value in chosen.items() if value is not None})
    with bars() as progress:
        bank = VoiceBank.train(folder, options, background, cores(workers), progress, now(), layout)
    with locked(out):
        bank.save(out, passphrase)
    _report_training(bank, out, as_json)


def _report_training(bank: Any, out: Path, as_json: bool) -> None:
    from voicegmm._base.options import to_mapping
    from voicegmm._base.reasons import together

    training, voices = bank.training, bank.voices
    ubm = voices.speakers.background
    for line in together(training.failures):
        warn(line)
    for line in together(training.left_out, "speakers"):
        warn(f"left out: {line}")
    for warning in training.warnings:
        warn(warning)
    if as_json:
        told = {
            "bank": str(out),
            "speakers": bank.names,
            "n_recordings": training.n_recordings,
            "speech_seconds": round(training.speech_seconds, 2),
            "n_components": ubm.gmm.n_components,
            "sample_rate": ubm.front_end.sample_rate,
            "backend": voices.speakers.subspace and voices.speakers.subspace.options,
            "calibrated": bank.calibrated,
            "metrics": {key: value for key, value in voices.expected.items() if key[:2] != "n_"},
            "identification": voices.promise,
            "sequential": voices.sequential,
            "left_out": training.left_out,
            "failures": training.failures,
            "warnings": training.warnings,
        }
        print_json(to_mapping(told))
        return
    say(
        f"{out}: {len(bank.names)} speakers from {training.n_recordings} recordings, "
        f"{training.speech_seconds / 60:.1f} minutes of speech, {ubm.gmm.n_components} components, "
        f"{_told_backend(voices)}{ubm.front_end.sample_rate} Hz"
    )
    if not bank.calibrated:
        say("uncalibrated: identify will give no name without --force")
        return
    _print_expected(voices)


def _told_backend(voices: Any) -> str:
    subspace = voices.speakers.subspace
    return f"{subspace.options.method} of rank {subspace.options.rank}, " if subspace else ""


def _print_expected(voices: Any) -> None:
    from voicegmm._base.options import to_mapping

    say("What to expect, measured on speakers left out (95 % intervals):")
    for key in ("eer", "verify_miss", "verify_false_accept", "cllr"):
        say("  " + metric_line(key, to_mapping(voices.expected[key])))
    promise = voices.promise
    asked, found = promise.max_false_accept, promise.false_accept.value
    for text, rate in (
        ("strangers who are given a name", promise.false_accept),
        ("enrolled speakers who are not", promise.miss),
    ):
        interval = f"[{100 * rate.low:.1f}, {100 * rate.high:.1f}]"
        say(f"  identify: {text}: {100 * rate.value:.1f} %  {interval}")
    if voices.sequential:
        _print_sequential(voices.sequential)
    if found > 1.5 * asked:
        say(
            f"  {100 * asked:g} % was asked for; so few recordings of strangers cannot settle a "
            "threshold that keeps it: add speakers, or --background"
        )
    if promise.miss.value > 0.5:
        warn("more than half of the enrolled speakers' recordings will get no name")


def _print_sequential(test: Any) -> None:
    achieved, options = test.achieved, test.options
    for text, rate, asked, seconds in (
        ("strangers accepted", achieved.false_accept, options.false_accept, "stranger_seconds"),
        ("speakers rejected", achieved.miss, options.miss, "speaker_seconds"),
    ):
        interval = f"[{100 * rate.low:.1f}, {100 * rate.high:.1f}]"
        say(
            f"  verify --stream: {text}: {100 * rate.value:.1f} %  {interval}, {100 * asked:g} % "
            f"asked for; {getattr(achieved, seconds):.1f} s of speech in the mean"
        )


def _print_promise(bank: Any) -> None:
    promise = bank.voices.promise
    if promise:
        rate = promise.false_accept
        say(
            f"{promise.n_enrolled} speakers: strangers who will be given a name: "
            f"{100 * rate.value:.1f} %  [{100 * rate.low:.1f}, {100 * rate.high:.1f}]"
        )


@click.command(short_help="Add a speaker, or more speech of one.")
@_BANK
@click.argument("name")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Even from less than a second of speech.")
@passphrase_option
@debug_option
def enroll(
    bank: Path, name: str, files: tuple[Path, ...], force: bool, passphrase_file: Path | None
) -> None:
    """Add the speaker NAME from FILES, or add the FILES to a speaker who is enrolled."""
    from voicegmm._base.files import locked
    from voicegmm.bank import VoiceBank

    opened, passphrase = open_bank(bank, passphrase_file)
    heard = opened.hear(name, files, cores(None))  # others need not wait for this
    with locked(bank):
        opened = VoiceBank.open(bank, passphrase)
        known = name in opened.names
        updated = opened.enroll_heard(name, heard, 0.0 if force else 1.0, now())
        updated.save(bank, passphrase)
    speakers = updated.voices.speakers
    seconds = speakers.seconds[speakers.index(name)]
    say(f"{name} {'updated' if known else 'enrolled'}: {seconds:.1f} s of speech in all")
    _print_promise(updated)


@click.command()
@_BANK
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Speakers shown of the ranking.",
)
@click.option("--force", is_flag=True, help="Name the best even where the bank is uncalibrated.")
@click.option(
    "--prior",
    type=float,
    help="Probability, before it is heard, that the voice is one of the enrolled: tells the "
    "posterior of each, and of nobody known.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a file, in one line.")
@passphrase_option
@untrusted_option
@debug_option
def identify(
    bank: Path,
    files: tuple[Path, ...],
    top: int,
    force: bool,
    prior: float | None,
    passphrase_file: Path | None,
    as_json: bool,
) -> int:
    """Say who speaks in FILES, or that it is nobody known.

    A likelihood ratio says how many times likelier the recording is if this speaker made it than
    if a stranger did. A name is given where the best passes the bank's threshold.
    """
    from voicegmm._base.options import to_mapping

    opened, _ = open_bank(bank, passphrase_file)
    failed = 0
    for file in files:
        answer = opened.identify(file, force, prior)
        failed += answer.status != "ok"
        if as_json:
            print_json({**to_mapping(answer), "calibrated": opened.calibrated})
        else:
            _print_identification(answer, opened, top)
    return 1 if failed else 0


def _print_identification(answer: Any, bank: Any, top: int) -> None:
    import math

    from voicegmm.scoring import support

    if answer.status != "ok":
        say(f"{answer.file}: not judged ({answer.status}): {answer.reason}")
        return
    verdict = answer.speaker or "nobody known"
    if not bank.names:
        verdict = "nobody known: nobody is enrolled"
    elif not bank.calibrated:
        verdict = f"{verdict} (uncalibrated)" if answer.speaker else "no answer: uncalibrated bank"
    say(f"{answer.file}: {verdict}  ({answer.seconds:.1f} s of speech)")
    for note in answer.notes:
        say(f"  note: {note}")
    for place, candidate in enumerate(answer.ranking[:top], 1):
        if candidate.llr is None:
            figures = f"score {candidate.score:+.3f}{_unit(bank)}, uncalibrated"
        else:
            figures = (
                f"log10 likelihood ratio {candidate.llr / math.log(10):+.2f}: "
                f"{support(candidate.llr, candidate.at_limit)}"
            )
        if candidate.posterior is not None:
            figures += f"; posterior {_share(candidate.posterior)}"
        say(f"  {place}. {candidate.name}: {figures}")
    if answer.nobody is not None:
        say(f"  nobody known: posterior {_share(answer.nobody)}, prior {1 - answer.prior:g}")
    if answer.threshold is not None:
        say(f"  a name takes {answer.threshold / math.log(10):+.2f} or more")


def _share(posterior: float) -> str:
    return f"{posterior:.4f}" if 0.0001 <= posterior <= 0.9999 else f"{posterior:.2g}"


def _unit(bank: Any) -> str:
    """Say what an uncalibrated score is measured in."""
    method = bank.voices.scoring.normalization.method
    if method != "none":
        return f" standard deviations of the cohort ({method})"
    return " nats per frame" if bank.voices.scoring.method in ("exact", "top") else ""


@click.command(short_help="Say whether a recording is a speaker's: yes or no.")
@_BANK
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--threshold",
    type=float,
    default=0.0,
    show_default=True,
    help="Natural-log likelihood ratio to pass.",
)
@click.option("--force", is_flag=True, help="Decide by the score where the bank is uncalibrated.")
@click.option(
    "--explain",
    "explained",
    type=click.Path(path_type=Path),
    metavar="OUT",
    help="Write which seconds spoke for the speaker and which against: a figure (.png, .svg), or "
    "each frame and its component (.tsv).",
)
@click.option(
    "--stream",
    is_flag=True,
    help="Listen only until it is certain enough, as to somebody who is speaking.",
)
@passphrase_option
@untrusted_option
@json_option
@debug_option
def verify(
    bank: Path,
    name: str,
    file: Path,
    threshold: float,
    force: bool,
    explained: Path | None,
    stream: bool,
    passphrase_file: Path | None,
    as_json: bool,
) -> int:
    """Say whether the voice in FILE is the speaker NAME's: yes or no, with the evidence."""
    if stream:
        if threshold or force or explained:
            raise click.UsageError(
                "--stream has thresholds of its own and tells no more than its decision: no "
                "--threshold, --force or --explain"
            )
        return _verify_stream(open_bank(bank, passphrase_file)[0], name, file, as_json)
    import math

    from voicegmm._base.options import to_mapping
    from voicegmm.scoring import support

    if explained:
        check_explanation(explained, bank, file)
    opened, _ = open_bank(bank, passphrase_file)
    answer = opened.verify(name, file, threshold, force)
    if explained and answer.status == "ok":
        title = f"Evidence that {name} speaks in {file.name}"
        save_explanation(explained, opened.explain(name, file), title)
    if as_json:
        print_json({**to_mapping(answer), "calibrated": opened.calibrated})
        return 0 if answer.status == "ok" else 1
    if answer.status != "ok":
        say(f"{file}: not judged ({answer.status}): {answer.reason}")
        return 1
    verdict = {True: "yes", False: "no", None: "no answer"}[answer.accepted]
    if answer.llr is None:
        figures = f"uncalibrated bank; score {answer.score:+.3f}{_unit(opened)}"
    else:
        passed = f", {threshold / math.log(10):+.2f} is asked for" if threshold else ""
        ratio = f"log10 likelihood ratio {answer.llr / math.log(10):+.2f}{passed}"
        figures = f"{ratio}: {support(answer.llr, answer.at_limit)}"
    say(f"{verdict}: {figures}  ({answer.seconds:.1f} s of speech)")
    for note in answer.notes:
        say(f"  note: {note}")
    return 0


def _verify_stream(bank: Any, name: str, file: Path, as_json: bool) -> int:
    from voicegmm._base.options import to_mapping
    from voicegmm.audio import Recording

    verifier = bank.verifier(name)
    step = verifier.sample_rate // 10
    pieces = (
        block[start : start + step]
        for block in Recording(file, verifier.sample_rate).blocks()
        for start in range(0, len(block), step)
    )
    for piece in pieces:
        state = verifier.push(piece)
        if state.decision != "undecided":
            break
    else:
        state = verifier.flush()
    if as_json:
        print_json({"file": str(file), **to_mapping(state)})
        return 0
    verdict = {"accept": "yes", "reject": "no", "undecided": "undecided"}[state.decision]
    say(f"{verdict}: {state.reason}, {state.seconds:.1f} s of sound")
    return 0
