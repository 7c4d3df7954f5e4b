"""What commands share: options, progress bars, the printing of figures."""

import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from voicegmm.cli.terminal import say, say_data, visible

if TYPE_CHECKING:
    from voicegmm.scoring import ScoredList, ScoreTable

F = TypeVar("F", bound=Callable[..., Any])


LEVELS = ("debug", "info", "warning", "error")


class ConsoleLog(logging.Handler):
    """Tell what the library logs on standard error, a line each."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one line, beside the bar if there is one."""
        line = f"{record.levelname.lower()}: {' '.join(record.getMessage().split())}"
        if "tqdm" not in sys.modules:
            say(line, err=True)
            return
        from tqdm import tqdm

        with tqdm.external_write_mode(file=sys.stderr):
            say(line, err=True)


@contextmanager
def console_log() -> Iterator[None]:
    """Tell warnings of the library on standard error, or more or less: see `debug_option`."""
    logger, handler = logging.getLogger("voicegmm"), ConsoleLog(logging.WARNING)
    level = logger.level
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def debug_option(command: F) -> F:
    """Add --debug, which `main` looks for, and --log-level, which `console_log` heeds."""

    def heed(ctx: click.Context, option: click.Parameter, value: str | None) -> None:
        if value is None:
            return
        level, logger = logging.getLevelNamesMapping()[value.upper()], logging.getLogger("voicegmm")
        logger.setLevel(level)
        for handler in logger.handlers:
            if isinstance(handler, ConsoleLog):
                handler.setLevel(level)

    logged = click.option(
        "--log-level",
        type=click.Choice(LEVELS),
        callback=heed,
        expose_value=False,
        help="What to tell of the work on standard error.  [default: warning]",
    )
    return click.option(
        "--debug", is_flag=True, expose_value=False, help="Show where an error arose."
    )(logged(command))


def json_option(command: F) -> F:
    """Add --json."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON object and nothing else."
    )(command)


def untrusted_option(command: F) -> F:
    """Add --untrusted, which holds until the command has ended."""

    def heed(ctx: click.Context, option: click.Parameter, value: bool) -> None:
        if value:
            from voicegmm.store import distrusting

            ctx.with_resource(distrusting())

    return click.option(
        "--untrusted",
        is_flag=True,
        expose_value=False,
        callback=heed,
        help="Models and features come from a stranger: let a process with limits read them.",
    )(command)


def workers_option(command: F) -> F:
    """Add --workers."""
    return click.option(
        "--workers",
        type=click.IntRange(min=1),
        default=None,
        help="How many work at once. The result is the same for any number.  [default: all cores]",
    )(command)


def layout_option(command: F) -> F:
    """Add --layout."""
    return click.option(
        "--layout",
        default="auto",
        show_default=True,
        help="How the recordings are laid out: folder, list, kaldi, lhotse, voxceleb, librispeech; "
        "or auto: by what lies there.",
    )(command)


def settings_option(example: str) -> Callable[[F], F]:
    """Add --set, with an example in its help."""
    return click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help=f"Lay a value over the config, as {example}. May be given several times.",
    )


def insecure_option(command: F) -> F:
    """Add --insecure, which is a setting of its own: it goes before those of --set."""

    def as_setting(ctx: click.Context, option: click.Parameter, given: bool) -> tuple[str, ...]:
        return ("compute.insecure=true",) if given else ()

    return click.option(
        "--insecure",
        "allowed",
        is_flag=True,
        callback=as_setting,
        help="Accept a Dask scheduler on another machine without encryption: whoever reaches it "
        "can read what travels and have the workers do anything.",
    )(command)


def replicates_option(least: int) -> Callable[[F], F]:
    """Add --replicates."""
    none = "; 0 for none" if least == 0 else ""
    return click.option(
        "--replicates",
        "n_replicates",
        type=click.IntRange(min=least),
        default=1000,
        show_default=True,
        help=f"How often speakers are drawn, for the intervals{none}.",
    )


def cores(workers: int | None) -> int:
    """Give the number of workers: as asked, or all cores."""
    from voicegmm.compute import available_cores

    return workers or available_cores()


def check_output(out: Path, *inputs: Path | None) -> None:
    """Refuse an output that cannot be written, or that would replace an input."""
    from voicegmm._base.errors import VoicegmmError
    from voicegmm._base.files import check_writable

    check_writable(out)
    for path in inputs:
        if path is not None and path.resolve() == out.resolve():
            raise VoicegmmError(f"{out} is read by this command; write to another file")


def now() -> str:
    """Give the time, UTC to the second, as the audit record keeps it."""
    from datetime import UTC, datetime

    from voicegmm.scoring.records import TIME_FORMAT

    return datetime.now(UTC).strftime(TIME_FORMAT)


class Bars:
    """Progress bars on a terminal; nothing elsewhere."""

    def __init__(self) -> None:
        self._stage = ""
        self._bar: Any = None
        self._shown = sys.stderr.isatty()

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Tell how far a stage is."""
        if not self._shown:
            return
        if stage != self._stage:
            self.close()
            from tqdm import tqdm

            # Its thread, which draws bars that hang, would be in the way of workers that are forks.
            tqdm.monitor_interval = 0
            self._stage = stage
            # What an interrupted run had done tells nothing of the speed, nor how often to draw.
            done_before = max(done - 1, 0)
            self._bar = tqdm(
                desc=visible(stage),
                total=total or None,
                initial=done_before,
                miniters=1,
                file=sys.stderr,
                leave=False,
            )
        if note:
            self._bar.set_postfix_str(visible(note), refresh=False)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar, self._stage = None, ""


