"""Computes the report's numbers again, with numpy and nothing of tbctl, and compares every printed cell.

Usage: check.py RESULTS REPORT. Prints what differs, and how many cells were the same.
"""
import collections
import csv
import json
import math
import pathlib
import sys

import numpy as np

DRAWS, MASK = 5000, (1 << 64) - 1


def fnv(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = ((value ^ byte) * 0x100000001B3) & MASK
    return value


def splitmix(seed, count):
    """The first numbers of SplitMix64, all at once."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def drawn_sums(name, times):
    """Sums of so many series that are drawn from one in blocks."""
    n = len(times)
    length = next(size for size in range(1, n + 1) if size**3 >= n)
    blocks = -(-n // length)
    fractions = (splitmix(fnv(name), DRAWS * blocks) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    starts = np.floor(fractions * (n - length + 1)).astype(np.int64).reshape(DRAWS, blocks)
    steps = np.arange(length)
    return np.array([times[(row[:, None] + steps).ravel()[:n]].sum() for row in starts])


def draws(runs):
    n = sum(len(times) for _, times in runs)
    if n < 30:
        return None
    return sum(drawn_sums(name, times) for name, times in runs) / n


def fixed(value, digits):
    if value is None:
        return ""
    text = f"{value:.{digits}f}"
    return text[1:] if text.startswith("-") and not text.strip("-0.") else text


def interval(values):
    if values is None:
        return ""
    low, high = np.percentile(values, [2.5, 97.5])
    return f"{fixed(low, 4)} to {fixed(high, 4)}"


def student(means):
    """Student's t has closed forms for two and three runs."""
    t = {1: math.tan(math.pi * 0.475), 2: 0.95 / math.sqrt(2 * 0.975 * 0.025)}[len(means) - 1]
    half = t * np.std(means, ddof=1) / math.sqrt(len(means))
    return f"{fixed(np.mean(means) - half, 4)} to {fixed(np.mean(means) + half, 4)}"


def read(results):
    """Runs by scenario: the name, and the times of requests that were answered."""
    found = collections.defaultdict(list)
    errors = collections.Counter()
    for path in sorted(pathlib.Path(results).glob("*/*/samples.csv")):
        record = json.loads((path.parent / "environment.json").read_text())
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
        good = [float(row["total_ms"]) for row in rows if row["status"] != "0" and not row["error"]]
        key = record["scenario"]
        label = {"control": "Control"}.get(key, f"Scenario {key}" if key.isdigit() else key)
        found[label].append((f"{record['testbed']}/{record['run']}", np.array(good)))
        errors[label] += len(rows) - len(good)
    return found, errors


def statistics(runs, errors, drawn):
    times = np.concatenate([times for _, times in runs])
    n = len(times)
    return {
        "requests": str(n + errors),
        "errors": str(errors),
        "average ms": fixed(np.mean(times), 4),
        "95 % interval of the average, ms": interval(drawn),
        "min ms": fixed(np.min(times), 3),
        "median ms": fixed(np.median(times), 3),
        "p95 ms": fixed(np.percentile(times, 95), 3),
        "p99 ms": fixed(np.percentile(times, 99), 3),
        "p99.9 ms": fixed(np.percentile(times, 99.9) if n >= 10000 else None, 3),
        "max ms": fixed(np.max(times), 3),
        "std ms": fixed(np.std(times, ddof=1) if n > 1 else None, 3),
    }


def difference(of, to, drawn_of, drawn_to):
    a, b = (np.concatenate([times for _, times in runs]) for runs in (of, to))
    value = np.mean(a) - np.mean(b)
    d = None
    if len(a) > 1 and len(b) > 1:
        pooled = ((len(a) - 1) * np.var(a, ddof=1) + (len(b) - 1) * np.var(b, ddof=1)) / (len(a) + len(b) - 2)
        d = value / math.sqrt(pooled) if pooled > 0 else None
    drawn = None if drawn_of is None or drawn_to is None else drawn_of - drawn_to
    text = fixed(value, 4)
    sign = "" if text.startswith("-") or not text.strip("0.") else "+"
    return {
        "ms": sign + text,
        "95 % interval, ms": interval(drawn),
        "share": fixed(100 * (value / np.mean(b)), 2) + " %",
        "Cohen's d": fixed(d, 2),
    }


def repetitions(runs):
    means = np.array([np.mean(times) for _, times in runs if len(times)])
    return {
        "runs": str(len(means)),
        "pooled average ms": fixed(np.mean(np.concatenate([times for _, times in runs])), 4),
        "least average ms": fixed(means.min(), 4),
        "greatest average ms": fixed(means.max(), 4),
        "std of averages ms": fixed(np.std(means, ddof=1), 4),
        "95 % interval by Student's t, ms": student(means),
    }


def table(report, name):
    with open(pathlib.Path(report) / "tables" / f"{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def main(results, report):
    found, errors = read(results)
    drawn = {label: draws(runs) for label, runs in found.items()}
    same = wrong = 0

    def compare(what, row, expected):
        nonlocal same, wrong
        for column, value in expected.items():
            if row[column] == value:
                same += 1
            else:
                wrong += 1
                print(f"{what}, {column}: printed {row[column]!r}, computed {value!r}")

    for row in table(report, "statistics"):
        label = row["scenario"].removesuffix(" (invalid)")
        compare(label, row, statistics(found[label], errors[label], drawn[label]))
    for row in table(report, "differences"):
        of, to = (label.removesuffix(" (invalid)") for label in row["difference"].split(" − "))
        compare(row["difference"], row, difference(found[of], found[to], drawn[of], drawn[to]))
    for row in table(report, "repetitions"):
        compare(row["scenario"], row, repetitions(found[row["scenario"]]))
    print(f"{same} cells are the same")
    return 1 if wrong else 0


sys.exit(main(*sys.argv[1:]))
