"""Inner loops as machine code. Importing this imports numba: only modules of such loops do."""

from collections.abc import Callable
from typing import TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])


def compiled(signature: object, *fastmath: str, exact: bool = False) -> Callable[[F], F]:
    """Compile now, for one signature, and keep the machine code for later processes.

    Where there is no folder that it can be kept in, each process compiles for itself. With `exact`
    products are rounded before they are added, as numpy's are; without, fused to sums where the
    processor can.
    """
    flags = False if exact else {"contract", *fastmath}

    def compile_function(function: F, cache: bool = True) -> F:
        try:
            compiler = numba.njit(
                signature, nogil=True, cache=cache, fastmath=flags, error_model="numpy"
            )
            return cast(F, compiler(function))
        except RuntimeError:  # "cannot cache function": numba has no class of its own for it
            if not cache:
                raise
            return compile_function(function, cache=False)

    return compile_function
