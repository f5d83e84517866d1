#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Help, usage errors, and arguments that nobody would type."""
import os
import random
import subprocess

import ctl

COMMANDS = ("create", "destroy", "list", "doctor", "bind", "unbind", "show", "check", "evict", "send", "recv", "ping", "bench", "ring",
            "wait")


class Help(ctl.Case):
    def test_program(self):
        result = self.ok("--help")
        self.assertEqual(result.err, "")
        for command in COMMANDS:
            self.assertRegex(result.out, rf"\n  {command} +[A-Z]")
        self.assertEqual(self.ok("-h").out, result.out)

    def test_each_command(self):
        for command in COMMANDS:
            result = self.ok(command, "--help")
            self.assertEqual(result.err, "")
            self.assertTrue(result.out.startswith(f"Usage: vshmctl {command} "), result)
            self.assertEqual(self.ok(command, "x", "-h").out, result.out)
            self.assertLess(max(map(len, result.out.splitlines())), 121, command)

    def test_help_as_a_command(self):
        self.assertEqual(self.ok("help").out, self.ok("--help").out)
        for command in COMMANDS:
            self.assertEqual(self.ok("help", command).out, self.ok(command, "--help").out)
        self.fails(2, "help", "fly", says="unknown command 'fly'")

    def test_every_option_is_explained(self):
        for command in COMMANDS:
            text = self.ok(command, "--help").out
            usage = text.splitlines()[0]
            for word in usage.replace("[", " ").replace("]", " ").replace("=", " ").split():
                if word.startswith("--"):
                    self.assertIn(f"  {word}", text)

    def test_version(self):
        self.assertRegex(self.ok("--version").out, r"^vshmctl \d+\.\d+\.\d+\n$")


