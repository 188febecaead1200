"""Machine code of kernels <-> the user's cache folder, so that only the first run compiles.

Strategy: one file for each kernel, signature, version and processor, which starts with the
SHA-256 of the rest: what a power cut left half written is not run. Whatever goes wrong here is
told once, and the kernel is compiled as if there were no cache.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import secrets
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numba
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from gscodec._version import __version__
from gscodec.errors import GscodecWarning

if TYPE_CHECKING:
    from collections.abc import Callable

_DIGEST_BYTES = 32
_SHARED = Path(__file__).with_name("kernels.py")  # kernels of other modules have parts of it
_told: list[str] = []  # one note is enough


def folder() -> Path:
    """Where the kernels of this version are kept.

    Numba's NUMBA_CACHE_DIR goes before the folder that the system has for such things.

    Raises:
        OSError: There is no such folder: no home, or a path that is not absolute.
    """
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home() raises RuntimeError
    default = {"win32": "AppData/Local", "darwin": "Library/Caches"}.get(sys.platform, ".cache")
    variable = "LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME"
    places = [Path(os.environ.get(name, "")) for name in ("NUMBA_CACHE_DIR", variable)]
    if home != home.parent:  # the root stands for no home
        places.append(home / default)
    # A relative path is none: "All paths set in these variables must be absolute" (XDG), and a
    # "~" that nobody has resolved would become a folder of this name.
    for place in places:
        if place.is_absolute():
            return place / "gscodec" / f"kernels-{__version__}"
    raise FileNotFoundError(f"there is no folder for caches, and no home but {str(home)!r}")


class KernelCache(NullCache):
    """The cache of one kernel, as numba's dispatcher asks for it."""

    def __init__(self, kernel: Callable[..., Any], options: dict[str, Any]) -> None:
        self._kernel = kernel
        # Sets have another order in every process.
        settled = {k: sorted(v) if isinstance(v, set) else v for k, v in options.items()}
        self._about = (kernel.__module__, kernel.__qualname__, settled)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What was compiled for ``sig``, or None."""
        target_context.refresh()
        try:
            path = self._path(sig, target_context.codegen())
            _require_own(path.parent)
            rebuild: Any = CompileResult._rebuild  # noqa: SLF001
            return rebuild(target_context, *_load(path))
        except FileNotFoundError:
            return None  # or no folder at all, which `save_overload` tells
        except Exception as error:  # noqa: BLE001 - numba's and pickle's are of any kind
            _tell(error)
            return None

    def save_overload(self, sig: Any, cres: Any) -> None:
        """Keeps what was compiled for ``sig``."""
        if cres.library.has_dynamic_globals or any(not x.can_cache for x in cres.lifted):
            return  # it holds addresses
        try:
            path = self._path(sig, cres.library.codegen)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _require_own(path.parent)
            _save(path, cres._reduce())  # noqa: SLF001
        except Exception as error:  # noqa: BLE001 - as above
            _tell(error)

    def _path(self, sig: Any, codegen: Any) -> Path:
        source = hashlib.sha256(Path(self._kernel.__code__.co_filename).read_bytes())
        source.update(_SHARED.read_bytes())
        versions = (__version__, numba.__version__, sys.version, source.hexdigest())
        key = repr((self._about, versions, sig, codegen.magic_tuple()))
        name = f"{self._kernel.__name__}-{hashlib.sha256(key.encode()).hexdigest()[:32]}"
        return folder() / f"{name}.kernel"


def _load(path: Path) -> Any:
    data = path.read_bytes()
    digest, content = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        raise ValueError(f"{path.name} is damaged")
    return pickle.loads(content)  # noqa: S301 - nobody else may write into the folder


def _save(path: Path, reduced: object) -> None:
    content: bytes = dumps(reduced)  # type: ignore[no-untyped-call]
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        temporary.write_bytes(hashlib.sha256(content).digest() + content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _require_own(place: Path) -> None:
    """What is unpickled is run, so nobody else may have put it there."""
    if sys.platform == "win32":
        return
    found = place.stat()
    if found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise PermissionError("others may write there")


def _tell(error: Exception) -> None:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    with suppress(OSError):
        reason = f"{folder()}: {reason}"
    if not _told:
        _told.append(reason)
        warnings.warn(f"{reason}; kernels are compiled anew", GscodecWarning, stacklevel=2)
