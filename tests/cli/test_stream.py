#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""send and recv: every byte, the end of the stream, deaths, signals, and outputs that fail."""
import hashlib
import os
import signal
import subprocess

import ctl

MEBI = 1 << 20


class Whole(ctl.Case):
    """Streams that arrive."""

    def pair(self, data, send=(), recv=(), path=None, receiver_first=True):
        """Sends `data` through a ring; returns both results."""
        path = path or self.path()
        receiver = self.start("recv", path, "frames", *recv) if receiver_first else None
        if receiver_first:
            self.await_show(path, lambda seen: seen["waiting"])
        sender = self.start("send", path, "frames", *send)
        if not receiver_first:
            # Give the sender its whole input before anybody listens
            self.await_show(path, lambda seen: seen["rings"])
            receiver = self.start("recv", path, "frames", *recv)
        got = {}

        def read_all():
            got["receiver"] = self.end(receiver)

        import threading
        reader = threading.Thread(target=read_all)
        reader.start()
        sent = self.end(sender, data)
        reader.join()
        return sent, got["receiver"]

    def exact(self, data, **options):
        sent, received = self.pair(data, **options)
        self.assertEqual((sent.status, received.status), (0, 0), (sent, received))
        self.assertEqual(sent.raw_err + received.raw_err, b"")
        self.assertEqual(hashlib.sha256(received.raw_out).digest(), hashlib.sha256(data).digest())

    def test_dead_senders_are_passed_over(self):
        """Who receives after several senders died with unread data gets none of that, and finds the one that lives."""
        path = self.region("r", "--size", "8M", "--peers", "6")
        for word in (b"a", b"b", b"c"):
            self.fails(1, "send", path, "ring", "--timeout", "0.5", "--quiet", stdin=word, says="nobody read")
        live = self.start("send", path, "ring", "--quiet")
        live.stdin.write(b"live")
        live.stdin.close()
        live.stdin = None
        self.assertEqual(self.ok("recv", path, "ring", "--timeout", "20", "--quiet").out, "live")
        self.assertEqual(self.end(live).status, 0)
        self.gone("r")

    def test_the_words_of_the_manual(self):
        self.ok("create", "net0", "--path", self.path("net0"), "--size", "64M", "--peers", "4")
        uri = "file:" + self.path("net0")
        data = ctl.noise(3 * MEBI)
        with open(self.scratch + "/out", "wb") as out:
            receiver = self.start("recv", uri, "frames", stdout=out)
        with open(self.write("in", data), "rb") as source:
            sender = self.start("send", uri, "frames", stdin=source)
        self.assertEqual((self.end(sender).status, self.end(receiver).status), (0, 0))
        with open(self.scratch + "/out", "rb") as out:
            self.assertEqual(out.read(), data)
        self.assertEqual(self.show(uri)["rings"], [])
        self.gone("net0")

    def test_receiver_first(self):
        self.region()
        self.exact(ctl.noise(5 * MEBI + 13))
        self.gone()

    def test_sender_first(self):
        self.region()
        self.exact(ctl.noise(5 * MEBI + 13), receiver_first=False)
        self.gone()

    def test_sizes(self):
        self.region()
        for size in (0, 1, 7, 8, 65535, 65536, 65537, 262144, 262145):
            self.exact(ctl.noise(size, size))
        self.gone()

    def test_rings_and_records(self):
        self.region()
        data = ctl.noise(300000)
        for options in (["--ring-size", "256"], ["--ring-size", "1M"], ["--record", "1", "--ring-size", "4K"],
                        ["--record", "100000"], ["--ring-size", "1000", "--record", "17"]):
            self.exact(data[:20000] if "1" in options or "17" in options else data, send=options)
        self.gone()

    def test_split(self):
        self.region("r", "--profile", "split", "--peers", "2", "--size", "4M")
        self.exact(ctl.noise(2 * MEBI))
        self.exact(ctl.noise(2 * MEBI), send=["--peer", "1"], recv=["--peer", "0"])
        self.gone()

    def test_many_times(self):
        """Slots and section space come back."""
        self.region("r", "--peers", "2", "--size", "1M")
        for number in range(20):
            self.exact(ctl.noise(100000, number))
        seen = self.show("r")
        self.assertEqual([peer["state"] for peer in seen["peers"]], ["free", "free"])
        self.ok("check", "r")
        self.gone()

    def test_files(self):
        path = self.region()
        files = [self.write(f"in{i}", ctl.noise(100000 + i, i)) for i in range(3)]
        out = self.scratch + "/out"
        receiver = self.start("recv", path, "frames", out)
        self.ok("send", path, "frames", files[0], "-", files[2], stdin=b"in between")
        result = self.end(receiver)
        self.assertEqual((result.status, result.raw_out), (0, b""), result)
        with open(out, "rb") as file:
            self.assertEqual(file.read(), ctl.noise(100000, 0) + b"in between" + ctl.noise(100002, 2))
        self.gone()

    def test_a_slow_source_is_not_held_back(self):
        """What was sent arrives while the sender waits for more."""
        path = self.region()
        receiver = self.start("recv", path, "frames")
        sender = self.start("send", path, "frames")
        for line in (b"one\n", b"two\n", b"three\n"):
            sender.stdin.write(line)
            sender.stdin.flush()
            self.assertEqual(receiver.stdout.readline(), line)
        self.assertEqual((self.end(sender).status, self.end(receiver).status), (0, 0))
        self.gone()

    def test_several_rings_at_once(self):
        path = self.region("r", "--peers", "6", "--size", "16M")
        outs = [f"{self.scratch}/out{i}" for i in range(3)]
        receivers = [self.start("recv", path, f"ring{i}", outs[i]) for i in range(3)]
        data = [ctl.noise(200000, i) for i in range(3)]
        senders = [self.start("send", path, f"ring{i}", self.write(f"in{i}", data[i])) for i in range(3)]
        for i in range(3):
            self.assertEqual(self.end(senders[i]).status, 0)
            self.assertEqual(self.end(receivers[i]).status, 0)
            with open(outs[i], "rb") as file:
                self.assertEqual(file.read(), data[i])
        self.gone()

    def test_stats(self):
        self.region()
        sent, received = self.pair(bytes(200000), send=["--stats"], recv=["--stats"])
        for result, verb in ((sent, "sent"), (received, "received")):
            self.assertEqual(result.status, 0, result)
            self.assertEqual(result.err.count("\n"), 1, result)
            self.assertRegex(result.err, rf"^{verb} 200000 bytes \(195 KiB\) in \d+ records, ")
        self.gone()

    def test_labels(self):
        path = self.region()
        receiver = self.start("recv", path, "frames", "--label", "sink", "--peer", "2")
        seen = self.await_show(path, lambda seen: seen["waiting"])
        self.assertEqual(seen["peers"][2]["label"], "sink")
        self.assertEqual(seen["peers"][2]["pid"], receiver.pid)
        receiver.terminate()
        self.end(receiver)
        self.gone()

    def test_dropping(self):
        path = self.region()
        result = self.ok("send", path, "frames", "--drop", "--stats", "--record", "1K", stdin=bytes(1000 * 1024))
        self.assertNotIn("dropped 0", result.err)
        self.gone()

    def test_following(self):
        path = self.region()
        out = self.scratch + "/out"
        receiver = self.start("recv", path, "frames", "--follow", out)
        for part in (b"one\n", b"two\n"):
            self.ok("send", path, "frames", stdin=part)
        victim = self.start("send", path, "frames")
        victim.stdin.write(b"three\n")
        victim.stdin.flush()
        self.eventually(lambda: os.path.exists(out) and os.path.getsize(out) == 14)
        victim.kill()
        victim.wait()
        self.ok("send", path, "frames", stdin=b"four\n")
        receiver.terminate()
        result = self.end(receiver)
        self.assertEqual(result.status, -signal.SIGTERM, result)
        self.assertIn("ended after", result.err)
        self.assertIn("died after 14 bytes", result.err)
        with open(out, "rb") as file:
            self.assertEqual(file.read(), b"one\ntwo\nthree\nfour\n")
        self.gone()