class Usage(ctl.Case):
    def test_program(self):
        self.fails(2, says="no command")
        self.fails(2, "fly", says=["fly", "--help"])
        self.fails(2, "--fly", says="--fly")
        self.fails(2, "", says="unknown command ''")

    def test_unknown_option(self):
        for command in COMMANDS:
            self.fails(2, command, "--no-such", says=[command, "'--no-such'", "--help"])
            self.fails(2, command, "--no-such=1", says="--no-such")
            self.fails(2, command, "-Z", says="'-Z'")

    def test_option_without_value(self):
        for command, option in (("create", "--path"), ("destroy", "--config"), ("send", "--ring-size"),
                                ("recv", "--timeout")):
            self.fails(2, command, option, says=[option, "needs a value"])

    def test_an_option_is_no_value(self):
        self.fails(2, "create", "a", "--path", "--size", "4M", says="'--path' needs a value")
        self.fails(2, "recv", "a", "r", "--timeout", "--", says="'--timeout' needs a value")
        self.fails(2, "show", "r", "--watch", "2", says="write --watch=2")
        self.fails(2, "show", "--watch", "2", "r", says="write --watch=2")
        self.assertEqual(os.listdir(self.shm), [])

    def test_what_was_meant(self):
        for args, meant in ((["shwo"], "show"), (["creat"], "create"), (["recieve"], None), (["lst"], "list"),
                            (["create", "a", "--paht", "x"], "--path"), (["send", "a", "r", "--lable=x"], "--label"),
                            (["list", "--jsn"], "--json"), (["create", "--ownership"], None)):
            result = self.fails(2, *args, says="unknown")
            self.assertEqual("did you mean" in result.err, meant is not None, result)
            self.assertIn(f"did you mean {meant}?" if meant else "unknown", result.err)

    def test_option_with_value_too_many(self):
        for command, option in (("list", "--json"), ("show", "--map"), ("evict", "--force"), ("send", "--drop")):
            self.fails(2, command, option + "=1", says=[option, "takes no value"])

    def test_missing_arguments(self):
        for args, missing in ((["create", "--size", "1M"], "NAME"), (["create", "a", "--size", "1M"], "--path"),
                              (["destroy"], "NAME"), (["show"], "URI"), (["check"], "URI"), (["evict"], "URI"),
                              (["evict", "x"], "N is missing"), (["bind"], "ADDRESS"), (["unbind"], "ADDRESS"), (["send"], "URI"), (["send", "x"], "RING"),
                              (["recv", "x"], "RING")):
            self.fails(2, *args, says=missing)

    def test_too_many_arguments(self):
        for args in (["create", "a", "b"], ["destroy", "a", "b"], ["list", "b"], ["doctor", "a", "b"], ["bind", "00:05.0", "x", "b"],
                     ["unbind", "00:05.0", "b"], ["show", "a", "b"],
                     ["check", "a", "b"], ["evict", "a", "1", "b"], ["recv", "a", "r", "f", "b"]):
            self.fails(2, *args, says="'b' is one argument too many")

    def test_not_possible_here(self):
        for uri in ("dax:/dev/dax0.0", "uio:uio0", "vfio-platform:vshm0"):
            for args in (["show", uri], ["check", uri], ["destroy", uri], ["evict", uri, "0"], ["send", uri, "r"],
                         ["recv", uri, "r"]):
                self.fails(77, *args, says=["not supported by this version", "it has file:"])

    def test_empty_arguments(self):
        for args in (["destroy", ""], ["show", ""], ["check", ""], ["evict", "", "1"], ["send", "", "r"],
                     ["recv", "x", ""]):
            self.fails(2, *args, says="empty")

    def test_wrong_values(self):
        sizes = ("0", "-1", "+5", "1.5M", "64MB", "64 M", " 64", "0x10", "", "M", "9223372036854775808",
                 "18446744073709551616", "99999999T")
        for size in sizes:
            self.fails(2, "create", "a", "--path", self.path(), "--size", size, says=["--size", f"'{size}'"])
        for peers in ("0", "65", "-1", "two", "", "4294967297"):
            self.fails(2, "create", "a", "--path", self.path(), "--peers", peers, says=["--peers", "1 to 64"])
        for mode in ("8", "66", "0668", "rw", "1777", "07777", ""):
            self.fails(2, "create", "a", "--path", self.path(), "--mode", mode, says=["--mode", "octal"])
        for owner in ("no-such-user", ":no-such-group", "root:", "", "4294967295", "-1"):
            self.fails(2, "create", "a", "--path", self.path(), "--owner", owner, says="--owner")
        self.fails(2, "create", "a", "--path", self.path(), "--profile", "round", says=["flat", "split"])
        for peer in ("64", "-1", "x", "", "1e3"):
            self.fails(2, "evict", "x", "--", peer, says="peer" if peer else "empty")
        for time in ("x", "-1", "1.", ".5", "1e3", "inf", "nan", "", "1000001"):
            self.fails(2, "recv", "x", "r", "--timeout", time, says="--timeout")
            self.fails(2, "show", "x", "--watch=" + time, says="--watch")
        self.fails(2, "show", "x", "--watch=0", says="0.05")
        for time in ("0", "0.0009"):
            self.fails(2, "recv", "x", "r", "--timeout", time, says=["--timeout", "at least 0.001"])
        for address in ("5", "00:5", "00:05.8", "00:05.0.0", "0000:00:05.0x", "x:00:05.0", "ivshmem:", "-1:05.0"):
            self.fails(2, "bind", "--", address, says="PCI address")
        self.fails(2, "send", "x", "r", "--label", "two words", says="--label")
        self.assertEqual(os.listdir(self.shm), [])

    def test_names(self):
        for name in ("", "a" * 64, "-a", ".a", "a b", "a/b", "a\n", "a\x1b[31m", "ä"):
            self.fails(2, "create", "--path", self.path(), "--", name, says="name" if name else "empty")
            self.fails(2, "send", "x", "--", name, says="RING is empty" if not name else "name")
        self.assertEqual(os.listdir(self.shm), [])
        self.assertEqual(os.listdir(self.run_dir), [])
        name = "a" * 63
        self.ok("create", name, "--path", self.path())
        self.gone()

    def test_options_that_exclude_each_other(self):
        self.fails(2, "create", "a", "--config", "x", "--size", "1M", says="exclude")
        self.fails(2, "show", "x", "--map", "--json", says="exclude")

    def test_options_behind_arguments(self):
        self.fails(1, "show", self.path("no"), "--json", says="does not exist")

    def test_what_others_wrote_is_escaped(self):
        evil = "x\x1b[2J\r\n\x7f\u202e\u0085y"
        for args in ([evil], ["show", evil], ["show", "file:/" + evil], ["create", evil], ["recv", "x", evil],
                     ["create", "--config", evil], ["list", evil], ["evict", "a", evil], ["show", "--" + evil]):
            result = self.ctl(*args)
            self.assertIn(result.status, (1, 2))
            self.one_line(result.err)
        for locale in ("C", "C.UTF-8"):
            result = self.ctl("show", b"/\xff\xfe\x80\x9b31m", env={"LC_ALL": locale})
            self.one_line(result.err)
            self.assertEqual(result.status, 1)
        self.assertNotIn("é", self.ctl("show", "/é", env={"LC_ALL": "C"}).err)

    def test_every_character(self):
        """All of the basic plane, and the odd corners behind it: what comes out is harmless."""
        corners = ((1, 0xd800), (0xe000, 0x10000), (0x1f000, 0x1fc00), (0xe0000, 0xe0200), (0xf0000, 0xf0100),
                   (0x10ff00, 0x110000))
        text = "".join(chr(c) for first, last in corners for c in range(first, last) if c != 0xfffd)
        for part in range(0, len(text), 450):
            self.one_line(self.ctl("x" + text[part:part + 450]).err)
        self.assertIn("grün ∑ 漢", self.ctl("grün ∑ 漢").err)

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "wb") as full:
            for args in (["--help"], ["list", "--json"], ["send", "--help"], ["--version"]):
                result = self.ctl(*args, stdout=full)
                self.assertEqual(result.status, 1, result)
                self.one_line(result.err)
                self.assertIn("No space left", result.err)

    def test_closed_descriptors(self):
        """Where stdout and stderr are closed, nothing may end up in the region's file instead."""
        path = self.region()
        with open(path, "rb") as file:
            before = file.read()
        for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
            done = subprocess.run(["bash", "-c", f'"$0" show {path} {closed}', ctl.CTL], env=self.env,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=ctl.LONG)
            self.assertEqual(done.returncode, 1 if ">&-" in closed.replace("2>&-", "") else 0, (closed, done))
            subprocess.run(["bash", "-c", f'"$0" evict {path} 3 {closed}', ctl.CTL], env=self.env,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=ctl.LONG)
        with open(path, "rb") as file:
            self.assertEqual(file.read(), before)
        self.gone()


