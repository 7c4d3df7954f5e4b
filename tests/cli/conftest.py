"""What every test of a command can ask for."""

import pytest

from voicegmm.cli import main


@pytest.fixture
def typed(capsys):
    """Give typed("list", "x.h5") -> (exit code, standard output, standard error)."""

    def run(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return stopped.value.code, out, err

    return run
