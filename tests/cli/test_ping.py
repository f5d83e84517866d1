#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""ping and bench: figures that fit together, drawings that fit the screen, deaths, and nothing left behind."""
import json
import os
import re
import signal

import ctl

PERCENTILES = ("min_ns", "p50_ns", "p90_ns", "p99_ns", "p99_9_ns", "max_ns")


class Ping(ctl.Case):
    def document(self, *args, **options):
        return json.loads(self.ok("ping", self.path(), "--json", *args, **options).out)

    def fits_together(self, seen):
        times = [seen[name] for name in PERCENTILES]
        self.assertEqual(times, sorted(times))
        self.assertTrue(seen["min_ns"] <= seen["mean_ns"] <= seen["max_ns"], seen)
        self.assertEqual(sum(bucket["trips"] for bucket in seen["buckets"]), seen["trips"])
        edges = [edge for bucket in seen["buckets"] for edge in (bucket["from_ns"], bucket["below_ns"])]
        self.assertEqual(edges, sorted(edges))
        for bucket in seen["buckets"]:
            self.assertLessEqual(bucket["below_ns"] - bucket["from_ns"], max(1, bucket["from_ns"] / 100))
        self.assertTrue(edges[0] <= seen["min_ns"] < edges[1] and edges[-2] <= seen["max_ns"] < edges[-1], seen)
        self.assertGreaterEqual(seen["elapsed_ns"], seen["mean_ns"] * seen["trips"] * 0.99)

    def answering(self, *args):
        child = self.start("ping", "--answer", self.path(), *args)
        name = next((arg for arg in args if not arg.startswith("-")), "ping")
        self.await_show(self.path(), lambda seen: any(ring["name"] == name + ".answer" for ring in seen["rings"]))
        return child

    def stop(self, child):
        child.terminate()
        self.assertEqual(self.end(child).status, -signal.SIGTERM)

    def test_starts_the_other_side_itself(self):
        self.region()
        seen = self.document("--count", "2000")
        self.fits_together(seen)
        self.assertEqual((seen["trips"], seen["size"], seen["waiting"], seen["started"], seen["interrupted"]),
                         (2000, 8, "spin", True, False))
        self.assertEqual((seen["ask"], seen["answer"]), ("ping.ask", "ping.answer"))
        self.assertEqual([peer["state"] for peer in self.show(self.path())["peers"]], ["free"] * 4)
        self.gone()

    def test_says_so_in_one_line(self):
        self.region()
        result = self.ok("ping", self.path(), "--count", "5")
        self.one_line(result.err)
        self.assertRegex(result.err, r'note: nobody answers "ping": started process \d+')
        self.assertEqual(self.ok("ping", self.path(), "--count", "5", "--quiet").err, "")
        self.gone()

    def test_one_that_answers_is_found_again_and_again(self):
        self.region()
        child = self.answering()
        for size in (8, 100000, 9, 8):
            result = self.ok("ping", self.path(), "--json", "--count", "20", "--size", size)
            self.assertEqual(result.err, "")
            seen = json.loads(result.out)
            self.assertEqual((seen["trips"], seen["size"], seen["started"]), (20, size, False))
        self.stop(child)
        self.gone()

    def test_answers_to_others_are_passed_over(self):
        self.region()
        child = self.answering()
        self.ok("send", self.path(), "ping.ask", "--record", "3", stdin=b"who is there")
        self.assertEqual(self.document("--count", "20")["trips"], 20)
        self.stop(child)
        self.gone()

    def test_modes(self):
        self.region()
        for option, waiting in (("--poll", "poll"), ("--sleep", "sleep")):
            seen = self.document(option, "--count", "20")
            self.fits_together(seen)
            self.assertEqual((seen["waiting"], seen["trips"]), (waiting, 20))
        self.gone()

    def test_sizes(self):
        self.region()
        for size in ("8", "4095", "300K"):
            self.fits_together(self.document("--size", size, "--count", "5"))
        self.gone()

    def test_split(self):
        self.region("r", "--profile", "split", "--size", "4M")
        self.fits_together(self.document("--count", "100"))
        self.gone()

    def test_two_names_at_once(self):
        self.region()
        first = self.start("ping", self.path(), "a", "--json", "--interval", "0.01", "--count", "40")
        second = self.start("ping", self.path(), "b", "--json", "--interval", "0.01", "--count", "40")
        for child, name in ((first, "a"), (second, "b")):
            result = self.end(child)
            self.assertEqual(result.status, 0, result)
            seen = json.loads(result.out)
            self.fits_together(seen)
            self.assertEqual((seen["ask"], seen["trips"]), (name + ".ask", 40))
        self.gone()

    def test_one_name_twice(self):
        self.region()
        child = self.answering()
        first = self.start("ping", self.path(), "--interval", "1")
        self.await_show(self.path(), lambda seen: any(ring["name"] == "ping.ask" for ring in seen["rings"]))
        self.fails(1, "ping", self.path(), says=["'ping.", "in use", "another NAME"])
        first.terminate()
        self.end(first)
        self.stop(child)
        self.gone()