class Fuzz(ctl.Case):
    WORDS = [b"create", b"destroy", b"list", b"show", b"check", b"evict", b"send", b"recv", b"ping",
             b"bench", b"--path", b"--size",
             b"--peers", b"--profile", b"--owner", b"--mode", b"--config", b"--json", b"--map", b"--peer", b"--timeout",
             b"--ring-size", b"--record", b"--label", b"--stats", b"--", b"-", b"", b"0", b"1", b"-1", b"64M", b"1K",
             b"split", b"18446744073709551616", b"r", b"vshm:", b"vshm:x", b"file:", b"file:/", b"file:/no/such",
             b"inproc:x", b"?peer=1", b"/", b".", b"..", b"/dev/null", b"/dev/zero", b"/proc/self/mem", b"/tmp",
             b"%s%n%s%n", b"a" * 300, b"b" * 5000, b"--timeout=0.1"]

    def word(self, chance):
        kind = chance.random()
        if kind < 0.75:
            return chance.choice(self.WORDS)
        if kind < 0.9:
            return chance.choice(self.WORDS) + b"=" + chance.choice(self.WORDS)
        return bytes(chance.randrange(1, 256) for _ in range(chance.randrange(1, 40)))

    def test_random_arguments(self):
        seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
        print(f"SEED={seed} ", end="")
        chance = random.Random(seed)
        rounds = 60 if os.environ.get("VSHM_SANITIZE") else 250
        for _ in range(rounds):
            args = [self.word(chance) for _ in range(chance.randrange(0, 7))]
            # Nothing may last for ever, and nothing may touch the machine beyond the scratch directory.
            args = [arg.replace(b"--watch", b"--map") for arg in args]
            if args and args[0] in (b"send", b"recv"):
                args.insert(1, b"--timeout=0.1")
            if args and args[0] in (b"ping", b"bench"):
                args.insert(1, b"--count=1" if args[0] == b"ping" else b"--seconds=0.001")
            result = self.ctl(*args, cwd=self.scratch)
            self.assertIn(result.status, (0, 1, 2), result)
            self.assertTrue(ctl.harmless(result.err), result)
            if result.status == 2:
                self.one_line(result.err)
        self.assertEqual(os.listdir(self.shm), [])


if __name__ == "__main__":
    ctl.main()
