#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Making, finding and removing regions, and all that can be in the way."""
import json
import os
import shutil
import subprocess

import ctl


class Create(ctl.Case):
    def test_not_among_the_names(self):
        """There the line that registers the name would replace the region."""
        for path in (os.path.join(self.run_dir, "r"), os.path.join(self.run_dir, ".", "other")):
            self.fails(1, "create", "r", "--path", path, says=["where names are registered", "/dev/shm"])
        self.assertEqual(os.listdir(self.run_dir), [])

    def test_the_words_of_the_manual(self):
        result = self.ok("create", "net0", "--path", self.path("net0"), "--size", "64M", "--peers", "4")
        self.assertEqual(result.out.count("\n"), 1)
        for word in ("created net0", "64 MiB", "4 peers", "flat", "vshm:net0"):
            self.assertIn(word, result.out)
        self.assertEqual(result.err, "")
        self.assertEqual(os.stat(self.path("net0")).st_mode & 0o777, 0o600)
        self.assertEqual(os.stat(self.path("net0")).st_size, 64 << 20)
        self.assertGreaterEqual(os.stat(self.path("net0")).st_blocks * 512, 64 << 20)
        seen = self.show("vshm:net0")
        self.assertEqual((seen["name"], seen["peer_count"], seen["size"]), ("net0", 4, 64 << 20))
        self.assertEqual(self.show("net0")["uuid"], seen["uuid"])
        self.assertEqual(self.show("file:" + self.path("net0"))["uuid"], seen["uuid"])
        self.ok("check", "net0")
        result = self.ok("destroy", "net0")
        self.assertIn("destroyed", result.out)
        self.assertEqual((os.listdir(self.shm), os.listdir(self.run_dir)), ([], []))

    def test_defaults(self):
        self.ok("create", "r", "--path", self.path())
        seen = self.show("r")
        self.assertEqual((seen["peer_count"], seen["profile"]), (2, "flat"))
        self.assertGreaterEqual(seen["size"], 1 << 20)
        self.gone()

    def test_a_relative_path_is_registered_whole(self):
        self.ok("create", "r", "--path", "r", cwd=self.shm)
        self.assertEqual(self.ok("show", "r", "--json", cwd="/").status, 0)
        self.gone()

    def test_mode_and_umask(self):
        for umask in (0, 0o777):
            self.ok("create", "r", "--path", self.path(), "--mode", "0640", umask=umask)
            self.assertEqual(os.stat(self.path()).st_mode & 0o7777, 0o640)
            self.gone()

    def test_split(self):
        result = self.ok("create", "r", "--path", self.path(), "--profile", "split", "--peers", "3")
        self.assertIn("split", result.out)
        seen = self.show("r")
        self.assertEqual((seen["profile"], seen["segments"], seen["facts"]["enforced"]), ("split", 3, True))
        self.assertEqual(len(os.listdir(self.path())), 3)
        self.gone()

    def test_owners(self):
        if os.geteuid() != 0:
            self.skipTest("only root can give files away")
        self.ok("create", "r", "--path", self.path(), "--owner", "65534:12345", "--mode", "0660")
        facts = os.stat(self.path())
        self.assertEqual((facts.st_uid, facts.st_gid), (65534, 12345))
        # Root does not trust files of others by itself; the registered URI names the owner
        self.fails(1, "show", self.path(), says="65534")
        self.assertIn("owner=", self.show("r")["uri"] + open(self.run_dir + "/r", encoding="utf-8").read())
        self.ok("destroy", "r")
        self.assertEqual((os.listdir(self.shm), os.listdir(self.run_dir)), ([], []))

    def test_owners_of_peers(self):
        if os.geteuid() != 0:
            self.skipTest("only root can give files away")
        file = self.write("c.ini", f"[region r]\npath={self.path()}\nprofile=split\npeers=3\nowner=root:12345\nmode=0640\n"
                                   "[region r peer 1]\nowner=65534\nmode=0600\n")
        self.ok("create", "--config", file)
        facts = [os.stat(os.path.join(self.path(), f"peer-{i}")) for i in range(3)]
        self.assertEqual([(f.st_uid, f.st_gid, f.st_mode & 0o777) for f in facts],
                         [(0, 12345, 0o640), (65534, 12345, 0o600), (0, 12345, 0o640)])
        self.show("r")
        self.gone()

    def test_registering_is_not_everything(self):
        with open(self.scratch + "/file", "w", encoding="utf-8"):
            pass
        result = self.ok("create", "r", "--path", self.path(), env={"VSHM_RUN_DIR": self.scratch + "/file"})
        self.one_line(result.err)
        self.assertIn("note: ", result.err)
        self.assertIn("file:" + self.path(), result.out)
        self.gone()


