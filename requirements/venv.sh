#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Make the virtual environment DIR from the hash-pinned lock files, with the project in it, editable.
# usage: venv.sh DIR LOCK   (run from the root of the clone; PYTHON names another interpreter)
set -eu

dir=$1
lock=$2
python=${PYTHON:-python3}

say() { printf 'venv: %s\n' "$*" >&2; }

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
    say "$python is older than Python 3.10; name another one with make venv PYTHON=python3.12"
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    say "$python has no venv module; missing Debian package: python$version-venv"
    if [ "${SIFGATE_APT:-1}" = 0 ] || [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        say "install it, or name another interpreter with PYTHON=…"
        exit 1
    fi
    apt-get update -qq </dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "python$version-venv" </dev/null
fi

# An existing environment is brought up to date in place: somebody may be working with it.
if ! "$dir/bin/python" -c '' 2>/dev/null; then
    say "making $dir with $("$python" --version)"
    "$python" -m venv --clear "$dir"
fi
"$dir/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/build.txt

# uv brings its own roots and does not read pip's configuration: use the system's certificates, and a mirror that pip was told to use.
index=${PIP_INDEX_URL:-$("$dir/bin/python" -m pip config get global.index-url 2>/dev/null || true)}
if [ -n "$index" ]; then
    export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}"
fi
export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-1}" UV_LINK_MODE="${UV_LINK_MODE:-copy}" UV_NO_PROGRESS="${CI:+1}" VIRTUAL_ENV="$dir"
[ -n "$UV_NO_PROGRESS" ] || unset UV_NO_PROGRESS

"$dir/bin/uv" --no-config pip install --require-hashes --compile-bytecode -r "$lock"
"$dir/bin/uv" --no-config pip install --quiet --no-deps --no-build-isolation --editable .
