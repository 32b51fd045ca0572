#!/bin/sh
# Installs imds-analyzer where neither dpkg nor rpm does it, enables the service and
# starts it. Run it again, of this version or a newer one, to repair or to upgrade.
#
#   sudo ./install.sh [--no-start]
#
# PREFIX   where the program and its documentation go; /usr/local if not set
# DESTDIR  another root to install into, as for an image: nothing is enabled or started
#
# Configuration and unit go to /etc. A configuration that is there already stays, and
# the new one is put beside it as imds-analyzer.toml.new.
set -eu

PREFIX=${PREFIX:-/usr/local}
DESTDIR=${DESTDIR:-}
start=yes

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

for word in "$@"; do
    case "$word" in
    --no-start) start=no ;;
    *) fail "unknown argument: $word (usage: install.sh [--no-start])" ;;
    esac
done

case "$PREFIX" in
*[!A-Za-z0-9/._+-]*) fail "PREFIX may have letters, digits and /._+- in it, not '$PREFIX'" ;;
/*) ;;
*) fail "PREFIX must be an absolute path, not $PREFIX" ;;
esac
case "$DESTDIR" in
"" | /*) ;;
*) fail "DESTDIR must be an absolute path, not $DESTDIR" ;;
esac

cd "$(dirname "$0")"
[ -f tree/bin/imds-analyzer ] || fail "tree/ is missing: unpack the whole archive"

if [ -n "$DESTDIR" ]; then
    mkdir -p "$DESTDIR"
else
    [ "$(id -u)" -eq 0 ] || fail "run it as root"
    tree/bin/imds-analyzer --version >/dev/null ||
        fail "this program does not run on this machine ($(uname -m))"
    # Two copies of the unit would hide one another.
    if dpkg-query -W -f '${db:Status-Status}' imds-analyzer 2>/dev/null | grep -qx installed; then
        fail "the Debian package imds-analyzer is installed: remove it first"
    fi
    if rpm -q imds-analyzer >/dev/null 2>&1; then
        fail "the rpm package imds-analyzer is installed: remove it first"
    fi
fi

# Every file that is put somewhere and every directory (with a slash behind it) that was
# not there, so that uninstall.sh removes these and no others.
list="$PREFIX/share/imds-analyzer/installed-files"
new_list=$(mktemp)
trap 'rm -f "$new_list"' EXIT

make_directory() {
    if [ ! -d "$DESTDIR$1" ]; then
        make_directory "$(dirname "$1")"
        mkdir "$DESTDIR$1"
        echo "$1/" >>"$new_list"
    fi
}

# put MODE SOURCE PATH: through a name beside it, so that a running program can be
# replaced and nobody reads half a file.
put() {
    make_directory "$(dirname "$3")"
    cp "$2" "$DESTDIR$3.installing"
    chmod "$1" "$DESTDIR$3.installing"
    mv -f "$DESTDIR$3.installing" "$DESTDIR$3"
    echo "$3" >>"$new_list"
}

umask 022
for file in $(cd tree && find bin share -type f | sort); do
    case "$file" in
    bin/*) put 0755 "tree/$file" "$PREFIX/$file" ;;
    *) put 0644 "tree/$file" "$PREFIX/$file" ;;
    esac
done
put 0755 uninstall.sh "$PREFIX/share/imds-analyzer/uninstall.sh"

unit=$(mktemp)
trap 'rm -f "$new_list" "$unit"' EXIT
sed "s|^\(Exec[A-Za-z]*=\)/usr/bin/imds-analyzer|\1$PREFIX/bin/imds-analyzer|" \
    tree/lib/systemd/system/imds-analyzer.service >"$unit"
put 0644 "$unit" /etc/systemd/system/imds-analyzer.service
put 0644 tree/lib/sysusers.d/imds-analyzer.conf /etc/sysusers.d/imds-analyzer.conf

config=/etc/imds-analyzer/imds-analyzer.toml
if [ ! -e "$DESTDIR$config" ]; then
    put 0644 "tree$config" "$config"
    rm -f "$DESTDIR$config.new"
elif cmp -s "tree$config" "$DESTDIR$config"; then
    echo "$config" >>"$new_list"
    rm -f "$DESTDIR$config.new"
else
    put 0644 "tree$config" "$config.new"
    echo "install.sh: $config is another one and stays; this version's is $config.new" >&2
fi

# What an older version put somewhere and this one doesn't; its directories are this one's.
if [ -f "$DESTDIR$list" ]; then
    while read -r path; do
        case "$path" in
        */) echo "$path" >>"$new_list" ;;
        "$config") ;;
        *) grep -Fqx "$path" "$new_list" || rm -f "$DESTDIR$path" ;;
        esac
    done <"$DESTDIR$list"
fi
echo "$list" >>"$new_list"
cp "$new_list" "$DESTDIR$list"
chmod 0644 "$DESTDIR$list"

[ -z "$DESTDIR" ] || exit 0

if ! getent group imds-analyzer >/dev/null; then
    systemd-sysusers imds-analyzer.conf 2>/dev/null || groupadd --system imds-analyzer
fi
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    if [ "$start" = yes ]; then
        systemctl enable imds-analyzer.service
        systemctl restart imds-analyzer.service ||
            fail "it is installed and did not start; '$PREFIX/bin/imds-analyzer check' says why"
    fi
elif [ "$start" = yes ]; then
    echo "install.sh: systemd does not run here, so nothing was started" >&2
fi
echo "imds-analyzer is installed; $PREFIX/share/imds-analyzer/uninstall.sh removes it"
