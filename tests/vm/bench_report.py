# SPDX-License-Identifier: BSD-3-Clause
"""What the benchmark in guests found: a table, the goals, and how far the machine let it be believed."""
import os
import statistics
import sys

NAMES = {
    "ring-poll": "libvshm, both poll",
    "ring-sleep": "libvshm, both sleep (doorbells)",
    "doorbell": "bare doorbell, no payload",
    "doorbell-poll": "the same with a timeout (poll and read)",
    "tcp": "virtio-net, TCP",
    "serial": "virtio-serial",
}
ENOUGH_ROUNDS = 5
# More of the machine's processors that others used, or the hypervisor took, and a measurement is spoilt; more of those, and its
# round is; more of these, and nothing is concluded. As tests/bench has it.
OTHERS_MOST = 0.1
SPOILT_MOST = 0.1
NOISY_MOST = 1 / 3


def progress(text):
    """One line that is overwritten, for people."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


# ---- noise ----

class Noise:
    """Whose the processors were while something was measured: ours (those processes and our own), or others'."""

    def __init__(self, processes):
        self.processes, self.before = [*processes, "self"], None

    def begin(self):
        self.before = self.look()

    def end(self):
        all_, busy, stolen, ours = (after - before for after, before in zip(self.look(), self.before))
        all_ = max(all_, 1)
        return {"others": max(busy - ours, 0) / all_, "stolen": stolen / all_}

    def look(self):
        """(all, busy, stolen, ours) so far, in ticks."""
        with open("/proc/stat", encoding="ascii") as file:
            user, nice, system, idle, wait, hard, soft, stolen = map(int, file.readline().split()[1:9])
        busy = user + nice + system + hard + soft
        ours = 0
        for process in self.processes:
            with open(f"/proc/{process}/stat", encoding="ascii") as file:
                ours += sum(map(int, file.read().rsplit(")", 1)[1].split()[11:13]))
        return busy + idle + wait + stolen, busy, stolen, ours


def is_noisy(noise):
    return noise["others"] > OTHERS_MOST or noise["stolen"] > OTHERS_MOST


def noise_of_round(found, number):
    """A round is as noisy as a tenth of its measurements allow: (is it, how many of them stayed disturbed)."""
    spoilt = sum(is_noisy(row["rounds"][number]["noise"]) for row in found["rows"])
    return spoilt > SPOILT_MOST * len(found["rows"]), spoilt


# ---- figures ----

def row_of(found, way, size):
    return next(row for row in found["rows"] if (row["way"], row["size"]) == (way, size))


def p50(row):
    return statistics.median(one["p50_ns"] for one in row["rounds"])


def ratio(found, way, base, size):
    """How many times as long as the base a way takes: the median of the rounds' ratios."""
    return statistics.median(one["p50_ns"] / other["p50_ns"] for one, other in
                             zip(row_of(found, way, size)["rounds"], row_of(found, base, size)["rounds"]))


def times(value):
    return f"{value:.2f}" if value >= 0.1 else f"1/{1 / value:.0f}"


def microseconds(ns):
    return f"{ns / 1000:.3g}" if ns < 1e6 else f"{ns / 1000:.0f}"


def rate(row, ns):
    """Megabytes a second, both directions together."""
    value = 2 * row["size"] * 1000 / ns
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def table(found, size):
    """Lines of Markdown: the median of the rounds, the lowest and the highest, the tail, and the ratio to TCP."""
    small = size < 4096
    lines = [f"| {size} B there and back | {'us' if small else 'MB/s'} | rounds | p99, us | to TCP |", "|---|---:|---|---:|---:|"]
    for row in (row for row in found["rows"] if row["size"] == size):
        middles = [one["p50_ns"] for one in row["rounds"]]
        show = microseconds if small else lambda ns, row=row: rate(row, ns)
        tail = statistics.median(one["p99_ns"] for one in row["rounds"])
        ends = sorted((min(middles), max(middles)), reverse=not small)
        lines.append(f"| {NAMES[row['way']]} | {show(p50(row))} | {' to '.join(map(show, ends))} | {microseconds(tail)} | "
                     f"{times(ratio(found, row['way'], 'tcp', size))} |")
    return lines


def goals(found):
    """(what, goal, figure, is it met) of facts/peers.md."""
    poll, sleep = ratio(found, "ring-poll", "tcp", 64), ratio(found, "ring-sleep", "doorbell", 64)
    return (("64 B, both poll, to virtio-net TCP", "at most 1/300", times(poll), poll <= 1 / 300),
            ("64 B, both sleep, to the bare doorbell", "at most 1.10", times(sleep), sleep <= 1.1))


def show(found):
    """Prints everything; was it too noisy to conclude anything?"""
    count = len(found["loads"])
    rounds = [noise_of_round(found, number) for number in range(count)]
    noisy = sum(one for one, _ in rounds) > NOISY_MOST * count
    print(f"Two {found['arch']} guests, emulated, {found['kernel']}; {os.cpu_count()} processors; medians of {count} round(s)\n")
    if found["quick"]:
        print("--quick: few trips, which show that it works; the figures are worth nothing\n")
    for size in sorted({row["size"] for row in found["rows"]}):
        print("\n".join(table(found, size)) + "\n")
    print("| goal | | figure | met |\n|---|---|---:|---|")
    for what, goal, figure, met in goals(found):
        verdict = "too noisy" if noisy else "too few" if count < ENOUGH_ROUNDS or found["quick"] else "yes" if met else "no"
        print(f"| {what} | {goal} | {figure} | {verdict} |")
    print(f"\nNoise: others used {percent(found, 'others')} of the processors, the hypervisor took {percent(found, 'stolen')}; "
          f"load {min(found['loads']):.1f} to {max(found['loads']):.1f}; {found['repeated']} measurements repeated, "
          f"{sum(spoilt for _, spoilt in rounds)} of {count * len(found['rows'])} disturbed nevertheless, "
          f"{sum(one for one, _ in rounds)} of {count} rounds noisy" + (": nothing can be concluded" if noisy else ""))
    return noisy


def percent(found, what):
    values = [100 * one["noise"][what] for row in found["rows"] for one in row["rounds"]]
    return f"{min(values):.0f} to {max(values):.0f} %"
