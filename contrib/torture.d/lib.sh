# shellcheck shell=bash
# shellcheck disable=SC2034  # used by the scripts that source this
# Common functions of the scenarios of contrib/torture. They run inside a box, as root, with these directories and files:
#
#   $stage/hooks    the hooks: one, which records the events that it was run for, and the fence
#   $stage/state    the ledger of a follow that is started by hand; the ledger of the service is in /var/lib/journalhook
#   $stage/real     the lines that the units have written: `started|stopped INVOCATION UNIT MILLISECONDS`
#   $stage/record   the lines that the hook has written: `begin|end EVENT-ID RUN ATTEMPT UNIT EVENT INVOCATION RESULT RESTART`
set -euo pipefail
export LC_ALL=C
stage=/root/torture
readonly UNITS=20
say() { echo "   $*" >&2; }

# Sets $random to a random number below $1.
draw() { random=$(((RANDOM << 15 | RANDOM) % $1)); }

# Starts with empty files, and writes the hook and the units. $1: the seconds that a run takes, or empty. $2: Unit= of the hook.
# $3: another line of [Match].
set_stage() {
  rm -rf "$stage"
  mkdir -p "$stage/hooks" "$stage/state"
  : >"$stage/record"
  # Each line is one write(2) to the end of the file: a kill leaves no partial line.
  cat >"$stage/hooks/50-record" <<END
#!/bin/sh
# [Match]
# Unit=${2:-work@*.service}
# Event=*
# ${3:-}
# [Hook]
# PreviousBoots=yes
# RateLimitBurst=0
read -r json
id=\${json#*'"id":"'}
case \$json in *'"restart_job":true'*) restart=yes ;; *'"restart_job":false'*) restart=no ;; *) restart=- ;; esac
line="\${id%%'"'*} \$JOURNALHOOK_RUN_ID \$JOURNALHOOK_ATTEMPT \$JOURNALHOOK_UNIT \$JOURNALHOOK_EVENT"
line="\$line \${JOURNALHOOK_INVOCATION:--} \${JOURNALHOOK_RESULT:--} \$restart"
file=$stage/record
[ ! -e "\$JOURNALHOOK_STATE_DIRECTORY/record" ] || file=\$JOURNALHOOK_STATE_DIRECTORY/record
echo "begin \$line" >>"\$file"
${1:+sleep $1}
echo "end \$line" >>"\$file"
END
  chmod 755 "$stage/hooks/50-record"
  printf '#!/bin/sh\n# [Match]\n# Unit=fence.service\n# Event=finished\n:\n' >"$stage/hooks/99-fence"
  chmod 755 "$stage/hooks/99-fence"
  cat >/etc/systemd/system/work@.service <<END
[Unit]
StartLimitIntervalSec=0
[Service]
ExecStart=/bin/sleep infinity
ExecStartPost=/bin/sh -c 'echo started \$INVOCATION_ID %n \$\$(date +%%s%%3N) >>$stage/real'
ExecStopPost=/bin/sh -c 'echo stopped \$INVOCATION_ID %n \$\$(date +%%s%%3N) >>$stage/real'
END
  printf '[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nExecStart=/bin/true\n' >/etc/systemd/system/fence.service
  systemctl daemon-reload
  : >"$stage/real"
  since=$(date +%s.%6N)
}

# Starts and stops units in random order: $1 jobs, with $2 seconds between two. Several loads at the same time have different units:
# this one has the units whose number modulo $4 is $3.
load() {
  local i unit random up=()
  for ((i = 0; i < $1; i++)); do
    draw $((UNITS / $4))
    unit=$((random * $4 + $3))
    if [[ ${up[unit]-} ]]; then
      systemctl stop "work@$unit" && echo stop
      up[unit]=
    else
      systemctl start "work@$unit" && echo start
      up[unit]=1
    fi
    [[ $2 == 0 ]] || sleep "$2"
  done >>"$stage/asked"
}

# The same with several processes in the background: $1 jobs in all, with $2 seconds between two jobs of one process.
begin_load() {
  local k
  : >"$stage/asked"
  loads=()
  for k in 0 1 2 3; do
    load $(($1 / 4)) "$2" "$k" 4 &
    loads+=($!)
  done
}
is_loading() {
  local pid
  for pid in "${loads[@]}"; do [[ ! -d /proc/$pid ]] || return 0; done
  return 1
}

# Starts follow in the background with the ledger in $1 and other options, and sets $follow to its pid.
start_follow() {
  local state=$1
  shift
  setsid journalhook follow --hooks "$stage/hooks" --state-dir "$state" "$@" </dev/null >>"$stage/out" 2>&1 &
  follow=$!
}

# Prints the result of the query $2 on the ledger in $1; nothing if there is no ledger.
ask() { sqlite3 -readonly -cmd '.timeout 10000' "$1/journalhook.db" "$2" 2>/dev/null || true; }

# Waits until the ledger in $1 has a run for every event so far and all runs have ended, for at most $2 seconds.
settle() {
  local end=$((SECONDS + ${2:-120})) fences
  fences=$(ask "$1" "SELECT coalesce(max(id), 0) FROM runs WHERE hook = '99-fence'")
  sleep 0.3
  systemctl start fence
  until [[ $(ask "$1" "SELECT EXISTS(SELECT * FROM runs WHERE hook = '99-fence' AND id > ${fences:-0}) AND NOT EXISTS(
    SELECT * FROM runs WHERE state IN ('pending', 'running', 'interrupted'))") == 1 ]]; do
    ((SECONDS < end)) || { say "not settled after ${2:-120} s: $(ask "$1" 'SELECT state, count(*) FROM runs GROUP BY 1' | xargs)"; return; }
    sleep 0.1
  done
}

# `truth SINCE UNITS [OPTION]...`: prints the events that the journal contains, as soon as journald has written what it has received:
# `UNIT EVENT INVOCATION RESULT RESTART AUTO MACHINE`. SINCE is in seconds since 1970, UNITS a regular expression, and the options are those
# of journalctl. journalhook has no part in this: what it misses, or makes up, is a difference.
truth() {
  journalctl --sync || true
  journalctl -q -o json --all "${@:3}" _PID=1 | awk -v since="$1" -v only="$2" -f "$(dirname "${BASH_SOURCE[0]}")/truth.awk"
}

# `judge TRUTH RECORD LEDGER`: compares the events with the lines of the hook, and prints `EVENTS LOST DOUBLED REPEATED`. What is wrong is
# in $stage/judged, and the events with their ids in $stage/ids (`ID UNIT EVENT MACHINE`).
# Lost: an event without a run that has ended, unless it was interrupted three times. Doubled: a run for an event that has not
# happened, or that happened otherwise (another kind, result or restart_job), and an attempt that started twice, that started although the
# attempt before was not interrupted, that overlaps with it, or that is out of the order of its unit's events on its machine.
# Repeated: attempts after one that was interrupted, which is correct.
judge() {
  ask "$3" "SELECT run, attempts.attempt, attempts.state FROM attempts JOIN runs ON runs.id = run" | tr '|' ' ' >"$stage/attempts"
  : >"$stage/judged"
  awk -v details="$stage/judged" -v ids="$stage/ids" -f "$(dirname "${BASH_SOURCE[0]}")/judge.awk" "$1" "$stage/attempts" "$2"
}

# Prints the result of a scenario: `FAULTS EVENTS LOST DOUBLED REPEATED WHAT-IS-COMPARED`.
answer() { echo "$*"; }