class Missing(ctl.Case):
    """What a service does at each start: makes what the boot took away, touches nothing else."""

    def keep(self, *options, notes=()):
        before = self.show(self.path())["uuid"]
        result = self.ok("create", "r", "--path", self.path(), "--missing", *options)
        self.assertEqual(result.out, "kept r: it exists already\n")
        self.assertEqual(result.err.count("note: "), len(notes), result.err)
        for note in notes:
            self.assertIn(note, result.err)
        self.assertEqual(self.show("r")["uuid"], before)

    def test_one(self):
        self.ok("create", "r", "--path", self.path(), "--missing", "--size", "8M", "--peers", "3")
        self.keep()
        self.keep("--size", "8M", "--peers", "3")
        self.keep("--size", "16M", "--peers", "4", notes=["r has 8 MiB, and 16 MiB were asked for", "3 peers, and 4"])
        self.keep("--profile", "split", notes=["r is flat, and split was asked for"])
        self.gone()

    def test_a_split_one_is_as_large_as_was_asked_for(self):
        for size in ("1M", "1000001", "64M"):
            self.ok("create", "r", "--path", self.path(), "--profile", "split", "--peers", "5", "--size", size)
            self.keep("--profile", "split", "--peers", "5", "--size", size)
            self.gone()

    def test_a_lost_name_comes_back(self):
        self.region()
        os.unlink(os.path.join(self.run_dir, "r"))
        self.keep()
        self.gone()

    def test_all_of_a_file(self):
        file = self.write("c.ini", f"[region r]\npath={self.path()}\n[region q]\npath={self.path('q')}\n")
        self.region()
        uuid = self.show("r")["uuid"]
        result = self.ok("create", "--missing", "--config", file)
        self.assertRegex(result.out, r"^kept r: it exists already\ncreated q: .*\n$")
        self.assertEqual(self.show("r")["uuid"], uuid)
        self.assertEqual(self.ok("create", "--missing", "--config", file).out.count("kept "), 2)
        self.gone("r", "q")

    def test_what_is_no_region(self):
        with open(self.path(), "w", encoding="utf-8") as out:
            out.write("mine")
        self.fails(1, "create", "r", "--path", self.path(), "--missing", says=["r: ", "cannot be kept"])
        self.assertEqual(open(self.path(), encoding="utf-8").read(), "mine")
        os.unlink(self.path())

    def test_what_is_a_strangers(self):
        if os.geteuid() != 0:
            self.skipTest("only root can give files away")
        self.region()
        os.chown(self.path(), 65534, 65534)
        self.fails(1, "create", "r", "--path", self.path(), "--missing", says=["cannot be kept", "owner=65534"])
        self.keep_as("65534")
        os.chown(self.path(), 0, 0)
        self.gone()

    def keep_as(self, owner):
        self.ok("create", "r", "--path", self.path(), "--missing", "--owner", owner)

    def test_another_region_of_that_name(self):
        self.region()
        self.fails(1, "create", "r", "--path", self.path("other"), "--missing", says="registered already")
        self.gone()

    def test_usage(self):
        self.fails(2, "create", "r", "--path", self.path(), "--missing", "--force", says="choose one")
        self.fails(2, "create", "r", "--uri", "inproc:x", "--missing", says="--missing is for files")


class Names(ctl.Case):
    """A name means one region, and a region that replaces another has no name of that."""

    def test_a_name_that_stands_for_another_region(self):
        first = self.region("a")
        uuid = self.show("a")["uuid"]
        self.fails(1, "create", "a", "--path", self.path("b"),
                   says=f"a is registered already for file:{first}: destroy that, choose another name, or use --force")
        file = self.write("c.ini", f"[region a]\npath={self.path('b')}\n")
        self.fails(1, "create", "--config", file, says=[f"{file}:2: ", "a is registered already"])
        self.assertEqual((os.listdir(self.shm), self.show("a")["uuid"]), (["a"], uuid))
        self.ok("create", "a", "--path", self.path("b"), "--force")
        self.assertNotEqual(self.show("a")["uuid"], uuid)
        self.assertEqual(self.show(first)["uuid"], uuid)
        self.gone("a", "b")

    def test_a_name_that_stands_for_nothing(self):
        for damage in (os.unlink, lambda path: ctl.patch(path, 0, bytes(65536))):
            damage(self.region("a"))
            self.ok("create", "a", "--path", self.path("b"))
            self.ok("destroy", "a")
        os.unlink(self.path("a"))
        self.assertEqual((os.listdir(self.shm), os.listdir(self.run_dir)), ([], []))

    def test_replaced_under_another_name(self):
        path = self.region("old")
        result = self.ok("create", "new", "--path", path, "--force")
        self.one_line(result.err)
        self.assertIn("vshm:old is removed", result.err)
        self.assertEqual(os.listdir(self.run_dir), ["new"])
        self.ok("destroy", "new")
        self.assertEqual((os.listdir(self.shm), os.listdir(self.run_dir)), ([], []))

    def test_path_as_uri(self):
        self.ok("create", "r", "--path", "file:" + self.path())
        self.assertTrue(os.path.exists(self.path()))
        self.gone()
        for uri in ("server:/run/x", "inproc:x", "vshm:x"):
            self.fails(2, "create", "r", "--path", uri, says=["--path", "takes a path"])


