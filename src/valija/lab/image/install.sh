# Runs once inside a bare image: installs packages as the play would.
# Arguments: answers for debconf, one a line; then the packages.
export DEBIAN_FRONTEND=noninteractive
answers=$1
shift
apt-get update -q
if [ -n "$answers" ]; then
  printf '%s\n' "$answers" | debconf-set-selections
fi
[ $# -eq 0 ] || apt-get install -q -y --no-install-recommends -o Dpkg::Options::=--force-confold "$@"
apt-get clean
: >/etc/machine-id
