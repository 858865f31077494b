"""Compose files by chance: from one seed always the same case. Most are right; some hold one mistake.

A case is {name, files: {path: text}, compose: [the paths given with -c], env: {name: value}}. Its files are made as
trees first, which tests/differential/run.py makes smaller when the two programs differ, and written as YAML by `write`."""

import random
import string

SERVICES = ['web', 'api', 'db', 'cache.1', 'w_x', 'A-b']
NETWORKS = ['front', 'back', 'default']
VOLUMES = ['data', 'logs', 'vol.x']
SECRETS = ['key', 'cert']
CONFIGS = ['conf', 'motd']
VERSIONS = [None, '3', '3.0', '3.1', '3.2', '3.3', '3.4', '3.5', '3.6', '3.7', '3.8', '3.9', '3.10', '3.11', '3.12', '3.13']
ENV = {'ONE': '1', 'TAG': 'v2', 'EMPTY': '', 'YES': 'yes', 'PORT': '8080', 'NAME': 'some name', 'DOLLAR': '$x',
       'SIZE': '64M', 'PATHS': '/srv/d', 'low_er': 'low', 'HOST_ONLY': 'from the caller'}


class Raw(str):
    """YAML text that is written as it stands."""


class Anchored:
    """A value with an anchor; `Alias` names it again, `Merged` puts it under a mapping's own keys."""
    def __init__(self, name, value):
        self.name, self.value = name, value


class Merged(dict):
    def __init__(self, names, own):
        super().__init__(own)
        self.names = names


# -- YAML ------------------------------------------------------------------------------------------------------------

PLAIN = set(string.ascii_letters + string.digits + '_./-')
RESERVED = {'true', 'false', 'null', 'yes', 'no', 'on', 'off', 'y', 'n', '~', '.inf', '.nan', ''}


def looks_like_number(text):
    return text[:1].isdigit() or text[:1] in '+-.' or text.lower().startswith(('0x', '0o', '.inf', '.nan'))


def quoted(text):
    out = ''
    for c in text:
        out += {'"': '\\"', '\\': '\\\\', '\n': '\\n', '\t': '\\t', '\r': '\\r'}.get(c, c)
    return f'"{out}"'


class Writer:
    """One text. The style of each value is chance too, of a generator of its own: the tree alone does not change with it."""

    def __init__(self, seed):
        self.r = random.Random(seed)

    def scalar(self, value):
        if isinstance(value, Raw):
            return str(value)
        if value is None:
            return self.r.choice(['null', '~', 'null'])
        if value is True or value is False:
            return self.r.choice(['true', 'True', 'TRUE'] if value else ['false', 'False', 'FALSE'])
        if not isinstance(value, str):
            return repr(value)
        plain = set(value) <= PLAIN and value.lower() not in RESERVED and not looks_like_number(value)
        if plain and self.r.random() < 0.7:
            return value
        if "'" not in value and '\n' not in value and '\t' not in value and self.r.random() < 0.5:
            return f"'{value}'"
        return quoted(value)

    def key(self, key):
        return self.scalar(key) if isinstance(key, (str, Raw)) else str(key)

    def flow(self, value):
        if isinstance(value, Anchored):
            return f'&{value.name} {self.flow(value.value)}'
        if isinstance(value, dict):
            items = [f'{self.key(k)}: {self.flow(v)}' for k, v in value.items()]
            if isinstance(value, Merged):
                items.insert(self.r.randrange(len(items) + 1), f'<<: {self.merge(value)}')
            return '{' + ', '.join(items) + '}'
        if isinstance(value, list):
            return '[' + ', '.join(self.flow(v) for v in value) + ']'
        return self.scalar(value)

    def merge(self, value):
        names = ['*' + n + ' ' for n in value.names]
        return names[0] if len(names) == 1 else '[' + ', '.join(names) + ']'

    def block(self, value, depth, lines, front):
        """Writes `front`, which ends where the value begins, and the value."""
        if isinstance(value, Anchored):
            front += f' &{value.name}'
            value = value.value
        collection = isinstance(value, (dict, list)) and (value or isinstance(value, Merged))
        if not collection or (depth > 1 and self.r.random() < 0.25):
            lines.append(f'{front} {self.flow(value)}'.rstrip())
            return
        lines.append(front)
        self.items(value, depth, lines)

    def items(self, value, depth, lines):
        pad = '  ' * depth
        if isinstance(value, list):
            for item in value:
                self.block(item, depth + 1, lines, f'{pad}-')
            return
        if isinstance(value, Merged):
            lines.append(f'{pad}<<: {self.merge(value)}')
        for k, v in value.items():
            self.block(v, depth + 1, lines, f'{pad}{self.key(k)}:')
            if self.r.random() < 0.02:
                lines.append(f'{pad}# a comment: [')

    def text(self, tree):
        lines = []
        if self.r.random() < 0.1:
            lines.append('---')
        if not tree:
            lines.append('{}')
        self.items(tree, 0, lines)
        end = self.r.choice(['\n'] * 9 + ['\r\n'])
        return end.join(lines) + end


