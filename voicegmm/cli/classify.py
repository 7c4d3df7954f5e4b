"""Classes of voices: classify train, classify, classify evaluate."""

import math
from pathlib import Path
from typing import Any

import click

from voicegmm.cli.console import (
    bars,
    check_output,
    cores,
    debug_option,
    json_option,
    metric_line,
    print_json,
    settings_option,
    untrusted_option,
    warn,
    workers_option,
)
from voicegmm.cli.terminal import say

_PATH = click.Path(path_type=Path)


class _Classify(click.Group):
    """A group whose commands stand beside a file: anything that is none of them is the file."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the command that judges before a file."""
        known = {*self.commands, *ctx.help_option_names}
        if args and args[0] not in known:
            args = ["files", *args]
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show both ways to type it."""
        formatter.write_usage(ctx.command_path, "train DIR -o CLASSES [OPTIONS]")
        formatter.write_usage(ctx.command_path, "CLASSES FILES... [OPTIONS]", "       ")
        formatter.write_usage(ctx.command_path, "evaluate CLASSES DIR [OPTIONS]", "       ")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show the options of both."""
        headings = {
            "train": "Options of train",
            "files": "Options with FILES",
            "evaluate": "Options of evaluate",
        }
        for name, heading in headings.items():
            command = self.commands[name]
            options = [one for one in command.get_params(ctx) if isinstance(one, click.Option)]
            records = (option.get_help_record(ctx) for option in options)
            with formatter.section(heading):
                formatter.write_dl([record for record in records if record])


@click.group(cls=_Classify, short_help="Tell kinds of voices apart: gender, language, spoofing.")
@debug_option
def classify() -> None:
    """Tell kinds of voices apart: gender, language, genuine or spoofed, whatever folders hold.

    `train` makes CLASSES, one file, from DIR/<class>/<speaker>/<recording>, and says how often it
    will be right; with FILES, each is given the class that is most probable; `evaluate` measures
    that on other recordings, laid out in the same way.

    The classes are all there is to choose from: a voice of none of them gets one of their names
    too. A note says where a recording is unlike them all.
    """


@classify.command()
@click.argument("folder", type=_PATH, metavar="LIST|DIR")
@click.option("-o", "--out", type=_PATH, required=True, help="The file to write.")
@click.option(
    "--components", type=int, help="Gaussians of each class.  [default: from the amount of speech]"
)
@click.option(
    "--config",
    help="A front end: a preset's name, as asvspoof-lfcc or sdc, or a .toml file.  "
    "[default: voicegmm-16k or -8k]",
)
@settings_option("static.n_cepstra=16")
@click.option(
    "--adapt",
    is_flag=True,
    help="Adapt one background model to each class (MAP), in the place of a mixture of its own.",
)
@click.option("--relevance", type=float, help="Relevance factor, with --adapt.  [default: 10]")
@click.option("--folds", type=int, help="Of speakers, for calibration.  [default: 5]")
@click.option("--seed", type=click.IntRange(min=0), help="Of all random choices.  [default: 0]")
@click.option("--force", is_flag=True, help="Replace a file that exists.")
@workers_option
@json_option
@debug_option
def train(
    folder: Path,
    out: Path,
    components: int | None,
    config: str | None,
    settings: tuple[str, ...],
    adapt: bool,
    relevance: float | None,
    folds: int | None,
    seed: int | None,
    force: bool,
    workers: int | None,
    as_json: bool,
) -> None:
    """Train classes of voices from DIR/<class>/<speaker>/<recording>.

    Or from DIR/<class>/<recording>, where speakers are not known; or from a Kaldi data directory or
    lhotse's manifests in each DIR/<class>; or from a list with the columns file, class and speaker.
    Makes one file: front end, a mixture for each class, calibration. Says what to expect: measured
    on speakers that were left out, fold by fold. The same speaker in two classes is one person.
    """
    from voicegmm._base.errors import VoicegmmError
    from voicegmm.bank import ClassifierOptions, VoiceClassifier
    from voicegmm.features import load_front_end
    from voicegmm.mixture import MapOptions
    from voicegmm.scoring import ClassOptions

    if settings and not config:
        raise click.UsageError("--set lays values over a --config; name one")
    if relevance is not None and not adapt:
        raise click.UsageError("--relevance is for --adapt")
    if out.exists() and not force:
        raise VoicegmmError(f"{out} exists; replace it with --force, or write to another file")
    check_output(out)
    adaptation = None
    if adapt:
        adaptation = MapOptions() if relevance is None else MapOptions(relevance)
    modeled: dict[str, Any] = {"n_folds": folds, "seed": seed, "adaptation": adaptation}
    chosen: dict[str, Any] = {
        "features": load_front_end(config, settings) if config else None,
        "n_components": components,
        "classes": ClassOptions(**{k: v for k, v in modeled.items() if v is not None}),
    }
    options = ClassifierOptions(**{k: v for k, v in chosen.items() if v is not None})
    with bars() as progress:
        classifier = VoiceClassifier.train(folder, options, cores(workers), progress)
    classifier.save(out)
    _report_training(classifier, out, as_json)


