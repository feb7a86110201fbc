#!/usr/bin/env bash
# Has Podman on a Debian machine, for the tests of the sandbox `docker`, which speaks to it too. Root only; never asks;
# does nothing where it is there. Starts no Podman: the tests start their own, and have the image of scripts/docker.sh.
# Where something can't be had, it says why, and the tests are skipped with that reason.
set -euo pipefail

say() { printf '\033[2m· %s\033[0m\n' "$*" >&2; }
give_up() { say "$*; Podman is not tested"; exit 0; }

[ "$(id -u)" = 0 ] || give_up "Podman for the tests needs root"
export DEBIAN_FRONTEND=noninteractive PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
log=$(mktemp)
trap 'rm -f "$log"' EXIT

missing=()
for command in podman conmon crun newuidmap; do
  package=$command
  [ "$command" = newuidmap ] && package=uidmap # for Podman of an ordinary user
  command -v "$command" >/dev/null || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
command -v apt-get >/dev/null || give_up "missing here: ${missing[*]}"
say "installing ${missing[*]} from Debian's packages"
# RUNLEVEL=1: no service of it is started.
{ apt-get update -qq && RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 ||
  give_up "${missing[*]} could not be installed: $(tail -n 1 "$log")"