def write(tree, seed):
    return tree if isinstance(tree, str) else Writer(seed).text(tree)


# -- values ----------------------------------------------------------------------------------------------------------

class Maker:
    def __init__(self, r):
        self.r = r
        self.extra_files = {}
        self.networks, self.volumes, self.secrets, self.configs = {}, {}, {}, {}
        self.anchors = []

    def chance(self, p):
        return self.r.random() < p

    def some(self, words, least=1, most=3):
        n = min(len(words), self.r.randint(least, most))
        return self.r.sample(words, n)

    def put_in(self, text, value=None):
        """Perhaps a variable, or what looks like one, instead of a text or in it."""
        if not self.chance(0.12):
            return text
        r = self.r
        return r.choice([
            lambda: '${UNSET:-%s}' % text, lambda: '${UNSET-%s}' % text, lambda: '${EMPTY:-%s}' % text,
            lambda: text + '$$', lambda: '$$' + text, lambda: text + '${EMPTY}', lambda: '${EMPTY}' + text,
            lambda: text + '$UNSET', lambda: '${ONE?no}%s' % text, lambda: '${ONE:?no}' + text,
            lambda: '${EMPTY-x}' + text,
        ])()

    def word(self):
        return self.r.choice(['alpha', 'beta', 'x', 'some-name', 'a.b', 'A_1', '10', 'true', 'two words', 'ünï', '', 'a=b', 'k:v',
                              '#no', 'null', '0', '$TAG', '${NAME}', '${low_er}', 'l1\nl2', '1.5', '$${x}', "it's", 'q"q'])

    def name(self):
        return self.r.choice(['alpha', 'beta', 'web', 'some-name', 'a.b', 'A_1'])

    def text(self):
        return self.put_in(self.word())

    def scalar(self):
        """What mappings to strings, numbers and null may hold."""
        return self.r.choice([self.text, self.text, lambda: self.r.randint(-5, 70000), lambda: None,
                              lambda: Raw(self.r.choice(['0123', '1.50', '1e6', '1_000', '0x1F', '0o17', '1e-7', '123456789012345678',
                                                         '.5', '-0', '1.0', '3.10', '+1', '012345', '1E3', '100000000000000000000.0',
                                                         '0.1', '12e03', '2021-01-01', '1:30', '08', 'yes', 'on', 'Null',
                                                         '685_230.15', '.inf']))])()

    def pairs(self, null=True):
        r = self.r
        keys = self.some(['a', 'b.c', 'KEY', 'X_Y', 'z-z', 'com.example.x', 'HOST_ONLY', 'EMPTY', 'ONE', '1'], 0, 4)
        if self.chance(0.5):
            made = {}
            for k in keys:
                v = self.scalar()
                made[k] = v if null or v is not None else 'x'
            return made
        return [self.put_in(r.choice([f'{k}={self.word()}', k, f'{k}=', f'{k}=a=b'])) for k in keys]

    def options(self):
        made = {}
        for k in self.some(['a', 'b.c', 'size', 'max-file'], 0, 3):
            made[k] = self.r.choice([self.text(), self.r.randint(0, 99), 1.5, Raw('1e3'), Raw('007')])
        return made

    def truth(self):
        return self.r.choice([True, False, True, '${YES}', '${UNSET:-off}', '${UNSET:-TRUE}', '${UNSET:-n}']) if self.chance(0.3) \
            else self.chance(0.7)

    def number(self, low, high):
        n = self.r.randint(low, high)
        return self.r.choice([n, n, n, f'${{UNSET:-{n}}}', Raw(f'{n}.0'), '${ONE}']) if self.chance(0.3) else n

    def duration(self):
        return self.put_in(self.r.choice(['10s', '1m30s', '1h', '500ms', '1.5h', '0s', '0', '90s', '1h0m0s', '2us', '100ns', '1µs', '-5s',
                                          '+3s', '.5s', '1h2m3.004s', '2562047h']))

    def size(self):
        return self.put_in(self.r.choice(['64M', '1g', '1.5gb', '100', '512kb', '1 MB', '2GiB', '0.5k', '10b', '0', '1t', '300mib',
                                          '5.25m', '8388608', '1024K']))

    def cpus(self):
        return self.put_in(self.r.choice(['0.5', '1', '1/4', '2e-1', '0.001', '0', '0.50', '1.25', '10', '.5', '3/2', '1e1', '0.000000001']))

    def image(self):
        return self.r.choice(['nginx', 'nginx:1.25', 'bb:1', 'localhost:5000/a/b:c', 'docker.io/library/busybox', 'ghcr.io/x/y',
                              'registry.example.com/team/app:1.2@sha256:' + 'ab' * 32, 'x@sha256:' + 'cd' * 32, 'library/redis:7',
                              'index.docker.io/library/alpine:3', 'docker.io/user/app', 'nginx:${TAG}', '${UNSET:-nginx}:1', 'a/b/c/d',
                              'localhost/x', 'a.b/c', 'x_y/z--w'])

    def strings(self, words, least=0, most=3):
        return [self.put_in(w) for w in self.some(words, least, most)]

    def one_or_more(self, words):
        return self.put_in(self.r.choice(words)) if self.chance(0.4) else self.strings(words)

    def command(self):
        r = self.r
        return r.choice([
            lambda: [self.text() for _ in range(r.randint(0, 4))],
            lambda: r.choice(['echo hello', "sh -c 'a b'", 'a "b c" d\\ e', 'x # no', 'a#b', '', 'one', 'a\tb', 'echo $$HOME ${TAG}',
                              '"" x', "a'b'c", 'x \\\\ y', 'a "b\\"c"', '${NAME}', 'a   b', "'#' x", 'a "\\$b"', 'sh -c "exit 1; x"',
                              'a & b', 'a|b', '(a)', '`a`', 'a\nb', '"a\nb"', '${CMD:-run it}']),
        ])()

    def healthcheck(self):
        r = self.r
        if self.chance(0.12):
            return {'disable': True} if self.chance(0.8) else {'test': ['NONE']}
        made = {'test': r.choice(['curl -f x', ['CMD', 'a', 'b'], ['CMD-SHELL', 'a || b'], ['NONE'], [], self.text(), ''])}
        for k in ('interval', 'timeout', 'start_period', 'start_interval'):
            if self.chance(0.3):
                made[k] = self.duration()
        if self.chance(0.3):
            made['retries'] = self.number(0, 9)
        if self.chance(0.1):
            del made['test']
        if self.chance(0.1):
            made['disable'] = False
        return made

    def ports(self):
        r = self.r
        short = ['80', '8080:80', '127.0.0.1:8001:8001', '6000-6002:6000-6002', '9090-9091:8080-8081', '49100:22/udp', '53:53/udp', '3000',
                 '3000-3002', '[::1]:81:81', '127.0.0.1::5000', '7000-7001:7000', '0.0.0.0:82:82', '10.0.0.1:84-85:84-85', '443:443/TCP',
                 '${PORT}:80', '90:${UNSET:-91}', '5000/sctp', '1.2.3.4:9100-9102:99', ':88', '088:089']
        made = []
        for _ in range(r.randint(0, 4)):
            kind = r.random()
            if kind < 0.5:
                made.append(r.choice(short))
            elif kind < 0.65:
                made.append(r.choice([80, 8081, 22, 443, Raw('0x50'), 1234]))
            else:
                port = {'target': self.number(1, 65535)}
                if self.chance(0.7):
                    port['published'] = self.number(0, 65535)
                if self.chance(0.4):
                    port['protocol'] = r.choice(['tcp', 'udp', 'sctp', '', 'UDP'])
                if self.chance(0.4):
                    port['mode'] = r.choice(['ingress', 'host', ''])
                if self.chance(0.05):
                    del port['target']
                made.append(port)
        return self.unique(made)

    @staticmethod
    def unique(items):
        made = []
        for i in items:
            if i not in made:
                made.append(i)
        return made

    def declare(self, section, names, make):
        """A name that is declared by the time that the file is whole."""
        name = self.r.choice(names)
        if name not in section:
            self.put(section, name, make())
        return name

    @staticmethod
    def put(section, name, made):
        taken = [other['name'] for other in section.values() if other and 'name' in other]
        if made and made.get('name') in taken:
            del made['name']  # docker would choose between them by the order of a Go map
        section[name] = made

    def volume_mount(self):
        r = self.r
        name = self.declare(self.volumes, VOLUMES, self.volume)
        if self.chance(0.55):
            return r.choice(['/anon', f'{name}:/data', f'{name}:/data:ro', './rel:/rel', '../up:/up', '/abs:/abs', '/abs:/abs:rw', '~/home:/home',
                             f'{name}:/d:nocopy', '/p:/p:shared', './r:/r:ro,rslave', f'{name}:/d2:ro,nocopy', '${PATHS}:/env', '.:/dot',
                             'C:\\win:C:\\x', '/a:/b:z', f'{name}:/d3:Z,ro', './a/../b:/c', '/host:/host:delegated', '~:/h', '/x:/y:rw,cached',
                             '/a//b/:/c/', './:/t', f'{name}:relative', '/dev/null:/dev/null:private', '\\\\.\\pipe\\x:\\\\.\\pipe\\x'])
        kind = r.choice(['volume', 'volume', 'bind', 'tmpfs', 'npipe', 'cluster'])
        made = {'type': kind, 'target': r.choice(['/data', '/t', '/a/b', '${PATHS}'])}
        if kind == 'volume':
            made['source'] = name if self.chance(0.8) else ''
            if self.chance(0.4):
                made['volume'] = r.choice([{'nocopy': True}, {}, {'nocopy': self.truth()}, {'subpath': 'a/b'}])
        elif kind == 'bind':
            made['source'] = r.choice(['/abs', './rel', '~/x', '.', '${PATHS}', '../y'])
            if self.chance(0.4):
                made['bind'] = r.choice([{'propagation': r.choice(['rprivate', 'shared', 'rslave', 'odd'])}, {}, {'create_host_path': True}])
        elif kind == 'tmpfs':
            if self.chance(0.5):
                made['tmpfs'] = r.choice([{'size': r.randint(0, 10**9)}, {}, {'size': 5, 'mode': 448}])
        elif kind == 'npipe':
            made['source'] = '\\\\.\\pipe\\docker'
        else:
            made['source'] = r.choice(['group:mygroup', name])
        if self.chance(0.3):
            made['read_only'] = self.truth()
        if self.chance(0.2):
            made['consistency'] = r.choice(['cached', 'default', 'consistent', 'odd'])
        return made

    def file_use(self, section, names, make):
        r = self.r
        name = self.declare(section, names, make)
        if self.chance(0.4):
            return name
        made = {'source': name}
        for k, values in (('target', ['t', '/run/x', 'a/b', name, '']), ('uid', ['0', '1000', '']), ('gid', ['0', '33'])):
            if self.chance(0.4):
                made[k] = r.choice(values)
        if self.chance(0.5):
            made['mode'] = r.choice([Raw('0440'), Raw('0444'), 440, Raw('0o400'), 0, '${ONE}', Raw('0x1'), Raw('256.0')])
        return made

    def attachments(self):
        r = self.r
        names = self.some(NETWORKS, 0, 3)
        for n in names:
            if n not in self.networks and (n != 'default' or self.chance(0.3)):
                self.put(self.networks, n, self.network())
        if self.chance(0.4):
            return names
        made = {}
        for n in names:
            made[n] = r.choice([None, {}, {'aliases': self.strings(['a1', 'b2', 'c.3', 'web'])}, {'ipv4_address': '10.1.2.3'},
                                {'aliases': ['x'], 'ipv6_address': '2001:db8::1'}, {'driver_opts': self.options()},
                                {'aliases': ['y'], 'driver_opts': {'a': 'b'}}])
        return made

    def rollout(self):
        r = self.r
        made = {}
        for k, make in (('parallelism', lambda: self.number(0, 10)), ('delay', self.duration), ('monitor', self.duration),
                        ('failure_action', lambda: r.choice(['pause', 'continue', 'rollback', '', 'odd'])),
                        ('max_failure_ratio', lambda: r.choice([0, 1, 0.25, 0.1, 1e-3, '${UNSET:-0.5}', 0.3333333333])),
                        ('order', lambda: r.choice(['start-first', 'stop-first']))):
            if self.chance(0.4):
                made[k] = make()
        return made

    def amounts(self, limits):
        r = self.r
        made = {}
        if self.chance(0.6):
            made['cpus'] = self.cpus()
        if self.chance(0.6):
            made['memory'] = self.size()
        if limits and self.chance(0.3):
            made['pids'] = r.randint(0, 1000)
        if not limits and self.chance(0.3):
            made['generic_resources'] = [r.choice([{'discrete_resource_spec': {'kind': 'gpu', 'value': r.randint(0, 9)}}, {},
                                                   {'discrete_resource_spec': {'kind': 'ssd', 'value': 1.5}}])
                                         for _ in range(r.randint(0, 2))]
        return made

    def deploy(self):
        r = self.r
        if self.chance(0.05):
            return None
        made = {}
        mode = r.choice(['replicated', 'global', 'replicated-job', 'global-job', '', None, None])
        if mode is not None:
            made['mode'] = mode
        if mode not in ('global', 'global-job') and self.chance(0.5):
            made['replicas'] = self.number(0, 20)
        if self.chance(0.3):
            made['labels'] = self.pairs()
        for k in ('update_config', 'rollback_config'):
            if self.chance(0.25):
                made[k] = self.rollout()
        if self.chance(0.35):
            made['resources'] = {}
            if self.chance(0.7):
                made['resources']['limits'] = self.amounts(True)
            if self.chance(0.5):
                made['resources']['reservations'] = self.amounts(False)
        if self.chance(0.3):
            made['restart_policy'] = {}
            for k, make in (('condition', lambda: r.choice(['none', 'on-failure', 'any', '', 'odd'])), ('delay', self.duration),
                            ('max_attempts', lambda: self.number(0, 5)), ('window', self.duration)):
                if self.chance(0.5):
                    made['restart_policy'][k] = make()
        if self.chance(0.3):
            made['placement'] = r.choice([{}, {'constraints': self.strings(['node.role == manager', 'node.labels.a!=b', 'engine.labels.x==y'])},
                                          {'preferences': [{'spread': 'node.labels.az'}, {'spread': 'x'}]}, {'preferences': [{}]},
                                          {'max_replicas_per_node': self.number(0, 3)}])
        if self.chance(0.2):
            made['endpoint_mode'] = r.choice(['vip', 'dnsrr', 'VIP', '', 'odd'])
        return made

    def env_file(self):
        names = self.some(['one.env', './two.env', 'sub/three.env'], 1, 2)
        for n in names:
            path = n.removeprefix('./')
            lines = self.some(['A=1', 'B=two words', ' C=lead', 'D=trail ', '# comment', '', 'E="quoted"', "F='q'", 'HOST_ONLY', 'UNSET_KEY', 'G=',
                               'H=a=b', 'export I=1', 'J=$ONE', 'K=${TAG}', 'A=again', '\tL=tab', 'M=ü', 'N=#x', 'O=a #b', 'EMPTY', 'ONE=two'], 0, 9)
            if any(line.startswith('export ') for line in lines) and self.chance(0.9):
                lines = [line for line in lines if not line.startswith('export ')]
            end = self.r.choice(['\n', '\n', '\r\n'])
            self.extra_files.setdefault(path, ('\ufeff' if self.chance(0.05) else '') + end.join(lines) + (end if self.chance(0.8) else ''))
        return names[0] if len(names) == 1 and self.chance(0.5) else names

    # -- sections

    def service(self):
        r = self.r
        made = {'image': self.image()}
        makers = {
            'command': self.command, 'entrypoint': self.command, 'environment': self.pairs, 'env_file': self.env_file,
            'labels': self.pairs, 'ports': self.ports, 'healthcheck': self.healthcheck, 'deploy': self.deploy, 'networks': self.attachments,
            'volumes': lambda: self.unique([self.volume_mount() for _ in range(r.randint(0, 4))]),
            'secrets': lambda: [self.file_use(self.secrets, SECRETS, self.secret) for _ in range(r.randint(0, 2))],
            'configs': lambda: [self.file_use(self.configs, CONFIGS, self.config) for _ in range(r.randint(0, 2))],
            'working_dir': lambda: self.put_in('/w'), 'user': self.text, 'hostname': lambda: r.choice(['h', '{{.Node.Hostname}}', '${TAG}']),
            'stop_signal': lambda: r.choice(['SIGTERM', 'SIGUSR1', '9']), 'stop_grace_period': self.duration,
            'tty': self.truth, 'stdin_open': self.truth, 'read_only': self.truth, 'init': lambda: self.chance(0.5),
            'isolation': lambda: r.choice(['default', 'process', 'hyperv', 'odd', '']),
            'dns': lambda: self.one_or_more(['8.8.8.8', '1.1.1.1', 'fd00::1']), 'dns_search': lambda: self.one_or_more(['a.example', 'b.example']),
            'extra_hosts': lambda: r.choice([['a:1.2.3.4', 'b=5.6.7.8'], ['c:[::1]', 'd=::1'], {'e': '1.2.3.4', 'a': '::1'}, [], {}, {'z': '[::1]'},
                                             ['host:host-gateway'], {'x': None}, ['a:1.2.3.4', 'a:5.6.7.8'], ['bad'], {'n': 5}, ['a= 1.2.3.4']]),
            'cap_add': lambda: self.strings(['NET_ADMIN', 'CAP_SYS_TIME', 'all', 'kill', 'chown'], 0, 3),
            'cap_drop': lambda: self.strings(['ALL', 'NET_ADMIN', 'MKNOD', 'cap_kill'], 0, 3),
            'sysctls': self.pairs,
            'ulimits': lambda: {k: r.choice([65535, {'soft': 1, 'hard': 2}, -1, '${ONE}', {'soft': -1, 'hard': -1}, 0, {'soft': 5, 'hard': 5}])
                                for k in self.some(['nofile', 'nproc', 'core'], 0, 3)},
            'logging': lambda: r.choice([{'driver': 'json-file', 'options': {'max-size': '10m', 'max-file': 3}}, {'driver': 'none'}, {},
                                         {'options': {'a': None}}, {'driver': 'x', 'options': self.options()}]),
            'depends_on': lambda: self.some(['web', 'api', 'db'], 0, 3),
            'credential_spec': lambda: r.choice([{'file': 'f.json'}, {'registry': 'r'}, {'config': self.declare(self.configs, CONFIGS, self.config)}, {},
                                                 {'file': ''}]),
            'restart': lambda: r.choice(['no', 'always', 'on-failure', 'on-failure:3', 'unless-stopped', '', 'on-failure:0']),
            'container_name': lambda: 'c', 'expose': lambda: ['80', 81, '90-91'], 'tmpfs': lambda: self.one_or_more(['/t', '/u:size=5']),
            'build': lambda: r.choice(['.', {'context': '.', 'args': self.pairs()}, {'context': './x', 'dockerfile': 'D', 'labels': self.pairs()}]),
            'privileged': self.truth, 'links': lambda: ['db', 'web:w'], 'external_links': lambda: ['x'], 'pid': lambda: r.choice(['host', None]),
            'ipc': lambda: 'host', 'network_mode': lambda: r.choice(['host', 'bridge']), 'mac_address': lambda: '02:42:ac:11:65:43',
            'security_opt': lambda: ['label=x'], 'devices': lambda: ['/dev/a:/dev/b'], 'domainname': lambda: 'd', 'cgroup_parent': lambda: 'm',
            'cgroupns_mode': lambda: 'host', 'shm_size': lambda: r.choice(['64M', 1000, 1.5]), 'userns_mode': lambda: 'host',
            'oom_score_adj': lambda: r.randint(-1000, 1000),
            'x-note': self.scalar,
        }
        common = list(makers)[:26]
        for k in self.some(common, 0, 7) + (self.some(list(makers)[26:], 1, 2) if self.chance(0.4) else []):
            made[k] = makers[k]()
        if self.chance(0.3):
            keys = list(made)
            r.shuffle(keys)
            made = {k: made[k] for k in keys}
        return made

    def external(self, name):
        return self.r.choice([{'external': True}, {'external': True, 'name': f'ext_{name}'}, {'external': {'name': f'old-{name}'}}, {'external': {}},
                              {'external': '${YES}'}, {'external': True, 'labels': {'a': 'b'}}])

    def network(self):
        r = self.r
        if self.chance(0.15):
            return None
        if self.chance(0.2):
            return self.external('net')
        made = {}
        for k, make in (('driver', lambda: r.choice(['overlay', 'macvlan', '', 'bridge'])), ('driver_opts', self.options), ('internal', self.truth),
                        ('attachable', self.truth), ('labels', self.pairs), ('name', lambda: r.choice(['named', 'n-${TAG}', ''])),
                        ('ipam', lambda: r.choice([{}, {'driver': 'default'}, {'config': [{'subnet': '10.5.0.0/16'}, {}]}, {'config': []},
                                                   {'driver': 'x', 'config': [{'subnet': '10.6.0.0/16'}]}])),
                        ('external', lambda: False), ('x-y', self.scalar)):
            if self.chance(0.25):
                made[k] = make()
        return made

    def volume(self):
        r = self.r
        if self.chance(0.25):
            return None
        if self.chance(0.2):
            made = self.external('vol')
            made.pop('labels', None)
            return made
        made = {}
        for k, make in (('driver', lambda: r.choice(['local', 'nfs', ''])), ('driver_opts', self.options), ('labels', self.pairs),
                        ('name', lambda: r.choice(['named-v', '${TAG}', ''])), ('x-y', self.scalar)):
            if self.chance(0.3):
                made[k] = make()
        return made

    def source(self, what):
        r = self.r
        path = r.choice([f'{what}.txt', f'./{what}.txt', f'sub/{what}.bin', f'../{what}.up', f'sub/../{what}.txt'])
        place = path.removeprefix('./').replace('sub/../', '')
        self.extra_files.setdefault(place, r.choice(['hello\n', '', 'ünï ${TAG} $x', 'a' * 70]))
        return path

    def secret(self):
        r = self.r
        if self.chance(0.2):
            return self.external('sec')
        if self.chance(0.1):
            return {'driver': 'vault', 'driver_opts': self.options()}
        made = {'file': self.source('secret')}
        if self.chance(0.2):
            made['name'] = r.choice(['named-s', 's-${TAG}', ''])
        if self.chance(0.2):
            made['labels'] = self.pairs()
        if self.chance(0.15):
            made['template_driver'] = 'golang'
        return made

    def config(self):
        made = self.secret()
        if 'driver' in made:
            return {'file': self.source('config')}
        return made

    def sections(self, services):
        r = self.r
        tree = {}
        if services:
            tree['services'] = services
        for name, section, names, make in (('networks', self.networks, NETWORKS, self.network), ('volumes', self.volumes, VOLUMES, self.volume),
                                           ('secrets', self.secrets, SECRETS, self.secret), ('configs', self.configs, CONFIGS, self.config)):
            if self.chance(0.15):
                self.declare(section, names, make)
            if section:
                tree[name] = dict(section)
        if self.chance(0.06):
            tree['x-top'] = r.choice([self.scalar(), {'a': [1, '$UNSET', None]}, self.pairs()])
        return tree


