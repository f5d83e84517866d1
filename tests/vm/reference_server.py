# SPDX-License-Identifier: BSD-3-Clause
"""An ivshmem server that does the least that the specification asks for (QEMU docs/specs/ivshmem-spec.rst): what any other one could be.

Peer ids count up and are never used again: QEMU 7.2 corrupts its heap when they are.
"""
import array
import os
import selectors
import socket
import struct
import threading


class Server:
    def __init__(self, path, memory, vectors=1):
        self.vectors, self.next_id, self.peers, self.stopped = vectors, 0, {}, False
        self.memory = os.open(memory, os.O_RDWR | os.O_CLOEXEC)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(16)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.stopping, self.stop = socket.socketpair()
        self.selector.register(self.stopping, selectors.EVENT_READ)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.stopping:
                    return
                if key.fileobj is self.listener:
                    self.admit(self.listener.accept()[0])
                else:
                    self.dismiss(key.data)

    def admit(self, client):
        peer, bells = self.next_id, [os.eventfd(0, os.EFD_CLOEXEC) for _ in range(self.vectors)]
        self.next_id += 1
        known = list(self.peers.items())
        self.peers[peer] = (client, bells)
        self.selector.register(client, selectors.EVENT_READ, peer)
        for value, descriptor in ((0, None), (peer, None), (-1, self.memory)):
            say(client, value, descriptor)
        for other, (socket_of_other, bells_of_other) in known:
            for bell in bells_of_other:
                say(client, other, bell)
            for bell in bells:
                say(socket_of_other, peer, bell)
        for bell in bells:
            say(client, peer, bell)

    def dismiss(self, peer):
        client, bells = self.peers.pop(peer)
        self.selector.unregister(client)
        client.close()
        for bell in bells:
            os.close(bell)
        for other, _ in self.peers.values():
            say(other, peer, None)

    def close(self):
        if self.stopped:
            return
        self.stopped = True
        self.stop.close()
        self.thread.join()
        for client, bells in self.peers.values():
            client.close()
            for bell in bells:
                os.close(bell)
        self.listener.close()
        self.stopping.close()
        self.selector.close()
        os.close(self.memory)


def say(client, value, descriptor):
    passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))] if descriptor is not None else []
    try:
        client.sendmsg([struct.pack("<q", value)], passed)
    except OSError:
        pass  # it is leaving: the selector tells