class Ends(ctl.Case):
    def running(self, *args, **options):
        """A ping that goes on and on, and its process that answers."""
        path = self.region()
        child = self.start("ping", path, "--interval", "0.005", *args, **options)
        seen = self.await_show(path, lambda seen: [ring for ring in seen["rings"] if ring["connected"]
                                                   and ring["name"] == "ping.answer"])
        ring = next(ring for ring in seen["rings"] if ring["name"] == "ping.answer")
        self.await_show(path, lambda seen: any(ring["name"] == "ping.answer" and ring["producer"]["tail"] > 100
                                               for ring in seen["rings"]))
        return child, seen["peers"][ring["producer"]["peer"]]["pid"]

    def nobody_stays(self, *pids):
        for pid in pids:
            self.eventually(lambda pid=pid: not os.path.exists(f"/proc/{pid}"))
        self.await_show(self.path(), lambda seen: all(peer["state"] in ("free", "fenced") for peer in seen["peers"]))
        self.gone()

    def test_interrupted(self):
        child, answering = self.running("--json")
        child.send_signal(signal.SIGINT)
        result = self.end(child)
        self.assertEqual(result.status, -signal.SIGINT, result)
        seen = json.loads(result.out)
        self.assertTrue(seen["interrupted"] and seen["trips"] > 0, seen)
        self.assertEqual(sum(bucket["trips"] for bucket in seen["buckets"]), seen["trips"])
        self.nobody_stays(answering)

    def test_interrupted_from_the_terminal(self):
        """Both processes get the signal: the one that answers leaves the end to the other."""
        child, answering = self.running(start_new_session=True)
        os.killpg(child.pid, signal.SIGINT)
        result = self.end(child)
        self.assertEqual(result.status, -signal.SIGINT, result)
        self.one_line(result.err)
        self.nobody_stays(answering)

    def test_answering_side_is_killed(self):
        child, answering = self.running()
        os.kill(answering, signal.SIGKILL)
        result = self.end(child)
        self.assertEqual(result.status, 1, result)
        self.assertRegex(result.err, r"\nvshmctl ping: the answering side died after \d+ trips\n$")
        self.assertRegex(result.out, r"^\d+ round trips? of 8 B in ")
        self.nobody_stays(answering)

    def test_asking_side_is_killed(self):
        child, answering = self.running()
        child.kill()
        self.end(child)
        self.nobody_stays(answering)

    def test_answering_side_survives_askers_that_die(self):
        path = self.region()
        answering = self.start("ping", "--answer", path)
        self.await_show(path, lambda seen: seen["rings"])
        for _ in range(2):
            child = self.start("ping", path, "--interval", "0.005")
            self.await_show(path, lambda seen: any(ring["name"] == "ping.ask" and ring["connected"]
                                                   for ring in seen["rings"]))
            child.kill()
            self.end(child)
        result = self.ok("ping", path, "--count", "10", "--json")
        self.assertFalse(json.loads(result.out)["started"])
        answering.terminate()
        self.end(answering)
        self.nobody_stays(answering.pid)

    def test_region_goes_away(self):
        child, answering = self.running()
        self.ok("destroy", self.path())
        result = self.end(child)
        self.assertEqual(result.status, 1, result)
        self.assertIn("was destroyed", result.err)
        self.eventually(lambda: not os.path.exists(f"/proc/{answering}"))
        self.assertEqual(os.listdir(self.shm), [])

    def test_no_slot(self):
        self.region("r", "--peers", "1")
        self.fails(1, "ping", self.path(), says="slots of region r are taken")
        self.fails(1, "bench", self.path(), says="slots of region r are taken")
        self.gone()

    def test_no_region(self):
        for command in ("ping", "bench"):
            self.fails(1, command, self.path(), says="does not exist")
            self.fails(77, command, "uio:uio0", says="not supported by this version")
        self.fails(1, "ping", "--answer", self.path(), says="does not exist")

    def test_no_room(self):
        self.region()
        self.fails(1, "ping", self.path(), "--size", "16M", says=["ping.ask", "does not fit"])
        self.fails(1, "bench", self.path(), "--size", "16M", says=["does not fit"])
        child = self.start("ping", "--answer", self.path())
        self.await_show(self.path(), lambda seen: seen["rings"])
        self.fails(1, "ping", self.path(), "--size", "300K", says=["at most --size 262136", "answering side"])
        child.terminate()
        self.end(child)
        self.gone()

    def test_arguments(self):
        for args, says in ((["ping"], "URI is missing"), (["ping", "x", "y", "z"], "'z' is one argument too many"),
                           (["ping", "x", "two words"], "name 'two words'"), (["ping", "x", "a" * 57], "at most 56"),
                           (["ping", "x", "--poll", "--sleep"], "exclude"), (["ping", "x", "--count", "0"], "--count '0'"),
                           (["ping", "x", "--count", "-1"], "--count"), (["ping", "x", "--size", "7"], "write 8 to"),
                           (["ping", "x", "--size", "2G"], "write 8 to"), (["ping", "x", "--interval", "-1"], "--interval"),
                           (["ping", "x", "--timeout", "0"], "at least 0.001"), (["ping", "x", "--peer", "64"], "--peer"),
                           (["bench"], "URI is missing"), (["bench", "x", "y"], "'y' is one argument too many"),
                           (["bench", "x", "--seconds", "0"], "--seconds '0'"), (["bench", "x", "--size", "0"], "--size '0'"),
                           (["bench", "x", "--seconds", "3601"], "0.001 to 3600")):
            self.fails(2, *args, says=says)


