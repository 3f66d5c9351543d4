# What jq has, and jaq's library has not.

def @csv: [.[] |
  if isstring then "\"" + (split("\"") | join("\"\"")) + "\""
  elif . >= [] then error("\(.) cannot stand in a row of CSV")
  elif . == null then ""
  else tostring end] | join(",");

def @tsv: [.[] |
  if isstring then
    (split("\\") | join("\\\\")) | (split("\n") | join("\\n")) | (split("\r") | join("\\r")) | (split("\t") | join("\\t"))
  elif . >= [] then error("\(.) cannot stand in a row of TSV")
  elif . == null then ""
  else tostring end] | join("\t");
