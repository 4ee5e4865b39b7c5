"""Tests of launch.cluster.meeting: workers are threads.

Covers: lines.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import json
import socket
import threading
import time
from unittest import mock

from absl.testing import absltest, parameterized

from launch import programs
from launch.cluster import lines, meeting, members, ports


def _members(number):
  return members.on_this_machine(ports.free(number))


class MeetingTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.said = []
    self.pool = concurrent.futures.ThreadPoolExecutor(8)
    self.addCleanup(self.pool.shutdown)
    for module, name, value in (
        (meeting, 'SAY_AFTER_SECS', 0.0),
        (meeting, '_TELL_EVERY_SECS', 0.05),
        (lines, 'PORT_SECS', 0.2),
    ):
      self.enter_context(mock.patch.object(module, name, value))

  def meet(self, worker, told, timeout_s=20.0):
    return self.pool.submit(
        meeting.meet, worker, told, timeout_s=timeout_s, say=self.said.append
    )

  def wait_until_said(self, text, times=1):
    deadline = time.monotonic() + 10
    while sum(text in each for each in self.said) < times:
      self.assertLess(time.monotonic(), deadline, self.said)
      time.sleep(0.01)

  @parameterized.parameters(1, 2, 3, 7)
  def test_all_are_told_of_all(self, number):
    told = [{'name': f'größe {i}', 'long': 'x' * 10**5} for i in range(number)]
    pending = [
        self.meet(worker, each)
        for worker, each in zip(_members(number), told, strict=True)
    ]
    for each in pending:
      self.assertEqual(each.result(), told)

  @parameterized.parameters((0,), (1,), (2,))
  def test_each_says_for_whom_it_waits(self, late):
    """Whoever is late: the first one, too."""
    workers = _members(3)
    pending = [self.meet(each, {}) for each in workers if each.index != late]
    for each in workers:
      if each.index != late:
        own, other = each.name(each.index), each.name(late)
        self.wait_until_said(f'{own} waits for {other}.')
    pending.append(self.meet(workers[late], {}))
    for each in pending:
      self.assertEqual(each.result(), [{}] * 3)
    self.assertEqual(len(self.said), len(set(self.said)), self.said)

  def test_time_ends(self):
    workers = _members(3)
    pending = [self.meet(each, {}, 0.5) for each in workers[:2]]
    for each in pending:
      # The one is told by the other, whichever time ends first.
      with self.assertRaisesRegex(
          programs.Failure,
          r'worker \d \(.*\) has waited 0.5 s for worker 2 \(localhost:\d+\)',
      ) as caught:
        each.result()
      self.assertEqual(caught.exception.exit_code, 1)
    with self.assertRaisesRegex(programs.Failure, 'waited 0.3 s for worker 0'):
      self.meet(workers[1], {}, 0.3).result()

  def test_one_that_ends_while_it_waits_is_missing_again(self):
    workers = _members(3)
    first = self.meet(workers[0], {'a': 0})
    hello = lines.encode({
        'addresses': workers[0].addresses,
        'place': 1,
        'told': {'a': 'of one that ended'},
    })
    with contextlib.ExitStack() as stack:
      address = lines.split(workers[0].addresses[0])
      while True:
        with contextlib.suppress(OSError):
          connection = stack.enter_context(socket.create_connection(address))
          break
      connection.sendall(hello)
      self.wait_until_said(f'waits for {workers[0].name(2)}.')
    self.wait_until_said(f'waits for {workers[0].names([1, 2])}.', times=2)
    pending = [first] + [
        self.meet(each, {'a': each.index}) for each in workers[1:]
    ]
    for each in pending:
      self.assertEqual(each.result(), [{'a': 0}, {'a': 1}, {'a': 2}])

  def test_the_first_may_be_started_again(self):
    workers = _members(2)
    second = self.meet(workers[1], {'a': 1})
    with self.assertRaises(programs.Failure):
      # A third never comes.
      addresses = (*workers[0].addresses, 'localhost:1')
      self.meet(members.Members(addresses, 0), {}, 0.2).result()
    self.assertFalse(second.done() and second.exception() is None)
    if second.done():  # It had visited the wrong one, which refused it.
      second = self.meet(workers[1], {'a': 1})
    first = self.meet(workers[0], {'a': 0})
    for each in (first, second):
      self.assertEqual(each.result(), [{'a': 0}, {'a': 1}])

  def test_a_second_of_the_same_index(self):
    workers = _members(3)
    pending = [self.meet(each, {}) for each in workers[:2]]
    self.wait_until_said(f'{workers[1].name(1)} waits for {workers[1].name(2)}')
    with self.assertRaisesRegex(
        programs.UserError, r'worker 1 \(.*\): port \d+ is in use on this mach'
    ):
      self.meet(workers[1], {}).result()
    # On another machine the port is free.
    with (
        mock.patch.object(lines, 'listen', lambda _: socket.socket()),
        self.assertRaisesRegex(programs.UserError, 'been started already'),
    ):
      self.meet(workers[1], {}).result()
    pending.append(self.meet(workers[2], {}))
    for each in pending:
      self.assertEqual(each.result(), [{}] * 3)

  def test_a_port_in_use(self):
    [worker, _] = _members(2)
    with (
        socket.create_server(lines.split(worker.addresses[0])),
        self.assertRaisesRegex(
            programs.UserError, 'port .* is in use on this machine'
        ) as caught,
    ):
      self.meet(worker, {}).result()
    self.assertEqual(caught.exception.exit_code, 2)

  def test_one_of_another_cluster(self):
    workers = _members(3)
    first = self.meet(workers[0], {}, 3.0)
    other = members.Members(workers[0].addresses[:2], 1)
    with self.assertRaisesRegex(
        programs.UserError, r'is one of the workers .*, this process one of'
    ):
      self.meet(other, {}).result()
    self.assertFalse(first.done())
    for each in (first, *(self.meet(each, {}) for each in workers[1:])):
      self.assertEqual(each.result(), [{}] * 3)

  def test_what_else_calls_or_answers_there(self):
    """A scanner at the first one's port; another server there."""
    workers = _members(2)
    first = self.meet(workers[0], {})
    self.wait_until_said('waits for')
    address = lines.split(workers[0].addresses[0])
    ours = workers[0].addresses
    for data in (
        b'',
        b'\n',
        b'GET / HTTP/1.1\r\n\r\n',
        b'[1]\n',
        b'{}\n',
        b'\xff\xfe\n',
        b'[' * 10**5 + b'\n',
        json.dumps({'protocol': 'x'}).encode() + b'\n',
        *(
            lines.encode({'addresses': addresses, 'place': place, 'told': told})
            for addresses, place, told in (
                (5, 1, {}),
                (None, 1, {}),
                ([1, None], 1, {}),
                (ours, 2, {}),
                (ours, -1, {}),
                (ours, '1', {}),
                (ours, 0, {}),
                (ours, 1, []),
            )
        ),
    ):
      with socket.create_connection(address) as scanner:
        scanner.sendall(data)
        scanner.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
          while scanner.recv(2**16):  # Until it is forgotten.
            pass
    second = self.meet(workers[1], {})
    for each in (first, second):
      self.assertEqual(each.result(), [{}, {}])

    workers = _members(2)
    with socket.create_server(lines.split(workers[0].addresses[0])) as server:
      answers = itertools.cycle((
          b'HTTP/1.1 400 Bad Request\r\n\r\n',
          b'{"error": "who?"}\n',
      ))

      def answer():
        with contextlib.suppress(OSError):
          while True:
            connection, _ = server.accept()
            connection.sendall(next(answers))
            connection.close()

      thread = threading.Thread(target=answer, daemon=True)
      thread.start()
      with self.assertRaisesRegex(programs.Failure, 'has waited 0.6 s for wor'):
        self.meet(workers[1], {}, 0.6).result()

  def test_strangers_that_stay(self):
    """They are more than are kept, and say nothing or too much."""
    workers = _members(2)
    first = self.meet(workers[0], {})
    self.wait_until_said('waits for')
    address = lines.split(workers[0].addresses[0])
    with contextlib.ExitStack() as stack:
      stack.enter_context(mock.patch.object(meeting, '_MAX_STRANGERS', 3))
      silent = [
          stack.enter_context(socket.create_connection(address))
          for _ in range(5)
      ]
      for each in silent[:2]:
        self.assertEqual(each.recv(1), b'')
      with (
          socket.create_connection(address) as loud,
          contextlib.suppress(ConnectionError),
      ):
        for _ in range(2):
          loud.sendall(b' ' * meeting._MAX_HELLO_BYTES)
        self.assertEqual(loud.recv(1), b'')
      second = self.meet(workers[1], {})
      for each in (first, second):
        self.assertEqual(each.result(), [{}, {}])

  def test_addresses(self):
    self.assertEqual(lines.split('a.b:12'), ('a.b', 12))
    self.assertEqual(lines.split('[::1]:12'), ('::1', 12))


if __name__ == '__main__':
  absltest.main()
