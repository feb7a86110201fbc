#!/usr/bin/env bash
# Has Docker Engine and an image for it on a Debian machine, for the tests of the sandbox `docker`. Root only; never
# asks; does nothing where both are there. Starts no engine: the tests start one of their own. Where something can't be
# had, it says why, and the tests are skipped with that reason.
set -euo pipefail

PACKAGES=ca-certificates,git,make,python-is-python3,python3,python3-pytest

say() { printf '\033[2m· %s\033[0m\n' "$*" >&2; }
give_up() { say "$*; the sandbox docker is not tested"; exit 0; }

[ "$(id -u)" = 0 ] || give_up "Docker Engine for the tests needs root"
export DEBIAN_FRONTEND=noninteractive PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
log=$(mktemp)
trap 'rm -f "$log"' EXIT

missing=()
command -v dockerd >/dev/null || missing+=(docker.io)
command -v debootstrap >/dev/null || missing+=(debootstrap)
if [ ${#missing[@]} -gt 0 ]; then
  command -v apt-get >/dev/null || give_up "missing here: ${missing[*]}"
  say "installing ${missing[*]} from Debian's packages"
  # An update fails for any source that is out of order; whether these can be had for all that, the installation says.
  # RUNLEVEL=1: the machine's own engine is not started for it. A machine that has just been started may be updating
  # itself: its lock is waited for.
  { apt-get update -qq || true; } >"$log" 2>&1
  RUNLEVEL=1 apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "${missing[@]}" iptables >>"$log" 2>&1 ||
    give_up "${missing[*]} could not be installed: $(tail -n 1 "$log")"
fi

cache=${XDG_CACHE_HOME:-$HOME/.cache}/agenthost-tests
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
. /etc/os-release
suite=bookworm
[ "${ID:-}" = debian ] && suite=${VERSION_CODENAME:-bookworm}
of="$suite $PACKAGES"
[ -e "$cache/sandbox.tar" ] && [ "$(cat "$cache/sandbox.txt" 2>/dev/null)" = "$of" ] && exit 0

say "making the image of the tests: Debian $suite with $PACKAGES (a minute)"
root=$(mktemp -d "$cache/root.XXXXXX")
trap 'rm -rf "$log" "$root" "$root.tar"' EXIT
chmod 755 "$root"
# The mirror is the one that the machine uses itself.
mirror=$(grep -rhsoE 'https?://[^ ]+/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d | head -n 1 | tr -d ' ' || true)
# In a mount namespace of its own, so that no mount is left behind.
unshare --mount --propagation private \
  debootstrap --variant=minbase --include="$PACKAGES" "$suite" "$root" "${mirror:-http://deb.debian.org/debian}" >"$log" 2>&1 ||
  give_up "the image could not be made: $(tail -n 1 "$log")"
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale}/*
tar --numeric-owner --exclude='./dev/*' -C "$root" -cf "$root.tar" . 2>"$log" || give_up "the image could not be kept: $(tail -n 1 "$log")"
mv "$root.tar" "$cache/sandbox.tar"
echo "$of" >"$cache/sandbox.txt"