@contextmanager
def drawing_bar(of: object) -> Iterator[Callable[[int, int], None]]:
    """Give a callback that draws a bar of the drawings of speakers, for intervals."""
    with bars() as shown:
        yield lambda done, total: shown(f"intervals of {of}", done, total)


@contextmanager
def bars() -> Any:
    """Give a `Progress` that draws bars on a terminal."""
    shown = Bars()
    try:
        yield shown
    finally:
        shown.close()


def warn(message: str) -> None:
    """Print a warning, in one line, on standard error."""
    say(f"warning: {' '.join(message.split())}", err=True)


def warn_of_unscored(table: "ScoreTable | ScoredList", most: int = 10) -> None:
    """Tell why trials have no score: the reasons that cost the most of them, a line each."""
    failures = sorted(table.failures().values(), key=lambda failure: -failure[2])
    for status, reason, count in failures[:most]:
        warn(f"{count} trials not scored ({status}): {reason}")
    if failures[most:]:
        n_trials, n_reasons = sum(count for *_, count in failures[most:]), len(failures) - most
        warn(f"{n_trials} more trials not scored, for {n_reasons} other reasons: see the scores")


def print_json(value: Any) -> None:
    """Print one JSON object in one line."""
    say_data(json.dumps(value, ensure_ascii=False, allow_nan=False))


_PERCENT = ("eer", "verify_miss", "verify_false_accept", "identification_rate", "rank_5_rate")
_NAMES = {
    "eer": "EER",
    "cllr": "Cllr",
    "min_cllr": "minCllr",
    "calibration_loss": "Cllr - minCllr",
    "min_c_primary": "min C_primary",
    "act_c_primary": "act C_primary",
    "auc": "AUC",
    "identification_rate": "identified",
    "rank_5_rate": "among five",
    "verify_miss": "misses at a ratio of 1",
    "verify_false_accept": "false accepts at a ratio of 1",
}


def metric_name(key: str) -> str:
    """Give a metric's name as the field writes it: min_dcf_0.01 is minDCF(0.01)."""
    for prefix, name in (("min_dcf_", "minDCF"), ("act_dcf_", "actDCF")):
        if key.startswith(prefix):
            return f"{name}({key.removeprefix(prefix)})"
    return _NAMES.get(key, key)


def metric_line(key: str, estimate: Mapping[str, float | None]) -> str:
    """Give a metric with its interval: "EER  5.12 %  [3.90, 6.81]"."""
    return f"{metric_name(key):14} {estimate_text(key, estimate)}"


