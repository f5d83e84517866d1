#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""show, check and evict: what is told about regions that are well, and about those that are not."""
import json
import os
import pty
import random
import select
import signal
import struct
import subprocess
import time

import ctl


class Show(ctl.Case):
    def stream(self, path, *options):
        """A pair in mid-stream."""
        receiver = self.start("recv", path, "frames", stdout=subprocess.DEVNULL)
        sender = self.start("send", path, "frames", *options)
        sender.stdin.write(bytes(100000))
        sender.stdin.flush()
        self.await_show(path, lambda seen: seen["rings"] and seen["rings"][0]["connected"]
                        and seen["rings"][0]["producer"]["tail"] >= 100000 and seen["rings"][0]["unread"] == 0)
        return sender, receiver

    def finish(self, sender, receiver):
        self.assertEqual((self.end(sender).status, self.end(receiver).status), (0, 0))

    def test_json(self):
        path = self.region()
        pair = self.stream(path, "--ring-size", "128K")
        seen = self.show(path)
        self.assertEqual(set(seen), {"uri", "name", "uuid", "layout_version", "profile", "size", "segments", "layout_page",
                                     "created_ns", "looked_ns", "peer_count", "peers_live", "facts", "peers", "rings",
                                     "pools", "waiting", "unlawful", "way", "because"})
        self.assertEqual((seen["name"], seen["peers_live"], seen["layout_version"]), ("r", 2, 1))
        self.assertRegex(seen["uuid"], r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
        self.assertEqual(len(seen["peers"]), 4)
        peers = {peer.get("pid"): peer for peer in seen["peers"]}
        sender = peers[pair[0].pid]
        self.assertEqual((sender["state"], sender["label"], sender["uid"]), ("live", "vshmctl-send", os.geteuid()))
        self.assertTrue({"futex", "keeper"} <= set(sender["ways"]), sender)
        self.assertEqual(sender["can_wake"], [peers[pair[1].pid]["peer"]])
        self.assertEqual(sender["ring_bytes"], 131072)
        self.assertLess(abs(time.time() * 1e9 - sender["attached_ns"]), 3600e9)
        ring = seen["rings"][0]
        self.assertEqual((ring["name"], ring["size"], ring["connected"], ring["unread"]), ("frames", 131072, True, 0))
        self.assertEqual((ring["producer"]["peer"], ring["consumer"]["peer"]),
                         (sender["peer"], peers[pair[1].pid]["peer"]))
        self.assertEqual(ring["producer"]["tail"], ring["consumer"]["head"])
        self.assertEqual((seen["waiting"], seen["unlawful"]), ([], []))
        self.finish(*pair)
        self.gone()

    def test_text(self):
        path = self.region()
        self.assertIn("0-3 free", self.ok("show", path).out)
        pair = self.stream(path)
        text = self.ok("show", path).out
        for word in ("r  ", path, "8 MiB", "flat", "2 of 4 peers attached", "PEER", "live",
                     "vshmctl-send", "vshmctl-recv", str(pair[0].pid), "RING", "frames", "256 KiB",
                     "every peer can wake every other"):
            self.assertIn(word, text)
        self.assertNotIn("\x1b", text)
        self.assertTrue(ctl.harmless(text))
        self.assertNotIn(" \n", text)
        plain = self.ok("show", path, env={"LC_ALL": "C"})
        self.assertTrue(plain.raw_out.isascii(), plain)
        self.finish(*pair)
        self.gone()

    def test_waiting_receiver(self):
        path = self.region()
        receiver = self.start("recv", path, "frames")
        self.await_show(path, lambda seen: seen["waiting"])
        self.assertIn('waits for a producer of "frames"', self.ok("show", path).out)
        receiver.terminate()
        self.end(receiver)
        self.gone()

    def test_nobody_reads(self):
        """What was sent is not hidden while no consumer is there, and takes no more room than it needs."""
        path = self.region()
        for data, tail, doing in ((b"x\n", 16, "no consumer"), (bytes(1 << 20), 262144, "waits for a consumer")):
            sender = self.start("send", path, "frames", self.write("in", data))
            seen = self.await_show(path, lambda seen: seen["rings"] and seen["rings"][0]["doing"] == doing
                                   and seen["rings"][0]["producer"]["tail"])
            ring = seen["rings"][0]
            self.assertEqual((ring["unread"], ring["unread_at_most"], ring["producer"]["tail"]), (None, tail, tail))
            self.assertRegex(self.ok("show", path).out, rf"frames .*at most [0-9]+ .*{doing}")
            text = self.ok("show", path, "--map").out
            self.assertRegex(text, "ring frames: peer 0 to nobody, 256 KiB, at most [0-9]+ [A-Za-z]* unread")
            self.assertRegex(text.splitlines()[-2], "^█")
            self.assertNotIn("^head", text)
            sender.terminate()
            self.end(sender)
        self.gone()

    def test_pools_and_several_consumers(self):
        frames = os.path.join(ctl.BIN, "frames")
        if not os.access(frames, os.X_OK):
            self.skipTest("the examples are not built")
        path = self.path("r")
        programs = [subprocess.Popen([frames, *words], stdout=subprocess.DEVNULL)
                    for words in (["view", path], ["view", path], ["lend", path, "100000"])]
        try:
            self.eventually(lambda: os.path.exists(path))
            seen = self.await_show(path, lambda seen: seen["pools"] and seen["pools"][0]["blocks_lent"] and seen["rings"] and
                                   seen["rings"][0]["consumers"] == 2)
            self.assertEqual((seen["rings"][0]["consumers_at_most"], seen["rings"][0]["latest"]), (2, False))
            self.assertGreaterEqual(seen["pools"][0]["used"], seen["pools"][0]["blocks_lent"] << 22)
            granted = seen["rings"][0]["granted"]
            self.assertEqual(len({one["peer"] for one in granted}), 2)
            self.assertTrue(all(one["unread"] <= seen["rings"][0]["size"] and one["holds_at_most"] for one in granted))
            text = self.ok("show", path).out
            self.assertRegex(text, r"\nframes +\d frames +2 of 2 ")
            self.assertRegex(text, r"\nPOOL +OWNER +IN USE")
            self.assertIn("pool frames 24 MiB", self.ok("show", path, "--map").out)
            self.ok("check", path)
        finally:
            for program in programs:
                program.kill()
                program.wait()
        self.gone()

    def test_losses(self):
        """A slow reader of a ring that keeps the latest: how much it missed is there for whoever looks."""
        sensor = os.path.join(ctl.BIN, "sensor")
        if not os.access(sensor, os.X_OK):
            self.skipTest("the examples are not built")
        path = self.path("r")
        programs = [subprocess.Popen([sensor, *words], stdout=subprocess.DEVNULL)
                    for words in (["watch", path], ["measure", path, "100000000"])]
        try:
            self.eventually(lambda: os.path.exists(path))
            seen = self.await_show(path, lambda seen: seen["rings"] and seen["rings"][0]["granted"] and
                                   seen["rings"][0]["granted"][0]["lost"])
            ring = seen["rings"][0]
            self.assertEqual((ring["latest"], ring["granted"][0]["unread"], ring["unread"]), (True, None, None))
            self.assertRegex(self.ok("show", path).out, r"\ntemperature +consumer .* [1-9][0-9]*\n")
        finally:
            for program in programs:
                program.kill()
                program.wait()
        self.gone()

    def test_the_dead_do_nothing(self):
        path = self.region()
        receiver = self.start("recv", path, "frames")
        self.await_show(path, lambda seen: seen["waiting"])
        self.assertRegex(self.ok("show", path).out, r"\nframes +consumer 0/0 +head 0 +waits for a producer")
        receiver.send_signal(signal.SIGSTOP)
        self.await_show(path, lambda seen: seen["peers"][0]["state"] == "suspect")
        self.assertRegex(self.ok("show", path).out, r"\nframes +consumer 0/0 +head 0 +suspect")
        receiver.kill()
        receiver.wait()
        self.await_show(path, lambda seen: seen["peers"][0]["state"] == "fenced")
        self.assertEqual(self.show(path)["waiting"], [])
        text = self.ok("show", path).out
        self.assertRegex(text, r"\nframes +consumer 0/0 +head 0 +\(dead\)")
        self.assertNotIn("waits for", text)
        self.gone()

    def test_width(self):
        path = self.region()
        pair = self.stream(path)
        other = self.start("send", path, "with-a-name-that-takes-room", self.write("in", bytes(1 << 20)))
        self.await_show(path, lambda seen: len(seen["rings"]) == 2 and seen["rings"][1]["producer"]["tail"] == 262144)
        for columns in (60, 80, 100, 120, 200):
            text = self.ok("show", "r", env={"COLUMNS": str(columns)}).out
            self.assertLessEqual(max(map(len, text.splitlines())), columns, text)
            self.assertIn("PRODUCER", text)
        other.terminate()
        self.end(other)
        self.finish(*pair)
        self.gone()

    def test_map(self):
        for profile in ("flat", "split"):
            path = self.region("r", "--profile", profile, "--size", "8M")
            pair = self.stream(path, "--ring-size", "512K")
            for columns in (40, 80, 200):
                text = self.ok("show", path, "--map", env={"COLUMNS": str(columns)}).out
                self.assertIn("segment 0", text)
                self.assertEqual("segment 1" in text, profile == "split")
                self.assertIn("section of peer", text)
                self.assertIn("ring frames", text)
                self.assertIn("512 KiB", text)
                strips = [line for line in text.splitlines() if set(line) <= set("░▓█ ") and line]
                self.assertEqual(len(strips), 4 if profile == "split" else 3)
                self.assertEqual({len(strip) for strip in strips}, {columns})
            plain = self.ok("show", path, "--map", env={"LC_ALL": "C"})
            self.assertTrue(plain.raw_out.isascii(), plain)
            self.finish(*pair)
            self.gone()

    def test_map_is_to_scale(self):
        path = self.region("r", "--size", "4M", "--peers", "2")
        pair = self.stream(path, "--ring-size", "512K", "--drop")
        seen = self.show(path)
        peer = next(peer for peer in seen["peers"] if peer.get("ring_bytes"))
        text = self.ok("show", path, "--map", env={"COLUMNS": "200"}).out
        strip = text[text.index("section of peer %d" % peer["peer"]):].splitlines()[1]
        self.assertAlmostEqual(strip.count("█") / 200, (512 << 10) / peer["section_size"], delta=0.01)
        self.assertAlmostEqual(strip.count("▓") / 200, (64 << 10) / peer["section_size"], delta=0.01)
        self.finish(*pair)
        self.gone()

    def test_watch(self):
        path = self.region()
        pair = self.stream(path)
        watcher = self.start("show", path, "--watch=0.1", "--json")
        first, second = (json.loads(watcher.stdout.readline()) for _ in range(2))
        self.assertGreater(second["looked_ns"], first["looked_ns"])
        self.assertIsNotNone(second["rings"][0]["bytes_per_second"])
        watcher.send_signal(signal.SIGINT)
        result = self.end(watcher)
        self.assertEqual((result.status, result.err), (-signal.SIGINT, ""), result)
        self.finish(*pair)
        self.gone()

    def on_terminal(self, *args, enough, env=None):
        """Runs vshmctl on a terminal until `enough` stands in its output, or it ends."""
        leader, follower = pty.openpty()
        import fcntl
        import termios
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 110, 0, 0))
        child = subprocess.Popen([ctl.CTL, *args], env=dict(self.env, **(env or {})), stdin=subprocess.PIPE,
                                 stdout=follower, stderr=follower)
        self.children.append(child)
        os.close(follower)
        seen = b""
        end = time.monotonic() + ctl.LONG
        while time.monotonic() < end and enough not in seen:
            if select.select([leader], [], [], 0.1)[0]:
                try:
                    seen += os.read(leader, 65536)
                except OSError:
                    break
        os.close(leader)
        self.assertIn(enough, seen)
        return child, seen

    def test_colours(self):
        path = self.region()
        receiver = self.start("recv", path, "frames")
        self.await_show(path, lambda seen: seen["waiting"])
        for env, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
            child, seen = self.on_terminal("show", path, enough=b"waits for a producer", env=env)
            child.wait(ctl.LONG)
            self.assertEqual(b"\x1b[" in seen, coloured, seen)
        child, seen = self.on_terminal("show", path, "--watch=0.1", enough=b"\x1b[J")
        child.kill()
        receiver.terminate()
        self.end(receiver)
        self.gone()

    def test_progress(self):
        path = self.region()
        child, seen = self.on_terminal("recv", path, "frames", enough=b"waiting for a sender")
        child.kill()
        child.wait()
        child, seen = self.on_terminal("send", path, "frames", self.write("in", bytes(1 << 20)),
                                       enough=b"waiting for a receiver")
        self.assertIn(b"of 1 MiB", seen)
        child.kill()
        child.wait()
        self.gone()

    def test_shared_strings_cannot_drive_the_terminal(self):
        """A hostile peer writes its label: at worst the peer is told to be unlawful."""
        path = self.region()
        receiver = self.start("recv", path, "frames")
        seen = self.await_show(path, lambda seen: seen["waiting"])
        peer = next(peer for peer in seen["peers"] if peer["state"] == "live")
        label = peer["section_offset"] + 88
        with open(path, "rb") as file:
            file.seek(label)
            self.assertEqual(file.read(12), b"vshmctl-recv")
        ctl.patch(path, label, b"\x1b[2J\x9b31m\xff\n")
        ctl.patch(path, peer["section_offset"] + ctl.DIRECTORY + 16, b"\x1b[2Jx\n")
        for args in (["show"], ["show", "--map"], ["show", "--json"], ["list"], ["list", "--json"], ["check"]):
            result = self.ctl(args[0], *([] if args[0] == "list" else [path]), *args[1:])
            self.assertIn(result.status, (0, 1))
            for text in (result.out, result.err):
                self.assertTrue(ctl.harmless(text), result)
        receiver.kill()
        receiver.wait()
        self.gone()


