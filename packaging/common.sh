# Shared by the packaging scripts: where things are, and installing what is missing. Sourced, not run.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
jobs="${MOESCOPE_BUILD_JOBS:-$(nproc)}"

say() { printf '\n== %s\n' "$*"; }

# packages_of GROUP…: the packages of these groups, from debian-packages.txt.
packages_of() {
  local group
  for group in "$@"; do
    sed -n "s/^$group: //p" "$root/packaging/debian-packages.txt"
  done | tr ' ' '\n' | sed '/^$/d'
}

# install_missing GROUP…: installs what is not there yet, as root or with sudo; does nothing when all is there.
install_missing() {
  if ! command -v dpkg-query >/dev/null; then
    echo "This is not a Debian system: install the equivalents of packaging/debian-packages.txt by hand." >&2
    return 0
  fi
  local package missing=()
  for package in $(packages_of "$@"); do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || missing+=("$package")
  done
  [ "${#missing[@]}" -eq 0 ] && return 0
  say "Installing ${#missing[@]} missing packages: ${missing[*]}"
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "Run this as root, or install sudo: packages are missing." >&2; return 3; }
    as_root=(sudo)
  fi
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
}

# build PRESET [cmake options…]: configures and builds.
build() {
  local preset="$1"
  shift
  say "Building ($preset, $jobs jobs)"
  (cd "$root" && cmake --preset "$preset" "$@" && cmake --build --preset "$preset" --parallel "$jobs")
}
