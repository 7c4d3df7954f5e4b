"""The group of commands, and what becomes of errors."""

import io
import sys
import traceback
from typing import Any

import click

from voicegmm._base.errors import VoicegmmError
from voicegmm._base.version import __version__
from voicegmm.cli import (
    bank,
    batch,
    classify,
    config,
    convert,
    corpus,
    demo,
    evaluation,
    features,
    fusion,
    info,
    keeping,
    run,
    stopping,
    sweep,
)
from voicegmm.cli.console import console_log, debug_option
from voicegmm.cli.terminal import say, say_lines

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 96}


class _Commands(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise stopping.Stopped from error


@click.group(cls=_Commands, context_settings=_CONTEXT)
@click.version_option(__version__, prog_name="voicegmm")
@debug_option
def voicegmm() -> None:
    """Gaussian mixture models of voices.

    Try `voicegmm demo`: it makes its own voices and needs no data.

    \b
    People's voices   train, enroll, identify, verify, list, remove, encrypt, decrypt
    Kinds of voices   classify train, classify
    Experiments       run, sweep, config; or step by step: features extract, ubm train, adapt,
                      score, evaluate, compare, fuse
    Any corpus        corpus check, corpus list
    Any file of ours  info
    Others' files     convert: Kaldi, HTK, ALIZE, SIDEKIT, bob, BOSARIS, NumPy

    Every command takes --debug, which shows where an error arose, and --log-level.
    """  # noqa: D301 - click reads the \\b


for _command in (
    demo.demo,
    bank.train,
    bank.enroll,
    bank.identify,
    bank.verify,
    keeping.list_speakers,
    keeping.remove,
    keeping.encrypt,
    keeping.decrypt,
    classify.classify,
    run.run,
    config.config,
    corpus.corpus,
    sweep.sweep,
    features.features,
    batch.ubm,
    batch.adapt,
    batch.score,
    evaluation.evaluate,
    evaluation.compare,
    fusion.fuse,
    convert.convert,
    info.info,
):
    voicegmm.add_command(_command)


def run_command(arguments: list[str]) -> int:
    """Run a command, and give its exit status."""
    debug = "--debug" in arguments
    try:
        with console_log():
            code = voicegmm.main(arguments, prog_name="voicegmm", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except (stopping.Stopped, KeyboardInterrupt, click.Abort):
        return _stopped(debug)
    except click.ClickException as error:
        usage = io.StringIO()
        error.show(usage)
        say_lines(usage.getvalue(), err=True)
        return error.exit_code
    except VoicegmmError as error:
        return _fail(" ".join(str(error).split()), debug)
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does; nobody is left to be told.
        sys.stdout = None
        return 0
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        return _fail(f"{named}{error.strerror or error}", debug)
    except MemoryError:
        return _fail("not enough memory for this; see the options of the command", debug)
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        return _fail(f"this should not happen: {told} (run it with --debug and report it)", debug)


def _stopped(debug: bool) -> int:
    if debug:
        say_lines(traceback.format_exc(), err=True)
    return stopping.tell()


def _fail(message: str, debug: bool) -> int:
    if stopping.stopped():  # it is why this failed
        return _stopped(debug)
    if debug:
        say_lines(traceback.format_exc(), err=True)
    say(f"error: {message}", err=True)
    return 1
