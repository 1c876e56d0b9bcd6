# Compares what has happened with what was run for it; see `judge` in lib.sh. The files are: the events (truth.awk), the attempts in the
# ledger (`RUN ATTEMPT STATE`), and the lines that the hook has written.
#
# The events have no ids here: only journalhook makes those. The runs of an id are for the next event of their unit, kind and invocation
# that no other id has. So a kind that comes twice in an invocation needs two ids, and an id that nothing stands for is made up.
function complain(what) { print what >details }
FILENAME == ARGV[1] {
  n = ++events
  event[n] = $1 " " $2 " " $3
  result[n] = $4
  restart[n] = $5
  machine[n] = $7
  place[event[n], ++places[event[n]]] = n
  next
}
FILENAME == ARGV[2] {
  state[$1, $2] = $3
  next
}
!($2 in of) {
  key = $5 " " $6 " " $7
  # 0: there is no such event.
  of[$2] = (key, ++taken[key]) in place ? place[key, taken[key]] : 0
  n = of[$2]
  if (n) {
    print $2, $5, $6, machine[n] >ids
    if ($9 != restart[n]) { doubled++; complain("restart_job is " $9 " and not " restart[n] ": " $0) }
    if (result[n] != "-" && $8 != result[n]) { doubled++; complain("the result is " $8 " and not " result[n] ": " $0) }
  }
}
$1 == "begin" {
  n = of[$2]
  key = $2 SUBSEP $4
  if (!n) { doubled++; complain("no such event: " $0) }
  if (key in begun) { doubled++; complain("started twice: " $0) }
  begun[key] = 1
  if ($2 in last && last[$2] >= $4) { doubled++; complain("an earlier attempt again: " $0) }
  if ($4 > 1) {
    repeated++
    if (state[$3, $4 - 1] != "interrupted") { doubled++; complain("the attempt before was not interrupted: " $0) }
  } else if (n && n < newest[machine[n], $5]) { doubled++; complain("out of order: " $0) }
  if (n > newest[machine[n], $5]) newest[machine[n], $5] = n
  last[$2] = $4
  run[n] = $3
}
$1 == "end" {
  if (last[$2] != $4) { doubled++; complain("an attempt outlived the next: " $0) }
  ended[of[$2]] = 1
}
END {
  for (n = 1; n <= events; n++) {
    if (n in ended || (n in run && state[run[n], 3] == "interrupted")) continue
    lost++
    complain("lost: " event[n])
  }
  print events + 0, lost + 0, doubled + 0, repeated + 0
}
