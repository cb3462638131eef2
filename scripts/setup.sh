#!/bin/bash
# setup.sh - install what is missing: setup.sh [run] [test] [check] [bench]
#
# Debian packages as root or through sudo, npm packages where a package-lock.json changed. Says what
# it installs; does nothing, in no time, when all is there.
. "$(dirname "$0")/lib.sh"

run_packages="gcc libc6-dev meson ninja-build pkg-config python3
    libmicrohttpd-dev libgnutls28-dev libcurl4-openssl-dev libjansson-dev libsqlite3-dev libsodium-dev
    libpq-dev libicu-dev libstemmer-dev libexpat1-dev libgumbo-dev libpoppler-glib-dev libcairo2-dev libtesseract-dev tesseract-ocr tesseract-ocr-eng libzip-dev libmd4c-dev libseccomp-dev libhiredis-dev zlib1g-dev
    libgmime-3.0-dev libarchive-dev"
test_packages="libcmocka-dev clang libclang-rt-14-dev chromium postgresql redis-server python3-venv
    dovecot-imapd dovecot-lmtpd dovecot-submissiond opensmtpd clamav-daemon"
check_packages="git libcmocka-dev clang clang-tidy clang-format cppcheck shellcheck"
bench_packages="nginx-light wrk poppler-utils postgresql redis-server python3-faiss python3-hnswlib"

[ $# -gt 0 ] || set -- run

wanted=""
npm_folders="web"
for group in "$@"; do
    case $group in
    run) wanted+=" $run_packages" ;;
    test) wanted+=" $run_packages $test_packages" npm_folders="tests web" ;;
    check) wanted+=" $run_packages $check_packages" ;;
    bench) wanted+=" $run_packages $bench_packages" npm_folders="tests web" ;;
    *) die "setup.sh: no group \"$group\"; there are run, test, check and bench" ;;
    esac
done
# A Node of the user's own is as good as Debian's; installing a second one would only confuse.
node_is_good() {
    command -v npm >/dev/null && command -v node >/dev/null &&
        node_version=$(node --version) && node_version=${node_version#v} &&
        [ "${node_version%%.*}" -ge 18 ]
}
node_is_good || wanted+=" nodejs npm"

installed=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' 2>/dev/null | awk '/^ii/ {print $2}')
missing=""
for package in $(printf '%s\n' $wanted | sort -u); do
    # nginx-light is one of several packages that bring the same program.
    if [ "$package" = nginx-light ] && [ -x /usr/sbin/nginx ]; then continue; fi
    # It would take the place of the machine's own mail server: then the tests that need it are skipped.
    if [ "$package" = opensmtpd ] && [ -x /usr/sbin/sendmail ]; then continue; fi
    grep -qxF "$package" <<<"$installed" || missing+=" $package"
done

if [ -n "$missing" ]; then
    command -v apt-get >/dev/null || die "This is not Debian. Please install:$missing"
    as_root=""
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || die "Please install as root: apt-get install$missing"
        as_root="sudo"
    fi
    say "Installing Debian packages:$missing"
    log=$(mktemp)
    export DEBIAN_FRONTEND=noninteractive
    # Debian makes and starts a database server that it installs; tests start one of their own.
    no_cluster=""
    case $missing in
    *postgresql*)
        no_cluster=/etc/postgresql-common/createcluster.d/parley-setup.conf
        $as_root mkdir -p "$(dirname "$no_cluster")"
        echo "create_main_cluster = false" | $as_root tee "$no_cluster" >/dev/null
        ;;
    esac
    installs=true
    { $as_root apt-get update -q &&
        $as_root apt-get install -q -y --no-install-recommends $missing; } >"$log" 2>&1 ||
        installs=false
    [ -z "$no_cluster" ] || $as_root rm -f "$no_cluster"
    if ! $installs; then
        tail -20 "$log" >&2
        die "apt-get failed; its whole output is in $log"
    fi
    rm -f "$log"
    # Debian starts the servers that it installs; tests and make bench start their own.
    if [ -d /run/systemd/system ]; then
        case $missing in *nginx*) $as_root systemctl --quiet disable --now nginx ;; esac
        case $missing in *redis*) $as_root systemctl --quiet disable --now redis-server ;; esac
        case $missing in *dovecot*) $as_root systemctl --quiet disable --now dovecot.socket dovecot ;; esac
        case $missing in *clamav*) $as_root systemctl --quiet disable --now clamav-daemon.socket clamav-daemon clamav-freshclam ;; esac
        case $missing in *opensmtpd*) $as_root systemctl --quiet disable --now opensmtpd ;; esac
    fi
fi

for folder in $npm_folders; do scripts/npm_ci.sh "$folder"; done
case " $* " in *" test "*)
    scripts/qdrant.sh || say "Set-up goes on; index/index_real_qdrant will be skipped."
    ;;
esac
