"""Runs a folder's cases through another implementation: `drive.py IMPLEMENTATION CASE…`.

A case is lines of `sensor,quarter of an hour,value` (0: the meter's litres, 1: the sub-meter's). Prints, for
each case, lines of `case,hour,series,rule` for what is raised: series 0 the meter, 1 the sub-meter, 2 what
remains, 3 the daily remainder; rule below 40 is of hours, above of days.
"""

import sys

sys.path.insert(0, sys.argv[1])

import numpy as np
import online

for case in sys.argv[2:]:
    records = []
    last = 0
    for line in open(case, encoding="ascii"):
        sensor, slot, value = line.split(",")
        name = "Wtot" if sensor == "0" else "W1"
        last = max(last, int(slot))
        records.append((int(slot) * 15, name, int(slot) * 15, float(value)))
    events, *_ = online.run(records, last // 96, rt=1.0, rw=0.1)
    for hour, series, rule, kind, _ in np.asarray(events):
        if kind == 1:
            print(f"{case},{int(hour)},{int(series)},{int(rule)}")
