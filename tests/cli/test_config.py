#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Config files: what is accepted, and that every mistake is told with file, line and key before anything is made."""
import os
import random

import ctl


class Config(ctl.Case):
    def file(self, text, name="c.ini", mode=0o644):
        text = text if isinstance(text, bytes) else text.replace("SHM", self.shm).encode()
        return self.write(name, text, mode)

    def wrong(self, text, line, *says, name=None):
        """Creating from this text must fail, blame that line, and make nothing."""
        file = self.file(text)
        args = ["create", "--config", file] + ([name] if name else [])
        place = f"vshmctl create: {file}:{line}: " if line else f"vshmctl create: {file}: "
        result = self.fails(1, *args, says=[place, *says])
        self.assertEqual(os.listdir(self.shm), [], result)
        self.assertEqual(os.listdir(self.run_dir), [], result)


class Accepted(Config):
    def test_everything_a_file_can_say(self):
        file = self.file("\ufeff; regions of this machine\n"
                         "# two of them\n\n"
                         "[region net0]              ; the first\n"
                         "size = 4M                  ; or 4096K\n"
                         "peers = 4\n"
                         "profile = flat             ; or split\n"
                         "path = SHM/net0\n"
                         "owner = root:root\n" if os.geteuid() == 0 else
                         "[region net0]\nsize = 4M\npeers = 4\nprofile = flat\npath = SHM/net0\n")
        with open(file, "a", encoding="utf-8") as out:
            out.write("mode = 0660\n"
                      "socket = /run/vshm/net0.sock\n"
                      "vectors = 4\n"
                      "allow = uid:0 gid:0\n"
                      "[region net1]\r\n"
                      "   path: " + self.path("net1") + "\n"
                      "\tpeers=2\n"
                      "  profile = split\n"
                      "[region net1 peer 1]\n"
                      "mode = 0640")
        result = self.ok("create", "--config", file)
        self.assertEqual(result.out.count("created"), 2, result)
        self.assertEqual(result.err, "")
        seen = self.show("net0")
        self.assertEqual((seen["name"], seen["size"], seen["peer_count"], seen["profile"]), ("net0", 4 << 20, 4, "flat"))
        self.assertEqual(os.stat(self.path("net0")).st_mode & 0o777, 0o660)
        self.assertEqual(self.show("net1")["profile"], "split")
        modes = sorted(os.stat(os.path.join(self.path("net1"), f)).st_mode & 0o777 for f in os.listdir(self.path("net1")))
        self.assertEqual(modes, [0o600, 0o640])
        self.ok("destroy", "--config", file)
        self.assertEqual((os.listdir(self.shm), os.listdir(self.run_dir)), ([], []))

    def test_one_of_several(self):
        file = self.file("[region a]\npath=SHM/a\n[region b]\npath=SHM/b\n")
        self.ok("create", "b", "--config", file)
        self.assertEqual(os.listdir(self.shm), ["b"])
        # The other one can follow, though b exists already
        self.ok("create", "a", "--config", file)
        self.fails(1, "create", "c", "--config", file, says=["[region c]", file])
        self.fails(1, "destroy", "c", "--config", file, says="[region c]")
        self.ok("destroy", "b", "--config", file)
        self.gone("a")

    def test_the_directory_of_config_files(self):
        for name in ("a", "b"):
            path = os.path.join(self.config_dir, name + ".ini")
            with open(path, "w", encoding="utf-8") as out:
                out.write(f"[region {name}]\npath = {self.path(name)}\n")
            os.chmod(path, 0o644)
        for name in ("c.ini~", ".d.ini", "README"):
            with open(os.path.join(self.config_dir, name), "w", encoding="utf-8") as out:
                out.write("no config\n")
        self.ok("create", "b")
        self.ok("create", "a")
        self.gone("a", "b")
        self.assertEqual(self.ok("create").out.count("created"), 2)
        self.gone("a", "b")
        self.fails(1, "create", "x", says="[region x]")
        os.unlink(os.path.join(self.config_dir, "a.ini"))
        os.rename(os.path.join(self.config_dir, "b.ini"), os.path.join(self.config_dir, "c.ini"))

    def test_no_directory(self):
        os.rmdir(self.config_dir)
        self.fails(1, "create", says=[self.config_dir, "--config"])

    def test_empty_directory(self):
        self.fails(1, "create", says=[self.config_dir, "nothing to create"])


