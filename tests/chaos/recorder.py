"""What is written down while it happens: each version of each service, as the Engine's event stream tells of it, and how much
memory the daemons take."""

import hashlib
import http.client
import json
import threading
import time
from datetime import datetime

from history import Write
from servers import UnixHTTP

FILTERS = '%7B%22type%22%3A%5B%22service%22%5D%7D'  # {"type":["service"]}


class EngineRecorder:
    """Past every proxy. A version that was replaced before it could be read is still there as the one before."""

    def __init__(self, engine):
        self.engine, self.writes, self.seen = engine, [], {}  # seen: {service: digests}
        self.stopping, self.since = False, time.time()
        self.thread = threading.Thread(target=self.follow, daemon=True)
        self.thread.start()

    def stop(self):
        self.stopping = True

    def follow(self):
        while not self.stopping:
            try:
                connection = UnixHTTP(self.engine.socket, timeout=None)
                connection.request('GET', f'/events?since={self.since:.6f}&filters={FILTERS}')
                answer = connection.getresponse()
                for found in self.engine.call('GET', '/services') or []:  # an Engine that was restarted has forgotten its events
                    self.on_version(moment(found['UpdatedAt']), found)
                for line in answer:
                    self.on_event(json.loads(line))
            except (OSError, ValueError, RuntimeError, http.client.HTTPException):
                time.sleep(0.1)

    def on_event(self, event):
        self.since = max(self.since, event['time'])
        if event['Action'] == 'remove':
            return
        try:
            found = self.engine.call('GET', f'/services/{event["Actor"]["ID"]}')
        except RuntimeError:
            return  # it is gone
        self.on_version(event['timeNano'] / 1e9, found)

    def on_version(self, at, found):
        service = found['ID']
        version, specs = found['Version']['Index'], self.seen.setdefault(service, [])
        if 'PreviousSpec' in found and digest(found['PreviousSpec']) not in specs:
            self.add(at, service, version - 1, found['PreviousSpec'])
        if not specs or digest(found['Spec']) != specs[-1]:
            self.add(at, service, version, found['Spec'], found.get('UpdateStatus', {}).get('State', '').startswith('rollback'))

    def add(self, at, service, version, spec, by_engine=False):
        labels = spec.get('Labels', {})
        self.seen[service].append(digest(spec))
        self.writes.append(Write(at, service, spec['Name'], version, labels.get('skep.job', ''),
                                 int(labels.get('skep.epoch') or 0), digest(spec), by_engine))


def moment(text):
    """The Engine's time, to the nanosecond, in seconds."""
    whole, _, part = text.rstrip('Z').partition('.')
    return datetime.fromisoformat(f'{whole}+00:00').timestamp() + float(f'0.{part or 0}')


def digest(spec):
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:16]


class MemoryRecorder:
    def __init__(self, daemons):
        self.daemons, self.peak, self.stopping = daemons, {}, threading.Event()
        threading.Thread(target=self.follow, daemon=True).start()

    def follow(self):
        while not self.stopping.wait(1):
            for name, daemon in self.daemons.items():
                try:
                    self.peak[name] = max(self.peak.get(name, 0), daemon.rss())
                except (OSError, AttributeError, TypeError):
                    pass  # it is down