def estimate_text(key: str, estimate: Mapping[str, float | None]) -> str:
    """Give the value of a metric with its interval: "5.12 %  [3.90, 6.81]"."""
    scale, unit, digits = (100.0, " %", 2) if key in _PERCENT else (1.0, "", 3)
    value, low, high = (estimate[name] for name in ("value", "low", "high"))
    text = "infinite" if value is None else f"{scale * value:.{digits}f}{unit}"
    if low is not None and high is not None:
        text += f"  [{scale * low:.{digits}f}, {scale * high:.{digits}f}]"
    return text


def difference_text(key: str, found: Mapping[str, float | None]) -> str:
    """Give a difference of a metric with its interval: "-1.02 %  [-1.90, +0.13]"."""
    scale, unit, digits = (100.0, " %", 2) if key in _PERCENT else (1.0, "", 3)
    middle, low, high = (
        "infinite" if value is None else f"{scale * value:+.{digits}f}"
        for value in (found[name] for name in ("difference", "low", "high"))
    )
    return f"{middle}{unit}  [{low}, {high}]"


def print_figures(results: Mapping[str, Any]) -> None:
    """Print the figures of an evaluation."""
    known = f", {results['n_speakers']} speakers" if results.get("n_speakers") else ""
    trials = f"{results['n_targets']} target and {results['n_nontargets']} non-target trials"
    say(trials + known)
    failed = results["n_failed_targets"] + results["n_failed_nontargets"]
    if failed:
        share = 100 * results["failure_rate"]
        say(f"{failed} trials ({share:.2f} %) could not be scored; the figures are of the others")
    for key, estimate in results["metrics"].items():
        say(metric_line(key, estimate))
    for key, estimate in results.get("failures_rejected", {}).items():
        if key == "eer":
            say(f"{metric_line(key, estimate)}  with failures counted as rejections")
    if results.get("closed_set"):
        closed = results["closed_set"]
        for key in ("identification_rate", "rank_5_rate"):
            if key in closed:
                say(f"{metric_line(key, closed[key])}  of {closed['n_tests']} tests, closed set")
    if results.get("open_set"):
        found = results["open_set"]
        tests = f"{found['n_known']} tests of known speakers, {found['n_strangers']} of strangers"
        say(f"open set, {tests}: detected and identified")
        for alarm, rate in found["detection_identification"].items():
            text = estimate_text("identification_rate", rate)
            say(f"{'':14} {text}  with false alarms on {100 * float(alarm):g} %")
    for warning in results["warnings"]:
        warn(warning)


def values_of(metrics: Mapping[str, Mapping[str, float | None]]) -> dict[str, float | None]:
    """Give the figures without their intervals."""
    return {key: estimate["value"] for key, estimate in metrics.items()}


def print_side_by_side(figures: Mapping[str, Mapping[str, float | None]]) -> None:
    """Print a line a system, a column a figure."""
    keys = list(dict.fromkeys(key for each in figures.values() for key in each))
    if not keys:
        return
    width = max(map(len, figures))
    columns = [max(10, len(metric_name(key)) + 2) for key in keys]
    heads = zip(keys, columns, strict=True)
    say(" " * width + "".join(f"{metric_name(key):>{room}}" for key, room in heads))
    for name, each in figures.items():
        cells = zip(keys, columns, strict=True)
        row = "".join(f"{_cell(key, each.get(key, 0), key in each):>{room}}" for key, room in cells)
        say(f"{name:{width}}{row}")


def _cell(key: str, value: float | None, known: bool) -> str:
    if not known:
        return "-"
    if value is None:
        return "infinite"
    return f"{100 * value:.2f} %" if key in _PERCENT else f"{value:.3f}"


def print_comparison(comparison: Mapping[str, Any]) -> None:
    """Print what another system has more or less of each metric."""
    say(f"{comparison['against']} differs by")
    for key, found in comparison["metrics"].items():
        say(f"{metric_name(key):14} {difference_text(key, found)}  p = {found['p_value']:.3f}")
    for warning in comparison["warnings"]:
        warn(warning)
