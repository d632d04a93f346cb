#!/bin/sh
# Accounts by newusers(8), which reads them from a file in the form of passwd(5) with clear passwords and makes the homes;
# the Maildirs come after it, copied from /etc/skel. Usage: newusers.sh LIST
set -eu
newusers "$1"
cut -d: -f1 "$1" | while read -r user; do
    cp -a /etc/skel/Maildir "/home/$user/"
    chown -R "$user:mailusers" "/home/$user"
done
