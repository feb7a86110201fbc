#!/usr/bin/env bash
# Sets up the locked environment in .venv, and bubblewrap where it may. Never asks.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-python3}

say() { printf '\033[2m· %s\033[0m\n' "$*" >&2; }

stop() { echo "agenthost: $*" >&2; exit 2; }

command -v "$python" >/dev/null || stop "there is no '$python'. Run: sudo apt-get install python3, or: make install PYTHON=/path/to/python3"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  stop "$("$python" --version) is too old: AgentHost needs 3.11 or newer. Run: make install PYTHON=/path/to/python3.11"

find_uv() {
  command -v uv 2>/dev/null && return
  # A folder of its own: Debian's pip refuses to touch the system's packages, and venv may be missing.
  local home="$PWD/.venv-uv"
  if [ ! -x "$home/bin/uv" ]; then
    say "installing uv through pip into .venv-uv"
    if "$python" -m venv "$home" >/dev/null 2>&1; then
      "$home/bin/python" -m pip install -q --disable-pip-version-check uv >&2
    elif "$python" -m pip --version >/dev/null 2>&1; then
      rm -rf "$home"
      "$python" -m pip install -q --disable-pip-version-check --prefix "$home" --ignore-installed uv >&2 ||
        "$python" -m pip install -q --disable-pip-version-check --break-system-packages --prefix "$home" --ignore-installed uv >&2
    elif [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
      rm -rf "$home"
      say "installing python3-venv from Debian's packages"
      apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >&2
      "$python" -m venv "$home" && "$home/bin/python" -m pip install -q --disable-pip-version-check uv >&2
    else
      stop "uv is missing, and this Python has neither venv nor pip. Run: sudo apt-get install python3-venv"
    fi
  fi
  find "$home" -name uv -type f -perm -u+x | head -n 1
}

uv=$(find_uv) || exit 2
[ -n "$uv" ] || stop "uv could not be installed (see above). Install it as https://docs.astral.sh/uv says, then run make again"
say "setting up the locked environment in .venv"
unset VIRTUAL_ENV
# The machine's own certificates, where it has them: a company's proxy may sign with one that uv doesn't bring.
[ -e /etc/ssl/certs/ca-certificates.crt ] && export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-true}"
UV_PYTHON_DOWNLOADS=never "$uv" sync --locked --quiet --python "$python"

if ! command -v bwrap >/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing bubblewrap from Debian's packages"
    (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq bubblewrap) >/dev/null 2>&1 ||
      say "bubblewrap could not be installed; run: apt-get install bubblewrap"
  elif command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then
    say "installing bubblewrap from Debian's packages"
    (sudo -n apt-get update -qq && sudo -n DEBIAN_FRONTEND=noninteractive apt-get install -y -qq bubblewrap) >/dev/null 2>&1 ||
      say "bubblewrap could not be installed; run: sudo apt-get install bubblewrap"
  else
    say "bubblewrap is missing, and code runs only in a sandbox. Run: sudo apt-get install bubblewrap"
  fi
fi