class InTheWay(ctl.Case):
    def test_no_directory(self):
        self.fails(1, "create", "r", "--path", self.path("no/r"), says=["no", "does not exist"])
        self.ok("create", "f", "--path", self.path("f"))
        self.fails(1, "create", "r", "--path", self.path("f/r"), says="not a directory")
        self.gone("f")

    def test_a_region_is_there(self):
        path = self.region()
        uuid = self.show(path)["uuid"]
        self.fails(1, "create", "r", "--path", path, says=["exists already", "--force"])
        self.fails(1, "create", "r", "--path", path, "--profile", "split", says=["exists already"])
        self.assertEqual(self.show(path)["uuid"], uuid)
        self.ok("create", "r", "--path", path, "--force")
        self.assertNotEqual(self.show(path)["uuid"], uuid)
        self.gone()

    def test_force_tells_the_peers(self):
        path = self.region()
        receiver = self.start("recv", path, "frames")
        watcher = self.start("show", path, "--watch=0.1", "--json")
        self.await_show(path, lambda seen: seen["waiting"])
        self.assertIn(b'"name"', watcher.stdout.readline())
        self.ok("create", "r", "--path", path, "--force")
        for child, command in ((receiver, "recv"), (watcher, "show")):
            result = self.end(child)
            self.assertEqual(result.status, 1, result)
            self.one_line(result.err)
            self.assertIn(f"vshmctl {command}: ", result.err)
            self.assertRegex(result.err, "replaced|destroyed")
        self.gone()

    def test_destroy_tells_the_peers(self):
        path = self.region()
        receiver = self.start("recv", path, "frames")
        self.await_show(path, lambda seen: seen["waiting"])
        self.gone()
        result = self.end(receiver)
        self.assertEqual(result.status, 1, result)
        self.one_line(result.err)

    def test_something_else_is_there(self):
        for force in ([], ["--force"]):
            os.symlink("/etc/hostname", self.path("link"))
            self.fails(1, "create", "r", "--path", self.path("link"), *force, says="link")
            self.assertTrue(os.path.islink(self.path("link")))
            os.mkfifo(self.path("fifo"))
            self.fails(1, "create", "r", "--path", self.path("fifo"), *force, says="fifo")
            os.mkdir(self.path("dir"))
            with open(self.path("dir/precious"), "w", encoding="utf-8"):
                pass
            self.fails(1, "create", "r", "--path", self.path("dir"), *force, says="dir")
            self.fails(1, "create", "r", "--path", self.path("dir"), "--profile", "split", *force, says="dir")
            self.assertEqual(os.listdir(self.path("dir")), ["precious"])
            self.assertEqual(sorted(os.listdir(self.shm)), ["dir", "fifo", "link"])
            shutil.rmtree(self.path("dir"))
            os.unlink(self.path("fifo"))
            os.unlink(self.path("link"))

    def test_no_room(self):
        self.fails(1, "create", "r", "--path", self.path(), "--size", "4096G", says=["room"])
        self.fails(1, "create", "r", "--path", self.path(), "--size", "4096G", "--profile", "split", says=["room"])
        self.assertEqual((os.listdir(self.shm), os.listdir(self.run_dir)), ([], []))

    def test_no_room_in_a_small_file_system(self):
        place = self.path("small")
        os.mkdir(place)
        script = (f"mount -t tmpfs -o size=2M none {place} && ! \"$0\" create r --path {place}/r --size 8M &&"
                  f" ! \"$0\" create r --path {place}/s --size 8M --profile split && [ -z \"$(ls -A {place})\" ] &&"
                  f" \"$0\" create r --path {place}/r --size 1M && \"$0\" create r --force --path {place}/r --size 1M &&"
                  f" ! \"$0\" create r --force --path {place}/r --size 4M && \"$0\" check {place}/r && \"$0\" destroy r")
        if subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", place], stderr=subprocess.DEVNULL,
                          check=False).returncode:
            os.rmdir(place)
            self.skipTest("mounting a small tmpfs needs root")
        done = subprocess.run(["unshare", "-m", "bash", "-c", script, ctl.CTL], env=self.env, capture_output=True,
                              timeout=ctl.LONG, check=False)
        self.assertEqual(done.returncode, 0, done)
        self.assertIn(b"left", done.stderr)
        os.rmdir(place)
        self.assertEqual(os.listdir(self.run_dir), [])

    def test_limit_of_file_size(self):
        done = subprocess.run(["bash", "-c", f'ulimit -f 1024; "$0" create r --path {self.path()} --size 8M', ctl.CTL],
                              env=self.env, capture_output=True, timeout=ctl.LONG, check=False)
        self.assertEqual(done.returncode, 1, done)
        self.assertIn(b"ulimit -f", done.stderr)
        self.assertEqual(os.listdir(self.shm), [])

    def test_size_too_small(self):
        self.fails(2, "create", "r", "--path", self.path(), "--size", "64K", says=["--size", "too small"])
        self.assertEqual(os.listdir(self.shm), [])

    def test_odd_paths(self):
        self.fails(2, "create", "r", "--path", "", says="--path")
        self.fails(2, "create", "r", "--path", self.path("a?b"), says="'?'")
        self.fails(2, "create", "r", "--path", "/" + "a" * 1100, says="1000")
        self.fails(1, "create", "r", "--path", "/", says="exists")
        self.assertEqual(self.ctl("create", "r", "--path", self.path("\x1bx")).status, 1)
        self.assertEqual(os.listdir(self.shm), [])


