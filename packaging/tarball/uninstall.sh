#!/bin/sh
# Removes what install.sh put somewhere. Configuration, logs, state and the group stay,
# unless it is told to purge.
#
#   sudo /usr/local/share/imds-analyzer/uninstall.sh [--purge]
#
# It knows where it was installed; started from the archive it asks PREFIX, as install.sh.
set -eu

case "$0" in
/*/share/imds-analyzer/uninstall.sh) PREFIX=${0%/share/imds-analyzer/uninstall.sh} ;;
*) PREFIX=${PREFIX:-/usr/local} ;;
esac
purge=no

fail() {
    echo "uninstall.sh: $*" >&2
    exit 1
}

for word in "$@"; do
    case "$word" in
    --purge) purge=yes ;;
    *) fail "unknown argument: $word (usage: uninstall.sh [--purge])" ;;
    esac
done
[ "$(id -u)" -eq 0 ] || fail "run it as root"

list="$PREFIX/share/imds-analyzer/installed-files"
config=/etc/imds-analyzer/imds-analyzer.toml
if [ -f "$list" ]; then
    if [ -d /run/systemd/system ]; then
        systemctl disable --now imds-analyzer.service || true
    fi
    # This script is on the list: a shell that reads it on needs the file no more.
    # Sorted so that a directory comes after what is in it.
    for path in $(sort -r "$list"); do
        case "$path" in
        */)
            # Others may have put something there meanwhile.
            if [ -d "$path" ]; then
                rmdir "$path" 2>/dev/null || true
            fi
            ;;
        "$config") ;;
        *) rm -f "$path" ;;
        esac
    done
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
    fi
elif [ "$purge" = no ]; then
    fail "there is no $list: nothing is installed below $PREFIX"
fi

if [ "$purge" = yes ]; then
    rm -f "$config" "$config.new"
    if [ -d /etc/imds-analyzer ]; then
        rmdir /etc/imds-analyzer || true
    fi
    rm -rf /var/log/imds-analyzer /var/lib/imds-analyzer
    if getent group imds-analyzer >/dev/null; then
        groupdel imds-analyzer || true
    fi
    echo "imds-analyzer is removed, with its configuration, logs and state"
else
    echo "imds-analyzer is removed; $config, /var/log/imds-analyzer, /var/lib/imds-analyzer and the group stay"
fi
exit 0
