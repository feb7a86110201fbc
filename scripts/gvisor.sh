#!/usr/bin/env bash
# Has gVisor's runsc on a Debian machine, for the tests of the sandbox `gvisor`. Root only; never asks; does nothing
# where it is there. Where it can't be had, it says why, and the tests are skipped with that reason.
set -euo pipefail

say() { printf '\033[2m· %s\033[0m\n' "$*" >&2; }

command -v runsc >/dev/null && exit 0
[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || { say "runsc is missing; the sandbox gvisor is not tested"; exit 0; }

export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
fetch() {
  # An update fails for any source that is out of order; whether runsc can be had for all that, the installation says.
  # A machine that has just been started may be updating itself: its lock is waited for.
  { apt-get update -qq || true; } >"$log" 2>&1
  apt-get install -y -qq -o DPkg::Lock::Timeout=300 "$1" >>"$log" 2>&1 ||
    { say "runsc could not be installed: $(tail -n 1 "$log"); the sandbox gvisor is not tested"; exit 0; }
}

say "installing runsc from Debian's packages"
. /etc/os-release
if [ "${VERSION_CODENAME:-}" = bookworm ]; then
  # Only backports have it there. The mirror is the one that the machine uses for bookworm itself.
  if ! grep -rqsE '^[^#]*bookworm-backports' /etc/apt/sources.list /etc/apt/sources.list.d; then
    mirror=$(grep -rhsoE 'https?://[^ ]+/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d | head -n 1 | tr -d ' ' || true)
    echo "deb ${mirror:-http://deb.debian.org/debian} bookworm-backports main" >/etc/apt/sources.list.d/agenthost-backports.list
  fi
  fetch runsc/bookworm-backports
else
  fetch runsc
fi
say "$(runsc --version | head -n 1)"
