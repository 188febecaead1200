"""What decoding takes of memory and threads, whatever a file asks for."""

from __future__ import annotations

import tracemalloc
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from gscodec import methods
from gscodec.container import unpack
from gscodec.methods import hac, hemgs
from gscodec.payload import Method
from gscodec.threads import one_blas_thread
from test_vectors import VECTORS
from wide import wide_anchors

if TYPE_CHECKING:
    from gscodec.payload import Payload


def silent(stage: str, share: float, detail: str = "", /) -> None:
    """Progress that nobody watches."""


def blas_threads() -> set[int]:
    return {lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"}


def peak(payload: Payload) -> int:
    tracemalloc.start()
    try:
        methods.by_id(payload.header.method).decode(payload, silent, 1)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("method", [Method.HAC, Method.HEMGS, Method.RALHE, Method.PREDICT_GS])
def test_memory_grows_with_the_scene_and_not_with_the_context(method: Method) -> None:
    """Anchors of 52 bytes, looked up in 96 tables: a context is 20 times what is decoded.

    Or with all candidates of all primitives of a turn.
    """
    one, two = (peak(wide_anchors(count, 1, 1, (), method)) for count in (8192, 16_384))
    assert two < 40e6
    assert two - one < 8192 * 1100


def test_threads_are_bounded_by_what_their_blocks_take() -> None:
    """A gigabyte for all blocks at work, and at least one of them."""
    wide = hac.METHOD.opened(wide_anchors(50_000, 256, 64, ()), silent)
    assert wide.threads(64) == 2
    wide = hemgs.METHOD.opened(wide_anchors(50_000, 256, 64, (), Method.HEMGS), silent)
    assert wide.threads(64) == 2
    usual = (VECTORS / "hac" / "mic_6000_sh3.gsz").read_bytes()
    opened = hac.METHOD.opened(unpack(usual), silent)
    assert opened.threads(64) == 64
    assert opened.threads(None) >= 1


def test_decoding_has_one_blas_thread_and_gives_them_back() -> None:
    """Those of a matrix product would wait for each other inside of threads."""
    usual = unpack((VECTORS / "hac" / "mic_6000_sh1_coarse.gsz").read_bytes())
    seen = []
    with threadpool_limits(3, "blas"):
        hac.decode(usual, lambda *_: seen.append(blas_threads()), 2)
        assert blas_threads() == {3}
    assert len(seen) > 2
    assert set().union(*seen) == {1}


def test_blas_threads_come_back_after_the_last_of_several_users() -> None:
    """Whoever ends first does not give them back under the others."""

    def other() -> None:
        with one_blas_thread():
            pass

    with threadpool_limits(3, "blas"):
        with one_blas_thread():
            thread = Thread(target=other)
            thread.start()
            thread.join()
            assert blas_threads() == {1}
        assert blas_threads() == {3}
        with pytest.raises(ZeroDivisionError), one_blas_thread():
            raise ZeroDivisionError
        assert blas_threads() == {3}
