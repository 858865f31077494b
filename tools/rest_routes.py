"""The routes of proto/'s google.api.http options (a part of tools/protoc-gen-skep), for src/rpc/route.h.

What of google.api.http Skep takes, and refuses otherwise: get, put, post, delete and patch; paths of literals, of {field} variables that
are one segment each (fields of fields with dots), and of a ":verb" behind the last segment; body "*", a field, or none; additional
bindings. What neither the path nor the body says stands in the query."""

from google.protobuf import descriptor_pb2

Field = descriptor_pb2.FieldDescriptorProto
VERBS = ('get', 'put', 'post', 'delete', 'patch')
PAGE = '.skep.v1.Page'  # its fields stand in the query without their message's name


class BadRoute(Exception):
    """In words for the author of the .proto."""


class Segment:
    """A literal, or the variable of a field's path."""

    def __init__(self, text):
        self.field = text[1:-1] if text.startswith('{') and text.endswith('}') else None
        self.literal = None if self.field else text
        plain = (self.field or text).replace('.', '').replace('_', '').replace('-', '')
        if not plain.isalnum():
            raise BadRoute(f'"{text}" is neither a literal nor one {{field}}')

    @property
    def name(self):
        """Of the variable, for people: its last part."""
        return self.field.rsplit('.', 1)[-1] if self.field else None


class Binding:
    """One verb and path of a method."""

    def __init__(self, method, rule, by_name):
        self.method, self.body = method, rule.body
        verb = rule.WhichOneof('pattern')
        if verb not in VERBS:
            raise BadRoute(f'{method.path}: google.api.http needs one of {", ".join(VERBS)}')
        if rule.response_body or rule.selector:
            raise BadRoute(f'{method.path}: response_body and selector are not known here')
        self.verb, self.path = verb.upper(), getattr(rule, verb)
        try:
            self.segments, self.action = self.parse(self.path)
        except BadRoute as error:
            raise BadRoute(f'{method.path}: {self.path}: {error}') from None
        self.variables = [s.field for s in self.segments if s.field]
        self.check(by_name)

    @staticmethod
    def parse(path):
        if not path.startswith('/') or path.endswith('/'):
            raise BadRoute('a path begins with / and does not end with one')
        *front, last = path[1:].split('/')
        brace = last.rfind('}') + 1
        colon = last.find(':', brace)
        action = last[colon + 1:] if colon >= 0 else ''
        if colon >= 0 and not action.isalnum():
            raise BadRoute(f'":{action}" is no verb')
        last = last[:colon] if colon >= 0 else last
        return [Segment(s) for s in (*front, last)], action

    def field_of(self, path, by_name):
        message, found = self.method.input_message, None
        for part in path.split('.'):
            found = next((f for f in message.fields if f.name == part), None) if message else None
            if not found:
                raise BadRoute(f'{self.method.path}: {message.full_name if message else path} has no field {part}')
            message = by_name.get(found.type_name.lstrip('.')) if found.type == Field.TYPE_MESSAGE else None
        return found

    def check(self, by_name):
        where = f'{self.method.path}: {self.path}'
        for path in self.variables:
            field = self.field_of(path, by_name)
            if field.type in (Field.TYPE_MESSAGE, Field.TYPE_BYTES) or field.label == Field.LABEL_REPEATED:
                raise BadRoute(f'{where}: {path} is no single value')
        names = [s.name for s in self.segments if s.field]
        if len(set(names)) != len(names):
            raise BadRoute(f'{where}: two variables end in the same name')
        if self.body and self.verb in ('GET', 'DELETE'):
            raise BadRoute(f'{where}: {self.verb} has no body')
        if self.body not in ('', '*'):
            self.field_of(self.body, by_name)
        if self.verb == 'GET' and not self.method.no_side_effects:
            raise BadRoute(f'{where}: a method with side effects is no GET')
        if self.body != '*':
            for field in self.method.input_message.fields:
                target = by_name.get(field.type_name.lstrip('.')) if field.type == Field.TYPE_MESSAGE else None
                is_list = target and field.label == Field.LABEL_REPEATED and not target.proto.options.map_entry
                if field.name != self.body and is_list:
                    raise BadRoute(f'{where}: {field.name} has no place in a query: give it a body')

    def readable(self):
        """The path with the last parts of the variables' names: "/v1/projects/{project}/stacks/{name}:scale"."""
        parts = [f'{{{s.name}}}' if s.field else s.literal for s in self.segments]
        return '/' + '/'.join(parts) + (f':{self.action}' if self.action else '')