class Mistakes(Config):
    def test_keys(self):
        self.wrong("[region a]\npath=SHM/a\nsice = 64M\n", 3, "[region a] sice: unknown key")
        self.wrong("[region a]\npath=SHM/a\npath=SHM/b\n", 3, "[region a] path: stands twice")
        self.wrong("[region a]\nsize=1M\n", 1, "[region a] path: is missing")
        self.wrong("[region a]\n", 1, "[region a] path: is missing")
        self.wrong("size=1M\n[region a]\npath=SHM/a\n", 1, "size: stands before the first section")
        self.wrong("[region a]\npath=SHM/a\nSIZE=1M\n", 3, "SIZE: unknown key")
        self.wrong("[region a]\npath=\n", 2, "path: '': write the path")
        self.wrong("[region a]\npath=SHM/a?b\n", 2, "path:", "'?'")

    def test_numbers(self):
        for value in ("0", "-1", "64MB", "1e6", "0x10", "18446744073709551617", "", "1.5G", "64 M"):
            self.wrong(f"[region a]\npath=SHM/a\nsize={value}\n", 3, f"[region a] size: '{value}': ")
        self.wrong("[region a]\npath=SHM/a\nsize=9223372036854775808\n", 3, "size:", "too large")
        for value in ("0", "65", "-1", "many", ""):
            self.wrong(f"[region a]\npath=SHM/a\npeers={value}\n", 3, "[region a] peers:", "1 to 64")
        for value in ("0", "x", "65"):
            self.wrong(f"[region a]\npath=SHM/a\nvectors={value}\n", 3, "[region a] vectors:")
        self.wrong("[region a]\npath=SHM/a\nmode=rw\n", 3, "mode:", "octal")
        self.wrong("[region a]\npath=SHM/a\nsize=128K\npeers=64\n", 3, "[region a] size:", "too small for 64 peers")

    def test_other_values(self):
        self.wrong("[region a]\npath=SHM/a\nprofile=round\n", 3, "profile: 'round': write flat", "split")
        self.wrong("[region a]\npath=SHM/a\nowner=no-such-user\n", 3, "owner: 'no-such-user': no such user")
        self.wrong("[region a]\npath=SHM/a\nowner=0:no-such-group\n", 3, "owner:", "no such group")
        self.wrong("[region a]\npath=SHM/a\nsocket=net.sock\n", 3, "socket:", "absolute")
        for value in ("everybody", "uid:", "uid:0:0", "gid:no-such-group", "uid:no-such-user"):
            self.wrong(f"[region a]\npath=SHM/a\nallow={value}\n", 3, "allow:")

    def test_sections(self):
        self.wrong("[region a]\npath=SHM/a\n\n[region a]\npath=SHM/b\n", 4, "[region a] this section stands twice", ":1")
        self.wrong("[regions a]\n", 1, "[regions a] unknown section")
        self.wrong("[region]\n", 1, "unknown section")
        self.wrong("[]\n", 1, "unknown section")
        self.wrong("[region a\npath=SHM/a\n", 1, "']'")
        self.wrong("[region a] path=SHM/a\n", 1, "behind")
        self.wrong("[region a/b]\n", 1, "a name consists of")
        self.wrong("[region -a]\n", 1, "begins with")
        self.wrong(f"[region {'a' * 64}]\n", 1, "63")
        self.wrong("[region a b c d e f]\n", 1, "unknown section")
        long = "a" * 63
        self.ok("create", "--config", self.file(f"[region {long}]\npath=SHM/a\n"))
        self.gone("a")

    def test_sections_of_peers(self):
        head = "[region a]\npath=SHM/a\npeers=2\nprofile=split\n"
        self.wrong(head + "[region a peer 2]\nmode=0600\n", 5, "[region a]", "no peer 2")
        self.wrong(head + "[region a peer x]\nmode=0600\n", 5, "'x'")
        self.wrong(head + "[region a peer 1]\nsize=1M\n", 6, "[region a peer 1] size:")
        self.wrong(head + "[region a peer 1]\ncolour=1\n", 6, "[region a peer 1] colour: unknown key")
        self.wrong(head + "[region a peer 1]\nmode=0600\nmode=0600\n", 7, "mode: stands twice")
        self.wrong(head + "[region a peer 1]\n[region a peer 1]\n", 6, "stands twice")
        self.wrong("[region a peer 1]\nmode=0600\n" + head, 1, "before")
        self.wrong("[region a]\npath=SHM/a\n[region a peer 1]\nmode=0600\n", 3, "profile = split")

    def test_two_regions_in_one_place(self):
        self.wrong("[region a]\npath=SHM/a\n[region b]\npath=SHM/a\n", 4, "[region b] path: [region a] has the same path")

    def test_lines(self):
        self.wrong("[region a]\npath=SHM/a\nfrob\n", 3, "neither a section nor KEY = VALUE")
        self.wrong("[region a]\npath=SHM/a\n;" + "x" * 300 + "\n", 3, "too long")
        self.wrong(b"[region a]\nsize=1M\x00\n", 2, "NUL")
        self.wrong(b"\x00" * 100, 1, "NUL")
        self.wrong(b"[region a]\nsize=\x1b[31m1M\n", 2, "control character")
        self.wrong("[region a]\npath=SHM/a\r\nmode=\r\n", 3, "mode:")

    def test_nothing_starts_when_anything_is_wrong(self):
        """The mistake is in the last line of the last region: the first must not be made."""
        self.wrong("[region a]\npath=SHM/a\n[region b]\npath=SHM/b\nsize=64X\n", 5, "[region b] size: '64X'")
        self.wrong("[region a]\npath=SHM/a\n[region b]\npath=SHM/no/such/b\n", 4, "[region b] path:", "does not exist")
        with open(self.path("b"), "wb"):
            pass
        file = self.file("[region a]\npath=SHM/a\n[region b]\npath=SHM/b\n")
        self.fails(1, "create", "--config", file, says=[f"{file}:4: [region b] path:", "exists already", "--force"])
        self.assertEqual(os.listdir(self.shm), ["b"])

    def test_the_first_stays_when_the_second_fails(self):
        file = self.file("[region a]\npath=SHM/a\n[region b]\npath=SHM/b\nsize=4096G\n")
        result = self.ctl("create", "--config", file)
        self.assertEqual(result.status, 1)
        self.assertIn("created a:", result.out)
        self.assertIn("vshmctl create: b: ", result.err)
        self.assertIn("1 of 2 regions were created before that, and stay", result.err)
        self.gone("a")

    def test_twins_in_two_files(self):
        for name in ("a", "b"):
            path = os.path.join(self.config_dir, name + ".ini")
            with open(path, "w", encoding="utf-8") as out:
                out.write(f"[region x]\npath = {self.path(name)}\n")
            os.chmod(path, 0o644)
        self.fails(1, "create", says=["b.ini:1: [region x]", "twice", "a.ini:1"])
        self.assertEqual(os.listdir(self.shm), [])


