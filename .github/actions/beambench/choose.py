"""Write the benchmarks of a matrix: those of CHOSEN, or `all`, that `beambench list --json` has.

The list comes on stdin; `benchmarks=[...]` goes to stdout, as a step writes its outputs.
"""

import json
import os
import sys

known = [each["name"] for each in json.load(sys.stdin)]
chosen = os.environ["CHOSEN"].split()
if chosen == ["all"]:
    chosen = known
unknown = [name for name in chosen if name not in known]
if unknown or not chosen:
    what = f"no benchmark {unknown[0]!r}" if unknown else "no benchmark chosen"
    sys.exit(f"::error::{what}: `beambench list` shows all")
print(f"benchmarks={json.dumps(list(dict.fromkeys(chosen)))}")
