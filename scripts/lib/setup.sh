# Sets up what the scripts of this folder need, once, and reuses it: a virtual environment in .venv, a Docker engine,
# and the tools that build images and reach hosts. Sourced, never run; `set_up` is the only function for others.
# shellcheck shell=bash

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
venv=$checkout/.venv
engine_log=${TMPDIR:-/tmp}/valija-dockerd.log

# Everything that a script of ours needs before it can do its work.
set_up() {
  # One script at a time sets up; the lock ends with the process, however it ends.
  exec 9<"$checkout/pyproject.toml"
  flock -n 9 || say "Wait for another script that sets up this checkout"
  flock 9
  set_up_tools
  set_up_venv
  set_up_engine
  set_up_kernel
  exec 9<&-
  PATH=$venv/bin:$PATH
  export PATH
}

say() { printf '%s\n' "$*" >&2; }

# One line: what is missing, and what to do about it.
die() {
  say "$*"
  exit 1
}

is_root() { [ "$(id -u)" -eq 0 ]; }

has() { command -v "$1" >/dev/null 2>&1; }

# Install packages of the distribution; as another user than root, or without apt, say which.
install_packages() {
  { is_root && has apt-get; } || die "Missing on this machine: $*. Remedy: as root, apt-get install $*"
  say "Install $*"
  local log
  log=$(mktemp)
  if ! { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"; } \
    >"$log" 2>&1 </dev/null; then
    die "apt-get could not install $*: $(grep -m1 '^E:' "$log" || tail -n1 "$log") (all of it: $log)"
  fi
  rm -f "$log"
}

set_up_tools() {
  local missing=()
  has git || missing+=(git)
  has ssh || missing+=(openssh-client)
  # A registry image does as well, so only root, who can, gets the tool that builds one.
  ! is_root || has mmdebstrap || missing+=(mmdebstrap)
  ! is_root || has dockerd || engine_answers || missing+=(docker.io iptables)
  # The webmail's checks in a browser; Ubuntu has Chromium as a snap alone, and they are skipped without one.
  ! { is_root && grep -qs '^ID=debian' /etc/os-release; } || has chromium || missing+=(chromium)
  [ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
}

# The first Python that is new enough and works; a shim of pyenv without its version does not.
find_python() {
  local name
  for name in python3.13 python3.12 python3.11 python3.14 python3 /usr/bin/python3; do
    if has "$name" && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
      command -v "$name"
      return
    fi
  done
  return 1
}

# The environment is what pyproject.toml asks for when its stamp says so; the stamp is written last.
set_up_venv() {
  local wanted
  wanted=$(printf '%s\n' "$checkout" | cat - "$checkout/pyproject.toml" | sha256sum | cut -d' ' -f1)
  if [ "$(cat "$venv/.valija-stamp" 2>/dev/null)" = "$wanted" ] && "$venv/bin/python" -c '' 2>/dev/null; then
    return
  fi
  say "Set up the virtual environment .venv (a minute, once)"
  rm -f "$venv/.valija-stamp"
  "$venv/bin/python" -c '' 2>/dev/null || make_venv
  local log=$venv/install.log
  install_into_venv >"$log" 2>&1 </dev/null ||
    die "The Python packages could not be installed: $(tail -n1 "$log") (all of it: $log). Remedy: let pip reach PyPI."
  printf '%s\n' "$wanted" >"$venv/.valija-stamp"
}

make_venv() {
  local python
  rm -rf "$venv"
  python=$(find_python) || {
    install_packages python3 python3-venv
    python=$(find_python) || die "No Python 3.11 or newer on this machine. Remedy: install one (apt-get install python3)."
  }
  if has uv && uv venv --quiet --python "$python" "$venv" 2>/dev/null; then
    return
  fi
  "$python" -c 'import ensurepip, venv' 2>/dev/null || install_packages python3-venv
  "$python" -m venv "$venv" || die "$python cannot make a virtual environment in $venv."
}

# uv where it is, else uv from PyPI, else pip: the same packages, sooner or later.
install_into_venv() {
  local uv
  uv=$(command -v uv || true)
  if [ -z "$uv" ] && "$venv/bin/python" -m pip install --quiet uv; then
    uv=$venv/bin/uv
  fi
  if [ -n "$uv" ] && "$uv" pip install --python "$venv/bin/python" --editable "${checkout}[test]"; then
    return
  fi
  [ -x "$venv/bin/pip" ] || "$venv/bin/python" -m ensurepip
  "$venv/bin/python" -m pip install --editable "${checkout}[test]"
}

engine_answers() { has docker && docker version >/dev/null 2>&1 </dev/null; }

set_up_engine() {
  engine_answers && return
  is_root || die "No Docker engine answers. Remedy: start it and join the group docker, or run this script as root."
  has dockerd || install_packages docker.io iptables
  say "Start the Docker engine"
  if [ -d /run/systemd/system ]; then
    systemctl start docker || true
  else
    start_engine_by_hand
  fi
  local try
  for ((try = 0; try < 120; try++)); do
    engine_answers && return
    sleep 0.5
  done
  die "The Docker engine does not answer within a minute: $(tail -n1 "$engine_log" 2>/dev/null) (its log: $engine_log)"
}

# Without an init system the engine is a process of its own session, which outlives the script.
start_engine_by_hand() {
  local old
  old=$(cat /run/docker.pid 2>/dev/null || true)
  # A machine that was switched off leaves the number of a process that is another one now.
  if [ -n "$old" ] && [ "$(cat "/proc/$old/comm" 2>/dev/null)" != dockerd ]; then
    rm -f /run/docker.pid
  fi
  setsid dockerd >>"$engine_log" 2>&1 </dev/null 9<&- &
}

# systemd, journald and fail2ban of each lab host take a few of the kernel's inotify instances, which all containers of a
# machine share: with the usual 128, four labs with several hosts use them up, and fail2ban reads no log any more.
set_up_kernel() {
  local limit=/proc/sys/fs/inotify/max_user_instances
  if is_root && [ -w "$limit" ] && [ "$(cat "$limit")" -lt 512 ]; then
    say "Raise fs.inotify.max_user_instances from $(cat "$limit") to 512, until the next boot"
    echo 512 >"$limit" || true
  fi
}
