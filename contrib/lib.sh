# shellcheck shell=bash
# Common functions of the scripts in contrib. A script sources this file with $repo set to the directory of the repository.
export LC_ALL=C.UTF-8

die() {
  echo "${0##*/}: $*" >&2
  exit 1
}
usage() {
  echo "${0##*/}: $*; see contrib/${0##*/} --help" >&2
  exit 64
}
# Prints the comment at the start of a script, which is its help text.
help() { awk 'NR > 1 { if (!/^#/ || /shellcheck disable/) exit; sub(/^# ?/, ""); print }' "$0"; }
step() { printf '\n== %s\n' "$*" >&2; }

# shellcheck disable=SC2034  # used by the scripts that source this
readonly BUILD_PACKAGES=(libsystemd-dev libsqlite3-dev pkg-config)
# dbus-user-session and libpam-systemd are for user managers, procps for the kill in ExecReload=.
# shellcheck disable=SC2034
readonly BOX_PACKAGES=(systemd dbus dbus-user-session libpam-systemd util-linux procps)
# shellcheck disable=SC2034
readonly TEST_PACKAGES=(shellcheck systemd-journal-remote sqlite3 mandoc groff-base)

# Installs the Debian packages that are missing.
need_packages() {
  local package missing=()
  if ! command -v dpkg-query >/dev/null; then
    echo "${0##*/}: this is not Debian; it is assumed that these packages are installed: $*" >&2
    return
  fi
  for package; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  ((EUID == 0)) || die "packages are missing; as root: apt-get install --no-install-recommends ${missing[*]}"
  step "Installing ${missing[*]}"
  # The package lists are updated only if the installation fails with the present ones.
  apt_install "${missing[@]}" || { apt-get update -qq && apt_install "${missing[@]}"; } >&2 || die "cannot install ${missing[*]}"
}
apt_install() { DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" </dev/null >&2; }

need_swift() {
  command -v swift >/dev/null || die "needs a Swift toolchain, 6.3 or later, in PATH: https://www.swift.org/install/linux"
}

# Builds the release binary, stripped and with the Swift libraries linked statically, and sets $binary to its path.
build_release() {
  local options=(--package-path "$repo" -c release --static-swift-stdlib -Xlinker -s --product journalhook)
  need_swift
  need_packages "${BUILD_PACKAGES[@]}"
  step "Building the release binary"
  swift build "${options[@]}" >&2 </dev/null || die "the release build has failed"
  # shellcheck disable=SC2034
  binary=$(swift build "${options[@]}" --show-bin-path)/journalhook
}
