# Compares what a witness has seen with what was run: the lines of the witness (`UNIT started|stopped INVOCATION`, `UNIT is up|down`), and
# those of the hook. Prints `EVENTS LOST DOUBLED REPEATED`. details: the file for what is wrong.
function complain(what) { print what >details }
FILENAME == ARGV[1] && $2 == "is" { final[$1] = $3; next }
FILENAME == ARGV[1] {
  events++
  happened[$2, $3] = $1
  next
}
$1 == "begin" && ($6 == "started" || $6 == "stopped") {
  if (!(($6, $7) in happened)) { doubled++; complain("it did not happen: " $0) }
  if (($6, $7, $4) in begun || (($6, $7) in id && id[$6, $7] != $2)) { doubled++; complain("twice: " $0) }
  begun[$6, $7, $4] = 1
  id[$6, $7] = $2
  if ($4 > 1) repeated++
  last[$5] = $6 == "started" ? "up" : "down"
}
END {
  for (key in happened) {
    if (key in id) continue
    lost++
    split(key, parts, SUBSEP)
    complain("lost: " happened[key] " " parts[1] " " parts[2])
  }
  for (unit in final) {
    # A unit that was never up has no events.
    if (!(unit in last) && final[unit] == "down") continue
    if (last[unit] == final[unit]) continue
    lost++
    complain("at the end it is " final[unit] ", and for the hook it is " last[unit] ": " unit)
  }
  print events + 0, lost + 0, doubled + 0, repeated + 0
}