def bindings_of(method, rule, by_name):
    """Of one method, the first one first."""
    found = [Binding(method, r, by_name) for r in (rule, *rule.additional_bindings)]
    if any(r.additional_bindings for r in rule.additional_bindings):
        raise BadRoute(f'{method.path}: additional bindings have none of their own')
    return found


class Node:
    def __init__(self):
        self.literals, self.anything, self.bindings = {}, None, []

    def child(self, segment):
        if segment is None:
            self.anything = self.anything or Node()
            return self.anything
        return self.literals.setdefault(segment, Node())

    def children(self):
        """As the table has them: literals and actions, bytewise; then the variable."""
        found = sorted(self.literals.items(), key=lambda item: item[0].encode())
        return found + ([(None, self.anything)] if self.anything else [])


def trie_of(bindings):
    root = Node()
    for b in bindings:
        node = root
        for segment in b.segments:
            node = node.child(segment.literal)
        if b.action:
            node = node.child(':' + b.action)
        for other in node.bindings:
            if other.verb == b.verb:
                raise BadRoute(f'{b.method.path}: {b.verb} {b.path} is {other.method.path} already')
            # OpenAPI: paths that differ only in the names of variables are one path.
            if other.readable() != b.readable():
                raise BadRoute(f'{b.method.path}: {b.readable()} is {other.readable()} with other names')
        node.bindings.append(b)
    return root


def c_string(text):
    return f'"{text}"' if text is not None else 'NULL'


def routes_c(bindings, method_index, banner, folder, name):
    """gen/<folder>/routes.c: the trie, breadth first, so that the children of a node stand side by side."""
    nodes, routes, fields = [(None, trie_of(bindings))], [], []
    rows = []
    for segment, node in nodes:  # grows
        children = node.children()
        found = sorted(node.bindings, key=lambda b: b.verb)
        rows.append(f'\t{{ {c_string(segment)}, {len(nodes)}, {len(children)}, {len(routes)}, {len(found)} }},'
                    f'{" /* " + found[0].readable() + " */" if found else ""}\n')
        nodes += children
        for b in found:
            at = 'NULL'
            if b.variables:
                at = f'route_fields + {len(fields)}'
                fields += b.variables
            routes.append(f'\t{{ "{b.verb}", &{name}_methods[{method_index[b.method.path]}], '
                          f'{c_string(b.body or None)}, {at}, {len(b.variables)} }}, /* {b.method.path} */\n')
    names = ', '.join(f'"{f}"' for f in fields) or 'NULL'
    wrapped, line = '', '\t'
    for word in names.split(' '):
        if len(line) + len(word) > 120:
            wrapped, line = wrapped + line.rstrip() + '\n', '\t'
        line += word + ' '
    return (f'{banner}#include "rpc/route.h"\n#include "{folder}/methods.h"\n\n'
            f'static const char *const route_fields[] = {{\n{wrapped}{line.rstrip()}\n}};\n\n'
            f'static const struct rpc_route routes[] = {{\n{"".join(routes)}}};\n\n'
            f'static const struct rpc_route_node nodes[] = {{\n{"".join(rows)}}};\n\n'
            f'const struct rpc_routes {name}_routes = {{ nodes, routes, sizeof(routes) / sizeof(routes[0]) }};\n')
