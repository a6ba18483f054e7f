# SPDX-License-Identifier: Apache-2.0
"""Files that appear whole or not at all: made under another name, made durable, then put in place in one step."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from sifgate.errors import ConfigError

READABLE = 0o644
"""Policy, exceptions and VEX are no secrets: users may read by what they are judged."""


def create(path: Path, content: bytes) -> None:
    """Write a new file; raises ConfigError where one with this name is there already, or where it cannot be written."""
    temporary = _written(path, content)
    try:
        os.link(temporary, path)  # unlike rename, never over another file
    except FileExistsError:
        raise ConfigError(f"{path}: is there already", hint="choose another name, or remove it") from None
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)
    _sync(path.parent)


def replace(path: Path, content: bytes) -> None:
    """Write a file in the place of another; raises ConfigError, and then the old one is whole."""
    temporary = _written(path, content)
    try:
        temporary.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)
    _sync(path.parent)


def _written(path: Path, content: bytes) -> Path:
    """Return a durable file beside `path`, under a name that no reader of the directory looks at."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), READABLE)
            os.fsync(file.fileno())
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise _unwritable(path, error) from error
    return Path(name)


def _unwritable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"{path}: cannot be written: {error.strerror or error}")


def _sync(directory: Path) -> None:
    """Make the new name durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