def _report_training(classifier: Any, out: Path, as_json: bool) -> None:
    from voicegmm._base.reasons import together
    from voicegmm.store import describe

    training, models = classifier.training, classifier.classes.models
    for line in (*together(training.failures), *training.warnings):
        warn(line)
    if as_json:
        found = describe(out)
        kept = ("classes", "n_dims", "sample_rate", "speakers_known", "calibration", "expected")
        print_json(
            {
                "file": str(out),
                "n_recordings": training.n_recordings,
                "speech_seconds": round(training.speech_seconds, 2),
                "calibrated": classifier.calibrated,
                **{key: found[key] for key in kept if key in found},
                "failures": training.failures,
                "warnings": training.warnings,
            }
        )
        return
    say(
        f"{out}: {len(models.classes)} classes from {training.n_recordings} recordings, "
        f"{training.speech_seconds / 60:.1f} minutes of speech, "
        f"{models.classes[0].gmm.n_components} components each, {models.front_end.sample_rate} Hz"
    )
    for one in models.classes:
        voices = f", {one.n_speakers} speakers" if classifier.classes.speakers_known else ""
        say(f"  {one.name}: {one.n_recordings} recordings{voices}")
    expected = classifier.classes.expected
    if expected is None:
        say("uncalibrated: classes are ranked by likelihood, without probabilities")
        return
    which = "speakers" if classifier.classes.speakers_known else "recordings"
    say(f"What to expect, measured on {which} left out (95 % intervals), equal priors:")
    _print_figures(models.names, expected, "recordings")


def _print_figures(names: tuple[str, ...], figures: Any, what: str) -> None:
    from voicegmm._base.options import to_mapping

    rate = figures.accuracy
    say(
        f"  accuracy       {100 * rate.value:.2f} %  "
        f"[{100 * rate.low:.2f}, {100 * rate.high:.2f}] of {rate.n_trials} {what}"
    )
    for key in ("eer", "cllr", "min_cllr"):
        estimate = getattr(figures, key)
        if estimate is not None:
            say("  " + metric_line(key, to_mapping(estimate)))
    _print_confusion(names, figures.confusion)


def _print_confusion(names: tuple[str, ...], confusion: tuple[tuple[int, ...], ...]) -> None:
    """Print how many of each class were given each."""
    corner = "is \\ given"
    first = max(map(len, (corner, *names)))
    widths = [max(len(name), 6) for name in names]
    header = "  ".join(name.rjust(width) for name, width in zip(names, widths, strict=True))
    say(f"  {corner:{first}}  {header}")
    for name, row in zip(names, confusion, strict=True):
        cells = "  ".join(f"{count:{width}d}" for count, width in zip(row, widths, strict=True))
        say(f"  {name:{first}}  {cells}")


