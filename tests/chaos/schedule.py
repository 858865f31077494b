"""What is broken when: made from the seed alone, before anything starts, and printed. Then run against the cluster."""

import concurrent.futures
import random
import signal
import threading
import time

from cluster import DAEMONS
from faultproxy import FAULTS, Fault
from history import Kill

# Weight, shortest and longest time in seconds.
KINDS = {
    ('daemon', 'kill'): (6, 0.3, 6), ('daemon', 'pause'): (5, 1, 9),
    ('redis', 'kill'): (2, 0.3, 5), ('redis', 'flush'): (2, 0, 0), ('redis', 'pause'): (1, 1, 6), ('redis', 'poison'): (1, 0, 0),
    ('postgres', 'kill'): (2, 0, 4), ('postgres', 'immediate'): (2, 0, 3), ('postgres', 'pause'): (2, 1, 7),
    ('engine', 'pause'): (2, 1, 7), ('engine', 'kill'): (1, 6, 9), ('engine', 'restart'): (1, 6, 9),
    ('proxy', 'postgres'): (6, 0.5, 8), ('proxy', 'docker'): (5, 0.5, 8), ('proxy', 'redis'): (2, 0.5, 6)}
GAP_S = (0.8, 3.5)
ENGINE_START_S = 5  # of its time, so that it is up when a clean kill comes
# Now and then nothing but one daemon dies, the one with most jobs, so that the takeover can be timed.
CLEAN_EVERY_S, CALM_S, CLEAN_S = 40, 4, 7
# Hints and keys that nobody who is well would write.
POISON = (('PUBLISH', 'skep:jobs:ready', 'nonsense'), ('PUBLISH', 'skep:jobs:ready', '00000000-0000-7000-8000-000000000000'),
          ('PUBLISH', 'skep:jobs:cancel', '00000000-0000-7000-8000-000000000000'),
          ('SET', 'skep:jobs', 'a string'), ('SET', 'skep:jobs:ready', '{"state": "succeeded"}'))


class Event:
    """One thing that is broken. A target is broken by one at a time."""

    def __init__(self, at, seconds, target, action, fault=None):
        self.at, self.until, self.target, self.action, self.fault = at, at + seconds, target, action, fault

    def __str__(self):
        seconds = f' for {self.until - self.at:.1f} s' if self.until > self.at else ''
        return f'{self.at:6.1f}  {self.target:<12} {self.fault or self.action}{seconds}'


def draw_fault(rng):
    kind = rng.choices(FAULTS, (1, 2, 4, 2, 2))[0]  # a lost reply is over soon
    n = rng.choice((0, 1, 7, 100, 1000, 20000)) + rng.randrange(50)
    return Fault(kind, rng.choice(('ask', 'answer')), rng.randrange(12) if kind == 'lose_reply' else n)


def draw(rng, at):
    target, action = rng.choices(list(KINDS), [weight for weight, _, _ in KINDS.values()])[0]
    _, least, most = KINDS[target, action]
    fault, name = None, target
    if target in ('daemon', 'proxy'):
        name = rng.choice(DAEMONS)
    if target == 'proxy':
        fault, name = draw_fault(rng), f'{name}-{action}'
    return Event(at, rng.uniform(least, most), name, action, fault)


def make(rng, seconds):
    """In the order of their beginnings; one fault of a target at a time."""
    events, busy, at, clean_at = [], {}, 2.0, CLEAN_EVERY_S / 2
    while at < seconds:
        if at >= clean_at:
            at = max([at, *busy.values()]) + CALM_S
            if at + CLEAN_S > seconds:
                break
            events.append(Event(at, CLEAN_S, 'busiest', 'kill'))
            at, clean_at = at + CLEAN_S, at + CLEAN_EVERY_S
        event = draw(rng, at)
        if busy.get(event.target, 0) < at:
            busy[event.target] = event.until + 0.5
            events.append(event)
        at += rng.uniform(*GAP_S)
    return [e for e in events if e.until < seconds + 5]


