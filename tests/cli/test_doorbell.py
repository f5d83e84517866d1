# SPDX-License-Identifier: BSD-3-Clause
"""ring and wait: doorbells by hand, through a server."""
import os
import signal

import ctl


class Doorbell(ctl.Case):
    def setUp(self):
        super().setUp()
        self.memory, path = self.region("bells"), os.path.join(self.scratch, "s")
        self.start("serve", "--socket", path, "--path", self.memory)
        self.eventually(lambda: os.path.exists(path))
        self.uri = "server:" + path

    def test_three_rings(self):
        waiting = self.start("wait", self.uri, "--count", "3")
        said = waiting.stdout.readline()
        self.assertRegex(said, rb"^this is doorbell \d+\n$")
        address = said.split()[-1].decode()
        self.ok("ring", self.uri, address, "--count", "3", "--interval", "0.2")
        result = self.end(waiting)
        self.assertRegex(result.out, r"^(rung after [0-9.]+ s\n){3}$")
        self.assertEqual(result.status, 0)

    def test_nobody(self):
        self.fails(1, "ring", self.uri, "65535", says="nobody of this server")
        self.fails(2, "ring", self.uri, "65536", says="0 to 65535")
        self.fails(2, "ring", self.uri, says="ADDRESS is missing")
        self.fails(2, "wait", says="URI is missing")
        self.fails(77, "wait", self.memory, says="has no doorbells")
        late = self.ctl("wait", self.uri, "--timeout", "0.1")
        self.assertEqual(late.status, 1)
        self.assertIn("nobody rang", late.err)

    def test_leaving(self):
        waiting = self.start("wait", self.uri)
        waiting.stdout.readline()
        waiting.send_signal(signal.SIGINT)
        self.assertEqual(self.end(waiting).status, -signal.SIGINT)


if __name__ == "__main__":
    ctl.main()
