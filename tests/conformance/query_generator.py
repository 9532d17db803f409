"""Random valid PromQL over given series, from a seed.

Every expression is a Node: its text and what is known of its exactness. `loose` says that something
below adds up several series, or is a function whose algorithm is another one in Prometheus 2.42
(or Go's mathematics against the C library's): such results are compared at 1e-9. What would blow up
a last digit (rounding, comparing for equality, counting changes) is put above exact expressions
only.
"""
import collections
import json
import random
import re

Node = collections.namedtuple("Node", "text loose")

# Windows are off the grid when the evaluation times are: only whole scrape intervals are shifted.
RANGES = ["1m", "90s", "2m", "5m", "10m"]
OFFSETS = ["15s", "30s", "1m", "3m", "-30s", "-1m", "1m15s"]
# Takes the inner windows of subqueries, whose steps lie on the grid, off it.
INNER_OFFSETS = ["3s", "4s", "18s", "1m3s"]
SUBQUERY_STEPS = ["15s", "30s", "1m", ""]

EXACT_RANGE = ["rate", "increase", "irate", "delta", "idelta", "min_over_time", "max_over_time",
               "count_over_time", "last_over_time", "present_over_time", "changes", "resets",
               "sum_over_time", "stddev_over_time", "stdvar_over_time", "deriv"]