@classify.command(short_help="Measure CLASSES on other recordings, laid out as for train.")
@click.argument("classes", type=_PATH, metavar="CLASSES")
@click.argument("folder", type=_PATH, metavar="LIST|DIR")
@workers_option
@untrusted_option
@json_option
@debug_option
def evaluate(classes: Path, folder: Path, workers: int | None, as_json: bool) -> None:
    """Measure CLASSES on DIR/<class>/<speaker>/<recording>, best of speakers who trained nothing.

    Accuracy at equal priors, EER and Cllr with 95 % intervals over speakers, and who was taken for
    what; where speakers are known also with one judgment a speaker, by the mean over recordings.
    """
    from voicegmm._base.options import to_mapping
    from voicegmm._base.reasons import together
    from voicegmm.bank import VoiceClassifier

    classifier = VoiceClassifier.open(classes)
    with bars() as progress:
        found = classifier.evaluate(folder, cores(workers), progress)
    for line in together(found.failures):
        warn(line)
    if as_json:
        print_json({"classes": classifier.names, **to_mapping(found)})
        return
    for what in ("recordings", "speakers"):
        figures = getattr(found, what)
        if figures is not None:
            say(f"{figures.accuracy.n_trials} {what} (95 % intervals), equal priors:")
            _print_figures(classifier.names, figures, what)


def _priors(ctx: click.Context, option: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
    """Read NAME=PROBABILITY."""
    found: dict[str, float] = {}
    for value in values:
        name, equals, text = value.rpartition("=")
        try:
            probability = float(text)
        except ValueError:
            equals = ""
        if not equals or not name:
            raise click.BadParameter(f"takes CLASS=PROBABILITY, as spoofed=0.05; got {value!r}")
        if name in found:
            raise click.BadParameter(f"{name} is given twice")
        found[name] = probability
    return found


@classify.command("files", hidden=True)
@click.argument("classes", type=_PATH, metavar="CLASSES")
@click.argument("files", nargs=-1, required=True, type=_PATH)
@click.option(
    "--prior",
    multiple=True,
    metavar="CLASS=P",
    callback=_priors,
    help="Probability of a class before the recording is heard; the others share the rest. May be "
    "given several times.  [default: all the same]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a file, in one line.")
@untrusted_option
@debug_option
def judge(classes: Path, files: tuple[Path, ...], prior: dict[str, float], as_json: bool) -> int:
    """Give each of FILES the most probable of CLASSES, which are all there is to choose from."""
    from voicegmm._base.options import to_mapping
    from voicegmm.bank import VoiceClassifier

    classifier = VoiceClassifier.open(classes)
    failed = 0
    for file in files:
        answer = classifier.classify(file, prior)
        failed += answer.status != "ok"
        if as_json:
            flags = {"calibrated": classifier.calibrated, "closed_set": True}
            print_json({**to_mapping(answer), **flags})
        else:
            _print_answer(answer)
    if not as_json and failed < len(files):
        say(
            f"closed set: a voice that is none of {', '.join(classifier.names)} gets one of these "
            "names too"
        )
    return 1 if failed else 0


def _print_answer(answer: Any) -> None:
    if answer.status != "ok":
        say(f"{answer.file}: not judged ({answer.status}): {answer.reason}")
        return
    best = answer.ranking[0]
    uncalibrated = " (uncalibrated)" if best.posterior is None else ""
    say(f"{answer.file}: {answer.label}{uncalibrated}  ({answer.seconds:.1f} s of speech)")
    for note in answer.notes:
        say(f"  note: {note}")
    for place, one in enumerate(answer.ranking, 1):
        if one.posterior is None:
            figures = f"{one.score:+.3f} nats per frame"
        else:
            held = " (as far as its voices can show)" if answer.at_limit and place == 1 else ""
            figures = (
                f"probability {one.posterior:.4f}, prior {answer.prior[one.name]:.4g}, "
                f"log10 likelihood ratio {one.llr / math.log(10):+.2f}{held}"
            )
        say(f"  {place}. {one.name}: {figures}")
