"""The entry point: the group of commands, and what becomes of errors."""

import signal
import sys
import traceback

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
    sweep,
)
from voicegmm.cli.console import console_log, debug_option

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 96}


@click.group(context_settings=_CONTEXT)
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


def main(arguments: list[str] | None = None) -> None:
    """Run a command; exit with 0, with 1 for an error of ours, with 2 for wrong usage."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    # Ended from outside, it cleans up as after Ctrl-C: no temporary files stay. A terminal that is
    # closed counts too, unless the user said that it shall not, as `nohup` does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    try:
        with console_log():
            code = voicegmm.main(arguments, prog_name="voicegmm", standalone_mode=False)
        status = code if isinstance(code, int) else 0
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except VoicegmmError as error:
        status = _fail(" ".join(str(error).split()), debug)
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does; nobody is left to be told.
        sys.stdout = None
        status = 0
    except (KeyboardInterrupt, click.Abort):
        status = _fail("interrupted; what was finished is kept", debug)
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        status = _fail(f"{named}{error.strerror or error}", debug)
    except MemoryError:
        status = _fail("not enough memory for this; see the options of the command", debug)
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        status = _fail(f"this should not happen: {told} (run it with --debug and report it)", debug)
    sys.exit(status)


def _fail(message: str, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    click.echo(f"error: {message}", err=True)
    return 1