class Drawing(ctl.Case):
    def lines(self, *args, width, locale="C.UTF-8"):
        result = self.ok(*args, "--quiet", env={"COLUMNS": str(width), "LC_ALL": locale})
        for line in result.out.splitlines():
            self.assertLessEqual(len(line), width, line)
            self.assertEqual(line, line.rstrip())
        self.assertNotIn("~", result.out)  # nothing was cut
        return result.out

    def test_widths(self):
        self.region()
        for width in (40, 80, 200):
            for mode in ("--sleep", "--poll"):
                out = self.lines("ping", self.path(), mode, "--count", "300" if mode == "--sleep" else "30", width=width)
                self.assertIn("█", out)
                for word in ("300" if mode == "--sleep" else "30", "MIN", "P50", "P99.9", "MEAN", "FROM", "TRIPS"):
                    self.assertIn(word, out)
                widest = max(map(len, re.findall("█+", out)))
                self.assertGreater(widest, (width - 50) / 2)
        self.gone()

    def test_without_utf8(self):
        self.region()
        out = self.lines("ping", self.path(), "--sleep", "--count", "300", width=80, locale="C")
        self.assertTrue(out.isascii(), out)
        self.assertIn("####", out)
        self.gone()

    def test_trips_add_up(self):
        self.region()
        out = self.lines("ping", self.path(), "--sleep", "--count", "500", width=80)
        rows = out[out.index("FROM"):].splitlines()[1:]
        self.assertEqual(sum(int(re.split(" +", row.strip())[2]) for row in rows), 500)
        self.gone()

    def test_few_trips(self):
        self.region()
        out = self.lines("ping", self.path(), "--count", "1", width=80)
        self.assertTrue(out.startswith("1 round trip of 8 B in "), out)
        self.gone()