class Runner:
    """Carries it out, events side by side; what it says goes to `say`. A process dies with the thread that started it, so the
    threads live until close()."""

    def __init__(self, cluster, events, say):
        self.cluster, self.events, self.say = cluster, events, say
        self.kills, self.freezes, self.failed = [], [], []
        self.locks = {target: threading.Lock() for target in {e.target for e in events}}
        self.threads = concurrent.futures.ThreadPoolExecutor(32)

    def run(self):
        began, under_way = time.monotonic(), []
        for event in self.events:
            time.sleep(max(0, began + event.at - time.monotonic()))
            under_way.append(self.threads.submit(self.carry_out, event))
            if event.target == 'busiest':
                under_way[-1].result()
        concurrent.futures.wait(under_way, 60)

    def close(self):
        self.threads.shutdown(cancel_futures=True)

    def carry_out(self, event):
        lock = self.locks[event.target]
        if not lock.acquire(blocking=False):
            self.say(f'{event}: left out, its target is not up again')
            return
        self.say(f'{event}')
        try:
            if event.fault:
                self.break_proxy(event)
            elif event.target == 'busiest':
                self.kill_busiest(event)
            elif event.target in DAEMONS:
                self.break_daemon(self.cluster.daemons[event.target], event)
            else:
                getattr(self, f'{event.target}_{event.action}')(event)
        except Exception as e:
            self.failed.append(f'the harness could not do "{event}": {type(e).__name__}: {e}')
        finally:
            lock.release()

    @staticmethod
    def last(event):
        time.sleep(event.until - event.at)

    def frozen(self, event):
        since = time.time()
        self.last(event)
        self.freezes.append((since, time.time() + 1))

    def break_proxy(self, event):
        name, server = event.target.split('-')
        proxy = self.cluster.proxies[name, server]
        proxy.inject(event.fault)
        if server == 'docker' and event.fault.kind == 'stall':
            self.frozen(event)
        else:
            self.last(event)
        proxy.mend()

    def kill_busiest(self, event):
        victim = self.cluster.busiest()
        if not victim:
            self.say('        nothing runs')
            return self.last(event)
        name, at = victim.incarnations[-1][0], time.time()
        victim.kill()
        self.say(f'        it is {name}')
        late = lateness(event.until - event.at - 0.2)
        self.kills.append(Kill(at, name, True, time.time(), late))
        victim.begin()
        return None

    def break_daemon(self, daemon, event):
        if event.action == 'kill':
            self.kills.append(Kill(time.time(), daemon.incarnations[-1][0], False))
            daemon.kill()
            self.last(event)
            daemon.begin()
        else:
            daemon.pause()
            self.last(event)
            daemon.resume()

    def redis_kill(self, event):
        self.cluster.redis.kill9()
        self.last(event)
        self.cluster.redis.start()

    def redis_flush(self, _):
        self.cluster.redis.command('FLUSHALL')

    def redis_poison(self, _):
        for words in POISON:
            self.cluster.redis.command(*words)

    def redis_pause(self, event):
        self.cluster.redis.send(signal.SIGSTOP)
        self.last(event)
        self.cluster.redis.send(signal.SIGCONT)

    def postgres_kill(self, event):
        self.cluster.postgres_kill()
        self.last(event)
        self.cluster.postgres.start()

    def postgres_immediate(self, event):
        self.cluster.postgres.stop_immediately()
        self.last(event)
        self.cluster.postgres.start()

    def postgres_pause(self, event):
        self.cluster.postgres_pause()
        self.last(event)
        self.cluster.postgres_resume()

    def engine_pause(self, event):
        self.cluster.engine.send(signal.SIGSTOP)
        self.frozen(event)
        self.cluster.engine.send(signal.SIGCONT)

    def engine_kill(self, event):
        """As if its machine lost its power: with all that runs on it."""
        self.cluster.engine.crash()
        time.sleep(event.until - event.at - ENGINE_START_S)
        self.cluster.engine.start()

    def engine_restart(self, event):
        self.cluster.engine.stop()
        time.sleep(event.until - event.at - ENGINE_START_S)
        self.cluster.engine.start()


def lateness(seconds):
    """Sleeps so long in small steps; how late the latest one was."""
    worst, until = 0.0, time.monotonic() + seconds
    while (now := time.monotonic()) < until:
        time.sleep(0.02)
        worst = max(worst, time.monotonic() - now - 0.02)
    return worst
