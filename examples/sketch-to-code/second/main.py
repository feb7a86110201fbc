"""Parcel tracker: reads scan events, keeps each parcel's latest state, and reports which are late."""

import sys
from datetime import datetime, timedelta

STATUSES = ("SCANNED", "IN_TRANSIT", "DELIVERED")
LATE_AFTER = timedelta(hours=48)


def parse(text):
    """(time, parcel, status, place) of each line; blank lines and # comments are skipped."""
    events = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        fields = line.split(maxsplit=3)
        if len(fields) != 4 or fields[2] not in STATUSES:
            raise ValueError(f"line {number}: expected TIME PARCEL STATUS PLACE, got {line!r}")
        events.append((datetime.fromisoformat(fields[0]), *fields[1:]))
    return events


def store(events):
    """Per parcel: first and last time, last status and place."""
    parcels = {}
    for time, parcel, status, place in sorted(events):
        first = parcels[parcel][0] if parcel in parcels else time
        parcels[parcel] = (first, time, status, place)
    return parcels


def report(parcels):
    """One line a parcel, by id; late where 48 h have passed since its first scan without delivery."""
    if not parcels:
        return []
    now = max(last for _, last, _, _ in parcels.values())
    lines = []
    for parcel, (first, last, status, place) in sorted(parcels.items()):
        age = (last if status == "DELIVERED" else now) - first
        word = "LATE" if age > LATE_AFTER else "on time"
        lines.append(f"{parcel} {status} {place} {int(age.total_seconds() // 3600)}h {word}")
    return lines


def main():
    path = sys.argv[1] if len(sys.argv) > 1 else "events.txt"
    with open(path, encoding="utf-8") as file:
        print("\n".join(report(store(parse(file.read())))))


if __name__ == "__main__":
    main()
