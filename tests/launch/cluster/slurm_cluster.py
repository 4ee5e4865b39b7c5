"""A Slurm of its own on this machine, whose nodes are addresses of it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import time
import unittest
from collections.abc import Callable, Iterator

from launch.cluster import ports as ports_lib
from tests.launch import runs

_PROGRAMS = (
    'slurmctld',
    'slurmd',
    'sbatch',
    'srun',
    'scontrol',
    'squeue',
    'scancel',
    'sinfo',
)
# Debian has the daemons where not every user looks.
_PATH = f'{os.environ["PATH"]}:/usr/sbin'
_CONF = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
AuthType=auth/none
CredType=cred/none
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MpiDefault=none
FirstJobId={ports[0]}
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=60
MinJobAge=300
"""
_NODE = (
    'NodeName=127.0.0.{number} NodeHostname={host} NodeAddr=127.0.0.{number} '
    'Port={port} CPUs=2 RealMemory=1000 State=UNKNOWN\n'
)
_FINAL = ('COMPLETED', 'FAILED', 'CANCELLED', 'TIMEOUT', 'NODE_FAIL')
_PARTITIONS = """\
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE GraceTime=60
PartitionName=urgent Nodes=ALL PriorityTier=2
"""


def why_not() -> str | None:
  """Returns why Slurm cannot be run here; None if it may be tried."""
  missing = [name for name in _PROGRAMS if not shutil.which(name, path=_PATH)]
  if missing:
    return f'Slurm is not installed ({", ".join(missing)}): slurm-wlm'
  # Nobody else may run jobs without an authentication.
  return None if os.geteuid() == 0 else 'Slurm needs root here'


class Slurm:
  """The commands of a running Slurm."""

  def __init__(self, conf: pathlib.Path):
    self._conf = conf
    self._environment = {
        **os.environ,
        'SLURM_CONF': str(conf),
        'PATH': _PATH,
    }

  def run(self, *command: str) -> str:
    """Runs a command; returns what it printed."""
    ended = subprocess.run(
        command,
        env=self._environment,
        cwd=runs.ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    if ended.returncode:
      raise AssertionError(f'{command}: {ended}')
    return ended.stdout.strip()

  def job(self, number: str) -> dict[str, str]:
    """Returns what Slurm knows of a job."""
    text = self.run('scontrol', 'show', 'job', number)
    return dict(each.split('=', 1) for each in text.split() if '=' in each)

  def state(self, number: str) -> str:
    """Returns the state of a job."""
    return self.job(number)['JobState']

  def seconds(self, number: str) -> int:
    """Returns for how long a job has been running."""
    hours, minutes, seconds = self.job(number)['RunTime'].split(':')
    return 3600 * int(hours) + 60 * int(minutes) + int(seconds)

  def wait_for(self, number: str, *states: str) -> str:
    """Waits until a job is in one of some states; returns which."""

    def happens() -> bool:
      state = self.state(number)
      # Slurm forgets a job some minutes after its end: told at once, or never.
      if state in _FINAL and state not in states:
        raise AssertionError(self.describe(number))
      return state in states

    self.wait_until(happens, lambda: self.describe(number))
    return self.state(number)

  def describe(self, number: str) -> str:
    """Returns what Slurm knows of a job, and what the job has printed."""
    job = self.job(number)
    log = pathlib.Path(job['StdOut'])
    return f'{job}\n{log.read_text() if log.exists() else "No log."}'

  def wait_until(
      self,
      happens: Callable[[], bool],
      describe: Callable[[], str],
      within_s: float = 400,
  ) -> None:
    """Waits until something happens."""
    deadline = time.monotonic() + within_s
    while not happens():
      if time.monotonic() > deadline:
        raise AssertionError(describe())
      time.sleep(0.2)

  def start_now(self, number: str) -> None:
    """Has a job start that was queued again: it would wait for 2 minutes.

    It must not start in the second in which it was queued again. Slurm then
    revoked the job's credentials until the end of that second, takes the new
    one as revoked too, and ends the job as FAILED with exit code 1.
    """
    self.wait_until(
        lambda: self.job(number)['Reason'] == 'BeginTime',
        lambda: str(self.job(number)),
    )
    self.run('scontrol', 'update', f'JobId={number}', 'StartTime=now+1')

  def start_controller(self, *options: str) -> None:
    """Starts the controller."""
    self.run('slurmctld', *options, '-f', str(self._conf))

  def stop_controller(self) -> None:
    """Ends the controller, and waits for its end."""
    path = self._conf.with_name('slurmctld.pid')
    os.kill(int(path.read_text()), signal.SIGTERM)
    self.wait_until(lambda: not path.exists(), lambda: 'It does not end.')

  def worker(self, number: str, rank: int) -> int:
    """Returns the process of a worker of a job; 0 if there is none."""
    wanted = {
        f'SLURM_JOB_ID={number}'.encode(),
        f'SLURM_PROCID={rank}'.encode(),
        f'SLURM_CONF={self._conf}'.encode(),  # Not of another Slurm here.
    }
    for folder in pathlib.Path('/proc').glob('[0-9]*'):
      with contextlib.suppress(OSError):
        variables = (folder / 'environ').read_bytes().split(b'\0')
        command = (folder / 'cmdline').read_bytes().split(b'\0')
        if wanted <= set(variables) and b'launch.train' in command:
          return int(folder.name)
    return 0


@contextlib.contextmanager
def running(folder: pathlib.Path, num_nodes: int = 2) -> Iterator[Slurm]:
  """Starts the daemons, and ends them at the end of a block.

  Args:
    folder: An empty folder for their files.
    num_nodes: How many nodes.

  Yields:
    The commands.

  Raises:
    SkipTest: If they do not start on this machine.
  """
  host = socket.gethostname().partition('.')[0]
  ports = ports_lib.free(num_nodes + 1)
  conf = folder / 'slurm.conf'
  text = _CONF.format(
      host=host,
      ports=ports,
      folder=folder,
      user=pwd.getpwuid(os.geteuid()).pw_name,
  )
  names = [f'127.0.0.{1 + node}' for node in range(num_nodes)]
  for node, port in enumerate(ports[1:]):
    text += _NODE.format(number=1 + node, host=host, port=port)
    (folder / f'spool-{names[node]}').mkdir()
  (folder / 'state').mkdir()
  conf.write_text(text + _PARTITIONS)
  slurm = Slurm(conf)
  try:
    try:
      slurm.start_controller('-c')
      for name in names:
        slurm.run('slurmd', '-N', name, '-c', '-f', str(conf))
      idle = ('sinfo', '-h', '-t', 'idle', '-o', '%D')
      slurm.wait_until(
          lambda: slurm.run(*idle) == str(num_nodes),
          lambda: slurm.run('sinfo', '-N', '-l'),
          within_s=60,
      )
    except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
      raise unittest.SkipTest(f'Slurm does not start here: {error}') from error
    yield slurm
    # What runs on would outlive the daemons.
    slurm.run('scancel', '--partition=all')
    slurm.wait_until(lambda: not slurm.run('squeue', '-h'), lambda: 'Jobs left')
  finally:
    for path in sorted(folder.glob('*.log')):
      print(f'{path.name}:\n{path.read_text()}')  # Shown of a failed test.
    for path in folder.glob('*.pid'):
      with contextlib.suppress(OSError, ValueError):
        os.kill(int(path.read_text()), signal.SIGTERM)
    deadline = time.monotonic() + 30
    while list(folder.glob('*.pid')) and time.monotonic() < deadline:
      time.sleep(0.1)
