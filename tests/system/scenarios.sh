#!/usr/bin/env bash
# Runs inside the container, as root, beside a real systemd: what an operator does,
# and what happens to a machine. Every step says what it looks at; the first that
# goes wrong ends it with the journal's last lines.
set -u

fail() {
    echo "FAILED: $*"
    echo "--- systemctl status"; systemctl --no-pager status jobcloned | tail -n 20
    echo "--- journal"; journalctl --no-pager -o short-precise -n 80
    exit 1
}

step() { echo "== $* ($(cut -d. -f1 /proc/uptime) s)"; }

# until SECONDS WHAT COMMAND...: waits until the command succeeds
until_ok() {
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || fail "not within time: $what"
        sleep 0.2
    done
}

truth() { curl -sk https://127.0.0.1:9398/sim/truth; }
behave() { curl -sfk -d "$1" https://127.0.0.1:9398/sim/behaviour >/dev/null || fail "emsim does not take $1"; }
number() { truth | grep -o "\"$1\": *[0-9]*" | head -n 1 | grep -o '[0-9]*$'; }
made() { truth | grep -o "\"name\": *\"$1 [0-9]*\"" | sort | uniq -c | awk '$1 != 1 { bad = 1 } END { print bad ? -1 : NR }'; }

# plan STEM COUNT
plan() {
    cat <<YAML
version: 1
name: ${1,,}
server: prod
defaults: {source: Template Backup, repository: Repo A}
clones:
  - for_each: {count: $2}
    name: '$1 \${index}'
YAML
}

# drop USER FILE STEM COUNT: writes a plan as that user, then renames it into the spool
drop() {
    plan "$3" "$4" | runuser -u "$1" -- sh -c "cat >/var/lib/jobclone/spool/$2.part && mv /var/lib/jobclone/spool/$2.part /var/lib/jobclone/spool/$2"
}

filed() { [ -e "/var/lib/jobclone/spool/$1" ]; }
active() { [ "$(systemctl is-active jobcloned)" = active ]; }
pid() { systemctl show -P MainPID jobcloned; }

step "install"
export DEBIAN_FRONTEND=noninteractive
dpkg -i /test/jobclone.deb || fail "the package cannot be installed"
active && fail "it was started before it was configured"
useradd -m alice && usermod -aG jobclone alice
useradd -m bob && usermod -aG jobclone bob
useradd -m carol

step "a server to clone from"
systemd-run -q --unit=emsim /usr/bin/emsim --inventory /test/emsim-inventory.yaml --listen 127.0.0.1:9398 \
    --tls-self-signed /etc/jobclone/tls --task-ms 300 || fail "emsim"
until_ok 20 "emsim answers" truth
chmod 755 /etc/jobclone/tls; chmod 644 /etc/jobclone/tls/cert.pem
printf 'secret\n' >/etc/jobclone/em.password; chmod 600 /etc/jobclone/em.password
cat >/etc/jobclone/jobcloned.yaml <<'YAML'
version: 1
servers:
  prod:
    url: https://127.0.0.1:9398
    username: 'LAB\svc-clone'
    password: {credential: em}
    tls: {ca_file: tls/cert.pem}
    settle: 4s
    tasks: {max: 4}
spool:
  allow: [{user: alice, servers: [prod]}, {group: root}]
YAML
mkdir -p /etc/systemd/system/jobcloned.service.d
printf '[Service]\nLoadCredential=em:/etc/jobclone/em.password\n' >/etc/systemd/system/jobcloned.service.d/password.conf
systemctl daemon-reload

step "start"
systemctl start jobcloned || fail "it does not start"
active || fail "it is not active"
systemctl status --no-pager jobcloned | grep -q 'Status: "0 running' || fail "no status line"
[ "$(stat -c '%a %U %G' /var/lib/jobclone/spool)" = "3770 jobclone jobclone" ] || fail "the spool: $(stat -c '%a %U %G' /var/lib/jobclone/spool)"
[ "$(stat -c '%a' /var/lib/jobclone)" = 710 ] || fail "the state folder"
jobclonectl status || fail "jobclonectl status as root"
runuser -u alice -- jobclonectl status >/dev/null || fail "jobclonectl status as a member of the group"
runuser -u carol -- jobclonectl status >/dev/null 2>&1 && fail "somebody outside the group may use the socket"

step "a dropped plan; owners seen through the wall"
drop alice first.yaml First 6
until_ok 60 "first.yaml is done" filed done/first.result.json
[ "$(made First)" = 6 ] || fail "First: $(made First) made"
runuser -u alice -- cat /var/lib/jobclone/spool/done/first.report.txt | grep -q succeeded || fail "alice cannot read the report"
drop bob foreign.yaml Foreign 2
until_ok 30 "bob's plan is rejected" filed rejected/foreign.errors.txt
grep -q 'spool.allow' /var/lib/jobclone/spool/rejected/foreign.errors.txt || fail "the wrong reason"
[ "$(made Foreign)" = 0 ] || fail "bob's plan was carried out"

step "a schedule"
sed '/^server:/a schedule: {calendar: "Mon..Fri 02:00 Europe/Prague"}' >/etc/jobclone/plans.d/nightly.yaml < <(plan Nightly 2)
until_ok 30 "the schedule is known" bash -c 'jobclonectl --json schedules | grep -q "\"next\": *\"20"'
jobclonectl submit --wait --scheduled nightly >/dev/null || fail "submit --scheduled"
[ "$(made Nightly)" = 2 ] || fail "Nightly: $(made Nightly) made"

step "the journal"
journalctl --no-pager -o json PLAN=first | grep -q '"RUN"' || fail "no fields in the journal"
journalctl --no-pager -x -u jobcloned | grep -q 'has ended: succeeded' || fail "the catalog is not there"
journalctl --no-pager | grep -q 'secret' && fail "the password is in the journal"

step "kill -9 in the middle: the same session, each clone once"
behave '{"task_ms": 1000}'
logons=$(number logons)
drop alice killed.yaml Killed 30
until_ok 60 "some clones are made" bash -c "$(declare -f truth made); [ \$(made Killed) -ge 6 ]"
old=$(pid)
systemctl kill -s KILL jobcloned
until_ok 30 "it comes back" bash -c "$(declare -f active pid); active && [ \$(pid) != $old ]"
until_ok 90 "killed.yaml is done" filed done/killed.result.json
[ "$(made Killed)" = 30 ] || fail "Killed: $(made Killed) made"
[ "$(number logons)" = "$((logons + 1))" ] || [ "$(number logons)" = "$logons" ] || fail "logged on anew: $logons, $(number logons)"

step "a broken reload leaves the old settings"
cp /etc/jobclone/jobcloned.yaml /test/good.yaml
echo 'nonsense: true' >>/etc/jobclone/jobcloned.yaml
systemctl reload jobcloned
until_ok 10 "the refusal is logged" bash -c 'journalctl --no-pager MESSAGE_ID=e2bee07927944101a3a92aaf18b34694 | grep -q refused'
active || fail "a broken reload stopped it"
drop alice reload.yaml Reload 2
until_ok 60 "reload.yaml is done" filed done/reload.result.json
cp /test/good.yaml /etc/jobclone/jobcloned.yaml
systemctl reload jobcloned || fail "a good reload"

step "an upgrade in the middle of a run"
logons=$(number logons)
drop alice upgrade.yaml Upgrade 30
until_ok 60 "some clones are made" bash -c "$(declare -f truth made); [ \$(made Upgrade) -ge 6 ]"
old=$(pid)
dpkg -i /test/later.deb || fail "the upgrade"
active || fail "the upgrade left it stopped"
[ "$(pid)" != "$old" ] || fail "the upgrade did not restart it"
until_ok 90 "upgrade.yaml is done" filed done/upgrade.result.json
[ "$(made Upgrade)" = 30 ] || fail "Upgrade: $(made Upgrade) made"
cmp -s /test/good.yaml /etc/jobclone/jobcloned.yaml || fail "the upgrade changed the settings"

step "the watchdog"
printf '[Service]\nWatchdogSec=3s\n' >/etc/systemd/system/jobcloned.service.d/watchdog.conf
systemctl daemon-reload
systemctl restart jobcloned
sleep 5
restarts=$(systemctl show -P NRestarts jobcloned)
active || fail "the watchdog killed a daemon that lives"
[ "$restarts" = 0 ] || fail "restarted $restarts times"
kill -STOP "$(pid)"
until_ok 60 "the watchdog restarts a stuck daemon" bash -c '[ "$(systemctl show -P NRestarts jobcloned)" -ge 1 ] && [ "$(systemctl is-active jobcloned)" = active ]'

step "stop"
systemctl stop jobcloned.socket jobcloned || fail "stop"
[ "$(systemctl show -P Result jobcloned)" = success ] || fail "it ended badly: $(systemctl show -P Result jobcloned)"
[ "$(number sessions_open)" = 0 ] || fail "a session was left open"

step "purge"
systemctl start jobcloned
dpkg --purge jobclone || fail "purge"
for left in /etc/jobclone /var/lib/jobclone /run/jobclone /usr/lib/jobclone /usr/sbin/jobcloned; do
    [ ! -e "$left" ] || fail "$left is left: $(find "$left" | head)"
done
getent passwd jobclone && fail "the user is left"
getent group jobclone && fail "the group is left"
systemctl list-unit-files --no-pager | grep jobclone | grep -v jobclone-test && fail "units are left"
find /etc /usr /var -xdev -name '*jobclone*' ! -name 'jobclone-test*' | grep -v '^/var/log' | grep . && fail "files are left"

step "all is well"
