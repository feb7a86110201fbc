#!/usr/bin/env bash
# Sets up the locked environment in .venv, and bubblewrap and libgomp where it may. Never asks.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-python3}

say() { printf '\033[2m· %s\033[0m\n' "$*" >&2; }

stop() { echo "agenthost: $*" >&2; exit 2; }

# Debian's packages, where they may be installed without asking. What apt says is shown when it fails. A machine that
# has just been started may be updating itself: its lock is waited for. An update fails for any source that is out of
# order; whether the package can be had for all that, the installation says.
as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo -n)
may_install() { command -v apt-get >/dev/null && "${as_root[@]}" true 2>/dev/null; }
fetch() {
  local said
  say "installing $* from Debian's packages"
  said=$(
    "${as_root[@]}" apt-get update -qq 2>&1
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq -o DPkg::Lock::Timeout=300 "$@" 2>&1
  ) || { echo "$said" >&2; return 1; }
}

command -v "$python" >/dev/null || stop "there is no '$python'. Run: sudo apt-get install python3, or: make install PYTHON=/path/to/python3"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  stop "$("$python" --version) is too old: AgentHost needs 3.11 or newer. Run: make install PYTHON=/path/to/python3.11"

find_uv() {
  command -v uv 2>/dev/null && return
  # A folder of its own: Debian's pip refuses to touch the system's packages, and venv may be missing.
  local home="$PWD/.venv-uv" wanted=python3-venv
  if [ ! -x "$home/bin/uv" ]; then
    say "installing uv through pip into .venv-uv"
    if "$python" -m venv "$home" >/dev/null 2>&1; then
      "$home/bin/python" -m pip install -q --disable-pip-version-check uv >&2
    elif rm -rf "$home" && "$python" -m pip --version >/dev/null 2>&1; then
      "$python" -m pip install -q --disable-pip-version-check --prefix "$home" --ignore-installed uv >&2 ||
        "$python" -m pip install -q --disable-pip-version-check --break-system-packages --prefix "$home" --ignore-installed uv >&2
    elif may_install; then
      fetch python3-venv && "$python" -m venv "$home" >&2 && "$home/bin/python" -m pip install -q --disable-pip-version-check uv >&2
    else
      command -v bwrap >/dev/null || wanted="python3-venv bubblewrap libgomp1"
      stop "uv is missing, and this Python has neither venv nor pip. Run: sudo apt-get install $wanted"
    fi
  fi
  [ ! -d "$home" ] || find "$home" -name uv -type f -perm -u+x | head -n 1
}

uv=$(find_uv) || exit 2
[ -n "$uv" ] || stop "uv could not be installed (see above). Install it as https://docs.astral.sh/uv says, then run make again"
say "setting up the locked environment in .venv"
unset VIRTUAL_ENV
# The machine's own certificates, where it has them: a company's proxy may sign with one that uv doesn't bring.
[ -e /etc/ssl/certs/ca-certificates.crt ] && export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-true}"
UV_PYTHON_DOWNLOADS=never "$uv" sync --locked --quiet --python "$python"

missing=() without=()
command -v bwrap >/dev/null || { missing+=(bubblewrap) without+=("code runs only in a sandbox"); }
# llama.cpp as PyPI has it needs the OpenMP library of GCC, which a minimal Debian lacks.
if [ "$(uname -s)" = Linux ] && ! .venv/bin/python -c 'import ctypes; ctypes.CDLL("libgomp.so.1")' 2>/dev/null; then
  missing+=(libgomp1) without+=("local models need libgomp")
fi
if [ ${#missing[@]} -gt 0 ] && ! { may_install && fetch "${missing[@]}"; }; then
  say "missing here: ${missing[*]} ($(IFS=';'; echo "${without[*]}")). Run: sudo apt-get install ${missing[*]}"
fi
