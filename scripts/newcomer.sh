#!/bin/sh
# The newcomer's path: in a fresh Debian 12 (minbase, in a chroot) with nothing but git's checkout, the commands of
# README.md's first block are run as they stand. Needs root, debootstrap and a network; exit status 77 says skipped.
# usage: scripts/newcomer.sh [DIRECTORY that holds the system, default .cache/newcomer]
set -eu
cd "$(dirname "$0")/.."

skip() {
    echo "skipped: $1"
    exit 77
}
[ "$(id -u)" -eq 0 ] || skip "a chroot needs root"
command -v debootstrap >/dev/null 2>&1 || skip "debootstrap is not installed"
place=${1:-.cache/newcomer}
mkdir -p "$place"
place=$(cd "$place" && pwd)
system=$place/system
# The mirror that this machine uses itself.
mirror=$(sed -n 's/^URIs: *//p; s/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) .*/\2/p' \
    /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null | head -n 1)
[ -n "$mirror" ] || skip "no Debian mirror is configured"

if [ ! -f "$place/base.tar" ]; then
    echo "newcomer: making a minimal Debian 12"
    rm -rf "$place/base"
    if ! debootstrap --variant=minbase bookworm "$place/base" "$mirror" >"$place/debootstrap.log" 2>&1; then
        tail -n 3 "$place/debootstrap.log"
        skip "the system cannot be fetched"
    fi
    tar -C "$place/base" -cf "$place/base.tar" .
    rm -rf "$place/base"
fi
leave() {
    umount "$system/proc" 2>/dev/null || true
}
trap leave EXIT
leave
rm -rf "$system"
mkdir -p "$system"
tar -C "$system" -xf "$place/base.tar"
git clone --quiet . "$system/root/strata"
# How this machine reaches its network: names, the package indices of pip.
cp /etc/resolv.conf /etc/hosts "$system/etc/" 2>/dev/null || true
for file in /etc/pip.conf "${HOME:-/root}/.config/pip/pip.conf" "${HOME:-/root}/.pip/pip.conf"; do
    [ -f "$file" ] || continue
    sed 's|^ *cert *=.*|cert = /etc/pip-certificates.pem|' "$file" >"$system/etc/pip.conf"
    certificate=$(sed -n 's/^ *cert *= *//p' "$file")
    [ ! -f "$certificate" ] || cp "$certificate" "$system/etc/pip-certificates.pem"
done
mount -t proc proc "$system/proc"

# README's first block, and what it says must be there before.
# shellcheck disable=SC2016 # the back-ticks are Markdown's
sed -n '/^## Two commands/,/^## /p' README.md | sed -n '/^```sh/,/^```/p' | sed '/^```/d; s/ *#.*//' |
    sed '/^$/d' >"$place/commands"
# shellcheck disable=SC2016
needs=$(sed -n 's/.*`apt-get install \([^`]*\)`.*/\1/p' README.md | head -n 1)
if [ ! -s "$place/commands" ] || [ -z "$needs" ]; then
    echo "newcomer: README.md no longer has the block that this script reads" >&2
    exit 1
fi
inside() {
    echo "newcomer: $1"
    env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
        ${PIP_INDEX_URL:+PIP_INDEX_URL="$PIP_INDEX_URL"} ${PIP_TRUSTED_HOST:+PIP_TRUSTED_HOST="$PIP_TRUSTED_HOST"} \
        ${JOBS:+JOBS="$JOBS"} chroot "$system" sh -c "cd /root/strata && $1"
}
inside "apt-get update -qq && apt-get install -y -qq --no-install-recommends $needs" >"$place/log" 2>&1 ||
    { tail -n 20 "$place/log"; exit 1; }
while read -r command; do
    if ! inside "$command" >"$place/log" 2>&1 </dev/null; then
        tail -n 60 "$place/log"
        echo "newcomer: \"$command\" failed in a fresh Debian 12" >&2
        exit 1
    fi
    tail -n 8 "$place/log"
done <"$place/commands"
rm -rf "$place/log"
echo "newcomer: every command of README.md's first block works in a fresh Debian 12"
