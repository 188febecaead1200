"""A file or folder that is there as a whole, or not at all, whatever happens meanwhile.

Strategy: it is made under another name beside its place, and renamed. Whoever makes it holds a
lock on it, which ends with the process however that ends; so what is there without a lock was
left behind by a process that was killed, and the next one removes it.
"""

from __future__ import annotations

import hashlib
import os
import platform
import secrets
import shutil
import stat
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from gscodec.disk.signals import in_place

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

if sys.platform != "win32":  # there, what is left behind stays
    import fcntl

_SUFFIX = ".tmp"
# Locks may not reach other machines that share the folder: what theirs left is given a day.
_OTHERS_SECONDS = 86_400


def write_file(target: Path, parts: Iterable[bytes], name: str, *, overwrite: bool) -> None:
    """Makes ``target``, which users know as ``name``, from ``parts``, one after the other.

    What was there passes on its mode, and its owner where the system allows that.

    Raises:
        FileExistsError: It is there, perhaps since a moment ago, and ``overwrite`` is not set.
        OSError: The system refuses.
    """
    old = target.stat() if target.exists() else None
    with temporary_file(target.parent, 0o666 if old is None else 0o600) as (path, descriptor):
        with os.fdopen(descriptor, "wb", closefd=sys.platform == "win32") as file:
            file.writelines(parts)
            file.flush()
            if old is not None:
                _keep_owner_and_mode(path, old)
            os.fsync(file.fileno())
        with in_place(name):
            if overwrite:
                path.replace(target)
            else:
                _move(path, target)


def _keep_owner_and_mode(path: Path, old: os.stat_result) -> None:
    if hasattr(os, "chown"):
        with suppress(OSError):  # only root may give files away
            os.chown(path, old.st_uid, old.st_gid)
    path.chmod(stat.S_IMODE(old.st_mode))


def _move(path: Path, target: Path) -> None:
    """Renames to a name that nobody has: of two processes that try, one fails."""
    try:
        os.link(path, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links: take the name first
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        try:
            path.replace(target)
        except BaseException:
            target.unlink(missing_ok=True)
            raise


@contextmanager
def temporary_file(folder: Path, mode: int) -> Iterator[tuple[Path, int]]:
    """A new file in ``folder``, as path and descriptor; removed in the end if it is there.

    Raises:
        OSError: The system refuses.
    """
    remove_left_behind(folder)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    while True:
        path = folder / temporary_name()
        descriptor = os.open(path, flags, mode)
        try:
            if _held(path, descriptor):
                yield path, descriptor
                return
        finally:
            path.unlink(missing_ok=True)
            if sys.platform != "win32":  # which renames no open file: it is closed by now
                os.close(descriptor)


@contextmanager
def temporary_folder(folder: Path) -> Iterator[Path]:
    """A new folder in ``folder``; removed in the end if it is there.

    Raises:
        OSError: The system refuses.
    """
    remove_left_behind(folder)
    while True:
        path = folder / temporary_name()
        path.mkdir()
        descriptor = None if sys.platform == "win32" else os.open(path, os.O_RDONLY)
        try:
            if descriptor is None or _held(path, descriptor):
                yield path
                return
        finally:
            shutil.rmtree(path, ignore_errors=True)
            if descriptor is not None:
                os.close(descriptor)


def temporary_name() -> str:
    """A name that no other process chooses, short whatever the output's name is."""
    return f"{_prefix()}{secrets.token_hex(8)}{_SUFFIX}"


def _prefix() -> str:
    """Of temporary names of this machine."""
    return f".gscodec-{hashlib.sha256(platform.node().encode()).hexdigest()[:8]}-"


def _held(path: Path, descriptor: int) -> bool:
    """Locks what was just made; False where another process has removed it before that.

    A file system without locks has nobody who removes anything either.
    """
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return path.exists()


def remove_left_behind(folder: Path) -> None:
    """Removes what processes that were killed have left in ``folder``."""
    with suppress(OSError):
        for path in folder.glob(f".gscodec-*{_SUFFIX}"):
            with suppress(OSError):
                _remove_if_dead(path)


def _remove_if_dead(path: Path) -> None:
    """Raises OSError if somebody holds the lock, or nobody can."""
    if sys.platform == "win32":
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        found = os.fstat(descriptor)
        ours = path.name.startswith(_prefix())
        if not ours and time.time() - found.st_mtime < _OTHERS_SECONDS:
            return
        if stat.S_ISDIR(found.st_mode):
            shutil.rmtree(path)
        else:
            path.unlink()
    finally:
        os.close(descriptor)
