"""The page at /docs, from the OpenAPI document (a part of tools/protoc-gen-skep): one file, no script, no asset of elsewhere."""

import html
import json
import re

STYLE = '''
:root{--ink:#1d2327;--soft:#5b6670;--line:#dfe3e6;--paper:#fff;--pale:#f6f7f8;--link:#9a5b00;--accent:#d98a00;
--get:#1668a8;--post:#2a7a3b;--put:#8a5a00;--patch:#6a4aa5;--delete:#b3261e;color-scheme:light dark}
@media(prefers-color-scheme:dark){:root{--ink:#e4e7e9;--soft:#9aa5ad;--line:#343b40;--paper:#16191b;--pale:#1e2326;--link:#f0b64a;
--accent:#f0a92a;--get:#6cb4ee;--post:#6cc384;--put:#e0ad55;--patch:#b79cf0;--delete:#f28b82}}
*{box-sizing:border-box}
html{scroll-padding-top:1rem}
body{margin:0;font:16px/1.55 system-ui,sans-serif;color:var(--ink);background:var(--paper);display:grid;grid-template-columns:17rem minmax(0,1fr)}
a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}
code,pre,.path{font:14px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
nav{position:sticky;top:0;height:100vh;overflow:auto;padding:1.5rem 1rem 2rem 1.5rem;border-right:1px solid var(--line);background:var(--pale);font-size:14px}
nav h1{font-size:1.25rem;margin:0 0 .25rem}nav p{margin:.25rem 0 1rem;color:var(--soft)}
nav details{margin:.15rem 0}nav summary{cursor:pointer;font-weight:600;padding:.15rem 0}
nav ul{list-style:none;margin:0 0 .5rem;padding:0 0 0 .9rem}nav li a{display:block;padding:.1rem 0;color:var(--ink)}
main{padding:2rem 2.5rem 6rem;max-width:62rem}
main>section{margin-bottom:3rem}
h2{font-size:1.6rem;margin:2.5rem 0 .5rem;border-bottom:2px solid var(--accent);padding-bottom:.25rem}
h3{font-size:1.05rem;margin:0}h4{margin:1.1rem 0 .3rem;font-size:.8rem;text-transform:uppercase;letter-spacing:.06em;color:var(--soft)}
article{border:1px solid var(--line);border-radius:8px;padding:1rem 1.25rem;margin:1rem 0}
article:target{border-color:var(--accent);box-shadow:0 0 0 1px var(--accent)}
.route{display:flex;gap:.6rem;align-items:baseline;margin:.35rem 0}
.verb{font:700 12px/1 ui-monospace,monospace;min-width:4.2rem;text-align:center;padding:.3rem 0;border-radius:4px;border:1px solid currentColor;flex:none}
.get{color:var(--get)}.post{color:var(--post)}.put{color:var(--put)}.patch{color:var(--patch)}.delete{color:var(--delete)}
.path{overflow-wrap:anywhere}.path b{font-weight:600;color:var(--link)}
table{border-collapse:collapse;width:100%;font-size:14.5px}td,th{text-align:left;vertical-align:top;padding:.35rem .9rem .35rem 0;border-bottom:1px solid var(--line)}
td:first-child{width:1%;min-width:17rem}table.codes td:first-child{min-width:4rem}tr:last-child td{border-bottom:0}
.must{color:var(--delete);font-size:12px}.type{color:var(--soft);font-size:13px}
pre{background:var(--pale);border:1px solid var(--line);border-radius:6px;padding:.7rem .9rem;white-space:pre-wrap;overflow-wrap:anywhere;margin:.4rem 0}
details.more>summary{cursor:pointer;color:var(--soft);font-size:14px;margin-top:.7rem}
@media(max-width:52rem){body{display:block}nav{position:static;height:auto;max-height:40vh;border-right:0;border-bottom:1px solid var(--line)}main{padding:1.25rem}
td:first-child{min-width:9rem}}
@media print{nav{display:none}body{display:block}article{break-inside:avoid}}
'''


def text(words):
    """Words with `code` in them."""
    return re.sub(r'`([^`]+)`', r'<code>\1</code>', html.escape(words, quote=False))


def plain(schema):
    """Without its null, which says nothing."""
    return {**schema, 'type': schema['type'][0]} if isinstance(schema.get('type'), list) else schema


