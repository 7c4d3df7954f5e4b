"""Inner loops as machine code. Importing this imports numba: only modules of such loops do."""

from collections.abc import Callable
from typing import TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])


def compiled(signature: object, *fastmath: str) -> Callable[[F], F]:
    """Compile now, for one signature, and keep the machine code for later processes."""

    def compile_function(function: F) -> F:
        flags = {"contract", *fastmath}
        compiler = numba.njit(
            signature, nogil=True, cache=True, fastmath=flags, error_model="numpy"
        )
        return cast(F, compiler(function))

    return compile_function
