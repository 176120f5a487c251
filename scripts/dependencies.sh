#!/usr/bin/env bash
# The Debian packages that Orrery uses, in one list. Names that Debian 12, Debian 13 and Ubuntu 24.04 all have.
#   scripts/dependencies.sh list    [GROUP...]   print the names
#   scripts/dependencies.sh missing [GROUP...]   print those that are not installed
#   scripts/dependencies.sh install [GROUP...]   install those (as root or through sudo), saying what is installed
# Groups: build (what the `orrery` command needs), viewer (the window), test, check (compiler and tools of .ci/run),
# optional (what is used when present). Without a group: build viewer test.
set -euo pipefail

packages_build="
  g++ cmake ninja-build pkg-config
  libdnnl-dev ocl-icd-opencl-dev libhwy-dev
  nlohmann-json3-dev libtomlplusplus-dev libpcre2-dev libcli11-dev
  libeigen3-dev libbox2d-dev libopencv-core-dev libopencv-imgproc-dev libopencv-video-dev libopencv-dnn-dev
  libavformat-dev libavcodec-dev libavutil-dev libswscale-dev libavfilter-dev"
packages_viewer="libimgui-dev libglfw3-dev libgl-dev libgl1-mesa-dri fonts-dejavu-core"
packages_test="catch2 xvfb xauth"
# CLANG is the version that the package clang stands for: 14 on Debian 12, 18 on Ubuntu 24.04, 19 on Debian 13.
packages_check="clang libclang-rt-CLANG-dev libomp-dev clang-format"
packages_optional="ccache clang-tidy libopenmpi-dev openmpi-bin"

list() {
  local group names="" clang
  for group in "$@"; do
    case $group in
      build) names+=" $packages_build" ;;
      viewer) names+=" $packages_viewer" ;;
      test) names+=" $packages_test" ;;
      check) names+=" $packages_check" ;;
      optional) names+=" $packages_optional" ;;
      *) echo "dependencies.sh: no group '$group' (build viewer test check optional)" >&2; return 2 ;;
    esac
  done
  if [[ $names == *CLANG* ]]; then
    clang=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]\+\)$/\1/p' | head -n 1)
    names=${names//CLANG/${clang:-14}}
  fi
  # shellcheck disable=SC2086  # splitting is wanted
  printf '%s\n' $names
}

missing() {
  local names installed
  names=$(list "$@")
  # shellcheck disable=SC2086
  installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' $names 2>/dev/null | sed -n 's/^installed //p' || true)
  comm -23 <(sort -u <<<"$names") <(sort -u <<<"$installed")
}

install() {
  local names as_root=()
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "dependencies.sh: this is no Debian or Ubuntu: packages are not installed for you. Needed, by their Debian names:" >&2
    list "$@" | paste -sd ' ' >&2
    return 0
  fi
  names=$(missing "$@")
  [[ -n $names ]] || return 0
  if [[ $(id -u) != 0 ]]; then
    if ! command -v sudo >/dev/null; then
      echo "dependencies.sh: missing packages, and neither root nor sudo to install them. Run as root:" >&2
      echo "  apt-get install --no-install-recommends $(paste -sd ' ' <<<"$names")" >&2
      return 2
    fi
    as_root=(sudo)
  fi
  echo "Installing with apt-get: $(paste -sd ' ' <<<"$names")" >&2
  as_root+=(env DEBIAN_FRONTEND=noninteractive)
  "${as_root[@]}" apt-get update -qq >&2 </dev/null
  names=$(missing "$@")  # again: which clang is meant is known only now that apt has its lists
  [[ -n $names ]] || return 0
  # shellcheck disable=SC2086
  "${as_root[@]}" apt-get install -y -q --no-install-recommends -o Dpkg::Use-Pty=0 $names >&2 </dev/null
}

command=${1:-list}
[[ $# -gt 0 ]] && shift
[[ $# -gt 0 ]] || set -- build viewer test
case $command in
  list | missing | install) "$command" "$@" ;;
  *) sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 2 ;;
esac