class Files(Config):
    def test_files_that_cannot_be_read(self):
        self.fails(1, "create", "--config", self.scratch + "/none.ini", says=["none.ini", "No such file"])
        self.fails(1, "create", "--config", self.scratch, says="not a file")
        self.fails(1, "create", "--config", "/dev/zero", says="not a file")
        os.mkfifo(self.scratch + "/fifo")
        self.fails(1, "create", "--config", self.scratch + "/fifo", says="not a file")

    def test_files_that_others_can_write(self):
        for mode in (0o666, 0o664, 0o646):
            file = self.file("[region a]\npath=SHM/a\n", mode=mode)
            self.fails(1, "create", "--config", file, says=[file, "chmod go-w"])
        self.assertEqual(os.listdir(self.shm), [])

    def test_files_of_others(self):
        if os.geteuid() != 0:
            self.skipTest("only root can make a file of somebody else")
        file = self.file("[region a]\npath=SHM/a\n")
        os.chown(file, 65534, -1)
        self.fails(1, "create", "--config", file, says=[file, "65534"])
        self.assertEqual(os.listdir(self.shm), [])

    def test_large_files(self):
        self.wrong("; " + "x" * 100 + "\n" * 65536 + "[region a]\npath=SHM/a\n", 0, "larger than 64 KiB")
        file = self.file("[region a]\npath=SHM/a\n" + "; x\n" * 16000)
        self.ok("create", "--config", file)
        self.gone("a")
        sparse = self.scratch + "/sparse.ini"
        with open(sparse, "wb") as out:
            out.truncate(1 << 30)
        self.fails(1, "create", "--config", sparse, says="larger than 64 KiB")

    def test_empty_file(self):
        self.wrong("", 0, "nothing to create")
        self.wrong("\n; nothing\n", 0, "nothing to create")

    def test_junk(self):
        """Random bytes, and lawful files with random damage: an error in one line, or a lawful region; never a crash."""
        seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
        print(f"SEED={seed} ", end="")
        chance = random.Random(seed)
        good = (f"[region a]\npath={self.shm}/a\nsize=2M\npeers=2\nprofile=split\nmode=0600\nallow=uid:0\n"
                "[region a peer 1]\nmode=0640\n").encode()
        for number in range(120):
            if number % 3 == 0:
                text = chance.randbytes(chance.randrange(1, 400))
            else:
                text = bytearray(good)
                for _ in range(chance.randrange(1, 6)):
                    at = chance.randrange(len(text))
                    text[at:at + chance.randrange(3)] = chance.choice(
                        [b"", b"\x00", b"[", b"]", b"\n", b"=", b"\xff", b"\xc3\xa9", b";", b" ", b"\n\n[", b"%n", b"9" * 30])
            # A damaged path must not lead elsewhere: the scratch directory is the working directory, paths stay in SHM.
            if (self.shm + "/").encode() not in text and b"path" in text:
                continue
            result = self.ctl("create", "--config", self.write("j.ini", bytes(text)), cwd=self.scratch)
            self.assertIn(result.status, (0, 1), result)
            for name in os.listdir(self.shm):
                self.assertEqual(result.status, 0, result)
                self.ok("destroy", self.path(name))
            if result.status == 1:
                self.one_line(result.err)
            else:
                for name in os.listdir(self.run_dir):
                    os.unlink(os.path.join(self.run_dir, name))


if __name__ == "__main__":
    ctl.main()
