#!/bin/bash
# postgres.sh - a private PostgreSQL for tests: lives in a temporary folder, as long as its standard input is open
#
# postgres.sh [durable]: without that word it leaves out what only a machine that loses its power would miss.
#
# First says "missing" (and ends) where no PostgreSQL 15 or later is installed; otherwise "folder ...",
# "port ...", "password ..." (of the roles postgres, parley_owner and parley_app), then "ready". Then it
# takes commands, one a line, and answers "ok" or "failed ..." to each:
#   database NAME [OF]  makes a database that parley_owner owns, a copy of OF
#   stop MODE         fast or immediate (what a crash is like)
#   start             on the same port
#   freeze, thaw      every process of the server stands still; goes on
#   standby PORT      makes a second server that follows the first: a commit is answered when both have it
#   tls FOLDER        no connection without TLS from now on (server.pem, server.key of that folder), and the
#                     role parley_app comes with a certificate of ca.pem that names it, instead of a password
#   fail_over PORT    the first ends as in a crash; the second, which listens on PORT, takes over for good
# As root it runs the server as "postgres" or "nobody": PostgreSQL refuses root.
set -u

unsafe="fsync = off
full_page_writes = off
autovacuum = off"
[ "${1:-}" = durable ] && unsafe=

binaries=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
version=$(basename "$(dirname "${binaries:-/0/bin}")")
if [ ! -x "$binaries/initdb" ] || [ "$version" -lt 15 ]; then
    echo missing
    exit 0
fi

as=()
user=$(id -un)
if [ "$(id -u)" -eq 0 ]; then
    user=postgres
    id -u "$user" >/dev/null 2>&1 || user=nobody
    as=(setpriv "--reuid=$user" "--regid=$(id -gn "$user")" --clear-groups --)
fi

# A database is some hundred files, so they are in memory where there is room. Short: the name of a socket
# has at most 107 characters.
place=/tmp
[ "$(df --output=avail /dev/shm 2>/dev/null | tail -1)" -gt 4000000 ] 2>/dev/null && [ -z "${1:-}" ] && place=/dev/shm
folder=$(mktemp -d $place/parley-pg-XXXXXX)
data=data # the folder of the one that serves
log=$folder/log
umask 077
chown "$user" "$folder"
cd "$folder" || exit 1

run() { "${as[@]}" env -i PATH="$binaries:/usr/bin:/bin" LC_ALL=C.UTF-8 PGPASSWORD="$password" "$@"; }
ask() { run psql -X -q -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$port" -U postgres -d "$1" -c "$2"; }
finish() {
    signal_all CONT 2>/dev/null
    for one in data standby; do
        if [ -f "$folder/$one/postmaster.pid" ]; then run pg_ctl -D "$one" -m immediate -w stop >>"$log" 2>&1; fi
    done
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP
give_up() {
    echo "failed $1"
    cat "$log" "$folder"/server.log >&2 2>/dev/null
    exit 1
}

# Its children after it: what stands still makes no new ones.
signal_all() {
    local main
    main=$(head -1 data/postmaster.pid) && kill -"$1" "$main" &&
        for child in $(cat "/proc/$main/task/$main/children"); do kill -"$1" "$child"; done
    return 0
}
# Known by its own folder; the log of both is one.
sync_state="SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming'"
make_standby() {
    run pg_basebackup -h 127.0.0.1 -p "$port" -U postgres -D standby -R -X stream -c fast || return
    printf "port = %s\n" "$1" >>standby/postgresql.auto.conf
    run pg_ctl -D standby -l server.log -w -t 60 start </dev/null || return
    ask postgres "ALTER SYSTEM SET synchronous_standby_names = '*'" && ask postgres "SELECT pg_reload_conf()" || return
    # Until then commits do not wait for it. The checkpointer is who puts the setting in force; what it does on demand it
    # does behind that. The last commit comes back when the standby has it, and all before it.
    for attempt in {1..600}; do
        [ "$(run psql -X -At -h 127.0.0.1 -p "$port" -U postgres -d postgres -c "$sync_state")" = sync ] && break
        [ "$attempt" -lt 600 ] && sleep 0.1 || return
    done
    ask postgres CHECKPOINT && ask postgres "SELECT pg_logical_emit_message(true, 'standby', '')"
}
fail_over() {
    run pg_ctl -D data -m immediate -w stop
    # Nobody follows the new one.
    printf "synchronous_standby_names = ''\n" >>standby/postgresql.auto.conf
    run pg_ctl -D standby -w -t 60 promote && run pg_ctl -D standby reload || return
    data=standby port=$1
}
tls() {
    cp "$1"/ca.pem "$1"/server.pem "$1"/server.key data/ && chown "$user" data/*.pem data/server.key || return
    printf "ssl = on\nssl_ca_file = 'ca.pem'\nssl_cert_file = 'server.pem'\nssl_key_file = 'server.key'\n" \
        >>data/postgresql.auto.conf
    printf "hostssl all parley_app 127.0.0.1/32 cert\nhostssl all all 127.0.0.1/32 scram-sha-256\n" >data/pg_hba.conf
    ask postgres 'SELECT pg_reload_conf()'
}
start() { run pg_ctl -D "$data" -l server.log -w -t 60 start </dev/null >>"$log" 2>&1; }

# A new one is a copy of what initdb made once, with its password, which nobody but the user can read.
first=/tmp/parley-pg-first-$version-$(id -u)
make_first() {
    local made
    made=$(mktemp -d "$first-XXXXXX") && od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$made/password" && chown -R "$user" "$made" &&
        run initdb -D "$made/data" -U postgres --pwfile="$made/password" -A scram-sha-256 -E UTF8 --locale=C.UTF-8 \
            --no-sync && { mv -T "$made" "$first" || rm -rf "$made"; } # another was faster
}
is_ours() { [ "$(stat -c %U "$first" 2>/dev/null)" = "$user" ]; }
password=
is_ours || make_first >>"$log" 2>&1 || give_up initdb
is_ours && cp -a "$first/data" data && password=$(cat "$first/password") || give_up initdb
# Another program may take the port in between: then the next one.
for attempt in 1 2 3 4 5; do
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    cat >data/postgresql.auto.conf <<END
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = '$folder'
max_connections = 300
shared_buffers = 64MB
log_min_messages = fatal
log_min_error_statement = panic
$unsafe
${PARLEY_TEST_POSTGRES_SETTINGS:-}
END
    chown "$user" data/postgresql.auto.conf
    if start; then break; fi
    [ "$attempt" -lt 5 ] && continue
    rm -rf "$first" # if that is what is wrong
    give_up start
done
ask postgres "CREATE ROLE parley_owner LOGIN PASSWORD '$password'" >>"$log" 2>&1 || give_up roles
ask postgres "CREATE ROLE parley_app LOGIN PASSWORD '$password'" >>"$log" 2>&1 || give_up roles

printf 'folder %s\nport %s\npassword %s\nready\n' "$folder" "$port" "$password"
while read -r command argument; do
    case $command in
    database)
        read -r name of <<<"$argument"
        ask postgres "CREATE DATABASE \"$name\" OWNER parley_owner ${of:+TEMPLATE \"$of\" STRATEGY file_copy}"
        ;;
    stop) run pg_ctl -D "$data" -m "$argument" -w stop ;;
    start) start ;;
    freeze) signal_all STOP ;;
    thaw) signal_all CONT ;;
    standby) make_standby "$argument" ;;
    tls) tls "$argument" ;;
    fail_over) fail_over "$argument" ;;
    *) false ;;
    esac >>"$log" 2>&1 </dev/null && echo ok || echo "failed $command"
done