class Strangers(ctl.Case):
    """As a user who may not do much."""

    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("only root can be somebody else")
        # The build directory may be closed to others
        self.program = os.path.join(self.scratch, "vshmctl")
        shutil.copy(ctl.CTL, self.program)
        libraries = os.path.join(self.scratch, "lib")
        os.mkdir(libraries)
        source = os.path.join(ctl.BIN, "..", "lib")
        for name in os.listdir(source) if os.path.isdir(source) else []:
            if name.startswith("libvshm.so"):
                shutil.copy(os.path.join(source, name), libraries)
        self.env["LD_LIBRARY_PATH"] = libraries
        self.nobody = {"user": 65534, "group": 65534, "extra_groups": [], "program": self.program}

    def test_no_permission(self):
        path = self.region()
        for args in (["show", path], ["check", path], ["recv", path, "f"], ["evict", path, "0"]):
            self.fails(1, *args, says=["permission", "owner"], **self.nobody)
        self.fails(1, "destroy", path, says=path, **self.nobody)
        self.fails(1, "create", "x", "--path", self.path("x"), says="permission", **self.nobody)
        self.fails(1, "create", "r", "--force", "--path", path, says="permission", **self.nobody)
        self.assertEqual(os.listdir(self.shm), ["r"])
        self.gone()

    def test_only_looking(self):
        path = self.region("r", "--size", "4M", "--mode", "0644")
        self.ok("show", path, **self.nobody)
        self.ok("check", path, **self.nobody)
        self.fails(1, "recv", path, "f", says="permission", **self.nobody)
        self.gone()

    def test_giving_away(self):
        own = os.path.join(self.shm, "own")
        os.mkdir(own)
        os.chown(own, 65534, 65534)
        self.fails(1, "create", "x", "--path", own + "/x", "--owner", "root", says="root", **self.nobody)
        self.assertEqual(os.listdir(own), [])
        result = self.ok("create", "x", "--path", own + "/x", **self.nobody)
        self.assertIn("note: ", result.err)  # the run directory belongs to root
        self.assertIn("?owner=", result.out)
        self.ok("show", own + "/x", **self.nobody)
        self.fails(1, "show", own + "/x", says="owner=65534")
        self.ok("show", own + "/x?owner=65534")
        self.ok("destroy", own + "/x", **self.nobody)
        os.rmdir(own)

    def test_listing_what_is_not_readable(self):
        path = f"/dev/shm/vshm-cli-{os.getpid()}.strange"
        self.addCleanup(shutil.rmtree, path, True)
        os.mkdir(path)  # neither registered nor a region: no business of anybody
        self.region("flat")
        self.region("split", "--profile", "split")
        for line in self.ok("list", **self.nobody).out.splitlines()[1:]:
            self.assertNotIn(path, line)
            if self.shm in line:
                self.assertRegex(line, r" not readable \(owner root\)$")
                self.assertNotIn("broken", line)
        self.assertNotIn("readable", "".join(line for line in self.ok("list").out.splitlines() if self.shm in line))
        self.gone("flat", "split")

    def test_split_is_enforced(self):
        file = self.write("c.ini", f"[region r]\npath={self.path()}\nprofile=split\nmode=0644\n[region r peer 1]\nowner=65534\n")
        self.ok("create", "--config", file)
        self.fails(1, "recv", self.path() + "?peer=0", "f", says="not writable for you", **self.nobody)
        receiver = subprocess.Popen([self.program, "recv", self.path() + "?peer=1", "f"], env=self.env,
                                    stdout=subprocess.PIPE, user=65534, group=65534, extra_groups=[])
        self.children.append(receiver)
        self.ok("send", "r", "f", "--peer", "0", stdin=b"through two files\n")
        self.assertEqual(self.end(receiver).raw_out, b"through two files\n")
        self.gone()


