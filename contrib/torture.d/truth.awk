# Which lifecycle events a journal contains, read without journalhook: a program of POSIX awk for `journalctl -o json`, from systemd 240 on.
#
#   journalctl -q -o json --all _PID=1 | awk -f truth.awk
#   journalctl -q -o json --all _UID=1000 | awk -v user=1000 -f truth.awk     the units of a user
#
# since: only events from this time on, in seconds since 1970; earlier messages count for what later ones mean. only: a regular expression
# for the names of the units.
#
# It prints `UNIT EVENT INVOCATION RESULT RESTART AUTO MACHINE` for each event, `-` for what an event does not have, and `yes` or `no` for
# RESTART (restart_job) and AUTO (auto_restart). The events of a unit are in their order; those of one machine's units are not merged.
#
# The rules are those of journalhook-events(7), and the messages those of systemd/sd-messages.h. It works in another way than journalhook,
# which decides at each entry with what it knows so far: this one first collects all messages of a unit, and then looks forward.

BEGIN {
  kind["7d4958e842da4a758f6c1cdc7b36dcc5"] = "starting"
  kind["39f53479d3a045ac8e11786248231fbf"] = "start-done"
  kind["be02cf6855d2428ba40df7e9d022f03d"] = "start-failed"
  kind["de5b426a63be47a7b6ac3eaac82e2f6f"] = "stopping"
  kind["9d1aaa27d60140bd96365438aad20286"] = "stop-done"
  kind["d34d037fff1847e6ae669a370e694725"] = "reloading"
  kind["7b05ebc668384222baa8881179cfda54"] = "reload-done"
  kind["5eb03494b6584870a536b337290809b3"] = "restart-scheduled"
  kind["7ad2d189f7e94e70a38c781354912448"] = "success"
  kind["d9b373ed55a64feb8242e02dbe79a49c"] = "failure"
  kind["0e4284a0caca4bfc81c0bb6786972673"] = "condition-skipped"
  kind["fe6faa94e7774663a0da52717891d8ef"] = "oom"
  kind["d989611b15e44c9dbf31e3c81256e4ed"] = "oom"
  PATIENCE = 100000 # microseconds that a stop waits for the last message of its job
}

