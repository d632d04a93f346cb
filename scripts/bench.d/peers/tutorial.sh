#!/bin/sh
# The class tutorial's commands, as a person would put them into a script: the peer of a first and of a second run.
# Source: the tutorial that Valija starts from (Apache, mailutils, Postfix, Courier, SquirrelMail, adduser, maildirmake).
# Usage on the host, as root: tutorial.sh DOMAIN SQUIRRELMAIL_TAR USER...    (passwords are the user names: a lab's)
set -eu
domain=$1
webmail=$2
shift 2
export DEBIAN_FRONTEND=noninteractive

debconf-set-selections <<SELECTIONS
postfix postfix/main_mailer_type select Internet Site
postfix postfix/mailname string $domain
SELECTIONS
apt-get update -qq
for package in apache2 mailutils postfix courier-pop courier-imap php-fpm php-mbstring; do
    apt-get install -y -qq --no-install-recommends "$package" >/dev/null
done

postconf -e "home_mailbox = Maildir/" "inet_protocols = ipv4" "mydestination = $domain, localhost"
systemctl restart postfix

mkdir -p /usr/local/share/squirrelmail /var/local/squirrelmail/data /var/local/squirrelmail/attach
tar -xf "$webmail" -C /usr/local/share/squirrelmail
chown -R www-data /var/local/squirrelmail
cp /usr/local/share/squirrelmail/config/config_default.php /usr/local/share/squirrelmail/config/config.php
sed -i "s/^\\\$domain .*/\$domain = '$domain';/; s/^\\\$imap_server_type .*/\$imap_server_type = 'courier';/" \
    /usr/local/share/squirrelmail/config/config.php
ln -sfn /usr/local/share/squirrelmail /var/www/webmail
a2enmod -q proxy_fcgi setenvif
a2enconf -q "$(basename /etc/apache2/conf-available/php*-fpm.conf)"
sed -i 's#/var/www/html#/var/www#' /etc/apache2/sites-available/000-default.conf
systemctl restart apache2

for user in "$@"; do
    if ! id "$user" >/dev/null 2>&1; then
        adduser --quiet --disabled-password --gecos "" "$user"
    fi
    printf '%s:%s\n' "$user" "$user" | chpasswd
    [ -d "/home/$user/Maildir" ] || su -s /bin/sh -c "maildirmake /home/$user/Maildir" "$user"
done
systemctl restart courier-authdaemon courier-imap courier-pop