class Bench(ctl.Case):
    def test_table(self):
        self.region()
        result = self.ok("bench", self.path(), "--seconds", "0.005", env={"COLUMNS": "60"})
        self.assertEqual(result.err, "")
        self.assertRegex(result.out, r"^(from processor \d+ to \d+|not pinned), 0.005 s each\n")
        for size in ("8 B", "64 B", "256 B", "1 KiB", "4 KiB", "16 KiB", "64 KiB"):
            self.assertRegex(result.out, rf"\n *{size} +[\d.]+[kM]? +[\d.e-]+ +[\d.]+[kM]? +[\d.e-]+\n")
        for line in ("never sleep", "always sleep", "memcpy"):
            self.assertIn("\n" + line + " ", result.out)
        self.assertEqual([peer["state"] for peer in self.show(self.path())["peers"]], ["free"] * 4)
        self.gone()

    def test_json(self):
        self.region()
        seen = json.loads(self.ok("bench", self.path(), "--seconds", "0.01", "--size", "100", "--json").out)
        self.assertEqual([(one["size"], one["burst"]) for one in seen["streams"]], [(100, 1), (100, 32)])
        self.assertEqual([one["waiting"] for one in seen["round_trips"]], ["poll", "sleep"])
        for one in seen["streams"]:
            self.assertGreaterEqual(one["elapsed_ns"], 10000000)
            self.assertAlmostEqual(one["records_per_second"], one["records"] * 1e9 / one["elapsed_ns"], delta=1)
            self.assertAlmostEqual(one["bytes_per_second"], one["records_per_second"] * 100, delta=100)
        for one in seen["round_trips"]:
            self.assertTrue(0 < one["p50_ns"] <= one["p99_ns"], one)
        self.assertTrue(all(one["bytes_per_second"] > 0 for one in seen["memory"]))
        if len(os.sched_getaffinity(0)) > 1:
            self.assertEqual(len(set(seen["pinned"])), 2)
            self.assertLessEqual(set(seen["pinned"]), os.sched_getaffinity(0))
        self.gone()

    def test_one_processor(self):
        self.region()
        one = min(os.sched_getaffinity(0))
        result = self.ok("bench", self.path(), "--seconds", "0.005", "--size", "64", "--json",
                         preexec_fn=lambda: os.sched_setaffinity(0, {one}))
        self.assertIsNone(json.loads(result.out)["pinned"])
        self.gone()

    def test_progress(self):
        self.region()
        terminal, end = os.openpty()
        child = self.start("bench", self.path(), "--seconds", "0.005", "--size", "64", stderr=end)
        os.close(end)
        shown = b""
        try:
            while True:
                shown += os.read(terminal, 1000)
        except OSError:  # nobody has the other end any more
            os.close(terminal)
        self.assertEqual(self.end(child).status, 0)
        self.assertTrue(shown.startswith(b"\r\x1b[K1 of 7: one way, 64 B"), shown)
        self.assertTrue(shown.endswith(b"\r\x1b[K"), shown)
        self.gone()

    def running(self):
        path = self.region()
        child = self.start("bench", path, "--json", "--seconds", "0.3")
        # Not in its first figure: something is measured already
        seen = self.await_show(path, lambda seen: any(re.search(r"\.[1-9]", ring["name"]) and ring["connected"]
                                                      for ring in seen["rings"]))
        ring = next(ring for ring in seen["rings"] if ring["connected"])
        return child, seen["peers"][ring["consumer"]["peer"]]["pid"]

    def test_interrupted(self):
        child, second = self.running()
        child.send_signal(signal.SIGINT)
        result = self.end(child)
        self.assertEqual((result.status, result.err), (-signal.SIGINT, ""), result)
        seen = json.loads(result.out)
        self.assertTrue(seen["interrupted"] and seen["streams"], seen)
        self.eventually(lambda: not os.path.exists(f"/proc/{second}"))
        self.gone()

    def test_second_process_is_killed(self):
        child, second = self.running()
        os.kill(second, signal.SIGKILL)
        result = self.end(child)
        self.assertEqual(result.status, 1, result)
        self.assertRegex(result.err, r"^vshmctl bench: (the second process|the answering side) died")
        self.gone()


if __name__ == "__main__":
    ctl.main()
