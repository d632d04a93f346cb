# Runs once inside a fresh image of a distribution: makes it a host that an administrator can reach by SSH.
# Arguments: the packages that it needs.
export DEBIAN_FRONTEND=noninteractive

# Registry images of Debian throw every downloaded package away; a host does not.
rm -f /etc/apt/apt.conf.d/docker-clean /etc/apt/apt.conf.d/docker-gzip-indexes /usr/sbin/policy-rc.d
rm -f /etc/dpkg/dpkg.cfg.d/excludes

# Hosts share what they download, without sharing apt's lock: `fill` links what others fetched, `keep` gives our own.
cat >/usr/local/sbin/lab-apt-cache <<'SCRIPT'
#!/bin/sh
cache=/var/cache/valija-apt
archives=/var/cache/apt/archives
[ -d "$cache" ] || exit 0
case "$1" in
fill)
  find "$archives" -maxdepth 1 -type l -delete
  find "$cache" -maxdepth 1 -name '*.deb' -exec ln -sf -t "$archives" {} +
  ;;
keep)
  find "$archives" -maxdepth 1 -name '*.deb' -type f | while read -r deb; do
    kept="$cache/${deb##*/}"
    [ -e "$kept" ] || { cp "$deb" "$kept.$$" && mv "$kept.$$" "$kept"; }
  done
  ;;
esac
exit 0
SCRIPT
chmod 0755 /usr/local/sbin/lab-apt-cache
cat >/etc/apt/apt.conf.d/90lab-cache <<'CONF'
APT::Update::Pre-Invoke { "/usr/local/sbin/lab-apt-cache fill"; };
DPkg::Pre-Invoke { "/usr/local/sbin/lab-apt-cache keep"; };
CONF

if ! dpkg-query --show "$@" >/dev/null 2>&1; then
  apt-get update -q
  apt-get install -q -y --no-install-recommends "$@"
fi

# Nothing may take apt's lock behind the back of a test.
systemctl mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer
# A container has no console, and each host gets a key and an identity of its own.
systemctl mask console-getty.service getty@tty1.service
rm -f /etc/ssh/ssh_host_*
: >/etc/machine-id
rm -rf /var/lib/apt/lists/*
apt-get clean