class Page:
    def __init__(self, document):
        self.document = document
        self.schemas = document['components']['schemas']

    def resolve(self, thing):
        while '$ref' in thing:
            here = self.document
            for part in thing['$ref'][2:].split('/'):
                here = here[part]
            thing = here
        return thing

    # -- types --------------------------------------------------------------------------------------------

    def type_of(self, schema):
        if '$ref' in schema:
            name = schema['$ref'].rsplit('/', 1)[-1]
            return f'<a href="#{name}">{name}</a>'
        if 'anyOf' in schema:
            return ' or '.join(self.type_of(s) for s in schema['anyOf'] if s.get('type') not in ('null', 'integer'))
        schema = plain(schema)
        if schema.get('type') == 'array':
            return 'list of ' + self.type_of(schema['items'])
        if isinstance(schema.get('additionalProperties'), dict):
            return 'map to ' + self.type_of(schema['additionalProperties'])
        if 'const' in schema:
            return f'<code>{html.escape(schema["const"])}</code>'
        if schema.get('contentEncoding'):
            return schema['contentEncoding']
        kind = schema.get('format') if schema.get('format') in ('uuid', 'date-time') else schema.get('type', 'anything')
        return {'date-time': 'time'}.get(kind, kind)

    @staticmethod
    def bounds(schema):
        found = []
        if 'minimum' in schema and schema['minimum'] not in (-2**31, -2**63) and schema.get('maximum') in (2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1):
            found += [f'from {schema["minimum"]}'] if schema['minimum'] else []
        elif 'minimum' in schema and schema['minimum'] not in (-2**31, -2**63):
            found.append(f'{schema["minimum"]} to {schema["maximum"]}')
        if schema.get('maxLength'):
            found.append(f'at most {schema["maxLength"]} characters')
        if 'pattern' in schema and 'examples' not in schema:
            found.append(f'<code>{html.escape(schema["pattern"], quote=False)}</code>')
        for key in ('maxItems', 'maxProperties'):
            if key in schema:
                found.append(f'at most {schema[key]}')
        return found

    def row(self, name, schema, required, about):
        schema = plain(schema)
        words = ', '.join([self.type_of(schema), *self.bounds(schema.get('items', schema) if schema.get('type') == 'array' else schema),
                           *(self.bounds(schema) if schema.get('type') == 'array' else [])])
        example = schema.get('examples', [None])[0]
        shown = f' <span class="type">e.g. <code>{html.escape(str(example), quote=False)}</code></span>' if example is not None else ''
        must = ' <span class="must">required</span>' if required else ''
        return (f'<tr><td><code>{html.escape(name)}</code>{must}<br><span class="type">{words}</span></td>'
                f'<td>{text(about)}{shown}</td></tr>')

    def fields(self, schema):
        schema = self.resolve(schema)
        required = schema.get('required', [])
        rows = [self.row(name, inner, name in required, inner.get('description', '')) for name, inner in schema.get('properties', {}).items()]
        return f'<table>{"".join(rows)}</table>' if rows else '<p class="type">Nothing.</p>'

    # -- operations ---------------------------------------------------------------------------------------

    @staticmethod
    def route(verb, path):
        shown = re.sub(r'(\{[^}]+\})', r'<b>\1</b>', html.escape(path))
        return f'<div class="route"><span class="verb {verb}">{verb.upper()}</span><span class="path">{shown}</span></div>'

    def parameters(self, operation):
        out = []
        found = [self.resolve(p) for p in operation.get('parameters', [])]
        for place, title in (('path', 'Path'), ('query', 'Query'), ('header', 'Headers')):
            rows = [self.row(p['name'], p['schema'], p.get('required') and place != 'path', p.get('description', '')) for p in found if p['in'] == place]
            if rows:
                out.append(f'<h4>{title}</h4><table>{"".join(rows)}</table>')
        return ''.join(out)

    def curl(self, verb, path, operation):
        path = re.sub(r'\{(\w+)\}', lambda m: '$' + m.group(1).upper(), path)
        words = f'curl "$SKEP{path}"'
        if 'security' not in operation:
            words += ' -H "authorization: Bearer $TOKEN"'
        if verb not in ('get', 'post') or (verb == 'post' and 'requestBody' not in operation):
            words += f' -X {verb.upper()}'
        body = operation.get('requestBody', {}).get('content', {}).get('application/json', {})
        if body:
            words += (' --json ' if verb == 'post' else " -H 'content-type: application/json' -d ") + "'" + json.dumps(body.get('example', {})) + "'"
        if 'text/event-stream' in operation['responses'].get('200', {}).get('content', {}):
            words += " -N -H 'accept: text/event-stream'"
        return f'<pre>{html.escape(words, quote=False)}</pre>'

    def answers(self, operation):
        good, bad = [], []
        for status, answer in operation['responses'].items():
            answer = self.resolve(answer)
            content = answer.get('content', {})
            kind = next(iter(content), '')
            schema = content.get(kind, {}).get('schema')
            what = f'{self.type_of(schema)} ' if schema and int(status) < 400 else ''
            also = ', '.join(f'<code>{k}</code>' for k in content) if len(content) > 1 else ''
            about = '' if what and answer['description'] == 'Done.' else text(answer['description'])
            row = f'<tr><td><code>{status}</code></td><td>{what}{also} {about}</td></tr>'
            (good if int(status) < 400 else bad).append(row)
        return (f'<h4>Answer</h4><table class="codes">{"".join(good)}</table>'
                f'<details class="more"><summary>Failures</summary><table class="codes">{"".join(bad)}</table></details>')

    def operation(self, routes):
        (path, verb, operation), *others = routes
        body = operation.get('requestBody', {}).get('content', {}).get('application/json', {}).get('schema')
        also = ''.join(self.route(v, p) for p, v, _ in others)
        return (f'<article id="{operation["operationId"]}"><h3>{operation["operationId"].split("_", 1)[1]}</h3>{self.route(verb, path)}{also}'
                f'<p>{text(operation["description"])}</p>{self.parameters(operation)}'
                + (f'<h4>Body</h4>{self.fields(body)}' if body else '') + self.answers(operation)
                + self.curl(verb, path, operation) + '</article>')

    def grouped(self):
        """{tag: [[(path, verb, operation), others of the same method …], …]}"""
        found = {}
        for path, verbs in self.document['paths'].items():
            for verb, operation in verbs.items():
                method = '_'.join(operation['operationId'].split('_')[:2])
                found.setdefault(operation['tags'][0], {}).setdefault(method, []).append((path, verb, operation))
        return {tag: [sorted(routes, key=lambda r: r[2]['operationId']) for routes in methods.values()] for tag, methods in sorted(found.items())}

    def schema(self, name, schema):
        about = f'<p>{text(schema["description"])}</p>' if schema.get('description') else ''
        values = ', '.join(f'<code>{html.escape(v)}</code>' for v in schema.get('enum', []))
        inner = f'<p>{values}</p>' if values else self.fields(schema)
        return f'<article id="{name}"><h3>{name}</h3>{about}{inner}</article>'

    def render(self, intro):
        groups = self.grouped()
        tags = {t['name']: t.get('description', '') for t in self.document['tags']}
        menu = ''.join(
            f'<details open><summary><a href="#tag-{tag}">{tag}</a></summary><ul>'
            + ''.join(f'<li><a href="#{r[0][2]["operationId"]}">{r[0][2]["operationId"].split("_", 1)[1]}</a></li>' for r in methods)
            + '</ul></details>' for tag, methods in groups.items())
        main = ''.join(f'<section><h2 id="tag-{tag}">{tag}</h2><p>{text(tags[tag])}</p>{"".join(map(self.operation, methods))}</section>'
                       for tag, methods in groups.items())
        things = ''.join(self.schema(name, schema) for name, schema in self.schemas.items())
        return ('<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
                f'<title>Skep: the API</title><style>{STYLE}</style></head><body><nav><h1>Skep</h1><p>The API · <a href="/openapi.json">OpenAPI</a></p>'
                f'{menu}<details><summary><a href="#things">Messages</a></summary><ul>'
                + ''.join(f'<li><a href="#{n}">{n}</a></li>' for n in self.schemas) + '</ul></details></nav>'
                f'<main><section>{intro}</section>{main}<section><h2 id="things">Messages</h2>{things}</section></main></body></html>\n')


INTRO = '''<h2 id="top">The API by plain HTTP</h2>
<p>Skep deploys Compose projects to Docker Swarm through a durable queue. Every method stands here with its paths; the same methods answer by
gRPC, Connect and gRPC-Web on the same port.</p>
<pre>SKEP=http://127.0.0.1:7700 TOKEN=$(skep token create --role deployer ci)
curl "$SKEP/v1/projects/shop/stacks" -H "authorization: Bearer $TOKEN"</pre>
<p><b>Who asks:</b> <code>authorization: Bearer …</code> with each request. <b>JSON</b> is proto3's: camelCase (snake_case is read too), fields with
their default left out, 64-bit numbers as strings in answers, <code>bytes</code> in base64. <b>Failures</b> are
<a href="#Problem">application/problem+json</a> and say which field is wrong and what would be right. <b>Lists</b> come in pages:
<code>page_size</code>, and <code>page_token</code> from the <code>nextPageToken</code> before. <b>A job</b> is the answer of whatever takes time:
<a href="#Jobs_Watch">watch</a> it to its end. <b>Twice the same:</b> an <code>idempotency-key</code> gives the first answer again.</p>'''


def render(document):
    return Page(document).render(INTRO)