# -- mistakes --------------------------------------------------------------------------------------------------------

def places(tree, found, path=()):
    """Every (container, key) of a tree."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for k, v in items:
        found.append((tree, k, path))
        places(v, found, path + (k,))
    return found


def wrong_value(r):
    return r.choice([lambda: 5, lambda: 'word', lambda: [], lambda: {}, lambda: True, lambda: None, lambda: [1], lambda: {'a': 'b'}, lambda: 1.5,
                     lambda: -1, lambda: '${', lambda: '${BAD-', lambda: '$', lambda: '${UNSET?msg}', lambda: '${UNSET:?it must}', lambda: '${1X}',
                     lambda: Raw('[a'), lambda: [['x']], lambda: {'a': None}, lambda: '', lambda: ['a', 'a'],
                     lambda: [None], lambda: 10**9, lambda: Raw('!!str 5'), lambda: Raw('*nowhere'), lambda: {'': 'x'},
                     lambda: '${A${B}}', lambda: '$A-z', lambda: '${UNSET:-${ONE}}', lambda: '${ONE:+x}', lambda: {Raw('1'): 'x'}, lambda: [{}]])()


def spoil(tree, r):
    """One mistake, or what may be one."""
    found = [p for p in places(tree, []) if not (p[1] == 'services' and not p[2])]
    if not found:
        return
    holder, key, path = r.choice(found)
    how = r.random()
    if how < 0.5 or not isinstance(holder, dict):
        holder[key] = wrong_value(r)
    elif how < 0.65:
        holder[r.choice(['unknown', 'nam', 'imge', 'name', 'profiles', 'content', 'mem_limit', 'extends', 'cpuset', 'volumes_from', 'group_add', 'host_ip',
                         'environment', 'x-fine', 'version', 'secrets', 'configs', 'networks', 'label', 'Image'])] = wrong_value(r)
    elif how < 0.8:
        services = [s for s in tree.get('services', {}).values() if isinstance(s, dict)]
        if services:
            s = r.choice(services)
            s[r.choice(['networks', 'secrets', 'configs', 'volumes', 'env_file', 'image', 'restart', 'stop_grace_period', 'ports', 'deploy', 'healthcheck'])] = \
                r.choice([['nix'], ['nix:/x'], 'nix.env', 'UPPER/case:x', 'on-failure:x', '1d', ['80:80:80:80:80'], ['99999'], ['x'], ['80/xyz'],
                          {'mode': 'odd'}, {'mode': 'global', 'replicas': 2}, {'resources': {'limits': {'memory': '1x'}}},
                          {'resources': {'limits': {'cpus': 'many'}}}, {'disable': True, 'test': 'x'}, {'update_config': {'order': 'x'}},
                          {'resources': {'limits': {'cpus': '0.0000000001'}}}, [{'type': 'tmpfs', 'source': 'x', 'target': '/t'}],
                          [{'type': 'volume', 'bind': {}, 'target': '/t'}], [{'type': 'odd', 'target': '/t'}], [{'target': '/t'}], ['a:b:c:d']])
    elif how < 0.9:
        del holder[key]
    else:
        holder[Raw(f'{key} ')] = wrong_value(r)  # a second key of the same name


# -- a case ----------------------------------------------------------------------------------------------------------

def one_tree(r, maker, version, anchors):
    names = r.sample(SERVICES, r.choice([1, 1, 1, 2, 2, 3]))
    services = {n: maker.service() for n in names}
    tree = {}
    if version is not None:
        tree['version'] = version
    if anchors:
        template = {k: v for k, v in maker.service().items() if k not in ('image',)}
        tree['x-base'] = Anchored('base', template)
        if r.random() < 0.5:
            tree['x-more'] = Anchored('more', {'labels': {'more': '1'}, 'user': 'm'})
        for n in names:
            if r.random() < 0.7:
                services[n] = Merged(['base', 'more'] if 'x-more' in tree and r.random() < 0.6 else ['base'], services[n])
    tree.update(maker.sections(services))
    if r.random() < 0.1:
        items = list(tree.items())
        if not anchors:
            r.shuffle(items)
        tree = dict(items)
    return tree


def make(seed):
    """A case as trees: {seed, trees: {path: tree or text}, compose, env}."""
    r = random.Random(seed)
    maker = Maker(r)
    version = r.choice([None, '3', '3.8', '3.9', '3.13']) if r.random() < 0.7 else r.choice(VERSIONS)
    count = r.choice([1] * 7 + [2, 2, 3])
    names = ['c.yml'] + [r.choice(['m%d.yml', 'sub/m%d.yml']) % i for i in range(count - 1)]
    trees = {}
    for n in names:
        trees[n] = one_tree(r, maker, version, r.random() < 0.12)
    if count > 1 and r.random() < 0.03:
        trees[names[1]]['version'] = r.choice(['3.7', '3', '3.10'])
    if r.random() < 0.25:
        spoil(trees[r.choice(names)], r)
    if r.random() < 0.01:
        trees[names[0]]['version'] = r.choice(['2', '3.14', '4', '2.4', 'x', 3, 3.8, Raw('3.10'), '', None])
    env = {k: v for k, v in ENV.items() if r.random() < 0.9 or k == 'EMPTY'}
    trees.update({path: text for path, text in maker.extra_files.items() if r.random() < 0.995})
    return {'seed': seed, 'trees': trees, 'compose': names, 'env': env}


def as_files(case):
    """What stands on disk: {name, files, compose, env}."""
    files = {path: write(tree, f'{case["seed"]}/{path}') for path, tree in case['trees'].items()}
    return {'name': f'seed {case["seed"]}', 'files': files, 'compose': case['compose'], 'env': case['env']}
