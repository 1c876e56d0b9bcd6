# Prints the table of the calls that failed: `CALL ERROR OUTCOME` in each line, as contrib/torture.d/calls has written them. OUTCOME:
#
#   done       it has done all runs, in the same start
#   restarted  it has reported the error and ended, or not done all, and the next start has done all runs
#   reported   a run is missing, and it has reported an error
#   lost       a run is missing, and it has reported nothing
#   other      something else is wrong: a run was done twice, or out of order, or a process was left
#   unreached  the call did not come, as the order of calls is not the same each time
{
  key = $1 " " $2
  if (!(key in points)) keys[++count] = key
  points[key]++
  found[key, $3]++
  all[$3]++
  total++
}
END {
  split("done restarted reported lost other unreached", outcomes)
  printf "%-20s %-14s %7s", "call", "error", "points"
  for (i = 1; i <= 6; i++) printf " %9s", outcomes[i]
  print ""
  for (i = 2; i <= count; i++) {
    # Sorted by insertion: there are some hundred.
    key = keys[i]
    for (j = i - 1; j >= 1 && keys[j] > key; j--) keys[j + 1] = keys[j]
    keys[j + 1] = key
  }
  for (k = 1; k <= count; k++) {
    split(keys[k], parts, " ")
    printf "%-20s %-14s %7d", parts[1], parts[2], points[keys[k]]
    for (i = 1; i <= 6; i++) printf " %9d", found[keys[k], outcomes[i]]
    print ""
  }
  printf "%-20s %-14s %7d", "all", "", total
  for (i = 1; i <= 6; i++) printf " %9d", all[outcomes[i]]
  print ""
}