LOOSE_RANGE = ["avg_over_time"]
CONTINUOUS = ["abs"]
MATHEMATICS = ["sqrt", "exp", "ln", "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan",
               "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "deg", "rad"]
STEPS = ["ceil", "floor", "sgn"]
DATES = ["minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month",
         "year"]
EXACT_FOLDS = ["count", "min", "max", "group"]
LOOSE_FOLDS = ["sum", "avg", "stddev", "stdvar"]
COMPARISONS = ["==", "!=", "<", "<=", ">", ">="]
NUMBERS = ["0", "1", "-1", "2", "0.5", "-0.25", "10", "100", "1e3", "1e-3", "3.75", "0x10", "Inf",
           "-Inf", "NaN", "1024", "7"]


def quote(text):
    return json.dumps(text, ensure_ascii=False)


def escape(text):
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", text)


class Generator:
    def __init__(self, series, times, seed):
        """`series`: label dicts with __name__; `times`: seconds for the @ modifier."""
        self.random = random.Random(seed)
        self.times = times
        self.by_name = collections.defaultdict(list)
        for labels in series:
            self.by_name[labels["__name__"]].append(labels)
        self.names = sorted(self.by_name)
        self.histograms = [n for n in self.names if n.endswith("_bucket")]
        self.wide = [n for n in self.names if 2 <= len(self.by_name[n]) <= 64]
        self.small = [n for n in self.names if len(self.by_name[n]) <= 64]

    def choice(self, items):
        return self.random.choice(items)

    def maybe(self, probability):
        return self.random.random() < probability

    # ---- selectors ----

    def name(self):
        return self.choice(self.wide if self.maybe(0.7) else self.small)

    def matcher(self, name):
        labels = self.choice(self.by_name[name])
        label = self.choice(sorted(k for k in labels if k != "__name__"))
        value = labels[label]
        others = sorted({s.get(label, "") for s in self.by_name[name]})
        other = self.choice(others)
        kind = self.random.randrange(12)
        if kind == 0:
            return f'{label}={quote(value)}'
        if kind == 1:
            return f'{label}!={quote(value)}'
        if kind == 2:
            return f'{label}=~{quote(escape(value) + "|" + escape(other))}'
        if kind == 3:
            return f'{label}!~{quote(escape(value) + "|" + escape(other))}'
        if kind == 4:
            return f'{label}=~{quote(escape(value[:len(value) // 2]) + ".*")}'
        if kind == 5:
            return f'{label}!~{quote(".*" + escape(value[len(value) // 2:]))}'
        if kind == 6:
            return f'{label}=~".+"'
        if kind == 7:
            return f'{label}=~"(?i:{quote(escape(value.upper()))[1:-1]})"'
        if kind == 8:
            return f'{label}!=""'
        if kind == 9:
            return self.choice(['absent_label=""', 'absent_label!="x"', 'absent_label=~"|y"',
                                'absent_label!~".+"'])
        if kind == 10:
            return f'{label}!~{quote("[" + "a-f" + "].*")}'
        return f'{label}=~{quote("[^" + escape(value[:1] or "q") + "].*|" + escape(value))}'

    def braces(self, name):
        matchers = [self.matcher(name) for _ in range(self.choice([0, 0, 1, 1, 1, 2, 3]))]
        return "{" + ",".join(matchers) + "}" if matchers else ""

    def modifiers(self):
        text = ""
        if self.maybe(0.12):
            text += " offset " + self.choice(OFFSETS)
        if self.maybe(0.1):
            at = self.choice([f"{self.choice(self.times):.3f}", "start()", "end()"])
            text = text + " @ " + at if self.maybe(0.5) else " @ " + at + text
        return text

    def selector(self, name=None):
        name = name or self.name()
        if self.maybe(0.06):
            prefix = "_".join(name.split("_")[:3])
            return Node('{__name__=~' + quote(escape(prefix) + ".*") + "}" + self.modifiers(), False)
        return Node(name + self.braces(name) + self.modifiers(), False)

    def range_selector(self, name=None, inner_offset=None):
        name = name or self.name()
        modifiers = " offset " + inner_offset if inner_offset else self.modifiers()
        return f"{name}{self.braces(name)}[{self.choice(RANGES)}]{modifiers}"

    # ---- functions of ranges ----

    def over_range(self, argument, loose):
        """A function over the text of a range vector."""
        kind = self.random.random()
        if kind < 0.08:
            phi = self.choice(["0", "0.25", "0.5", "0.9", "1", "-1", "2", "NaN"])
            return Node(f"quantile_over_time({phi}, {argument})", loose)
        if kind < 0.13:
            return Node(f"predict_linear({argument}, {self.choice(['60', '-30', '3600'])})", loose)
        if kind < 0.17 and not loose:
            return Node(f"absent_over_time({argument})", False)
        if kind < 0.25:
            return Node(f"{self.choice(LOOSE_RANGE)}({argument})", True)
        names = EXACT_RANGE
        if loose:
            names = [n for n in names if n not in ("changes", "resets", "rate", "increase", "irate")]
        return Node(f"{self.choice(names)}({argument})", loose)

    def subquery(self):
        offset = self.choice(INNER_OFFSETS)
        name = self.name()
        kind = self.random.random()
        loose = False
        if kind < 0.3:
            inner = f"{name}{self.braces(name)} offset {offset}"
            if self.maybe(0.5):
                inner = f"({inner})"
        else:
            node = self.over_range(self.range_selector(name, offset), False)
            inner, loose = node
            if kind > 0.8:
                inner = f"{self.choice(['max', 'count', 'min'])} by (job) ({inner})"
            elif kind > 0.65:
                inner, loose = f"sum by (instance) ({inner})", True
        step = self.choice(SUBQUERY_STEPS)
        text = f"{inner}[{self.choice(['2m', '5m', '7m30s'])}:{step}]"
        if self.maybe(0.15):
            text += " offset " + self.choice(["1m", "30s", "-1m"])
        return self.over_range(text, loose)

    # ---- folds ----

    def grouping(self, name):
        if self.maybe(0.25):
            return ""
        labels = sorted(set().union(*self.by_name[name]) - {"__name__"}) + ["nosuch"]
        chosen = self.random.sample(labels, min(len(labels), self.choice([0, 1, 1, 2])))
        if self.maybe(0.05):
            chosen.append("__name__")
        return f"{self.choice(['by', 'without'])} ({', '.join(chosen)}) "

    def fold(self, depth):
        name = self.name()
        grouping = self.grouping(name)
        node = self.vector(depth - 1, name)
        kind = self.random.random()
        if kind < 0.1:
            phi = self.choice(["0", "0.3", "0.5", "0.99", "1", "-0.1", "1.5"])
            return Node(f"quantile {grouping}({phi}, {node.text})", node.loose)
        if kind < 0.18 and not node.loose:
            return Node(f'count_values {grouping}("v", {node.text})', False)
        if kind < 0.5:
            return Node(f"{self.choice(LOOSE_FOLDS)} {grouping}({node.text})", True)
        return Node(f"{self.choice(EXACT_FOLDS)} {grouping}({node.text})", node.loose)

    def ranked(self):
        """topk and bottomk only at the top: which of equal series stay is left open."""
        name = self.name()
        function = self.choice(["topk", "bottomk"])
        count = self.choice(["1", "3", "5", "0", "100", "2.9"])
        return Node(f"{function} {self.grouping(name)}({count}, {self.vector(1, name).text})", True)

    # ---- binary operators ----

    def operator(self, left, right):
        """(operator with bool, loose, a set operator?)"""
        loose = left.loose or right.loose
        kind = self.random.random()
        if kind < 0.5:
            operator = self.choice(["+", "-", "*", "/", "%", "^", "atan2"])
            if operator == "%" and loose:
                operator = "/"
            return operator, loose or operator in ("^", "atan2")
        comparisons = ["<", ">="] if loose else COMPARISONS
        return self.choice(comparisons) + self.choice(["", "", " bool"]), loose

    def matching(self, name):
        labels = sorted(set().union(*self.by_name[name]) - {"__name__"})
        if self.maybe(0.5):
            return ""
        chosen = self.random.sample(labels, self.random.randint(1, len(labels)))
        if self.maybe(0.6):
            return f" on({', '.join(chosen)})"
        return f" ignoring({', '.join(chosen)})"

    def vector_pair(self, depth):
        name = self.name()
        left = self.vector(depth - 1, name)
        kind = self.random.random()
        if kind < 0.25:
            # Set operators pass both sides through.
            right = self.vector(depth - 1, name)
            operator = self.choice(["and", "or", "unless"])
            return Node(f"({left.text}) {operator}{self.matching(name)} ({right.text})",
                        left.loose or right.loose)
        if kind < 0.55:
            right = self.vector(depth - 1, name)
            operator, loose = self.operator(left, right)
            return Node(f"({left.text}) {operator}{self.matching(name)} ({right.text})", loose)
        labels = sorted(set().union(*self.by_name[name]) - {"__name__"})
        chosen = self.random.sample(labels, self.random.randint(1, min(2, len(labels))))
        fold = self.choice(["max", "min", "count", "sum"])
        inner = self.vector(depth - 1, name)
        one = Node(f"{fold} by ({', '.join(chosen)}) ({inner.text})", inner.loose or fold == "sum")
        operator, loose = self.operator(left, one)
        others = [label for label in labels if label not in chosen]
        extra = self.choice(["()", "(nosuch)"] + [f"({label})" for label in others])
        if self.maybe(0.5):
            return Node(f"({left.text}) {operator} on({', '.join(chosen)}) group_left{extra} "
                        f"({one.text})", loose)
        return Node(f"({one.text}) {operator} on({', '.join(chosen)}) group_right{extra} "
                    f"({left.text})", loose)

    def with_scalar(self, depth):
        node = self.vector(depth - 1)
        scalar = self.scalar(depth - 1)
        operator, loose = self.operator(node, scalar)
        if self.maybe(0.5):
            return Node(f"({node.text}) {operator} ({scalar.text})", loose)
        return Node(f"({scalar.text}) {operator} ({node.text})", loose)

    # ---- functions of vectors ----

    def label_function(self, depth):
        name = self.name()
        node = self.vector(depth - 1, name)
        labels = sorted(set().union(*self.by_name[name]))
        source = self.choice(labels)
        if self.maybe(0.4):
            sources = self.random.sample(labels, self.random.randint(0, min(3, len(labels))))
            rest = "".join(", " + quote(s) for s in sources)
            return Node(f'label_join({node.text}, {quote(self.choice(["new", source]))}, '
                        f'{quote(self.choice(["-", "", "::"]))}{rest})', node.loose)
        regex, replacement = self.choice([
            ("(.*)", "$1"), ("(.*)", "x-${1}-y"), ("([a-z]+)[^a-z]*(.*)", "$2$1"), ("(.+)", ""),
            ("nothing", "z"), (".*", "all"), ("(?P<first>.).*", "$first"), ("", "empty"),
            ("(.)(.*)", "$2_$3"), ("(.*)_(.*)", "$1$$")])
        target = self.choice(["new", "new", source])
        return Node(f'label_replace({node.text}, {quote(target)}, {quote(replacement)}, '
                    f'{quote(source)}, {quote(regex)})', node.loose)

    def quantile_of_buckets(self):
        name = self.choice(self.histograms)
        phi = self.choice(["0", "0.1", "0.5", "0.9", "0.99", "1", "1.5", "-1", "NaN"])
        inner = f"{name}{self.braces(name)}"
        kind = self.random.random()
        if kind < 0.5:
            inner = f"{self.choice(['rate', 'increase'])}({inner}[{self.choice(RANGES)}])"
        if kind > 0.3:
            labels = sorted(set().union(*self.by_name[name]) - {"__name__", "le"})
            inner = f"sum by (le, {self.choice(labels)}) ({inner})"
        # 3.14 takes buckets that differ by less than 1e-12, as rates do by rounding, for equal.
        loose = "sum by" in inner or "rate(" in inner or "increase(" in inner
        return Node(f"histogram_quantile({phi}, {inner})", loose)

    def function(self, depth):
        node = self.vector(depth - 1)
        kind = self.random.random()
        if kind < 0.2:
            return Node(f"{self.choice(MATHEMATICS)}({node.text})", True)
        if kind < 0.3:
            return Node(f"{self.choice(CONTINUOUS)}({node.text})", node.loose)
        if kind < 0.45 and not node.loose:
            return Node(f"{self.choice(STEPS)}({node.text})", False)
        if kind < 0.55 and not node.loose:
            step = self.choice(["", ", 0.1", ", 5", ", -2", ", 0"])
            return Node(f"round({node.text}{step})", False)
        if kind < 0.65:
            low, high = self.choice(NUMBERS), self.choice(NUMBERS)
            call = self.choice([f"clamp({node.text}, {low}, {high})",
                                f"clamp_min({node.text}, {low})",
                                f"clamp_max({node.text}, {high})"])
            return Node(call, node.loose)
        if kind < 0.72 and not node.loose:
            return Node(f"{self.choice(DATES)}({node.text})", False)
        if kind < 0.8:
            return Node(f"timestamp({self.selector().text})", False)
        if kind < 0.86 and not node.loose:
            argument = node.text if self.maybe(0.5) else \
                f'{self.name()}{{job="{self.choice(["none", "node"])}",nosuch="a",i=~"b",x!="c"}}'
            return Node(f"absent({argument})", False)
        if kind < 0.93:
            return Node(f"-({node.text})", node.loose)
        return Node(f"{self.choice(['sort', 'sort_desc'])}({node.text})", node.loose)

    def whole_job(self):
        """Many metrics at once."""
        job = self.choice(sorted({s["job"] for n in self.names for s in self.by_name[n]}))
        selector = f'{{job={quote(job)},__name__!~{quote(".*_(bucket|info).*")}}}'
        function = self.choice(["", "", "last_over_time"])
        if function:
            selector = f"{function}({selector}[{self.choice(RANGES)}])"
        fold = self.choice(["count by (__name__)", "max by (__name__, instance)", "count", "group",
                            "min without (instance, job)", "topk by (job)", "sum by (instance)"])
        if fold.startswith("topk"):
            return Node(f"count ({fold} (3, {selector}))", False)
        return Node(f"{fold} ({selector})", fold.startswith("sum"))

    # ---- types ----

    def scalar(self, depth):
        kind = self.random.random()
        if depth <= 0 or kind < 0.6:
            return Node(self.choice(NUMBERS), False)
        if kind < 0.7:
            return Node("time()", False)
        if kind < 0.85:
            node = self.vector(depth - 1)
            return Node(f"scalar({node.text})", node.loose)
        left, right = self.scalar(depth - 1), self.scalar(depth - 1)
        operator = self.choice(["+", "-", "*", "/", "^", "> bool"])
        loose = left.loose or right.loose or operator == "^"
        return Node(f"({left.text}) {operator} ({right.text})", loose)

    def vector(self, depth, name=None):
        kind = self.random.random()
        if self.maybe(0.03):
            return self.whole_job()
        if depth <= 0:
            if kind < 0.6:
                return self.selector(name)
            return self.over_range(self.range_selector(name), False)
        if kind < 0.15:
            return self.selector(name)
        if kind < 0.35:
            return self.over_range(self.range_selector(name), False)
        if kind < 0.45:
            return self.subquery()
        if kind < 0.6:
            return self.fold(depth)
        if kind < 0.72:
            return self.vector_pair(depth)
        if kind < 0.8:
            return self.with_scalar(depth)
        if kind < 0.86:
            return self.label_function(depth)
        if kind < 0.9:
            return self.quantile_of_buckets()
        return self.function(depth)

    # ---- text ----

    def chain(self):
        """Operators without parentheses, so that precedence and associativity count."""
        operators = ["+", "-", "*", "/", "== bool", "< bool", ">= bool"]
        # A remainder makes much of the last digit of a power.
        operators += self.choice([["%"], ["^", "atan2"]])
        name = self.choice(self.small)
        text = ""
        for i in range(self.random.randint(2, 6)):
            operand = self.choice(NUMBERS + ["time()", f"vector({self.choice(NUMBERS)})"])
            if self.maybe(0.4):
                operand = name + self.choice(["", " offset 1m", f"[{self.choice(RANGES)}]"])
                if operand.endswith("]"):
                    operand = f"{self.choice(['max_over_time', 'last_over_time'])}({operand})"
            if self.maybe(0.2):
                operand = self.choice(["-", "+"]) + operand
            text += (f" {self.choice(operators)} " if i > 0 else "") + operand
        if self.maybe(0.3):
            text += self.choice([" and ", " or ", " unless "]) + name + " or vector(1) and vector(2)"
        return Node(text, True)

    def dressed(self, text):
        """The same query with blanks, comments and keywords as nobody writes them."""
        if self.maybe(0.3):
            text = re.sub(r"\b(by|without|on|ignoring|group_left|group_right|offset|bool|and|or|"
                          r"unless|sum|avg|min|max|count) ", lambda m: m[0].upper(), text) \
                if '"' not in text else text
        if self.maybe(0.1):
            text = f"( # why\n\t{text} )"
        if self.maybe(0.1):
            text = text + " # that is all"
        return text

    def matrix(self):
        """What only an instant query takes; 2.42 fails on these in parentheses."""
        kind = self.random.random()
        if kind < 0.6:
            return Node(self.range_selector(), False)
        if kind < 0.95:
            inner = self.over_range(self.range_selector(None, self.choice(INNER_OFFSETS)), False)
            return Node(f"{inner.text}[5m:{self.choice(SUBQUERY_STEPS)}]{self.modifiers()}",
                        inner.loose)
        return Node(quote(self.choice(["", "text", "a\\b\n", "ü"])), False)

    def query(self):
        """A Node of any type."""
        if self.maybe(0.03):
            return self.matrix()
        node = self.plain_query()
        return Node(self.dressed(node.text), node.loose)

    def plain_query(self):
        kind = self.random.random()
        if kind > 0.93:
            return self.chain()
        if kind < 0.05:
            return self.ranked()
        if kind < 0.08:
            return self.scalar(3)
        return self.vector(self.choice([0, 1, 2, 2, 3]))