class Check(ctl.Case):
    def test_lawful(self):
        path = self.region()
        result = self.ok("check", path)
        self.assertIn("lawful", result.out)
        self.gone()

    def test_each_finding_is_told(self):
        path = self.region()
        receiver = self.start("recv", path, "frames")
        seen = self.await_show(path, lambda seen: seen["waiting"])
        peer = next(peer for peer in seen["peers"] if peer["state"] == "live")
        end = seen["waiting"][0]
        entry = peer["section_offset"] + ctl.DIRECTORY + end["entry"] * ctl.ENTRY
        for offset, value, word in ((entry + 8, struct.pack("<I", 7), "kind"),
                                    (entry + 12, struct.pack("<I", 0x80), "flags"),
                                    (entry + 128, struct.pack("<I", 99), "state")):
            with open(path, "rb") as file:
                file.seek(offset)
                before = file.read(4)
            ctl.patch(path, offset, value)
            result = self.ctl("check", path)
            ctl.patch(path, offset, before)
            self.assertEqual(result.status, 1, result)
            self.assertEqual(result.err, "", result)
            lines = result.out.splitlines()
            self.assertRegex(lines[-1], r"^\d+ findings?$")
            self.assertTrue(any(f"peer {peer['peer']}," in line and f"entry {end['entry']}: {word}" in line
                                and hex(struct.unpack("<I", value)[0]) in line for line in lines), result)
        self.ok("check", path)
        receiver.terminate()
        self.end(receiver)
        self.gone()

    def test_scribbled_sections(self):
        """Random bytes all over the sections: findings, and never a crash or a hang of any command."""
        seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
        print(f"SEED={seed} ", end="")
        chance = random.Random(seed)
        for number in range(8):
            path = self.region()
            for _ in range(10 ** (number % 4)):
                where = 65536 + chance.randrange(4) * ((8 << 20) // 4) // 65536 * 65536 + chance.randrange(65536)
                ctl.patch(path, min(where, (8 << 20) - 64), chance.randbytes(chance.choice((1, 4, 8, 64))))
            for args in (["check", path], ["show", path], ["show", path, "--map"], ["show", path, "--json"], ["list"],
                         ["send", path, "f", "--timeout", "0.1"], ["recv", path, "f", "--timeout", "0.1"],
                         ["evict", path, "1"]):
                result = self.ctl(*args)
                self.assertIn(result.status, (0, 1), result)
                self.assertTrue(ctl.harmless(result.out + result.err), result)
            self.gone()


class NoRegion(ctl.Case):
    """What is not a region, or not any more: each with its cause."""
    COMMANDS = (["show"], ["show", "--json"], ["check"])

    def refused(self, path, *says, writes=True):
        for args in self.COMMANDS:
            self.fails(1, args[0], path, *args[1:], says=says)
        if writes:
            self.fails(1, "recv", path, "f", says=says)
            self.fails(1, "send", path, "f", says=says)
            self.fails(1, "evict", path, "0", says=says)

    def test_no_such_file(self):
        self.refused(self.path("none"), "does not exist", "vshmctl create")
        self.fails(1, "destroy", self.path("none"), says="does not exist")
        self.refused(self.path("no/none"), "does not exist")

    def test_no_such_name(self):
        self.refused("nobody", "nobody")
        self.refused("vshm:nobody", "nobody")

    def test_no_such_transport(self):
        self.refused("what:ever", "what")
        self.refused("file:", "file:")
        self.refused("file:/x?colour=red", "peer=")

    def test_not_a_region(self):
        path = self.write("text", "just text\n" * 100000)
        self.refused(path, path)
        self.fails(1, "destroy", path, says=path)
        self.assertTrue(os.path.exists(path))
        self.refused(self.write("short", "x"), "short")
        self.refused(self.write("empty", ""), "empty")
        self.refused("/dev/null", "/dev/null")
        self.refused(self.scratch, self.scratch)
        self.fails(1, "destroy", self.scratch, says=self.scratch)
        self.fails(1, "destroy", "/dev/null", says="/dev/null")

    def test_all_zero(self):
        path = self.write("zero", bytes(1 << 20))
        self.refused(path, path, "zero", "vshmctl create")

    def test_another_layout_version(self):
        path = self.region()
        with open(path, "rb") as file:
            block = bytearray(file.read(4096))
        struct.pack_into("<I", block, 8, 2)
        struct.pack_into("<I", block, 12, 0)
        struct.pack_into("<I", block, 12, crc32c(block))
        ctl.patch(path, 0, block)
        self.refused(path, "version")
        self.fails(1, "destroy", path, says="version")
        os.unlink(path)
        self.ok("destroy", "r")

    def test_truncated(self):
        path = self.region()
        size = os.path.getsize(path)
        for left in (size - 1, size // 2, 65536, 4096, 100):
            os.truncate(path, left)
            self.refused(path, path)
        os.unlink(path)
        self.ok("destroy", "r")
        self.assertEqual((os.listdir(self.shm), os.listdir(self.run_dir)), ([], []))

    def test_flipped_bits(self):
        """One bit of the superblock: never accepted, never a crash. (The unit tests flip each of them.)"""
        path = self.region()
        seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
        print(f"SEED={seed} ", end="")
        chance = random.Random(seed)
        with open(path, "rb") as file:
            block = file.read(4096)
        for _ in range(40):
            at = chance.choice((chance.randrange(4096), chance.randrange(200)))
            flipped = block[at] ^ 1 << chance.randrange(8)
            ctl.patch(path, at, bytes([flipped]))
            self.fails(1, "check", path, says=path)
            ctl.patch(path, at, block[at:at + 1])
        self.ok("check", path)
        self.gone()

    def test_links(self):
        path = self.region()
        os.symlink(path, self.path("soft"))
        self.refused(self.path("soft"), "link")
        os.unlink(self.path("soft"))
        self.gone()


class Evict(ctl.Case):
    def test_free_slot(self):
        path = self.region()
        self.fails(1, "evict", path, "1", says="1")
        self.fails(1, "evict", path, "4", says="4")
        self.gone()

    def test_living_and_stopped(self):
        path = self.region()
        receiver = self.start("recv", path, "frames", "--peer", "2")
        self.await_show(path, lambda seen: seen["waiting"])
        self.fails(1, "evict", path, "2", says="--force")
        receiver.send_signal(signal.SIGSTOP)
        self.assertEqual(self.await_show(path, lambda seen: seen["peers"][2]["state"] == "suspect")["peers_live"], 1)
        self.ok("evict", path, "2", "--force")
        self.assertNotEqual(self.show(path)["peers"][2]["state"], "live")
        # Its slot can be taken; the evicted one, awake again, is told
        second = self.start("recv", path, "other", "--peer", "2")
        self.await_show(path, lambda seen: seen["peers"][2].get("pid") == second.pid)
        receiver.send_signal(signal.SIGCONT)
        result = self.end(receiver)
        self.assertEqual(result.status, 1, result)
        self.assertIn("evicted", result.err)
        second.terminate()
        self.end(second)
        self.gone()


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


if __name__ == "__main__":
    ctl.main()