class Broken(ctl.Case):
    """Streams that do not arrive as a whole, and who is told."""

    def flowing(self, count=5 * MEBI, recv=()):
        """A pair in mid-stream: the receiver has `count` bytes, the sender waits for input."""
        path = self.region()
        out = self.scratch + "/out"
        receiver = self.start("recv", path, "frames", out, *recv)
        sender = self.start("send", path, "frames")
        sender.stdin.write(ctl.noise(count))
        sender.stdin.flush()
        self.eventually(lambda: os.path.exists(out) and os.path.getsize(out) == count)
        return path, out, sender, receiver

    def test_the_sender_dies(self):
        path, out, sender, receiver = self.flowing()
        sender.kill()
        result = self.end(receiver)
        self.assertEqual(result.status, 1, result)
        self.one_line(result.err)
        self.assertIn(f"vshmctl recv: the sender died: 5 MiB ({5 * MEBI} bytes) arrived", result.err)
        self.ok("send", path, "frames", "--drop", stdin=b"")  # the slot can be used again
        self.gone()

    def test_what_was_committed_is_delivered(self):
        """The receiver stands still while the sender fills the ring and dies: nothing of that is lost."""
        path = self.region()
        sender = self.start("send", path, "frames", "--record", "1K", "--ring-size", "64K")
        sender.stdin.write(ctl.noise(30 * 1024))
        sender.stdin.flush()
        self.await_show(path, lambda seen: seen["rings"] and seen["rings"][0]["producer"]["tail"] > 30 * 1024)
        receiver = self.start("recv", path, "frames", stdout=subprocess.PIPE)
        self.await_show(path, lambda seen: seen["rings"] and seen["rings"][0]["connected"])
        sender.kill()
        result = self.end(receiver)
        self.assertEqual((result.status, result.raw_out), (1, ctl.noise(30 * 1024)))
        self.assertIn("30720 bytes", result.err)
        self.gone()

    def test_killed_at_random_moments(self):
        path = self.region()
        data = ctl.noise(64 * MEBI)
        source = self.write("in", data)
        import random
        import time
        for number in range(6):
            out = f"{self.scratch}/out{number}"
            receiver = self.start("recv", path, "frames", out)
            sender = self.start("send", path, "frames", source)
            self.eventually(lambda: (os.path.exists(out) and os.path.getsize(out)) or sender.poll() is not None)
            time.sleep(random.random() / 100)
            sender.kill()
            result = self.end(receiver)
            with open(out, "rb") as file:
                got = file.read()
            self.assertEqual(got, data[:len(got)])
            if sender.wait() == 0:
                self.assertEqual((result.status, len(got)), (0, len(data)))
            else:
                self.assertIn(result.status, (0, 1), result)  # 0: it had just ended its stream
                self.assertTrue(result.status == 1 or len(got) == len(data))
            os.unlink(out)
        self.ok("check", path)
        self.gone()

    def test_the_receiver_dies(self):
        path, out, sender, receiver = self.flowing()
        receiver.kill()
        receiver.wait()
        second = self.start("recv", path, "frames")
        result = self.end(sender, b"the rest")
        self.assertEqual(result.status, 0, result)
        self.assertIn("note: the receiver died", result.err)
        # It may begin with what the first had written, and not yet given back, when it was killed
        self.assertTrue(self.end(second).raw_out.endswith(b"the rest"))
        self.gone()

    def test_the_sender_stands_still(self):
        path, out, sender, receiver = self.flowing()
        sender.send_signal(signal.SIGSTOP)
        seen = self.show(path)
        states = {peer.get("pid"): peer["state"] for peer in seen["peers"]}
        self.assertEqual(states[sender.pid], "suspect", seen)
        self.assertIn(b"suspect", receiver.stderr.readline())
        self.assertIsNone(receiver.poll())
        sender.send_signal(signal.SIGCONT)
        result = self.end(sender, b"more")
        self.assertEqual(result.status, 0, result)
        self.assertEqual(self.end(receiver).status, 0)
        self.assertEqual(os.path.getsize(out), 5 * MEBI + 4)
        self.gone()

    def test_two_senders(self):
        path, out, sender, receiver = self.flowing()
        self.fails(1, "send", path, "frames", stdin=b"x", says="frames")
        self.assertEqual((self.end(sender).status, self.end(receiver).status), (0, 0))
        self.gone()

    def test_two_receivers(self):
        path, out, sender, receiver = self.flowing()
        self.fails(1, "recv", path, "frames", says=["ring 'frames'"])
        self.assertEqual(self.end(sender, b"x").status, 0)
        self.assertEqual(self.end(receiver).status, 0)
        self.gone()

    def test_no_free_slot(self):
        path = self.region("r", "--peers", "1")
        receiver = self.start("recv", path, "frames")
        self.await_show(path, lambda seen: seen["waiting"])
        self.fails(1, "send", path, "frames", says="slot")
        self.fails(1, "send", path, "frames", "--peer", "0", says="0")
        self.fails(1, "send", path, "frames", "--peer", "1", says="1")
        receiver.terminate()
        self.end(receiver)
        self.gone()

    def test_ring_and_record_too_large(self):
        path = self.region("r", "--size", "1M", "--peers", "2")
        self.fails(1, "send", path, "frames", "--ring-size", "1G", says=["frames", "largest possible"])
        self.fails(1, "send", path, "frames", "--ring-size", "4G", says=["frames"])
        self.fails(1, "send", path, "frames", "--ring-size", "4K", "--record", "8K", says=["--record"])
        self.assertEqual(self.show(path)["peers_live"], 0)
        self.gone()

    def test_timeouts(self):
        path = self.region()
        self.fails(1, "recv", path, "frames", "--timeout", "0.3", says=["0.3 s", "0 bytes"])
        self.fails(1, "send", path, "frames", "--timeout", "0.3", stdin=b"x" * 100, says="0.3 s")
        self.eventually(lambda: self.ctl("recv", path, "frames", "--timeout", "0.3").status == 1)
        self.gone()

    def test_nobody_at_the_other_side_is_told(self):
        path = self.region()
        quiet = self.start("recv", path, "quiet", "--quiet")
        children = [self.start("send", path, "frames", self.write("in", b"x")), self.start("recv", path, "frame")]
        # The same while it waits for room
        children.append(self.start("send", path, "full", self.write("large", bytes(MEBI))))
        for child, says in zip(children, (b'waiting for a receiver of ring "frames"', b'waiting for a sender of ring "frame"',
                                          b'waiting for a receiver of ring "full"')):
            line = child.stderr.readline()
            self.assertIn(b"note: " + says, line)
            if child is children[1]:
                self.assertRegex(line, rb"\(this region has: .*frames")
        for child in (*children, quiet):
            child.terminate()
            self.assertEqual(self.end(child).err, "")
        self.gone()

    def test_an_input_that_is_not_there(self):
        path = self.region()
        receiver = self.start("recv", path, "frames")
        self.fails(1, "send", path, "frames", self.write("in", b"x"), self.scratch + "/none", says=["none", "No such file"])
        self.fails(1, "send", path, "frames", self.scratch, says="directory")
        # Nothing was sent: the receiver waits still
        self.ok("send", path, "frames", stdin=b"right")
        self.assertEqual(self.end(receiver).raw_out, b"right")
        self.gone()

    def test_an_input_that_breaks_off(self):
        """The receiver must not take a part for the whole."""
        path = self.region()
        data = ctl.noise(MEBI)  # larger than the ring: so the two have met
        receiver = self.start("recv", path, "frames", self.scratch + "/out")
        result = self.ctl("send", path, "frames", self.write("in", data), "/proc/self/mem")
        self.assertEqual(result.status, 1, result)
        self.one_line(result.err)
        self.assertIn("/proc/self/mem", result.err)
        result = self.end(receiver)
        self.assertEqual(result.status, 1, result)
        with open(self.scratch + "/out", "rb") as file:
            self.assertEqual(file.read(), data)
        self.gone()

    def test_closed_output(self):
        path = self.region()
        receiver = self.start("recv", path, "frames")
        sender = self.start("send", path, "frames", self.write("in", bytes(8 * MEBI)))
        receiver.stdout.read(1)
        receiver.stdout.close()
        receiver.stdout = None
        result = self.end(receiver)
        self.assertEqual(result.status, 1, result)
        self.one_line(result.err)
        self.assertIn("standard output: closed", result.err)
        # The next receiver gets the rest
        self.assertEqual(self.ctl("recv", path, "frames").status, 0)
        self.assertEqual(self.end(sender).status, 0)
        self.gone()

    def test_full_output(self):
        path = self.region()
        with open("/dev/full", "wb") as full:
            receiver = self.start("recv", path, "frames", stdout=full)
            sender = self.start("send", path, "frames", self.write("in", b"x"))
            result = self.end(receiver)
        self.assertEqual(result.status, 1, result)
        self.assertIn("No space left", result.err)
        self.assertEqual(self.ok("recv", path, "frames").raw_out, b"x")
        self.assertEqual(self.end(sender).status, 0)
        self.fails(1, "recv", path, "frames", "/no/such/directory/out", says="/no/such/directory/out")
        self.gone()

    def test_a_region_that_cannot_be_opened_costs_no_file(self):
        out = self.write("out", b"precious")
        self.fails(1, "recv", self.path("none"), "frames", out, says="does not exist")
        with open(out, "rb") as file:
            self.assertEqual(file.read(), b"precious")

    def test_the_region_is_truncated(self):
        path, out, sender, receiver = self.flowing()
        os.truncate(path, 65536)
        for child, command in ((receiver, "recv"), (sender, "send")):
            result = self.end(child)
            self.assertEqual(result.status, 1, result)
            self.assertIn(f"vshmctl {command}: ", result.err)
        os.unlink(path)
        os.unlink(os.path.join(self.run_dir, "r"))


