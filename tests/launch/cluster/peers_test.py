"""Tests of launch.cluster.peers."""

from __future__ import annotations

import socket
import threading
import time

import tensorflow as tf
from absl.testing import absltest

from launch.cluster import members, peers, ports


class PeersTest(absltest.TestCase):

  def test_who_is_gone(self):
    """A server of TensorFlow answers; nothing else does."""
    there, closed = ports.free(2)
    server = tf.distribute.Server(
        {'worker': [f'localhost:{there}']}, job_name='worker', task_index=0
    )
    # As of a process that is stopped: the kernel alone accepts.
    silent = self.enter_context(socket.create_server(('localhost', 0)))
    other = self.enter_context(socket.create_server(('localhost', 0)))

    def answer():
      connection, _ = other.accept()
      with connection:
        connection.sendall(b'HTTP/1.1 400 Bad Request\r\n\r\n')

    thread = threading.Thread(target=answer)
    thread.start()
    own, *_ = members.on_this_machine(
        [1, there, closed, *(s.getsockname()[1] for s in (silent, other))]
    )
    started = time.monotonic()
    self.assertEqual(peers.gone(own), [2, 3, 4])
    self.assertLess(time.monotonic() - started, 3 * peers.ANSWER_SECS)
    thread.join()
    del server

  def test_alone(self):
    self.assertEqual(peers.gone(members.Members(('a:1',), 0)), [])


if __name__ == '__main__':
  absltest.main()
