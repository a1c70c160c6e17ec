#!/bin/sh
# Installs the Debian packages that a target needs and that are missing.
# usage: scripts/setup.sh build|data|fuzz|lint
set -eu

libraries="cmake ninja-build pkg-config libjansson-dev libxxhash-dev libpcre2-dev libutf8proc-dev zlib1g-dev libzstd-dev libzip-dev
    libpng-dev libjpeg62-turbo-dev libwebp-dev libsqlite3-dev libyaml-dev libcurl4-openssl-dev libgmp-dev libmpfr-dev
    libcairo2-dev fonts-dejavu-core libcmocka-dev"

case "${1:-build}" in
build) packages=$libraries ;;
fuzz) packages="$libraries clang llvm" ;;
lint) packages="$libraries clang clang-format clang-tidy cppcheck shellcheck" ;;
data) # any Python with pip will do, the distribution's or another
    if python3 -m pip --version >/dev/null 2>&1; then exit 0; fi
    packages="python3 python3-pip" ;;
*)
    echo "usage: $0 build|data|fuzz|lint" >&2
    exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "setup: this is not a Debian system; please see that these are installed: $(echo "$packages" | xargs)" >&2
    exit 0
fi

missing=
for package in $packages; do
    case "$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)" in
    *" installed") ;;
    *) missing="$missing $package" ;;
    esac
done
if ! command -v cc >/dev/null 2>&1 && ! command -v gcc >/dev/null 2>&1; then
    missing="$missing gcc libc6-dev"
fi
[ -n "$missing" ] || exit 0

cannot() {
    echo "setup: $1" >&2
    echo "  missing:$missing" >&2
    echo "  hint:    install them as root: apt-get install$missing" >&2
    exit 1
}

root=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 || cannot "Debian packages are missing, and there is neither root nor sudo to install them"
    root=sudo
fi
echo "setup: installing$missing" >&2
export DEBIAN_FRONTEND=noninteractive
install() {
    # shellcheck disable=SC2086 # a list of words
    $root apt-get install -y --no-install-recommends $missing >&2
}
# A machine may have package lists already, and no network to renew them: try before updating.
install 2>/dev/null && exit 0
$root apt-get update >&2 || cannot "the package lists cannot be fetched (no network?)"
install || cannot "apt-get could not install what is missing"
