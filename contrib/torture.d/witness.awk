# What the service manager has shown on its bus of its units: a program of POSIX awk for the lines of
#
#   busctl monitor --json=short org.freedesktop.systemd1
#
# It prints `UNIT started|stopped INVOCATION` for each change of ActiveState, and at the end `UNIT is up|down` for each unit. A unit that
# is seen for the first time was down before. only: a regular expression for the names of the units.
#
# The manager sends all changing properties of a unit together, so a new invocation that is active shows that the last one has ended.
function value(name,    start, text) {
  start = index($0, "\"" name "\":{\"type\":\"s\",\"data\":\"")
  if (!start) return ""
  text = substr($0, start + length(name) + 23)
  return substr(text, 1, index(text, "\"") - 1)
}
# Bytes are numbers in JSON.
function invocation(    start, text, bytes, i, n, hex) {
  start = index($0, "\"InvocationID\":{\"type\":\"ay\",\"data\":[")
  if (!start) return ""
  text = substr($0, start + 36)
  n = split(substr(text, 1, index(text, "]") - 1), bytes, ",")
  for (i = 1; i <= n; i++) hex = hex sprintf("%02x", bytes[i])
  return hex
}
# In the path of an object each byte that is no letter or digit is `_` and its two hexadecimal digits.
function name_of(path,    text, i, c) {
  for (i = 1; i <= length(path); i++) {
    c = substr(path, i, 1)
    if (c == "_") {
      c = sprintf("%c", (index("0123456789abcdef", substr(path, i + 1, 1)) - 1) * 16 + index("0123456789abcdef", substr(path, i + 2, 1)) - 1)
      i += 2
    }
    text = text c
  }
  return text
}
index($0, "\"member\":\"PropertiesChanged\"") && index($0, "[\"org.freedesktop.systemd1.Unit\"") {
  path = $0
  if (!sub(/.*"path":"\/org\/freedesktop\/systemd1\/unit\//, "", path)) next
  unit = name_of(substr(path, 1, index(path, "\"") - 1))
  if (only != "" && unit !~ only) next
  state = value("ActiveState")
  id = invocation()
  if (state == "") next
  seen[unit] = 1
  if (up[unit] && id != "" && id != current[unit]) {
    print unit, "stopped", current[unit]
    up[unit] = 0
  }
  if (state == "active" || state == "reloading") {
    if (!up[unit]) print unit, "started", id
    up[unit] = 1
    current[unit] = id
  } else if ((state == "inactive" || state == "failed") && up[unit]) {
    print unit, "stopped", current[unit]
    up[unit] = 0
  }
}
END { for (unit in seen) print unit, "is", up[unit] ? "up" : "down" }
