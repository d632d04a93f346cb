#!/bin/sh
# Accounts by useradd(8), one by one, as a shell script does it; the Maildir comes from /etc/skel.
# Usage: useradd.sh LIST    (a name and a hash a line)
set -eu
while read -r user hash; do
    useradd -m -g mailusers -s /usr/sbin/nologin -p "$hash" "$user"
done <"$1"