class Signals(ctl.Case):
    def test_receiver(self):
        path = self.region()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            receiver = self.start("recv", path, "frames")
            self.await_show(path, lambda seen: seen["waiting"])
            receiver.send_signal(number)
            result = self.end(receiver)
            self.assertEqual((result.status, result.err), (-number, ""), result)
            self.assertEqual([peer["state"] for peer in self.show(path)["peers"]], ["free"] * 4)
        self.gone()

    def test_sender_that_waits_for_input(self):
        path = self.region()
        for number in (signal.SIGINT, signal.SIGTERM):
            receiver = self.start("recv", path, "frames")
            sender = self.start("send", path, "frames")
            sender.stdin.write(b"part")
            sender.stdin.flush()
            self.assertEqual(receiver.stdout.read(4), b"part")
            sender.send_signal(number)
            sender.wait(ctl.LONG)
            self.assertEqual(sender.returncode, -number)
            self.assertEqual(self.end(receiver).status, 0)
        self.gone()

    def test_sender_that_waits_for_a_receiver(self):
        path = self.region()
        for data in (b"x", bytes(MEBI)):
            sender = self.start("send", path, "frames", self.write("in", data))
            self.await_show(path, lambda seen: seen["rings"])
            sender.send_signal(signal.SIGTERM)
            self.assertEqual(self.end(sender).status, -signal.SIGTERM)
        self.gone()

    def test_ignored_signals_stay_ignored(self):
        path = self.region()
        receiver = self.start("recv", path, "frames",
                              preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        self.await_show(path, lambda seen: seen["waiting"])
        receiver.send_signal(signal.SIGHUP)
        self.ok("send", path, "frames", stdin=b"all the same")
        self.assertEqual(self.end(receiver).raw_out, b"all the same")
        self.gone()


if __name__ == "__main__":
    ctl.main()