# The value of a field in the entry of this line; empty if it has none, or more than one. Quotation marks in values are escaped, so what
# looks like a field in a value is not taken for one.
function field(name,    start, i, text, c) {
  start = index($0, "\"" name "\":\"")
  if (!start) return ""
  text = substr($0, start + length(name) + 4)
  i = index(text, "\"")
  if (!index(substr(text, 1, i), "\\")) return substr(text, 1, i - 1)
  for (i = 1; (c = substr(text, i, 1)) != "\""; i++) if (c == "\\") i++
  text = substr(text, 1, i - 1)
  gsub(/\\\\/, "\001", text)
  gsub(/\\"/, "\"", text)
  gsub(/\\\//, "/", text)
  gsub(/\001/, "\\", text)
  return text
}
# Whether a field occurs more than once: then its value is an array, and nobody knows which one the manager has written.
function repeated(name) { return index($0, "\"" name "\":[") > 0 }

{
  prefix = user == "" ? "" : "USER_"
  if (field("_TRANSPORT") != "journal") next
  if (user == "") {
    if (field("_PID") != "1" || field("_UID") != "0") next
  } else if (field("_UID") != user || field("_SYSTEMD_USER_UNIT") != "init.scope") next
  unit = field(prefix "UNIT")
  if (unit == "" || (only != "" && unit !~ only) || repeated("MESSAGE_ID") || repeated(prefix "INVOCATION_ID") || repeated("JOB_TYPE") || repeated("JOB_RESULT")) next
  text = field("MESSAGE")
  what = kind[field("MESSAGE_ID")]
  if (what == "" && text == unit ": Start request repeated too quickly.") what = "start-limit"
  if (what == "") next
  key = field("_MACHINE_ID") SUBSEP unit
  if (!(key in count)) units[++unit_count] = key
  i = ++count[key]
  type[key, i] = what
  invocation_of[key, i] = field(prefix "INVOCATION_ID")
  job[key, i] = field("JOB_ID")
  job_type[key, i] = field("JOB_TYPE")
  result_of[key, i] = what == "failure" ? field("UNIT_RESULT") : field("JOB_RESULT")
  time[key, i] = field("__MONOTONIC_TIMESTAMP") + 0
  boot[key, i] = field("_BOOT_ID")
  clock[key, i] = field("__REALTIME_TIMESTAMP") + 0
  # A start that was skipped is logged as one that was done; only its text differs: before systemd 250, from 250 on, from 260 on.
  skips[key, i] = text ~ /^Condition check resulted in .* being skipped\.$/ || text ~ / was skipped because / || text ~ / skipped, /
}

END {
  for (u = 1; u <= unit_count; u++) read_unit(units[u])
}

function tell(event, result, restart, auto,    parts) {
  if (clock[unit_key, place] < since * 1000000) return
  split(unit_key, parts, SUBSEP)
  print parts[2], event, current == "" ? "-" : current, result == "" ? "-" : result, restart == "" ? "-" : restart,
    auto == "" ? "-" : auto, parts[1]
}

# The place of the next message of one of the kinds after `i`, in this boot and of nothing in between that is not in `through`; 0: none.
function next_of(i, kinds, through,    j) {
  for (j = i + 1; j <= count[unit_key]; j++) {
    if (boot[unit_key, j] != boot[unit_key, i]) return 0
    if (index(kinds, "<" type[unit_key, j] ">")) return j
    if (!index(through, "<" type[unit_key, j] ">")) return 0
  }
  return 0
}

# A restart job had stopped the unit, and does not start it again: it is down for good.
function break_pair(    keep) {
  if (pair_owed) {
    keep = current
    current = pair_invocation
    tell("stopped", pair_result, "no")
    current = keep
  }
  pair_owed = 0
  pair_job = ""
}

# The unit, which was up, is down since message i.
function go_down(result, i,    end, late, restart) {
  break_pair()
  restart = "no"
  end = type[unit_key, i] == "stop-done" ? i : next_of(i, "<stop-done>", "")
  # A failure that no job has caused is over at once. A job that comes then is another matter.
  if (type[unit_key, i] == "failure" && !stop_open) end = 0
  if (end && result_of[unit_key, end] != "done") end = 0
  # Without a stop job, only an instantaneous stop is followed by the end of a job.
  if (end && time[unit_key, end] - time[unit_key, i] > PATIENCE) end = 0
  if (end && job_type[unit_key, end] == "restart") restart = "yes"
  if (end && !stop_open) {
    # An instantaneous stop as a part of a restart logs that it begins when it is over.
    late = next_of(end, "<stopping>", "")
    if (late && job[unit_key, late] == job[unit_key, end] && time[unit_key, late] - time[unit_key, i] <= PATIENCE) {
      tell("stopping")
      told[late] = 1
    }
  }
  if (!end && stop_open) {
    # The end of its job was lost, but the same job starts it again.
    late = next_of(i, "<starting><start-done>", "<failure>")
    if (late && job[unit_key, late] != "" && job[unit_key, late] == stop_job && time[unit_key, late] - time[unit_key, i] <= PATIENCE) restart = "yes"
    if (restart == "yes") end = late
  }
  tell("stopped", result, restart)
  up = 0
  has_gone_down = 1
  stop_open = 0
  if (restart == "yes") {
    pair_owed = 1
    pair_job = job[unit_key, end]
    pair_invocation = current
    pair_result = result
  }
}

function enter(invocation,    keep) {
  if (invocation == "" || invocation == current) return
  if (up == 1) {
    # Its end was not logged.
    break_pair()
    tell("stopped", "success", "no")
    has_gone_down = 1
  }
  if (current != "") up = 0
  current = invocation
  begun = succeeded = failed = skipped = 0
}

# Reads all messages of a unit. up: 1 it is active, 0 it is not, -1 unknown.
function read_unit(key,    i, t, result, invocation, is_pair, restarted, was_up, is_late) {
  unit_key = key
  up = -1
  current = pair_job = stop_job = ""
  pair_owed = stop_open = begun = succeeded = failed = skipped = gave_up = auto = has_gone_down = failed_start = 0
  split("", told)
  split("", over)
  for (i = 1; i <= count[key]; i++) {
    place = i
    t = type[key, i]
    result = result_of[key, i]
    invocation = invocation_of[key, i]
    if (i > 1 && boot[key, i] != boot[key, i - 1]) {
      up = -1
      pair_owed = stop_open = begun = succeeded = failed = skipped = gave_up = auto = has_gone_down = failed_start = 0
      pair_job = current = ""
    }
    # The manager's jobs name the last invocation in some messages, for example in that of the restart which ends it.
    if (invocation != "" && invocation != current && invocation in over) continue
    if (invocation != "" && current != "" && invocation != current) over[current] = 1
    enter(invocation)
    is_pair = pair_job != "" && job[key, i] == pair_job
    if (t == "starting") {
      if (begun) continue
      if (!is_pair) break_pair()
      if (!is_pair && !auto) has_gone_down = 0
      begun = 1
      up = 0
      skipped = gave_up = 0
      tell("starting")
    } else if (t == "start-done") {
      if (result != "" && result != "done") continue
      if (skips[key, i] || skipped || (job[key, i] != "" && invocation == "" && unit_name(key) !~ /\.device$/)) {
        break_pair()
        auto = 0
        if (!skipped) tell_without("skipped", invocation)
        skipped = 0
        continue
      }
      if (succeeded || (up == 0 && !begun && failed_or_down(current))) {
        break_pair()
        succeeded = auto = 0
        up = 0
        tell("finished", "success")
        continue
      }
      if (up == 1) continue
      restarted = has_gone_down && (auto || is_pair)
      is_pair = is_pair && pair_owed
      if (!is_pair) break_pair()
      tell("started", "", is_pair ? "yes" : "no", auto ? "yes" : "no")
      if (restarted) tell("restarted", "", is_pair ? "yes" : "no", auto ? "yes" : "no")
      up = 1
      begun = 1
      pair_owed = auto = has_gone_down = gave_up = stop_open = 0
      pair_job = ""
    } else if (t == "start-failed") {
      if (index(" done collected once canceled skipped ", " " result " ")) {
        if (result == "canceled" && is_pair) break_pair()
        continue
      }
      break_pair()
      auto = 0
      # One that has not begun anything has no invocation, and may fail again.
      if (invocation == "" ? !gave_up && !failed_start : !failed && !gave_up) {
        if (invocation == "") current = ""
        tell("failed", result)
      }
      failed = invocation != ""
      gave_up = failed_start = 0
      up = 0
    } else if (t == "stopping") {
      if (i in told) continue
      break_pair()
      # A stop that begins shows that the unit was up, although nothing has said so: its start job was replaced.
      if (begun && up == 0 && !failed && !succeeded) {
        tell("started", "", "no", auto ? "yes" : "no")
        auto = 0
      }
      if (!failed && !succeeded) up = 1
      stop_open = 1
      stop_job = job[key, i]
      tell("stopping")
    } else if (t == "success") {
      auto = 0
      if (up == 0 && begun) succeeded = 1
      else if (up != 0) {
        go_down("success", i)
        ended[current] = 1
      }
    } else if (t == "failure") {
      auto = 0
      if (result == "start-limit-hit" || gave_up) {
        if (!gave_up) tell("gave-up", "start-limit-hit")
        gave_up = 1
      } else if (!failed) {
        # A unit that is first seen by its failure was up, unless the failure of its start job comes next.
        was_up = up == 1 || (up == -1 && !next_of(i, "<start-failed>", ""))
        # While a job stops it, the stop has the time of the end of this job, which comes later.
        is_late = was_up && stop_open
        if (is_late) tell("failed", result)
        if (was_up) go_down(result, i)
        else break_pair()
        if (!is_late) tell("failed", result)
        up = 0
        failed = 1
        failed_start = invocation == ""
        ended[current] = 1
      }
    } else if (t == "stop-done") {
      if (result != "" && result != "done") continue
      if (up != 0) {
        go_down("success", i)
        ended[current] = 1
        continue
      }
      succeeded = 0
      if (job_type[key, i] == "restart") {
        pair_job = job[key, i]
      } else {
        break_pair()
        auto = 0
      }
      stop_open = 0
    } else if (t == "restart-scheduled") {
      break_pair()
      auto = 1
      tell("restarting")
    } else if (t == "reloading") {
      if (up == -1) up = 1
      tell("reloading")
    } else if (t == "reload-done") {
      if (up == -1) up = 1
      tell(result == "done" ? "reloaded" : "reload-failed", result == "done" ? "" : result)
    } else if (t == "condition-skipped") {
      break_pair()
      up = 0
      skipped = 1
      tell("skipped")
    } else if (t == "oom") {
      tell("oom")
    } else if (t == "start-limit") {
      break_pair()
      if (!gave_up) tell("gave-up", "start-limit-hit")
      gave_up = 1
    }
  }
  # At the end of the journal a restart may still be under way.
  pair_owed = 0
}
function unit_name(key,    parts) {
  split(key, parts, SUBSEP)
  return parts[2]
}
function failed_or_down(invocation) { return invocation != "" && invocation in ended }
function tell_without(event, invocation,    keep) {
  keep = current
  current = invocation
  tell(event)
  current = keep
}
