"""Attributes of objects in the embedded language: `steps.spec.text` where Monty wants `steps["spec"]["text"]`.

Every attribute that is read (and not called) goes through a helper in the sandbox that looks
into an object first: so `steps.each.items` is the key, and `data.items()` the method. The source is
changed in place, with a map back, so that a mistake is shown where its author wrote it.
"""

import ast
import bisect

GET = "_agenthost_get"
MISSING = "_agenthost_missing"

PRELUDE = f"""\
def {GET}(value, name):
    if isinstance(value, dict):
        if name in value:
            return value[name]
        {MISSING}(name, [str(key) for key in list(value)[:50]])
    return getattr(value, name)
"""


class Rewritten:
    """A rewritten source and the way back: `origin` of an offset in it. Offsets are in bytes of UTF-8."""

    def __init__(self, source: str, edits: list[tuple[int, int, bytes]]) -> None:
        self.changed = bool(edits)
        before = source.encode()
        out: list[bytes] = []
        self._starts: list[int] = []
        self._segments: list[tuple[int, bool]] = []
        length = done = 0
        for start, end, text in sorted(edits, key=lambda edit: (edit[0], edit[1] > edit[0])):
            length = self._add(out, length, done, before[done:start], same=True)
            length = self._add(out, length, start, text, same=False)
            done = end
        self._add(out, length, done, before[done:], same=True)
        self.text = b"".join(out).decode()

    def _add(self, out: list[bytes], length: int, origin: int, text: bytes, *, same: bool) -> int:
        if text:
            out.append(text)
            self._starts.append(length)
            self._segments.append((origin, same))
        return length + len(text)

    def origin(self, offset: int) -> int:
        """Where the byte at `offset` of the rewritten text comes from."""
        if not self._starts:
            return 0
        index = max(0, bisect.bisect_right(self._starts, offset) - 1)
        origin, same = self._segments[index]
        return origin + (offset - self._starts[index] if same else 0)


def rewrite(source: str, tree: ast.AST) -> Rewritten:
    """`source`, whose syntax tree is `tree`, with its attributes rewritten."""
    finder = _Finder(source)
    finder.visit(tree)
    return Rewritten(source, finder.edits)


class _Finder(ast.NodeVisitor):
    """Collects the edits: (start, end, new text), in bytes."""

    def __init__(self, source: str) -> None:
        self.edits: list[tuple[int, int, bytes]] = []
        self._bytes = source.encode()
        self._lines = [0]
        for line in self._bytes.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))

    def _at(self, line: int, column: int) -> int:
        return self._lines[line - 1] + column

    def _span(self, node: ast.expr) -> tuple[int, int]:
        end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or 0
        return self._at(node.lineno, node.col_offset), self._at(end_line, end_column)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.visit(node.value)
        if isinstance(node.ctx, ast.Load):
            start, end = self._span(node)
            dot = self._bytes.rindex(b".", 0, end - len(node.attr.encode()))
            between = self._bytes[dot:end]
            lines = b"\n" * between.count(b"\n")
            self.edits.append((start, start, f"{GET}(".encode()))
            self.edits.append((dot, end, lines + f", {node.attr!r})".encode()))

    def visit_Call(self, node: ast.Call) -> None:
        self.visit(node.func.value if isinstance(node.func, ast.Attribute) else node.func)
        for child in (*node.args, *node.keywords):
            self.visit(child)

    def visit_MatchValue(self, node: ast.MatchValue) -> None:
        """A pattern can't hold a call; its attributes stay."""

    def visit_MatchClass(self, node: ast.MatchClass) -> None:
        """A pattern can't hold a call; its attributes stay."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        # Python 3.11 gives no true positions inside an f-string, so it is written anew as a whole.
        if any(isinstance(inner, ast.Attribute) for inner in ast.walk(node)):
            start, end = self._span(node)
            new = ast.fix_missing_locations(_Inner().visit(node))
            self.edits.append((start, end, ast.unparse(new).encode()))


class _Inner(ast.NodeTransformer):
    """The same rewriting on the tree, for what stands inside an f-string."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        value = self.visit(node.value)
        if not isinstance(node.ctx, ast.Load):
            return node
        return ast.Call(ast.Name(GET, ast.Load()), [value, ast.Constant(node.attr)], [])

    def visit_Call(self, node: ast.Call) -> ast.expr:
        if isinstance(node.func, ast.Attribute):
            node.func.value = self.visit(node.func.value)
        else:
            node.func = self.visit(node.func)
        node.args = [self.visit(argument) for argument in node.args]
        node.keywords = [self.visit(keyword) for keyword in node.keywords]
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        pieces: list[ast.expr] = [self.visit(piece) for piece in node.values]
        join = ast.Attribute(ast.Constant(""), "join", ast.Load())
        return ast.Call(join, [ast.List(pieces, ast.Load())], [])

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.expr:
        value: ast.expr = self.visit(node.value)
        if node.conversion in (ord("r"), ord("a")):
            value = _call("repr", value)
        elif node.conversion == ord("s"):
            value = _call("str", value)
        if node.format_spec is None:
            return _call("str", value)
        return _call("format", value, self.visit(node.format_spec))


def _call(function: str, *arguments: ast.expr) -> ast.expr:
    return ast.Call(ast.Name(function, ast.Load()), list(arguments), [])