class Listing(ctl.Case):
    def listed(self):
        regions = json.loads(self.ok("list", "--json").out)["regions"]
        return {region["name"]: region for region in regions if self.shm in region["uri"] or region["registered"]}

    def test_list(self):
        self.region("a")
        self.ok("create", "b", "--path", self.path("b"), "--profile", "split", "--peers", "3")
        receiver = self.start("recv", "a", "x")
        self.await_show("a", lambda seen: seen["waiting"])
        seen = self.listed()
        self.assertEqual(set(seen), {"a", "b"})
        self.assertEqual((seen["a"]["size"], seen["a"]["peer_count"], seen["a"]["peers_live"]), (8 << 20, 4, 1))
        self.assertEqual((seen["b"]["profile"], seen["b"]["peers_live"], seen["b"]["error"]), ("split", 0, None))
        text = self.ok("list").out
        for word in ("NAME", "URI", "a", self.path("b"), "1/4", "0/3", "split", "8 MiB"):
            self.assertIn(word, text)
        self.assertNotIn("\x1b", text)
        receiver.terminate()
        self.end(receiver)
        self.gone("a", "b")

    def test_broken_entries_are_told(self):
        for name in ("gone", "junk", "empty", "binary", "zero", "link"):
            self.region(name)
        os.unlink(self.path("gone"))
        with open(os.path.join(self.run_dir, "junk"), "w", encoding="utf-8") as out:
            out.write("what:ever\x1b[31m\n")
        with open(os.path.join(self.run_dir, "empty"), "w", encoding="utf-8"):
            pass
        with open(os.path.join(self.run_dir, "binary"), "wb") as out:
            out.write(bytes(range(256)) * 40)
        ctl.patch(self.path("zero"), 0, bytes(65536))
        os.unlink(os.path.join(self.run_dir, "link"))
        os.symlink("/etc/hostname", os.path.join(self.run_dir, "link"))
        seen = self.listed()
        for name in ("gone", "junk", "empty", "binary", "zero", "link"):
            self.assertTrue(seen[name]["error"], seen)
        text = self.ok("list").out
        for name in ("gone", "junk", "empty", "binary", "zero", "link"):
            self.assertRegex(text, rf"\n{name} .* broken: ")
        self.assertTrue(ctl.harmless(text), text)

    def test_regions_that_nobody_registered(self):
        path = f"/dev/shm/vshm-cli-{os.getpid()}.unregistered"
        split = path + ".split"
        self.addCleanup(lambda: os.path.exists(path) and os.unlink(path))
        self.addCleanup(shutil.rmtree, split, True)
        self.ok("create", "u", "--path", path)
        self.ok("create", "v", "--path", split, "--profile", "split")
        for name in ("u", "v"):
            os.unlink(os.path.join(self.run_dir, name))
        seen = {region["uri"]: region for region in json.loads(self.ok("list", "--json").out)["regions"]}
        for name, uri in (("u", "file:" + path), ("v", "file:" + split)):
            self.assertEqual((seen[uri]["name"], seen[uri]["registered"], seen[uri]["error"]), (name, False, None))
        self.assertIn("not registered", self.ok("list").out)
        self.ok("destroy", path)
        self.ok("destroy", split)

    def test_names_whose_region_is_gone(self):
        path = self.region()
        os.unlink(path)
        self.fails(1, "show", "r", says="does not exist")
        result = self.ok("destroy", "r")
        self.assertIn("gone already", result.out)
        self.assertEqual(os.listdir(self.run_dir), [])
        self.fails(1, "destroy", "r", says="r")
        self.fails(1, "show", "vshm:r", says="r")


if __name__ == "__main__":
    ctl.main()
